use super::*;

const NOW: Instant = Instant::from_secs(100);
const ASKED: Milestone = Milestone { change: 7, stage: Stage::Asked };
const ADVERTISED: Milestone = Milestone { change: 7, stage: Stage::Advertised };

fn packet(octet: u8, destination: &str) -> Packet {
    Packet {
        interface: IfIndex(3),
        source: "fe80::1".parse().unwrap(),
        destination: destination.parse().unwrap(),
        octets: vec![octet],
    }
}

fn error(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

fn at(milliseconds: u64) -> Instant {
    NOW + Duration::from_millis(milliseconds)
}

#[test]
fn refused_packets_are_retried_and_count_when_they_have_left() {
    let mut outbox = Outbox::default();
    let question = Parcel::Dhcpv6(packet(1, "ff02::1:2"));
    outbox.refused(NOW, question.clone(), &error(libc::EINVAL));
    assert_eq!(outbox.reach(ASKED), None);
    assert_eq!(outbox.reach(ADVERTISED), Some(ADVERTISED), "that is another thing");
    let mut times = Vec::new();
    let mut warnings = 0;
    while let Some(next) = outbox.deadline().filter(|_| times.len() < 4) {
        times.push(next);
        let (reached, warning) = outbox.retry(next, |_| Err(error(libc::EINVAL)));
        assert_eq!(reached, []);
        warnings += usize::from(warning.is_some_and(|text| text.contains("gc_thresh3")));
    }
    assert_eq!((times, warnings), (vec![at(10), at(30), at(70), at(120)], 1));
    let (reached, _) = outbox.retry(at(170), |parcel| {
        assert_eq!(*parcel, question);
        Ok(())
    });
    assert_eq!((reached, outbox.deadline()), (vec![ASKED], None));
}

/// A table of neighbors that is full takes one packet and refuses the next.
#[test]
fn lasting_or_recurring_failures_are_reported_once() {
    let mut outbox = Outbox::default();
    let mut warnings_at = Vec::new();
    for second in (0..300).chain(360..600) {
        let began_at = NOW + Duration::from_secs(second);
        let parcel = Parcel::Icmpv6(packet(1, &format!("ff02::1:ff00:{second}")));
        outbox.refused(began_at, parcel, &error(libc::EINVAL));
        for _ in 0..4 {
            let next = outbox.deadline().unwrap();
            let warning = outbox.retry(next, |_| Err(error(libc::EINVAL))).1;
            warnings_at.extend(warning.map(|_| second));
        }
        outbox.retry(began_at + Duration::from_millis(500), |_| Ok(()));
        assert_eq!(outbox.deadline(), None);
    }
    assert_eq!(warnings_at, [0, 360]);
    // Another interface has its own.
    let mut elsewhere = packet(1, "ff02::2");
    elsewhere.interface = IfIndex(elsewhere.interface.0 + 1);
    let now = NOW + Duration::from_secs(600);
    outbox.refused(now, Parcel::Icmpv6(elsewhere), &error(libc::EINVAL));
    let mut warnings = 0;
    while let Some(next) = outbox.deadline() {
        let warning = outbox.retry(next, |_| Err(error(libc::EINVAL))).1;
        warnings += usize::from(warning.is_some());
    }
    assert_eq!(warnings, 1);
}

#[test]
fn packets_to_one_destination_keep_their_order() {
    let mut outbox = Outbox::default();
    let (old, new) = (packet(1, "ff02::1"), packet(2, "ff02::1"));
    let (old, new) = (Parcel::Icmpv6(old), Parcel::Icmpv6(new));
    outbox.refused(NOW, old.clone(), &error(libc::ENOBUFS));
    assert!(outbox.holds(&new) && !outbox.holds(&Parcel::Icmpv6(packet(3, "fe80::9"))));
    outbox.push(NOW, new.clone());
    let mut tried = Vec::new();
    outbox.retry(at(5), |parcel| {
        tried.push(parcel.clone());
        Ok(())
    });
    assert_eq!(tried, [], "the first has yet to wait");
    outbox.retry(at(10), |parcel| {
        tried.push(parcel.clone());
        Ok(())
    });
    assert_eq!(tried, [old, new]);
}

#[test]
fn packets_that_are_out_of_date_or_have_no_link_are_dropped_and_count_as_none() {
    let mut outbox = Outbox::default();
    outbox.refused(NOW, Parcel::Icmpv6(packet(1, "ff02::1")), &error(libc::ENODEV));
    assert_eq!(outbox.deadline(), None);
    let applied = Milestone { stage: Stage::Applied, ..ADVERTISED };
    assert_eq!(outbox.reach(ADVERTISED), Some(applied), "no advertisement has left");
    outbox.refused(NOW, Parcel::Dhcpv6(packet(1, "ff02::1:2")), &error(libc::EAGAIN));
    outbox.reach(ASKED);
    let mut reached = Vec::new();
    while let Some(next) = outbox.deadline() {
        assert!(next < at(600), "bounded");
        reached.extend(outbox.retry(next, |_| Err(error(libc::EAGAIN))).0);
    }
    assert_eq!(reached, [], "nobody was asked");
    assert_eq!(outbox.take_dropped(), [(IfIndex(3), "ff02::1".parse().unwrap())]);
    for octet in 0..=u8::MAX {
        for _ in 0..4 {
            outbox.refused(NOW, Parcel::Icmpv6(packet(octet, "ff02::1")), &error(libc::EAGAIN));
        }
    }
    assert_eq!(outbox.order.len(), MAX_PACKETS);
    let queue = outbox.queues.values().map(|queue| queue.packets.len()).collect::<Vec<_>>();
    assert_eq!(queue, [MAX_PACKETS]);
    outbox.retry(at(10), |_| Ok(()));
    assert!(!outbox.holds(&Parcel::Icmpv6(packet(1, "ff02::1"))), "nothing waits any more");
}

/// The core repeats its probes: they are retried for a moment, keep no milestone waiting and make
/// room for everything else.
#[test]
fn probes_are_dropped_first_and_keep_nothing_waiting() {
    let probe = |number: u16| {
        let target = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number);
        let octets = NeighborSolicitation { target, source_link_layer: None }.encode();
        Parcel::Icmpv6(Packet { octets, ..packet(0, &target.to_string()) })
    };
    let mut outbox = Outbox::default();
    let advertisement = Parcel::Icmpv6(packet(1, "ff02::1"));
    outbox.refused(NOW, advertisement.clone(), &error(libc::EINVAL));
    (0..1000).for_each(|number| outbox.refused(NOW, probe(number), &error(libc::EINVAL)));
    assert_eq!(outbox.order.len(), MAX_PACKETS);
    assert!(outbox.holds(&advertisement) && outbox.holds(&probe(999)));
    assert!(!outbox.holds(&probe(0)));
    let mut tries = 0;
    while let Some(next) = outbox.deadline() {
        let (reached, _) = outbox.retry(next, |parcel| {
            tries += 1;
            if *parcel == advertisement { Ok(()) } else { Err(error(libc::EINVAL)) }
        });
        assert_eq!(reached, []);
        assert_eq!(outbox.reach(ADVERTISED), Some(ADVERTISED));
    }
    assert_eq!(tries, 1 + 2 * (MAX_PACKETS - 1));
    assert!(outbox.queues.is_empty() && outbox.times.is_empty() && outbox.order.is_empty());
}

