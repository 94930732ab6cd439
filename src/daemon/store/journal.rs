//! The memory on disk: a journal of records (requirements of stable storage, RFC 9096 §3.5).

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use super::compaction::{Compaction, Snapshot, Synced, Unsynced};
use super::file::LineFile;
use crate::core::delegate::BindingKey;
use crate::core::memory::{Memory, Record};
use crate::time::{Instant, Until};

const NAME: &str = "memory.jsonl";
/// The first line of the file; a file with another one has a version that this program does not
/// know.
pub(super) const VERSION: &str = r#"{"renumberd-memory":1}"#;
/// The file is written anew when it has this many lines, and four times as many as it needs.
const MIN_LINES: usize = 256;
/// How many lines the file may have for each that it needs.
const MOST: usize = 4;
/// The same while there is other work: the lines of one change are two for each binding.
const MOST_WHILE_BUSY: usize = 16;
/// The capacity of the buffer of lines that is kept.
const USUAL_OCTETS: usize = 16 * 1024;
/// The most octets in the buffer before they are written.
const MAX_UNWRITTEN: usize = 256 * 1024;

/// A record with the clocks at which it was written.
#[derive(Deserialize)]
struct Line {
    boot: String,
    at: f64,
    wall: f64,
    record: Record,
}

/// The same, to be serialized.
#[derive(Serialize)]
struct LineOf<'a> {
    boot: &'a str,
    at: f64,
    wall: f64,
    record: &'a Record,
}

/// The memory on disk.
#[derive(Debug)]
pub struct Journal {
    file: LineFile,
    boot_id: String,
    /// The newest record of each key: the contents of a file written anew.
    live: BTreeMap<Key, Arc<Record>>,
    lines: usize,
    /// Lines that the next write writes, and their number.
    unwritten: (Vec<u8>, usize),
    unsynced: bool,
    compaction: Compaction,
}

impl Journal {
    /// Opens the journal in `dir`; returns it with its records on this boot's clock, and
    /// complaints.
    pub fn open(
        dir: &Path,
        now: Instant,
        wall: Duration,
        boot_id: &str,
    ) -> (Self, Memory, Vec<String>) {
        let (file, octets, unread) = LineFile::open(dir, NAME);
        let mut journal = Self {
            file,
            boot_id: boot_id.to_owned(),
            live: BTreeMap::new(),
            lines: 0,
            unwritten: Default::default(),
            unsynced: false,
            compaction: Compaction::default(),
        };
        let mut complaints = Vec::from_iter(unread);
        complaints.extend(journal.read(&octets, now, wall));
        let mut memory = Memory::default();
        journal.drop_ended(now);
        journal.live.values().for_each(|record| memory.fold(Record::clone(record)));
        let complaint = journal.compact(now, wall);
        // The file may end in half a line, or lack its first.
        complaints.extend(complaint.and_then(|error| journal.file.outcome(now, Err(error))));
        (journal, memory, complaints)
    }

    /// Reads the lines of the file; returns a complaint. Lines that cannot be read are kept aside,
    /// as the file is about to be written anew.
    fn read(&mut self, octets: &[u8], now: Instant, wall: Duration) -> Option<String> {
        let mut lines = octets.split(|octet| *octet == b'\n').filter(|line| !line.is_empty());
        let first = lines.next()?;
        if first != VERSION.as_bytes() {
            let kept = self.file.move_aside("unknown");
            return Some(format!(
                "{NAME} is of another version: starting with an empty memory; {kept}"
            ));
        }
        let mut bad = 0_usize;
        for line in lines {
            match serde_json::from_slice::<Line>(line) {
                Ok(line) => self.take_in(Arc::new(shifted(line, now, wall, &self.boot_id))),
                Err(_) => bad = bad.saturating_add(1),
            }
        }
        (bad > 0).then(|| {
            let kept = self.file.copy_aside("damaged");
            format!("{bad} lines of {NAME} are not understood; {kept}")
        })
    }

    fn drop_ended(&mut self, now: Instant) {
        self.live.retain(|_, record| !is_over(record, now));
    }

    /// Takes a record, which the next [`write`](Self::write) writes.
    pub fn append(&mut self, record: Record, now: Instant, wall: Duration) -> Option<String> {
        let record = Arc::new(record);
        self.take_in(Arc::clone(&record));
        if self.file.is_blocked() {
            return None;
        }
        let (octets, lines) = &mut self.unwritten;
        write_line(&record, &self.boot_id, now, wall, octets);
        *lines = lines.saturating_add(1);
        if octets.len() >= MAX_UNWRITTEN { self.write(now) } else { None }
    }

