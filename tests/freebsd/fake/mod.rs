//! A fake kernel that does what FreeBSD 13.0's network code was seen to do, as far as the backend
//! meets it, behind the same system calls.
//!
//! What shapes it: the route to a link has the lifetimes of the first address of the prefix; an update
//! replaces all flags of an address, and one without the tentative flag ends duplicate address
//! detection; no message tells of lifetimes, flags, or the end of detection; a socket that is full
//! drops messages without a word; a second gateway for a destination is a second path; routes of an
//! interface that is destroyed go without a message.

mod addresses;
mod octets;
mod routes;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv6Addr;
use std::rc::Rc;
use std::time::Duration;

use ipnet::Ipv6Net;
use renumberd::net::IfIndex;
use renumberd::platform::freebsd::abi::{self, Name, Request};
use renumberd::platform::freebsd::errno::Errno;
use renumberd::platform::freebsd::system_calls::SystemCalls;
use renumberd::time::Instant;

pub(super) use addresses::{Address, Prefix};
pub(super) use routes::Path;

/// The process of the backend, as its messages name it.
pub(super) const OWN: u32 = 4242;
/// Another process.
pub(super) const OTHER: u32 = 99;
pub(super) const LO0: IfIndex = IfIndex(1);
pub(super) const EM0: IfIndex = IfIndex(2);
pub(super) const EM1: IfIndex = IfIndex(3);
/// Messages that a socket of 256 KiB keeps.
const KEPT: usize = 820;

/// An interface.
#[derive(Clone, Debug)]
pub(super) struct Interface {
    pub(super) name: String,
    /// IFF_*.
    pub(super) flags: u32,
    /// LINK_STATE_*.
    pub(super) link_state: u8,
    /// ND6_IFF_*.
    pub(super) nd_flags: u32,
    pub(super) link_mtu: u32,
    pub(super) hop_limit: u8,
    /// In seconds since boot.
    pub(super) attached_at: u64,
}

/// How many system calls there were, and the octets that they carried.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    pub(super) ioctls: usize,
    pub(super) writes: usize,
    pub(super) sysctls: usize,
    pub(super) reads: usize,
    pub(super) octets: usize,
}

/// The kernel, and one routing socket that listens.
#[derive(Debug)]
pub(super) struct Fake {
    pub(super) now: Instant,
    /// The wall clock, less the time since boot.
    pub(super) wall_at_boot: Duration,
    pub(super) interfaces: BTreeMap<IfIndex, Interface>,
    pub(super) addresses: BTreeMap<(IfIndex, Ipv6Addr), Address>,
    /// Prefixes of links (`netstat -rn` shows their routes).
    pub(super) prefixes: BTreeMap<(IfIndex, Ipv6Net), Prefix>,
    pub(super) paths: Vec<Path>,
    /// Addresses that another node holds.
    pub(super) held: BTreeSet<Ipv6Addr>,
    /// net.inet6.ip6.dad_count is not 0.
    pub(super) detects: bool,
    /// net.route.multipath is 1.
    pub(super) multipath: bool,
    pub(super) forwarding: i32,
    /// net.inet6.icmp6.nd6_onlink_ns_rfc4861.
    pub(super) answers_off_link: i32,
    /// Messages for the socket that listens.
    pub(super) queue: VecDeque<Vec<u8>>,
    /// Messages that it had no room for.
    pub(super) lost: usize,
    /// When the descriptor of events becomes readable by itself.
    pub(super) wake_at: Option<Instant>,
    /// Requests are refused with this error.
    pub(super) refuses: Option<Errno>,
    /// Addresses whose end has been reported and that are there a moment longer.
    unlinking: Vec<((IfIndex, Ipv6Addr), Address)>,
    /// Requests that change something and are still taken, before the process is killed.
    pub(super) requests_left: Option<usize>,
    pub(super) counts: Counts,
}

/// The system calls of one process.
#[derive(Clone, Debug)]
pub(super) struct Calls(pub(super) Rc<RefCell<Fake>>);

impl Fake {
    /// A machine with a loopback interface and two of Ethernet, which all have link-local addresses.
    pub(super) fn new() -> Self {
        let mut fake = Self {
            now: Instant::from_secs(100),
            wall_at_boot: Duration::from_secs(1_800_000_000),
            interfaces: BTreeMap::new(),
            addresses: BTreeMap::new(),
            prefixes: BTreeMap::new(),
            paths: Vec::new(),
            held: BTreeSet::new(),
            detects: true,
            multipath: true,
            forwarding: 1,
            answers_off_link: 0,
            queue: VecDeque::new(),
            lost: 0,
            wake_at: None,
            refuses: None,
            unlinking: Vec::new(),
            requests_left: None,
            counts: Counts::default(),
        };
        fake.attach(LO0, "lo0");
        fake.attach(EM0, "em0");
        fake.attach(EM1, "em1");
        fake.advance(Duration::from_secs(5));
        fake.queue.clear();
        fake
    }

