//! What the messages hold.

use super::*;

/// A lease with a prefix and an address, and one message of each type that it can send.
fn one_of_each() -> Vec<Message> {
    let mut messages = Vec::new();
    let mut world = World::new(rules());
    world.lease.want_address(START, true);
    world.lease.link_up(START, true);
    let given = || vec![ia_na(1000, 1600, "2001:db8::7", 2000, 4000), gives(A).remove(0)];
    world.run(secs(2), |question| serve(question, given()));
    world.lease.refresh(world.now, RENEW);
    world.run(secs(8), silence);
    world.lease.decline(world.now, addr("2001:db8::7"));
    world.lease.client_mut().inform(world.now, Some(server(1)));
    world.run(secs(9), silence);
    messages.extend(world.sent.into_iter().map(|(_, message)| message));

    let mut world = World::new(Rules { delegate: Vec::new(), ..rules() });
    world.lease.want_address(START, true);
    world.lease.link_up(START, true);
    let given = || vec![ia_na(1000, 1600, "2001:db8::7", 2000, 4000)];
    world.run(secs(2), |question| serve(question, given()));
    world.lease.link_up(world.now, true);
    world.run(secs(3), silence);
    messages.extend(world.sent_of(MessageType::Confirm).into_iter().cloned());
    messages
}

fn first_of(messages: &[Message], kind: MessageType) -> &Message {
    messages.iter().find(|message| message.kind == kind).unwrap()
}

/// PDC-12, PDC-13, PDC-41, PDC-42, PDC-44, PDC-84, PDC-85, PDC-90
#[test]
fn each_message_holds_what_its_type_needs() {
    use MessageType::*;
    // What is passed on to hosts stands behind what is for us (LAN-01).
    let of_lease: Option<&[u16]> =
        Some(&[23, 24, 67, 82, 56, 31, 144, 103, 64, 94, 95, 96, 21, 22]);
    let of_information: Option<&[u16]> =
        Some(&[23, 24, 32, 83, 56, 31, 144, 103, 64, 94, 95, 96, 21, 22]);
    let cases = [
        // type, Server Id, options asked for, Rapid Commit, Reconfigure Accept, IA_NA, IA_PD
        (Solicit, false, of_lease, true, true, true, true),
        (Request, true, of_lease, false, true, true, true),
        (Renew, true, of_lease, false, true, true, true),
        (Rebind, false, of_lease, false, true, true, true),
        (Confirm, false, None, false, false, true, false),
        (Decline, true, None, false, false, true, false),
        (InformationRequest, true, of_information, false, true, false, false),
    ];
    let messages = one_of_each();
    for (kind, server_id, asked, rapid, accept, na, pd) in cases {
        let message = first_of(&messages, kind);
        assert_eq!(message.client_id(), Some(&client()), "{kind:?}");
        assert_eq!(message.server_id().is_some(), server_id, "{kind:?}");
        assert_eq!(message.option_request(), asked, "{kind:?}");
        assert_eq!(message.has_rapid_commit(), rapid, "{kind:?}");
        assert_eq!(message.has_reconfigure_accept(), accept, "{kind:?}");
        assert_eq!(message.ia_nas().count() > 0, na, "{kind:?}");
        assert_eq!(message.ia_pds().count() > 0, pd, "{kind:?}");
        assert!(message.elapsed_time().is_some(), "{kind:?}");
    }
    let never = |code: &u16| matches!(code, 1..=9 | 11..=16 | 18..=20 | 25 | 26);
    assert!(!messages.iter().flat_map(|m| m.option_request()).flatten().any(never));
}

/// PDC-31, PDC-85
#[test]
fn options_that_are_configured_off_are_not_offered() {
    let mut world = World::new(Rules { rapid_commit: false, reconfigure: false, ..rules() });
    world.lease.link_up(START, true);
    world.run(secs(2), |question| serve(question, gives(A)));
    assert_eq!(world.kinds(), [MessageType::Solicit, MessageType::Request]);
    for (_, message) in &world.sent {
        assert!(!message.has_rapid_commit() && !message.has_reconfigure_accept());
    }
}

