//! Reconfigure: whose is followed, and what it starts.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

use super::*;
use crate::core::rkap::is_authentic;
use MessageType::{InformationRequest, Rebind, Renew};

pub(super) const KEY: [u8; 16] = [0x5a; 16];

/// A Reconfigure of server 1 before it is signed.
fn unsigned(wanted: u8, replay: u64) -> Message {
    let authentication = Authentication {
        protocol: 3,
        algorithm: 1,
        replay_detection: 0,
        replay,
        information: [&[2], &[0; 16][..]].concat(),
    };
    Message {
        kind: MessageType::Reconfigure,
        transaction_id: crate::wire::dhcpv6::TransactionId([0; 3]),
        options: vec![
            ClientId(client()),
            ServerId(server(1)),
            Dhcpv6Option::ReconfigureMessage(wanted),
            Dhcpv6Option::Authentication(authentication),
        ],
    }
}

/// Sets the digest that `key` makes of the message, if it has a place for one.
fn sign(mut message: Message, key: &[u8; 16]) -> Message {
    let mut hmac = Hmac::<Md5>::new_from_slice(key).unwrap();
    hmac.update(&message.encode());
    let digest = hmac.finalize().into_bytes();
    for option in &mut message.options {
        if let Dhcpv6Option::Authentication(authentication) = option
            && authentication.information.len() == 17
        {
            authentication.information[1..].copy_from_slice(&digest);
        }
    }
    message
}

pub(super) fn reconfigure(wanted: u8, replay: u64) -> Message {
    sign(unsigned(wanted, replay), &KEY)
}

/// A world with A whose server has sent its key, with replay value 5.
fn keyed() -> World {
    World::bound_to(rules(), [gives(A), vec![key_option(KEY, 5)]].concat())
}

/// Lets `message` arrive and does as it says, as the core does.
pub(super) fn obey(world: &mut World, message: &Message) {
    let before = world.reported.len();
    world.receive(message);
    let wanted = world.reported[before..].iter().find_map(|(_, reported)| reported.reconfigure);
    if let Some(kind) = wanted {
        world.lease.refresh(world.now, Refresh { kind, follow_up: false });
    }
}

/// PDC-87: the digest is HMAC-MD5 over the message with the digest zeroed, as another
/// implementation computes it.
#[test]
fn the_digest_is_that_of_the_rfc() {
    let message = reconfigure(5, 7);
    let expected = 0xe6dc_36cd_a43a_178f_32e3_e311_2519_6422_u128.to_be_bytes();
    assert_eq!(message.authentication().unwrap().information[1..], expected);
    assert!(is_authentic(&KEY, &message.encode()));
}

/// PDC-87: no bit of the message can be changed.
#[test]
fn each_bit_counts() {
    let octets = reconfigure(5, 7).encode();
    for bit in 0..octets.len() * 8 {
        let mut flipped = octets.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(!is_authentic(&KEY, &flipped), "bit {bit}");
    }
    for length in 0..octets.len() {
        assert!(!is_authentic(&KEY, &octets[..length]));
    }
}

/// PDC-86, PDC-87, PDC-89: what it asks for is done at once.
#[test]
fn a_valid_reconfigure_is_followed() {
    for (wanted, kind) in [(5, Renew), (6, Rebind), (11, InformationRequest)] {
        let mut world = keyed();
        obey(&mut world, &reconfigure(wanted, 6));
        world.run(millis(500), silence);
        assert_eq!(world.kinds_once(), [kind]);
        assert_eq!(world.rejects, []);
        assert!(world.reported[0].1.remember, "the replay value");
        assert!(!world.reported[0].1.changed);
        assert_eq!(world.live(), [net(A)]);
    }
}

