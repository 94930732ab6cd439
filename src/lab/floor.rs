//! The floor: on each router a process without logic that does only the packets and the kernel's
//! operations of a change. What an agent takes, divided by this, is "times the floor".
//!
//! Each hop: advertisement heard, uplink address added, Renew sent; the router above adds its
//! route and sends the Reply; `unreachable` route and downlink address added, advertisement sent.
//! The kernel acknowledges each operation. What an earlier change left is taken away when nothing
//! has happened for a while.

use std::io::{BufRead as _, BufReader, Stdin, Write as _};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::AsFd as _;
use std::time::Duration;

use anyhow::Context as _;
use ipnet::Ipv6Net;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, CacheInfo};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::site::cable::settled;
use super::site::nodes::{DOWNLINK, Era, PROVIDER_DOWNLINK, Site, UPLINK};
use crate::core::kernel::system::System;
use crate::core::output::Packet;
use crate::net::IfIndex;
use crate::net::{ALL_DHCP_SERVERS, ALL_NODES, DHCP_CLIENT_PORT, DHCP_SERVER_PORT};
use crate::platform::linux::Kernel;
use crate::platform::linux::encode::request_with;
use crate::platform::sockets::Icmpv6Socket;
use crate::time::Lifetime;
use crate::wire::dhcpv6::{Message, MessageType, TransactionId};
use crate::wire::dhcpv6_option::{Dhcpv6Option, Duid, IaPd, IaPrefix, Iaid};
use crate::wire::ndp::RouterAdvertisement;
use crate::wire::ndp_option::{NdpOption, PrefixInformation};

const PREFERRED: u32 = 7200;
const VALID: u32 = 14_400;
const QUIET_MILLIS: u8 = 100;
/// Said on standard output when all sockets are open.
pub const READY: &str = "ready";

/// Plays the provider, at depth 0, or a router; ends when its standard input does.
///
/// The provider reads the number of an era from a line of its input and changes to it.
///
/// # Errors
///
/// The system's error.
pub fn play(site: Site, depth: usize) -> anyhow::Result<()> {
    let mut kernel = Kernel::open()?.0;
    let names: &[&str] = if depth == 0 { &[PROVIDER_DOWNLINK] } else { &[DOWNLINK, UPLINK] };
    let system = settled(&mut kernel, names)?;
    let downlink = Downlink::open(site, depth, &system, names[0], kernel)?;
    let uplink = if depth == 0 { None } else { Some(Uplink::open(&system)?) };
    writeln!(std::io::stdout(), "{READY}")?;
    Play { downlink, uplink, input: BufReader::new(std::io::stdin()), is_dirty: false }.run()
}

struct Play {
    downlink: Downlink,
    uplink: Option<Uplink>,
    input: BufReader<Stdin>,
    is_dirty: bool,
}

impl Play {
    fn run(mut self) -> anyhow::Result<()> {
        loop {
            let stdin = std::io::stdin();
            let mut fds = [
                PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.downlink.server.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.downlink.icmpv6.as_fd(), PollFlags::POLLIN),
            ];
            let count = poll(&mut fds, PollTimeout::from(QUIET_MILLIS))?;
            let ready = fds.map(|fd| fd.any() == Some(true));
            if count == 0 && std::mem::take(&mut self.is_dirty) {
                self.clean();
            }
            if ready[2] {
                self.hear()?;
            }
            if ready[1] {
                self.downlink.serve()?;
            }
            if ready[0] {
                let mut line = String::new();
                if self.input.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                self.begin(Era(line.trim().parse()?))?;
                self.downlink.advertise()?;
            }
        }
    }

    fn begin(&mut self, era: Era) -> anyhow::Result<()> {
        self.downlink.previous = self.downlink.current.replace(era);
        self.is_dirty = true;
        if self.downlink.depth == 0 {
            let subnet = era.subnet(0);
            self.downlink.add_address(self.downlink.interface, subnet, 1)?;
        }
        Ok(())
    }

    fn hear(&mut self) -> anyhow::Result<()> {
        while let Some(received) = self.downlink.icmpv6.recv()? {
            let Some(uplink) = &self.uplink else { continue };
            if received.interface != uplink.interface {
                continue;
            }
            let Ok(advertisement) = RouterAdvertisement::decode(&received.octets) else { continue };
            let new = advertisement.prefixes().find(|prefix| !prefix.preferred.is_zero());
            if let Some(prefix) = new.map(|new| new.prefix)
                && self.downlink.current.map(|era| era.subnet(self.downlink.depth - 1))
                    != Some(prefix)
            {
                self.follow(prefix, received.source)?;
            }
        }
        Ok(())
    }

    fn follow(&mut self, prefix: Ipv6Net, router: Ipv6Addr) -> anyhow::Result<()> {
        let Some(uplink) = &self.uplink else { return Ok(()) };
        let is_first = self.downlink.current.is_none();
        self.downlink.add_address(uplink.interface, prefix, 2)?;
        let delegated = uplink.renew()?;
        if is_first {
            let to = Ipv6Net::default();
            self.downlink.add_route(to, RouteType::Unicast, Some((uplink.interface, router)))?;
        }
        self.downlink.add_route(delegated, RouteType::Unreachable, None)?;
        let subnet = Ipv6Net::new_assert(delegated.network(), 64);
        self.downlink.add_address(self.downlink.interface, subnet, 1)?;
        self.begin(era_of(delegated))?;
        self.downlink.advertise()
    }

    fn clean(&mut self) {
        let Downlink { depth, previous: Some(era), interface, .. } = self.downlink else { return };
        self.downlink.remove_address(interface, era.subnet(depth), 1);
        if let Some(uplink) = &self.uplink {
            self.downlink.remove_address(uplink.interface, era.subnet(depth - 1), 2);
            self.downlink.remove_route(era.delegated(depth));
        }
        if depth < self.downlink.site.hops {
            self.downlink.remove_route(era.delegated(depth + 1));
        }
    }
}

