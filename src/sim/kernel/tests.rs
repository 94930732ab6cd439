//! The fake kernel does as Linux does.

use super::*;
use crate::time::Lifetime;

const LAN: IfIndex = IfIndex(3);
const NOW: Instant = Instant::from_secs(1000);

fn kernel() -> Kernel {
    let mut kernel = Kernel::default();
    kernel.attach(link(LAN, "lan"), Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 3));
    kernel
}

fn own(last: u16, valid: u32) -> KernelAddress {
    let of = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last);
    let until = Until::after(NOW, Lifetime::Finite(valid));
    KernelAddress { ours: true, preferred_until: until, valid_until: until, ..foreign(LAN, of) }
}

fn route(target: RouteTarget) -> KernelRoute {
    let until = Until::after(NOW, Lifetime::Finite(60));
    let destination = Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0), 64);
    KernelRoute { destination, target, metric: 256, until }
}

#[test]
fn an_address_is_tentative_for_a_second_and_ends_with_its_lifetime() {
    let mut kernel = kernel();
    let wanted = own(1, 30);
    let key = (LAN, wanted.address);
    assert_eq!(kernel.take(NOW, &Step::Set(Object::Address(wanted))), Ok(()));
    assert!(kernel.system().addresses[&key].tentative);
    let detected = kernel.wakes_at();
    assert_eq!(detected, Some(NOW + DETECTION));
    kernel.pass(NOW + DETECTION);
    assert!(kernel.system().addresses[&key].is_usable());
    assert_eq!(kernel.wakes_at(), Some(NOW + Duration::from_secs(30)));
    kernel.pass(NOW + Duration::from_secs(30));
    assert!(!kernel.system().addresses.contains_key(&key));
    assert_eq!(kernel.wakes_at(), None);
}

#[test]
fn a_lifetime_that_is_renewed_moves_the_end() {
    let mut kernel = kernel();
    kernel.detection = Duration::ZERO;
    for valid in [30, 60] {
        assert_eq!(kernel.take(NOW, &Step::Set(Object::Address(own(1, valid)))), Ok(()));
    }
    assert_eq!(kernel.wakes_at(), Some(NOW + Duration::from_secs(60)));
}

#[test]
fn a_duplicate_stays_one() {
    let mut kernel = kernel();
    assert_eq!(kernel.take(NOW, &Step::Set(Object::Address(own(1, 30)))), Ok(()));
    kernel.find_duplicate(0);
    assert_eq!(kernel.take(NOW, &Step::Set(Object::Address(own(1, 60)))), Ok(()));
    let key = (LAN, own(1, 30).address);
    assert!(kernel.system().addresses[&key].duplicate && kernel.found.contains(&key));
}

#[test]
fn two_routes_to_one_destination_need_two_metrics() {
    let mut kernel = kernel();
    let first = route(RouteTarget::OnLink(LAN));
    let second = route(RouteTarget::Unreachable);
    assert_eq!(kernel.take(NOW, &Step::Set(Object::Route(first.clone()))), Ok(()));
    assert_eq!(kernel.take(NOW, &Step::Set(Object::Route(second.clone()))), Err(Refusal::Exists));
    assert_eq!(kernel.take(NOW, &Step::Replace(Object::Route(second.clone()))), Ok(()));
    let has: Vec<_> = kernel.system().routes.values().cloned().collect();
    assert_eq!(has, [KernelRoute { until: Until::Never, ..second }], "without an end");
    assert_eq!(kernel.take(NOW, &Step::Remove(Object::Route(first))), Ok(()));
    assert_eq!(kernel.counts.absent, 1, "it was not there");
    assert_eq!((kernel.counts.agent, kernel.counts.refused), (3, 1));
}

#[test]
fn a_route_needs_a_link_that_runs_and_a_gateway_that_is_another() {
    let mut kernel = kernel();
    let own = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 3);
    let set = |kernel: &mut Kernel, target| {
        kernel.take(NOW, &Step::Set(Object::Route(route(target)))).err()
    };
    assert_eq!(set(&mut kernel, RouteTarget::Gateway(LAN, own)), Some(INVALID));
    assert_eq!(set(&mut kernel, RouteTarget::OnLink(IfIndex(9))), Some(Refusal::NotThere));
    assert_eq!(set(&mut kernel, RouteTarget::OnLink(LAN)), None);
    kernel.set_running(LAN, false, true);
    assert!(kernel.system().routes.is_empty(), "flushed");
    assert_eq!(set(&mut kernel, RouteTarget::OnLink(LAN)), Some(DOWN));
}

#[test]
fn routes_of_others_are_refused() {
    let mut kernel = kernel();
    let foreign = KernelAddress { ours: false, ..own(1, 30) };
    kernel.set_foreign(foreign);
    let refused = kernel.take(NOW, &Step::Set(Object::Address(own(1, 60))));
    assert_eq!(refused, Err(Refusal::Exists));
    kernel.foreign_routes.insert(route(RouteTarget::Unreachable).slot());
    let step = Step::Replace(Object::Route(route(RouteTarget::Unreachable)));
    assert_eq!(kernel.take(NOW, &step), Err(Refusal::Exists));
    kernel.check_foreign();
}

#[test]
fn rules_are_used_up_and_then_somebody_decides() {
    let mut kernel = kernel();
    let step = Step::Set(Object::Port(Port::Server));
    let refusal = Refusal::NotPermitted;
    kernel.refusals.rules.push(Rule { kinds: kind(&step), interface: None, refusal, left: 1 });
    kernel.refusals.decide = Some(|_, tries| (tries == 2).then_some(Refusal::NoBuffer));
    let taken: Vec<_> = (0..4).map(|_| kernel.take(NOW, &step)).collect();
    assert_eq!(taken, [Err(refusal), Ok(()), Err(Refusal::NoBuffer), Ok(())]);
}

#[test]
fn a_link_that_vanishes_takes_all_with_it() {
    let mut kernel = kernel();
    assert_eq!(kernel.take(NOW, &Step::Set(Object::Address(own(1, 30)))), Ok(()));
    kernel.set_sysctl(LAN, "accept_ra", 0);
    assert_eq!(kernel.vanish(LAN).as_deref(), Some("lan"));
    assert!(kernel.system().addresses.is_empty() && kernel.sysctls.is_empty());
    assert_eq!((kernel.wakes_at(), kernel.vanish(LAN)), (None, None));
    kernel.check_foreign();
}
