//! Notifications after a change.

use MessageType::*;

use super::*;

const ONE: &str = "2001:db8:a00:10::/60";
const ACCEPT: Dhcpv6Option = Dhcpv6Option::ReconfigureAccept;

/// The key in an answer.
fn key_of(answer: &Message) -> Option<crate::core::rkap::Key> {
    answer.authentication().and_then(crate::core::rkap::key_of)
}

/// HMAC-MD5 written out (RFC 2104), so that the digest is made twice.
fn hmac(key: &[u8; 16], octets: &[u8]) -> Vec<u8> {
    use md5::Digest;
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(octet, key)| *octet ^= key);
        block
    };
    let inner = md5::Md5::digest([&pad(0x36)[..], octets].concat());
    md5::Md5::digest([&pad(0x5c)[..], &inner[..]].concat()).to_vec()
}

/// SRV-53
#[test]
fn a_key_goes_to_routers_that_accept_it_with_what_binds() {
    let mut world = World::new(SITE, A);
    assert_eq!(key_of(&world.hear(1, Solicit, &[ia(1, &[]), ACCEPT]).unwrap()), None);
    let answer = world.hear(1, Request, &[ia(1, &[])]).unwrap();
    assert_eq!((key_of(&answer), answer.has_reconfigure_accept()), (None, false));
    let answer = world.hear(1, Request, &[ia(1, &[]), ACCEPT]).unwrap();
    let first = key_of(&answer).expect("a key");
    assert!(answer.has_reconfigure_accept());
    let again = world.hear(1, Request, &[ia(1, &[]), ACCEPT]).unwrap();
    assert_eq!(key_of(&again), Some(first), "the answer got lost: the same again");
    assert!(again.authentication().unwrap().replay > answer.authentication().unwrap().replay);
    let renewed = world.hear(1, Renew, &[ia(1, &[ONE]), ACCEPT]).unwrap();
    assert_eq!(key_of(&renewed), None, "once");
    let second = world.hear(2, Request, &[ia(1, &[]), ACCEPT]).unwrap();
    assert_ne!(key_of(&second), Some(first), "each its own");
    // One for each router: it keeps only the last.
    let other = world.hear(1, Request, &[ia(2, &[]), ACCEPT]).unwrap();
    assert_eq!(key_of(&other), Some(first));
    // A router that does not accept it any more is not notified so.
    world.hear(1, Request, &[ia(1, &[])]).unwrap();
    world.renumber(B);
    assert!(world.notifications().contains(&(contact(1).peer, None)));
    world.check();
}

/// SRV-50, SRV-51, SRV-59: in the pass of the change, one notification for all that a router has.
#[test]
fn a_change_notifies_each_router_once_in_its_way() {
    let mut world = World::new(SITE, A);
    let answer = world.hear(1, Request, &[ia(1, &[]), ia(2, &[]), ACCEPT]).unwrap();
    let key = key_of(&answer).unwrap();
    world.hear(2, Request, &[ia(1, &[])]).unwrap();
    world.run_for(secs(100));
    world.renumber(B);
    let routes = world.routes();
    for prefix in ["2001:db8:b00:10::/60", "2001:db8:b00:20::/60", "2001:db8:b00:30::/60"] {
        assert!(routes.contains(&prefix.to_owned()), "{prefix} before anyone hears of it");
    }
    let notified = world.notifications();
    assert_eq!(notified.len(), 2);
    assert_eq!(notified[1], (contact(2).peer, None));
    let (peer, reconfigure) = notified.into_iter().next().unwrap();
    let reconfigure = reconfigure.expect("a Reconfigure");
    assert_eq!((peer, reconfigure.kind), (contact(1).peer, Reconfigure));
    assert_eq!(reconfigure.transaction_id, TransactionId([0; 3]));
    assert_eq!(reconfigure.client_id(), Some(&router(1)));
    assert_eq!(reconfigure.server_id(), Some(&us()));
    assert_eq!(reconfigure.reconfigure_message(), Some(Renew));
    assert_eq!(reconfigure.options.len(), 4, "nothing else");
    let mut zeroed = reconfigure.encode();
    let range = crate::wire::dhcpv6::digest_range(&zeroed).unwrap();
    let digest = zeroed[range.clone()].to_vec();
    zeroed[range].fill(0);
    assert_eq!(digest, hmac(&key, &zeroed));
}

