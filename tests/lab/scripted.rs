//! An upstream router that does exactly what a test wants, also what no decent one would do.

use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use pnet::util::MacAddr;
use renumberd::time::Lifetime;
use renumberd::wire::dhcpv6::{Message, MessageType};
use renumberd::wire::dhcpv6_option::{Dhcpv6Option, Duid, IaPd, IaPrefix};
use renumberd::wire::ndp::RouterAdvertisement;
use renumberd::wire::ndp_option::{NdpOption, PrefixInformation};

use super::net::Namespace;
use super::provider::{Era, Promise};
use super::wire;
use renumberd::lab::observe::frame::{Frame, Way};
use renumberd::lab::site::frames::{Envelope, FrameSender};

/// How soon it notices that it is over.
const TURN: Duration = Duration::from_millis(20);

/// What the router says.
#[derive(Clone, Debug)]
pub struct Script {
    pub router_lifetime: u16,
    /// M and O.
    pub managed: bool,
    pub other: bool,
    pub on_link: Vec<Promise>,
    /// Further options of its advertisement.
    pub options: Vec<NdpOption>,
    pub delegated: Vec<Promise>,
    /// Answer each solicitation with an advertisement at once.
    pub answers_solicitations: bool,
    /// DHCPv6 messages that it does not hear.
    pub deaf_to: Vec<MessageType>,
    pub server: Duid,
    /// Makes out of a right answer what is sent; [`as_it_is`] for the answer alone.
    pub mangle: fn(&[u8]) -> Vec<Vec<u8>>,
}

/// Sends a right answer once.
pub fn as_it_is(answer: &[u8]) -> Vec<Vec<u8>> {
    vec![answer.to_vec()]
}

impl Script {
    /// A decent router in `era`.
    pub fn new(era: Era) -> Self {
        Self {
            router_lifetime: 1800,
            managed: false,
            other: false,
            on_link: vec![Promise::of(era.on_link)],
            options: Vec::new(),
            delegated: vec![Promise::of(era.delegated)],
            answers_solicitations: true,
            deaf_to: Vec::new(),
            server: Duid::from_uuid([7; 16]),
            mangle: as_it_is,
        }
    }

    /// The advertisement.
    pub fn advertisement(&self) -> RouterAdvertisement {
        RouterAdvertisement {
            hop_limit: 64,
            router_lifetime: self.router_lifetime,
            managed: self.managed,
            other: self.other,
            options: self.on_link.iter().map(prefix_option).chain(self.options.clone()).collect(),
            ..RouterAdvertisement::default()
        }
    }

    fn answer(&self, question: &Message) -> Option<Message> {
        let rapid = question.options.contains(&Dhcpv6Option::RapidCommit);
        let kind = match question.kind {
            kind if self.deaf_to.contains(&kind) => return None,
            MessageType::Solicit if !rapid => MessageType::Advertise,
            MessageType::Solicit
            | MessageType::Request
            | MessageType::Renew
            | MessageType::Rebind
            | MessageType::Release => MessageType::Reply,
            _ => return None,
        };
        let mut options = vec![Dhcpv6Option::ServerId(self.server.clone())];
        let is_id = |option: &&Dhcpv6Option| matches!(option, Dhcpv6Option::ClientId(_));
        options.extend(question.options.iter().find(is_id).cloned());
        if question.kind == MessageType::Solicit && rapid {
            options.push(Dhcpv6Option::RapidCommit);
        }
        for option in &question.options {
            if let Dhcpv6Option::IaPd(asked) = option
                && question.kind != MessageType::Release
            {
                options.push(Dhcpv6Option::IaPd(self.give(question.kind, asked)));
            }
        }
        Some(Message { kind, transaction_id: question.transaction_id, options })
    }

