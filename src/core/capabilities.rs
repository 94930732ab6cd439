//! What kernels do differently, as far as it matters to what is asked of them.

/// The metric of all routes where routes have none, so that what is asked for equals what is there.
pub const ONLY_METRIC: u32 = 248;

/// What the kernel of this machine can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capabilities {
    /// Several routes to one destination stand beside each other and the best metric is used.
    /// Elsewhere they would share the traffic: one of them is asked for.
    pub routes_have_metrics: bool,
    /// The kernel keeps the end of an unreachable route and removes it then. Elsewhere such a route
    /// is asked for without an end: one that is wanted would be a difference for ever.
    pub unreachable_routes_end: bool,
    /// The kernel makes the route to a link with an address of it, and takes it away with the last
    /// one; a route that is set beside leads to no neighbor. Elsewhere such a route is asked for.
    pub addresses_bring_link_routes: bool,
    /// Remedies on this system for conditions that the agent names.
    pub remedies: &'static Remedies,
}

impl Capabilities {
    /// What Linux can do.
    pub const LINUX: Self = Self {
        routes_have_metrics: true,
        unreachable_routes_end: false,
        addresses_bring_link_routes: false,
        remedies: &Remedies::LINUX,
    };

    /// What FreeBSD can do: its routes have weights in place of metrics, all of them may have an
    /// end, and the routes to links are its own.
    pub const FREEBSD: Self = Self {
        routes_have_metrics: false,
        unreachable_routes_end: true,
        addresses_bring_link_routes: true,
        remedies: &Remedies::FREEBSD,
    };
}

/// Remedies that are others on each system, as they stand in status and log.
#[derive(PartialEq, Eq, Debug)]
pub struct Remedies {
    /// The machine is to forward IPv6.
    pub forwarding: &'static str,
    /// An interface is to be up.
    pub interface_up: &'static str,
    /// An interface is to have a link-local address.
    pub link_local: &'static str,
    /// The kernel is to follow router advertisements on an interface of a host.
    pub follow_advertisements: &'static str,
    /// The kernel is to make an address of what is advertised on an interface of a host.
    pub form_addresses: &'static str,
    /// The machine is to answer Neighbor Solicitations from outside of the prefixes of a link.
    pub answer_off_link: &'static str,
}

impl Remedies {
    /// Those of Linux.
    pub const LINUX: Self = Self {
        forwarding: "write forward = true at the top of the configuration, or run sysctl -w \
                     net.ipv6.conf.all.forwarding=1",
        interface_up: "ip link set the interface up, and look at its cable or peer",
        link_local: "give it one: set addr_gen_mode to 0 and disable_ipv6 to 0 below \
                     net.ipv6.conf.IF, and look for a duplicate of its address on the link",
        follow_advertisements: "leave the interface to the program that manages it, or have the \
                                kernel make addresses: sysctl -w net.ipv6.conf.IF.accept_ra=1, \
                                and start anew",
        form_addresses: "sysctl -w net.ipv6.conf.IF.accept_ra=1, and the same with accept_ra_pinfo \
                         and autoconf; with max_addresses make room for more; where dmesg names \
                         an overflow of ndisc_cache, raise net.ipv6.neigh.default.gc_thresh3",
        answer_off_link: "none is needed on Linux, which answers them",
    };

    /// Those of FreeBSD.
    pub const FREEBSD: Self = Self {
        forwarding: "sysctl net.inet6.ip6.forwarding=1 and ipv6_gateway_enable=\"YES\" in \
                     /etc/rc.conf, or start the agent with --forward",
        interface_up: "ifconfig the interface up, and look at its cable or peer",
        link_local: "give it one: ifconfig IF inet6 -ifdisabled auto_linklocal; for interfaces \
                     that come later, sysctl net.inet6.ip6.auto_linklocal=1 does it; and look for \
                     a duplicate of its address on the link",
        follow_advertisements: "leave the interface to the program that manages it, or have the \
                                kernel make addresses: ifconfig IF inet6 accept_rtadv, and start \
                                anew",
        form_addresses: "ifconfig IF inet6 accept_rtadv -ifdisabled, and look whether \
                         net.inet6.ip6.forwarding is 0",
        answer_off_link: "sysctl net.inet6.icmp6.nd6_onlink_ns_rfc4861=1, and the same in \
                          /etc/sysctl.conf",
    };
}
