//! Holders that answer, are silent or cannot be asked, and the bounds of both tables.

use super::*;
use crate::core::delegate::BindingKey;
use crate::wire::dhcpv6_option::{Duid, Iaid};

const NOW: Instant = Instant::from_secs(1000);
const LAN: IfIndex = IfIndex(3);
const HOLDER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const NEWCOMER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);

fn question(holder: Ipv6Addr, newcomer: Ipv6Addr) -> Question {
    let newcomer = Place { neighbor: newcomer, behind: Vec::new() };
    Question { interface: LAN, holder, newcomer }
}

/// A message of the newcomer, which its octets distinguish.
fn message(octet: u8) -> Received {
    Received {
        interface: LAN,
        source: NEWCOMER,
        port: 546,
        link_layer: None,
        destination: NEWCOMER,
        hop_limit: 1,
        fragmented: false,
        octets: vec![octet],
    }
}

fn asked() -> (Takeovers, Question) {
    let mut takeovers = Takeovers::default();
    let question = question(HOLDER, NEWCOMER);
    assert_eq!(takeovers.ask(NOW, question.clone(), &message(0)), Verdict::Pending);
    (takeovers, question)
}

fn after(milliseconds: u64) -> Instant {
    NOW + Duration::from_millis(milliseconds)
}

fn node(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, number)
}

/// The neighbor `target` answers with this link-layer address; the messages that waited.
fn answer(
    takeovers: &mut Takeovers,
    now: Instant,
    interface: IfIndex,
    target: Ipv6Addr,
    link_layer: Option<u8>,
) -> Vec<Received> {
    let advertisement = NeighborAdvertisement {
        solicited: true,
        target,
        target_link_layer: link_layer.map(|last| vec![2, 0, 0, 0, 0, last]),
    };
    takeovers.handle_answer(now, interface, advertisement)
}

fn contact(peer: Ipv6Addr) -> Contact {
    Contact {
        next_hop: peer,
        peer,
        link_layer: None,
        neighbor_link_layer: None,
        port: 546,
        relay: None,
        levels: Vec::new(),
    }
}

fn holder(number: u16) -> Holder {
    let duid = Duid::from_uuid([1; 16]);
    let key = BindingKey { downlink: "lan".into(), duid, iaid: Iaid(1) };
    Holder { key, contact: contact(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number)) }
}

fn newcomer() -> Newcomer {
    Newcomer { address: NEWCOMER, duid: None, relay: None }
}

/// How many solicitations have left until the holder is found silent, and after how many
/// milliseconds; what happens at each solicitation is up to the test.
fn until_silent(
    (mut takeovers, question): (Takeovers, Question),
    mut happens: impl FnMut(&mut Takeovers, usize) -> Duration,
) -> (usize, u128) {
    let (mut now, mut count) = (NOW, 0);
    while !takeovers.is_silent(now, &question) && now.since(NOW) < Duration::from_secs(20) {
        let mut late = Duration::ZERO;
        while takeovers.poll_solicitation(now).is_some() {
            count += 1;
            late = late.max(happens(&mut takeovers, count));
        }
        let Some(deadline) = takeovers.deadline() else { break };
        now = deadline.at.max(now) + late;
        takeovers.handle_timeout(now);
    }
    (count, now.since(NOW).as_millis())
}

/// SEC-18
#[test]
fn silence_is_three_solicitations_without_an_answer() {
    assert_eq!(until_silent(asked(), |_, _| Duration::ZERO), (3, 900));
}

/// SEC-18: a node that keeps solicitations from leaving takes nothing over by that.
#[test]
fn a_solicitation_that_did_not_leave_does_not_count() {
    let fails = |takeovers: &mut Takeovers, count| {
        if count <= 5 {
            takeovers.handle_not_sent(LAN, NeighborSolicitation::group_of(HOLDER));
        }
        Duration::ZERO
    };
    assert_eq!(until_silent(asked(), fails), (8, 2400));
}

/// SEC-18: an agent that was held up may have the answer unread before it.
#[test]
fn a_late_verdict_is_none() {
    let late = |_: &mut Takeovers, count| Duration::from_secs(u64::from(count == 3));
    let (count, _) = until_silent(asked(), late);
    assert_eq!(count, 4);
}

/// SEC-18
#[test]
fn in_a_flood_silence_has_to_last() {
    let floods = |takeovers: &mut Takeovers, _| {
        (0..1000).for_each(|_| takeovers.note_packet());
        Duration::ZERO
    };
    assert_eq!(until_silent(asked(), floods), (20, 6000));
}

