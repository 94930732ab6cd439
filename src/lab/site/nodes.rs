//! The site of a benchmark: its nodes, their prefixes in each era, their configurations.

use std::fmt::Write as _;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

/// Lies beyond the provider and never changes.
pub const TARGET: Ipv6Addr = Ipv6Addr::new(0x3fff, 0xfff, 0, 0, 0, 0, 0, 1);
/// The provider's interface towards the site.
pub const PROVIDER_DOWNLINK: &str = "isp0";
/// A router's interface towards the provider.
pub const UPLINK: &str = "up0";
/// A router's interface away from the provider.
pub const DOWNLINK: &str = "down0";
/// A port of the switch between a router and several clients, before its number.
pub const PORT: &str = "port";
/// A client's interface.
pub const CLIENT: &str = "eth0";

/// The routers from the provider's side on, each with the length of its delegated prefix.
const ROUTERS: [(&str, u8); 6] =
    [("outbound", 48), ("backbone", 52), ("wlan", 56), ("lab", 60), ("attic", 61), ("shed", 62)];
/// The most routers that can stand in a row.
pub const MOST_HOPS: usize = ROUTERS.len();

/// How many routers and clients there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Site {
    /// Routers between provider and clients, 1 to [`MOST_HOPS`].
    pub hops: usize,
    /// Clients of the last router, 1 or more.
    pub clients: usize,
}

/// A system of the site; routers and clients are numbered from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Node {
    /// The provider.
    Isp,
    /// A router, by its number of hops from the provider.
    Router(usize),
    /// A client.
    Client(usize),
}

/// The programs that do a router's jobs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engines {
    /// The agent.
    BuiltIn,
    /// dhcpcd, dhcp6s and radvd, led by the agent.
    Others,
}

/// The time in which the provider gives one pair of prefixes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Era(pub u16);

impl Site {
    /// All its systems, from the provider's side on.
    pub fn nodes(&self) -> impl Iterator<Item = Node> + use<> {
        let routers = (1..=self.hops).map(Node::Router);
        std::iter::once(Node::Isp).chain(routers).chain((1..=self.clients).map(Node::Client))
    }

    /// The prefix that clients have their addresses in.
    pub fn client_prefix(&self, era: Era) -> Ipv6Net {
        era.subnet(self.hops)
    }

    /// The configuration of the agent on `node`; none for a client, which is a bare kernel.
    pub fn config(&self, node: Node, era: Era, engines: Engines) -> Option<String> {
        let is_led = node != Node::Isp && engines == Engines::Others;
        let led = |line: &'static str| if is_led { line } else { "" };
        let depth = match node {
            Node::Isp => 0,
            Node::Router(depth) => depth,
            Node::Client(_) => return None,
        };
        // Writing to a string cannot fail.
        let mut text = format!("duid = \"{}\"\n", duid(depth));
        let (downlink, from) = match node {
            Node::Isp => (PROVIDER_DOWNLINK, "from = \"wan\"\n"),
            Node::Router(_) | Node::Client(_) => (DOWNLINK, ""),
        };
        if depth == 0 {
            for (name, prefix) in [("wan", era.wan()), ("site", era.delegated(1))] {
                let _ = writeln!(text, "\n[static.{name}]\nprefix = \"{prefix}\"");
            }
        } else {
            let length = length(depth);
            let _ = writeln!(
                text,
                "\n[uplink.{UPLINK}]\ndelegate = [{{ iaid = 1, length = {length} }}]\n{}",
                led("requester = \"dhcpcd\"\n")
            );
        }
        let advertiser = led("advertiser = \"radvd\"\n");
        let delegator = if depth < self.hops { led("delegator = \"dhcp6s\"\n") } else { "" };
        let _ = writeln!(
            text,
            "\n[downlink.{downlink}]\nsubnet = \"0x0/64\"\n{from}{advertiser}{delegator}"
        );
        if depth < self.hops {
            let (below, from) = (depth + 1, if depth == 0 { "from = \"site\"\n" } else { "" });
            let (name, number) = (Node::Router(below).name(), usize::from(depth > 0));
            let _ = writeln!(
                text,
                "[delegation.{name}]\ndownlink = \"{downlink}\"\nduid = \"{}\"\niaid = 1\n\
                 prefix = \"{number:#x}/{}\"\n{from}{}",
                duid(below),
                length(below),
                led("next-hop = \"fe80::2\"\n"),
            );
        }
        Some(text)
    }
}

