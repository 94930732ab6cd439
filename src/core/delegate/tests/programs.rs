//! Other programs in the built-in's place: bindings stand by themselves, and a change is heard of
//! behind what the program confirms.

use super::*;
use crate::core::engine::State;

/// Two IA_PDs of router 1 and one of router 2, behind their link-local addresses.
const PROGRAM: &str = r#"
    grace = "30s"
    [uplink.up]
    [downlink.lan0]
    subnet = "0x0/64"
    delegator = "dhcp6s"
    [delegation.one]
    downlink = "lan0"
    duid = "00:04:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01"
    iaid = 1
    next-hop = "fe80::1"
    prefix = "0x1/60"
    [delegation.other]
    downlink = "lan0"
    duid = "00:04:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01"
    iaid = 2
    next-hop = "fe80::1"
    prefix = "0x2/60"
    [delegation.two]
    downlink = "lan0"
    duid = "00:04:02:02:02:02:02:02:02:02:02:02:02:02:02:02:02:02"
    iaid = 7
    next-hop = "fe80::2"
    prefix = "0x3/60"
"#;

/// The same with the built-in.
fn built_in() -> String {
    PROGRAM.replace("delegator = \"dhcp6s\"", "")
}

const IN_A: [&str; 3] = ["2001:db8:a00:10::/60", "2001:db8:a00:20::/60", "2001:db8:a00:30::/60"];
const IN_B: [&str; 3] = ["2001:db8:b00:10::/60", "2001:db8:b00:20::/60", "2001:db8:b00:30::/60"];

impl World {
    /// What the only program was asked for last, where that was something new.
    fn order(&mut self) -> Option<Assigned> {
        std::mem::take(&mut self.ordered).pop()
    }

    /// The program does what it was asked for.
    fn confirm(&mut self) -> bool {
        self.delegating.note_state(self.now, "lan0", State::Running)
    }
}

/// Prefix, preferred and valid lifetime of each delegation.
fn given(assigned: &Assigned) -> Vec<String> {
    let prefixes = assigned.routers.iter().flat_map(|router| &router.prefixes);
    prefixes.map(|one| format!("{} {} {}", one.prefix, one.preferred, one.valid)).collect()
}

#[test]
fn routes_of_delegations_stand_by_themselves_and_move_with_the_prefix() {
    let mut world = World::new(PROGRAM, A);
    assert_eq!(world.routes(), IN_A);
    let next_hops = |world: &World| {
        let bindings = world.delegating.bindings().values();
        bindings.map(|binding| binding.contact().next_hop).collect::<Vec<_>>()
    };
    assert_eq!(next_hops(&world), [contact(1).next_hop, contact(1).next_hop, contact(2).next_hop]);
    world.check();
    world.renumber(B);
    let mut both: Vec<&str> = IN_A.into_iter().chain(IN_B).collect();
    let mut routes = world.routes();
    both.sort_unstable();
    routes.sort_unstable();
    assert_eq!(routes, both, "the old ones stay for the grace time");
    world.check();
    world.run_for(secs(31));
    assert_eq!(world.routes(), IN_B);
    world.check();
    // Nothing is left of them once the last message about them has run out.
    world.run_for(secs(5400));
    let promised = world.delegating.bindings().values().flat_map(Binding::promised);
    assert_eq!(promised.count(), 3);
    world.check();
}

#[test]
fn a_restart_knows_what_was_given_before() {
    let mut world = World::new(PROGRAM, A);
    world.order();
    world.known = false;
    world.restart();
    assert_eq!(world.order(), None, "it is not known yet what there is to give");
    assert_eq!(world.delegating.bindings().len(), 3);
    world.known = true;
    world.leases.clear();
    world.renumber(B);
    assert_eq!(world.order().map(|order| order.routers.len()), Some(3));
    let promised = world.delegating.bindings().values().flat_map(Binding::promised);
    let old = promised.filter(|(prefix, _)| net(A).contains(*prefix));
    assert_eq!(old.count(), 3, "routers may hold them still");
    world.check();
}

