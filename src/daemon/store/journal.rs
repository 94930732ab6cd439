//! The memory on disk: a journal of records (requirements of stable storage, RFC 9096 §3.5).

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use super::file::LineFile;
use crate::core::delegate::BindingKey;
use crate::core::memory::{Memory, Record};
use crate::time::{Instant, Until};

const NAME: &str = "memory.jsonl";
/// The first line of the file; another one is of a version that this program does not know.
const VERSION: &str = r#"{"renumberd-memory":1}"#;
/// The file is written anew when it has this many lines, and four times as many as it needs.
const MIN_LINES: usize = 256;
/// Room for a line of the usual kind: a binding.
const USUAL_OCTETS: usize = 1024;

/// A record with the clocks at which it was written.
#[derive(Deserialize)]
struct Line {
    boot: String,
    at: f64,
    wall: f64,
    record: Record,
}

/// The same, to be written.
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
    /// The newest record of each key, as it would be written anew.
    live: BTreeMap<Key, Record>,
    lines: usize,
    unsynced: bool,
}

impl Journal {
    /// Opens the journal in `dir`: what it remembers, on this boot's clock, and what was wrong.
    pub fn open(
        dir: &Path,
        now: Instant,
        wall: Duration,
        boot_id: &str,
    ) -> (Self, Memory, Vec<String>) {
        let (file, text) = LineFile::open(dir, NAME);
        let mut journal = Self {
            file,
            boot_id: boot_id.to_owned(),
            live: BTreeMap::new(),
            lines: 0,
            unsynced: false,
        };
        let mut complaints = Vec::new();
        let mut lines = text.lines();
        let mut bad = 0_usize;
        match lines.next() {
            None => {}
            Some(VERSION) => {
                for line in lines {
                    match serde_json::from_str::<Line>(line) {
                        Ok(line) => journal.take_in(shifted(line, now, wall, boot_id)),
                        Err(_) => bad = bad.saturating_add(1),
                    }
                }
            }
            Some(_) => {
                let path = dir.join(NAME);
                let aside = dir.join(format!("{NAME}.unknown"));
                let kept = std::fs::rename(&path, &aside).is_ok();
                complaints.push(format!(
                    "{} is of another version: starting with an empty memory{}",
                    path.display(),
                    if kept { ", the file is kept aside" } else { "" }
                ));
            }
        }
        if bad > 0 {
            complaints.push(format!("{bad} lines of the memory are not understood"));
        }
        journal.live.retain(|_, record| !is_over(record, now));
        let mut memory = Memory::default();
        journal.live.values().cloned().for_each(|record| memory.fold(record));
        complaints.extend(journal.compact(now, wall));
        (journal, memory, complaints)
    }

    /// Appends a record: written, not yet synced.
    pub fn append(&mut self, record: &Record, now: Instant, wall: Duration) -> Option<String> {
        self.take_in(record.clone());
        if !self.file.is_usable(now) {
            return None;
        }
        let crowded = self.lines >= MIN_LINES && self.lines / 4 >= self.live.len();
        if crowded || self.file.is_behind() {
            self.live.retain(|_, record| !is_over(record, now));
            return self.compact(now, wall);
        }
        let mut line = Vec::with_capacity(USUAL_OCTETS);
        self.write_line(record, now, wall, &mut line);
        self.lines = self.lines.saturating_add(1);
        self.unsynced = true;
        self.file.append(now, &line)
    }

    /// Appends a record and waits until it is on disk.
    pub fn append_synced(
        &mut self,
        record: &Record,
        now: Instant,
        wall: Duration,
    ) -> Option<String> {
        let complaint = self.append(record, now, wall);
        self.unsynced = false;
        complaint.or_else(|| if self.file.is_behind() { None } else { self.file.sync(now) })
    }

    /// A handle to sync what was appended since the last one was taken; none when nothing was.
    pub fn take_unsynced(&mut self) -> Option<File> {
        std::mem::take(&mut self.unsynced).then(|| self.file.handle()).flatten()
    }

    /// Whether something waits to be synced.
    pub const fn is_unsynced(&self) -> bool {
        self.unsynced
    }

