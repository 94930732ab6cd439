//! Addresses and default routes that the kernel formed from router advertisements.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::abi;
use super::addresses::KEPT;
use super::errno::Errno;
use super::ioctl::Lifetimes;
use super::kernel::Kernel;
use super::look;
use super::route_message::{Message, messages};
use super::system_calls::SystemCalls;
use super::table::Table;
use crate::core::kernel::object::Deprecation;
use crate::core::kernel::system::{KernelAddress, Origin, RouteTarget};
use crate::net::IfIndex;
use crate::time::Instant;

impl<C: SystemCalls> Kernel<C> {
    /// Removes the addresses that the kernel formed from advertisements on an interface, of one
    /// prefix where that is given, and with them the routes to their links, and the default routes.
    /// Addresses of ours in the same prefix are set anew, as their route to the link would end with
    /// that of the advertisement.
    pub(super) fn drop_kernel_made(
        &mut self,
        now: Instant,
        interface: IfIndex,
        prefix: Option<Ipv6Net>,
    ) -> Result<(), Errno> {
        let name = self.name(interface)?;
        let mut prefixes: Vec<Ipv6Net> = Vec::new();
        let addresses = self.calls.sysctl(&abi::interfaces(interface.0))?;
        for message in messages(&addresses) {
            let Message::Address(found) = message else { continue };
            let Some(address) = found.address() else { continue };
            let subnet = Ipv6Net::new(address, found.prefix_len()).map(|net| net.trunc());
            let Ok(subnet) = subnet else { continue };
            if address.is_unicast_link_local() || prefix.is_some_and(|prefix| prefix != subnet) {
                continue;
            }
            let flags = look::flags(&mut self.calls, &name, interface, address);
            if flags.is_ok_and(|flags| flags & abi::AUTOCONF != 0) {
                self.remove(&name, (interface, address))?;
                prefixes.push(subnet);
            }
        }
        self.renew_in(now, &name, interface, &prefixes)?;
        if prefix.is_none() { self.drop_router(now, interface, None) } else { Ok(()) }
    }

    /// Removes the default routes that the kernel has learnt on an interface, of one router where that
    /// is given.
    pub(super) fn drop_router(
        &mut self,
        now: Instant,
        interface: IfIndex,
        router: Option<Ipv6Addr>,
    ) -> Result<(), Errno> {
        let table = Table::read(&mut self.calls, now)?;
        for (destination, path) in table.iter() {
            let Some(RouteTarget::Gateway(through, gateway)) = path.target else { continue };
            let is_meant = through == interface && router.is_none_or(|router| router == gateway);
            if destination.prefix_len() == 0 && path.is_learnt() && is_meant {
                self.delete_path(destination, path.target)?;
            }
        }
        Ok(())
    }

    /// Gives an address that the kernel made a preferred lifetime of zero; all else stays as it is.
    /// That it is not there any more is no error.
    pub(super) fn deprecate(&mut self, now: Instant, wanted: Deprecation) -> Result<(), Errno> {
        let Deprecation { interface, address, .. } = wanted;
        let name = self.name(interface)?;
        let found = {
            let watch = self.watch.borrow();
            let made = |has: &KernelAddress| has.origin != Origin::Other;
            look::address(&mut self.calls, &watch, interface, address, 64).filter(made)
        };
        let Some(has) = found else { return Ok(()) };
        let Some(prefix_len) = self.prefix_len(interface, address)? else { return Ok(()) };
        let flags = look::flags(&mut self.calls, &name, interface, address)?;
        let valid = has.valid_until.remaining(now).to_wire();
        let lifetimes = Lifetimes { preferred: 0, valid };
        let kept = flags & (KEPT | abi::AUTOCONF | abi::TEMPORARY);
        self.set(&name, &KernelAddress { prefix_len, ..has }, kept, lifetimes)
    }

    fn prefix_len(&mut self, interface: IfIndex, address: Ipv6Addr) -> Result<Option<u8>, Errno> {
        let table = self.calls.sysctl(&abi::interfaces(interface.0))?;
        let found = messages(&table).find_map(|message| match message {
            Message::Address(found) if found.address() == Some(address) => Some(found.prefix_len()),
            Message::Address(_)
            | Message::Route(_)
            | Message::Interface(_)
            | Message::Announcement { .. }
            | Message::Other(_) => None,
        });
        Ok(found)
    }

    /// Sets the addresses of ours in `prefixes` anew.
    fn renew_in(
        &mut self,
        now: Instant,
        name: &str,
        interface: IfIndex,
        prefixes: &[Ipv6Net],
    ) -> Result<(), Errno> {
        let set = self.watch.borrow().set.clone();
        for ((of, address), wanted) in set {
            if of == interface && prefixes.iter().any(|prefix| prefix.contains(&address)) {
                self.remove(name, (interface, address))?;
                self.set_address(now, &wanted)?;
            }
        }
        Ok(())
    }
}