/// SRV-52
#[test]
fn a_silent_router_is_notified_eight_times_at_doubling_gaps() {
    let mut world = World::new(SITE, A);
    world.hear(1, Request, &[ia(1, &[]), ACCEPT]).unwrap();
    world.renumber(B);
    let mut at = Vec::new();
    for second in 0..1200 {
        let notified = world.notifications();
        at.extend(notified.iter().filter(|(_, message)| message.is_some()).map(|_| second));
        world.run_for(secs(1));
    }
    assert_eq!(at, [0, 2, 6, 14, 30, 62, 126, 254]);
}

/// RA-TX-64: with and without a key, but not where an advertisement does not reach.
#[test]
fn a_router_that_does_not_come_is_advertised_to_again_within_a_second() {
    let relayed = Contact { relay: Some(contact(9).peer), ..contact(1) };
    for (contact, accepts, expected) in [
        (contact(1), true, &[20, 60, 200, 1000][..]),
        (contact(1), false, &[0, 20, 60, 200, 1000]),
        (relayed, true, &[]),
    ] {
        let mut world = World::new(SITE, A);
        let options = [ia(1, &[]), ACCEPT];
        let options = &options[..if accepts { 2 } else { 1 }];
        world.hear_at("lan0", contact, &message(1, Request, options)).unwrap();
        world.run_for(secs(100));
        world.renumber(B);
        let begun = world.now;
        let mut at = Vec::new();
        for _ in 0..10_000 {
            let notified = world.notifications();
            let advertised = notified.iter().filter(|(_, message)| message.is_none());
            at.extend(advertised.map(|_| world.now.since(begun).as_millis()));
            world.run_for(Duration::from_millis(1));
        }
        assert_eq!(at, expected, "{accepts}");
    }
}

/// RA-TX-64, CHG-16: it would take the Reconfigure for one of the change before.
#[test]
fn a_router_answered_within_two_seconds_is_advertised_to_at_once() {
    for (after, expected) in [(1, 2), (3, 1)] {
        let mut world = World::new(SITE, A);
        world.hear(1, Request, &[ia(1, &[]), ACCEPT]).unwrap();
        world.run_for(secs(after));
        world.renumber(B);
        assert_eq!(world.notifications().len(), expected, "{after} s");
    }
}

/// RA-TX-64: whatever it comes with; another router's message is not its own.
#[test]
fn a_router_that_was_answered_is_not_advertised_to_again() {
    for kind in [Renew, Rebind, Request, Solicit] {
        let mut world = World::new(SITE, A);
        world.hear(1, Request, &[ia(1, &[])]).unwrap();
        world.hear(2, Request, &[ia(1, &[])]).unwrap();
        world.renumber(B);
        assert_eq!(world.notifications().len(), 2);
        world.run_for(Duration::from_millis(10));
        world.ask(1, kind, &[ONE]).unwrap();
        world.run_for(secs(10));
        let peers: Vec<Ipv6Addr> =
            world.notifications().into_iter().map(|(peer, _)| peer).collect();
        assert_eq!(peers, [contact(2).peer; 4], "{kind:?}");
    }
}

/// RA-TX-64, SRV-58
#[test]
fn a_router_that_was_refused_is_advertised_to_again() {
    let mut world = World::new(SITE, A);
    world.delegate("up", &[]);
    assert!(world.ask(1, Solicit, &[]).is_err());
    world.run_for(secs(100));
    world.renumber(B);
    assert_eq!(world.notifications(), [(contact(1).peer, None)]);
    world.run_for(Duration::from_millis(30));
    assert_eq!(world.notifications(), [(contact(1).peer, None)]);
    world.ask(1, Solicit, &[]).unwrap();
    world.run_for(secs(10));
    assert_eq!(world.notifications(), []);
}

/// SRV-52: whatever it comes with.
#[test]
fn a_router_that_comes_is_not_notified_again() {
    for kind in [Renew, Rebind, Request] {
        let mut world = World::new(SITE, A);
        world.hear(1, Request, &[ia(1, &[]), ACCEPT]).unwrap();
        world.run_for(secs(100));
        world.renumber(B);
        assert_eq!(world.notifications().len(), 1);
        world.run_for(secs(1));
        world.notifications();
        let given = world.ask(1, kind, &[ONE]).unwrap();
        assert_eq!(given, ["2001:db8:b00:10::/60 2700 5400", "2001:db8:a00:10::/60 0 0"], "SRV-28");
        world.run_for(secs(600));
        assert_eq!(world.notifications(), [], "{kind:?}");
        // Nor where our own lease is merely renewed.
        world.renumber(B);
        world.run_for(secs(600));
        assert_eq!(world.notifications(), [], "{kind:?}");
    }
}