/// The delegated prefixes show the era.
fn era_of(delegated: Ipv6Net) -> Era {
    Era(delegated.network().segments()[2] & 0x7fff)
}

struct Uplink {
    interface: IfIndex,
    client: UdpSocket,
}

impl Uplink {
    fn open(system: &System) -> anyhow::Result<Self> {
        let interface = system.link(UPLINK).context("no uplink")?.index;
        let client = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, DHCP_CLIENT_PORT))?;
        client.set_read_timeout(Some(Duration::from_secs(1)))?;
        Ok(Self { interface, client })
    }

    /// Asks, and waits for what is delegated.
    fn renew(&self) -> anyhow::Result<Ipv6Net> {
        let renew = message(MessageType::Renew, TransactionId([1, 2, 3]), Vec::new()).encode();
        let to = SocketAddrV6::new(ALL_DHCP_SERVERS, DHCP_SERVER_PORT, 0, self.interface.0);
        let mut octets = [0; 1500];
        loop {
            self.client.send_to(&renew, to)?;
            // None where the router above has not opened its socket yet.
            let Ok((length, _)) = self.client.recv_from(&mut octets) else { continue };
            let Ok(reply) = Message::decode(octets.get(..length).unwrap_or_default()) else {
                continue;
            };
            if let Some(given) = reply.ia_pds().flat_map(|ia| &ia.prefixes).next() {
                return Ok(given.prefix);
            }
        }
    }
}

struct Downlink {
    site: Site,
    depth: usize,
    interface: IfIndex,
    link_local: Ipv6Addr,
    link_layer: Vec<u8>,
    kernel: Kernel,
    icmpv6: Icmpv6Socket,
    server: UdpSocket,
    current: Option<Era>,
    previous: Option<Era>,
}

