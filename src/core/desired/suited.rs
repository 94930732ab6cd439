//! The desired state, adapted to the capabilities of the kernel.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv6Net;

use super::{Delegated, Desired};
use crate::core::capabilities::{Capabilities, ONLY_METRIC};
use crate::core::kernel::system::{KernelRoute, RouteTarget};

impl Desired {
    /// Removes the objects that the kernel cannot have or makes by itself. `delegated` are the
    /// desired routes to delegated prefixes.
    pub(in crate::core) fn suit(&mut self, capabilities: Capabilities, delegated: &Delegated) {
        if capabilities.addresses_bring_link_routes {
            self.part_addresses_from_links();
        }
        if !capabilities.routes_have_metrics {
            self.keep_one_route_each(delegated);
        }
        if capabilities.addresses_bring_link_routes {
            self.routes.retain(|_, route| !is_on_link(route.target));
        }
    }

    /// Gives an address in a prefix that is not on-link the length of 128 bits, or it would bring
    /// the route to the link; and leaves a prefix that is on-link without an address of ours to the
    /// default router.
    fn part_addresses_from_links(&mut self) {
        let on_link = self.routes.values().filter(|route| is_on_link(route.target));
        let on_link: BTreeSet<(Ipv6Net, RouteTarget)> =
            on_link.map(|route| (route.destination, route.target)).collect();
        let mut brought = BTreeSet::new();
        for address in self.addresses.values_mut() {
            let Ok(subnet) = Ipv6Net::new(address.address, address.prefix_len) else { continue };
            let route = (subnet.trunc(), RouteTarget::OnLink(address.interface));
            if on_link.contains(&route) {
                brought.insert(route);
            } else {
                address.prefix_len = 128;
            }
        }
        self.routes.retain(|_, route| {
            !is_on_link(route.target) || brought.contains(&(route.destination, route.target))
        });
    }

    /// Where routes have no metrics: keeps only the best of the desired routes to one destination,
    /// `delegated` ones included.
    fn keep_one_route_each(&mut self, delegated: &Delegated) {
        let mut best: BTreeMap<Ipv6Net, (u32, RouteTarget)> = BTreeMap::new();
        for route in self.routes.values().chain(delegated.routes()) {
            let rank = (route.metric, route.target);
            let known = best.entry(route.destination).or_insert(rank);
            *known = rank.min(*known);
        }
        self.routes
            .retain(|_, route| best.get(&route.destination) == Some(&(route.metric, route.target)));
        let kept = std::mem::take(&mut self.routes).into_values();
        let kept = kept.map(|route| KernelRoute { metric: ONLY_METRIC, ..route });
        self.routes = kept.map(|route| (route.key(), route)).collect();
    }
}

const fn is_on_link(target: RouteTarget) -> bool {
    matches!(target, RouteTarget::OnLink(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::kernel::system::{KernelAddress, Origin};
    use crate::net::IfIndex;
    use crate::time::Until;

    const WITHOUT_METRICS: Capabilities = Capabilities {
        routes_have_metrics: false,
        unreachable_routes_end: true,
        ..Capabilities::LINUX
    };
    const FREEBSD: Capabilities = Capabilities::FREEBSD;
    const UNREACHABLE: RouteTarget = RouteTarget::Unreachable;

    const fn link(index: u32) -> RouteTarget {
        RouteTarget::OnLink(IfIndex(index))
    }

    fn route(destination: &str, target: RouteTarget, metric: u32) -> KernelRoute {
        let (destination, until) = (destination.parse().unwrap(), Until::Never);
        KernelRoute { destination, target, metric, until }
    }

    fn address(index: u32, text: &str) -> KernelAddress {
        KernelAddress {
            interface: IfIndex(index),
            address: text.parse().unwrap(),
            prefix_len: 64,
            preferred_until: Until::Never,
            valid_until: Until::Never,
            tentative: false,
            duplicate: false,
            ours: true,
            origin: Origin::Other,
        }
    }

    fn desired(routes: &[KernelRoute], addresses: &[KernelAddress]) -> Desired {
        let key = |address: &KernelAddress| (address.interface, address.address);
        Desired {
            routes: routes.iter().map(|route| (route.key(), route.clone())).collect(),
            addresses: addresses.iter().map(|address| (key(address), address.clone())).collect(),
            ..Desired::default()
        }
    }

    fn targets(desired: &Desired) -> Vec<(String, RouteTarget, u32)> {
        let routes = desired.routes.values();
        routes.map(|route| (route.destination.to_string(), route.target, route.metric)).collect()
    }

    /// No metric is asked for, or what is there would differ from it for ever.
    #[test]
    fn without_metrics_the_best_route_to_a_destination_is_the_only_one() {
        let all = [
            route("::/0", link(2), 1024),
            route("::/0", link(3), 512),
            route("2001:db8::/56", UNREACHABLE, 4096),
            route("2001:db8::/64", link(4), 240),
            route("2001:db8::/64", link(5), 240),
        ];
        let mut desired = desired(&all, &[]);
        desired.suit(WITHOUT_METRICS, &Delegated::default());
        let kept = [("::/0", link(3)), ("2001:db8::/56", UNREACHABLE), ("2001:db8::/64", link(4))];
        let kept = kept.map(|(to, target)| (to.to_owned(), target, ONLY_METRIC));
        let mut found = targets(&desired);
        found.sort_by_key(|route| kept.iter().position(|kept| kept == route));
        assert_eq!(found, kept);
    }

    /// The route to a link is no step; and where an address does not bring it, the prefix is
    /// unreachable, or would be sent to the provider and come back.
    #[test]
    fn addresses_bring_the_routes_to_their_links() {
        let lan = [route("2001:db8::/64", link(4), 240), route("2001:db8::/64", UNREACHABLE, 4096)];
        let cases = [
            // addresses, prefix length as asked for, unreachable
            (vec![address(4, "2001:db8::1")], Some(64), false),
            (vec![address(5, "2001:db8::1")], Some(128), true),
            (vec![address(4, "2001:db8:0:1::1")], Some(128), true),
            (vec![], None, true),
        ];
        for (addresses, length, is_unreachable) in cases {
            let mut desired = desired(&lan, &addresses);
            desired.suit(FREEBSD, &Delegated::default());
            let found = desired.addresses.values().next().map(|address| address.prefix_len);
            assert_eq!(found, length, "{addresses:?}");
            let left: Vec<RouteTarget> =
                desired.routes.values().map(|route| route.target).collect();
            let expected: &[RouteTarget] = if is_unreachable { &[UNREACHABLE] } else { &[] };
            assert_eq!(left, expected, "{addresses:?}");
        }
    }
}
