//! Lines that lose packets: some of all, or all of some kind.

use std::ffi::CString;

use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage, TcOption};

use super::namespace::Namespace;
use crate::net::DHCP_CLIENT_PORT;
use crate::platform::linux::encode::request_with;
use crate::wire::dhcpv6::MessageType;

/// An instruction: code, instructions to skip if so and if not, operand (linux/filter.h).
type Instruction = (u32, u8, u8, u32);

// linux/pkt_cls.h
const SHOT: u32 = 2;
const OK: u32 = 0;
// Octets are counted from the Ethernet header on.
const ETHERTYPE: u32 = 12;
const NEXT_HEADER: u32 = 20;
const DESTINATION: u32 = 38;
const PAYLOAD: u32 = 54;
const IPV6: u32 = 0x86dd;
const UDP: u32 = 17;
const ICMPV6: u32 = 58;
const ROUTER_ADVERTISEMENT: u32 = 134;
const MULTICAST: u32 = 0xff;

impl Namespace {
    /// Makes an interface lose this part of the packets that arrive there.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn lose(&self, name: &str, part: f64) -> anyhow::Result<()> {
        self.filter(name, "dice", &dice(part))
    }

    /// Makes an interface lose what notifies one router of a change: Reconfigure messages, and
    /// advertisements to it alone.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn lose_notifications(&self, name: &str) -> anyhow::Result<()> {
        self.filter(name, "notifications", &notifications())
    }

    /// The loss has to be where packets arrive: a sender learns of a packet that is dropped on the
    /// way out. An interface has one filter.
    fn filter(&self, name: &str, title: &str, program: &[Instruction]) -> anyhow::Result<()> {
        let index = i32::try_from(self.index(name)?)?;
        let mut queue = TcMessage::with_index(index);
        queue.header.parent = TcHandle::INGRESS;
        queue.header.handle = TcHandle { major: u16::MAX, minor: 0 };
        queue.attributes = vec![TcAttribute::Kind("ingress".to_owned())];
        let mut filter = TcMessage::with_index(index);
        filter.header.parent = TcHandle { major: u16::MAX, minor: 0 };
        filter.header.info = (1 << 16) | u32::from(u16::to_be(3)); // priority 1, ETH_P_ALL
        let options = classifier(title, program);
        filter.attributes = vec![
            TcAttribute::Kind("bpf".to_owned()),
            TcAttribute::Options(
                options.map(|(kind, value)| TcOption::Other(DefaultNla::new(kind, value))).into(),
            ),
        ];
        let create = NLM_F_CREATE | NLM_F_EXCL;
        self.ask_all(
            "a filter that loses packets (cls_bpf)",
            vec![
                request_with(create, RouteNetlinkMessage::NewQueueDiscipline(queue)),
                request_with(create, RouteNetlinkMessage::NewTrafficFilter(filter)),
            ],
        )
    }
}

/// Throws dice for each packet.
fn dice(part: f64) -> Vec<Instruction> {
    // linux/filter.h: loads from here on are of the packet's surroundings.
    const RANDOM: u32 = (-0x1000_i32 + 56).cast_unsigned();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float as large as the largest u32, or smaller, becomes that"
    )]
    let limit = (part.clamp(0.0, 1.0) * f64::from(u32::MAX)) as u32;
    vec![
        load(libc::BPF_W, RANDOM),
        (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 1, 0, limit),
        answer(SHOT),
        answer(OK),
    ]
}

fn notifications() -> Vec<Instruction> {
    let reconfigure = u32::from(MessageType::Reconfigure.to_wire());
    vec![
        load(libc::BPF_H, ETHERTYPE),
        equal(IPV6, 0, 12),
        load(libc::BPF_B, NEXT_HEADER),
        equal(UDP, 5, 0),
        equal(ICMPV6, 0, 9),
        load(libc::BPF_B, PAYLOAD),
        equal(ROUTER_ADVERTISEMENT, 0, 7),
        // What goes not to all goes to this router.
        load(libc::BPF_B, DESTINATION),
        equal(MULTICAST, 5, 4),
        load(libc::BPF_H, PAYLOAD + 2),
        equal(u32::from(DHCP_CLIENT_PORT), 0, 3),
        load(libc::BPF_B, PAYLOAD + 8),
        equal(reconfigure, 0, 1),
        answer(SHOT),
        answer(OK),
    ]
}

const fn load(size: u32, at: u32) -> Instruction {
    (libc::BPF_LD | size | libc::BPF_ABS, 0, 0, at)
}

const fn equal(value: u32, if_so: u8, if_not: u8) -> Instruction {
    (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, if_so, if_not, value)
}

const fn answer(verdict: u32) -> Instruction {
    (libc::BPF_RET | libc::BPF_K, 0, 0, verdict)
}

/// The options of a classifier that runs `program`, whose answers are verdicts.
fn classifier(title: &str, program: &[Instruction]) -> [(u16, Vec<u8>); 4] {
    // linux/pkt_cls.h
    const OPS_LEN: u16 = 4;
    const OPS: u16 = 5;
    const NAME: u16 = 7;
    const FLAGS: u16 = 8;
    const FLAG_DIRECT_ACTION: u32 = 1;
    let mut octets = Vec::new();
    for (code, if_so, if_not, operand) in program {
        octets.extend(u16::try_from(*code).unwrap_or_default().to_ne_bytes());
        octets.extend([*if_so, *if_not]);
        octets.extend(operand.to_ne_bytes());
    }
    let name = CString::new(title).unwrap_or_default().into_bytes_with_nul();
    let length = u16::try_from(program.len()).unwrap_or_default();
    [
        (OPS_LEN, length.to_ne_bytes().into()),
        (OPS, octets),
        (NAME, name),
        (FLAGS, FLAG_DIRECT_ACTION.to_ne_bytes().into()),
    ]
}
