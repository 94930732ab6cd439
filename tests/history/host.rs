//! A host on a link of the world: its kernel forms addresses of what is advertised there, and what
//! no router advertises any more is deprecated in the end.

use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;
use renumberd::core::input::{Input, Received};
use renumberd::core::kernel::system::{KernelAddress, KernelEvent, Origin};
use renumberd::sim::kernel::foreign;
use renumberd::time::Until;
use renumberd::wire::ndp::RouterAdvertisement;
use renumberd::wire::ndp_option::{NdpOption, PrefixInformation};

use super::World;

/// What the kernel adds to a prefix.
const IDENTIFIER: u128 = 0x7e57;
/// Linux takes so many addresses on one interface.
const MAX_ADDRESSES: usize = 16;
/// What ends so soon the agent leaves to the kernel.
const SOON: Duration = Duration::from_secs(5);

/// The configurations of hosts: routers on the other side, and hosts alone.
pub fn configs() -> [String; 4] {
    let router = "[uplink.dsl]\ndelegate = [{ iaid = 1 }, { iaid = 2 }]\n[downlink.lan]\n";
    [
        format!("[client.up]\n{router}"),
        format!("[client.up]\ndelegate = true\n{router}"),
        format!("[client.up]\nmend = false\nregister-addresses = false\nforce = true\n{router}"),
        "[client.up]\nmanaged-script = \"/opt/managed\"\nalways-script = \"/opt/always\"\n\
         resolver = \"resolvconf\"\nresolver-per-router = true\n[client.dsl]\ndelegate = true\n\
         networks = \"/opt/networks\"\n[static.home]\nprefix = \"fd00:1::/48\"\n[downlink.lan]\n"
            .to_owned(),
    ]
}

impl World {
    /// Whether the agent asks for prefixes on an uplink, as routers do.
    pub fn is_router_on(&self, name: &str) -> bool {
        let uplink = self.configs[self.config].uplinks.get(name);
        uplink.is_some_and(|uplink| uplink.client.is_none())
    }

    fn is_host_on(&self, name: &str) -> bool {
        let uplink = self.configs[self.config].uplinks.get(name);
        uplink.is_some_and(|uplink| uplink.client.is_some())
    }

    /// The kernel has the same packets as the agent.
    pub fn follow_as_kernel(&mut self, input: &Input) {
        let Input::Icmpv6(Received { interface, source, octets, .. }) = input else { return };
        let link = self.node.kernel.system().links.get(interface);
        let Some(link) = link.filter(|link| link.running && self.is_host_on(&link.name)) else {
            return;
        };
        let interface = link.index;
        if octets.first() != Some(&134) || !source.is_unicast_link_local() {
            return;
        }
        let Ok(advertisement) = RouterAdvertisement::decode(octets) else { return };
        for option in &advertisement.options {
            if let NdpOption::Prefix(pio) = option
                && let Some(formed) = self.formed(interface, pio)
            {
                self.node.kernel.change(KernelEvent::Address(formed));
            }
        }
    }

    /// The address that the kernel has of a prefix (RFC 4862 §5.5.3), if it forms one.
    fn formed(
        &self,
        interface: renumberd::net::IfIndex,
        pio: &PrefixInformation,
    ) -> Option<KernelAddress> {
        let is_usable = pio.autonomous
            && pio.prefix.prefix_len() == 64
            && pio.preferred <= pio.valid
            && !pio.prefix.addr().is_unicast_link_local()
            && !pio.prefix.addr().is_multicast();
        let address = Ipv6Addr::from_bits(pio.prefix.network().to_bits() | IDENTIFIER);
        let addresses = &self.node.kernel.system().addresses;
        let known = addresses.get(&(interface, address));
        let here = addresses.keys().filter(|(at, _)| *at == interface).count();
        if !is_usable || known.is_none() && (pio.valid.is_zero() || here >= MAX_ADDRESSES) {
            return None;
        }
        let mut valid_until = Until::after(self.now, pio.valid);
        if let Some(known) = known {
            let two_hours = Until::At(self.now + Duration::from_secs(7200));
            if valid_until < known.valid_until && valid_until < two_hours {
                valid_until = known.valid_until.min(two_hours);
            }
        }
        Some(KernelAddress {
            preferred_until: Until::after(self.now, pio.preferred),
            valid_until,
            origin: Origin::Advertisement,
            ..foreign(interface, address)
        })
    }

    /// Where the agent mends, no address is preferred whose prefix it has found missing.
    pub fn check_hosts(&self) {
        let config = &self.configs[self.config];
        let status = self.node.core.status(self.now);
        for (name, uplink) in &config.uplinks {
            let Some(client) = uplink.client.as_ref().filter(|client| client.mend) else {
                continue;
            };
            let (Some(index), Some(seen)) = (self.index(name), status.uplinks.get(name)) else {
                continue;
            };
            let is_missing = |prefix: &Ipv6Net| {
                let views = seen.routers.iter().flat_map(|router| &router.prefixes);
                let mut views = views.filter(|view| view.prefix == *prefix).peekable();
                views.peek().is_some()
                    && views.all(|view| matches!(view.condition.as_str(), "missing" | "withdrawn"))
            };
            let kernel = self.node.kernel.system().addresses.values();
            let formed = kernel.filter(|has| {
                has.interface == index && has.origin == Origin::Advertisement && !has.ours
            });
            for has in formed.filter(|has| has.preferred_until > Until::At(self.now + SOON)) {
                let prefix = Ipv6Net::new(has.address, 64).unwrap().trunc();
                assert!(!is_missing(&prefix), "{prefix} is preferred on {name}: {client:?}");
            }
        }
    }
}
