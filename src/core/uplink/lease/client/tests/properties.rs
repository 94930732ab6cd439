//! What holds whatever servers say and whatever happens to the link.

use proptest::collection::vec;
use proptest::prelude::*;

use super::reconfigure::{KEY, obey, reconfigure};
use super::*;
use MessageType::{Advertise, Confirm, Decline, Rebind, Release, Renew, Reply, Solicit};

/// An answer: who sends it, whether its type is the expected one, and what it holds.
#[derive(Clone, Debug)]
struct Saying {
    number: u8,
    fitting: bool,
    options: Vec<Dhcpv6Option>,
}

#[derive(Clone, Debug)]
enum Step {
    Pass(Duration),
    Refresh(bool),
    LinkUp(bool),
    LinkDown,
    WantAddress(bool),
    WantInformation(bool),
    Decline,
    Rediscover,
    Reconfigure(u8, u64),
    Forget,
}

fn lifetime() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(u32::MAX), 1_u32..30, 30_u32..5000, any::<u32>()]
}

fn code() -> impl Strategy<Value = StatusCode> {
    prop::sample::select(vec![
        StatusCode::Success,
        StatusCode::UnspecFail,
        StatusCode::NoAddrsAvail,
        StatusCode::NoBinding,
        StatusCode::NotOnLink,
        StatusCode::NoPrefixAvail,
        StatusCode::Other(5),
    ])
}

fn any_prefix() -> impl Strategy<Value = IaPrefix> {
    let texts = vec![
        A,
        B,
        "2001:db8:a:10::/60",
        "2001:db8:a::/48",
        "2001:db8:c::/64",
        "2001:db8:a::1/128",
        "2000::/3",
        "fe80::/56",
        "::/0",
    ];
    let status = prop::option::weighted(0.1, code().prop_map(status));
    (prop::sample::select(texts), lifetime(), lifetime(), any::<bool>(), status).prop_map(
        |(text, one, other, in_order, status)| {
            let (preferred, valid) =
                if in_order { (one.min(other), one.max(other)) } else { (one, other) };
            IaPrefix { status, ..prefix(text, preferred, valid) }
        },
    )
}

fn any_ia_pd() -> impl Strategy<Value = Dhcpv6Option> {
    let status = prop::option::weighted(0.2, code().prop_map(status));
    (
        prop::sample::select(vec![1, 1, 2, 9]),
        lifetime(),
        lifetime(),
        vec(any_prefix(), 0..4),
        status,
    )
        .prop_map(|(iaid, t1, t2, prefixes, status)| {
            Dhcpv6Option::IaPd(IaPd {
                iaid: Iaid(iaid),
                t1: Lifetime::from_wire(t1),
                t2: Lifetime::from_wire(t2),
                prefixes,
                status,
            })
        })
}

fn any_option() -> impl Strategy<Value = Dhcpv6Option> {
    let address = prop::sample::select(vec!["2001:db8::7", "2001:db8::8", "fe80::1"]);
    prop_oneof![
        8 => any_ia_pd(),
        2 => (lifetime(), lifetime(), address, lifetime(), lifetime())
            .prop_map(|(t1, t2, address, preferred, valid)| ia_na(t1, t2, address, preferred, valid)),
        1 => code().prop_map(|code| Dhcpv6Option::Status(status(code))),
        1 => any::<u8>().prop_map(Dhcpv6Option::Preference),
        1 => any::<u32>().prop_map(Dhcpv6Option::SolMaxRt),
        1 => (0_u32..1000).prop_map(Dhcpv6Option::InformationRefreshTime),
        1 => (0_u64..9).prop_map(|replay| key_option(KEY, replay)),
        1 => Just(Dhcpv6Option::DnsServers(vec![addr("2001:db8::53")])),
    ]
}