    /// All of its prefixes, and those that the requesting router should not have with lifetimes
    /// of zero (RFC 9915 §18.3.4).
    fn give(&self, kind: MessageType, asked: &IaPd) -> IaPd {
        let prefix = |promise: &Promise| IaPrefix {
            prefix: promise.prefix,
            preferred: Lifetime::from_wire(promise.preferred),
            valid: Lifetime::from_wire(promise.valid),
            exclude: None,
            status: None,
        };
        let mut prefixes: Vec<IaPrefix> = self.delegated.iter().map(prefix).collect();
        if matches!(kind, MessageType::Renew | MessageType::Rebind) {
            for held in asked.prefixes.iter().map(|held| held.prefix) {
                if self.delegated.iter().all(|promise| promise.prefix != held) {
                    prefixes.push(prefix(&Promise { prefix: held, preferred: 0, valid: 0 }));
                }
            }
        }
        let shortest = self.delegated.iter().map(|promise| promise.preferred).min().unwrap_or(0);
        let (t1, t2) = (Lifetime::Finite(shortest / 2), Lifetime::Finite(shortest / 5 * 4));
        IaPd { iaid: asked.iaid, t1, t2, prefixes, status: None }
    }
}

/// A prefix information option as routers send it.
pub fn prefix_option(promise: &Promise) -> NdpOption {
    NdpOption::Prefix(PrefixInformation {
        prefix: promise.prefix,
        on_link: true,
        autonomous: true,
        delegation_preferred: false,
        valid: Lifetime::from_wire(promise.valid),
        preferred: Lifetime::from_wire(promise.preferred),
    })
}

/// A scripted router at work on one interface, whose link-local address and link-layer address
/// it uses: the kernel there answers for them.
pub struct Scripted {
    script: Arc<Mutex<Script>>,
    over: Arc<AtomicBool>,
    sender: Mutex<FrameSender>,
    thread: Option<JoinHandle<()>>,
    mac: MacAddr,
    address: Ipv6Addr,
}

impl Scripted {
    /// Starts it; `address` is the link-local address that the interface has.
    pub fn start(place: (&Namespace, &str), address: &str, script: Script) -> Self {
        let address: Ipv6Addr = address.parse().unwrap();
        let (tap, sender, mut answers) = (wire::tap(place), wire::open(place), wire::open(place));
        let mac = sender.mac;
        let (script, over) = (Arc::new(Mutex::new(script)), Arc::new(AtomicBool::new(false)));
        let (shared, ending) = (Arc::clone(&script), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            while !ending.load(Ordering::Relaxed) {
                let heard = tap.wait(TURN).unwrap().filter(|heard| heard.way == Way::In);
                let Some(heard) = heard else { continue };
                let script = shared.lock().unwrap().clone();
                for frame in reaction(&script, &heard, mac, address) {
                    // Where the interface is down nobody is answered.
                    let _ = answers.send(&frame);
                }
            }
        });
        let sender = Mutex::new(sender);
        Self { script, over, sender, thread: Some(thread), mac, address }
    }

    /// Changes what it says, without a word.
    pub fn rewrite(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }

    pub fn script(&self) -> Script {
        self.script.lock().unwrap().clone()
    }

    /// Sends its advertisement to all nodes.
    pub fn advertise(&self) {
        let advertisement = self.script().advertisement().encode();
        self.send(&self.envelope().icmpv6(&advertisement));
    }

    /// From itself to all nodes.
    pub const fn envelope(&self) -> Envelope {
        Envelope::to_all_nodes(self.mac, self.address)
    }

    /// Sends any frame.
    pub fn send(&self, frame: &[u8]) {
        self.sender.lock().unwrap().send(frame).unwrap();
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn reaction(script: &Script, heard: &Frame, mac: MacAddr, address: Ipv6Addr) -> Vec<Vec<u8>> {
    let to_all = Envelope::to_all_nodes(mac, address);
    if heard.is_solicitation() && script.answers_solicitations {
        return vec![to_all.icmpv6(&script.advertisement().encode())];
    }
    let Some(answer) = heard.dhcp().and_then(|question| script.answer(question)) else {
        return Vec::new();
    };
    let back = Envelope { destination_mac: heard.source_mac, destination: heard.source, ..to_all };
    (script.mangle)(&answer.encode()).iter().map(|octets| back.udp((547, 546), octets)).collect()
}
