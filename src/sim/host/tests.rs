//! The host against the clauses.

use super::*;

const NOW: Instant = Instant::from_secs(1000);
const OWN: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xc);
const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const OTHER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);

fn net(last: u16) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0xdb8, last, 0, 0, 0, 0, 0), 64)
}

fn information(prefix: Ipv6Net, valid: u32, preferred: u32) -> PrefixInformation {
    PrefixInformation {
        prefix,
        on_link: true,
        autonomous: true,
        delegation_preferred: false,
        valid: Lifetime::from_wire(valid),
        preferred: Lifetime::from_wire(preferred),
    }
}

fn with(information: PrefixInformation) -> RouterAdvertisement {
    let options = vec![NdpOption::Prefix(information)];
    RouterAdvertisement { router_lifetime: 1800, options, ..RouterAdvertisement::default() }
}

/// What is left of the valid lifetime after a prefix was advertised with `first`, and with `second`
/// `later` seconds later.
fn left_after(first: u32, later: u64, second: u32) -> Option<u32> {
    let mut host = Host::new(OWN);
    host.hear(NOW, ROUTER, &with(information(net(1), first, 0)));
    let now = NOW + Duration::from_secs(later);
    host.hear(now, ROUTER, &with(information(net(1), second, 0)));
    host.addresses(now).next().and_then(|one| one.valid_until.remaining(now).seconds())
}

/// RFC 4862 §5.5.3 d
#[test]
fn an_address_is_formed_of_prefix_and_identifier() {
    let mut host = Host::new(OWN);
    host.hear(NOW, ROUTER, &with(information(net(1), 7200, 3600)));
    assert_eq!(host.preferred(NOW), ["2001:db8:1::c"]);
    assert!(host.holds(NOW, Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0xc)));
    let deprecated = NOW + Duration::from_secs(3600);
    assert!(host.preferred(deprecated).is_empty());
    assert_eq!(host.addresses(deprecated).count(), 1);
    assert_eq!(host.addresses(NOW + Duration::from_secs(7200)).count(), 0);
    assert_eq!(host.heard_first[&net(1)], NOW);
}

/// RFC 4862 §5.5.3 a to d
#[test]
fn prefixes_that_are_not_for_autoconfiguration_form_no_address() {
    let good = information(net(1), 7200, 3600);
    let link_local = Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 64);
    let longer = Ipv6Net::new_assert(net(1).network(), 80);
    for ignored in [
        PrefixInformation { autonomous: false, ..good },
        PrefixInformation { prefix: link_local, ..good },
        information(net(1), 3600, 7200),
        information(net(1), 0, 0),
        PrefixInformation { prefix: longer, ..good },
    ] {
        let mut host = Host::new(OWN);
        host.hear(NOW, ROUTER, &with(ignored));
        assert_eq!(host.addresses(NOW).count(), 0, "{ignored:?}");
    }
}

/// RFC 4862 §5.5.3 e
#[test]
fn a_valid_lifetime_is_not_shortened_below_two_hours() {
    // 1: longer than two hours, or than what is left.
    assert_eq!(left_after(100_000, 0, 7201), Some(7201));
    assert_eq!(left_after(100, 50, 60), Some(60));
    assert_eq!(left_after(100, 0, u32::MAX), None);
    // 2: two hours or less are left.
    assert_eq!(left_after(7200, 0, 0), Some(7200));
    assert_eq!(left_after(7200, 7000, 10), Some(200));
    // 3: more are left.
    assert_eq!(left_after(7201, 0, 0), Some(7200));
    assert_eq!(left_after(100_000, 10, 7200), Some(7200));
}

/// RFC 4862 §5.5.3 e: the preferred lifetime is what was advertised last.
#[test]
fn an_address_is_deprecated_at_once() {
    let mut host = Host::new(OWN);
    host.hear(NOW, ROUTER, &with(information(net(1), 7200, 3600)));
    host.hear(NOW, ROUTER, &with(information(net(1), 0, 0)));
    assert!(host.preferred(NOW).is_empty());
    assert_eq!(host.addresses(NOW).count(), 1);
}

/// An address that has run out is formed anew.
#[test]
fn entries_that_have_run_out_do_not_count() {
    assert_eq!(left_after(10, 11, 5), Some(5));
}

/// RFC 4861 §6.3.4, RFC 4191 §3.2
#[test]
fn default_routers_come_go_and_are_preferred() {
    let mut host = Host::new(OWN);
    let plain = with(information(net(1), 7200, 3600));
    host.hear(NOW, ROUTER, &plain);
    host.hear(NOW, OTHER, &RouterAdvertisement { preference: Preference::High, ..plain.clone() });
    assert_eq!(host.default_routers(NOW), [OTHER, ROUTER]);
    host.hear(NOW, OTHER, &RouterAdvertisement { router_lifetime: 0, ..plain });
    assert_eq!(host.default_routers(NOW), [ROUTER]);
    assert!(host.default_routers(NOW + Duration::from_secs(1800)).is_empty());
}

/// RFC 4861 §6.1.2
#[test]
fn an_advertisement_from_no_link_local_address_is_discarded() {
    let mut host = Host::new(OWN);
    let octets = with(information(net(1), 7200, 3600)).encode();
    let source = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    host.take(NOW, &Frame::icmpv6(source, net::ALL_NODES, octets.clone()));
    host.take(NOW, &Frame::icmpv6(ROUTER, net::ALL_NODES, octets[..20].to_vec()));
    assert!(host.default_routers(NOW).is_empty() && host.addresses(NOW).next().is_none());
    host.take(NOW, &Frame::icmpv6(ROUTER, net::ALL_NODES, octets));
    assert_eq!(host.default_routers(NOW), [ROUTER]);
}

/// RFC 4861 §6.3.7
#[test]
fn routers_are_solicited_three_times_and_until_one_is_known() {
    let mut host = Host::new(OWN);
    let mut now = NOW;
    let mut sent = 0;
    while let Some((frame, again)) = host.solicit(now) {
        assert_eq!((frame.source, frame.destination), (OWN, net::ALL_ROUTERS));
        sent += 1;
        now = now + again;
    }
    assert_eq!((sent, now), (3, NOW + Duration::from_secs(12)));
    let mut host = Host::new(OWN);
    host.hear(NOW, ROUTER, &with(information(net(1), 7200, 3600)));
    assert_eq!(host.solicit(NOW), None);
}