impl Node {
    /// What it is called.
    pub fn name(self) -> String {
        match self {
            Self::Isp => "isp".to_owned(),
            Self::Router(depth) => router(depth).0.to_owned(),
            Self::Client(number) => format!("client{number}"),
        }
    }
}

impl Era {
    /// The one that follows.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// One that does not last, before this one. There are fewer eras than this has bits.
    #[must_use]
    pub const fn interlude(self) -> Self {
        Self(self.0 | 0x4000)
    }

    /// The prefix of the link between provider and site.
    pub fn wan(self) -> Ipv6Net {
        net([0x2001, 0xdb8, self.0, 0xffff], 64)
    }

    /// What the router at this depth, from 1 on, is delegated: place 1 of what the router above
    /// has, and the first all that the provider gives.
    pub fn delegated(self, depth: usize) -> Ipv6Net {
        let mut bits = u128::from(net([0x2001, 0xdb8, 0x8000 | self.0, 0], 48).network());
        for below in 2..=depth {
            bits |= 1 << (128 - u32::from(length(below)));
        }
        Ipv6Net::new_assert(bits.into(), length(depth))
    }

    /// What the router at this depth advertises downstream, and the provider at depth 0.
    pub fn subnet(self, depth: usize) -> Ipv6Net {
        if depth == 0 {
            return self.wan();
        }
        Ipv6Net::new_assert(self.delegated(depth).network(), 64)
    }
}

fn router(depth: usize) -> (&'static str, u8) {
    ROUTERS.get(depth.saturating_sub(1)).copied().unwrap_or(("router", 64))
}

/// The length of the prefix that the router at this depth is delegated.
pub fn length(depth: usize) -> u8 {
    router(depth).1
}

const fn net(head: [u16; 4], length: u8) -> Ipv6Net {
    let [a, b, c, d] = head;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), length)
}

/// The DUID of the router at this depth, as text.
pub fn duid(depth: usize) -> String {
    format!("00:04:{}{depth:02x}", "00:".repeat(15))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delegations_nest_and_subnets_do_not_overlap() {
        let era = Era(7);
        assert_eq!(era.wan().to_string(), "2001:db8:7:ffff::/64");
        assert_eq!(era.delegated(1).to_string(), "2001:db8:8007::/48");
        assert_eq!(era.delegated(2).to_string(), "2001:db8:8007:1000::/52");
        assert_eq!(era.delegated(4).to_string(), "2001:db8:8007:1110::/60");
        assert_eq!(era.delegated(6).to_string(), "2001:db8:8007:111c::/62");
        for depth in 1..MOST_HOPS {
            assert!(era.delegated(depth).contains(&era.delegated(depth + 1)), "{depth}");
            assert!(!era.delegated(depth + 1).contains(&era.subnet(depth)), "{depth}");
        }
        assert!(!era.delegated(1).contains(&era.wan()));
    }

    #[test]
    fn every_agent_has_a_valid_configuration() {
        for hops in 1..=MOST_HOPS {
            let site = Site { hops, clients: 1 };
            let engines = [Engines::BuiltIn, Engines::Others];
            for (node, engines) in site.nodes().flat_map(|node| engines.map(|led| (node, led))) {
                let Some(text) = site.config(node, Era(1), engines) else { continue };
                let config = crate::config::file::parse(&node.name(), &text).unwrap();
                assert_eq!(config.uplinks.is_empty(), node == Node::Isp);
                let delegates = node != Node::Router(hops);
                assert_eq!(config.delegations.len(), usize::from(delegates), "{node:?}");
                let led = if engines == Engines::BuiltIn || node == Node::Isp {
                    0
                } else {
                    2 + usize::from(delegates)
                };
                assert_eq!(config.engines_in_use().count(), led, "{node:?} {text}");
            }
        }
    }

    #[test]
    fn the_site_is_named_from_the_provider_on() {
        let site = Site { hops: 3, clients: 2 };
        let names: Vec<String> = site.nodes().map(Node::name).collect();
        assert_eq!(names, ["isp", "outbound", "backbone", "wlan", "client1", "client2"]);
    }
}