fn saying() -> impl Strategy<Value = Saying> {
    (1_u8..4, prop::bool::weighted(0.9), vec(any_option(), 0..5))
        .prop_map(|(number, fitting, options)| Saying { number, fitting, options })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_u64..3_000_000).prop_map(|short| Step::Pass(millis(short / 1000))),
        4 => (0_u64..100).prop_map(|seconds| Step::Pass(secs(seconds))),
        2 => (0_u64..9000).prop_map(|seconds| Step::Pass(secs(seconds))),
        4 => any::<bool>().prop_map(Step::Refresh),
        3 => any::<bool>().prop_map(Step::LinkUp),
        1 => Just(Step::LinkDown),
        1 => any::<bool>().prop_map(Step::WantAddress),
        1 => any::<bool>().prop_map(Step::WantInformation),
        1 => Just(Step::Decline),
        1 => Just(Step::Rediscover),
        1 => (prop::sample::select(vec![5, 6, 11]), 0_u64..20)
            .prop_map(|(wanted, replay)| Step::Reconfigure(wanted, replay)),
        1 => Just(Step::Forget),
    ]
}

fn any_rules() -> impl Strategy<Value = Rules> {
    (0..4_usize, any::<[bool; 4]>()).prop_map(|(count, [rapid, reconfigure, reconnect, strict])| {
        let two = two_ias();
        Rules {
            by_program: false,
            delegate: two.delegate.into_iter().take(count).collect(),
            rapid_commit: rapid,
            reconfigure,
            solicit_on_reconnect: reconnect,
            strict,
            shortest_prefix: two.shortest_prefix,
            duid: two.duid,
        }
    })
}

fn apply(world: &mut World, step: &Step) {
    let now = world.now;
    match step {
        Step::Pass(_) => {}
        Step::Refresh(rebind) => {
            world.lease.refresh(now, if *rebind { REBIND } else { RENEW });
        }
        Step::LinkUp(hurry) => world.lease.link_up(now, *hurry),
        Step::LinkDown => world.lease.link_down(),
        Step::WantAddress(wanted) => world.lease.want_address(now, *wanted),
        Step::WantInformation(wanted) => world.lease.want_information(now, *wanted),
        Step::Decline => world.lease.decline(now, addr("2001:db8::7")),
        Step::Rediscover => world.lease.rediscover(now),
        Step::Reconfigure(wanted, replay) => obey(world, &reconfigure(*wanted, *replay)),
        Step::Forget => world.lease.forget(now),
    }
}

/// What the servers say to `question`, if anything.
fn say(question: &Message, saying: Option<&Saying>) -> Option<Message> {
    let saying = saying?;
    let due = if question.kind == Solicit { Advertise } else { Reply };
    let other = if due == Reply { Advertise } else { Reply };
    let kind = if saying.fitting { due } else { other };
    Some(answer(kind, saying.number, question, saying.options.clone()))
}

/// What holds at rest.
fn check(world: &World) -> Result<(), TestCaseError> {
    let live: Vec<_> =
        world.lease.prefixes().into_iter().filter(|held| held.gone_since.is_none()).collect();
    for held in &live {
        prop_assert!(!held.valid_until.is_over(world.now), "in use behind its end: {held:?}");
        prop_assert!(held.preferred_until <= held.valid_until);
        prop_assert!(
            (20..=64).contains(&held.prefix.prefix_len()) && held.prefix == held.prefix.trunc()
        );
    }
    for (index, one) in live.iter().enumerate() {
        let overlaps = live[index + 1..]
            .iter()
            .any(|other| one.prefix.contains(&other.prefix) || other.prefix.contains(&one.prefix));
        prop_assert!(!overlaps, "{live:?}");
    }
    prop_assert!(world.gone().len() <= 32);
    for leased in world.lease.addresses() {
        prop_assert!(!leased.valid_until.is_over(world.now), "{leased:?}");
    }
    let stored = world.lease.stored();
    prop_assert_eq!(stored.is_some(), !live.is_empty());
    let again = Lease::new(
        world.lease.client().rules.clone(),
        stored.as_ref(),
        Random::new([1; 32]),
        world.now,
    );
    prop_assert_eq!(again.prefixes(), live, "after a restart");
    prop_assert!(world.lease.deadline().is_none_or(|deadline| deadline.at > world.now));
    Ok(())
}

