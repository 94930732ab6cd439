//! A file of lines that is appended to, and replaced as a whole.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::time::Instant;

/// After a failure the disk is left alone for so long (STO-09).
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// The lines of a file.
#[derive(Debug)]
pub(super) struct LineFile {
    path: PathBuf,
    file: Option<File>,
    failed_at: Option<Instant>,
    complained: bool,
}

impl LineFile {
    /// The file in `dir`, with the lines that it has; none where there is no such file.
    pub(super) fn open(dir: &Path, name: &str) -> (Self, String) {
        let path = dir.join(name);
        let octets = std::fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&octets).into_owned();
        (Self { path, file: None, failed_at: None, complained: false }, text)
    }

    /// Whether a write may be tried.
    pub(super) fn is_usable(&self, now: Instant) -> bool {
        self.failed_at.is_none_or(|at| now.since(at) >= RETRY_AFTER)
    }

    /// Whether the last write failed, so that the file lacks lines.
    pub(super) const fn is_behind(&self) -> bool {
        self.failed_at.is_some()
    }

    /// Appends one line by one write, not yet synced.
    pub(super) fn append(&mut self, now: Instant, line: &[u8]) -> Option<String> {
        let result = self.file().and_then(|file| file.write_all(line));
        self.outcome(now, result)
    }

    /// Writes the whole content anew: either the old file is there or the new one, synced.
    pub(super) fn replace(&mut self, now: Instant, text: &[u8], sync: bool) -> Option<String> {
        let result = self.write_anew(text, sync);
        self.outcome(now, result)
    }

    /// Syncs what was appended.
    pub(super) fn sync(&mut self, now: Instant) -> Option<String> {
        let result = self.file().and_then(|file| file.sync_data());
        self.outcome(now, result)
    }

    /// Another handle of the file, to sync it elsewhere.
    pub(super) fn handle(&self) -> Option<File> {
        self.file.as_ref()?.try_clone().ok()
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

    fn write_anew(&mut self, text: &[u8], sync: bool) -> io::Result<()> {
        self.file = None;
        let dir = self.path.parent().unwrap_or_else(|| Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(text)?;
        if sync {
            file.as_file().sync_all()?;
        }
        file.persist(&self.path).map_err(|error| error.error)?;
        if sync {
            File::open(dir)?.sync_all()?;
        }
        Ok(())
    }

    /// One complaint for a row of failures: the agent goes on from what it holds.
    fn outcome(&mut self, now: Instant, result: io::Result<()>) -> Option<String> {
        match result {
            Ok(()) => {
                self.failed_at = None;
                self.complained = false;
                None
            }
            Err(error) => {
                self.file = None;
                self.failed_at = Some(now);
                let first = !std::mem::replace(&mut self.complained, true);
                let path = self.path.display();
                first.then(|| format!("{path} cannot be written, going on without: {error}"))
            }
        }
    }
}
