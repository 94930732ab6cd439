//! How packets get from one station to others on its link.

use std::net::Ipv6Addr;
use std::time::Duration;

use super::{Frame, Happening, Network, Port, Segment, Station};
use crate::core::input::{Input, Received};
use crate::core::kernel::system::Neighbor;
use crate::core::output::{Output, Packet};
use crate::net::{DHCP_CLIENT_PORT, DHCP_SERVER_PORT, IfIndex};

const NEIGHBOR_SOLICITATION: u8 = 135;

impl Network {
    /// Takes on what of an output leaves the machine.
    pub(super) fn carry(&mut self, node: usize, output: &Output) {
        match output {
            Output::SendIcmpv6(packet) => self.leave(node, packet, None),
            Output::SendDhcpv6(packet) => {
                self.leave(node, packet, Some((DHCP_CLIENT_PORT, DHCP_SERVER_PORT)));
            }
            Output::SendServer(sent) => {
                self.leave(node, &sent.packet, Some((DHCP_SERVER_PORT, sent.port)));
            }
            Output::ListNeighbors(interface) => {
                let interface = *interface;
                let neighbors = self.neighbors(node, interface);
                self.nodes[node].answer(self.now, Input::Neighbors { interface, neighbors });
            }
            Output::Remember(_)
            | Output::Apply(_)
            | Output::ExpectNeighbors { .. }
            | Output::Hear(_)
            | Output::RunEngines(_)
            | Output::Engine(_)
            | Output::Publish(_)
            | Output::RunScript(_)
            | Output::Milestone(_)
            | Output::Event(_)
            | Output::Exit => {}
        }
    }

    fn leave(&mut self, node: usize, packet: &Packet, ports: Option<(u16, u16)>) {
        let links = &self.nodes[node].kernel.system().links;
        if links.get(&packet.interface).is_some_and(|link| link.running) {
            let Packet { source, destination, ref octets, .. } = *packet;
            let frame = Frame { source, destination, ports, octets: octets.clone() };
            self.send((Station::Node(node), packet.interface), frame);
        }
    }

    /// Sends a packet to those on the link that it is for. Stations answer neighbor solicitations
    /// without a detour (RFC 4861 §7.2.4).
    pub(super) fn send(&mut self, from: Port, frame: Frame) {
        let Some(segment) = self.places.get(&from).copied() else { return };
        let is_solicitation =
            frame.ports.is_none() && frame.octets.first() == Some(&NEIGHBOR_SOLICITATION);
        let target = is_solicitation.then(|| target_of(&frame.octets)).flatten();
        for port in self.segments[segment].ports.clone() {
            let wanted = target.unwrap_or(frame.destination);
            let is_for = wanted.is_multicast() || self.holds(port, wanted);
            if port == from || !is_for || self.is_lost(segment, port) {
                continue;
            }
            let at = self.now + self.segments[segment].delay;
            let what = match target {
                Some(target) => Happening::Departure(port, self.advertised(port, target, &frame)),
                None => Happening::Arrival(port, frame.clone()),
            };
            self.arrange(at, what);
        }
    }

    fn is_lost(&mut self, segment: usize, (station, _): Port) -> bool {
        let Segment { loss, is_cut, .. } = self.segments[segment];
        let is_deaf = self.deaf_until.get(&station).is_some_and(|until| self.now < *until);
        is_cut || is_deaf || loss > 0 && self.happens(loss)
    }

    /// Whether a station has an address on an interface.
    fn holds(&self, (station, interface): Port, address: Ipv6Addr) -> bool {
        match station {
            Station::Node(number) => {
                let addresses = &self.nodes[number].kernel.system().addresses;
                addresses.contains_key(&(interface, address))
            }
            Station::Host(number) => self.hosts[number].holds(self.now, address),
            Station::Provider(number) => self.providers[number].address == address,
        }
    }

