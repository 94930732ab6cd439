//! Routes to links that outlive their addresses.
//!
//! The kernel enters the prefix of an address with the lifetime of the first call, which is infinite
//! here, and when it ends the address itself it leaves the prefix and its route. Where the agent was
//! not there to remove the address before, it ends the route afterwards: the kernel refuses to
//! delete such a route, and takes it away with the last address of the prefix.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::abi;
use super::errno::Errno;
use super::ioctl::{self, AddressToSet, Lifetimes};
use super::kernel::Kernel;
use super::look;
use super::route_message::{Message, messages};
use super::system_calls::SystemCalls;
use super::table::Table;
use super::watch::Place;
use crate::core::kernel::system::RouteTarget;
use crate::net::IfIndex;
use crate::time::Instant;

impl<C: SystemCalls> Kernel<C> {
    /// Ends the routes to links that addresses of an earlier run have left behind. Those addresses
    /// are there no more; what somebody else has in the same prefix keeps its route.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn end_leftovers(&mut self, now: Instant, addresses: &[Place]) -> Result<(), Errno> {
        if addresses.is_empty() {
            return Ok(());
        }
        let table = Table::read(&mut self.calls, now)?;
        for place in addresses {
            if let Ok(name) = self.name(place.0) {
                end_route(&mut self.calls, &table, &name, *place)?;
            }
        }
        Ok(())
    }
}

/// Ends the route to the link of a prefix that an address has left behind, if there is one: an
/// address is set once more, without duplicate address detection, and removed.
pub(super) fn end_route<C: SystemCalls>(
    calls: &mut C,
    table: &Table,
    name: &str,
    (interface, address): Place,
) -> Result<(), Errno> {
    let is_left = |(prefix, path): &(Ipv6Net, &super::table::Path)| {
        path.is_to_link()
            && path.target == Some(RouteTarget::OnLink(interface))
            && prefix.contains(&address)
    };
    let Some((prefix, _)) = table.iter().find(is_left) else { return Ok(()) };
    // Where the kernel follows advertisements the prefix can be one of theirs.
    let follows = look::info(calls, name)?.flags() & abi::ACCEPT_ADVERTISEMENTS != 0;
    if follows || has_address_in(calls, interface, prefix)? {
        return Ok(());
    }
    let set = AddressToSet {
        name,
        interface,
        address,
        prefix_len: prefix.prefix_len(),
        flags: abi::NO_DETECTION,
        lifetimes: Lifetimes::INFINITE,
    };
    match calls.ioctl(abi::SET_ADDRESS, &mut ioctl::set_address(set)) {
        // It is on another interface by now.
        Err(Errno::EXIST) => return Ok(()),
        result => result?,
    }
    calls.ioctl(abi::REMOVE_ADDRESS, &mut ioctl::address(name, interface, address))
}

fn has_address_in<C: SystemCalls>(
    calls: &mut C,
    interface: IfIndex,
    prefix: Ipv6Net,
) -> Result<bool, Errno> {
    let table = calls.sysctl(&abi::interfaces(interface.0))?;
    let address = |message| match message {
        Message::Address(found) => found.address(),
        Message::Route(_)
        | Message::Interface(_)
        | Message::Announcement { .. }
        | Message::Other(_) => None,
    };
    let mut addresses = messages(&table).filter_map(address);
    Ok(addresses.any(|address: Ipv6Addr| prefix.contains(&address)))
}