#[test]
fn an_order_is_a_state_and_repeated_only_where_it_differs() {
    let mut world = World::new(PROGRAM, A);
    let order = world.order().expect("the first order");
    let lifetimes = |prefix: &str| format!("{prefix} 45m 1h 30m");
    assert_eq!(given(&order), IN_A.map(lifetimes));
    assert_eq!(order.server, us());
    world.settle();
    assert_eq!(world.order(), None);
    // Our own lease is renewed: nothing that a program says differs.
    world.run_for(secs(3600));
    world.renumber(A);
    assert_eq!(world.order(), None);
    world.renumber(B);
    assert_eq!(given(&world.order().expect("another one")), IN_B.map(lifetimes));
    world.delegate("up", &[]);
    assert_eq!(given(&world.order().expect("nothing is left to give")), [""; 0]);
    world.reload(PROGRAM);
    assert!(world.order().is_some(), "the program may have been replaced");
}

/// A lease that is not renewed is followed down to its end; no promise is ever longer than it.
#[test]
fn programs_never_promise_more_than_we_have() {
    let mut world = World::new(PROGRAM, A);
    world.order();
    world.delegate("up", &[(A, 1800, 3600)]);
    let (begun, mut orders) = (world.now, 0);
    let mut last = None;
    while world.now < begun + secs(3600) {
        if let Some(order) = world.order() {
            (last, orders) = (Some(order), orders + 1);
        }
        let end = begun + secs(3600);
        for one in last.iter().flat_map(|order| &order.routers).flat_map(|router| &router.prefixes)
        {
            assert!(Until::after(world.now, one.valid) <= Until::At(end + secs(1)), "{one:?}");
        }
        world.run_for(secs(1));
    }
    assert!((3..40).contains(&orders), "{orders} orders");
    let last = world.order().or(last).unwrap();
    assert_eq!(given(&last), [""; 0]);
}

#[test]
fn a_notification_waits_for_the_program_but_not_for_long() {
    let mut world = World::new(PROGRAM, A);
    world.order();
    assert!(!world.delegating.is_changing("lan0"), "it has not shown yet that it works");
    assert!(!world.confirm());
    world.run_for(secs(10));
    world.notifications();
    world.renumber(B);
    assert_eq!(world.notifications(), []);
    assert!(world.delegating.is_changing("lan0"));
    assert!(world.confirm(), "others have waited for it");
    let notified: BTreeSet<Ipv6Addr> =
        world.notifications().into_iter().map(|(host, _)| host).collect();
    assert_eq!(notified, BTreeSet::from([contact(1).peer, contact(2).peer]));
    // The same without a word from it.
    world.run_for(secs(10));
    world.notifications();
    world.renumber(A);
    world.run_for(Duration::from_millis(299));
    assert!(world.delegating.is_changing("lan0"));
    world.run_for(Duration::from_millis(2));
    assert!(!world.delegating.is_changing("lan0"));
    // One that does not run holds nobody up.
    world.delegating.note_state(world.now, "lan0", State::Failed);
    world.renumber(B);
    assert!(world.order().is_some() && !world.delegating.is_changing("lan0"));
}

#[test]
fn a_reload_changes_from_the_built_in_to_a_program_and_back() {
    let mut world = World::new(&built_in(), A);
    world.ask(1, MessageType::Request, &[]).unwrap();
    assert!(world.delegating.serves("lan0"));
    world.reload(PROGRAM);
    assert!(!world.delegating.serves("lan0") && !world.delegating.answers());
    assert_eq!(world.routes(), IN_A);
    assert!(world.order().is_some());
    assert_eq!(world.hear(1, MessageType::Renew, &[ia(1, &[])]), Err(Reject::Silent));
    world.check();
    world.reload(&built_in());
    assert!(world.delegating.serves("lan0") && world.order().is_none());
    world.ask(1, MessageType::Renew, &[IN_A[0]]).unwrap();
    world.check();
}
