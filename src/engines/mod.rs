//! Programs in a built-in's place: their orders, their reports and their processes.
//!
//! Each post is a task of its own. It gets orders, of which the newest alone counts, and reports
//! the results; the agent does not wait for it.

mod advertiser;
mod delegator;
pub mod dhcp6s;
mod driver;
pub mod feed;
pub mod kea;
mod lookups;
mod omitted;
mod output;
mod process;
pub mod radvd;
mod reporter;
mod requester;
pub mod rtadvd;
#[cfg(test)]
mod testing;
pub mod version;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub use omitted::{Omitted, Rendered};

use crate::config::{Config, Engine, Job, Program};
use crate::core::engine::{Leases, Order, Post, Report};
use crate::core::input::Input;
use crate::wire::dhcpv6_option::Duid;

/// The most reports that wait for the core.
const REPORTS: usize = 64;
/// The most routers that wait for a lookup of their leases.
const LOOKUPS: usize = 64;

/// How long all programs together may take to carry out their last orders.
const LAST_ORDERS: Duration = Duration::from_secs(3);

/// The parameters and channels of one engine's task.
pub(crate) struct Work {
    /// Its post.
    pub(crate) post: Post,
    /// The program.
    pub(crate) engine: Engine,
    /// Where files for the program are written.
    pub(crate) runtime_dir: PathBuf,
    /// The directory for data that outlive a restart of the machine.
    pub(crate) state_dir: PathBuf,
    /// The newest order; none before the first. Closed when the program is not wanted any more.
    pub(crate) orders: watch::Receiver<Option<Order>>,
    /// Changes whenever the program has reported its lease.
    pub(crate) answers: watch::Receiver<()>,
    /// Routers whose leases are to be looked up.
    pub(crate) lookups: mpsc::Receiver<Duid>,
    /// Reports about the program.
    pub(crate) reports: mpsc::Sender<Report>,
    /// The leases of the program.
    pub(crate) leases: mpsc::Sender<Leases>,
    /// The start time of a process, by its id: together with the id it identifies the process.
    pub(crate) process_start: fn(u32) -> Option<u64>,
}

/// All engines of this machine.
pub(crate) struct Engines {
    runtime_dir: PathBuf,
    state_dir: PathBuf,
    tasks: BTreeMap<Post, Task>,
    sender: mpsc::Sender<Report>,
    reports: mpsc::Receiver<Report>,
    leases_sender: mpsc::Sender<Leases>,
    leases: mpsc::Receiver<Leases>,
    process_start: fn(u32) -> Option<u64>,
}

struct Task {
    engine: Engine,
    orders: watch::Sender<Option<Order>>,
    answers: watch::Sender<()>,
    lookups: mpsc::Sender<Duid>,
    task: JoinHandle<()>,
}

impl Engines {
    /// No engine runs yet; files for them are written below `runtime_dir`, and data that outlive a
    /// restart of the machine below `state_dir`. `process_start` returns the start time of a
    /// process, by its id.
    pub(crate) fn new(
        (runtime_dir, state_dir): (&Path, &Path),
        process_start: fn(u32) -> Option<u64>,
    ) -> Self {
        let (sender, reports) = mpsc::channel(REPORTS);
        let (leases_sender, leases) = mpsc::channel(REPORTS);
        let (runtime_dir, state_dir) = (runtime_dir.to_owned(), state_dir.to_owned());
        let tasks = BTreeMap::new();
        Self {
            runtime_dir,
            state_dir,
            tasks,
            sender,
            reports,
            leases_sender,
            leases,
            process_start,
        }
    }

    /// Ends the programs that an earlier run has left running and `config` does not want any more.
    /// Wanted ones continue until they are given an order.
    pub(crate) fn end_strays(&self, config: &Config) {
        let wanted = config.engines_in_use().filter_map(|(job, interface, engine)| {
            let post = Post { job, interface: interface.to_owned() };
            Some(name(&post, config.engine(engine)?.program))
        });
        let (directory, process_start) = (self.runtime_dir.clone(), self.process_start);
        tokio::spawn(process::end_strays(directory, wanted.collect(), process_start));
    }

    /// Ends all of them, after each has carried out its last order.
    pub(crate) async fn end(&mut self) {
        let tasks: Vec<_> = std::mem::take(&mut self.tasks).into_values().map(Task::end).collect();
        let all = async {
            for task in tasks {
                let _ = task.await;
            }
        };
        let _ = tokio::time::timeout(LAST_ORDERS, all).await;
    }

    /// Runs these programs in these posts, and no others. One that stays is left alone.
    pub(crate) fn run(&mut self, wanted: BTreeMap<Post, Engine>) {
        let before = std::mem::take(&mut self.tasks);
        let (kept, ended): (BTreeMap<_, _>, BTreeMap<_, _>) =
            before.into_iter().partition(|(post, task)| wanted.get(post) == Some(&task.engine));
        self.tasks = kept;
        let mut ended: BTreeMap<Post, JoinHandle<()>> =
            ended.into_iter().map(|(post, task)| (post, task.end())).collect();
        for (post, engine) in wanted {
            if !self.tasks.contains_key(&post) {
                let task = self.start(post.clone(), engine, ended.remove(&post));
                self.tasks.insert(post, task);
            }
        }
    }

    /// Starts a program, when the one that had its post before has ended.
    fn start(&self, post: Post, engine: Engine, before: Option<JoinHandle<()>>) -> Task {
        let (orders, receiver) = watch::channel(None);
        let (answers, answered) = watch::channel(());
        let (lookups, looked_up) = mpsc::channel(LOOKUPS);
        let work = Work {
            post,
            engine: engine.clone(),
            runtime_dir: self.runtime_dir.clone(),
            state_dir: self.state_dir.clone(),
            orders: receiver,
            answers: answered,
            lookups: looked_up,
            reports: self.sender.clone(),
            leases: self.leases_sender.clone(),
            process_start: self.process_start,
        };
        let task = tokio::spawn(async move {
            if let Some(before) = before {
                let _ = before.await;
            }
            match work.post.job {
                Job::Requester => requester::run(work).await,
                Job::Advertiser => advertiser::run(work).await,
                Job::Delegator => delegator::run(work).await,
            }
        });
        Task { engine, orders, answers, lookups, task }
    }

    /// Hands an order to the program that it is for.
    pub(crate) fn order(&self, order: Order) {
        let Some(task) = self.tasks.get(&order.post()) else { return };
        if let Order::LookUp { duid, .. } = order {
            // Where too many wait, the next listing of all leases suffices.
            let _ = task.lookups.try_send(duid);
        } else {
            task.orders.send_replace(Some(order));
        }
    }

    /// The requester of this uplink has reported its lease.
    pub(crate) fn answered(&self, uplink: &str) {
        let post = Post { job: Job::Requester, interface: uplink.to_owned() };
        if let Some(task) = self.tasks.get(&post) {
            task.answers.send_replace(());
        }
    }

    /// The next report about a program.
    pub(crate) async fn report(&mut self) -> Input {
        tokio::select! {
            Some(report) = self.reports.recv() => Input::Engine(report),
            Some(leases) = self.leases.recv() => Input::Leases(leases),
            // The channels cannot be closed: a sender of each is kept here.
            else => std::future::pending().await,
        }
    }
}

/// The name of a program on its interface, in the names of files and in the log.
fn name(post: &Post, program: Program) -> String {
    let interface = post.interface.replace(['/', '\0'], "_");
    format!("{program}-{interface}")
}

impl Task {
    /// Asks the task to end.
    fn end(self) -> JoinHandle<()> {
        self.task
    }
}
