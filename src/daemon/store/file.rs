//! A file of lines that is appended to, and replaced as a whole. A temporary failure never costs
//! its contents: only a file that does not exist is empty (STO-09).

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::daemon::directory::remedy;
use crate::time::Instant;

/// The pause after a failure of the disk (STO-09): missing lines are written within a minute after
/// the disk works again.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(30);
/// The most copies that are kept aside under one name; the last of them is replaced.
const MAX_ASIDE: usize = 8;

/// The lines of a file.
#[derive(Debug)]
pub(super) struct LineFile {
    path: PathBuf,
    file: Option<File>,
    failed_at: Option<Instant>,
    /// Why it cannot be written.
    trouble: Option<String>,
    /// An existing file could be neither read nor moved away: it is not overwritten.
    blocked: bool,
}

impl LineFile {
    /// Opens the file in `dir`; returns it with its contents and a complaint. A file that cannot be
    /// read is kept aside.
    pub(super) fn open(dir: &Path, name: &str) -> (Self, Vec<u8>, Option<String>) {
        let path = dir.join(name);
        let mut file = Self { path, file: None, failed_at: None, trouble: None, blocked: false };
        match std::fs::read(&file.path) {
            Ok(octets) => (file, octets, None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (file, Vec::new(), None),
            Err(error) => {
                let kept = file.move_aside("unreadable");
                let remedy = remedy(&error);
                let complaint = format!(
                    "{} cannot be read ({error}), and the agent starts without what it remembers; \
                     {kept}{remedy}",
                    file.path.display()
                );
                (file, Vec::new(), Some(complaint))
            }
        }
    }

    /// Moves the existing file aside; returns a description of the result.
    pub(super) fn move_aside(&mut self, suffix: &str) -> String {
        let aside = self.aside(suffix);
        self.keep(&aside, std::fs::rename(&self.path, &aside))
    }

    /// Keeps a copy of the existing file, before the file is written anew; returns a description of
    /// the result.
    pub(super) fn copy_aside(&mut self, suffix: &str) -> String {
        let aside = self.aside(suffix);
        let _ = std::fs::remove_file(&aside);
        // Some file systems have no links.
        let copied = std::fs::hard_link(&self.path, &aside)
            .or_else(|_| std::fs::copy(&self.path, &aside).map(drop));
        self.keep(&aside, copied)
    }

    fn keep(&mut self, aside: &Path, result: io::Result<()>) -> String {
        match result {
            Ok(()) => format!(
                "the file as it was is kept as {}: to use it, stop the agent, mend it and rename \
                 it back",
                aside.display()
            ),
            Err(error) => {
                self.blocked = true;
                let text = format!(
                    "it cannot be kept aside either ({error}), so nothing is written: mend or move \
                     it, and start the agent anew"
                );
                let path = self.path.display();
                self.trouble = Some(format!("{path} is not what this agent has written; {text}"));
                text
            }
        }
    }

    fn aside(&self, suffix: &str) -> PathBuf {
        let name = |number: usize| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{suffix}"));
            if number > 0 {
                name.push(format!(".{number}"));
            }
            PathBuf::from(name)
        };
        let free = (0..MAX_ASIDE).map(name).find(|path| path.symlink_metadata().is_err());
        free.unwrap_or_else(|| name(MAX_ASIDE - 1))
    }

    /// The directory, and the name under which the next file is written.
    pub(super) fn paths(&self) -> Paths {
        let mut next = self.path.clone().into_os_string();
        next.push(".new");
        Paths { path: self.path.clone(), next: next.into() }
    }

    /// Whether the file must not be written at all.
    pub(super) const fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Why the file cannot be written, if it cannot.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Whether a write may be tried.
    pub(super) fn is_usable(&self, now: Instant) -> bool {
        !self.blocked && self.failed_at.is_none_or(|at| now.since(at) >= RETRY_AFTER)
    }

    /// Whether the last write failed, so that the file lacks lines.
    pub(super) const fn is_behind(&self) -> bool {
        self.failed_at.is_some()
    }

    /// When the file is to be written anew, as it lacks lines.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.failed_at.filter(|_| !self.blocked).map(|at| at + RETRY_AFTER)
    }

    /// Appends one line by one write, not yet synced.
    pub(super) fn append(&mut self, now: Instant, line: &[u8]) -> Option<String> {
        let result = self.file().and_then(|file| file.write_all(line));
        self.outcome(now, result)
    }

    /// Syncs what was appended.
    pub(super) fn sync(&mut self, now: Instant) -> Option<String> {
        let result = self.file().and_then(|file| file.sync_data());
        self.outcome(now, result)
    }

    /// Another handle of the file, for a sync on another thread.
    pub(super) fn handle(&self) -> Option<File> {
        self.file.as_ref()?.try_clone().ok()
    }

    /// Takes over the file that has replaced the old one.
    pub(super) fn replaced_by(&mut self, file: File) {
        self.file = Some(file);
        self.failed_at = None;
        self.trouble = None;
    }

    fn file(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            let mut options = OpenOptions::new();
            options.append(true).create(true);
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            self.file = Some(options.open(&self.path)?);
        }
        self.file.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// Returns one complaint for several failures in a row: the agent continues from its memory.
    pub(super) fn outcome(&mut self, now: Instant, result: io::Result<()>) -> Option<String> {
        match result {
            Ok(()) => None,
            Err(error) => {
                self.file = None;
                self.failed_at = Some(now);
                if self.trouble.is_some() {
                    return None;
                }
                let path = self.path.display();
                self.trouble = Some(format!(
                    "{path} cannot be written: the agent goes on from memory and tries again \
                     ({error}){}",
                    remedy(&error)
                ));
                self.trouble.clone()
            }
        }
    }
}

/// The path of a file, and the path of the next one before it replaces the file.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    path: PathBuf,
    next: PathBuf,
}

impl Paths {
    /// Creates the empty next file.
    pub(super) fn create(&self) -> io::Result<File> {
        // A killed agent may have left a next file.
        let _ = std::fs::remove_file(&self.next);
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&self.next)
    }

    /// Replaces the file by the next one: at any time there is either the old file or the new one.
    pub(super) fn rename(&self) -> io::Result<()> {
        std::fs::rename(&self.next, &self.path)
    }

    /// Syncs the directory, where the file system supports that.
    pub(super) fn sync_dir(&self) -> io::Result<()> {
        let dir = File::open(self.path.parent().unwrap_or_else(|| Path::new(".")))?;
        match dir.sync_all() {
            Err(error)
                if [libc::EINVAL, libc::ENOTSUP].map(Some).contains(&error.raw_os_error()) =>
            {
                Ok(())
            }
            result => result,
        }
    }

    /// Removes the next file.
    pub(super) fn discard(&self) {
        let _ = std::fs::remove_file(&self.next);
    }
}
