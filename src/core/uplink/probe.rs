//! Whether the provider routes a new prefix: an echo request leaves from an address in it, and the
//! reply has to come back.

use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;
use pnet::packet::Packet as _;
use pnet::packet::icmpv6::echo_reply::EchoReplyPacket;
use pnet::packet::icmpv6::echo_request::MutableEchoRequestPacket;
use pnet::packet::icmpv6::{Icmpv6Code, Icmpv6Types};

use crate::core::random::Random;
use crate::time::{Deadline, Instant};

/// How many requests may stay unanswered: the first ones are lost to neighbor discovery on the way,
/// and to a provider whose route comes just after the lease.
const TRY_COUNT: u16 = 5;

/// Between requests, and from the last to the verdict.
const TRY_INTERVAL: Duration = Duration::from_secs(1);

/// The octets of an echo request before its data (RFC 4443 §4.1).
const HEADER_LEN: usize = 8;

/// The probe of one uplink.
#[derive(Clone, Debug)]
pub struct Probe {
    target: Ipv6Addr,
    random: Random,
    asking: Option<Asking>,
}

/// The result of a probe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Replies to the prefix come back.
    Routed(Ipv6Net),
    /// The prefix is delegated, but no reply comes back.
    NotRouted(Ipv6Net),
}

/// The requests of one probe.
#[derive(Clone, Copy, Debug)]
struct Asking {
    source: Ipv6Addr,
    prefix: Ipv6Net,
    identifier: u16,
    /// The data of its requests: a node that has not seen a request cannot answer it.
    data: [u8; 32],
    sent_count: u16,
    next_at: Instant,
}

impl Probe {
    /// No request is sent until [`start`](Self::start).
    pub const fn new(target: Ipv6Addr, random: Random) -> Self {
        Self { target, random, asking: None }
    }

    /// Tests `prefix` from `source`, a usable address in it. A probe under way is dropped without a
    /// verdict.
    pub fn start(&mut self, now: Instant, source: Ipv6Addr, prefix: Ipv6Net) {
        let data = self.random.secret();
        let [a, b, ..] = self.random.secret();
        let identifier = u16::from_be_bytes([a, b]);
        let asking = Asking { source, prefix, identifier, data, sent_count: 0, next_at: now };
        self.asking = Some(asking);
    }

    /// The uplink cannot send, or the address is gone: there will be no verdict.
    pub const fn stop(&mut self) {
        self.asking = None;
    }

    /// The next request, once its time has come: its source and an ICMPv6 message with a checksum
    /// of zero, which the kernel fills.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<(Ipv6Addr, Vec<u8>)> {
        let is_time = |asking: &&mut Asking| asking.sent_count < TRY_COUNT && asking.next_at <= now;
        let asking = self.asking.as_mut().filter(is_time)?;
        let octets = asking.request()?;
        asking.sent_count = asking.sent_count.saturating_add(1);
        asking.next_at = now + TRY_INTERVAL;
        Some((asking.source, octets))
    }

    /// Takes in an echo reply, from the ICMPv6 header on; the verdict if it answers a request of
    /// the probe under way.
    pub fn handle_echo_reply(
        &mut self,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        octets: &[u8],
    ) -> Option<Verdict> {
        let asking = self.asking.filter(|asking| {
            source == self.target && destination == asking.source && asking.is_answered_by(octets)
        })?;
        self.asking = None;
        Some(Verdict::Routed(asking.prefix))
    }

    /// The verdict, once, when the last request has stayed unanswered too.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Verdict> {
        let asking = self.asking.filter(|asking| asking.is_exhausted() && asking.next_at <= now)?;
        self.asking = None;
        Some(Verdict::NotRouted(asking.prefix))
    }

    /// When the next request is to be sent, or the verdict given.
    pub fn deadline(&self) -> Option<Deadline> {
        self.asking.map(|asking| {
            let reason = if asking.is_exhausted() { "probe verdict" } else { "probe request" };
            Deadline::new(asking.next_at, reason)
        })
    }
}

impl Asking {
    fn request(&self) -> Option<Vec<u8>> {
        let length = HEADER_LEN.saturating_add(self.data.len());
        let mut packet = MutableEchoRequestPacket::owned(vec![0; length])?;
        packet.set_icmpv6_type(Icmpv6Types::EchoRequest);
        packet.set_identifier(self.identifier);
        packet.set_sequence_number(self.sent_count);
        packet.set_payload(&self.data);
        Some(packet.packet().to_vec())
    }

    fn is_answered_by(&self, octets: &[u8]) -> bool {
        EchoReplyPacket::new(octets).is_some_and(|reply| {
            reply.get_icmpv6_type() == Icmpv6Types::EchoReply
                && reply.get_icmpv6_code() == Icmpv6Code(0)
                && reply.get_identifier() == self.identifier
                && reply.get_sequence_number() < self.sent_count
                && reply.payload() == self.data
        })
    }

