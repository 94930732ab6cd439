//! Addresses: set in two calls, as the first one decides how long the route to the link stays.

use std::net::Ipv6Addr;

use super::abi;
use super::errno::Errno;
use super::ioctl::{self, AddressToSet, Lifetimes};
use super::kernel::Kernel;
use super::look;
use super::system_calls::SystemCalls;
use super::watch::{MARGIN, Place};
use crate::core::kernel::system::KernelAddress;
use crate::net::IfIndex;
use crate::time::{Instant, Until};

/// Flags that an address keeps when its lifetimes are set. The kernel itself finds out again
/// whether it is deprecated; one that says so for good would stay so.
pub(super) const KEPT: u32 = abi::TENTATIVE | abi::ANYCAST | abi::NO_DETECTION | abi::PREFER_SOURCE;

impl<C: SystemCalls> Kernel<C> {
    /// Adds an address, or sets its lifetimes.
    ///
    /// The kernel enters the prefix with the lifetimes of the first call, and later ones renew the
    /// address alone: so the first call has infinite ones. Each call replaces all flags: without
    /// the tentative one duplicates would not be found, and a duplicate would be taken for usable.
    pub(super) fn set_address(
        &mut self,
        now: Instant,
        wanted: &KernelAddress,
    ) -> Result<(), Errno> {
        let name = self.name(wanted.interface)?;
        let place = (wanted.interface, wanted.address);
        let is_repair = self.broken.remove(&place);
        if is_repair {
            self.remove(&name, place)?;
        }
        let lifetimes = lifetimes(now, wanted);
        match look::flags(&mut self.calls, &name, wanted.interface, wanted.address) {
            Ok(flags) if flags & abi::DUPLICATED != 0 => return Ok(()),
            Ok(flags) if flags & abi::AUTOCONF != 0 => return Err(Errno::EXIST),
            Ok(flags) => match self.set(&name, wanted, flags & KEPT, lifetimes) {
                // Of another prefix length.
                Err(Errno::INVAL) => {
                    self.remove(&name, place)?;
                    self.add(&name, wanted, lifetimes)?;
                }
                result => result?,
            },
            Err(Errno::ADDRNOTAVAIL) => {
                self.add(&name, wanted, lifetimes)?;
                if !is_repair {
                    // What does not bring the route even when it is set anew is not set again.
                    self.whole.insert(place);
                }
            }
            Err(errno) => return Err(errno),
        }
        let mut watch = self.watch.borrow_mut();
        watch.set.insert(place, wanted.clone());
        Ok(())
    }

    fn add(
        &mut self,
        name: &str,
        wanted: &KernelAddress,
        lifetimes: Lifetimes,
    ) -> Result<(), Errno> {
        self.set(name, wanted, 0, Lifetimes::INFINITE)?;
        if lifetimes == Lifetimes::INFINITE {
            return Ok(());
        }
        let flags = look::flags(&mut self.calls, name, wanted.interface, wanted.address)?;
        self.set(name, wanted, flags & KEPT, lifetimes)
    }

    pub(super) fn set(
        &mut self,
        name: &str,
        wanted: &KernelAddress,
        flags: u32,
        lifetimes: Lifetimes,
    ) -> Result<(), Errno> {
        let KernelAddress { interface, address, prefix_len, .. } = *wanted;
        let set = AddressToSet { name, interface, address, prefix_len, flags, lifetimes };
        self.calls.ioctl(abi::SET_ADDRESS, &mut ioctl::set_address(set))
    }

    /// Removes an address. That it is not there is no error.
    pub(super) fn remove_address(
        &mut self,
        interface: IfIndex,
        address: Ipv6Addr,
    ) -> Result<(), Errno> {
        self.watch.borrow_mut().set.remove(&(interface, address));
        self.broken.remove(&(interface, address));
        match self.name(interface) {
            Ok(name) => self.remove(&name, (interface, address)),
            Err(errno) if errno.is_absence() => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    pub(super) fn remove(&mut self, name: &str, (interface, address): Place) -> Result<(), Errno> {
        let mut argument = ioctl::address(name, interface, address);
        match self.calls.ioctl(abi::REMOVE_ADDRESS, &mut argument) {
            Err(errno) if errno.is_absence() => Ok(()),
            result => result,
        }
    }
}

/// The lifetimes to set: of a finite valid one the kernel is given more.
fn lifetimes(now: Instant, wanted: &KernelAddress) -> Lifetimes {
    let valid = match wanted.valid_until {
        Until::At(at) => Until::At(at + MARGIN).remaining(now).to_wire().saturating_add(1),
        Until::Never => abi::INFINITE,
    };
    let valid =
        if wanted.valid_until == Until::Never { valid } else { valid.min(abi::INFINITE - 1) };
    Lifetimes { preferred: wanted.preferred_until.remaining(now).to_wire().min(valid), valid }
}
