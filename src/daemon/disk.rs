//! The files of the agent: records are written here, and another thread syncs them to disk.

use std::fs::File;
use std::io;
use std::time::Duration;

use tokio::sync::oneshot;

use super::clock;
use super::server::{Refused, Server};
use super::store::{Journal, Ownership, Synced};
use crate::core::memory::Record;
use crate::time::Instant;

/// The least time between two syncs that answers wait for: many answers share one.
const SYNC_GAP: Duration = Duration::from_millis(1);
/// The delay of a sync that no answer waits for: one sync serves many writes.
const SYNC_DELAY: Duration = Duration::from_millis(40);

/// The memory, and the record of what is ours in the kernel.
pub(super) struct Disk {
    journal: Journal,
    pub(super) ownership: Ownership,
    /// When to sync the records that were written.
    sync_at: Option<Instant>,
    /// The result of the sync under way, if one is.
    syncing: Option<oneshot::Receiver<(Synced, Refused)>>,
    synced_at: Option<Instant>,
    /// Answers that were to be sent after their sync and that the socket did not accept.
    refused: Refused,
    /// The result of the writing of a snapshot under way, if one is.
    writing: Option<oneshot::Receiver<io::Result<File>>>,
    /// Why the memory could not be written when that was last asked.
    trouble: Option<String>,
}

/// The result of another thread's work.
pub(super) enum Done {
    Synced(Result<(Synced, Refused), oneshot::error::RecvError>),
    Written(Result<io::Result<File>, oneshot::error::RecvError>),
}

impl Disk {
    pub(super) const fn new(journal: Journal, ownership: Ownership) -> Self {
        let (sync_at, syncing, synced_at, writing) = (None, None, None, None);
        let refused = Refused::new();
        Self { journal, ownership, sync_at, syncing, synced_at, refused, writing, trouble: None }
    }

    /// Why the memory cannot be written, or none where it can again, if that has changed since the
    /// last call.
    pub(super) fn take_trouble(&mut self) -> Option<Option<String>> {
        let trouble = self.journal.trouble();
        if trouble == self.trouble.as_deref() {
            return None;
        }
        self.trouble = trouble.map(str::to_owned);
        Some(self.trouble.clone())
    }

    /// Returns a complaint, unless it is the one that status and log have as a condition.
    fn unless_reported(&self, complaint: Option<String>) -> Option<String> {
        complaint.filter(|complaint| Some(complaint.as_str()) != self.journal.trouble())
    }

    /// Takes a record, which the next [`write`](Self::write) writes at the latest. Returns a
    /// complaint for the operator.
    pub(super) fn remember(&mut self, record: Record) -> Option<String> {
        let (now, wall) = (clock::now(), clock::wall());
        let complaint = match record {
            // Our identity has to be on disk before a neighbor hears it. Replay values are reserved
            // long before they are used.
            Record::Duid { .. } | Record::Secret { .. } | Record::Replay { .. } => {
                self.journal.append_synced(record, now, wall)
            }
            Record::Lease { .. }
            | Record::Advertised { .. }
            | Record::Binding { .. }
            | Record::Relayed { .. }
            | Record::Static { .. }
            | Record::Sysctl { .. } => self.journal.append(record, now, wall),
        };
        self.sync_later(now);
        self.unless_reported(complaint)
    }

    /// Writes all records that were taken, by one write. Returns a complaint for the operator.
    pub(super) fn write(&mut self) -> Option<String> {
        let now = clock::now();
        let complaint = self.journal.write(now);
        self.sync_later(now);
        self.unless_reported(complaint)
    }

    fn sync_later(&mut self, now: Instant) {
        if self.journal.is_unsynced() && self.sync_at.is_none() {
            self.sync_at = Some(now + SYNC_DELAY);
        }
    }

    /// Answers that the socket did not accept and that are still to be sent.
    pub(super) fn take_refused(&mut self) -> Refused {
        std::mem::take(&mut self.refused)
    }