/// SRV-52: a renewal of our own lease is no news to a router that does not come, however often there
/// is one; a shorter lifetime is, and so is another prefix.
#[test]
fn a_router_that_does_not_come_is_notified_of_news_alone() {
    for accepts in [true, false] {
        let mut world = World::new(SITE, A);
        let options = [ia(1, &[]), ACCEPT];
        world.hear(1, Request, &options[..if accepts { 2 } else { 1 }]).unwrap();
        world.run_for(secs(100));
        world.renumber(B);
        world.run_for(secs(600));
        world.notifications();
        for _ in 0..50 {
            world.renumber(B);
            world.run_for(secs(10));
        }
        assert_eq!(world.notifications(), [], "{accepts}");
        world.delegate("up", &[(B, 0, 3600)]);
        assert_eq!(world.notifications().len(), 1, "{accepts}: it is deprecated");
        world.run_for(secs(600));
        world.notifications();
        world.renumber(B);
        world.run_for(secs(600));
        assert_eq!(world.notifications(), [], "{accepts}");
        world.renumber("2001:db8:c00::/40");
        assert_eq!(world.notifications().len(), 1, "{accepts}: it has another prefix");
    }
}

/// SRV-52: what is shorter in the middle of a series begins another one, but not without end.
#[test]
fn a_shorter_lifetime_begins_a_series_of_its_own() {
    let mut world = World::new(SITE, A);
    world.hear(1, Request, &[ia(1, &[]), ACCEPT]).unwrap();
    world.renumber(B);
    let mut at = Vec::new();
    let mut run = |world: &mut World, seconds: u64| {
        for _ in 0..seconds {
            let notified = world.notifications();
            let signed = notified.iter().filter(|(_, message)| message.is_some());
            at.extend(signed.map(|_| world.now.since(START).as_secs()));
            world.run_for(secs(1));
        }
    };
    run(&mut world, 100);
    world.delegate("up", &[(B, 0, 3600)]);
    run(&mut world, 1000);
    let series = [0, 2, 6, 14, 30, 62, 126, 254];
    let expected = series[..6].iter().copied().chain(series.map(|second| 100 + second));
    assert_eq!(at, expected.collect::<Vec<u64>>());
    let mut count = 0;
    for left in (200..400).rev() {
        world.delegate("up", &[(B, 0, 5 * left)]);
        world.run_for(secs(1));
        count += world.notifications().iter().filter(|(_, message)| message.is_some()).count();
    }
    assert!((8..=20).contains(&count), "{count} in 200 s, one each in which it is shorter");
}

/// SRV-54: from value to value, from run to run.
#[test]
fn replay_values_rise_over_restarts() {
    let mut world = World::new(SITE, A);
    let answer = world.hear(1, Request, &[ia(1, &[]), ACCEPT]).unwrap();
    let mut last = answer.authentication().unwrap().replay;
    for round in 0..6 {
        world.restart();
        world.renumber(if round % 2 == 0 { B } else { A });
        world.run_for(secs(20));
        for (_, message) in world.notifications() {
            let Some(message) = message else { continue };
            let replay = message.authentication().unwrap().replay;
            assert!(replay > last, "{replay} after {last}");
            assert!(replay <= world.memory.replay, "set aside before it is used");
            last = replay;
        }
    }
}

/// A prefix that is deprecated above is so below, though it is still held.
#[test]
fn routers_are_notified_of_a_deprecated_prefix() {
    let mut world = World::new(SITE, A);
    world.ask(1, Request, &[]).unwrap();
    world.delegate("up", &[(A, 0, 1200), (B, 86_400, 86_400)]);
    assert_eq!(world.notifications(), [(contact(1).peer, None)]);
    let given = world.ask(1, Renew, &[ONE]).unwrap();
    assert_eq!(given, ["2001:db8:a00:10::/60 0 1200", "2001:db8:b00:10::/60 2700 5400"]);
    world.delegate("up", &[(A, 0, 1200), (B, 86_400, 86_400)]);
    assert_eq!(world.notifications(), []);
    world.check();
}

