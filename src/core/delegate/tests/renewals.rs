//! What a renewal of our own lease costs where nothing but its lifetimes moves.

use MessageType::*;

use super::*;

impl World {
    /// Our own prefix A is valid for `seconds` from here on: how many bindings that touches.
    fn renewed(&mut self, seconds: u64) -> usize {
        let end = self.now.since(START).as_secs() + seconds;
        self.leases.insert("up".to_owned(), vec![(net(A), end, end)]);
        let offers = self.carving().offers(self.known, self.renewed_at);
        let touched = self.delegating.set_offers(self.now, offers);
        self.remember(&touched);
        self.check();
        touched.len()
    }

    /// When the routes end, in seconds from now.
    fn ends(&self) -> Vec<u64> {
        let keys = self.delegating.bindings().keys();
        let routes = keys.flat_map(|key| self.delegating.routes(key, LAN));
        let ends = routes.map(|route| route.until.at().expect("it ends").since(self.now));
        ends.map(|end| end.as_secs()).collect()
    }
}

/// DWN-03, DWN-04: a route ends with what its router was promised. A renewal of ours, which only
/// moves lifetimes, moves none and writes nothing; a message of that router moves its own.
#[test]
fn a_renewal_upstream_moves_no_route_and_writes_no_record() {
    let mut world = World::new(SITE, A);
    world.ask(1, Request, &[]).unwrap();
    world.ask(2, Request, &[]).unwrap();
    world.run_for(secs(1000));
    let before = world.ends();
    assert_eq!(before, [4405, 4405], "the longest valid lifetime that was told, and some seconds");
    for seconds in [86_400, 50_000, 90_000, 5400] {
        assert_eq!(world.renewed(seconds), 0);
        assert_eq!(world.ends(), before);
    }
    world.renewed(86_400);
    world.ask(1, Renew, &["2001:db8:a00:10::/60"]).unwrap();
    assert_eq!(world.ends(), [5405, 4405]);
}

/// DWN-03: where our own lease ends before what was promised the route does too.
#[test]
fn a_shorter_lease_of_ours_shortens_every_route() {
    let mut world = World::new(SITE, A);
    world.ask(1, Request, &[]).unwrap();
    world.ask(2, Request, &[]).unwrap();
    world.renewed(600);
    assert_eq!(world.ends(), [600, 600]);
    world.renewed(86_400);
    assert_eq!(world.ends(), [5405, 5405]);
    // What its router has not heard of yet is routed as long as what it holds.
    world.renumber(B);
    let mut ends = world.ends();
    ends.sort_unstable();
    assert_eq!(ends, [30, 30, 5405, 5405], "the old prefix for the grace time");
}

/// DWN-04: the route to what a router holds for longer than we do ends with our own lease, and moves
/// with it though no prefix does.
#[test]
fn a_route_that_our_own_lease_cuts_short_moves_with_it() {
    let mut world = World::new(SITE, A);
    world.ask(1, Request, &[]).unwrap();
    let before = world.ends();
    for (seconds, ends) in [(600, 600), (900, 900), (86_400, before[0])] {
        assert_eq!(world.renewed(seconds), 1);
        assert_eq!(world.ends(), [ends]);
    }
    assert_eq!(world.renewed(86_500), 0, "it ends by itself again");
}
