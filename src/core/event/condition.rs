//! Named conditions as values: faults that only the running system shows, each with its subject.

use std::fmt;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Serialize, Serializer};

use super::{Kept, RefusedStep};
use crate::config::Job;
use crate::core::client::Published;
use crate::core::desired::Conflict;
use crate::core::engine::Trouble;
use crate::core::plan::Unassigned;
use crate::core::uplink::lease::Refusal;
use crate::wire::dhcpv6_option::{Duid, Iaid};

/// A condition that an operator should mend. Its `Display` is a sentence with the remedy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "condition", rename_all = "kebab-case")]
pub enum Condition {
    /// This machine does not forward IPv6.
    ForwardingOff {
        /// The remedy on this system.
        #[serde(skip)]
        remedy: &'static str,
    },
    /// Data that have to survive this run are not on disk (STO-09).
    MemoryNotWritten {
        /// Why they cannot be written.
        text: String,
    },
    /// There is no interface of this name.
    InterfaceAbsent,
    /// The interface has no carrier, or was set down.
    InterfaceDown {
        /// The remedy on this system.
        #[serde(skip)]
        remedy: &'static str,
    },
    /// The interface has no link-local address to send from.
    NoLinkLocal {
        /// The remedy on this system.
        #[serde(skip)]
        remedy: &'static str,
    },
    /// This machine has no global address on the interface, and ignores Neighbor Solicitations that
    /// come from one, although RFC 4861 §7.2.3 has it answer them.
    NeighborsIgnored {
        /// The remedy on this system.
        #[serde(skip)]
        remedy: &'static str,
    },
    /// The kernel does not follow advertisements on the interface of a host, and this agent has not
    /// switched that off.
    ManagedElsewhere {
        /// The agent deprecates stale addresses of the kernel all the same.
        mends: bool,
        /// The remedy on this system.
        #[serde(skip)]
        remedy: &'static str,
    },
    /// The kernel forms no address from the prefixes that routers advertise.
    AddressNotFormed {
        /// An advertised prefix.
        prefix: Ipv6Net,
        /// The remedy on this system.
        #[serde(skip)]
        remedy: &'static str,
    },
    /// Routers are heard, and none of them is a default router.
    NoDefaultRouter {
        /// This machine is a host there: its kernel has the default route.
        #[serde(skip)]
        is_host: bool,
    },
    /// The provider does not route a delegated prefix.
    DelegatedNotRouted {
        /// The delegated prefix.
        prefix: Ipv6Net,
        /// The address from which no echo reply comes back.
        target: Ipv6Addr,
    },
    /// No router is heard on an uplink.
    NoRouter {
        /// For how many seconds.
        silent_for: u64,
        /// The delegated prefixes that are used meanwhile; none where there are none.
        kept: Option<Kept>,
    },
    /// No DHCPv6 server answers on an uplink.
    ServerSilent {
        /// For how many seconds.
        silent_for: u64,
        /// The delegated prefixes that are used meanwhile.
        kept: Kept,
    },
    /// Servers answer without granting a prefix for an IA_PD.
    PrefixUnavailable {
        /// The IA_PD.
        iaid: Iaid,
        /// The server that answered last.
        server: Duid,
        /// The status code of the answer.
        answer: String,
        /// For how many seconds.
        lacking_for: u64,
        /// In how many seconds servers are asked again; none when a router has to advertise first.
        again_in: Option<u64>,
        /// The delegated prefixes that are used meanwhile.
        kept: Kept,
    },
    /// A server gives a prefix that this router refuses.
    PrefixRefused {
        /// The prefix.
        prefix: Ipv6Net,
        /// Why it is refused.
        #[serde(serialize_with = "label")]
        reason: Refusal,
    },
    /// Another node uses an address of ours.
    DuplicateAddress {
        /// The address.
        address: Ipv6Addr,
    },
    /// A default router does not answer, while another one does.
    RouterSilent {
        /// Its address.
        router: Ipv6Addr,
    },
    /// A router advertises a prefix that overlaps one delegated to us.
    PrefixConflict {
        /// The advertised prefix.
        prefix: Ipv6Net,
        /// The delegated prefix, and which of the two is used.
        #[serde(flatten)]
        conflict: Conflict,
    },
    /// A downlink gets no subnet of a delegated prefix.
    WithoutSubnet {
        /// The delegated prefix.
        prefix: Ipv6Net,
        /// Why.
        reason: Unassigned,
    },
    /// A configured delegation gets no part of a delegated prefix.
    WithoutPrefix {
        /// The delegated prefix.
        prefix: Ipv6Net,
        /// Why.
        reason: Unassigned,
    },
    /// There is no room for more relayed leases.
    RelayTableFull,
    /// A requesting router asks for a delegation whose holder still answers (SEC-18).
    DelegationContested {
        /// The router that asks for it.
        newcomer: Newcomer,
        /// Its holder.
        holder: Ipv6Addr,
        /// The DUID of the holder.
        duid: Duid,
        /// The IAID of the holder's binding.
        iaid: Iaid,
    },
    /// Bindings have a next hop that is no neighbor.
    NextHopOffLink {
        /// How many.
        count: usize,
        /// The next hop of the first.
        next_hop: Ipv6Addr,
    },
    /// Another program has leased prefixes to routers whose place is not known.
    NextHopUnknown {
        /// How many.
        count: usize,
        /// The first of them.
        prefix: Ipv6Net,
        /// The router that holds it.
        duid: Duid,
    },
    /// A program in a built-in's place has a fault.
    Engine {
        /// The job.
        job: Job,
        /// The kind.
        trouble: Trouble,
        /// The fault and its remedy.
        text: String,
    },
    /// A file or command for other programs of this host fails.
    NotPublished {
        /// The kind of publication.
        published: Published,
        /// The fault and its remedy.
        text: String,
    },
    /// UDP port 546 cannot be opened.
    ClientPortTaken {
        /// The kernel's answer.
        #[serde(flatten)]
        refused: RefusedStep,
    },
    /// UDP port 547 cannot be opened.
    ServerPortTaken {
        /// The kernel's answer.
        #[serde(flatten)]
        refused: RefusedStep,
    },
    /// The kernel refuses steps.
    Refused {
        /// The first of them.
        #[serde(flatten)]
        refused: RefusedStep,
        /// How often in a row it was refused.
        times: u32,
        /// How many other steps are refused.
        others: usize,
    },
}

