//! What is reported of the exchanges.

use super::*;

/// The transitions that are no repetitions, in words, with servers by number.
fn story(world: &World) -> Vec<String> {
    let steps = world.transitions.iter().filter(|transition| !transition.is_repetition());
    let words = steps.map(|transition| {
        transition
            .to_string()
            .replace(&server(1).to_string(), "1")
            .replace(&server(2).to_string(), "2")
    });
    words.collect()
}

/// RFC 9915 §18.2: Solicit, Request, Reply; then nobody answers any more.
#[test]
fn the_life_of_a_lease_is_reported_step_by_step() {
    let mut world = World::new(Rules { rapid_commit: false, ..rules() });
    world.lease.link_up(START, true);
    world.run(secs(10), |question| serve(question, gives(A)));
    let bound = format!("bound: {A} from the server 1, Renew after 1000 s, Rebind after 1600 s");
    assert_eq!(story(&world), ["Solicit sent", "Request sent", &bound]);
    world.transitions.clear();
    world.run(secs(4005), silence);
    assert_eq!(
        story(&world),
        [
            "Renew sent",
            "Renew unanswered, Rebind",
            "Rebind sent",
            &format!("{A} is no longer held: its lifetime has ended"),
            "Rebind unanswered, Solicit",
            "Solicit sent",
        ]
    );
    let renews =
        |step: &&Transition| matches!(step, Transition::Sent { message: MessageType::Renew, .. });
    let attempts = world.transitions.iter().filter(renews).map(|step| match step {
        Transition::Sent { attempt, .. } => *attempt,
        _ => 0,
    });
    assert!(attempts.eq(1..=world.times_of(MessageType::Renew).len() as u32), "each is reported");
}

/// CHG-05: the ladder of a change, climbed in vain.
#[test]
fn each_step_of_a_refresh_in_vain_is_reported() {
    let mut world = World::bound();
    world.lease.refresh(START, RENEW);
    world.run(secs(12), silence);
    assert_eq!(
        story(&world),
        [
            "Renew sent",
            "Renew unanswered, Rebind",
            "Rebind sent",
            "Rebind unanswered, Solicit",
            "Solicit sent",
            "Solicit unanswered: the refresh is given up",
        ]
    );
}

/// A refusal is no silence, and what another prefix replaces is withdrawn.
#[test]
fn refusals_and_replacements_are_reported() {
    let mut world = World::bound();
    world.lease.refresh(START, RENEW);
    world.run(secs(5), |question| match question.kind {
        MessageType::Renew => Some(reply(1, question, vec![fails(1, StatusCode::NoBinding)])),
        _ => Some(reply(1, question, gives(B))),
    });
    let bound = format!("bound: {B} from the server 1, Renew after 1000 s, Rebind after 1600 s");
    let refused = "the server 1 answers Renew: NoBinding (3)";
    let steps = story(&world);
    assert_eq!(steps[..4], ["Renew sent", refused, "Request sent", &bound]);
    let lost = format!("{A} is no longer held: it was withdrawn or replaced");
    assert_eq!(steps[4..], [lost]);
}

/// Nobody has to ask for them.
#[test]
fn they_are_bounded() {
    let mut world = World::bound();
    for second in 0..100 {
        world.lease.refresh(START + secs(20 * second), REBIND);
        let _ = world.lease.handle_timeout(START + secs(20 * second + 15));
        while world.lease.poll_transmit(START + secs(20 * second)).is_some() {}
    }
    assert!(std::iter::from_fn(|| world.lease.poll_transition()).count() <= 16);
}
