//! Addresses of ours that other nodes hold: how many of them are remembered, and for how long.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

use super::system::{KernelAddress, System};
use crate::net::IfIndex;

/// Duplicates on one interface that are remembered although nothing depends on them. Any node on a
/// link can advertise prefix after prefix and claim each address that is formed in them.
const MAX_DUPLICATES: usize = 64;

impl System {
    /// Forgets what there is no room for of the addresses that other nodes hold, but none that
    /// `matters`, and none that the kernel would say again whenever its state is read: so what is
    /// derived stays as it is.
    pub fn bound_duplicates(&mut self, matters: &BTreeSet<(IfIndex, Ipv6Addr)>) {
        let Self { duplicates, addresses, .. } = self;
        if duplicates.len() <= MAX_DUPLICATES {
            return;
        }
        let mut without_need: BTreeMap<IfIndex, usize> = BTreeMap::new();
        duplicates.retain(|of| {
            if matters.contains(of) || has_duplicate(addresses, of) {
                return true;
            }
            let count = without_need.entry(of.0).or_default();
            *count += 1;
            *count <= MAX_DUPLICATES
        });
    }
}

/// Whether the kernel has an address of ours and keeps it from use as a duplicate.
fn has_duplicate(
    addresses: &BTreeMap<(IfIndex, Ipv6Addr), KernelAddress>,
    of: &(IfIndex, Ipv6Addr),
) -> bool {
    addresses.get(of).is_some_and(|has| has.ours && has.duplicate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::kernel::system::{KernelEvent, Origin};
    use crate::time::Until;

    const LAN: IfIndex = IfIndex(3);

    fn found(interface: IfIndex, number: u16) -> KernelAddress {
        KernelAddress {
            interface,
            address: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number),
            prefix_len: 64,
            preferred_until: Until::Never,
            valid_until: Until::Never,
            tentative: false,
            duplicate: true,
            ours: true,
            origin: Origin::Other,
        }
    }

    /// SEC-06: neither what matters is forgotten, nor what the kernel has, nor that of another link.
    #[test]
    fn duplicates_on_a_link_are_bounded() {
        let mut system = System::default();
        let mut claimed = |index, number: u16, stays: bool| {
            let has = found(index, number);
            let key = (index, has.address);
            system.handle(KernelEvent::Address(has));
            if !stays {
                system.handle(KernelEvent::AddressGone { interface: index, address: key.1 });
            }
            key
        };
        let other = claimed(IfIndex(4), 1, false);
        let keys: Vec<_> = (0..500).map(|number| claimed(LAN, number, number == 499)).collect();
        let matters = BTreeSet::from([keys[0], keys[498]]);
        system.bound_duplicates(&matters);
        assert_eq!(system.duplicates.len(), 1 + 2 + 1 + MAX_DUPLICATES);
        for key in [keys[0], keys[498], keys[499], other] {
            assert!(system.duplicates.contains(&key), "{key:?}");
        }
    }
}
