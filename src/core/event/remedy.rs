//! The remedy for each condition.

use super::Condition;
use crate::config::Job;
use crate::core::desired::Conflict;
use crate::core::engine::Trouble;
use crate::core::plan::Unassigned;

impl Condition {
    /// The remedy, as far as it follows from the kind of the condition.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::ForwardingOff { remedy }
            | Self::InterfaceDown { remedy }
            | Self::NoLinkLocal { remedy }
            | Self::NeighborsIgnored { remedy }
            | Self::ManagedElsewhere { remedy, .. }
            | Self::AddressNotFormed { remedy, .. } => remedy,
            Self::InterfaceAbsent => {
                "create the interface or correct its name in the configuration; it is used as soon \
                 as it is there"
            }
            Self::NoDefaultRouter { is_host: true } => {
                "look at the router, and whether another node advertises in its name; nothing if \
                 this network is to lead nowhere"
            }
            Self::NoDefaultRouter { is_host: false } => {
                "look at the router above, or ask the provider; write default-route = false in \
                 [uplink.NAME] if that is meant"
            }
            Self::DelegatedNotRouted { .. } => {
                "ask the provider to route the prefix, or name an address to probe that answers"
            }
            Self::NoRouter { .. } => {
                "look whether a router is on that link and a packet filter lets ICMPv6 pass: \
                 renumberd doctor"
            }
            Self::ServerSilent { .. } => {
                "look whether the provider delegates prefixes and a packet filter lets UDP ports \
                 546 and 547 pass: renumberd doctor"
            }
            Self::PrefixUnavailable { .. } => {
                "ask the provider for a prefix, or leave this IA_PD out of delegate"
            }
            Self::PrefixRefused { .. } => {
                "ask the provider for another prefix, or change what is refused in the configuration"
            }
            Self::DuplicateAddress { .. } => {
                "give one of the two another interface identifier (address), or remove the other \
                 node"
            }
            Self::RouterSilent { .. } => "switch the router on, or nothing if it was replaced",
            Self::PrefixConflict { conflict, .. } => match conflict {
                Conflict::Around(_) => {
                    "name the routers to believe, if this one is none of yours: routers = [...]"
                }
                Conflict::Unassigned(_) | Conflict::Assigned(_) => {
                    "give the subnet or delegation another place, or name the routers to believe: \
                     routers = [...]"
                }
            },
            Self::WithoutSubnet { reason, .. } | Self::WithoutPrefix { reason, .. } => match reason
            {
                Unassigned::TooLong | Unassigned::Full => {
                    "ask for a shorter prefix (length in delegate), or give it a smaller place"
                }
                Unassigned::Taken | Unassigned::Excluded => "give it another place",
            },
            Self::MemoryNotWritten { .. } => {
                "make room, or name another --state-dir: a restart would begin without what is \
                 delegated and promised now"
            }
            Self::RelayTableFull => {
                "end what is not used: renumberd forget PREFIX; or relay fewer routers here"
            }
            Self::DelegationContested { .. } => {
                "switch off the router that is not meant, or give each a DUID of its own"
            }
            Self::NextHopOffLink { .. } => {
                "name a next-hop that is a neighbor in [delegation.NAME]"
            }
            Self::NextHopUnknown { .. } => {
                "wait for its next message, or name its next-hop in [delegation.NAME]"
            }
            Self::Engine { job, trouble, .. } => of_program(*job, *trouble),
            Self::NotPublished { .. } => {
                "mend what is named, or look at the rights of the agent; it is tried again"
            }
            Self::ClientPortTaken { .. } => {
                "stop the other DHCPv6 client; renumberd doctor names it"
            }
            Self::ServerPortTaken { .. } => {
                "stop the other DHCPv6 server; renumberd doctor names it"
            }
            Self::Refused { .. } => {
                "look at what the kernel says, and at the rights of the agent; it is tried again"
            }
        }
    }
}

const fn of_program(job: Job, trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::Missing => "install the program, or name its file: program in [engine.NAME]",
        // The system starts requesters, not the agent.
        Trouble::Ended if matches!(job, Job::Requester) => "look at its log, and start it",
        Trouble::Silent if matches!(job, Job::Requester) => "look at its log; it is asked again",
        Trouble::Ended | Trouble::Silent => "look at its log; it is started again",
        Trouble::Refused => "look at what it says of what it was given, and at its log",
        Trouble::Trap => "use another version of the program",
        Trouble::LeftOut => "leave that out of the configuration, or have the built-in do the job",
    }
}