    /// A solicited neighbor advertisement (RFC 4861 §4.4).
    fn advertised(&self, port: Port, target: Ipv6Addr, solicitation: &Frame) -> Frame {
        let head = [136, 0, 0, 0, 0x60, 0, 0, 0];
        let link_layer = [&[2, 1][..], &self.link_layer(port)].concat();
        let octets = [&head[..], &target.octets(), &link_layer].concat();
        Frame::icmpv6(target, solicitation.source, octets)
    }

    /// The link-layer address of a station on an interface; six octets.
    fn link_layer(&self, (station, interface): Port) -> Vec<u8> {
        let made = |kind, number: usize| vec![2, kind, 0, 0, (number >> 8) as u8, number as u8];
        match station {
            Station::Node(number) => {
                let link = self.nodes[number].kernel.system().links.get(&interface);
                let own = link.and_then(|link| link.link_layer_address.clone());
                own.unwrap_or_else(|| made(1, number))
            }
            Station::Host(number) => made(2, number),
            Station::Provider(number) => made(3, number),
        }
    }

    /// The neighbors on the link of an interface: the nodes that are on it, by their link-local
    /// addresses, and those that the kernel knows beside them.
    fn neighbors(&self, node: usize, interface: IfIndex) -> Vec<Neighbor> {
        let own = (Station::Node(node), interface);
        let segment = self.places.get(&own).map(|segment| &self.segments[*segment]);
        let others = segment.iter().flat_map(|segment| &segment.ports).filter(|port| **port != own);
        let others = others.filter_map(|port| {
            let address = self.link_local(*port)?;
            let link_layer = self.link_layer(*port);
            Some(Neighbor { address, link_layer, unconfirmed_for: Duration::ZERO })
        });
        let known = self.nodes[node].kernel.neighbors.iter();
        let known = known.filter(|(of, _)| *of == interface).map(|(_, neighbor)| neighbor.clone());
        others.chain(known).collect()
    }

    fn link_local(&self, (station, interface): Port) -> Option<Ipv6Addr> {
        match station {
            Station::Node(number) => self.nodes[number].kernel.system().link_local(interface),
            Station::Host(number) => Some(self.hosts[number].link_local),
            Station::Provider(_) => None,
        }
    }

    pub(super) fn arrive(&mut self, port: Port, frame: Frame) {
        match port.0 {
            Station::Node(node) => {
                let Frame { source, destination, ports, octets } = frame;
                let received = Received {
                    interface: port.1,
                    source,
                    port: ports.map_or(0, |(from, _)| from),
                    link_layer: None,
                    destination,
                    hop_limit: 255,
                    fragmented: false,
                    octets,
                };
                let kernel = &self.nodes[node].kernel;
                let is_open = match ports {
                    None => true,
                    Some((_, DHCP_CLIENT_PORT)) => kernel.asking,
                    Some(_) => kernel.serving,
                };
                if is_open && self.nodes[node].hears(&received) {
                    self.give(
                        node,
                        match ports {
                            None => Input::Icmpv6(received),
                            Some((_, DHCP_CLIENT_PORT)) => Input::Dhcpv6(received),
                            Some(_) => Input::Server(received),
                        },
                    );
                }
            }
            Station::Host(host) => self.hosts[host].take(self.now, &frame),
            Station::Provider(provider) => {
                if let Some((delay, answer)) = self.providers[provider].take(self.now, &frame) {
                    self.arrange(self.now + delay, Happening::Departure(port, answer));
                }
            }
        }
    }

    /// A host that knows no router solicits them, a few times (RFC 4861 §6.3.7).
    pub(super) fn solicit(&mut self, host: usize) {
        if let Some((frame, again)) = self.hosts[host].solicit(self.now) {
            self.send((Station::Host(host), IfIndex(1)), frame);
            self.arrange(self.now + again, Happening::Solicitation(host));
        }
    }
}

/// The target of a neighbor solicitation.
fn target_of(octets: &[u8]) -> Option<Ipv6Addr> {
    let target: [u8; 16] = octets.get(8..24)?.try_into().ok()?;
    Some(target.into())
}