/// The table of refused takeovers is full: the newest holder gets in, the one leaves that was
/// left alone longest, and a holder that is in it already pushes no other out.
#[test]
fn the_latest_refused_takeovers_are_shown() {
    let mut takeovers = Takeovers::default();
    let mut refuse = |second: u64, number: u16| {
        takeovers.note_refused(after(second * 1000), &holder(number), newcomer());
        let shown = takeovers.contested.keys().map(|(_, holder)| holder.segments()[7]);
        shown.collect::<Vec<_>>()
    };
    for number in 1..=16 {
        assert_eq!(refuse(number.into(), number), (1..=number).collect::<Vec<_>>());
    }
    assert_eq!(refuse(17, 1), (1..=16).collect::<Vec<_>>(), "it was there");
    let shown: Vec<u16> = std::iter::once(1).chain(3..=17).collect();
    assert_eq!(refuse(18, 17), shown, "the attempt against 2 was the longest ago");
}

#[test]
fn a_holder_that_cannot_be_asked_at_all_is_not_asked_for_ever() {
    let (mut takeovers, question) = asked();
    takeovers.forget_unless(NOW + GIVEN_UP_AFTER, |_| true);
    assert!(!takeovers.is_silent(NOW, &question) && takeovers.deadline().is_none());
}

/// SEC-18: a solicitation of another node, or on another link, that does not leave is none of
/// this holder's.
#[test]
fn solicitations_of_others_that_did_not_leave_change_nothing() {
    let fails = |takeovers: &mut Takeovers, _| {
        takeovers.handle_not_sent(IfIndex(4), NeighborSolicitation::group_of(HOLDER));
        takeovers.handle_not_sent(LAN, NeighborSolicitation::group_of(NEWCOMER));
        Duration::ZERO
    };
    assert_eq!(until_silent(asked(), fails), (3, 900));
}

/// SEC-18: the flood has to exceed a number of packets for each solicitation.
#[test]
fn two_hundred_packets_for_a_solicitation_are_no_flood() {
    for (packets, count) in [(200, 3), (202, 20)] {
        let busy = |takeovers: &mut Takeovers, _| {
            (0..packets).for_each(|_| takeovers.note_packet());
            Duration::ZERO
        };
        assert_eq!(until_silent(asked(), busy).0, count, "{packets} packets");
    }
}

/// SEC-18: a holder is probed once a second at most, and may be silent for five.
#[test]
fn an_answer_counts_for_a_second_and_silence_for_five() {
    let (mut takeovers, question) = asked();
    answer(&mut takeovers, after(10), LAN, HOLDER, Some(1));
    let link_layer = Some(vec![2, 0, 0, 0, 0, 1]);
    let mut ask = |at| takeovers.ask(after(at), question.clone(), &message(0));
    assert_eq!(ask(1009), Verdict::Answers { link_layer });
    assert_eq!(ask(1010), Verdict::Pending);
    let (mut takeovers, question) = asked();
    while let Some(next) = takeovers.deadline() {
        while takeovers.poll_solicitation(next.at).is_some() {}
        takeovers.handle_timeout(next.at);
    }
    assert!(takeovers.is_silent(after(5899), &question));
    assert!(!takeovers.is_silent(after(5900), &question));
    assert_eq!(takeovers.ask(after(5899), question.clone(), &message(0)), Verdict::Silent);
    assert_eq!(takeovers.ask(after(5900), question, &message(0)), Verdict::Pending);
}

/// Only the newest message of a newcomer is answered, and only by the neighbor that was asked.
#[test]
fn an_answer_of_the_holder_on_its_link_releases_the_newest_message() {
    let (mut takeovers, question) = asked();
    assert!(takeovers.is_asking());
    assert_eq!(takeovers.ask(after(5), question.clone(), &message(1)), Verdict::Pending);
    assert_eq!(answer(&mut takeovers, after(10), IfIndex(4), HOLDER, Some(1)), []);
    assert_eq!(answer(&mut takeovers, after(10), LAN, NEWCOMER, Some(1)), []);
    assert_eq!(answer(&mut takeovers, after(10), LAN, HOLDER, Some(1)), [message(1)]);
    assert_eq!(
        answer(&mut takeovers, after(11), LAN, HOLDER, Some(2)),
        [],
        "nothing waits any more"
    );
    let link_layer = Some(vec![2, 0, 0, 0, 0, 1]);
    let verdict = takeovers.ask(after(12), question, &message(2));
    assert_eq!(verdict, Verdict::Answers { link_layer }, "the first answer counts");
    assert!(!takeovers.is_asking() && !takeovers.is_idle());
}

