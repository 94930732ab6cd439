//! Watchers: a thread in each namespace that writes down kernel events and packets.

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::echo::Echo;
use super::frame::{Content, Frame, Way};
use super::log::{Log, What};
use super::monitor::{Group, Monitor};
use super::tap::Tap;
use crate::daemon::clock;
use crate::lab::site::namespace::Namespace;
use crate::lab::site::nodes::{Node, Site};
use crate::platform::linux::Kernel;
use crate::wire::dhcpv6::MessageType;

/// Packets carry their time with them: their reader needs no haste.
const TURN: Duration = Duration::from_millis(20);
/// Turns that may fail in a row.
const MOST_FAILURES: u32 = 100;

/// A running watcher; ended on drop, after [`Log::end`].
#[derive(Debug)]
pub struct Watch(Option<JoinHandle<()>>);

impl Watch {
    /// Watches `node`, whose namespace this is.
    ///
    /// # Errors
    ///
    /// When a socket cannot be opened.
    pub fn start(
        site: Site,
        node: Node,
        namespace: &Namespace,
        log: &Arc<Log>,
    ) -> io::Result<Self> {
        let mut watcher = namespace.run(|| Watcher::open(site, node, Arc::clone(log)))?;
        let handle = namespace.clone();
        let thread = std::thread::spawn(move || {
            // Echoes open a socket each.
            let watched = handle.enter().and_then(|()| watcher.watch());
            // A run that is not seen does not converge, and that is reported.
            if let Err(error) = watched {
                tracing::error!(node = watcher.node.name(), %error, "the watcher fails");
            }
        });
        Ok(Self(Some(thread)))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}

struct Watcher {
    site: Site,
    node: Node,
    log: Arc<Log>,
    events: Monitor,
    taps: Vec<Tap>,
    kernel: Kernel,
    echo: Option<Echo>,
    /// Something went wrong: what the events have left out is looked up.
    lost: bool,
}

impl Watcher {
    fn open(site: Site, node: Node, log: Arc<Log>) -> io::Result<Self> {
        let (groups, taps) = match node {
            Node::Isp | Node::Router(_) => {
                (&[Group::Addresses][..], vec![Tap::open(Way::In)?, Tap::open(Way::Out)?])
            }
            Node::Client(_) => (&[Group::Addresses, Group::Prefixes][..], Vec::new()),
        };
        let events = Monitor::open(groups)?;
        let (kernel, _) = Kernel::open()?;
        Ok(Self { site, node, log, events, taps, kernel, echo: None, lost: false })
    }