/// PDC-04, PDC-08: one exchange for all; the IA_NA may have the number of an IA_PD.
#[test]
fn one_message_asks_for_addresses_and_all_prefixes() {
    let mut world = World::new(two_ias());
    world.lease.want_address(START, true);
    world.lease.link_up(START, true);
    world.run(Duration::ZERO, silence);
    assert_eq!(world.sent.len(), 1);
    assert_eq!(world.last().ia_nas().map(|ia| ia.iaid).collect::<Vec<_>>(), [Iaid(1)]);
    assert_eq!(named(world.last()), [(1, vec![]), (2, vec![])]);
}

/// PDC-25
#[test]
fn a_length_is_hinted_and_never_a_length_of_zero() {
    for (length, expected) in [(None, vec![]), (Some(56), vec![net("::/56")]), (Some(0), vec![])] {
        let delegate = vec![Delegate { iaid: Iaid(9), length }];
        let mut world = World::new(Rules { delegate, ..rules() });
        world.lease.link_up(START, true);
        world.run(Duration::ZERO, silence);
        assert_eq!(named(world.last()), [(9, expected)]);
    }
}

/// PDC-26
#[test]
fn times_are_left_to_the_server() {
    for message in one_of_each() {
        for ia in message.ia_pds() {
            assert!(ia.t1.is_zero() && ia.t2.is_zero());
            assert!(ia.prefixes.iter().all(|p| p.preferred.is_zero() && p.valid.is_zero()));
        }
        for ia in message.ia_nas() {
            assert!(ia.t1.is_zero() && ia.t2.is_zero());
            assert!(ia.addresses.iter().all(|a| a.preferred.is_zero() && a.valid.is_zero()));
        }
    }
}

/// PDC-11
#[test]
fn elapsed_time_counts_from_the_first_message_and_saturates() {
    let mut world = World::new(rules());
    world.lease.link_up(START, false);
    world.run(secs(3000), silence);
    let first_at = world.sent[0].0;
    for (at, message) in &world.sent {
        let hundredths = ((*at - first_at).as_millis() / 10).min(0xffff);
        assert_eq!(u128::from(message.elapsed_time().unwrap()), hundredths);
    }
    assert_eq!(world.last().elapsed_time(), Some(0xffff));
}

/// PDC-10
#[test]
fn a_transaction_keeps_its_id_and_the_next_has_another() {
    let mut world = World::new(rules());
    world.lease.link_up(START, true);
    world.run(secs(20), silence);
    let ids: BTreeSet<_> = world.sent.iter().map(|(_, message)| message.transaction_id.0).collect();
    assert!(world.sent.len() > 3 && ids.len() == 1, "retransmission");

    let mut ids = BTreeSet::new();
    for _ in 0..1000 {
        world.lease.link_up(world.now, true);
        ids.extend(world.lease.client().exchanges.iter().map(|exchange| exchange.transaction_id.0));
    }
    assert!(ids.len() > 995, "{} ids of 1000", ids.len());
}

/// PDC-01
#[test]
fn a_server_of_any_duid_is_followed() {
    let long = Duid::new(&[&[0, 9], &[0xab; 128][..]].concat()).unwrap();
    let mut world = World::new(rules());
    world.lease.link_up(START, true);
    world.run(secs(2), |question| {
        let mut answer = serve(question, gives(A))?;
        answer.options[1] = ServerId(long.clone());
        Some(answer)
    });
    assert_eq!(world.last().server_id(), Some(&long));
    assert_eq!(world.lease.describe(), (Some(long), "bound"));
}

/// PDC-07, PDC-14, PDC-15: Server Unicast is option 12, UseMulticast status 5.
#[test]
fn options_unknown_or_obsolete_are_no_obstacle() {
    let mut world = World::new(rules());
    world.lease.link_up(START, true);
    world.run(secs(2), |question| {
        let mut options = gives(A);
        options.push(Dhcpv6Option::Unknown { code: 999, body: vec![1, 2, 3] });
        options.push(Dhcpv6Option::Unknown { code: 12, body: vec![0x20; 16] });
        options.push(Dhcpv6Option::Status(status(StatusCode::Other(5))));
        options.push(Dhcpv6Option::Status(status(StatusCode::UnspecFail)));
        Some(reply(1, question, options))
    });
    assert_eq!(world.live(), [net(A)]);
}