/// PDC-86: one missing or wrong item each.
#[test]
fn an_invalid_reconfigure_is_dropped() {
    type Spoil = fn(&mut Message);
    fn authentication(message: &mut Message) -> &mut Authentication {
        match &mut message.options[3] {
            Dhcpv6Option::Authentication(authentication) => authentication,
            other => panic!("{other:?}"),
        }
    }
    let cases: [(&str, Reject, Spoil); 15] = [
        ("no Client Id", Reject::ClientId, |m| drop(m.options.remove(0))),
        ("another's", Reject::ClientId, |m| m.options[0] = ClientId(server(3))),
        ("no Server Id", Reject::NoServerId, |m| drop(m.options.remove(1))),
        ("another server", Reject::Authentication, |m| m.options[1] = ServerId(server(2))),
        ("no type", Reject::ReconfigureMessage, |m| drop(m.options.remove(2))),
        ("Solicit", Reject::ReconfigureMessage, |m| {
            m.options[2] = Dhcpv6Option::ReconfigureMessage(1);
        }),
        ("Release", Reject::ReconfigureMessage, |m| {
            m.options[2] = Dhcpv6Option::ReconfigureMessage(8);
        }),
        ("no such type", Reject::ReconfigureMessage, |m| {
            m.options[2] = Dhcpv6Option::ReconfigureMessage(99);
        }),
        ("no authentication", Reject::Authentication, |m| drop(m.options.remove(3))),
        ("protocol", Reject::Authentication, |m| authentication(m).protocol = 2),
        ("algorithm", Reject::Authentication, |m| authentication(m).algorithm = 0),
        ("RDM", Reject::Authentication, |m| authentication(m).replay_detection = 1),
        ("a key", Reject::Authentication, |m| authentication(m).information[0] = 1),
        ("too short", Reject::Authentication, |m| authentication(m).information.truncate(16)),
        ("nothing in it", Reject::Authentication, |m| authentication(m).information.clear()),
    ];
    for (name, reject, spoil) in cases {
        let mut world = keyed();
        let stored = world.lease.stored();
        let mut message = unsigned(5, 6);
        spoil(&mut message);
        obey(&mut world, &sign(message, &KEY));
        world.run(secs(5), silence);
        assert_eq!(world.rejects, [reject], "{name}");
        assert!(world.sent.is_empty() && world.reported.is_empty(), "{name}");
        assert_eq!(world.lease.stored(), stored, "{name}");
    }
    let mut world = keyed();
    obey(&mut world, &sign(unsigned(5, 6), &[0x5b; 16]));
    obey(&mut world, &unsigned(5, 6));
    assert_eq!(world.rejects, [Reject::Authentication; 2]);
}

/// PDC-86: without a key nothing is authentic, not even to a key of zeros.
#[test]
fn without_a_key_no_reconfigure_is_followed() {
    let mut keyless = World::bound();
    let off = Rules { reconfigure: false, ..rules() };
    let mut off = World::bound_to(off, [gives(A), vec![key_option(KEY, 5)]].concat());
    for world in [&mut keyless, &mut off] {
        for key in [KEY, [0; 16]] {
            obey(world, &sign(unsigned(5, 6), &key));
        }
        assert_eq!(world.rejects, [Reject::Authentication; 2]);
        assert_eq!(world.lease.stored().unwrap().reconfigure_key, None);
    }
}

/// PDC-88: the replay value has to rise; the Reply's counts as the first one seen.
#[test]
fn a_replayed_reconfigure_is_dropped() {
    let mut world = keyed();
    let cases = [(5, false), (4, false), (6, true), (6, false), (7, true), (u64::MAX, true)];
    for (replay, valid) in cases {
        world.rejects.clear();
        world.receive(&reconfigure(5, replay));
        let expected: &[Reject] = if valid { &[] } else { &[Reject::Replay] };
        assert_eq!(world.rejects, expected, "{replay}");
    }
    assert_eq!(world.lease.stored().unwrap().replay, Some(u64::MAX));
}

/// PDC-88: where no replay value is known, the first one seen is taken as it is.
#[test]
fn the_first_replay_value_is_taken_as_it_is() {
    let stored = StoredLease { replay: None, ..keyed().lease.stored().unwrap() };
    let mut world = World::restarted(rules(), Some(stored), 7);
    world.receive(&reconfigure(5, 0));
    world.receive(&reconfigure(5, 0));
    assert_eq!(world.rejects, [Reject::Replay]);
}

/// PDC-88: one that is not authentic does not move the replay value.
#[test]
fn a_forged_reconfigure_moves_no_replay_value() {
    let mut world = keyed();
    world.receive(&sign(unsigned(5, u64::MAX), &[0; 16]));
    assert_eq!(world.lease.stored().unwrap().replay, Some(5));
    world.receive(&reconfigure(5, 6));
    assert_eq!(world.rejects, [Reject::Authentication]);
}

/// PDC-89: a second one during the exchange starts nothing, and silence costs no prefix.
#[test]
fn further_reconfigures_are_part_of_the_first() {
    let mut world = keyed();
    obey(&mut world, &reconfigure(5, 6));
    world.run(millis(500), silence);
    obey(&mut world, &reconfigure(5, 7));
    obey(&mut world, &reconfigure(6, 8));
    world.run(millis(999), silence);
    assert_eq!(world.kinds_once(), [Renew]);
    let handed_on = world.reported.iter().filter(|(_, reported)| reported.reconfigure.is_some());
    assert_eq!(handed_on.count(), 1);
    world.run(secs(900), silence);
    assert!(world.times_of(Renew).iter().all(|at| *at < secs(1)));
    assert_eq!(world.live(), [net(A)]);
    world.sent.clear();
    obey(&mut world, &reconfigure(5, 9));
    world.run(secs(902), |question| Some(reply(1, question, gives(A))));
    assert_eq!(world.kinds(), [Renew], "the exchange is over");
}

