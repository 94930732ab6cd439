//! Prefixes that a server grants and this router refuses (PDC-62, PDC-72): a hostile or mistaken
//! server could otherwise cut the router and its hosts off from everything.

use std::fmt;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::{GivenLease, Ia};
use crate::net::overlap;

/// The longest prefix that a link can be numbered from (CRV-10).
const LONGEST: u8 = 64;

/// The most refusals that are kept for status.
const REMEMBERED: usize = 8;

/// Space that cannot be delegated: unspecified, loopback, mapped and translated addresses (RFC 4291
/// §2.4), discard-only (RFC 6666), link-local and multicast.
const NEVER_DELEGATED: [Ipv6Net; 4] = [
    Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 8),
    Ipv6Net::new_assert(Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64),
    Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    Ipv6Net::new_assert(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
];

/// The reason for which a prefix or address is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The prefix is shorter than this length, in bits: it would cover networks of others.
    Shorter(u8),
    /// The prefix is longer than a /64, or the address is no single one.
    TooLong,
    /// It lies in space that cannot be delegated, or covers some.
    Special,
    /// It overlaps this prefix, which another uplink or another IA_PD holds, or the operator has set.
    Overlaps(Ipv6Net),
    /// Its preferred lifetime exceeds its valid lifetime (RFC 9915 §21.22).
    Lifetimes,
}

impl Refusal {
    /// A short stable name, used as the label of a counter.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Shorter(_) => "too-short",
            Self::TooLong => "too-long",
            Self::Special => "special",
            Self::Overlaps(_) => "overlap",
            Self::Lifetimes => "lifetimes",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shorter(shortest) => write!(
                f,
                "it is shorter than a /{shortest} and would cover networks of others; if it is \
                 this site's, set shortest-prefix of the uplink"
            ),
            Self::TooLong => f.write_str("no link can be numbered from it; ask for a /64 or less"),
            Self::Special => f.write_str("nobody can be delegated such addresses"),
            Self::Overlaps(other) => {
                write!(
                    f,
                    "it overlaps {other}, which another uplink, another IA_PD or a static prefix has"
                )
            }
            Self::Lifetimes => f.write_str("its preferred lifetime exceeds its valid lifetime"),
        }
    }
}

/// The rules for prefixes and addresses that may be held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Acceptance {
    /// The shortest length of a delegated prefix.
    pub(super) shortest: u8,
    /// The prefixes that other uplinks hold and those that are set by hand.
    pub(super) elsewhere: Vec<Ipv6Net>,
}

impl Acceptance {
    /// The reason to refuse `lease` of `ia`, if there is one. A lease that `is_held` already can
    /// only have wrong lifetimes: a prefix elsewhere that overlaps it came later.
    pub(super) fn refusal(&self, ia: Ia, lease: &GivenLease, is_held: bool) -> Option<Refusal> {
        if lease.preferred > lease.valid {
            return Some(Refusal::Lifetimes);
        }
        let refusal = self.refusal_of_prefix(ia, lease.prefix);
        refusal.filter(|refusal| !(is_held && matches!(refusal, Refusal::Overlaps(_))))
    }

    /// The reason for which `prefix` cannot be held in `ia`, if there is one.
    pub(super) fn refusal_of_prefix(&self, ia: Ia, prefix: Ipv6Net) -> Option<Refusal> {
        let length = prefix.prefix_len();
        if NEVER_DELEGATED.iter().any(|special| overlap(prefix, *special)) {
            return Some(Refusal::Special);
        }
        match ia {
            Ia::Na => (length != 128).then_some(Refusal::TooLong),
            Ia::Pd(_) if length > LONGEST => Some(Refusal::TooLong),
            Ia::Pd(_) if length < self.shortest => Some(Refusal::Shorter(self.shortest)),
            Ia::Pd(_) => {
                let mut elsewhere = self.elsewhere.iter();
                elsewhere.find(|other| overlap(prefix, **other)).copied().map(Refusal::Overlaps)
            }
        }
    }
}

/// The last refusals.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::core::uplink::lease) struct Refusals {
    /// Those for status, until a Reply is accepted that has none.
    standing: Vec<(Ipv6Net, Refusal)>,
    /// Those that are not counted yet.
    uncounted: Vec<Refusal>,
}

impl Refusals {
    /// Adds the refusals of one message; `settles` says that it settles the lease.
    pub(in crate::core::uplink::lease) fn note(
        &mut self,
        mut refused: Vec<(Ipv6Net, Refusal)>,
        settles: bool,
    ) {
        refused.truncate(REMEMBERED);
        self.uncounted.extend(refused.iter().map(|(_, refusal)| *refusal));
        self.uncounted.truncate(REMEMBERED);
        if settles || !refused.is_empty() {
            self.standing = refused;
        }
    }

    /// The next refusal to count.
    pub(in crate::core::uplink::lease) fn poll(&mut self) -> Option<Refusal> {
        self.uncounted.pop()
    }

    /// Prefixes and addresses with the reasons, at most eight.
    pub(in crate::core::uplink::lease) fn standing(&self) -> &[(Ipv6Net, Refusal)] {
        &self.standing
    }
}