/// RFC 9096 L-15: a lease above that has become shorter, in whichever of its lifetimes.
#[test]
fn a_router_promised_more_than_is_left_is_notified() {
    for (preferred, valid) in [(600, 900), (600, 86_400), (2700, 3000)] {
        let mut world = World::new(SITE, A);
        world.ask(1, Request, &[]).unwrap();
        world.delegate("up", &[(A, preferred, valid)]);
        assert_eq!(world.notifications().len(), 1, "{preferred} {valid}");
        let left = format!("2001:db8:a00:10::/60 {preferred} {}", valid.min(5400));
        assert_eq!(world.ask(1, Renew, &[ONE]).unwrap(), [left]);
    }
}

/// SRV-58
#[test]
fn a_router_that_was_refused_is_notified_when_there_is_something() {
    for kind in [Solicit, Request] {
        let mut world = World::new(SITE, A);
        world.delegate("up", &[]);
        assert!(world.ask(1, kind, &[]).is_err());
        assert!(world.ask(7, kind, &[]).is_err(), "a stranger");
        world.run_for(secs(100));
        assert_eq!(world.notifications(), []);
        world.renumber(B);
        assert_eq!(world.notifications(), [(contact(1).peer, None)]);
        world.renumber(A);
        assert_eq!(world.notifications(), [], "once");
    }
}

/// Killed between the change and the notifications.
#[test]
fn notifications_are_made_up_for_after_a_restart() {
    let mut world = World::new(SITE, A);
    world.hear(1, Request, &[ia(1, &[]), ACCEPT]).unwrap();
    world.hear(2, Request, &[ia(1, &[])]).unwrap();
    world.run_for(secs(100));
    world.leases.insert("up".to_owned(), vec![(net(B), 86_400, 86_400)]);
    world.restart();
    let notified = world.notifications();
    assert_eq!(notified.len(), 2);
    assert!(notified[0].1.is_some() && notified[1].1.is_none());
    world.ask(1, Renew, &[ONE]).unwrap();
    world.restart();
    let again: Vec<_> = world.notifications().into_iter().map(|(peer, _)| peer).collect();
    assert_eq!(again, [contact(2).peer], "not who knows");
}

/// SRV-38, SRV-58: before it is known what is delegated to us, a router that solicits is asked to
/// come back soon, and notified. No other router gets an answer that takes something away.
#[test]
fn a_router_that_solicits_too_early_is_notified() {
    let asked = Dhcpv6Option::OptionRequest(vec![code::SOL_MAX_RT]);
    let mut world = World::new(SITE, A);
    world.known = false;
    world.delegate("up", &[]);
    for kind in [Request, Renew, Rebind, Release] {
        assert_eq!(world.hear(1, kind, &[ia(1, &[ONE])]), Err(Reject::Silent), "{kind:?}");
    }
    let answer = world.hear(1, Solicit, &[ia(1, &[]), asked, Dhcpv6Option::RapidCommit]).unwrap();
    assert_eq!((answer.kind, answer.has_rapid_commit()), (Advertise, false));
    assert_eq!(prefixes_of(&answer, 1), Err(StatusCode::NoPrefixAvail));
    assert!(answer.options.contains(&Dhcpv6Option::SolMaxRt(60)));
    assert_eq!(world.notifications(), []);
    world.known = true;
    world.renumber(B);
    assert_eq!(world.notifications(), [(contact(1).peer, None)]);
    assert!(world.ask(1, Solicit, &[]).is_ok());
}

/// SRV-50, SRV-52: a router that has been notified often enough is notified anew once there is a key
/// for it, which it got with another IA_PD.
#[test]
fn a_router_that_was_notified_without_a_key_is_notified_with_it() {
    let mut world = World::new(SITE, A);
    world.hear(1, Request, &[ia(1, &[]), ia(2, &[])]).unwrap();
    world.run_for(secs(10));
    world.renumber(B);
    world.run_for(secs(300));
    assert!(world.notifications().iter().all(|(_, message)| message.is_none()));
    world.run_for(secs(300));
    assert_eq!(world.notifications(), [], "nor is it advertised to for ever");
    assert!(key_of(&world.hear(1, Renew, &[ia(1, &[]), ACCEPT]).unwrap()).is_some());
    world.run_for(secs(10));
    let notified = world.notifications();
    assert!(notified.iter().any(|(_, message)| message.is_some()), "{notified:?}");
    world.check();
}