    fn take_in(&mut self, record: Record) {
        let key = Key::of(&record);
        match &record {
            Record::Lease { lease: None, .. }
            | Record::Binding { binding: None, .. }
            | Record::Relayed { lease: None, .. }
            | Record::Sysctl { before: None, .. } => {
                self.live.remove(&key);
            }
            // What a setting was before the first change is what counts.
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

    fn compact(&mut self, now: Instant, wall: Duration) -> Option<String> {
        let mut text = format!("{VERSION}\n").into_bytes();
        for record in self.live.values() {
            self.write_line(record, now, wall, &mut text);
        }
        self.lines = self.live.len();
        self.unsynced = false;
        self.file.replace(now, &text, true)
    }

    fn write_line(&self, record: &Record, now: Instant, wall: Duration, text: &mut Vec<u8>) {
        let line = LineOf {
            boot: &self.boot_id,
            at: now.since_boot().as_secs_f64(),
            wall: wall.as_secs_f64(),
            record,
        };
        // A record has no map with other keys than text, which is all that could fail.
        let _ = serde_json::to_writer(&mut *text, &line);
        text.push(b'\n');
    }
}

/// The record on this boot's clock. A wall clock that stands before the time of writing was
/// wrong once (STO-10): what was left then is the most that can be left.
fn shifted(line: Line, now: Instant, wall: Duration, boot_id: &str) -> Record {
    let mut record = line.record;
    if line.boot != boot_id {
        let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let written = Instant::from_boot(seconds(line.at));
        record.shift(written, now, wall.saturating_sub(seconds(line.wall)));
    }
    record
}

/// Whether a record says nothing any more.
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

/// What a record is about: the newest of a key counts.
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
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_secs(1000);
    const WALL: Duration = Duration::from_secs(1_800_000_000);

    fn promise(prefix: &str, until: u64) -> Record {
        Record::Advertised {
            downlink: "lan0".to_owned(),
            prefix: prefix.parse().unwrap(),
            is_route: false,
            until: Until::At(Instant::from_secs(until)),
        }
    }

    fn write(dir: &Path, records: &[Record]) {
        let (mut journal, _, complaints) = Journal::open(dir, NOW, WALL, "boot 1");
        assert!(complaints.is_empty(), "{complaints:?}");
        for record in records {
            assert_eq!(journal.append(record, NOW, WALL), None);
        }
    }

    fn ends(memory: &Memory) -> Vec<Until> {
        memory
            .advertised
            .values()
            .flat_map(|promises| promises.prefixes.values().copied())
            .collect()
    }

    #[test]
    fn what_was_written_is_remembered_on_the_same_boot() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[promise("2001:db8:a::/64", 1500), promise("2001:db8:a::/64", 1600)]);
        let (_, memory, _) = Journal::open(dir.path(), NOW, WALL, "boot 1");
        assert_eq!(ends(&memory), [Until::At(Instant::from_secs(1600))]);
    }

    /// STO-10: by wall time after a reboot, and never longer than what was left.
    #[test]
    fn instants_move_to_the_clock_of_another_boot() {
        for (passed, left) in [(100, 500), (0, 600)] {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), &[promise("2001:db8:a::/64", 1600)]);
            let wall = WALL + Duration::from_secs(passed);
            let now = Instant::from_secs(20);
            let (_, memory, _) = Journal::open(dir.path(), now, wall, "boot 2");
            assert_eq!(ends(&memory), [Until::At(Instant::from_secs(20 + left))]);
        }
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[promise("2001:db8:a::/64", 1600)]);
        let in_1970 = Duration::from_secs(5);
        let (_, memory, _) = Journal::open(dir.path(), Instant::from_secs(20), in_1970, "boot 2");
        assert_eq!(ends(&memory), [Until::At(Instant::from_secs(620))]);
    }

    /// STO-08
    #[test]
    fn a_file_cut_anywhere_is_read_as_far_as_it_goes() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[promise("2001:db8:a::/64", 1600), promise("2001:db8:b::/64", 1700)]);
        let whole = std::fs::read(dir.path().join(NAME)).unwrap();
        for length in 0..whole.len() {
            let cut = tempfile::tempdir().unwrap();
            std::fs::write(cut.path().join(NAME), &whole[..length]).unwrap();
            let (_, memory, complaints) = Journal::open(cut.path(), NOW, WALL, "boot 1");
            assert!(complaints.len() <= 1, "{length}: {complaints:?}");
            assert!(ends(&memory).len() <= 2);
        }
    }

    #[test]
    fn a_file_of_the_future_is_kept_aside() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(NAME), "{\"renumberd-memory\":9}\n").unwrap();
        let (_, memory, complaints) = Journal::open(dir.path(), NOW, WALL, "boot 1");
        assert_eq!((memory, complaints.len()), (Memory::default(), 1));
        assert!(dir.path().join("memory.jsonl.unknown").exists());
    }

    /// STO-11
    #[test]
    fn the_file_does_not_grow_without_bound() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, ..) = Journal::open(dir.path(), NOW, WALL, "boot 1");
        for step in 0..5000 {
            journal.append(&promise("2001:db8:a::/64", 2000 + step), NOW, WALL);
        }
        let text = std::fs::read_to_string(dir.path().join(NAME)).unwrap();
        assert!(text.lines().count() <= MIN_LINES + 1);
    }

    /// STO-09
    #[test]
    fn a_disk_that_takes_nothing_costs_one_complaint() {
        let missing = Path::new("/nonexistent/renumberd");
        let (mut journal, _, complaints) = Journal::open(missing, NOW, WALL, "boot 1");
        assert_eq!(complaints.len(), 1);
        for step in 0..100 {
            let now = Instant::from_secs(1000 + 30 * step);
            assert_eq!(journal.append(&promise("2001:db8:a::/64", 9000), now, WALL), None);
        }
    }

    /// SEC-13
    #[test]
    fn the_file_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[Record::Secret { secret: [7; 32] }]);
        let mode = std::fs::metadata(dir.path().join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
