//! Publications for other programs of a host: the resolver's data, the file of the local networks,
//! and the programs that rtsold(8) would run.
//!
//! Each of them is kept up to date by a task of its own that the agent does not wait for. Files and
//! entries outlive the agent, as the addresses do; a record of them lets the next run withdraw
//! those that are not published any more.

mod entry;
mod file;
mod keeper;
mod record;
mod resolved;
mod script;
mod targets;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use self::entry::Entry;
use self::file::File;
use self::keeper::keep;
use self::record::{Purpose, Record};
use self::targets::Targets;
use crate::config::Config;
use crate::core::client::{Occasion, Publication, PublicationReport, Script};

/// The most reports that wait for the core.
const REPORTS: usize = 64;
/// How long work under way may take at the end, unless another program waits for it.
const LAST_ACTS: Duration = Duration::from_secs(3);

/// All publications of this machine.
pub struct Hosts {
    record: Record,
    entries: BTreeMap<String, Task<Option<entry::Wanted>>>,
    files: BTreeMap<PathBuf, Task<Option<file::Wanted>>>,
    scripts: BTreeMap<(String, Occasion), Task<Script>>,
    sender: mpsc::Sender<PublicationReport>,
    reports: mpsc::Receiver<PublicationReport>,
}

struct Task<W> {
    wanted: watch::Sender<W>,
    task: JoinHandle<()>,
}

impl<W: PartialEq> Task<W> {
    fn set(&self, wanted: W) {
        self.wanted.send_if_modified(|before| {
            let is_new = *before != wanted;
            *before = wanted;
            is_new
        });
    }
}

impl Hosts {
    /// There is none yet; the record of files and entries is kept below `runtime_dir`.
    pub fn new(runtime_dir: &Path) -> Self {
        let (sender, reports) = mpsc::channel(REPORTS);
        Self {
            record: Record::open(runtime_dir),
            entries: BTreeMap::new(),
            files: BTreeMap::new(),
            scripts: BTreeMap::new(),
            sender,
            reports,
        }
    }

    /// Withdraws the publications that an earlier run has left and `config` does not have any more.
    /// Those that it may replace stay until routers have had the time to be heard.
    pub fn withdraw_strays(&mut self, config: &Config) {
        let clients = config.uplinks.iter().filter_map(|(name, uplink)| {
            let client = uplink.client.clone()?;
            let (servers, search, of_routers, networks) = Default::default();
            let nothing = Publication { client, servers, search, of_routers, networks };
            Some((name.clone(), nothing))
        });
        let targets = Targets::of(clients.collect());
        let handed = self.record.read();
        for interface in handed.entries.into_keys() {
            self.entry(&interface, targets.entries.contains_key(&interface));
        }
        for (path, written) in handed.files {
            self.file(&path, written.purpose, targets.files.contains_key(&path));
        }
    }

    /// Brings files and resolvers up to date with the publications of these interfaces, and
    /// withdraws those of others.
    pub fn publish(&mut self, publications: BTreeMap<String, Publication>) {
        let Targets { mut entries, mut files } = Targets::of(publications);
        for (interface, task) in &self.entries {
            task.set(entries.remove(interface));
        }
        for (interface, wanted) in entries {
            self.entry(&interface, true).set(Some(wanted));
        }
        for (path, task) in &self.files {
            task.set(files.remove(path).map(|(_, wanted)| wanted));
        }
        for (path, (purpose, wanted)) in files {
            self.file(&path, purpose, true).set(Some(wanted));
        }
    }

    /// Runs a program of the operator.
    pub fn run(&mut self, script: Script) {
        let key = (script.interface.clone(), script.occasion);
        if let Some(task) = self.scripts.get(&key) {
            task.wanted.send_replace(script);
            return;
        }
        let (wanted, receiver) = watch::channel(script);
        let task = tokio::spawn(script::run_all(receiver, self.sender.clone()));
        self.scripts.insert(key, Task { wanted, task });
    }

    /// The outcome of a publication. Never ends where there is none.
    pub async fn report(&mut self) -> PublicationReport {
        match self.reports.recv().await {
            Some(report) => report,
            // The channel cannot be closed: a sender is kept here.
            None => std::future::pending().await,
        }
    }

    /// Ends all tasks after the work under way: the last publication has been handed over and the
    /// last scripts have been run, if that is done in time. rtsol waits for it to the end.
    pub async fn end(&mut self, is_waited_for: bool) {
        self.reports.close();
        let limit = if is_waited_for { script::LIMIT } else { LAST_ACTS };
        let entries = std::mem::take(&mut self.entries).into_values().map(|task| task.task);
        let files = std::mem::take(&mut self.files).into_values().map(|task| task.task);
        let scripts = std::mem::take(&mut self.scripts).into_values().map(|task| task.task);
        let tasks: Vec<_> = entries.chain(files).chain(scripts).collect();
        let all = async {
            for task in tasks {
                let _ = task.await;
            }
        };
        let _ = tokio::time::timeout(limit, all).await;
    }

    /// The task of an interface's entry, which is started where there is none. With `holds` an
    /// entry of an earlier run stays for a while, as a publication may replace it.
    fn entry(&mut self, interface: &str, holds: bool) -> &Task<Option<entry::Wanted>> {
        let Self { record, sender, .. } = self;
        self.entries.entry(interface.to_owned()).or_insert_with(|| {
            let hold = entry::hold(record, interface).filter(|_| holds);
            let (wanted, receiver) = watch::channel(None);
            let keeper = Entry::new(interface.to_owned(), record.clone());
            let task = tokio::spawn(keep(keeper, receiver, sender.clone(), hold));
            Task { wanted, task }
        })
    }

    /// The task of a file, as [`entry`](Self::entry) has it.
    fn file(&mut self, path: &Path, purpose: Purpose, holds: bool) -> &Task<Option<file::Wanted>> {
        let Self { record, sender, .. } = self;
        self.files.entry(path.to_owned()).or_insert_with(|| {
            let hold = file::hold(record, path).filter(|_| holds);
            let (wanted, receiver) = watch::channel(None);
            let keeper = File::new(path.to_owned(), purpose, record.clone());
            let task = tokio::spawn(keep(keeper, receiver, sender.clone(), hold));
            Task { wanted, task }
        })
    }
}