    /// Writes all records that were taken, by one write and without a sync.
    pub fn write(&mut self, now: Instant) -> Option<String> {
        let (octets, lines) = &mut self.unwritten;
        if octets.is_empty() {
            return None;
        }
        let lines = std::mem::take(lines);
        self.compaction.append(now, octets, lines);
        let mut complaint = None;
        // A file that lacks lines is written anew, with these.
        if !self.file.is_behind() {
            self.lines = self.lines.saturating_add(lines);
            self.unsynced = true;
            complaint = self.file.append(now, octets);
        }
        octets.clear();
        octets.shrink_to(USUAL_OCTETS);
        complaint
    }

    /// Appends a record and waits until it is on disk.
    pub fn append_synced(
        &mut self,
        record: Record,
        now: Instant,
        wall: Duration,
    ) -> Option<String> {
        let complaint = self.append(record, now, wall).or_else(|| self.write(now));
        self.compaction.sync(now);
        if complaint.is_some() || self.file.is_behind() || self.file.is_blocked() {
            return complaint;
        }
        self.unsynced = false;
        self.file.sync(now)
    }

    /// The snapshot to write on another thread, if it is time for one: the file has more lines than
    /// it needs, or lacks some. While the core `is_busy` the former can wait, though not for ever.
    /// The result is handled by [`end_snapshot`](Self::end_snapshot).
    pub fn begin_snapshot(
        &mut self,
        now: Instant,
        wall: Duration,
        is_busy: bool,
    ) -> Option<Snapshot> {
        let most = if is_busy { MOST_WHILE_BUSY } else { MOST };
        let is_crowded = self.lines >= MIN_LINES && self.lines / most >= self.live.len();
        let is_wanted = is_crowded || self.file.is_behind();
        if !is_wanted || !self.file.is_usable(now) || !self.compaction.may_begin(now) {
            return None;
        }
        Some(self.snapshot(now, wall))
    }

    fn snapshot(&mut self, now: Instant, wall: Duration) -> Snapshot {
        self.drop_ended(now);
        self.compaction.begin(self.live.len());
        let records = self.live.values().cloned().collect();
        let boot_id = self.boot_id.clone();
        Snapshot { records, boot_id, now, wall, paths: self.file.paths() }
    }

    /// Handles the result of a snapshot. The next sync lets it replace the file.
    pub fn end_snapshot(&mut self, now: Instant, written: io::Result<File>) -> Option<String> {
        let complaint = self.compaction.end_snapshot(now, self.file.paths(), written)?;
        if self.file.is_behind() {
            return self.file.outcome(now, Err(complaint));
        }
        // The old file is still good.
        None
    }

    /// Writes the file anew before it returns.
    fn compact(&mut self, now: Instant, wall: Duration) -> Option<io::Error> {
        if self.file.is_blocked() {
            return None;
        }
        let written = self.snapshot(now, wall).write();
        if let Some(error) = self.compaction.end_snapshot(now, self.file.paths(), written) {
            return Some(error);
        }
        let synced = self.compaction.take_unsynced().map(Unsynced::sync)?;
        self.take_over(now, synced)
    }

    /// Continues with the new file if that has replaced the old one; returns the error that leaves
    /// the file without some of the lines.
    fn take_over(&mut self, now: Instant, synced: Synced) -> Option<io::Error> {
        let lines = self.compaction.end_sync(now, &synced);
        let Some(file) = synced.replaced else { return synced.failed };
        self.file.replaced_by(file);
        self.lines = lines.unwrap_or_default();
        // A line could not be appended to it meanwhile.
        let torn = lines.is_none().then(|| io::ErrorKind::WriteZero.into());
        synced.failed.or(torn)
    }

    /// The lines to sync on another thread, if there are any. The result is handled by
    /// [`end_sync`](Self::end_sync).
    pub fn take_unsynced(&mut self) -> Option<Unsynced> {
        let file = std::mem::take(&mut self.unsynced).then(|| self.file.handle()).flatten();
        match self.compaction.take_unsynced() {
            Some(unsynced) => Some(Unsynced { file, ..unsynced }),
            None => file.map(Unsynced::of),
        }
    }

    /// Handles the result of a sync. The system forgets lines that it could not sync: all are
    /// written anew then.
    pub fn end_sync(&mut self, now: Instant, synced: Synced) -> Option<String> {
        let error = self.take_over(now, synced)?;
        self.file.outcome(now, Err(error))
    }

