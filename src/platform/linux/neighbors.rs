//! The kernel's neighbor cache (RFC 4861 §5.1).

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv6Addr;
use std::time::Duration;

use netlink_packet_core::{
    NLM_F_CREATE, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::encode::request_with;
use super::kernel::{Kernel, Received, messages};
use crate::core::kernel::system::Neighbor;
use crate::net::IfIndex;

/// The kernel gives ages in hundredths of a second on all but the oldest machines (USER_HZ).
const TICK: Duration = Duration::from_millis(10);

/// What an operator can do about packets that are not sent for `error`, where something is known
/// to help.
pub fn remedy_for_unsent(error: &io::Error) -> Option<&'static str> {
    // The kernel's error where there is no room for the neighbor.
    let is_full = matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOBUFS));
    is_full.then_some(
        "if the kernel's table of neighbors is full (dmesg names it), raise \
         net.ipv6.neigh.default.gc_thresh3",
    )
}

impl Kernel {
    /// The IPv6 neighbors on `interface` whose link-layer address the kernel knows from neighbor
    /// discovery. Entries that were set by hand are left out, and nothing is sent on the link.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn neighbors(&mut self, interface: IfIndex) -> io::Result<Vec<Neighbor>> {
        let mut neighbors = Vec::new();
        self.dump_neighbors(interface, &mut |found| neighbors.extend(neighbor(&found)))?;
        Ok(neighbors)
    }

    /// The neighbors on `interface` that the kernel does not look for any more: those that it has
    /// found, and those that were set by hand.
    fn settled_neighbors(&mut self, interface: IfIndex) -> io::Result<BTreeSet<Ipv6Addr>> {
        let mut settled = BTreeSet::new();
        self.dump_neighbors(interface, &mut |found| {
            let is_sought = matches!(
                found.header.state,
                NeighbourState::None | NeighbourState::Incomplete | NeighbourState::Failed
            );
            settled.extend(address_of(&found).filter(|_| !is_sought));
        })?;
        Ok(settled)
    }

    fn dump_neighbors(
        &mut self,
        interface: IfIndex,
        take: &mut dyn FnMut(NeighbourMessage),
    ) -> io::Result<()> {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Inet6;
        message.attributes = vec![NeighbourAttribute::IfIndex(interface.0)];
        self.dump_each(RouteNetlinkMessage::GetNeighbour(message), &mut |found| {
            if let RouteNetlinkMessage::NewNeighbour(found) = found
                && found.header.ifindex == interface.0
            {
                take(found);
            }
        })?;
        Ok(())
    }

    /// Has the kernel know neighbors on `interface` by their link-layer addresses, where it has no
    /// entry or still looks for the neighbor. It verifies them by unicast once it has sent to them
    /// (STALE, RFC 4861 §7.3.2), and forgets them by itself. It looks itself for those that it
    /// refuses.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn expect_neighbors(
        &mut self,
        interface: IfIndex,
        hosts: &[(Ipv6Addr, Vec<u8>)],
    ) -> io::Result<()> {
        let settled = self.settled_neighbors(interface)?;
        let hosts = hosts.iter().filter(|(address, _)| !settled.contains(address));
        let requests = hosts.map(|(address, link_layer)| {
            let mut message = NeighbourMessage::default();
            message.header.family = AddressFamily::Inet6;
            message.header.ifindex = interface.0;
            message.header.state = NeighbourState::Stale;
            message.attributes = vec![
                NeighbourAttribute::Destination(NeighbourAddress::Inet6(*address)),
                NeighbourAttribute::LinkLayerAddress(link_layer.clone()),
            ];
            // Without NLM_F_REPLACE a link-layer address that is there already stays.
            request_with(NLM_F_CREATE, RouteNetlinkMessage::NewNeighbour(message))
        });
        self.request(requests.collect()).map(drop)
    }

    /// The link-layer address of a neighbor, where the system knows it; nothing is sent on the
    /// link.
    pub fn neighbor(&mut self, interface: IfIndex, address: Ipv6Addr) -> Option<Vec<u8>> {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Inet6;
        message.header.ifindex = interface.0;
        message.attributes =
            vec![NeighbourAttribute::Destination(NeighbourAddress::Inet6(address))];
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST;
        let request = RouteNetlinkMessage::GetNeighbour(message);
        let request = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request));
        let mut octets = Vec::new();
        let sequence = self.append(request, &mut octets);
        self.socket.send(&octets, 0).ok()?;
        loop {
            match self.receive().ok()? {
                Received::Datagram => {}
                Received::Lost => continue,
                Received::Nothing => return None,
            }
            let mut answers = messages(&self.buffer);
            if let Some(answer) = answers.find(|of| of.header.sequence_number == sequence) {
                let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNeighbour(found)) =
                    answer.payload
                else {
                    return None;
                };
                return link_layer_address(&found);
            }
        }
    }
}

/// An entry that packets can be sent by without asking on the link first.
#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum, of which few concern us")]
fn neighbor(found: &NeighbourMessage) -> Option<Neighbor> {
    match found.header.state {
        NeighbourState::Reachable
        | NeighbourState::Stale
        | NeighbourState::Delay
        | NeighbourState::Probe => {}
        _ => return None,
    }
    let (address, link_layer) = (address_of(found)?, link_layer_address(found)?);
    let confirmed = found.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::CacheInfo(info) => Some(TICK * info.confirmed),
        _ => None,
    });
    Some(Neighbor { address, link_layer, unconfirmed_for: confirmed.unwrap_or(Duration::MAX) })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum, of which one concerns us")]
fn address_of(found: &NeighbourMessage) -> Option<Ipv6Addr> {
    found.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => Some(*address),
        _ => None,
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum, of which one concerns us")]
fn link_layer_address(found: &NeighbourMessage) -> Option<Vec<u8>> {
    found.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(octets) => Some(octets.clone()),
        _ => None,
    })
}
