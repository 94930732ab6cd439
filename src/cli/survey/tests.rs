//! The exchange, what is odd, and what is masked, without a link.

use super::exchange::{Send, Settings, Survey};
use super::report::{Advertised, Offered, Report, Router, Server};
use super::*;
use crate::core::input::Received;
use crate::net::IfIndex;
use crate::time::{Instant, Lifetime};
use crate::wire::dhcpv6::{Message, MessageType};
use crate::wire::dhcpv6_option::{Dhcpv6Option, IaPd, IaPrefix};
use crate::wire::ndp::RouterAdvertisement;

const START: Instant = Instant::from_secs(1000);
const SERVER: &str = "00:03:00:01:02:00:5e:00:53:01";

fn after(milliseconds: u64) -> Instant {
    START + Duration::from_millis(milliseconds)
}

fn survey(requests: bool) -> Survey {
    let settings = Settings {
        duid: "00:01:02:03".parse().unwrap(),
        iaid: Iaid(7),
        time: Duration::from_secs(12),
        asks: true,
        requests,
        keeps: false,
    };
    Survey::new(settings, [3; 32], START)
}

fn received(octets: Vec<u8>) -> Received {
    Received {
        interface: IfIndex(2),
        source: "fe80::1".parse().unwrap(),
        port: 547,
        link_layer: None,
        destination: "fe80::2".parse().unwrap(),
        hop_limit: 255,
        fragmented: false,
        octets,
    }
}

/// What leaves at a time: solicitations of routers, and messages to servers.
fn sent(survey: &mut Survey, milliseconds: u64) -> (usize, Vec<Message>) {
    let sends = survey.handle_timeout(after(milliseconds));
    let messages = sends.iter().filter_map(|send| match send {
        Send::Dhcpv6(octets) => Some(Message::decode(octets).unwrap()),
        Send::RouterSolicitation => None,
    });
    let messages: Vec<Message> = messages.collect();
    (sends.len() - messages.len(), messages)
}

fn prefix(text: &str) -> IaPrefix {
    IaPrefix {
        prefix: text.parse().unwrap(),
        preferred: Lifetime::Finite(3600),
        valid: Lifetime::Finite(7200),
        exclude: None,
        status: None,
    }
}

/// The server's answer to a message, with these prefixes.
fn answer(
    survey: &mut Survey,
    milliseconds: u64,
    of: &Message,
    kind: MessageType,
    prefixes: &[&str],
) {
    let prefixes = prefixes.iter().map(|text| prefix(text)).collect();
    let (t1, t2) = (Lifetime::Finite(1800), Lifetime::Finite(2880));
    let message = Message {
        kind,
        transaction_id: of.transaction_id,
        options: vec![
            Dhcpv6Option::ClientId(of.client_id().unwrap().clone()),
            Dhcpv6Option::ServerId(SERVER.parse().unwrap()),
            Dhcpv6Option::ReconfigureAccept,
            Dhcpv6Option::IaPd(IaPd { iaid: Iaid(7), t1, t2, prefixes, status: None }),
        ],
    };
    survey.take_dhcpv6(after(milliseconds), &received(message.encode()));
}

fn hear_router(survey: &mut Survey, milliseconds: u64) {
    let advertisement = RouterAdvertisement { router_lifetime: 1800, ..Default::default() };
    survey.take_icmpv6(after(milliseconds), &received(advertisement.encode()));
}

/// Lets time pass by the deadlines of the survey alone; the messages that left, and the end.
fn run_out(survey: &mut Survey) -> (usize, Vec<MessageType>, u64) {
    let (mut solicited, mut kinds, mut now) = (0, Vec::new(), 0);
    for _ in 0..100 {
        let (count, messages) = sent(survey, now);
        solicited += count;
        kinds.extend(messages.iter().map(|message| message.kind));
        if survey.is_over(after(now)) {
            return (solicited, kinds, now);
        }
        let next = survey.deadline().at.since(START).as_millis();
        now = u64::try_from(next).unwrap().max(now + 10);
    }
    panic!("it does not end: {survey:?}");
}

#[test]
fn where_nobody_answers_it_ends_in_time_and_asks_three_times() {
    let (solicited, kinds, end) = run_out(&mut survey(true));
    assert_eq!((solicited, kinds), (3, vec![MessageType::Solicit; 3]));
    assert!((12_000..13_500).contains(&end), "{end}");
}