    /// Why the memory cannot be written, if it cannot.
    pub fn trouble(&self) -> Option<&str> {
        self.file.trouble()
    }

    /// Whether lines wait to be synced.
    pub const fn is_unsynced(&self) -> bool {
        self.unsynced || self.compaction.is_ready()
    }

    /// When [`begin_snapshot`](Self::begin_snapshot) may return a snapshot by the passing of time
    /// alone.
    pub fn deadline(&self) -> Option<Instant> {
        let behind = self.file.deadline().filter(|_| self.compaction.is_idle());
        behind.map(|at| self.compaction.rests_until().map_or(at, |rest| rest.max(at)))
    }

    fn take_in(&mut self, record: Arc<Record>) {
        let key = Key::of(&record);
        match &*record {
            Record::Lease { lease: None, .. }
            | Record::Binding { binding: None, .. }
            | Record::Relayed { lease: None, .. }
            | Record::Sysctl { before: None, .. } => {
                self.live.remove(&key);
            }
            // The value before the first change of a setting counts.
            Record::Sysctl { before: Some(_), .. } => {
                self.live.entry(key).or_insert(record);
            }
            Record::Duid { .. }
            | Record::Secret { .. }
            | Record::Lease { lease: Some(_), .. }
            | Record::Binding { binding: Some(_), .. }
            | Record::Relayed { lease: Some(_), .. }
            | Record::Replay { .. }
            | Record::Static { .. }
            | Record::Advertised { .. } => {
                self.live.insert(key, record);
            }
        }
    }
}

/// Writes a record with the present readings of both clocks.
pub(super) fn write_line(
    record: &Record,
    boot: &str,
    now: Instant,
    wall: Duration,
    text: &mut Vec<u8>,
) {
    let (at, wall) = (now.since_boot().as_secs_f64(), wall.as_secs_f64());
    // This could fail only for a map whose keys are no text, and a record has none.
    let _ = serde_json::to_writer(&mut *text, &LineOf { boot, at, wall, record });
    text.push(b'\n');
}

/// The record on this boot's clock. If the wall clock is earlier than when the record was written,
/// one of both was wrong (STO-10): the time that was left then is the most that can be left.
fn shifted(line: Line, now: Instant, wall: Duration, boot_id: &str) -> Record {
    let mut record = line.record;
    if line.boot != boot_id {
        let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let written = Instant::from_boot(seconds(line.at));
        record.shift(written, now, wall.saturating_sub(seconds(line.wall)));
    }
    record
}

/// Whether a record is void by now.
fn is_over(record: &Record, now: Instant) -> bool {
    match record {
        Record::Advertised { until, .. } => until.is_over(now),
        Record::Lease { lease: Some(lease), .. } => {
            let ends = lease.prefixes.iter().map(|prefix| prefix.valid_until);
            lease.reconfigure_key.is_none()
                && ends.max().is_none_or(|until: Until| until.is_over(now))
        }
        Record::Binding { binding: Some(binding), .. } => {
            let ends = binding.promised.iter().map(|(_, promise)| promise.held_until);
            ends.max().is_none_or(|until: Until| until.is_over(now))
        }
        Record::Relayed { lease: Some(lease), .. } => lease.valid_until.is_over(now),
        Record::Lease { lease: None, .. }
        | Record::Binding { binding: None, .. }
        | Record::Relayed { lease: None, .. } => true,
        Record::Duid { .. }
        | Record::Secret { .. }
        | Record::Replay { .. }
        | Record::Static { .. }
        | Record::Sysctl { .. } => false,
    }
}

/// The key of a record: the newest record of a key counts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Key {
    Duid,
    Secret,
    Replay,
    Lease(String),
    Advertised(String, Ipv6Net, bool),
    Binding(BindingKey),
    Static(String),
    Relayed(Ipv6Net),
    Sysctl(String, String),
}

impl Key {
    fn of(record: &Record) -> Self {
        match record {
            Record::Duid { .. } => Self::Duid,
            Record::Secret { .. } => Self::Secret,
            Record::Replay { .. } => Self::Replay,
            Record::Lease { uplink, .. } => Self::Lease(uplink.clone()),
            Record::Advertised { downlink, prefix, is_route, .. } => {
                Self::Advertised(downlink.clone(), *prefix, *is_route)
            }
            Record::Binding { key, .. } => Self::Binding(key.clone()),
            Record::Static { name, .. } => Self::Static(name.clone()),
            Record::Relayed { prefix, .. } => Self::Relayed(*prefix),
            Record::Sysctl { interface, name, .. } => Self::Sysctl(interface.clone(), name.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
