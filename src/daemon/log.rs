//! The log of the agent, bounded: a flood of lines of one kind is shortened to its first lines and
//! their number.
//!
//! A line is a sentence for people. In a log for programs it carries the values of the event as
//! fields beside that.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

use tracing::{debug, enabled, error, info, warn};

use crate::core::event::{Event, Level};
use crate::time::Instant;

/// How long the lines of one kind are counted together.
const WINDOW: Duration = Duration::from_secs(1);
/// The most lines of one kind that are written in that time.
const LINES: u64 = 10;
/// The most kinds that are counted apart; all further ones are one kind.
const MAX_KINDS: usize = 64;

/// The lines of the last moment, by kind.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Lines carry fields for programs.
    has_fields: bool,
    kinds: BTreeMap<Kind, Count>,
}

/// A line.
#[derive(Clone, PartialEq, Debug)]
enum Line {
    /// An event of the core.
    Event(Event),
    /// A warning of the shell, of one kind for each place in its source.
    Warning { text: String, origin: &'static Location<'static> },
}

/// The kind of a line: lines of one kind are counted together.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    /// The kind of an event, and the interface in question.
    Event((&'static str, &'static str), Option<String>),
    /// The place in the source.
    Warning(&'static str, u32),
    /// Any further kind beyond [`MAX_KINDS`].
    Other,
}

#[derive(Debug)]
struct Count {
    since: Instant,
    count: u64,
    /// The last line that was left out.
    left_out: Option<Line>,
}

/// A line that was left out, with the number of others of its kind.
#[derive(PartialEq, Debug)]
struct LeftOut {
    line: Line,
    others: u64,
}

impl Log {
    /// Nothing written yet; lines carry fields for programs where `has_fields` says so.
    pub(super) fn new(has_fields: bool) -> Self {
        Self { has_fields, ..Self::default() }
    }

    /// Writes an event, if its level is logged, unless there were too many of its kind.
    pub(super) fn write(&mut self, now: Instant, event: Event) {
        let is_read = match event.level() {
            Level::Error => enabled!(tracing::Level::ERROR),
            Level::Warn => enabled!(tracing::Level::WARN),
            Level::Info => enabled!(tracing::Level::INFO),
            Level::Debug => enabled!(tracing::Level::DEBUG),
        };
        if is_read {
            self.write_line(now, Line::Event(event));
        }
    }

    /// Writes a warning that is about no interface.
    #[track_caller]
    pub(super) fn warn(&mut self, now: Instant, text: impl Into<String>) {
        let origin = Location::caller();
        self.write_line(now, Line::Warning { text: text.into(), origin });
    }

    /// Writes one warning each.
    #[track_caller]
    pub(super) fn warn_all(&mut self, now: Instant, texts: impl IntoIterator<Item = String>) {
        let origin = Location::caller();
        for text in texts {
            self.write_line(now, Line::Warning { text, origin });
        }
    }

    fn write_line(&mut self, now: Instant, line: Line) {
        if self.admit(now, &line) {
            line.write(self.has_fields, 0);
        }
    }

    /// Whether a line is to be written; one that is not is counted.
    fn admit(&mut self, now: Instant, line: &Line) -> bool {
        self.flush(now);
        let kind = line.kind();
        let is_known = self.kinds.contains_key(&kind) || self.kinds.len() < MAX_KINDS;
        let count = self.kinds.entry(if is_known { kind } else { Kind::Other });
        let count = count.or_insert(Count { since: now, count: 0, left_out: None });
        count.count = count.count.saturating_add(1);
        if count.count > LINES {
            count.left_out = Some(line.clone());
        }
        count.count <= LINES
    }

    /// Writes how many lines were left out, where their time is over.
    pub(super) fn flush(&mut self, now: Instant) {
        for LeftOut { line, others } in self.take_left_out(now) {
            line.write(self.has_fields, others);
        }
    }

    /// The end: reports lines that were left out.
    pub(super) fn close(&mut self, now: Instant) {
        self.flush(now + WINDOW);
    }

    fn take_left_out(&mut self, now: Instant) -> Vec<LeftOut> {
        let mut left_out = Vec::new();
        self.kinds.retain(|_, kind| {
            let is_over = now.since(kind.since) >= WINDOW;
            if is_over && let Some(line) = kind.left_out.take() {
                let others = kind.count.saturating_sub(LINES).saturating_sub(1);
                left_out.push(LeftOut { line, others });
            }
            !is_over
        });
        left_out
    }

    /// When [`flush`](Self::flush) has something to write.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let waiting = self.kinds.values().filter(|kind| kind.left_out.is_some());
        waiting.map(|kind| kind.since + WINDOW).min()
    }
}

impl Line {
    fn kind(&self) -> Kind {
        match self {
            Self::Event(event) => Kind::Event(event.kind(), event.interface().map(str::to_owned)),
            Self::Warning { origin, .. } => Kind::Warning(origin.file(), origin.line()),
        }
    }

    /// Writes the line, which stands for `others` of its kind as well.
    fn write(&self, has_fields: bool, others: u64) {
        let (level, interface) = match self {
            Self::Event(event) => (event.level(), event.interface()),
            Self::Warning { .. } => (Level::Warn, None),
        };
        let others = Some(others).filter(|others| *others > 0);
        let more = others.map(|others| format!(", and {others} more like it")).unwrap_or_default();
        let left_out = others.filter(|_| has_fields);
        let object = has_fields.then(|| self.fields()).flatten();
        let object = object.as_deref();
        // `object` is what `json_lines` takes apart.
        match level {
            Level::Error => error!(interface, object, left_out, "{self}{more}"),
            Level::Warn => warn!(interface, object, left_out, "{self}{more}"),
            Level::Info => info!(interface, object, left_out, "{self}{more}"),
            Level::Debug => debug!(interface, object, left_out, "{self}{more}"),
        }
    }

    /// The values of an event as a JSON object.
    fn fields(&self) -> Option<String> {
        match self {
            Self::Event(event) => serde_json::to_string(event).ok(),
            Self::Warning { .. } => None,
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event) => event.fmt(f),
            Self::Warning { text, .. } => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests;