    const fn is_exhausted(&self) -> bool {
        self.sent_count >= TRY_COUNT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Ipv6Addr = Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0x53);
    const SOURCE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x12, 0xc3ff, 0, 0, 0, 1);

    fn prefix() -> Ipv6Net {
        "2001:db8:12:c300::/56".parse().unwrap()
    }

    fn started() -> Probe {
        let mut probe = Probe::new(TARGET, Random::new([1; 32]));
        probe.start(Instant::BOOT, SOURCE, prefix());
        probe
    }

    /// What a host makes of a request.
    fn reply(mut request: Vec<u8>) -> Vec<u8> {
        request[0] = 129;
        request
    }

    #[test]
    fn a_request_is_an_echo_request_with_data_that_nobody_can_guess() {
        let (source, octets) = started().poll_transmit(Instant::BOOT).unwrap();
        assert_eq!(source, SOURCE);
        assert_eq!(
            (octets.len(), &octets[..4], &octets[6..8]),
            (40, &[128, 0, 0, 0][..], &[0, 0][..])
        );
        let mut other = Probe::new(TARGET, Random::new([2; 32]));
        other.start(Instant::BOOT, SOURCE, prefix());
        let (_, others) = other.poll_transmit(Instant::BOOT).unwrap();
        assert!(octets[4..6] != others[4..6] && octets[8..] != others[8..]);
    }

    #[test]
    fn a_reply_to_any_request_is_the_verdict() {
        for answered in 1..=5 {
            let mut probe = started();
            let mut now = Instant::BOOT;
            let mut first = None;
            for _ in 0..answered {
                now = probe.deadline().unwrap().at;
                let (_, octets) = probe.poll_transmit(now).unwrap();
                first.get_or_insert(octets);
            }
            let reply = reply(first.unwrap());
            let verdict = probe.handle_echo_reply(TARGET, SOURCE, &reply);
            assert_eq!(verdict, Some(Verdict::Routed(prefix())));
            assert_eq!(probe.handle_echo_reply(TARGET, SOURCE, &reply), None, "once");
            assert_eq!((probe.deadline(), probe.poll_transmit(now)), (None, None));
        }
    }

    #[test]
    fn five_requests_in_five_seconds_and_one_verdict() {
        let mut probe = started();
        for second in 0..5 {
            let now = Instant::from_secs(second);
            assert_eq!(probe.deadline(), Some(Deadline::new(now, "probe request")));
            assert_eq!(probe.handle_timeout(now), None);
            let (_, octets) = probe.poll_transmit(now).unwrap();
            assert_eq!(u64::from(octets[7]), second, "sequence number");
            assert_eq!(probe.poll_transmit(now), None, "one at a time");
        }
        assert_eq!(probe.deadline(), Some(Deadline::new(Instant::from_secs(5), "probe verdict")));
        assert_eq!(probe.handle_timeout(Instant::from_boot(Duration::from_millis(4999))), None);
        let now = Instant::from_secs(5);
        assert_eq!(probe.poll_transmit(now), None);
        assert_eq!(probe.handle_timeout(now), Some(Verdict::NotRouted(prefix())));
        assert_eq!((probe.handle_timeout(now), probe.deadline()), (None, None));
    }

    #[test]
    fn only_a_true_reply_counts() {
        let mut probe = started();
        assert_eq!(probe.handle_echo_reply(TARGET, SOURCE, &[129; 40]), None);
        let (_, request) = probe.poll_transmit(Instant::BOOT).unwrap();
        let good = reply(request.clone());
        let changed = |at: usize| {
            let mut octets = good.clone();
            octets[at] ^= 1;
            octets
        };
        let elsewhere = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9);
        let cases = [
            ("from elsewhere", elsewhere, SOURCE, good.clone()),
            ("to another address", TARGET, elsewhere, good.clone()),
            ("the request itself", TARGET, SOURCE, request),
            ("code", TARGET, SOURCE, changed(1)),
            ("identifier", TARGET, SOURCE, changed(5)),
            ("sequence number not sent yet", TARGET, SOURCE, changed(7)),
            ("data", TARGET, SOURCE, changed(39)),
            ("longer", TARGET, SOURCE, [&good[..], &[0]].concat()),
        ];
        for (name, source, destination, octets) in cases {
            let verdict = probe.handle_echo_reply(source, destination, &octets);
            assert_eq!(verdict, None, "{name}");
        }
        for length in 0..good.len() {
            let short = &good[..length];
            assert_eq!(probe.handle_echo_reply(TARGET, SOURCE, short), None);
        }
        let verdict = probe.handle_echo_reply(TARGET, SOURCE, &good);
        assert!(verdict.is_some());
    }

    #[test]
    fn a_new_start_forgets_the_old_prefix_and_stop_forgets_all() {
        let mut probe = started();
        let (_, old) = probe.poll_transmit(Instant::BOOT).unwrap();
        let next: Ipv6Net = "2001:db8:77::/56".parse().unwrap();
        probe.start(Instant::BOOT, SOURCE, next);
        let (_, new) = probe.poll_transmit(Instant::BOOT).unwrap();
        assert_eq!(probe.handle_echo_reply(TARGET, SOURCE, &reply(old)), None);
        let verdict = probe.handle_echo_reply(TARGET, SOURCE, &reply(new));
        assert_eq!(verdict, Some(Verdict::Routed(next)));

        let mut stopped = started();
        stopped.stop();
        assert_eq!(stopped.deadline(), None);
        assert_eq!(stopped.poll_transmit(Instant::from_secs(9)), None);
        assert_eq!(stopped.handle_timeout(Instant::from_secs(9)), None);
    }
}
