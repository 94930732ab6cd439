//! Building the messages of a requesting router (RFC 9915 §18.2).

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::Client;
use super::exchange::{Aim, Exchange, Kind};
use crate::core::uplink::lease::held::{Held, Ia};
use crate::time::{Instant, Lifetime};
use crate::wire::dhcpv6::Message;
use crate::wire::dhcpv6_option::{Dhcpv6Option, IaAddress, IaNa, IaPd, IaPrefix, Iaid, code};
use crate::wire::dhcpv6_service::ServiceOption;

/// The IAID of the IA_NA. It is a number space of its own (RFC 9915 §21.4), so it may equal that
/// of an IA_PD.
pub(super) const ADDRESSES: Iaid = Iaid(1);

/// Options requested in the messages about leases, beside those that are passed on to hosts.
const OF_LEASE: [u16; 4] =
    [code::DNS_SERVERS, code::DOMAIN_SEARCH, code::PD_EXCLUDE, code::SOL_MAX_RT];

/// Options requested in Information-request beside those that are passed on: only there is the
/// refresh time allowed (RFC 9915 §21.23).
const OF_INFORMATION: [u16; 4] =
    [code::DNS_SERVERS, code::DOMAIN_SEARCH, code::INFORMATION_REFRESH_TIME, code::INF_MAX_RT];

impl Client {
    /// The message that `exchange` sends at `now`.
    pub(super) fn message(&self, held: &Held, now: Instant, exchange: &Exchange) -> Message {
        let kind = exchange.kind.message_type();
        let server = match &exchange.kind {
            Kind::Request { offer, .. } => Some(&offer.server),
            Kind::Renew { server } | Kind::Decline { server, .. } => Some(server),
            Kind::InformationRequest { server } => server.as_ref(),
            Kind::Solicit { .. } | Kind::Rebind | Kind::Confirm => None,
        };
        let mut options = vec![Dhcpv6Option::ClientId(self.rules.duid.clone())];
        options.extend(server.cloned().map(Dhcpv6Option::ServerId));
        options.push(Dhcpv6Option::ElapsedTime(exchange.elapsed_hundredths(now)));
        options.extend(self.wishes(exchange));
        options.extend(self.identity_associations(held, now, exchange));
        Message { kind, transaction_id: exchange.transaction_id, options }
    }

    fn wishes(&self, exchange: &Exchange) -> Vec<Dhcpv6Option> {
        let kind = &exchange.kind;
        let asked = match kind {
            Kind::Solicit { .. } | Kind::Request { .. } | Kind::Renew { .. } | Kind::Rebind => {
                OF_LEASE
            }
            Kind::InformationRequest { .. } => OF_INFORMATION,
            Kind::Confirm | Kind::Decline { .. } => return Vec::new(),
        };
        let mut options =
            vec![Dhcpv6Option::OptionRequest([&asked[..], &ServiceOption::CODES].concat())];
        let is_rapid = self.rules.rapid_commit && exchange.aim == Aim::Everything;
        if is_rapid && matches!(kind, Kind::Solicit { .. }) {
            options.push(Dhcpv6Option::RapidCommit);
        }
        if self.rules.reconfigure {
            options.push(Dhcpv6Option::ReconfigureAccept);
        }
        options
    }

    fn identity_associations(
        &self,
        held: &Held,
        now: Instant,
        exchange: &Exchange,
    ) -> Vec<Dhcpv6Option> {
        let leases: Vec<_> = match &exchange.kind {
            Kind::Solicit { .. } if !exchange.names_hints() => Vec::new(),
            Kind::Solicit { .. } | Kind::Rebind => held.leases(now, None).collect(),
            Kind::Request { offer, .. } => offer.leases.clone(),
            Kind::Renew { server } => held.leases(now, Some(server)).collect(),
            Kind::Confirm => {
                let held = held.addresses();
                return vec![ia_na(held.iter().map(|leased| leased.address))];
            }
            Kind::Decline { addresses, .. } => return vec![ia_na(addresses.iter().copied())],
            Kind::InformationRequest { .. } => return Vec::new(),
        };
        let mut by_ia: BTreeMap<Ia, Vec<Ipv6Net>> = BTreeMap::new();
        for (ia, prefix) in leases {
            by_ia.entry(ia).or_default().push(prefix);
        }
        let missing = self.missing(held, now);
        let is_about = |ia| exchange.aim == Aim::Everything || missing.contains(&ia);
        let addresses = by_ia.remove(&Ia::Na).unwrap_or_default();
        let asks = self.asks_address(now) || !addresses.is_empty();
        let mut options = Vec::new();
        options
            .extend((asks && is_about(Ia::Na)).then(|| ia_na(addresses.iter().map(Ipv6Net::addr))));
        let delegate = self.rules.delegate.iter();
        options.extend(delegate.filter(|delegate| is_about(Ia::Pd(delegate.iaid))).map(
            |delegate| {
                let mut prefixes = by_ia.remove(&Ia::Pd(delegate.iaid)).unwrap_or_default();
                if prefixes.is_empty() {
                    prefixes.extend(delegate.length.and_then(length_hint));
                }
                ia_pd(delegate.iaid, prefixes)
            },
        ));
        options
    }
}

/// A prefix without an address, for its length alone; a length of zero says nothing (RFC 9915
/// §21.22).
fn length_hint(length: u8) -> Option<Ipv6Net> {
    Ipv6Net::new(Ipv6Addr::UNSPECIFIED, length).ok().filter(|_| length > 0)
}

/// Lifetimes, T1 and T2 are the server's to choose: zero (RFC 9915 §21.21, §21.22).
fn ia_pd(iaid: Iaid, prefixes: Vec<Ipv6Net>) -> Dhcpv6Option {
    let prefix = |prefix| IaPrefix {
        prefix,
        preferred: Lifetime::ZERO,
        valid: Lifetime::ZERO,
        exclude: None,
        status: None,
    };
    Dhcpv6Option::IaPd(IaPd {
        iaid,
        t1: Lifetime::ZERO,
        t2: Lifetime::ZERO,
        prefixes: prefixes.into_iter().map(prefix).collect(),
        status: None,
    })
}

fn ia_na(addresses: impl Iterator<Item = Ipv6Addr>) -> Dhcpv6Option {
    let address = |address| IaAddress {
        address,
        preferred: Lifetime::ZERO,
        valid: Lifetime::ZERO,
        status: None,
    };
    Dhcpv6Option::IaNa(IaNa {
        iaid: ADDRESSES,
        t1: Lifetime::ZERO,
        t2: Lifetime::ZERO,
        addresses: addresses.map(address).collect(),
        status: None,
    })
}
