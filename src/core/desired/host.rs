//! The part of the desired state for an uplink where this machine is a host: the kernel forms its
//! addresses and routes, and the agent corrects what the kernel cannot know.

use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::Desired;
use super::uplink::Place;
use crate::config::Client;
use crate::core::kernel::object::{Deprecation, Object, Setting, Sysctl};
use crate::core::kernel::system::{KernelAddress, Origin};
use crate::core::uplink::hear::StalePrefix;
use crate::time::Until;

/// An address whose preferred lifetime ends this soon is left to the kernel, which counts lifetimes
/// to the second.
const SOON: Duration = Duration::from_secs(2);

/// `max_addresses` of a host whose kernel has no room left: withdrawn prefixes live on for two
/// hours (RFC 4862 §5.5.3), and each redial brings another one.
const ROOM: i32 = 64;

impl Place<'_> {
    /// Adds the objects for the uplink of a host.
    pub(super) fn contribute_as_host(self, client: &Client, desired: &mut Desired) {
        self.kernel_settings(client, desired);
        if !self.link.running {
            return;
        }
        self.networks(desired);
        if client.mend {
            self.deprecate_stale(desired);
            self.drop_lost_routers(desired);
        }
    }

    /// A kernel that forwards is a host all the same only with another value (RA-RX-81). The agent
    /// does not switch on a setting that another program has switched off.
    fn kernel_settings(self, client: &Client, desired: &mut Desired) {
        if self.heard.is_managed_elsewhere {
            return;
        }
        let mut set = |name, value| {
            let (index, interface) = (self.link.index, self.link.name.clone());
            desired.want(Object::Setting(Setting { index, interface, name, value }));
        };
        if self.facts.system.forwarding {
            set(Sysctl::AcceptRa, 2);
        } else if client.force {
            // A kernel that follows advertisements even where it forwards does all that is needed.
            set(Sysctl::AcceptRa, if self.link.accept_ra == Some(2) { 2 } else { 1 });
        }
        if client.optimistic_dad && !self.facts.system.forwarding {
            // Where the kernel forwards it would change nothing: an address of a router is not used
            // before it is known to be unique (RFC 4429 §3.3).
            set(Sysctl::OptimisticDad, 1);
            set(Sysctl::UseOptimistic, 1);
        }
        if self.heard.needs_room {
            set(Sysctl::MaxAddresses, ROOM);
        }
        // A host without a downlink for its own prefix would have no address at all.
        if self.heard.prefers_delegation && !self.facts.config.downlinks.is_empty() {
            set(Sysctl::HonorPflag, 1);
        }
    }

    /// Adds the on-link prefixes, with those that were on-link lately: connections from their
    /// addresses continue.
    fn networks(self, desired: &mut Desired) {
        let on_link = self.heard.prefixes.iter().filter(|prefix| prefix.on_link);
        let on_link = on_link.map(|prefix| {
            let grace = prefix.gone_since.map(|since| Until::At(since + self.facts.config.grace));
            (prefix.prefix, grace.map_or(prefix.valid_until, |end| end.min(prefix.valid_until)))
        });
        let delegated = self.heard.delegated.iter().filter(|held| held.gone_since.is_none());
        let delegated = delegated.map(|held| (held.prefix, held.valid_until));
        let live = on_link.chain(delegated).filter(|(_, until)| !until.is_over(self.now));
        desired.networks.insert(self.link.name.clone(), live.collect());
    }

    /// Deprecates the kernel's addresses in prefixes that are advertised no more: no new connection
    /// uses them (RFC 4862 §5.5.4). If such a prefix is advertised again, the kernel itself makes
    /// its address preferred.
    fn deprecate_stale(self, desired: &mut Desired) {
        let first = (self.link.index, Ipv6Addr::UNSPECIFIED);
        let last = (self.link.index, Ipv6Addr::from(u128::MAX));
        let here = || self.facts.system.addresses.range(first..=last).map(|(_, has)| has);
        for has in here().filter(|has| has.preferred_until > Until::At(self.now + SOON)) {
            let Some(subnet) = subnet_of(has) else { continue };
            let Some(stale) = self.heard.stale.iter().find(|stale| stale.prefix == subnet) else {
                continue;
            };
            let is_formed = match has.origin {
                Origin::Advertisement => true,
                // Another program may have set the address that it stands beside.
                Origin::Temporary => here().any(|other| {
                    other.origin == Origin::Advertisement && subnet_of(other) == Some(subnet)
                }),
                Origin::Other => false,
            };
            if is_formed {
                desired.want(Object::Deprecation(Deprecation {
                    interface: self.link.index,
                    address: has.address,
                    has_route: has_route(stale, has),
                }));
            }
        }
    }

    /// Removes the kernel's routes through a router that does not answer while another router does.
    fn drop_lost_routers(self, desired: &mut Desired) {
        for router in self.heard.default_routers.iter().filter(|router| router.silent) {
            let name = self.link.name.clone();
            desired.silent_routers.insert((name, router.address));
            if self.heard.is_managed_elsewhere {
                continue;
            }
            let specific = self.heard.routes.iter().filter(|route| route.router == router.address);
            let specific = specific.map(|route| route.destination);
            for destination in std::iter::once(Ipv6Net::default()).chain(specific) {
                let lost = Object::LostRouter(self.link.index, router.address, destination);
                desired.want(lost);
            }
        }
    }
}

fn subnet_of(address: &KernelAddress) -> Option<Ipv6Net> {
    Ipv6Net::new(address.address, address.prefix_len).ok().map(|subnet| subnet.trunc())
}

/// Whether the kernel's route to the subnet ends with the address.
fn has_route(stale: &StalePrefix, address: &KernelAddress) -> bool {
    match (stale.on_link_until, address.valid_until) {
        (Until::Never, _) => true,
        (Until::At(_), Until::Never) => false,
        (Until::At(on_link), Until::At(valid)) => on_link + SOON >= valid,
    }
}