/// What holds for all that was sent.
fn check_sent(world: &World) -> Result<(), TestCaseError> {
    for run in world.sent.windows(21) {
        prop_assert!(run[20].0 - run[0].0 >= secs(20), "{:?}", run[0].0);
    }
    for (at, message) in &world.sent {
        prop_assert_ne!(message.kind, Release);
        if matches!(message.kind, Confirm | Decline) {
            prop_assert_eq!(message.ia_pds().count(), 0);
        }
        let decoded = Message::decode(&message.encode());
        prop_assert_eq!(decoded.as_ref().ok(), Some(message), "at {:?}", at);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// PDC-09, PDC-44, PDC-47, PDC-49, PDC-72, PDC-80, PDC-84, STO-02, STO-11, SEC-07: nothing
    /// panics, spins, floods or releases; nothing is in use behind its end; what is reported and
    /// what is stored are what is held.
    #[test]
    fn whatever_happens_the_lease_stays_sane(
        rules in any_rules(),
        seed: u8,
        latency in 1_u64..3000,
        steps in vec(step(), 1..40),
        sayings in vec(prop::option::weighted(0.7, saying()), 1..12),
    ) {
        let mut world = World::seeded(rules, seed);
        world.latency = millis(latency);
        let mut said = 0;
        for step in [Step::LinkUp(true)].iter().chain(&steps) {
            world.reported.clear();
            let before = (world.live(), world.lease.stored());
            apply(&mut world, step);
            let pass = if let Step::Pass(pass) = step { *pass } else { Duration::ZERO };
            world.run(world.elapsed() + pass, |question| {
                said += 1;
                say(question, sayings[said % sayings.len()].as_ref())
            });
            check(&world)?;
            if world.live() != before.0 {
                prop_assert!(world.reported.iter().any(|(_, reported)| reported.changed), "{step:?}");
            }
            if world.lease.stored() != before.1 {
                prop_assert!(world.reported.iter().any(|(_, reported)| reported.remember), "{step:?}");
            }
        }
        check_sent(&world)?;
        prop_assert!(world.spins <= 1, "{} times", world.spins);
    }

    /// PDC-47, PDC-50: whatever the times that a server sends, no lease ends without an attempt to
    /// keep it, and none is made at once.
    #[test]
    fn no_lease_ends_without_an_attempt(
        t1 in lifetime(),
        t2 in lifetime(),
        valid in 11_u32..100_000,
        share in 0.0..=1.0_f64,
    ) {
        let (t1, t2) = if t2 == 0 { (t1, t2) } else { (t1.min(t2), t1.max(t2)) };
        let preferred = (f64::from(valid) * share) as u32;
        let mut world =
            World::bound_to(rules(), vec![ia_pd(1, t1, t2, &[prefix(A, preferred, valid)])]);
        world.run(secs(valid.into()) - millis(1), silence);
        prop_assert!(matches!(world.kinds().first(), Some(Renew | Rebind)));
        prop_assert!(world.sent[0].0 >= secs(1));
        prop_assert_eq!(world.live(), [net(A)]);
        world.run(secs(valid.into()), silence);
        prop_assert_eq!(world.gone(), [net(A)]);
    }

    /// §15b, PDC-41, PDC-43: whenever a refresh starts before T1, and for whatever reason, a dead
    /// server gets ten messages in its first minute at most; after a change five repetitions of
    /// the first more.
    #[test]
    fn a_dead_server_gets_ten_messages_in_a_minute(
        seed: u8,
        at in 0_u64..939_000,
        reason in 0..3,
        reconnect: bool,
    ) {
        let mut world =
            World::bound_to(Rules { solicit_on_reconnect: reconnect, ..rules() }, gives(A));
        world.lease.client_mut().random = Random::new([seed; 32]);
        world.run(millis(at), silence);
        match reason {
            0 => world.lease.refresh(world.now, RENEW),
            1 => world.lease.refresh(world.now, REBIND),
            _ => world.lease.link_up(world.now, false),
        }
        world.run(millis(at) + secs(60), silence);
        let most = if reason < 2 { 15 } else { 10 };
        prop_assert!(world.sent.len() <= most, "{:?}", world.kinds());
        let end = world.outcomes();
        prop_assert!(matches!(end[..], [(_, Outcome::Failed)]), "{end:?}");
    }
}
