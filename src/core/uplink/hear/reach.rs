//! Whether a default router is still there, where another one could take its place (RFC 4861
//! §6.3.6, RFC 7084 W-1).
//!
//! A router is solicited by unicast when it has been silent for longer than its interval, or when
//! another router appears. One that does not answer is placed behind those that do, and returns
//! with its next advertisement: silence is no withdrawal.

use std::time::Duration;

use crate::time::{Deadline, Instant};

/// Times of the solicitations, from the first. The answer may wait for MIN_DELAY_BETWEEN_RAS (RFC
/// 4861 §6.2.6).
const ASK_AFTER: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(3)];
/// A router that does not answer within this time after the first solicitation is silent.
const VERDICT_AFTER: Duration = Duration::from_secs(5);
/// A router that was heard within this time is not solicited.
const JUST_HEARD: Duration = Duration::from_secs(1);
/// The least time from one series of solicitations to the next, however often other routers
/// advertise meanwhile.
const REST: Duration = Duration::from_secs(60);
/// MaxRtrAdvInterval, unless less follows from the Router Lifetime (RFC 4861 §6.2.1).
const LONGEST_INTERVAL: Duration = Duration::from_secs(600);

/// The pause after a solicitation that could not be sent.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Whether one router answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Reach {
    question: Option<Question>,
    /// When the last series of solicitations began.
    asked_at: Option<Instant>,
    silent: bool,
    /// It was not heard since a link event: advertisements before that prove nothing.
    is_doubtful: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Question {
    ask_from: Instant,
    asked: usize,
    /// When the first solicitation left.
    first_at: Option<Instant>,
}

impl Reach {
    /// The state of a router that was heard before a link event.
    pub(super) fn doubtful() -> Self {
        Self { is_doubtful: true, ..Self::default() }
    }

    /// Notes an advertisement of the router.
    pub(super) fn heard(&mut self) {
        self.question = None;
        self.silent = false;
        self.is_doubtful = false;
    }

    pub(super) const fn is_silent(&self) -> bool {
        self.silent
    }

    pub(super) const fn is_doubtful(&self) -> bool {
        self.is_doubtful
    }

    /// When a router last heard at `heard_at`, with a Router Lifetime of `lifetime`, has missed its
    /// interval; none while it is being solicited, and where it is silent.
    pub(super) fn overdue_at(&self, heard_at: Instant, lifetime: Duration) -> Option<Instant> {
        if self.question.is_some() || self.silent {
            return None;
        }
        let interval = (lifetime / 3 + Duration::from_secs(1)).min(LONGEST_INTERVAL);
        let rested = self.asked_at.map_or(Instant::BOOT, |at| at + REST);
        Some(rested.max(heard_at + interval))
    }

    /// Solicits it at once, unless that is under way. The reason is an event that any node cannot
    /// cause, unlike the advertisement of another router.
    pub(super) fn check_at_once(&mut self, now: Instant) -> bool {
        if self.question.is_some() || self.silent {
            return false;
        }
        self.asked_at = Some(now);
        self.question = Some(Question { ask_from: now, asked: 0, first_at: None });
        true
    }

    /// Solicits it, unless that is under way or was done lately.
    pub(super) fn check(&mut self, now: Instant, heard_at: Instant) {
        let rests = self.asked_at.is_some_and(|at| now.since(at) < REST);
        if self.question.is_none() && !self.silent && !rests {
            let ask_from = if self.is_doubtful { now } else { now.max(heard_at + JUST_HEARD) };
            self.asked_at = Some(ask_from);
            self.question = Some(Question { ask_from, asked: 0, first_at: None });
        }
    }

    /// Returns whether a solicitation has to be sent; it counts as sent.
    pub(super) fn ask(&mut self, now: Instant) -> bool {
        let Some(question) = &mut self.question else { return false };
        let is_due = question.ask_at().is_some_and(|at| at <= now);
        if is_due {
            question.asked += 1;
            question.first_at.get_or_insert(now);
        }
        is_due
    }

    /// A solicitation could not be sent: a missing answer proves nothing, and the series begins anew.
    pub(super) fn handle_dropped(&mut self, now: Instant) {
        if let Some(question) = &mut self.question {
            *question = Question { ask_from: now + AGAIN_AFTER, asked: 0, first_at: None };
        }
    }

    /// Marks it as silent when it has not answered in time.
    pub(super) fn judge(&mut self, now: Instant) {
        let verdict_at = self.question.and_then(|question| question.verdict_at());
        if verdict_at.is_some_and(|at| at <= now) {
            self.question = None;
            self.silent = true;
        }
    }

    /// When a verdict has to be given, or, where one can be sent, a solicitation.
    pub(super) fn deadline(&self, can_send: bool) -> Option<Deadline> {
        let question = self.question?;
        let ask = question.ask_at().filter(|_| can_send);
        Deadline::first([
            ask.map(|at| Deadline::new(at, "question whether a router is there")),
            question.verdict_at().map(|at| Deadline::new(at, "verdict on a silent router")),
        ])
    }
}

impl Question {
    fn ask_at(&self) -> Option<Instant> {
        ASK_AFTER.get(self.asked).map(|after| self.ask_from + *after)
    }

    fn verdict_at(&self) -> Option<Instant> {
        self.first_at.map(|at| at + VERDICT_AFTER)
    }
}