    fn watch(&mut self) -> io::Result<()> {
        let mut failures = 0;
        while !self.log.is_over() {
            match self.turn() {
                Ok(()) => failures = 0,
                // On a busy machine events overrun their socket, and an echo may find no room.
                Err(error) if failures < MOST_FAILURES => {
                    if failures == 0 {
                        tracing::warn!(node = self.node.name(), %error, "a watcher looks up what it missed");
                    }
                    failures += 1;
                    self.lost = true;
                    std::thread::sleep(TURN);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn turn(&mut self) -> io::Result<()> {
        if self.lost {
            let mut found = Vec::new();
            self.dump(&mut found)?;
            self.note(clock::now().since_boot(), found);
            self.lost = false;
        }
        self.wait()?;
        while let Some(messages) = self.events.recv()? {
            let now = clock::now().since_boot();
            self.read_events(now, messages)?;
        }
        for tap in &self.taps {
            while let Some(frame) = tap.recv()? {
                self.write_down(frame);
            }
        }
        self.ping()
    }

    fn wait(&self) -> io::Result<()> {
        let echo: Option<BorrowedFd<'_>> = self.echo.as_ref().and_then(Echo::socket);
        let fds = std::iter::once(self.events.as_fd()).chain(echo);
        let mut fds: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let is_waiting = self.echo.as_ref().is_some_and(Echo::is_waiting);
        let turn = if is_waiting { Echo::TURN } else { TURN };
        let turn = PollTimeout::try_from(turn).unwrap_or(PollTimeout::ZERO);
        match poll(&mut fds, turn) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum, of which three concern us")]
    fn read_events(&mut self, now: Duration, messages: Vec<RouteNetlinkMessage>) -> io::Result<()> {
        let mut found = Vec::new();
        let mut dump = false;
        for message in messages {
            match message {
                RouteNetlinkMessage::NewAddress(message) => found.extend(address(&message)),
                RouteNetlinkMessage::DelAddress(message) => {
                    found.extend(own_address(&message).map(What::AddressGone));
                }
                RouteNetlinkMessage::NewPrefix(_) => dump = true,
                _ => {}
            }
        }
        if dump {
            // The kernel announces an address only when it is no longer tentative.
            self.dump(&mut found)?;
        }
        self.note(now, found);
        Ok(())
    }

    fn note(&mut self, now: Duration, found: Vec<What>) {
        for what in found {
            self.use_address(&what);
            self.log.add(self.node, now, what);
        }
    }

    fn dump(&mut self, found: &mut Vec<What>) -> io::Result<()> {
        let mut request = AddressMessage::default();
        request.header.family = AddressFamily::Inet6;
        self.kernel.dump_each(RouteNetlinkMessage::GetAddress(request), &mut |message| {
            if let RouteNetlinkMessage::NewAddress(message) = message {
                found.extend(address(&message));
            }
        })?;
        Ok(())
    }

    /// A client begins to send echoes from its new address.
    fn use_address(&mut self, what: &What) {
        let What::Address { address, usable: true, deprecated: false } = what else { return };
        let Node::Client(number) = self.node else { return };
        if self.site.client_prefix(self.log.era()).contains(address)
            && self.echo.as_ref().is_none_or(|echo| echo.from != *address)
        {
            self.echo = Some(Echo::new(*address, number));
        }
    }

    fn ping(&mut self) -> io::Result<()> {
        let Some(echo) = &mut self.echo else { return Ok(()) };
        if !self.site.client_prefix(self.log.era()).contains(&echo.from) {
            self.echo = None;
        } else if echo.is_answered()? {
            self.log.add(self.node, clock::now().since_boot(), What::Answered(echo.from));
        }
        Ok(())
    }

    fn write_down(&self, frame: Frame) {
        let what = match (frame.way, frame.content) {
            (Way::In, Content::Advertisement(advertisement)) => {
                What::Heard(preferred(&advertisement))
            }
            (Way::Out, Content::Advertisement(advertisement)) => What::Advertised {
                prefixes: preferred(&advertisement),
                to_all: frame.destination.is_multicast(),
            },
            (Way::Out, Content::Dhcpv6(message)) => What::Sent(message.kind),
            (Way::In, Content::Dhcpv6(message)) if message.kind == MessageType::Reply => {
                let prefixes = message.ia_pds().flat_map(|ia| &ia.prefixes);
                let valid = prefixes.filter(|given| !given.valid.is_zero());
                What::Delegated(valid.map(|given| given.prefix).collect())
            }
            (Way::In, Content::Dhcpv6(_)) | (_, Content::Solicitation | Content::Other) => return,
        };
        self.log.add(self.node, frame.at, what);
    }
}

fn preferred(advertisement: &crate::wire::ndp::RouterAdvertisement) -> Vec<ipnet::Ipv6Net> {
    let preferred = advertisement.prefixes().filter(|prefix| !prefix.preferred.is_zero());
    preferred.map(|prefix| prefix.prefix).collect()
}

fn own_address(message: &AddressMessage) -> Option<Ipv6Addr> {
    message.attributes.iter().find_map(|attribute| {
        if let AddressAttribute::Address(IpAddr::V6(address)) = attribute {
            return Some(*address);
        }
        None
    })
}

fn address(message: &AddressMessage) -> Option<What> {
    let mut flags = AddressFlags::empty();
    let mut preferred = true;
    #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum, of which two concern us")]
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Flags(bits) => flags = *bits,
            AddressAttribute::CacheInfo(info) => preferred = info.ifa_preferred > 0,
            _ => {}
        }
    }
    Some(What::Address {
        address: own_address(message)?,
        usable: !flags.contains(AddressFlags::Tentative)
            || flags.contains(AddressFlags::Optimistic),
        deprecated: !preferred || flags.contains(AddressFlags::Deprecated),
    })
}
