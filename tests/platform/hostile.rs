//! Packets that somebody made to do harm: they are told apart, and hold nobody up.

use pnet::packet::ip::IpNextHeaderProtocols;
use renumberd::core::input::Received;
use socket2::SockRef;

use super::packets::{ADVERTISEMENT, Place, SOLICITATION, next, place, two_machines};
use crate::lab::net::{Namespace, Net};
use crate::lab::wire::open;
use crate::lab::{millis, pause};
use renumberd::lab::site::frames::{Envelope, FrameSender};

/// One who sends frames as he likes, and the place that he sends them to.
struct Attack {
    sender: FrameSender,
    envelope: Envelope,
    to: Place,
    _machines: (Net, Namespace, Namespace),
}

impl Attack {
    fn new() -> Self {
        let machines = two_machines();
        let (_, one, other) = &machines;
        let sender = open((one, "one0"));
        let source = place(one, "one0").local;
        let envelope = Envelope::to_all_nodes(sender.mac, source);
        let to = place(other, "other0");
        Self { sender, envelope, to, _machines: machines }
    }

    /// An envelope to the other machine alone.
    fn unicast(&self) -> Envelope {
        let mac = self._machines.2.mac("other0");
        Envelope { destination_mac: mac, destination: self.to.local, ..self.envelope }
    }

    fn send(&mut self, frame: &[u8]) {
        self.sender.send(frame).unwrap();
    }

    fn icmpv6(&self) -> Received {
        next("a message", || self.to.icmpv6.recv())
    }
}

/// RA-RX-01: a packet that a router has forwarded is told as such.
#[test]
fn a_forwarded_packet_shows_its_hop_limit() {
    let mut attack = Attack::new();
    for hop_limit in [254, 64, 0, 255] {
        let envelope = Envelope { hop_limit, ..attack.envelope };
        attack.send(&envelope.icmpv6(&ADVERTISEMENT));
        assert_eq!(attack.icmpv6().hop_limit, hop_limit);
    }
}

/// RA-RX-10, SEC-02: what came in fragments is told as such, also when the fragment is the only
/// one of its packet.
#[test]
fn a_fragmented_packet_is_reported_as_fragmented() {
    let mut attack = Attack::new();
    let envelope = attack.envelope;
    for frame in envelope.icmpv6_in_fragments(&ADVERTISEMENT) {
        attack.send(&frame);
    }
    let received = attack.icmpv6();
    assert!(received.fragmented);
    assert_eq!(received.octets[4..], ADVERTISEMENT[4..]);

    // The checksum as it is in a whole frame, behind a header that says: all of one.
    let whole = envelope.icmpv6(&ADVERTISEMENT);
    let atomic = [&[58, 0, 0, 0, 0, 0, 0, 9][..], &whole[whole.len() - 16..]].concat();
    attack.send(&envelope.frame(IpNextHeaderProtocols::Ipv6Frag, &atomic));
    assert!(attack.icmpv6().fragmented);

    attack.send(&whole);
    assert!(!attack.icmpv6().fragmented);
}

/// A packet whose checksum is wrong is not told, and does not hide the one behind it.
#[test]
fn a_wrong_checksum_holds_nobody_up() {
    let mut attack = Attack::new();
    let envelope = attack.envelope;
    let good = envelope.icmpv6(&ADVERTISEMENT);
    let mut bad = good.clone();
    *bad.last_mut().unwrap() = 1;
    for frame in [&bad, &good, &bad, &bad, &good] {
        attack.send(frame);
    }
    pause(millis(100));
    for _ in 0..2 {
        let received = attack.to.icmpv6.recv().unwrap().unwrap();
        assert_eq!(received.octets.last(), Some(&0));
    }
    assert_eq!(attack.to.icmpv6.recv().unwrap(), None);

    let good = attack.unicast().udp((547, 546), b"good");
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    for frame in [&bad, &good, &bad, &bad, &good] {
        attack.send(frame);
    }
    pause(millis(100));
    for _ in 0..2 {
        assert_eq!(attack.to.dhcpv6.recv().unwrap().unwrap().octets, b"good");
    }
    assert_eq!(attack.to.dhcpv6.recv().unwrap(), None);
}

/// SEC-07: messages of every short length are told as they are, or not at all; none ends the
/// socket.
#[test]
fn short_messages_are_returned_as_they_are() {
    let mut attack = Attack::new();
    let envelope = attack.envelope;
    for length in 0..ADVERTISEMENT.len() {
        attack.send(&envelope.icmpv6(&ADVERTISEMENT[..length]));
        attack.send(&envelope.icmpv6(&ADVERTISEMENT));
        let mut received = attack.icmpv6();
        if received.octets.len() < ADVERTISEMENT.len() {
            assert_eq!(received.octets.len(), length);
            received = attack.icmpv6();
        }
        assert_eq!(received.octets.len(), ADVERTISEMENT.len());
    }
    assert_eq!(attack.to.icmpv6.recv().unwrap(), None);
}

/// A packet whose control messages did not fit is dropped and counted: without them it could not
/// be told whether it came in fragments.
#[test]
fn a_packet_with_cut_control_messages_is_dropped_and_counted() {
    let mut attack = Attack::new();
    let envelope = attack.envelope;
    SockRef::from(&attack.to.icmpv6).set_recv_tclass_v6(true).unwrap();
    for frame in envelope.icmpv6_in_fragments(&ADVERTISEMENT) {
        attack.send(&frame);
    }
    attack.send(&envelope.icmpv6(&SOLICITATION));
    let received = attack.icmpv6();
    assert_eq!((received.octets[0], received.fragmented), (133, false));
    assert_eq!(attack.to.icmpv6.dropped(), 1);
}

/// A flood that nobody reads fills the sockets and nothing else: afterwards both work again.
#[test]
fn after_a_flood_the_sockets_work_again() {
    let mut attack = Attack::new();
    let (envelope, unicast) = (attack.envelope, attack.unicast());
    let large = [&ADVERTISEMENT[..], &[0; 1400]].concat();
    let frames = [envelope.icmpv6(&large), unicast.udp((547, 546), &large)];
    for _ in 0..2000 {
        frames.iter().for_each(|frame| attack.send(frame));
    }
    pause(millis(100));
    let mut counts = [0, 0];
    while attack.to.icmpv6.recv().unwrap().is_some() {
        counts[0] += 1;
    }
    while attack.to.dhcpv6.recv().unwrap().is_some() {
        counts[1] += 1;
    }
    assert!(counts.iter().all(|count| (1..2000).contains(count)), "{counts:?}");
    attack.send(&envelope.icmpv6(&ADVERTISEMENT));
    assert_eq!(attack.icmpv6().octets.len(), ADVERTISEMENT.len());
    attack.send(&unicast.udp((547, 546), b"good"));
    assert_eq!(next("a datagram", || attack.to.dhcpv6.recv()).octets, b"good");
}
