//! What the agent writes to the log, bounded: a flood of lines of one kind is told by its first
//! lines and their number.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use tracing::{debug, error, info, warn};

use crate::core::output::{Level, Report};
use crate::time::Instant;

/// The lines of one kind are counted for so long.
const WINDOW: Duration = Duration::from_secs(1);
/// So many of them are written.
const LINES: u64 = 10;
/// So many kinds are told apart; all further ones are one kind.
const MAX_KINDS: usize = 64;

/// What was written lately, by kind.
#[derive(Debug, Default)]
pub(super) struct Log {
    kinds: BTreeMap<u64, Kind>,
}

#[derive(Debug)]
struct Kind {
    since: Instant,
    count: u64,
    /// The last line that was left out.
    left_out: Option<Report>,
}

impl Log {
    /// Writes a line, unless there were enough of its kind.
    pub(super) fn write(&mut self, now: Instant, report: Report) {
        if self.admit(now, &report) {
            write(&report);
        }
    }

    /// Writes a warning that is about no interface.
    pub(super) fn warn(&mut self, now: Instant, text: impl Into<String>) {
        let text = text.into();
        self.write(now, Report { level: Level::Warn, interface: None, text });
    }

    /// Writes one warning each.
    pub(super) fn warn_all(&mut self, now: Instant, texts: impl IntoIterator<Item = String>) {
        texts.into_iter().for_each(|text| self.warn(now, text));
    }

    /// Whether a line is to be written; one that is not is counted.
    fn admit(&mut self, now: Instant, report: &Report) -> bool {
        self.flush(now);
        let kind = kind_of(report);
        let is_known = self.kinds.contains_key(&kind) || self.kinds.len() < MAX_KINDS;
        let kind = self.kinds.entry(if is_known { kind } else { 0 });
        let kind = kind.or_insert(Kind { since: now, count: 0, left_out: None });
        kind.count = kind.count.saturating_add(1);
        if kind.count > LINES {
            kind.left_out = Some(report.clone());
        }
        kind.count <= LINES
    }

    /// Tells how many lines were left out, where their time is over.
    pub(super) fn flush(&mut self, now: Instant) {
        for report in self.take_left_out(now) {
            write(&report);
        }
    }

    /// The end: what was left out is told of now.
    pub(super) fn close(&mut self, now: Instant) {
        self.flush(now + WINDOW);
    }

    fn take_left_out(&mut self, now: Instant) -> Vec<Report> {
        let mut reports = Vec::new();
        self.kinds.retain(|_, kind| {
            let is_over = now.since(kind.since) >= WINDOW;
            if is_over && let Some(mut last) = kind.left_out.take() {
                let others = kind.count.saturating_sub(LINES).saturating_sub(1);
                if others > 0 {
                    last.text = format!("{}, and {others} more like it", last.text);
                }
                reports.push(last);
            }
            !is_over
        });
        reports
    }

    /// When [`flush`](Self::flush) has something to tell.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let waiting = self.kinds.values().filter(|kind| kind.left_out.is_some());
        waiting.map(|kind| kind.since + WINDOW).min()
    }
}

/// Lines are of one kind that differ only in their values: words with a digit or a colon.
fn kind_of(report: &Report) -> u64 {
    let mut hasher = DefaultHasher::new();
    (report.level as u8, &report.interface).hash(&mut hasher);
    let is_value = |word: &&str| word.bytes().any(|octet| octet.is_ascii_digit() || octet == b':');
    let words = report.text.split_whitespace().filter(|word| !is_value(word));
    words.for_each(|word| word.hash(&mut hasher));
    hasher.finish()
}

fn write(report: &Report) {
    let Report { level, interface, text } = report;
    let interface = interface.as_deref();
    match level {
        Level::Error => error!(interface, "{text}"),
        Level::Warn => warn!(interface, "{text}"),
        Level::Info => info!(interface, "{text}"),
        Level::Debug => debug!(interface, "{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_secs(100);

    fn report(text: String) -> Report {
        Report { level: Level::Warn, interface: Some("lan0".to_owned()), text }
    }

    #[test]
    fn a_flood_of_one_kind_is_told_by_its_first_lines_and_their_number() {
        let mut log = Log::default();
        let line = |number| report(format!("refused to add route 2001:db8:{number:x}::/64"));
        let written = (0..1100).filter(|number| log.admit(NOW, &line(*number))).count();
        assert_eq!(written, 10);
        assert!(log.admit(NOW, &report("something else".to_owned())));
        assert_eq!(log.deadline(), Some(NOW + WINDOW));
        assert_eq!(log.take_left_out(NOW + WINDOW / 2), []);
        let told = log.take_left_out(NOW + WINDOW);
        let text = "refused to add route 2001:db8:44b::/64, and 1089 more like it";
        assert_eq!(told, [report(text.to_owned())]);
        assert_eq!(log.deadline(), None);
        assert!(log.admit(NOW + WINDOW, &line(1)));
    }

    #[test]
    fn kinds_without_number_are_bounded_too() {
        let mut log = Log::default();
        let word = |number: u32| char::from_u32(0x4e00 + number).unwrap().to_string();
        let written = (0..5000).filter(|number| log.admit(NOW, &report(word(*number)))).count();
        assert_eq!(written, MAX_KINDS + 10);
        assert!(log.kinds.len() <= MAX_KINDS + 1);
    }
}
