//! What a host registers, and when (RFC 9686).

use proptest::prelude::*;

use super::*;
use crate::net::IfIndex;

const START: Instant = Instant::from_secs(1000);
const ONE: &str = "2001:db8:a::1";
const TWO: &str = "2001:db8:a::2";

fn duid(last: u8) -> Duid {
    Duid::new(&[0, 3, 0, 1, last]).unwrap()
}

fn at(seconds: u64) -> Instant {
    START + Duration::from_secs(seconds)
}

fn registration() -> Registration {
    Registration::new(duid(1), Random::new([7; 32]))
}

fn address(text: &str, valid_until: Until) -> KernelAddress {
    KernelAddress {
        interface: IfIndex(2),
        address: text.parse().unwrap(),
        prefix_len: 64,
        preferred_until: valid_until,
        valid_until,
        tentative: false,
        duplicate: false,
        ours: false,
        origin: Origin::Advertisement,
    }
}

/// Valid until 7200 s after `seconds`.
fn formed(text: &str, seconds: u64) -> KernelAddress {
    address(text, Until::At(at(seconds + 7200)))
}

/// The next message, and where it is sent from.
fn sent(registration: &mut Registration, now: Instant) -> Option<(Option<Ipv6Addr>, Vec<u8>)> {
    registration.poll_transmit(now)
}

/// Lets everything happen until `end`; when messages left, and from which address.
fn pass(
    registration: &mut Registration,
    from: Instant,
    end: Instant,
) -> Vec<(Instant, Option<Ipv6Addr>)> {
    let (mut now, mut left) = (from, Vec::new());
    loop {
        registration.handle_timeout(now);
        while let Some((source, _)) = sent(registration, now) {
            left.push((now, source));
        }
        match registration.deadline(true) {
            Some(deadline) if deadline.at <= end => {
                assert!(deadline.at > now, "busy loop: {deadline:?}");
                now = deadline.at;
            }
            Some(_) | None => return left,
        }
    }
}

fn reply(question: &[u8], options: Vec<Dhcpv6Option>) -> Message {
    let asked = Message::decode(question).unwrap();
    let ids = [Dhcpv6Option::ServerId(duid(9)), Dhcpv6Option::ClientId(duid(1))];
    let options = ids.into_iter().chain(options).collect();
    Message { kind: MessageType::Reply, transaction_id: asked.transaction_id, options }
}

fn offer() -> Dhcpv6Option {
    Dhcpv6Option::Unknown { code: code::ADDR_REG_ENABLE, body: Vec::new() }
}

/// One whose network wants registrations; with what it has asked.
fn offered(addresses: &[KernelAddress]) -> Registration {
    let mut registration = registration();
    registration.follow(START, addresses.iter());
    registration.start(START);
    let now = registration.deadline(true).unwrap().at;
    let (source, question) = sent(&mut registration, now).unwrap();
    assert_eq!(source, None);
    let asked = Message::decode(&question).unwrap();
    assert_eq!(asked.kind, MessageType::InformationRequest);
    assert!(asked.option_request().unwrap().contains(&code::ADDR_REG_ENABLE));
    assert!(registration.handle_reply(START, &reply(&question, vec![offer()])));
    registration
}

fn acknowledge(registration: &mut Registration, message: &[u8]) -> bool {
    let transaction_id = TransactionId([message[1], message[2], message[3]]);
    let inform: Vec<u8> = [&[37], &message[1..]].concat();
    let acknowledgement = Acknowledgement::decode(&inform).unwrap();
    assert_eq!(acknowledgement.transaction_id, transaction_id);
    registration.handle_acknowledgement(acknowledgement.address, &acknowledgement)
}

