//! The routes to delegated prefixes. They are kept from one derivation to the next: a message
//! changes those of one binding, and an advertisement on an uplink changes none.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv6Net;

use crate::core::delegate::{BindingKey, Delegating};
use crate::core::kernel::system::{KernelRoute, RouteTarget, System};
use crate::net::IfIndex;

/// The routes of all bindings.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Delegated {
    routes: BTreeMap<BindingKey, Vec<KernelRoute>>,
    /// Bindings without routes, as their next hop is no neighbor.
    stranded: BTreeSet<BindingKey>,
    /// Bindings whose next hop is a neighbor only because of a subnet of ours.
    in_subnets: BTreeSet<BindingKey>,
    /// The links that the routes were derived for.
    links: Links,
}

/// All that the routes of bindings depend on beside the bindings.
#[derive(Clone, PartialEq, Debug, Default)]
struct Links {
    /// Links that are running.
    running: BTreeMap<String, IfIndex>,
    /// Subnets that addresses of ours are in.
    subnets: BTreeSet<(IfIndex, Ipv6Net)>,
}

impl Links {
    fn of(system: &System) -> Self {
        let running = system.links.values().filter(|link| link.running);
        let subnets = system.addresses.values().filter_map(|address| {
            let subnet = Ipv6Net::new(address.address, address.prefix_len).ok()?.trunc();
            Some((address.interface, subnet))
        });
        Self {
            running: running.map(|link| (link.name.clone(), link.index)).collect(),
            subnets: subnets.collect(),
        }
    }
}

impl Delegated {
    /// All of them.
    pub fn routes(&self) -> impl Iterator<Item = &KernelRoute> {
        self.routes.values().flatten()
    }

    /// Bindings without routes, as their next hop is no neighbor.
    pub(in crate::core) const fn stranded(&self) -> &BTreeSet<BindingKey> {
        &self.stranded
    }

    /// Takes over links and subnets. Returns the bindings whose routes may be others now;
    /// [`follow`](Self::follow) has to follow for each.
    pub(in crate::core) fn attach(
        &mut self,
        system: &System,
        delegating: &Delegating,
    ) -> BTreeSet<BindingKey> {
        let links = Links::of(system);
        if links == self.links {
            return BTreeSet::new();
        }
        let before = std::mem::replace(&mut self.links, links);
        let names = before.running.keys().chain(self.links.running.keys());
        let has_moved: BTreeSet<&str> = names
            .filter(|name| before.running.get(*name) != self.links.running.get(*name))
            .map(String::as_str)
            .collect();
        if has_moved.is_empty() {
            return self.in_subnets.clone();
        }
        let bindings = delegating.bindings().keys().chain(self.routes.keys());
        let moved = bindings.filter(|key| has_moved.contains(&*key.downlink)).cloned();
        moved.chain(self.in_subnets.iter().cloned()).collect()
    }

    /// Derives the routes of a binding: adds the earlier ones to `before`, and the new ones to
    /// `after`. There is no route by way of a node that is no neighbor, which the kernel would
    /// refuse, and none through a link that is no downlink any more; its router may hold the
    /// prefixes all the same, so no other router gets them.
    pub(in crate::core) fn follow(
        &mut self,
        system: &System,
        delegating: &Delegating,
        key: &BindingKey,
        before: &mut Vec<KernelRoute>,
        after: &mut Vec<KernelRoute>,
    ) {
        let interface = self.links.running.get(&*key.downlink);
        let interface = interface.filter(|_| delegating.has_downlink(&key.downlink));
        let binding = delegating.bindings().get(key);
        let routes = match (binding, interface) {
            (Some(binding), Some(interface)) => delegating.routes_of(binding, *interface),
            (None, _) | (_, None) => Vec::new(),
        };
        let (routes, is_stranded) =
            if are_by_neighbors(system, &routes) { (routes, false) } else { (Vec::new(), true) };
        if is_stranded {
            self.stranded.insert(key.clone());
        } else if !self.stranded.is_empty() {
            self.stranded.remove(key);
        }
        let in_subnet =
            binding.is_some_and(|binding| !binding.contact().next_hop.is_unicast_link_local());
        if in_subnet {
            self.in_subnets.insert(key.clone());
        } else if !self.in_subnets.is_empty() {
            self.in_subnets.remove(key);
        }
        after.extend_from_slice(&routes);
        let had = if routes.is_empty() {
            self.routes.remove(key)
        } else if let Some(known) = self.routes.get_mut(key) {
            Some(std::mem::replace(known, routes))
        } else {
            self.routes.insert(key.clone(), routes)
        };
        before.extend(had.into_iter().flatten());
    }

    /// The routes as derived at once, to be compared with the ones that were kept.
    #[cfg(debug_assertions)]
    pub(in crate::core) fn from_scratch(system: &System, delegating: &Delegating) -> Self {
        let mut delegated = Self { links: Links::of(system), ..Self::default() };
        for key in delegating.bindings().keys() {
            delegated.follow(system, delegating, key, &mut Vec::new(), &mut Vec::new());
        }
        delegated
    }
}

fn are_by_neighbors(system: &System, routes: &[KernelRoute]) -> bool {
    routes.iter().all(|route| match route.target {
        RouteTarget::Gateway(interface, next_hop) => system.is_on_link(interface, next_hop),
        RouteTarget::OnLink(_) | RouteTarget::Unreachable => true,
    })
}
