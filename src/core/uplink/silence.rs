//! Missing answers on an uplink: a router's advertisement, a server's answer, a prefix in that
//! answer.

use std::time::Duration;

use super::lease::Unavailable;
use super::{SPOKEN_LATELY, Uplink};
use crate::time::{Deadline, Instant};
use crate::wire::dhcpv6_option::Iaid;

/// How long an answer has to be missing before that is reported.
const PATIENCE: Duration = Duration::from_secs(5);

/// The answers that an uplink waits for, and since when.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::core) struct Silence {
    /// Since when an advertisement is awaited.
    router_since: Option<Instant>,
    /// Since when requests about the lease have been unanswered.
    server_since: Option<Instant>,
    router_reported: bool,
    server_reported: bool,
    /// The IA_PDs that servers do not fill, each with the time since when, by IAID.
    unfilled: Vec<(Iaid, Instant)>,
    unfilled_reported: Vec<Iaid>,
}

impl Silence {
    /// Takes over which answers are awaited and since when; returns whether the report at `now`
    /// differs.
    pub(super) fn review(
        &mut self,
        now: Instant,
        router_since: Option<Instant>,
        server_since: Option<Instant>,
        unavailable: &[Unavailable],
    ) -> bool {
        let lasts = |since: Option<Instant>| since.is_some_and(|since| since + PATIENCE <= now);
        let ids = |(iaid, since): &(Iaid, Instant)| lasts(Some(*since)).then_some(*iaid);
        self.unfilled = unavailable.iter().map(|one| (one.iaid, one.since)).collect();
        let unfilled: Vec<Iaid> = self.unfilled.iter().filter_map(ids).collect();
        let differs = unfilled != self.unfilled_reported;
        self.unfilled_reported = unfilled;
        let reported = (self.router_reported, self.server_reported);
        (self.router_since, self.server_since) = (router_since, server_since);
        (self.router_reported, self.server_reported) = (lasts(router_since), lasts(server_since));
        differs || reported != (self.router_reported, self.server_reported)
    }

    /// Since when no router has been heard, if that is to be reported.
    pub(in crate::core) fn router(&self) -> Option<Instant> {
        self.router_since.filter(|_| self.router_reported)
    }

    /// Since when no server has answered, if that is to be reported.
    pub(in crate::core) fn server(&self) -> Option<Instant> {
        self.server_since.filter(|_| self.server_reported)
    }

    /// Whether servers have left an IA_PD without a prefix for long enough to report it.
    pub(in crate::core) fn is_unfilled(&self, iaid: Iaid) -> bool {
        self.unfilled_reported.contains(&iaid)
    }

    /// When an answer has been missing for long enough to report it.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        let router = self.router_since.filter(|_| !self.router_reported);
        let server = self.server_since.filter(|_| !self.server_reported);
        let unfilled =
            self.unfilled.iter().filter(|(iaid, _)| !self.unfilled_reported.contains(iaid));
        let since = unfilled.map(|(_, since)| *since).chain(router).chain(server).min()?;
        Some(Deadline::new(since + PATIENCE, "silence on an uplink"))
    }
}

impl Uplink {
    /// Finds out which answers are missing; returns whether the report of them differs.
    pub(in crate::core) fn review_silence(&mut self, now: Instant) -> bool {
        let up_since = self.up_since.filter(|_| self.attached.is_some());
        let spoken = |up: &Instant| self.heard_at.is_some_and(|at| at + SPOKEN_LATELY >= *up);
        let router = up_since.filter(|up| self.awaits_router() && !spoken(up));
        self.silence.review(now, router, self.lease.unanswered_since(), self.lease.unavailable())
    }

    /// The missing answers.
    pub(in crate::core) const fn silence(&self) -> &Silence {
        &self.silence
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::dhcpv6_option::Duid;

    const START: Instant = Instant::from_secs(1000);

    /// What is awaited is reported once its time has come, once, and until it is there.
    #[test]
    fn missing_answers_are_reported_after_a_while_and_once() {
        let lacking = |iaid| Unavailable {
            iaid: Iaid(iaid),
            since: START,
            server: Duid::from_uuid([1; 16]),
            status: None,
        };
        let (one, both) = ([lacking(1)], [lacking(1), lacking(2)]);
        let awaited: [(Option<Instant>, Option<Instant>, &[Unavailable]); 4] = [
            (Some(START), None, &[]),
            (None, Some(START), &[]),
            (None, None, &one),
            (Some(START), Some(START), &both),
        ];
        for (router, server, unavailable) in awaited {
            let mut silence = Silence::default();
            let mut review = |now, (router, server, unavailable)| {
                let differs = silence.review(now, router, server, unavailable);
                let deadline = silence.deadline().map(|deadline| deadline.at);
                (
                    differs,
                    deadline,
                    silence.router(),
                    silence.server(),
                    silence.is_unfilled(Iaid(1)),
                )
            };
            let all = (router, server, unavailable);
            let patient = START + PATIENCE;
            let is_unfilled = !unavailable.is_empty();
            assert_eq!(review(START, all), (false, Some(patient), None, None, false));
            assert_eq!(review(patient, all), (true, None, router, server, is_unfilled));
            assert_eq!(review(patient, all), (false, None, router, server, is_unfilled));
            assert_eq!(review(patient, (None, None, &[])), (true, None, None, None, false));
        }
    }
}
