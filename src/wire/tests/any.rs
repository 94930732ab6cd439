//! Strategies: any option that the wire can carry, and octets that look like messages.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::time::Lifetime;
use crate::wire::dhcpv6::{Message, MessageType, TransactionId};
use crate::wire::dhcpv6_option::{
    Authentication, Dhcpv6Option, Duid, IaAddress, IaNa, IaPd, IaPrefix, Iaid, Status, StatusCode,
};
use crate::wire::dhcpv6_relay::{RelayKind, RelayMessage, RelayOption};
use crate::wire::ndp::RouterAdvertisement;
use crate::wire::ndp_option::{NdpOption, Pref64, Preference, PrefixInformation, RouteInformation};

fn lifetime() -> impl Strategy<Value = Lifetime> {
    any::<u32>().prop_map(Lifetime::from_wire)
}

fn address() -> impl Strategy<Value = Ipv6Addr> {
    any::<u128>().prop_map(Ipv6Addr::from_bits)
}

fn prefix() -> impl Strategy<Value = Ipv6Net> {
    (address(), 0..=128_u8).prop_map(|(address, length)| cut(address, length))
}

fn cut(address: Ipv6Addr, length: u8) -> Ipv6Net {
    Ipv6Net::new(address, length).unwrap().trunc()
}

/// Octets of any value, as the decoder writes them: three labels at most.
pub(super) fn name() -> impl Strategy<Value = String> {
    vec(vec(any::<u8>(), 1..=63), 1..=3).prop_map(|labels| {
        let mut octets = Vec::new();
        for label in labels {
            octets.push(u8::try_from(label.len()).unwrap());
            octets.extend(label);
        }
        octets.push(0);
        crate::wire::domain::decode_names(&octets).unwrap().remove(0)
    })
}