/// Packets behind one that is retried in vain are not sent when they are out of date, and nobody can
/// be made to wait for them by what else fails.
#[test]
fn packets_that_have_waited_too_long_behind_others_are_not_sent() {
    let mut outbox = Outbox::default();
    for octet in 0..=99 {
        outbox.refused(NOW, Parcel::Dhcpv6(packet(octet, "fe80::9")), &error(libc::EINVAL));
    }
    let mut last = NOW;
    while let Some(next) = outbox.deadline() {
        last = next;
        outbox.retry(next, |_| Err(error(libc::EINVAL)));
    }
    assert!(last < at(1100), "{last:?}");
    outbox.refused(NOW, Parcel::Dhcpv6(packet(1, "fe80::9")), &error(libc::EINVAL));
    let (_, _) = outbox.retry(at(30_000), |parcel| panic!("{parcel:?} is sent half a minute late"));
    assert_eq!(outbox.deadline(), None);
}

/// A probe takes no place from a packet of another purpose.
#[test]
fn a_probe_drops_no_other_packet() {
    let mut outbox = Outbox::default();
    for number in 0..u16::try_from(MAX_PACKETS).unwrap() {
        let destination = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, number).to_string();
        outbox.refused(NOW, Parcel::Dhcpv6(packet(0, &destination)), &error(libc::EINVAL));
    }
    let target = Ipv6Addr::LOCALHOST;
    let octets = NeighborSolicitation { target, source_link_layer: None }.encode();
    let probe = Parcel::Icmpv6(Packet { octets, ..packet(0, "fe80::2") });
    outbox.refused(NOW, probe.clone(), &error(libc::EINVAL));
    assert!(!outbox.holds(&probe) && outbox.order.len() == MAX_PACKETS);
    assert_eq!(outbox.take_dropped().len(), 1, "the core hears that its probe has not left");
}
