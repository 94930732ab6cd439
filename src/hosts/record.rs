//! The record of files and entries on disk: the next run withdraws those that are not published any
//! more.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tracing::debug;

use crate::programs::files;

/// The holder of an entry of an interface.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(super) enum Holder {
    /// systemd-resolved.
    Resolved,
    /// A program in the form of resolvconf(8).
    Program(PathBuf),
    /// The same, with an entry for one router.
    ProgramForRouter(PathBuf, Ipv6Addr),
}

/// The purpose of a file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(super) enum Purpose {
    Resolver,
    Networks,
}

/// A file that has been written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Written {
    pub(super) purpose: Purpose,
    /// The commands that are run after each change.
    pub(super) commands: BTreeSet<Vec<String>>,
    /// The last contents after which they have succeeded.
    pub(super) done: Option<String>,
}

/// All files and entries.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Handed {
    /// By interface.
    pub(super) entries: BTreeMap<String, BTreeSet<Holder>>,
    /// By path.
    pub(super) files: BTreeMap<PathBuf, Written>,
}

/// The record, which all tasks share.
#[derive(Clone, Debug)]
pub(super) struct Record {
    path: PathBuf,
    handed: Arc<Mutex<Handed>>,
}

impl Record {
    /// Reads the record that an earlier run has left in this directory; it is empty where it cannot
    /// be read.
    pub(super) fn open(directory: &Path) -> Self {
        let path = directory.join("published.json");
        let handed = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        Self { path, handed: Arc::new(Mutex::new(handed.unwrap_or_default())) }
    }

    /// All files and entries.
    pub(super) fn read(&self) -> Handed {
        self.handed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the record, and writes its file if it differs then.
    pub(super) fn change(&self, change: impl FnOnce(&mut Handed)) {
        let mut handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
        let before = handed.clone();
        change(&mut handed);
        if *handed == before {
            return;
        }
        let written = serde_json::to_vec(&*handed).map_err(std::io::Error::from);
        if let Err(error) = written.and_then(|text| files::replace(&self.path, &text, 0o644)) {
            debug!(%error, "it cannot be recorded what was handed to other programs");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_run_knows_what_was_handed_to_others() {
        let directory = tempfile::tempdir().unwrap();
        let record = Record::open(directory.path());
        assert_eq!(record.read(), Handed::default());
        record.change(|handed| {
            let holders = handed.entries.entry("eth0".to_owned()).or_default();
            holders.insert(Holder::Program("/sbin/resolvconf".into()));
            let (commands, done) = (BTreeSet::new(), Some("text".to_owned()));
            let written = Written { purpose: Purpose::Networks, commands, done };
            handed.files.insert("/opt/networks".into(), written);
        });
        assert_eq!(Record::open(directory.path()).read(), record.read());
        std::fs::write(directory.path().join("published.json"), "{").unwrap();
        assert_eq!(Record::open(directory.path()).read(), Handed::default());
    }
}