#[test]
fn an_offer_is_asked_for_with_a_hint_requested_and_released() {
    let mut survey = survey(true);
    let (solicited, first) = sent(&mut survey, 0);
    assert_eq!((solicited, first[0].kind), (1, MessageType::Solicit));
    assert!(!first[0].has_rapid_commit(), "nothing is committed by asking");
    hear_router(&mut survey, 5);
    answer(&mut survey, 10, &first[0], MessageType::Advertise, &["2001:db8:1200::/56"]);
    let (solicited, hinted) = sent(&mut survey, 1000);
    assert_eq!((solicited, survey.hint), (0, Some(60)));
    let hint = &hinted[0].ia_pds().next().unwrap().prefixes[0];
    assert_eq!(hint.prefix.to_string(), "::/60");
    answer(&mut survey, 1010, &hinted[0], MessageType::Advertise, &["2001:db8:1200::/60"]);
    let (_, request) = sent(&mut survey, 2000);
    assert_eq!(request[0].kind, MessageType::Request);
    assert_eq!(request[0].server_id().unwrap().to_string(), SERVER);
    answer(&mut survey, 2010, &request[0], MessageType::Reply, &["2001:db8:1200::/56"]);
    let (_, release) = sent(&mut survey, 2010);
    assert_eq!(release[0].kind, MessageType::Release);
    let released = &release[0].ia_pds().next().unwrap().prefixes[0];
    assert_eq!(released.prefix.to_string(), "2001:db8:1200::/56");
    answer(&mut survey, 2020, &release[0], MessageType::Reply, &[]);
    assert!(survey.requested.as_ref().unwrap().is_released);
    assert!(survey.is_over(after(3100)));
    assert_eq!(survey.servers[0].hinted, Some(vec![60]));
}

/// A Release that nobody confirms is repeated and given up.
#[test]
fn a_granted_prefix_is_released_even_if_no_server_confirms_that() {
    let mut survey = survey(true);
    let (_, first) = sent(&mut survey, 0);
    hear_router(&mut survey, 5);
    answer(&mut survey, 10, &first[0], MessageType::Advertise, &["2001:db8:1200::/56"]);
    let (_, hinted) = sent(&mut survey, 1000);
    answer(&mut survey, 1010, &hinted[0], MessageType::Advertise, &["2001:db8:1200::/56"]);
    let (_, request) = sent(&mut survey, 2000);
    answer(&mut survey, 2010, &request[0], MessageType::Reply, &["2001:db8:1200::/56"]);
    let releases = (0..5).map(|step| sent(&mut survey, 2010 + step * 1000).1.len()).sum::<usize>();
    assert_eq!(releases, 3);
    assert!(survey.is_over(after(9000)) && !survey.requested.unwrap().is_released);
}

/// Nobody who answers something else, or from elsewhere, is taken in.
#[test]
fn strangers_are_left_out() {
    let mut survey = survey(false);
    let (_, mut first) = sent(&mut survey, 0);
    let advertisement = RouterAdvertisement { router_lifetime: 1800, ..Default::default() };
    for change in [
        |packet: &mut Received| packet.hop_limit = 64,
        |packet: &mut Received| packet.source = "2001:db8::1".parse().unwrap(),
        |packet: &mut Received| packet.octets.truncate(9),
    ] {
        let mut packet = received(advertisement.encode());
        change(&mut packet);
        survey.take_icmpv6(after(5), &packet);
    }
    first[0].transaction_id.0[0] ^= 1;
    answer(&mut survey, 10, &first[0], MessageType::Advertise, &["2001:db8:1200::/56"]);
    assert!(survey.routers.is_empty() && survey.servers.is_empty());
}

fn report() -> Report {
    let mut survey = survey(false);
    let (_, first) = sent(&mut survey, 0);
    hear_router(&mut survey, 5);
    answer(&mut survey, 10, &first[0], MessageType::Advertise, &["2001:db8:1200::/56"]);
    Report {
        schema: SCHEMA,
        interface: "wan0".to_owned(),
        routers: survey.routers,
        servers: survey.servers,
        not_asked: None,
        hint: Some(60),
        requested: None,
        oddities: Vec::new(),
        masked: false,
    }
}

fn names(change: impl FnOnce(&mut Report)) -> Vec<&'static str> {
    let mut report = report();
    change(&mut report);
    oddities::oddities(&report).iter().map(|oddity| oddity.name).collect()
}