/// CLI-30, CLI-31
#[test]
fn addresses_are_registered_from_themselves_where_the_network_wants_it() {
    let mut registration = offered(&[formed(ONE, 0), formed(TWO, 0)]);
    assert!(registration.needs_port());
    for text in [ONE, TWO] {
        let (source, message) = sent(&mut registration, at(100)).unwrap();
        assert_eq!(source, Some(text.parse().unwrap()));
        let expected = Inform {
            transaction_id: TransactionId([message[1], message[2], message[3]]),
            client: duid(1),
            address: text.parse().unwrap(),
            preferred: crate::time::Lifetime::Finite(7100),
            valid: crate::time::Lifetime::Finite(7100),
        };
        assert_eq!(message, expected.encode());
        assert!(acknowledge(&mut registration, &message));
        assert!(!acknowledge(&mut registration, &message), "once");
    }
    assert!(!registration.needs_port());
    registration.follow(at(101), [formed(ONE, 0)].iter());
    assert_eq!(pass(&mut registration, at(101), at(100_000)), []);
}

/// CLI-30: without the option nothing is registered, and the server is asked again when it says.
#[test]
fn where_it_is_not_offered_nothing_is_registered() {
    let refresh = Dhcpv6Option::InformationRefreshTime(5000);
    for (options, again) in [(vec![], 86_400), (vec![refresh], 5000)] {
        let mut registration = registration();
        registration.follow(START, [formed(ONE, 0)].iter());
        assert_eq!(registration.deadline(true), None, "no router has the M or O flag");
        registration.start(START);
        let now = registration.deadline(true).unwrap().at;
        assert!(now <= at(1));
        let (_, question) = sent(&mut registration, now).unwrap();
        let foreign = Message { options: vec![], ..reply(&question, vec![]) };
        assert!(!registration.handle_reply(START, &foreign), "it names neither");
        assert!(registration.handle_reply(START, &reply(&question, options)));
        assert!(!registration.needs_port());
        registration.start(at(10));
        let left = pass(&mut registration, START, at(again + 1));
        assert_eq!(left, [(at(again), None)]);
    }
}

/// CLI-30: a server that does not answer is asked five times in an hour.
#[test]
fn silence_is_bounded() {
    let mut registration = registration();
    registration.start(START);
    let left = pass(&mut registration, START, at(3500));
    assert_eq!(left.len(), 5, "{left:?}");
    assert!(!registration.needs_port(), "another program may need it");
    assert_eq!(pass(&mut registration, at(3500), at(7100)).len(), 5);
}

/// CLI-31: three times at most, each with what is left of the lifetimes, by one transaction id.
#[test]
fn a_registration_is_repeated_until_it_is_acknowledged() {
    let mut registration = offered(&[formed(ONE, 0)]);
    let (_, first) = sent(&mut registration, START).unwrap();
    registration.handle_timeout(at(2));
    let (_, second) = sent(&mut registration, at(2)).unwrap();
    assert_eq!(first[..4], second[..4]);
    assert_ne!(first, second, "less is left of the lifetimes");
    let left = pass(&mut registration, at(2), at(7000));
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(!registration.needs_port());
}

/// CLI-31: what comes to another address, or is about another, acknowledges nothing.
#[test]
fn foreign_acknowledgements_are_none() {
    let mut registration = offered(&[formed(ONE, 0), formed(TWO, 0)]);
    let (_, message) = sent(&mut registration, START).unwrap();
    let [one, two] = [ONE, TWO].map(|text| text.parse::<Ipv6Addr>().unwrap());
    let transaction_id = TransactionId([message[1], message[2], message[3]]);
    let cases = [
        (two, Acknowledgement { transaction_id, address: one }),
        (one, Acknowledgement { transaction_id, address: two }),
        (two, Acknowledgement { transaction_id, address: two }),
        (one, Acknowledgement { transaction_id: TransactionId([0; 3]), address: one }),
    ];
    for (destination, acknowledgement) in cases {
        assert!(!registration.handle_acknowledgement(destination, &acknowledgement));
    }
    assert!(acknowledge(&mut registration, &message));
}