impl Downlink {
    fn open(
        site: Site,
        depth: usize,
        system: &System,
        name: &str,
        kernel: Kernel,
    ) -> anyhow::Result<Self> {
        let link = system.link(name).with_context(|| format!("no interface {name}"))?;
        let interface = link.index;
        let link_local = system.link_local(interface).context("no link-local address")?;
        let server = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, DHCP_SERVER_PORT))?;
        server.join_multicast_v6(&ALL_DHCP_SERVERS, interface.0)?;
        Ok(Self {
            site,
            depth,
            interface,
            link_local,
            link_layer: link.link_layer_address.clone().unwrap_or_default(),
            kernel,
            icmpv6: Icmpv6Socket::open()?,
            server,
            current: None,
            previous: None,
        })
    }

    fn advertise(&self) -> anyhow::Result<()> {
        let option = |era: Era, preferred| {
            NdpOption::Prefix(PrefixInformation {
                prefix: era.subnet(self.depth),
                on_link: true,
                autonomous: true,
                delegation_preferred: false,
                valid: Lifetime::Finite(VALID),
                preferred: Lifetime::Finite(preferred),
            })
        };
        let new = self.current.map(|era| option(era, PREFERRED));
        let old = self.previous.map(|era| option(era, 0));
        let link_layer = NdpOption::SourceLinkLayer(self.link_layer.clone());
        let advertisement = RouterAdvertisement {
            hop_limit: 64,
            router_lifetime: 1800,
            options: new.into_iter().chain(old).chain([link_layer]).collect(),
            ..RouterAdvertisement::default()
        };
        self.icmpv6.send(&Packet {
            interface: self.interface,
            source: self.link_local,
            destination: ALL_NODES,
            octets: advertisement.encode(),
        })?;
        Ok(())
    }

    /// Answers a Renew once the route to the delegated prefix is there.
    fn serve(&mut self) -> anyhow::Result<()> {
        let mut octets = [0; 1500];
        let (length, from) = self.server.recv_from(&mut octets)?;
        let Ok(renew) = Message::decode(octets.get(..length).unwrap_or_default()) else {
            return Ok(());
        };
        let (Some(era), SocketAddr::V6(router)) = (self.current, from) else { return Ok(()) };
        let prefix = era.delegated(self.depth + 1);
        self.add_route(prefix, RouteType::Unicast, Some((self.interface, *router.ip())))?;
        let given = IaPrefix {
            prefix,
            preferred: Lifetime::Finite(PREFERRED),
            valid: Lifetime::Finite(VALID),
            exclude: None,
            status: None,
        };
        let reply = message(MessageType::Reply, renew.transaction_id, vec![given]);
        self.server.send_to(&reply.encode(), from)?;
        Ok(())
    }

    fn add_address(&mut self, on: IfIndex, subnet: Ipv6Net, host: u128) -> anyhow::Result<()> {
        let mut lifetimes = CacheInfo::default();
        lifetimes.ifa_preferred = PREFERRED;
        lifetimes.ifa_valid = VALID;
        let mut message = address(on, subnet, host);
        message.attributes.push(AddressAttribute::CacheInfo(lifetimes));
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        self.ask(NLM_F_CREATE | NLM_F_REPLACE, RouteNetlinkMessage::NewAddress(message))
    }

    fn add_route(
        &mut self,
        to: Ipv6Net,
        kind: RouteType,
        via: Option<(IfIndex, Ipv6Addr)>,
    ) -> anyhow::Result<()> {
        let mut message = route(to, kind);
        if let Some((interface, gateway)) = via {
            message.attributes.push(RouteAttribute::Oif(interface.0));
            message.attributes.push(RouteAttribute::Gateway(RouteAddress::Inet6(gateway)));
        }
        self.ask(NLM_F_CREATE | NLM_F_REPLACE, RouteNetlinkMessage::NewRoute(message))
    }

    /// What is not there needs no removal.
    fn remove_address(&mut self, on: IfIndex, subnet: Ipv6Net, host: u128) {
        let _ = self.ask(0, RouteNetlinkMessage::DelAddress(address(on, subnet, host)));
    }

    /// What is not there needs no removal.
    fn remove_route(&mut self, to: Ipv6Net) {
        let _ = self.ask(0, RouteNetlinkMessage::DelRoute(route(to, RouteType::Unspec)));
    }

    fn ask(&mut self, flags: u16, message: RouteNetlinkMessage) -> anyhow::Result<()> {
        match self.kernel.request(vec![request_with(flags, message)])?.first() {
            None => Ok(()),
            Some((_, errno)) => Err(std::io::Error::from_raw_os_error(*errno).into()),
        }
    }
}

fn address(on: IfIndex, subnet: Ipv6Net, host: u128) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet6;
    message.header.prefix_len = 64;
    message.header.index = on.0;
    let address = Ipv6Addr::from(u128::from(subnet.network()) | host);
    message.attributes = vec![AddressAttribute::Address(IpAddr::V6(address))];
    message
}

fn route(to: Ipv6Net, kind: RouteType) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet6;
    message.header.destination_prefix_length = to.prefix_len();
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.kind = kind;
    message.attributes = vec![RouteAttribute::Destination(RouteAddress::Inet6(to.network()))];
    message
}

/// As long as a real one.
fn message(kind: MessageType, transaction_id: TransactionId, prefixes: Vec<IaPrefix>) -> Message {
    let (t1, t2) = (Lifetime::Finite(PREFERRED / 2), Lifetime::Finite(PREFERRED / 5 * 4));
    let association = IaPd { iaid: Iaid(1), t1, t2, prefixes, status: None };
    Message {
        kind,
        transaction_id,
        options: vec![
            Dhcpv6Option::ClientId(Duid::from_uuid([1; 16])),
            Dhcpv6Option::ServerId(Duid::from_uuid([2; 16])),
            Dhcpv6Option::IaPd(association),
        ],
    }
}