    pub(super) fn wall(&self) -> Duration {
        self.wall_at_boot + self.now.since_boot()
    }

    /// Reports something to the socket that listens.
    fn report(&mut self, message: Vec<u8>) {
        if self.queue.len() < KEPT {
            self.queue.push_back(message);
        } else {
            self.lost += 1;
        }
    }

    /// An interface appears, and has its link-local address.
    pub(super) fn attach(&mut self, index: IfIndex, name: &str) {
        let interface = Interface {
            name: name.to_owned(),
            flags: 0x8843,
            link_state: 2,
            nd_flags: 0x21,
            link_mtu: 0,
            hop_limit: 64,
            attached_at: self.now.since_boot().as_secs(),
        };
        self.interfaces.insert(index, interface);
        self.report(octets::announcement(index, name, abi::ARRIVAL));
        self.report_interface(index);
        let own = format!("fe80::{}", index.0).parse().unwrap();
        self.set(index, own, 64, 0, (abi::INFINITE, abi::INFINITE)).unwrap();
    }

    /// An interface is destroyed. Of its routes by gateways no message tells.
    pub(super) fn destroy(&mut self, index: IfIndex) {
        self.report_interface(index);
        let addresses: Vec<_> =
            self.addresses.keys().filter(|(of, _)| *of == index).copied().collect();
        for (_, address) in addresses {
            self.remove(index, address).unwrap();
        }
        self.prefixes.retain(|(of, _), _| *of != index);
        self.paths.retain(|path| path.interface != index);
        let name = self.interfaces.remove(&index).unwrap().name;
        self.report(octets::announcement(index, &name, 1));
    }

    /// The carrier comes or goes, or the interface is set up or down: addresses and routes stay. One
    /// that is set up again detects duplicates anew.
    pub(super) fn set_up(&mut self, index: IfIndex, up: bool) {
        let interface = self.interfaces.get_mut(&index).unwrap();
        interface.flags =
            if up { interface.flags | abi::INTERFACE_UP } else { interface.flags & !1 };
        let end = up.then(|| self.now + Duration::from_secs(2));
        for ((of, _), address) in &mut self.addresses {
            if *of == index {
                address.flags |= abi::TENTATIVE;
                address.detected_at = end;
            }
        }
        self.report_interface(index);
    }

    fn report_interface(&mut self, index: IfIndex) {
        let message = octets::interface(index, &self.interfaces[&index], false);
        self.report(message);
    }

    /// Time passes.
    pub(super) fn advance(&mut self, span: Duration) {
        self.now = self.now + span;
        self.unlinking.clear();
        self.end_addresses();
        self.end_prefixes();
        self.end_routes();
    }

    /// The wall clock jumps; the clock that counts since boot does not.
    pub(super) fn set_wall_clock(&mut self, forward: bool, span: Duration) {
        self.wall_at_boot =
            if forward { self.wall_at_boot + span } else { self.wall_at_boot - span };
        self.end_routes();
    }