/// A holder and a newcomer are one node where one link-layer address has answered for both.
#[test]
fn two_addresses_of_one_node_have_one_link_layer_address() {
    let cases = [
        ("one node", Some(1), Some(1), 100, true),
        ("two nodes", Some(1), Some(2), 100, false),
        ("neither shows its address", None, None, 100, false),
        ("too long ago", Some(1), Some(1), 1010, false),
    ];
    for (name, of_holder, of_newcomer, asked_at, is_same) in cases {
        let (mut takeovers, question) = asked();
        takeovers.ask(NOW, question.of_itself(), &message(0));
        assert!(!takeovers.is_same_node(NOW, &question, &contact(HOLDER)), "not known yet");
        answer(&mut takeovers, after(10), LAN, HOLDER, of_holder);
        answer(&mut takeovers, after(10), LAN, NEWCOMER, of_newcomer);
        let found = takeovers.is_same_node(after(asked_at), &question, &contact(HOLDER));
        assert_eq!(found, is_same, "{name}");
    }
}

/// The table of probes is full: of all probes one of a newcomer itself goes first, then one of the
/// newcomer with most of them, and of these the oldest. Results that are over take no room.
#[test]
fn a_newcomer_that_causes_many_probes_loses_its_own() {
    let fill = |takeovers: &mut Takeovers, count: u16| {
        for number in 0..count {
            let asked_at = after(u64::from(number) + 1);
            takeovers.ask(asked_at, question(node(number), NEWCOMER), &message(0));
        }
    };
    let others = question(HOLDER, node(1000));
    let itself = question(HOLDER, node(1001)).of_itself();
    let last = question(HOLDER, node(1002));
    let mut takeovers = Takeovers::default();
    takeovers.ask(NOW, others.clone(), &message(0));
    takeovers.ask(after(500), itself.clone(), &message(0));
    fill(&mut takeovers, 62);
    takeovers.ask(after(600), last.clone(), &message(0));
    let has = |takeovers: &Takeovers, question: &Question| takeovers.probes.contains_key(question);
    let of_most = |number| question(node(number), NEWCOMER);
    assert!(!has(&takeovers, &itself), "a newcomer that is there has answered at once");
    assert!(has(&takeovers, &others) && has(&takeovers, &last) && has(&takeovers, &of_most(0)));
    takeovers.ask(after(700), question(HOLDER, node(1003)), &message(0));
    assert!(has(&takeovers, &others) && !has(&takeovers, &of_most(0)), "the oldest of the many");
    assert!(has(&takeovers, &of_most(1)) && has(&takeovers, &of_most(61)));
    assert_eq!(takeovers.probes.len(), MAX_PROBES);
    let mut takeovers = Takeovers::default();
    fill(&mut takeovers, 64);
    for number in 1..64 {
        answer(&mut takeovers, after(100), LAN, node(number), Some(1));
    }
    takeovers.ask(after(1100), last, &message(0));
    assert!(has(&takeovers, &of_most(0)), "the one that is under way stays");
    assert_eq!(takeovers.probes.len(), 2);
}

/// A probe ends where its interface cannot send, and after half a minute; a result stays.
#[test]
fn a_probe_that_cannot_be_sent_is_given_up() {
    let cases = [
        ("it can", 29_999, true, true),
        ("for too long", 30_000, true, false),
        ("it cannot", 1, false, false),
    ];
    for (name, asked_at, can_ask, stays) in cases {
        let (mut takeovers, _) = asked();
        takeovers.ask(NOW, question(node(1), NEWCOMER), &message(0));
        answer(&mut takeovers, NOW, LAN, node(1), Some(1));
        takeovers.forget_unless(after(asked_at), |interface| {
            assert_eq!(interface, LAN);
            can_ask
        });
        assert_eq!(takeovers.is_asking(), stays, "{name}");
        assert!(!takeovers.is_idle(), "{name}: the result");
    }
}

/// A refused takeover is news when it begins and when it is over: by time, or as it is taken.
#[test]
fn a_refused_takeover_is_shown_for_ten_minutes_after_the_last_attempt() {
    let mut takeovers = Takeovers::default();
    assert!(!takeovers.take_news());
    takeovers.note_refused(NOW, &holder(1), newcomer());
    assert!(takeovers.take_news() && !takeovers.take_news());
    takeovers.note_refused(after(1000), &holder(1), newcomer());
    assert!(!takeovers.take_news(), "it was there");
    assert_eq!(takeovers.deadline().map(|next| next.at), Some(after(601_000)));
    takeovers.handle_timeout(after(600_999));
    assert!(!takeovers.take_news() && !takeovers.contested.is_empty());
    takeovers.handle_timeout(after(601_000));
    assert!(takeovers.take_news() && takeovers.contested.is_empty());
    assert!(takeovers.deadline().is_none());
    takeovers.note_refused(NOW, &holder(1), newcomer());
    assert!(takeovers.take_news());
    takeovers.note_taken(&holder(2));
    assert!(!takeovers.take_news(), "of another holder");
    takeovers.note_taken(&holder(1));
    assert!(takeovers.take_news() && takeovers.contested.is_empty());
}