/// A requesting router that asks for a delegation of another one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Newcomer {
    /// Its address.
    pub address: Ipv6Addr,
    /// The DUID that it names.
    pub duid: Option<Duid>,
    /// The relay agent that forwards its messages; none for a neighbor.
    pub relay: Option<Ipv6Addr>,
}

impl Condition {
    /// Its stable name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ForwardingOff { .. } => "forwarding-off",
            Self::InterfaceAbsent => "interface-absent",
            Self::MemoryNotWritten { .. } => "memory-not-written",
            Self::InterfaceDown { .. } => "interface-down",
            Self::NoLinkLocal { .. } => "no-link-local",
            Self::NeighborsIgnored { .. } => "neighbors-ignored",
            Self::ManagedElsewhere { .. } => "managed-elsewhere",
            Self::AddressNotFormed { .. } => "address-not-formed",
            Self::NoDefaultRouter { .. } => "no-default-router",
            Self::DelegatedNotRouted { .. } => "delegated-not-routed",
            Self::NoRouter { .. } => "no-router",
            Self::ServerSilent { .. } => "server-silent",
            Self::PrefixUnavailable { .. } => "prefix-unavailable",
            Self::PrefixRefused { .. } => "prefix-refused",
            Self::DuplicateAddress { .. } => "duplicate-address",
            Self::RouterSilent { .. } => "router-silent",
            Self::PrefixConflict { .. } => "prefix-conflict",
            Self::WithoutSubnet { .. } => "without-subnet",
            Self::WithoutPrefix { .. } => "without-prefix",
            Self::RelayTableFull => "relay-table-full",
            Self::DelegationContested { .. } => "delegation-contested",
            Self::NextHopOffLink { .. } => "next-hop-off-link",
            Self::NextHopUnknown { .. } => "next-hop-unknown",
            Self::Engine { trouble, .. } => trouble.name(),
            Self::NotPublished { .. } => "not-published",
            Self::ClientPortTaken { .. } => "client-port-taken",
            Self::ServerPortTaken { .. } => "server-port-taken",
            Self::Refused { .. } => "refused",
        }
    }

    /// The address, prefix or IA_PD in question, where one interface can have several conditions of
    /// the kind at a time.
    pub fn which(&self) -> Option<String> {
        match self {
            Self::PrefixUnavailable { iaid, .. } => Some(format!("IA_PD {iaid}")),
            Self::PrefixRefused { prefix, .. }
            | Self::PrefixConflict { prefix, .. }
            | Self::WithoutSubnet { prefix, .. }
            | Self::WithoutPrefix { prefix, .. } => Some(prefix.to_string()),
            Self::DuplicateAddress { address } => Some(address.to_string()),
            Self::RouterSilent { router } => Some(router.to_string()),
            Self::DelegationContested { holder, .. } => Some(holder.to_string()),
            Self::Engine { job, .. } => Some(job.to_string()),
            Self::NotPublished { published, .. } => Some(published.to_string()),
            Self::ForwardingOff { .. }
            | Self::MemoryNotWritten { .. }
            | Self::InterfaceAbsent
            | Self::InterfaceDown { .. }
            | Self::NoLinkLocal { .. }
            | Self::NeighborsIgnored { .. }
            | Self::ManagedElsewhere { .. }
            | Self::AddressNotFormed { .. }
            | Self::NoDefaultRouter { .. }
            | Self::DelegatedNotRouted { .. }
            | Self::NoRouter { .. }
            | Self::ServerSilent { .. }
            | Self::RelayTableFull
            | Self::NextHopOffLink { .. }
            | Self::NextHopUnknown { .. }
            | Self::ClientPortTaken { .. }
            | Self::ServerPortTaken { .. }
            | Self::Refused { .. } => None,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForwardingOff { remedy } => write!(
                f,
                "this machine does not forward IPv6, so it is advertised as no default router; \
                 switch it on: {remedy}"
            ),
            Self::MemoryNotWritten { text } => write!(f, "{text}; {}", self.remedy()),
            Self::InterfaceAbsent => {
                write!(f, "there is no such interface yet; {}", self.remedy())
            }
            Self::InterfaceDown { remedy } => {
                write!(f, "the interface is down or has no carrier; {remedy}")
            }
            Self::NoLinkLocal { remedy } => write!(
                f,
                "the interface has no usable link-local address, so nothing can be sent; {remedy}"
            ),
            Self::NeighborsIgnored { remedy } => write!(
                f,
                "this machine has no global address on the interface, so it ignores Neighbor \
                 Solicitations from a neighbor that has one, which may not reach it; {remedy}"
            ),
            Self::ManagedElsewhere { mends, remedy } => write!(
                f,
                "the kernel does not follow advertisements here, so another program \
                 (NetworkManager, systemd-networkd, dhcpcd) manages this interface, or none does: \
                 nothing is solicited or published here{}; {remedy}",
                if *mends { ", and only addresses that the kernel made are mended" } else { "" }
            ),
            Self::AddressNotFormed { prefix, remedy } => write!(
                f,
                "{prefix} is advertised, and the kernel has made no address in it, nor in another \
                 prefix; {remedy}"
            ),
            Self::NoDefaultRouter { is_host } => {
                let follows = if *is_host {
                    "this host learns no default route"
                } else {
                    "there is no default route, and this machine is advertised as no default router"
                };
                write!(
                    f,
                    "routers are heard here, and all with a Router Lifetime of 0: {follows}; {}",
                    self.remedy()
                )
            }
            Self::DelegatedNotRouted { prefix, target } => write!(
                f,
                "{prefix} is delegated, but nothing comes back to it from {target}: ask the \
                 provider to route it, or name an address to probe that answers"
            ),
            Self::NoRouter { silent_for, kept } => {
                write!(
                    f,
                    "no router has been heard for {silent_for} s, and solicitations go on; is there \
                     one, and does its ICMPv6 get here?"
                )?;
                kept.as_ref().map_or(Ok(()), |kept| write!(f, " {kept}"))
            }
            Self::ServerSilent { silent_for, kept } => write!(
                f,
                "no DHCPv6 server has answered for {silent_for} s, and questions go on; is there \
                 one, and do UDP ports 546 and 547 pass? {kept}"
            ),
            Self::PrefixUnavailable { iaid, server, answer, lacking_for, again_in, kept } => {
                write!(
                    f,
                    "servers have given no prefix for IA_PD {iaid} for {lacking_for} s, the last \
                     that answered was {server}: {answer}; they are asked again "
                )?;
                match again_in {
                    Some(seconds) => write!(f, "in {seconds} s. {kept}"),
                    None => write!(f, "when a router advertises something new. {kept}"),
                }
            }
            Self::PrefixRefused { prefix, reason } => {
                write!(f, "a server gives {prefix}, which is refused: {reason}; {}", self.remedy())
            }
            Self::DuplicateAddress { address } => write!(
                f,
                "{address} is in use by another node; it is tried again when the link comes up \
                 anew"
            ),
            Self::RouterSilent { router } => write!(
                f,
                "{router} does not answer, while another default router is heard, which is used \
                 before it; if it was replaced for good, nothing has to be done"
            ),
            Self::PrefixConflict { prefix, conflict } => write_conflict(f, *prefix, *conflict),
            Self::WithoutSubnet { prefix, reason } | Self::WithoutPrefix { prefix, reason } => {
                write_without(f, *prefix, *reason)?;
                write!(f, "; {}", self.remedy())
            }
            Self::RelayTableFull => write!(
                f,
                "the table of leases that have been relayed is full: for each further one that \
                 which ends first of the router with most of them loses its route; {}",
                self.remedy()
            ),
            Self::DelegationContested { newcomer, holder, duid, iaid } => write!(
                f,
                "{newcomer} asks for what {holder} (DUID {duid}) has been given as IA_PD {iaid}, \
                 and that still answers: nothing is given to the former; if it is the right one, \
                 switch the latter off, and if both are, give each a DUID of its own"
            ),
            Self::NextHopOffLink { count, next_hop } => write!(
                f,
                "{count} of its bindings have no route, the first with the next hop {next_hop}, \
                 which is no neighbor: name one that is, with next-hop, in [delegation.NAME]"
            ),
            Self::NextHopUnknown { count, prefix, duid } => write!(
                f,
                "{count} of the leases of its delegator have no route, the first {prefix} of DUID \
                 {duid}: no message of that router has been seen on the link; its next message \
                 shows its address, and one that is behind a relay agent needs a \
                 [delegation.NAME] with its next-hop"
            ),
            Self::Engine { job, text, .. } => write!(f, "{job}: {text}"),
            Self::NotPublished { published, text } => write!(f, "{published}: {text}"),
            Self::ClientPortTaken { refused } => {
                write!(f, "{refused}, and no prefix is asked for without it")?;
                let others = "client (dhcpcd, dhclient, systemd-networkd)";
                write_port_holder(f, refused, others)
            }
            Self::ServerPortTaken { refused } => {
                write!(f, "{refused}, and nothing is delegated or relayed without it")?;
                write_port_holder(f, refused, "server (dhcp6s, Kea, dnsmasq)")
            }
            Self::Refused { refused, times, others } => {
                write!(f, "{refused}, {times} times")?;
                if *others > 0 {
                    write!(f, ", and {others} more")?;
                }
                write!(f, "; {}", self.remedy())
            }
        }
    }
}

