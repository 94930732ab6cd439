//! Interfaces of namespaces: cables, a switch, addresses.
//!
//! The messages go through the request loop that the agent has anyway; the rtnetlink crate would
//! bring an event loop and a task for each connection.

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::AsFd as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NetlinkMessage};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{
    InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::poll::{PollFd, PollFlags, poll};

use pnet::util::MacAddr;

use super::namespace::Namespace;
use crate::core::kernel::system::{KernelEvent, System};
use crate::daemon::clock;
use crate::platform::linux::Kernel;
use crate::platform::linux::encode::request_with;
use crate::time::Instant;

type Request = NetlinkMessage<RouteNetlinkMessage>;

/// Where a cable ends: a namespace and the name of the interface there.
pub type Place<'a> = (&'a Namespace, &'a str);

const LOOPBACK: u32 = 1;
const CARRIER_PATIENCE: Duration = Duration::from_secs(5);
const LINK_LOCAL_PATIENCE: Duration = Duration::from_secs(10);
const CARRIER_TURN: u8 = 100; // milliseconds

impl Namespace {
    /// A cable from here to another place, both ends up.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn cable(&self, name: &str, far: Place<'_>) -> anyhow::Result<()> {
        self.veth(name, far, None)?;
        self.set_up(name, true)?;
        far.0.set_up(far.1, true)
    }

    /// A cable from a new port of a switch here to another place, which comes up last: nothing
    /// that it sends is lost. The far end gets the link-layer address where one is given.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn port(
        &self,
        switch: &str,
        port: &str,
        far: Place<'_>,
        link_layer: Option<[u8; 6]>,
    ) -> anyhow::Result<()> {
        self.sysctl("default", "disable_ipv6", 1)?;
        self.veth(port, far, link_layer)?;
        let mut link = LinkMessage::default();
        link.header.index = self.index(port)?;
        link.attributes = vec![LinkAttribute::Controller(self.index(switch)?)];
        self.ask(&format!("{port} in {switch}"), set_link(link))?;
        self.set_up(port, true)?;
        far.0.set_up(far.1, true)
    }

    /// A veth pair from here to another place, both ends down.
    fn veth(&self, name: &str, far: Place<'_>, link_layer: Option<[u8; 6]>) -> anyhow::Result<()> {
        let mut peer = LinkMessage::default();
        peer.attributes =
            vec![LinkAttribute::IfName(far.1.to_owned()), LinkAttribute::NetNsFd(far.0.raw())];
        let address = link_layer.map(|octets| LinkAttribute::Address(octets.into()));
        peer.attributes.extend(address);
        let mut link = LinkMessage::default();
        link.attributes = vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Veth),
                LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
            ]),
        ];
        self.ask(&format!("a veth pair {name}"), new_link(link))
    }

    /// A switch that forwards at once and treats multicast as any packet.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn switch(&self, name: &str) -> anyhow::Result<()> {
        let settings = vec![InfoBridge::ForwardDelay(0), InfoBridge::MulticastSnooping(false)];
        let mut link = LinkMessage::default();
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        link.attributes = vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Bridge),
                LinkInfo::Data(InfoData::Bridge(settings)),
            ]),
        ];
        self.ask(&format!("a bridge {name}"), new_link(link))
    }

    /// Switches an interface on or off.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn set_up(&self, name: &str, up: bool) -> anyhow::Result<()> {
        let mut link = LinkMessage::default();
        link.header.index = self.index(name)?;
        link.header.change_mask = LinkFlags::Up;
        if up {
            link.header.flags = LinkFlags::Up;
        }
        self.ask(&format!("{name} up: {up}"), set_link(link))
    }

    /// Switches an interface on, and waits until the kernel says that it can send, which may be a
    /// second later; when that was.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn reconnect(&self, name: &str) -> anyhow::Result<Instant> {
        let (_, mut events) = self.run(Kernel::open)?;
        let begun = clock::now();
        self.set_up(name, true)?;
        while clock::now().since(begun) < CARRIER_PATIENCE {
            poll(&mut [PollFd::new(events.as_fd(), PollFlags::POLLIN)], CARRIER_TURN)?;
            let (now, mut messages) = (clock::now(), Vec::new());
            events.read(now, &mut messages)?;
            let is_running = |event: &KernelEvent| matches!(event, KernelEvent::Link(link) if link.name == name && link.running);
            if messages.iter().any(is_running) {
                return Ok(now);
            }
        }
        bail!("{name} gets no carrier")
    }

    /// Gives the loopback interface an address.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn own_address(&self, address: Ipv6Addr) -> anyhow::Result<()> {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet6;
        message.header.prefix_len = 128;
        message.header.index = LOOPBACK;
        message.attributes = vec![
            AddressAttribute::Address(IpAddr::V6(address)),
            AddressAttribute::Flags(AddressFlags::Nodad),
        ];
        let request = RouteNetlinkMessage::NewAddress(message);
        self.ask("an address", request_with(NLM_F_CREATE | NLM_F_EXCL, request))
    }

    /// The index of an interface here.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn index(&self, name: &str) -> anyhow::Result<u32> {
        self.run(|| Ok(nix::net::if_::if_nametoindex(name)?))
            .with_context(|| format!("no interface {name}"))
    }

    /// The link-layer address of an interface here.
    ///
    /// # Errors
    ///
    /// When there is no such interface, or it has none.
    pub fn mac(&self, name: &str) -> anyhow::Result<MacAddr> {
        let (mut kernel, _) = self.run(Kernel::open)?;
        let system = kernel.dump(clock::now())?;
        let address = system.link(name).and_then(|link| link.link_layer_address.as_deref());
        let octets = address.and_then(|octets| <[u8; 6]>::try_from(octets).ok());
        octets.map(MacAddr::from).with_context(|| format!("{name} has no link-layer address"))
    }

    /// Waits until these interfaces here have link-local addresses that packets can leave from.
    ///
    /// # Errors
    ///
    /// When one gets none, or the kernel's error.
    pub fn settled(&self, names: &[&str]) -> anyhow::Result<System> {
        settled(&mut self.run(Kernel::open)?.0, names)
    }

    fn ask(&self, what: &str, request: Request) -> anyhow::Result<()> {
        self.ask_all(what, vec![request])
    }

    pub(super) fn ask_all(&self, what: &str, requests: Vec<Request>) -> anyhow::Result<()> {
        let (mut kernel, _) = self.run(Kernel::open)?;
        let refused = kernel.request(requests)?;
        match refused.first() {
            None => Ok(()),
            Some((_, errno)) => {
                bail!("the kernel refuses {what}: {}", io::Error::from_raw_os_error(*errno))
            }
        }
    }
}

fn new_link(link: LinkMessage) -> Request {
    request_with(NLM_F_CREATE | NLM_F_EXCL, RouteNetlinkMessage::NewLink(link))
}

fn set_link(link: LinkMessage) -> Request {
    request_with(0, RouteNetlinkMessage::SetLink(link))
}

/// Waits until these interfaces have link-local addresses that packets can leave from; what the
/// kernel has then.
///
/// # Errors
///
/// When one gets none, or the kernel's error.
pub fn settled(kernel: &mut Kernel, names: &[&str]) -> anyhow::Result<System> {
    let begun = clock::now();
    loop {
        let system = kernel.dump(clock::now())?;
        let is_settled = |name: &&&str| {
            system.link(name).is_some_and(|link| system.link_local(link.index).is_some())
        };
        let Some(name) = names.iter().find(|name| !is_settled(name)) else { return Ok(system) };
        if clock::now().since(begun) > LINK_LOCAL_PATIENCE {
            bail!("{name} gets no link-local address");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
