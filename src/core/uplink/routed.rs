//! Whether the provider routes delegated prefixes: each new prefix is probed once it has a usable
//! address, and again and again while no reply comes back.

use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::probe::{Probe, Verdict};
use crate::core::random::Random;
use crate::time::{Deadline, Instant};

/// The pause before a prefix is probed again that was found not to be routed.
const AGAIN: Duration = Duration::from_secs(60);

/// The state of one uplink's newest prefix.
#[derive(Clone, Debug)]
pub(in crate::core) struct Routed {
    target: Ipv6Addr,
    probe: Probe,
    /// The source of the next probe, and its prefix.
    candidate: Option<(Ipv6Addr, Ipv6Net)>,
    finding: Finding,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Finding {
    Nothing,
    Asking(Ipv6Net),
    Routed(Ipv6Net),
    NotRouted(Ipv6Net, Instant),
}

impl Routed {
    /// No prefix is probed yet.
    pub(in crate::core) const fn new(target: Ipv6Addr, random: Random) -> Self {
        let probe = Probe::new(target, random);
        Self { target, probe, candidate: None, finding: Finding::Nothing }
    }

    /// Sets the prefix in use, and a usable address in it.
    pub(in crate::core) fn aim(&mut self, now: Instant, candidate: Option<(Ipv6Addr, Ipv6Net)>) {
        self.candidate = candidate;
        let Some((_, prefix)) = candidate else {
            self.probe.stop();
            self.finding = Finding::Nothing;
            return;
        };
        let known = match self.finding {
            Finding::Nothing => None,
            Finding::Asking(known) | Finding::Routed(known) | Finding::NotRouted(known, _) => {
                Some(known)
            }
        };
        if known != Some(prefix) {
            self.ask(now);
        }
    }

    fn ask(&mut self, now: Instant) {
        if let Some((source, prefix)) = self.candidate {
            self.probe.start(now, source, prefix);
            if !matches!(self.finding, Finding::NotRouted(known, _) if known == prefix) {
                self.finding = Finding::Asking(prefix);
            }
        }
    }

    /// The next echo request, once its time has come: source, destination, and octets from the
    /// ICMPv6 header on.
    pub(in crate::core) fn poll_transmit(
        &mut self,
        now: Instant,
    ) -> Option<(Ipv6Addr, Ipv6Addr, Vec<u8>)> {
        let (source, octets) = self.probe.poll_transmit(now)?;
        Some((source, self.target, octets))
    }

    /// Handles an echo reply; returns whether it answers a probe.
    pub(in crate::core) fn handle_echo_reply(
        &mut self,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        octets: &[u8],
    ) -> bool {
        let verdict = self.probe.handle_echo_reply(source, destination, octets);
        if let Some(Verdict::Routed(prefix)) = verdict {
            self.finding = Finding::Routed(prefix);
        }
        verdict.is_some()
    }

    /// Handles deadlines that have passed; returns whether a prefix has newly been found not
    /// routed.
    pub(in crate::core) fn handle_timeout(&mut self, now: Instant) -> bool {
        if let Some(Verdict::NotRouted(prefix)) = self.probe.handle_timeout(now) {
            let is_new = self.not_routed() != Some(prefix);
            self.finding = Finding::NotRouted(prefix, now + AGAIN);
            return is_new;
        }
        if let Finding::NotRouted(_, again_at) = self.finding
            && again_at <= now
            && self.probe.deadline().is_none()
        {
            self.ask(now);
        }
        false
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do, or a request is to be sent.
    pub(in crate::core) fn deadline(&self) -> Option<Deadline> {
        match self.finding {
            Finding::NotRouted(_, again_at) if self.probe.deadline().is_none() => {
                Some(Deadline::new(again_at, "another probe"))
            }
            Finding::Nothing | Finding::Asking(_) | Finding::Routed(_) | Finding::NotRouted(..) => {
                self.probe.deadline()
            }
        }
    }

    /// The prefix that is not routed, if one is.
    pub(in crate::core) const fn not_routed(&self) -> Option<Ipv6Net> {
        match self.finding {
            Finding::NotRouted(prefix, _) => Some(prefix),
            Finding::Nothing | Finding::Asking(_) | Finding::Routed(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Ipv6Addr = Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0x53);

    fn at(seconds: u64) -> Instant {
        Instant::from_secs(1000 + seconds)
    }

    fn candidate(number: u16) -> Option<(Ipv6Addr, Ipv6Net)> {
        let address = Ipv6Addr::new(0x2001, 0xdb8, number, 0, 0, 0, 0, 1);
        Some((address, Ipv6Net::new(address, 56).unwrap().trunc()))
    }

    /// Lives from one second to another; when requests left, and when something was found.
    fn live(routed: &mut Routed, from: u64, to: u64) -> (Vec<u64>, Vec<u64>) {
        let (mut sent, mut found) = (Vec::new(), Vec::new());
        for second in from..to {
            if routed.handle_timeout(at(second)) {
                found.push(second);
            }
            while routed.poll_transmit(at(second)).is_some() {
                sent.push(second);
            }
        }
        (sent, found)
    }

    #[test]
    fn a_prefix_that_is_not_routed_is_reported_once_and_probed_on() {
        let mut routed = Routed::new(TARGET, Random::new([1; 32]));
        routed.aim(at(0), candidate(1));
        let (sent, found) = live(&mut routed, 0, 100);
        assert_eq!((sent, found), (vec![0, 1, 2, 3, 4, 65, 66, 67, 68, 69], vec![5]));
        assert_eq!(routed.not_routed(), candidate(1).map(|(_, prefix)| prefix));
        routed.aim(at(100), candidate(1));
        assert_eq!(routed.deadline().unwrap().at, at(130), "nothing new");
        let (_, found) = live(&mut routed, 100, 200);
        assert_eq!(found, [0; 0]);
        // Another prefix is another question.
        routed.aim(at(200), candidate(2));
        assert_eq!(routed.not_routed(), None);
        assert_eq!(live(&mut routed, 200, 210).1, [205]);
        routed.aim(at(210), None);
        assert_eq!((routed.not_routed(), routed.deadline()), (None, None));
    }

    #[test]
    fn an_answer_ends_it_whenever_it_comes() {
        let mut routed = Routed::new(TARGET, Random::new([1; 32]));
        routed.aim(at(0), candidate(1));
        live(&mut routed, 0, 65);
        assert!(routed.not_routed().is_some());
        let _ = routed.handle_timeout(at(65));
        let (source, _, mut octets) = routed.poll_transmit(at(65)).unwrap();
        octets[0] = 129;
        assert!(!routed.handle_echo_reply(source, TARGET, &octets), "not from the target");
        assert!(routed.handle_echo_reply(TARGET, source, &octets));
        assert_eq!((routed.not_routed(), routed.deadline()), (None, None));
    }
}