/// CLI-31: what a DHCPv6 server may have given, what is not usable yet and what is not global is
/// not registered.
#[test]
fn only_the_hosts_own_usable_global_addresses_are_registered() {
    let formed = || formed(ONE, 0);
    let cases = [
        ("formed", formed(), true),
        ("temporary", KernelAddress { origin: Origin::Temporary, ..formed() }, true),
        ("by hand", KernelAddress { origin: Origin::Other, ..address(ONE, Until::Never) }, true),
        ("by a server", KernelAddress { origin: Origin::Other, ..formed() }, false),
        ("tentative", KernelAddress { tentative: true, ..formed() }, false),
        ("duplicate", KernelAddress { duplicate: true, ..formed() }, false),
        ("of our lease", KernelAddress { ours: true, ..formed() }, false),
        ("link-local", address("fe80::1", Until::Never), false),
        ("loopback", address("::1", Until::Never), false),
        ("over", address(ONE, Until::At(START)), false),
        ("unique local", self::formed("fd00::1", 0), true),
    ];
    for (name, has, is_registered) in cases {
        let mut registration = offered(&[has]);
        assert_eq!(sent(&mut registration, at(1)).is_some(), is_registered, "{name}");
    }
}

/// CLI-32: refreshed before it ends, where advertisements move the end; never where they do not.
#[test]
fn a_registration_is_refreshed_before_it_ends() {
    let mut steady = offered(&[formed(ONE, 0)]);
    assert_eq!(pass(&mut steady, START, at(6000)).len(), 3);
    let mut extended = offered(&[formed(ONE, 0)]);
    let (_, message) = sent(&mut extended, START).unwrap();
    assert!(acknowledge(&mut extended, &message));
    let mut refreshes = Vec::new();
    for seconds in (200..30_000).step_by(200) {
        extended.follow(at(seconds), [formed(ONE, seconds)].iter());
        extended.handle_timeout(at(seconds));
        while let Some((_, message)) = sent(&mut extended, at(seconds)) {
            assert!(acknowledge(&mut extended, &message));
            refreshes.push(seconds);
        }
    }
    let apart: Vec<u64> = refreshes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((3..=6).contains(&refreshes.len()), "{refreshes:?}");
    assert!(apart.iter().all(|apart| (5184..=6600).contains(apart)), "{apart:?}");
}

/// CLI-32: an address without end is refreshed every four hours, give or take a tenth.
#[test]
fn an_address_without_end_is_refreshed_every_four_hours() {
    let mut registration = offered(&[address(ONE, Until::Never)]);
    let left = pass(&mut registration, START, at(24 * 3600));
    assert!((15..=21).contains(&left.len()), "{}", left.len());
}

/// CLI-30: on another link it is found out anew.
#[test]
fn another_link_is_asked_anew() {
    let mut registration = offered(&[formed(ONE, 0)]);
    registration.forget();
    assert!(!registration.needs_port());
    assert_eq!(pass(&mut registration, START, at(100_000)), []);
    registration.start(at(10));
    assert_eq!(
        pass(&mut registration, at(10), at(12)).first().map(|(_, source)| *source),
        Some(None)
    );
}

proptest! {
    /// CLI-33: whatever addresses come and go, the table and the rate are bounded, and no deadline
    /// passes without anything happening.
    #[test]
    fn floods_are_bounded(rounds in proptest::collection::vec((0_u16..400, 1_u64..9000, 0_u64..3), 1..200)) {
        let mut registration = offered(&[]);
        let (mut now, mut count) = (START, 0);
        for (first, valid, gap) in rounds {
            let many: Vec<_> = (first..first + 50)
                .map(|n| address(&format!("2001:db8:a::{n:x}"), Until::At(now + Duration::from_secs(valid))))
                .collect();
            registration.follow(now, many.iter());
            prop_assert!(registration.addresses.len() <= MAX_ADDRESSES);
            let end = now + Duration::from_secs(gap);
            count += pass(&mut registration, now, end).len();
            now = end;
        }
        let most = 64 + now.since(START).as_secs() / 2 + 1;
        prop_assert!(count as u64 <= most, "{} of {}", count, most);
    }

    /// No octets make it panic.
    #[test]
    fn no_octets_matter(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
        let mut registration = offered(&[formed(ONE, 0)]);
        if let Ok(message) = Message::decode(&octets) {
            prop_assert!(!registration.handle_reply(START, &message));
        }
        if let Ok(acknowledgement) = Acknowledgement::decode(&octets) {
            let _ = registration.handle_acknowledgement(ONE.parse().unwrap(), &acknowledgement);
        }
    }
}