/// Names the program that may have the port open, unless a right is missing.
fn write_port_holder(
    f: &mut fmt::Formatter<'_>,
    refused: &RefusedStep,
    others: &str,
) -> fmt::Result {
    if !refused.lacks_right() {
        write!(f, ": does another DHCPv6 {others} run here?")?;
        return f.write_str(" It is tried again");
    }
    f.write_str("; it is tried again")
}

fn write_conflict(
    f: &mut fmt::Formatter<'_>,
    advertised: Ipv6Net,
    conflict: Conflict,
) -> fmt::Result {
    match conflict {
        Conflict::Around(ours) => write!(
            f,
            "a router advertises {advertised} as on-link, around {ours} which is delegated to us \
             and stays ours; if it is none of yours, name the routers to believe: routers = [...]"
        ),
        Conflict::Unassigned(ours) => write!(
            f,
            "a router advertises {advertised}, a part of {ours} which is delegated to us; nobody \
             behind us has that part, so it is used; have the delegating router exclude it \
             (RFC 6603), and give no subnet that place"
        ),
        Conflict::Assigned(ours) => write!(
            f,
            "a router advertises {advertised}, but {ours} is delegated to us, so it is not used; \
             give the subnet or delegation another place, or if the router is none of yours, name \
             the routers to believe: routers = [...]"
        ),
    }
}

fn write_without(f: &mut fmt::Formatter<'_>, prefix: Ipv6Net, reason: Unassigned) -> fmt::Result {
    match reason {
        Unassigned::TooLong => write!(f, "{prefix} is smaller than its place"),
        Unassigned::Taken => {
            write!(f, "its place does not exist in {prefix}, and where it folds to is taken")
        }
        Unassigned::Full => {
            write!(f, "there is no room left in {prefix}")
        }
        Unassigned::Excluded => write!(f, "its place in {prefix} is kept by the delegating router"),
    }
}

/// A refusal by its label.
fn label<S: Serializer>(refusal: &Refusal, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(refusal.label())
}
