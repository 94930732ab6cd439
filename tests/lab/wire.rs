//! What is on a link, with the time of each frame.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ipnet::Ipv6Net;
use pnet::datalink::{Channel, ChannelType, Config, DataLinkReceiver, DataLinkSender};
use renumberd::time::Lifetime;
use renumberd::wire::dhcpv6::{Message, MessageType};
use renumberd::wire::dhcpv6_option::{Dhcpv6Option, IaPd};
use renumberd::wire::ndp::RouterAdvertisement;
use renumberd::wire::ndp_option::{NdpOption, PrefixInformation};

use super::net::Namespace;
use super::packet::{Content, Frame, parse};
use super::{millis, sys};

/// A capture on one interface, both directions, from its start to its drop.
#[derive(Debug)]
pub struct Wire {
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Seen {
    frames: Mutex<Vec<Frame>>,
    more: Condvar,
    over: AtomicBool,
}

/// Opens an interface for raw frames, as the namespace's own.
pub fn open(place: (&Namespace, &str)) -> (Box<dyn DataLinkSender>, Box<dyn DataLinkReceiver>) {
    let interface = place.0.interface(place.1);
    let config = Config {
        read_timeout: Some(millis(100)),
        channel_type: ChannelType::Layer2,
        ..Config::default()
    };
    match sys::in_namespace(place.0.name(), || pnet::datalink::channel(&interface, config)) {
        Ok(Channel::Ethernet(sender, receiver)) => (sender, receiver),
        Ok(_) => panic!("{}: not a channel of frames", place.1),
        Err(error) => panic!("{}: {error}", place.1),
    }
}

impl Wire {
    pub fn capture(namespace: &Namespace, interface: &str) -> Self {
        let ethernet = namespace.interface(interface).mac.is_some_and(|mac| !mac.is_zero());
        let (_, mut receiver) = open((namespace, interface));
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        let thread = std::thread::spawn(move || {
            while !shared.over.load(Ordering::Relaxed) {
                match receiver.next() {
                    Ok(octets) => shared.add(parse(sys::monotonic(), octets, ethernet)),
                    Err(error) if error.kind() == ErrorKind::TimedOut => {}
                    // The interface is down, perhaps for a moment.
                    Err(_) => std::thread::sleep(millis(5)),
                }
            }
        });
        Self { seen, thread: Some(thread) }
    }

    /// All frames so far.
    pub fn frames(&self) -> Vec<Frame> {
        self.seen.frames.lock().unwrap().clone()
    }

    /// How many frames since `since` (a time of [`sys::monotonic`]) are like that.
    pub fn count(&self, since: Duration, like: impl Fn(&Frame) -> bool) -> usize {
        self.frames().iter().filter(|frame| frame.at >= since && like(frame)).count()
    }

    /// Waits for a frame like that, seen since the capture began.
    ///
    /// # Panics
    ///
    /// When none comes within `timeout`.
    pub fn wait_for(&self, what: &str, timeout: Duration, like: impl Fn(&Frame) -> bool) -> Frame {
        let until = Instant::now() + timeout;
        let mut frames = self.seen.frames.lock().unwrap();
        loop {
            if let Some(found) = frames.iter().find(|frame| like(frame)) {
                return found.clone();
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let all = frames.len();
                drop(frames);
                panic!("not on the wire within {timeout:?}, among {all} frames: {what}");
            }
            frames = self.seen.more.wait_timeout(frames, left).unwrap().0;
        }
    }
}

impl Seen {
    fn add(&self, frame: Option<Frame>) {
        self.frames.lock().unwrap().extend(frame);
        self.more.notify_all();
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.seen.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Frame {
    pub const fn is_solicitation(&self) -> bool {
        matches!(self.content, Content::Solicitation)
    }

    pub const fn advertisement(&self) -> Option<&RouterAdvertisement> {
        match &self.content {
            Content::Advertisement(advertisement) => Some(advertisement),
            Content::Solicitation | Content::Dhcp(_) | Content::Other => None,
        }
    }

    pub const fn dhcp(&self) -> Option<&Message> {
        match &self.content {
            Content::Dhcp(message) => Some(message),
            Content::Solicitation | Content::Advertisement(_) | Content::Other => None,
        }
    }

    pub fn is_dhcp(&self, kind: MessageType) -> bool {
        self.dhcp().is_some_and(|message| message.kind == kind)
    }

    /// A message of a requesting router that asks for prefixes.
    pub fn asks_for_prefixes(&self) -> bool {
        self.dhcp().is_some_and(|message| {
            matches!(
                message.kind,
                MessageType::Solicit
                    | MessageType::Request
                    | MessageType::Renew
                    | MessageType::Rebind
            )
        })
    }

    /// The prefix information options of an advertisement.
    pub fn prefixes(&self) -> Vec<PrefixInformation> {
        let options = self.advertisement().map_or(&[][..], |found| &found.options);
        options
            .iter()
            .filter_map(|option| match option {
                NdpOption::Prefix(prefix) => Some(*prefix),
                _ => None,
            })
            .collect()
    }

    /// Whether an advertisement brings a preferred prefix inside of `net`.
    pub fn advertises(&self, net: Ipv6Net) -> bool {
        let within = |pio: &PrefixInformation| net.contains(&pio.prefix.network());
        self.prefixes().iter().any(|pio| within(pio) && pio.preferred != Lifetime::ZERO)
    }

    /// Whether an advertisement deprecates or withdraws a prefix inside of `net`.
    pub fn deprecates(&self, net: Ipv6Net) -> bool {
        let within = |pio: &PrefixInformation| net.contains(&pio.prefix.network());
        self.prefixes().iter().any(|pio| within(pio) && pio.preferred == Lifetime::ZERO)
    }

    /// The IA_PDs of a message.
    pub fn ia_pds(&self) -> Vec<IaPd> {
        let options = self.dhcp().map_or(&[][..], |message| &message.options);
        options
            .iter()
            .filter_map(|option| match option {
                Dhcpv6Option::IaPd(ia) => Some(ia.clone()),
                _ => None,
            })
            .collect()
    }
}