fn advertised(prefix: &str, preferred: u32, valid: u32) -> Advertised {
    Advertised {
        prefix: prefix.parse().unwrap(),
        on_link: true,
        autonomous: true,
        delegation_preferred: false,
        preferred: Some(preferred),
        valid: Some(valid),
    }
}

#[test]
fn each_oddity_has_its_name() {
    let server = |change: fn(&mut Server)| names(move |report| change(&mut report.servers[0]));
    let offer =
        |change: fn(&mut Offered)| names(move |report| change(&mut report.servers[0].prefixes[0]));
    let router = |change: fn(&mut Router)| names(move |report| change(&mut report.routers[0]));
    let cases = [
        (names(|_| {}), vec![]),
        (names(|report| report.routers.clear()), vec!["no-router"]),
        (names(|report| report.servers.clear()), vec!["no-server"]),
        (
            names(|report| {
                report.servers.clear();
                report.routers[0].managed = true;
            }),
            vec!["managed-without-server"],
        ),
        (names(|report| report.servers.push(report.servers[0].clone())), vec!["several-servers"]),
        (router(|router| router.lifetime = 0), vec!["no-default-router"]),
        (
            router(|router| router.prefixes.push(advertised("2001:db8::/64", 900, 600))),
            vec!["preferred-exceeds-valid"],
        ),
        (
            router(|router| router.prefixes.push(advertised("2001:db8::/65", 900, 900))),
            vec!["autonomous-not-64"],
        ),
        (
            router(|router| router.prefixes.push(advertised("2001:db8:1200:1::/64", 900, 900))),
            vec!["advertised-within-delegated"],
        ),
        (router(|router| router.malformed.push("option 3".to_owned())), vec!["malformed-option"]),
        (server(|server| server.t1 = Some(2881)), vec!["t1-exceeds-t2"]),
        (
            server(|server| (server.t1, server.t2) = (Some(3601), Some(3700))),
            vec!["t1-exceeds-preferred"],
        ),
        (server(|server| server.t2 = Some(7201)), vec!["t2-exceeds-valid"]),
        (server(|server| (server.t1, server.t2) = (Some(0), Some(0))), vec![]),
        (server(|server| server.hinted = Some(vec![56])), vec!["hint-ignored"]),
        (server(|server| server.hinted = Some(vec![60])), vec![]),
        (server(|server| server.prefixes.clear()), vec!["no-prefix"]),
        (offer(|offer| offer.prefix = "2001:db8::/64".parse().unwrap()), vec!["only-64"]),
        (offer(|offer| offer.prefix = "2001:db8::/80".parse().unwrap()), vec!["longer-than-64"]),
        (offer(|offer| (offer.preferred, offer.valid) = (Some(0), Some(0))), vec!["deprecated"]),
        (offer(|offer| (offer.preferred, offer.valid) = (None, None)), vec!["endless-lifetime"]),
    ];
    for (number, (found, expected)) in cases.into_iter().enumerate() {
        assert_eq!(found, expected, "case {number}");
    }
}

/// What is alike stays alike, and nothing of what was found is left.
#[test]
fn a_masked_report_shows_nothing_that_was_found() {
    let mut report = report();
    let router = &mut report.routers[0];
    router.prefixes.push(advertised("2a02:db8:1234:5601::/64", 900, 1800));
    router.resolvers.push("2a02:db8:1234:5601::53".parse().unwrap());
    router.search.push("customer.example.net".to_owned());
    router.captive_portal = Some("https://portal.example.net/customer".to_owned());
    let server = &mut report.servers[0];
    server.prefixes[0].prefix = "2a02:db8:1234:5600::/56".parse().unwrap();
    server.status = Some("NoPrefixAvail dear Mr Customer".to_owned());
    let mut masked = mask::masked(report);
    masked.oddities = oddities::oddities(&masked);
    let texts = [serde_json::to_string(&masked).unwrap(), page::render(&masked, false)];
    for text in &texts {
        for found in ["2a02", "1234", "5600", "customer", "Customer", "53:01", "portal.example.net"]
        {
            assert!(!text.contains(found), "{found}: {text}");
        }
    }
    let delegated = masked.servers[0].prefixes[0].prefix;
    assert_eq!(delegated.prefix_len(), 56);
    let on_link = masked.routers[0].prefixes[0].prefix;
    assert!(delegated.contains(&on_link) && on_link.prefix_len() == 64, "{delegated} {on_link}");
    assert!(texts[1].lines().all(|line| line.chars().count() <= 80), "{}", texts[1]);
    assert!(texts[0].contains("NoPrefixAvail"));
}
