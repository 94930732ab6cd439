//! The delegated prefixes, carved by the plan.

use std::collections::BTreeMap;

use ipnet::Ipv6Net;

use super::Facts;
use crate::core::delegate::{Offer, Offers};
use crate::core::plan::{self, Unassigned, Whole};
use crate::core::uplink::lease::DelegatedPrefix;
use crate::net::overlap;
use crate::time::Instant;

/// All delegated prefixes with their plans.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Carving {
    /// The parts of the prefixes that are held, then those of prefixes that have ended.
    pub(super) parts: Vec<Carved>,
    /// The claims that get no part of a held prefix, with the reason.
    pub(super) without: BTreeMap<(String, Ipv6Net), Unassigned>,
}

/// How an advertised prefix relates to the delegated ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Claim {
    /// They do not overlap.
    Elsewhere,
    /// It is in the part that the delegating router keeps for the uplink (RFC 6603).
    Excluded,
    /// It contains a whole delegated prefix: of two routes the longer one decides.
    Around,
    /// It lies in a part of a delegated prefix that no claim has.
    Unassigned,
    /// It is a whole delegated prefix, or overlaps a part that a downlink, delegation or pool has.
    Assigned,
}

/// A delegated prefix with its plan.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Carved {
    pub(super) prefix: DelegatedPrefix,
    /// By downlink.
    pub(super) subnets: BTreeMap<String, Ipv6Net>,
    delegations: BTreeMap<String, Ipv6Net>,
    pools: BTreeMap<String, Ipv6Net>,
}

impl Carving {
    /// Carves the held prefixes, then those that have ended: of parts that overlap the first stays,
    /// whichever claim has it.
    pub fn new(facts: Facts<'_>) -> Self {
        let mut all: Vec<(&String, &DelegatedPrefix)> = facts
            .sources
            .iter()
            .flat_map(|(name, source)| source.delegated.iter().map(move |prefix| (name, prefix)))
            .collect();
        all.sort_by_key(|(_, prefix)| prefix.gone_since.is_some());
        let mut carving = Self::default();
        for (uplink, prefix) in all {
            let whole = Whole {
                uplink: uplink.clone(),
                iaid: prefix.iaid,
                prefix: prefix.prefix,
                exclude: prefix.exclude,
            };
            let mut plan = plan::plan(facts.config, &whole);
            let parts = [&mut plan.subnets, &mut plan.delegations, &mut plan.pools];
            for parts in parts {
                parts.retain(|name, part| {
                    let taken = carving.parts.iter().any(|other| other.has(part));
                    if taken {
                        plan.without.insert(name.clone(), Unassigned::Taken);
                    }
                    !taken
                });
            }
            if prefix.gone_since.is_none() {
                let reasons = plan.without.into_iter();
                carving.without.extend(reasons.map(|(name, why)| ((name, prefix.prefix), why)));
            }
            let (subnets, delegations, pools) = (plan.subnets, plan.delegations, plan.pools);
            carving.parts.push(Carved { prefix: *prefix, subnets, delegations, pools });
        }
        carving
    }

    /// The offers for subordinate routers; `known` says whether these are all.
    pub fn offers(&self, known: bool, renewed_at: Option<Instant>) -> Offers {
        let mut offers = Offers { known, renewed_at, ..Offers::default() };
        for part in self.parts.iter().filter(|part| part.prefix.gone_since.is_none()) {
            let offer = |prefix: &Ipv6Net| Offer {
                prefix: *prefix,
                preferred_until: part.prefix.preferred_until,
                valid_until: part.prefix.valid_until,
            };
            offers.held.push(part.prefix.prefix);
            for (name, prefix) in &part.delegations {
                offers.delegations.entry(name.clone()).or_default().push(offer(prefix));
            }
            for (name, prefix) in &part.pools {
                offers.pools.entry(name.clone()).or_default().push(offer(prefix));
            }
        }
        offers
    }
}

impl Carved {
    /// How a prefix that is advertised on an uplink relates to the delegated ones.
    pub(super) fn claim_on(&self, advertised: &Ipv6Net) -> Claim {
        let ours = &self.prefix.prefix;
        if !overlap(*ours, *advertised) {
            Claim::Elsewhere
        } else if self.prefix.exclude.is_some_and(|kept| kept.contains(advertised)) {
            Claim::Excluded
        } else if !ours.contains(advertised) {
            Claim::Around
        } else if advertised == ours || self.has(advertised) {
            Claim::Assigned
        } else {
            Claim::Unassigned
        }
    }

    /// Whether a claim has a part that overlaps `part`.
    fn has(&self, part: &Ipv6Net) -> bool {
        let all = [&self.subnets, &self.delegations, &self.pools];
        all.into_iter().flat_map(BTreeMap::values).any(|other| overlap(*other, *part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file;
    use crate::core::desired::UplinkFacts;
    use crate::core::kernel::system::System;
    use crate::time::Until;
    use crate::wire::dhcpv6_option::Iaid;

    const SITE: &str = r#"
        [uplink.a]
        [uplink.b]
        [downlink.lan0]
        subnet = "0x0/64"
        [downlink.wl0]
        [delegation.one]
        downlink = "lan0"
        duid = "00:03:00:01:02:00:5e:00:53:01"
        prefix = "0x1/60"
        [pool.guests]
        downlink = "lan0"
        prefix = "0x2/60"
    "#;

    fn held(prefix: &str, gone: bool) -> DelegatedPrefix {
        DelegatedPrefix {
            iaid: Iaid(1),
            prefix: prefix.parse().unwrap(),
            exclude: None,
            preferred_until: Until::Never,
            valid_until: Until::Never,
            gone_since: gone.then_some(Instant::from_secs(1)),
        }
    }

    /// CRV-05: also where prefixes of two uplinks, or of then and now, lie in one another.
    #[test]
    fn parts_of_prefixes_that_overlap_do_not() {
        let config = file::parse("test.toml", SITE).unwrap();
        for (one, other, gone) in [
            ("2001:db8::/48", "2001:db8::/56", false),
            ("2001:db8::/56", "2001:db8::/48", false),
            ("2001:db8::/56", "2001:db8::/57", false),
            ("2001:db8::/56", "2001:db8::/56", false),
            ("2001:db8::/60", "2001:db8::/56", true),
            ("2001:db8::/56", "2001:db8:0:10::/60", true),
        ] {
            let source = |prefix, gone| UplinkFacts {
                delegated: vec![held(prefix, gone)],
                ..UplinkFacts::default()
            };
            let sources = BTreeMap::from([
                ("a".to_owned(), source(one, false)),
                ("b".to_owned(), source(other, gone)),
            ]);
            let carving = Carving::new(Facts {
                config: &config,
                capabilities: crate::core::capabilities::Capabilities::LINUX,
                system: &System::default(),
                sources: &sources,
                secret: &[0; 32],
                default_route: true,
            });
            let all = carving.parts.iter().flat_map(|part| {
                [&part.subnets, &part.delegations, &part.pools].into_iter().flatten()
            });
            let all: Vec<_> = all.collect();
            for (position, (name, part)) in all.iter().enumerate() {
                for (with, taken) in &all[..position] {
                    assert!(!overlap(**part, **taken), "{name} {part}, {with} {taken}");
                }
            }
            assert!(carving.parts[0].subnets.contains_key("lan0"));
            let held = carving.offers(true, None).held;
            assert_eq!(held.len(), if gone { 1 } else { 2 });
        }
    }
}