    /// Waits until a sync or the writing of a snapshot has ended in the other thread.
    pub(super) async fn done(&mut self) -> Done {
        let Self { syncing, writing, .. } = self;
        tokio::select! {
            synced = outcome(syncing) => Done::Synced(synced),
            written = outcome(writing) => Done::Written(written),
        }
    }

    /// Handles the result of another thread. Returns a complaint for the operator.
    pub(super) fn take_in(&mut self, done: Done, server: &mut Server) -> Option<String> {
        let now = clock::now();
        match done {
            Done::Synced(synced) => {
                self.syncing = None;
                self.synced_at = Some(now);
                let complaint = synced.ok().and_then(|(synced, refused)| {
                    self.refused.extend(refused);
                    self.journal.end_sync(now, synced)
                });
                if server.is_holding() {
                    self.sync(server);
                }
                self.unless_reported(complaint)
            }
            Done::Written(written) => {
                self.writing = None;
                let written = written.unwrap_or_else(|error| Err(io::Error::other(error)));
                let complaint = self.journal.end_snapshot(now, written);
                if self.journal.is_unsynced() && self.sync_at.is_none() {
                    self.sync_at = Some(now);
                }
                self.unless_reported(complaint)
            }
        }
    }

    /// Handles the deadlines that have passed. Returns a complaint for the operator.
    pub(super) fn handle_timeout(&mut self, now: Instant, server: &mut Server) -> Option<String> {
        if self.sync_at.take_if(|at| *at <= now).is_some() {
            self.sync(server);
        }
        self.write_anew(now, true);
        self.ownership.retry(now)
    }

    /// Starts writing the file anew on another thread, if it is time for that; not while the core
    /// `is_busy`, as that thread takes processor time from it.
    pub(super) fn write_anew(&mut self, now: Instant, is_busy: bool) {
        // A sync that hangs could still let an earlier file take its place.
        if self.syncing.is_none()
            && let Some(snapshot) = self.journal.begin_snapshot(now, clock::wall(), is_busy)
        {
            let (done, written) = oneshot::channel();
            self.writing = Some(written);
            tokio::task::spawn_blocking(move || done.send(snapshot.write()));
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        // After the sync under way this is looked at anyway.
        let owed = self.journal.deadline().filter(|_| self.syncing.is_none());
        [self.sync_at, owed, self.ownership.deadline()].into_iter().flatten().min()
    }

    /// Whether no other thread works for it, nor will soon.
    pub(super) const fn is_idle(&self) -> bool {
        self.syncing.is_none() && self.writing.is_none() && self.sync_at.is_none()
    }

    /// Starts a sync, unless one is under way or has just ended: then records written since wait
    /// for the next one.
    pub(super) fn sync(&mut self, server: &mut Server) {
        let now = clock::now();
        if self.syncing.is_some() {
            self.sync_at = Some(now + SYNC_DELAY);
            return;
        }
        if let Some(next) = self.synced_at.map(|at| at + SYNC_GAP).filter(|next| *next > now) {
            self.sync_at = Some(next);
            return;
        }
        let Some(unsynced) = self.journal.take_unsynced() else {
            return self.refused.extend(server.release().send());
        };
        let released = server.release();
        let (done, synced) = oneshot::channel();
        self.syncing = Some(synced);
        tokio::task::spawn_blocking(move || {
            let synced = unsynced.sync();
            // A disk that fails ends no service: answers then depend on the memory of the process
            // alone, and the operator is informed (STO-09).
            let refused = released.send();
            let _ = done.send((synced, refused));
        });
    }

    /// Syncs all records, at the end of the process.
    pub(super) fn close(&mut self) {
        if let Some(unsynced) = self.journal.take_unsynced() {
            let _ = unsynced.sync();
        }
    }
}

/// The result of a job of another thread; pending for ever where there is no job. A job that ended
/// without a result is an error.
async fn outcome<T>(
    job: &mut Option<oneshot::Receiver<T>>,
) -> Result<T, oneshot::error::RecvError> {
    match job {
        Some(job) => job.await,
        None => std::future::pending().await,
    }
}
