//! How the routers of a site do their jobs.

#![allow(unreachable_pub, reason = "shared by the tests of one binary")]

/// How a router does its jobs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// The agent does all of it.
    BuiltIn,
    /// dhcpcd, dhcp6s and radvd, led by the agent.
    Company,
    /// dhcpcd, dhcp6s, radvd and the hooks of the article, without the agent.
    Article,
    /// dhcpcd and radvd, led by the agent, which relays for the router below.
    Relay,
    /// The same, but dhcp6relay relays beside the agent.
    RelayOfOthers,
}

impl Way {
    /// Whether the router below asks the router above.
    pub const fn relays(self) -> bool {
        matches!(self, Self::Relay | Self::RelayOfOthers)
    }

    /// Whether the agent leads programs.
    pub const fn is_led(self) -> bool {
        matches!(self, Self::Company | Self::Relay | Self::RelayOfOthers)
    }
}