/// CHG-16: a refresh that something else started may have asked too early, so the Reconfigure is
/// handed on.
#[test]
fn a_reconfigure_during_another_refresh_is_handed_on() {
    let mut world = keyed();
    world.lease.refresh(world.now, RENEW);
    world.run(millis(3000), silence);
    world.receive(&reconfigure(5, 6));
    assert_eq!(world.reported[0].1.reconfigure, Some(RefreshKind::Renew));
}

/// PDC-89: the transaction id says nothing.
#[test]
fn the_transaction_id_of_a_reconfigure_is_ignored() {
    let mut world = keyed();
    let mut message = unsigned(5, 6);
    message.transaction_id.0 = [1, 2, 3];
    obey(&mut world, &sign(message, &KEY));
    world.run(Duration::ZERO, silence);
    assert_eq!(world.kinds(), [Renew]);
    assert_ne!(world.last().transaction_id.0, [1, 2, 3]);
}

/// PDC-90: the Information-request names the server, its answer is taken, and no lease moves.
#[test]
fn information_is_asked_for_from_its_sender() {
    let mut world = keyed();
    let held = world.lease.prefixes();
    obey(&mut world, &reconfigure(11, 6));
    obey(&mut world, &reconfigure(11, 7));
    world.run(secs(10), |question| {
        (question.elapsed_time() > Some(0)).then(|| {
            let dns = Dhcpv6Option::DnsServers(vec![addr("2001:db8::53")]);
            reply(1, question, vec![dns])
        })
    });
    assert_eq!(world.kinds(), [InformationRequest; 2], "one exchange, repeated until answered");
    assert!(world.sent.iter().all(|(_, message)| message.server_id() == Some(&server(1))));
    assert_near(world.sent[1].0, millis(900), millis(200));
    assert_eq!(world.lease.prefixes(), held);
    let (servers, _) = world.lease.resolvers();
    assert_eq!(servers, [(addr("2001:db8::53"), held[0].valid_until)], "until the lease ends");
    assert_eq!(world.outcomes(), []);
}

/// PDC-91: information is refreshed when its time is up, with a delay of up to a second.
#[test]
fn information_is_refreshed_in_its_time() {
    let cases = [
        ("default", None, Some(86_400)),
        ("floor", Some(10), Some(600)),
        ("as sent", Some(700), Some(700)),
        ("never", Some(u32::MAX), None),
    ];
    for (name, sent, expected) in cases {
        let mut delays = Vec::new();
        for seed in 0..20 {
            let mut world = World::seeded(Rules { delegate: Vec::new(), ..rules() }, seed);
            world.lease.link_up(START, true);
            world.lease.want_information(START, true);
            world.run(secs(100_000), |question| {
                let refresh = sent.map(Dhcpv6Option::InformationRefreshTime);
                Some(reply(1, question, refresh.into_iter().collect()))
            });
            let times = world.times_of(InformationRequest);
            assert_eq!(times.len() > 1, expected.is_some(), "{name}");
            if let Some(expected) = expected {
                assert_near(times[1], secs(expected), millis(1002));
                delays.push(times[1] - secs(expected));
            }
        }
        delays.sort_unstable();
        let spread = delays.last().copied().unwrap_or_default() >= millis(700);
        assert!(delays.is_empty() || (spread && delays[0] < millis(300)), "{name} {delays:?}");
    }
}

/// PDC-87: a key is kept until another comes, and leaves with its server.
#[test]
fn the_key_is_that_of_the_server_of_the_lease() {
    let other = [0x77; 16];
    let mut world = keyed();
    let mut answer_with = |number: u8, options: Vec<Dhcpv6Option>| {
        world.lease.refresh(world.now, REBIND);
        world.run(world.elapsed() + millis(5), |question| {
            Some(reply(number, question, options.clone()))
        });
        let stored = world.lease.stored().unwrap();
        (stored.reconfigure_key, stored.replay)
    };
    assert_eq!(answer_with(1, gives(A)), (Some(KEY), Some(5)), "kept");
    let older = [gives(A), vec![key_option(KEY, 3)]].concat();
    assert_eq!(answer_with(1, older), (Some(KEY), Some(5)), "replay values never fall");
    let new = [gives(A), vec![key_option(other, 2)]].concat();
    assert_eq!(answer_with(1, new), (Some(other), Some(2)), "another key counts anew");
    assert_eq!(answer_with(2, gives(A)), (None, None), "another server");
}

/// A Reconfigure that arrives while the link is down asks for nothing.
#[test]
fn without_a_link_a_reconfigure_waits_for_nothing() {
    let mut world = keyed();
    world.lease.link_down();
    obey(&mut world, &reconfigure(11, 6));
    world.run(secs(500), silence);
    assert!(world.sent.is_empty());
}
