//! Writing the journal anew, beside the loop: a file with thousands of bindings takes some time.
//!
//! Another thread writes the live records to a new file. Lines that are appended meanwhile go to
//! the old file, which still counts, and are kept to follow in the new one. From then on both get
//! each line, and the next sync, which brings the new file to disk before it replaces the old one,
//! makes the new one count. A machine that stops at any instant finds one file that has every line
//! that was synced.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::Duration;

use super::file::{Paths, RETRY_AFTER};
use super::journal::{VERSION, write_line};
use crate::core::memory::Record;
use crate::time::Instant;

/// The most octets that may follow a snapshot: writing that has not ended by then is given up.
const MAX_TAIL: usize = 64 << 20;

/// The progress of writing anew.
#[derive(Debug, Default)]
pub(super) struct Compaction {
    stage: Stage,
    /// When it may be tried again after a failure.
    rests_until: Option<Instant>,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Idle,
    /// A snapshot is being written; these lines follow it.
    Writing { tail: Vec<u8>, lines: usize },
    /// The new file has all records of the old one.
    Ready { file: File, lines: usize, paths: Paths },
}

impl Compaction {
    pub(super) const fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Idle)
    }

    pub(super) const fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready { .. })
    }

    pub(super) const fn rests_until(&self) -> Option<Instant> {
        self.rests_until
    }

    pub(super) fn may_begin(&self, now: Instant) -> bool {
        self.is_idle() && self.rests_until.is_none_or(|until| until <= now)
    }

    /// A snapshot of `lines` lines is about to be written.
    pub(super) fn begin(&mut self, lines: usize) {
        self.stage = Stage::Writing { tail: Vec::new(), lines };
    }

    /// Takes in `count` lines that are appended to the old file.
    pub(super) fn append(&mut self, now: Instant, octets: &[u8], count: usize) {
        match &mut self.stage {
            Stage::Idle => {}
            Stage::Writing { tail, lines } => {
                // Too many lines are as good as lost ones: see end_snapshot.
                if tail.len() <= MAX_TAIL {
                    tail.extend_from_slice(octets);
                    *lines = lines.saturating_add(count);
                }
            }
            Stage::Ready { file, lines, .. } => {
                *lines = lines.saturating_add(count);
                if file.write_all(octets).is_err() {
                    self.give_up(now);
                }
            }
        }
    }

    /// Syncs the lines that were appended to the new file.
    pub(super) fn sync(&mut self, now: Instant) {
        if let Stage::Ready { file, .. } = &self.stage
            && file.sync_data().is_err()
        {
            self.give_up(now);
        }
    }

    /// Handles the result of a snapshot; returns the error if it failed.
    pub(super) fn end_snapshot(
        &mut self,
        now: Instant,
        paths: Paths,
        written: io::Result<File>,
    ) -> Option<io::Error> {
        let Stage::Writing { tail, lines } = std::mem::take(&mut self.stage) else { return None };
        let followed = written.and_then(|mut file| {
            if tail.len() > MAX_TAIL {
                return Err(io::ErrorKind::TimedOut.into());
            }
            file.write_all(&tail)?;
            Ok(file)
        });
        match followed {
            Ok(file) => {
                self.stage = Stage::Ready { file, lines, paths };
                None
            }
            Err(error) => {
                paths.discard();
                self.give_up(now);
                Some(error)
            }
        }
    }

    /// The new file, to be synced before it replaces the old one.
    pub(super) fn take_unsynced(&self) -> Option<Unsynced> {
        let Stage::Ready { file, paths, .. } = &self.stage else { return None };
        let successor = (file.try_clone().ok()?, paths.clone());
        Some(Unsynced { file: None, successor: Some(successor) })
    }

    /// Handles the result of a sync; returns the number of lines of the new file if that counts
    /// from now on.
    pub(super) fn end_sync(&mut self, now: Instant, synced: &Synced) -> Option<usize> {
        if !synced.had_successor {
            return None;
        }
        let stage = std::mem::take(&mut self.stage);
        let Stage::Ready { lines, .. } = stage else { return None };
        if synced.replaced.is_none() {
            self.give_up(now);
            return None;
        }
        self.rests_until = None;
        Some(lines)
    }

    fn give_up(&mut self, now: Instant) {
        if let Stage::Ready { paths, .. } = std::mem::take(&mut self.stage) {
            paths.discard();
        }
        self.rests_until = Some(now + RETRY_AFTER);
    }
}

/// All live records, to be written on another thread.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) records: Vec<Arc<Record>>,
    pub(super) boot_id: String,
    pub(super) now: Instant,
    pub(super) wall: Duration,
    pub(super) paths: Paths,
}

impl Snapshot {
    /// Writes and syncs them; returns the file to append to.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn write(self) -> io::Result<File> {
        let mut file = BufWriter::new(self.paths.create()?);
        writeln!(file, "{VERSION}")?;
        let mut line = Vec::new();
        for record in &self.records {
            line.clear();
            write_line(record, &self.boot_id, self.now, self.wall, &mut line);
            file.write_all(&line)?;
        }
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(file)
    }
}

/// Fails if the file has been removed: the system would accept lines and lose them.
fn is_named(file: &File) -> io::Result<()> {
    match file.metadata()?.nlink() {
        0 => Err(io::Error::new(io::ErrorKind::NotFound, "somebody has removed it")),
        _ => Ok(()),
    }
}

/// Written lines that are to be synced on another thread.
#[derive(Debug)]
pub struct Unsynced {
    pub(super) file: Option<File>,
    pub(super) successor: Option<(File, Paths)>,
}

/// The result of a sync.
#[derive(Debug)]
pub struct Synced {
    had_successor: bool,
    /// The new file, where it has replaced the old one.
    pub(super) replaced: Option<File>,
    pub(super) failed: Option<io::Error>,
}

impl Synced {
    /// The result of a sync that failed before it began.
    #[cfg(test)]
    pub(super) const fn failed(error: io::Error) -> Self {
        Self { had_successor: false, replaced: None, failed: Some(error) }
    }
}

impl Unsynced {
    pub(super) const fn of(file: File) -> Self {
        Self { file: Some(file), successor: None }
    }

    /// Syncs. A new file that is synced whole replaces the old one; where that fails the old one
    /// still counts.
    pub fn sync(self) -> Synced {
        let had_successor = self.successor.is_some();
        let (mut replaced, mut failed) = (None, None);
        if let Some((file, paths)) = self.successor {
            match file.sync_data().and_then(|()| paths.rename()) {
                Ok(()) => {
                    failed = paths.sync_dir().err();
                    replaced = Some(file);
                }
                Err(error) if self.file.is_none() => failed = Some(error),
                Err(_) => {}
            }
        }
        if replaced.is_none()
            && let Some(file) = self.file
        {
            failed = file.sync_data().and_then(|()| is_named(&file)).err();
        }
        Synced { had_successor, replaced, failed }
    }
}