    /// Whether the process was killed before a request that changes something: nothing of it
    /// happens.
    fn is_killed(&mut self) -> bool {
        match &mut self.requests_left {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    fn by_name(&self, argument: &[u8]) -> Result<IfIndex, Errno> {
        let name = argument[..abi::NAME].split(|octet| *octet == 0).next().unwrap();
        let mut found = self.interfaces.iter();
        let found = found.find(|(_, interface)| interface.name.as_bytes() == name);
        found.map(|(index, _)| *index).ok_or(Errno::NXIO)
    }

    fn interface_info(&mut self, request: Request, argument: &mut [u8]) -> Result<(), Errno> {
        let index = self.by_name(argument)?;
        let interface = self.interfaces.get_mut(&index).unwrap();
        let u32_at = |at: usize| u32::from_le_bytes(argument[at..at + 4].try_into().unwrap());
        if request == abi::INTERFACE_INFO {
            argument[16..20].copy_from_slice(&interface.link_mtu.to_le_bytes());
            argument[20..24].copy_from_slice(&1500_u32.to_le_bytes());
            argument[36..40].copy_from_slice(&interface.nd_flags.to_le_bytes());
            argument[44] = interface.hop_limit;
            return Ok(());
        }
        if request == abi::SET_INTERFACE_INFO {
            let mtu = u32_at(16);
            if mtu != 0 && !(1280..=1500).contains(&mtu) {
                return Err(Errno::INVAL);
            }
            interface.link_mtu = if mtu == 0 { interface.link_mtu } else { mtu };
            interface.hop_limit = argument[44];
        }
        interface.nd_flags = u32_at(36);
        Ok(())
    }
}

impl Calls {
    /// A machine, and the calls of two halves of the backend on it.
    pub(super) fn new() -> (Rc<RefCell<Fake>>, Self, Self) {
        let fake = Rc::new(RefCell::new(Fake::new()));
        (Rc::clone(&fake), Self(Rc::clone(&fake)), Self(fake))
    }
}

impl SystemCalls for Calls {
    fn ioctl(&mut self, request: Request, argument: &mut [u8]) -> Result<(), Errno> {
        let mut fake = self.0.borrow_mut();
        fake.counts.ioctls += 1;
        fake.counts.octets += argument.len();
        let questions = [abi::ADDRESS_FLAGS, abi::ADDRESS_LIFETIMES, abi::INTERFACE_INFO];
        if !questions.contains(&request) && fake.is_killed() {
            return Ok(());
        }
        if let Some(errno) = fake.refuses.filter(|_| request == abi::SET_ADDRESS) {
            return Err(errno);
        }
        match request {
            abi::SET_ADDRESS => fake.ioctl_set(argument),
            abi::REMOVE_ADDRESS | abi::ADDRESS_FLAGS | abi::ADDRESS_LIFETIMES => {
                fake.ioctl_address(request, argument)
            }
            abi::INTERFACE_INFO | abi::SET_INTERFACE_INFO | abi::SET_INTERFACE_FLAGS => {
                fake.interface_info(request, argument)
            }
            // Above all SIOCSPFXFLUSH_IN6, which takes the prefixes of all interfaces away.
            other => panic!("the backend asked for {other:#x}"),
        }
    }

    fn write(&mut self, message: &[u8]) -> Result<(), Errno> {
        let mut fake = self.0.borrow_mut();
        fake.counts.writes += 1;
        fake.counts.octets += message.len();
        if fake.is_killed() {
            return Ok(());
        }
        match fake.refuses {
            Some(errno) => Err(errno),
            None => fake.request(message, OWN),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Errno> {
        let mut fake = self.0.borrow_mut();
        fake.counts.reads += 1;
        let Some(message) = fake.queue.pop_front() else { return Ok(None) };
        buffer[..message.len()].copy_from_slice(&message);
        Ok(Some(message.len()))
    }

    fn sysctl(&mut self, name: &Name) -> Result<Vec<u8>, Errno> {
        let mut fake = self.0.borrow_mut();
        fake.counts.sysctls += 1;
        let found = match *name {
            abi::ROUTES => fake.dump_routes(),
            abi::NEIGHBORS => octets::neighbor(EM0, "fe80::2".parse().unwrap(), [2, 0, 0, 0, 0, 9]),
            [4, 17, 0, 28, 3, index] => fake.dump_interfaces(IfIndex(index.cast_unsigned())),
            other => panic!("the backend asked for {other:?}"),
        };
        fake.counts.octets += found.len();
        Ok(found)
    }

    fn sysctl_by_name(&mut self, name: &str) -> Result<i32, Errno> {
        let mut fake = self.0.borrow_mut();
        fake.counts.sysctls += 1;
        match name {
            "net.inet6.ip6.forwarding" => Ok(fake.forwarding),
            "net.inet6.icmp6.nd6_onlink_ns_rfc4861" => Ok(fake.answers_off_link),
            other => panic!("the backend asked for {other}"),
        }
    }

    fn set_sysctl_by_name(&mut self, name: &str, value: i32) -> Result<(), Errno> {
        let mut fake = self.0.borrow_mut();
        fake.counts.sysctls += 1;
        match name {
            "net.inet6.ip6.forwarding" => fake.forwarding = value,
            other => panic!("the backend set {other}"),
        }
        Ok(())
    }

    fn wall_clock(&mut self) -> Duration {
        self.0.borrow().wall()
    }

    fn wake_after(&mut self, delay: Duration) {
        let mut fake = self.0.borrow_mut();
        fake.wake_at = Some(fake.now + delay);
    }
}