fn body(units: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<u8>> {
    units.prop_flat_map(|units| vec(any::<u8>(), units * 8 - 2))
}

fn preference() -> impl Strategy<Value = Preference> {
    select(vec![Preference::Low, Preference::Medium, Preference::High])
}

fn prefix_information() -> impl Strategy<Value = PrefixInformation> {
    (prefix(), any::<(bool, bool, bool)>(), lifetime(), lifetime()).prop_map(
        |(prefix, (on_link, autonomous, delegation_preferred), valid, preferred)| {
            PrefixInformation {
                prefix,
                on_link,
                autonomous,
                delegation_preferred,
                valid,
                preferred,
            }
        },
    )
}

fn pref64() -> impl Strategy<Value = Pref64> {
    (address(), select(vec![96, 64, 56, 48, 40, 32]), 0..=8191_u16).prop_map(
        |(address, length, scaled)| Pref64 { prefix: cut(address, length), lifetime: scaled * 8 },
    )
}

pub(super) fn ndp_option() -> impl Strategy<Value = NdpOption> {
    prop_oneof![
        body(1..=3).prop_map(NdpOption::SourceLinkLayer),
        prefix_information().prop_map(NdpOption::Prefix),
        any::<u32>().prop_map(NdpOption::Mtu),
        (prefix(), preference(), lifetime()).prop_map(|(prefix, preference, lifetime)| {
            NdpOption::Route(RouteInformation { prefix, preference, lifetime })
        }),
        (lifetime(), vec(address(), 1..=4))
            .prop_map(|(lifetime, servers)| NdpOption::Rdnss { lifetime, servers }),
        (lifetime(), vec(name(), 1..=4))
            .prop_map(|(lifetime, names)| NdpOption::Dnssl { lifetime, names }),
        body(1..=2).prop_map(NdpOption::FlagsExtension),
        "[!-~]{1,60}".prop_map(NdpOption::CaptivePortal),
        pref64().prop_map(NdpOption::Pref64),
        (select(vec![0_u8, 2, 4, 14, 39, 144, 253, 255]), body(1..=255))
            .prop_map(|(kind, body)| NdpOption::Unknown { kind, body }),
    ]
}

pub(super) fn advertisement() -> impl Strategy<Value = RouterAdvertisement> {
    let header = (any::<(u8, bool, bool, bool)>(), preference(), any::<(u16, u32, u32)>());
    (header, vec(ndp_option(), 0..6)).prop_map(|((flags, preference, timers), options)| {
        RouterAdvertisement {
            hop_limit: flags.0,
            managed: flags.1,
            other: flags.2,
            snac_router: flags.3,
            preference: if timers.0 == 0 { Preference::Medium } else { preference },
            router_lifetime: timers.0,
            reachable_time: timers.1,
            retrans_timer: timers.2,
            options,
        }
    })
}

fn duid() -> impl Strategy<Value = Duid> {
    vec(any::<u8>(), 3..=130).prop_map(|octets| Duid::new(&octets).unwrap())
}

fn status() -> impl Strategy<Value = Status> {
    (any::<u16>(), "([a-zä€]( [a-z.]){0,9})?")
        .prop_map(|(code, text)| Status { code: StatusCode::from_wire(code), text })
}

/// An excluded prefix at any place inside of the delegated one.
fn exclude(delegated: Ipv6Net) -> BoxedStrategy<Option<Ipv6Net>> {
    let Some(shortest) = delegated.prefix_len().checked_add(1).filter(|length| *length <= 128)
    else {
        return Just(None).boxed();
    };
    let inside = (any::<u128>(), shortest..=128).prop_map(move |(bits, length)| {
        let below = bits & delegated.hostmask().to_bits();
        cut(Ipv6Addr::from_bits(delegated.addr().to_bits() | below), length)
    });
    option::of(inside).boxed()
}

fn ia_prefix() -> impl Strategy<Value = IaPrefix> {
    let head = prefix().prop_flat_map(|prefix| (Just(prefix), exclude(prefix)));
    (head, lifetime(), lifetime(), option::of(status())).prop_map(
        |((prefix, exclude), preferred, valid, status)| IaPrefix {
            prefix,
            preferred,
            valid,
            exclude,
            status,
        },
    )
}

fn ia_address() -> impl Strategy<Value = IaAddress> {
    (address(), lifetime(), lifetime(), option::of(status())).prop_map(
        |(address, preferred, valid, status)| IaAddress { address, preferred, valid, status },
    )
}

fn ia_header() -> impl Strategy<Value = (Iaid, Lifetime, Lifetime)> {
    (any::<u32>().prop_map(Iaid), lifetime(), lifetime())
}

fn authentication() -> impl Strategy<Value = Authentication> {
    (any::<(u8, u8, u8, u64)>(), vec(any::<u8>(), 0..40)).prop_map(
        |((protocol, algorithm, replay_detection, replay), information)| Authentication {
            protocol,
            algorithm,
            replay_detection,
            replay,
            information,
        },
    )
}

pub(super) fn dhcpv6_option() -> impl Strategy<Value = Dhcpv6Option> {
    let ia_na = (ia_header(), vec(ia_address(), 0..3), option::of(status()))
        .prop_map(|((iaid, t1, t2), addresses, status)| IaNa { iaid, t1, t2, addresses, status });
    let ia_pd = (ia_header(), vec(ia_prefix(), 0..3), option::of(status()))
        .prop_map(|((iaid, t1, t2), prefixes, status)| IaPd { iaid, t1, t2, prefixes, status });
    let unknown =
        (select(vec![0_u16, 4, 5, 9, 12, 26, 67, 999, u16::MAX]), vec(any::<u8>(), 0..40));
    prop_oneof![
        duid().prop_map(Dhcpv6Option::ClientId),
        duid().prop_map(Dhcpv6Option::ServerId),
        ia_na.prop_map(Dhcpv6Option::IaNa),
        vec(any::<u16>(), 0..9).prop_map(Dhcpv6Option::OptionRequest),
        any::<u8>().prop_map(Dhcpv6Option::Preference),
        any::<u16>().prop_map(Dhcpv6Option::ElapsedTime),
        authentication().prop_map(Dhcpv6Option::Authentication),
        status().prop_map(Dhcpv6Option::Status),
        Just(Dhcpv6Option::RapidCommit),
        any::<u8>().prop_map(Dhcpv6Option::ReconfigureMessage),
        Just(Dhcpv6Option::ReconfigureAccept),
        vec(address(), 0..4).prop_map(Dhcpv6Option::DnsServers),
        vec(name(), 0..4).prop_map(Dhcpv6Option::DomainSearch),
        ia_pd.prop_map(Dhcpv6Option::IaPd),
        any::<u32>().prop_map(Dhcpv6Option::InformationRefreshTime),
        any::<u32>().prop_map(Dhcpv6Option::SolMaxRt),
        any::<u32>().prop_map(Dhcpv6Option::InfMaxRt),
        unknown.prop_map(|(code, body)| Dhcpv6Option::Unknown { code, body }),
    ]
}

pub(super) fn message() -> impl Strategy<Value = Message> {
    (1..=11_u8, any::<[u8; 3]>(), vec(dhcpv6_option(), 0..6)).prop_map(
        |(kind, transaction_id, options)| Message {
            kind: MessageType::from_wire(kind).unwrap(),
            transaction_id: TransactionId(transaction_id),
            options,
        },
    )
}

fn relay_option() -> impl Strategy<Value = RelayOption> {
    let octets = || vec(any::<u8>(), 0..40);
    prop_oneof![
        octets().prop_map(RelayOption::RelayMessage),
        octets().prop_map(RelayOption::InterfaceId),
        (any::<u16>(), octets()).prop_map(|(hardware_type, address)| {
            RelayOption::ClientLinkLayer { hardware_type, address }
        }),
        any::<u16>().prop_map(RelayOption::SourcePort),
        (select(vec![0_u16, 8, 37, 38, u16::MAX]), octets())
            .prop_map(|(code, body)| RelayOption::Unknown { code, body }),
    ]
}

pub(super) fn relay_message() -> impl Strategy<Value = RelayMessage> {
    let kind = select(vec![RelayKind::Forward, RelayKind::Reply]);
    (kind, any::<u8>(), address(), address(), vec(relay_option(), 0..5)).prop_map(
        |(kind, hop_count, link_address, peer_address, options)| RelayMessage {
            kind,
            hop_count,
            link_address,
            peer_address,
            options,
        },
    )
}

/// A client's message that came through up to ten relay agents.
pub(super) fn nested_relay_message() -> impl Strategy<Value = RelayMessage> {
    (vec(relay_message(), 1..=10), message()).prop_map(|(levels, message)| {
        let mut inside = message.encode();
        let mut outermost = None;
        for (level, hop_count) in levels.into_iter().zip(0..) {
            let mut options = level.options;
            options.insert(0, RelayOption::RelayMessage(inside));
            let kind = RelayKind::Forward;
            let level = RelayMessage { kind, hop_count, options, ..level };
            inside = level.encode();
            outermost = Some(level);
        }
        outermost.unwrap()
    })
}

/// Octets of which some were changed, some taken out, some put in, and the end cut off.
pub(super) fn mutated(octets: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edits = vec((any::<Index>(), 0..4_u8, any::<u8>()), 1..6);
    (octets, edits).prop_map(|(mut octets, edits)| {
        for (index, edit, value) in edits {
            if octets.is_empty() {
                break;
            }
            let at = index.index(octets.len());
            match edit {
                0 => octets[at] = value,
                1 => octets.insert(at, value),
                2 => drop(octets.remove(at)),
                3 => octets.truncate(at.max(16)),
                other => unreachable!("edit {other}"),
            }
        }
        octets
    })
}
