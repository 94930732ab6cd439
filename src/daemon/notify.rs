//! Reports to a service manager (systemd): that the agent is ready, what it waits for, and that it
//! is alive. Without a service manager nothing is sent.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::core::Core;
use crate::core::uplink::Lack;
use crate::time::{Deadline, Instant};

/// The pause between two checks whether the agent is ready.
const PAUSE: Duration = Duration::from_millis(50);
/// The pause between two checks of what it lacks, once it is ready.
const LATER: Duration = Duration::from_secs(2);

/// The state of the reports.
#[derive(Debug)]
pub(super) struct Supervisor {
    /// A service manager listens.
    is_there: bool,
    /// The service manager was informed that the agent is ready.
    is_ready: bool,
    /// When the agent counts as ready, whatever it lacks.
    ready_at: Instant,
    next_look: Instant,
    /// Something has happened since the last check, too soon for the next one.
    owes_look: bool,
    /// The last status text, which `systemctl status` shows.
    status: String,
    watchdog: Option<Watchdog>,
}

/// The service manager ends an agent from which it does not hear for twice this interval.
#[derive(Debug)]
struct Watchdog {
    interval: Duration,
    next_at: Instant,
}

impl Supervisor {
    /// For an agent that was started at `now`; under a service manager it counts as ready after
    /// `timeout` at the latest.
    pub(super) fn new(now: Instant, timeout: Duration) -> Self {
        let watchdog = sd_notify::watchdog_enabled()
            .map(|interval| Watchdog { interval: interval / 2, next_at: now });
        Self {
            is_there: std::env::var_os("NOTIFY_SOCKET").is_some(),
            is_ready: false,
            ready_at: now + timeout,
            next_look: now,
            owes_look: false,
            status: String::new(),
            watchdog,
        }
    }

    /// Reports what has changed by `now`.
    pub(super) fn report(&mut self, now: Instant, core: &Core) {
        if !self.is_there {
            return;
        }
        if let Some(watchdog) = &mut self.watchdog
            && watchdog.next_at <= now
        {
            watchdog.next_at = now + watchdog.interval;
            send(&[NotifyState::Watchdog]);
        }
        self.owes_look = now < self.next_look;
        if self.owes_look {
            return;
        }
        let lack = core.first_lack(now);
        let was_ready = self.is_ready;
        self.is_ready |= lack.is_none() || now >= self.ready_at;
        self.next_look = now + if self.is_ready { LATER } else { PAUSE };
        let status = match lack {
            None => "ready".to_owned(),
            Some((uplink, lack)) if self.is_ready => {
                format!("running without all that it needs: {}", describe(uplink, lack))
            }
            Some((uplink, lack)) => format!("waiting: {}", describe(uplink, lack)),
        };
        if self.is_ready && !was_ready {
            send(&[NotifyState::Ready, NotifyState::Status(&status)]);
        } else if status != self.status {
            send(&[NotifyState::Status(&status)]);
        }
        self.status = status;
    }

    /// When to report again.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        if !self.is_there {
            return None;
        }
        // What the agent lacks changes with its inputs, and with its own deadlines only.
        let look = self.owes_look.then_some(self.next_look);
        let ready = (!self.is_ready).then(|| self.ready_at.max(self.next_look));
        let alive = self.watchdog.as_ref().map(|watchdog| watchdog.next_at);
        let at = look.into_iter().chain(ready).chain(alive).min()?;
        Some(Deadline::new(at, "report to the service manager"))
    }

    /// The agent is about to stop.
    pub(super) fn stopping(&self) {
        if self.is_there {
            send(&[NotifyState::Stopping]);
        }
    }
}

/// What an uplink lacks, in a sentence.
pub(super) fn describe(uplink: &str, lack: Lack) -> String {
    if uplink.is_empty() { lack.to_string() } else { format!("{uplink}: {lack}") }
}

/// A failure is ignored: no action would help.
fn send(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}
