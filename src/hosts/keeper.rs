//! A task that keeps one file or entry up to date: the newest publication counts, failures are
//! retried.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use crate::core::client::{PublicationReport, Published};

/// How long the publications of an earlier run stay while none replaces them: routers have to be
/// heard first.
pub(super) const HOLD: Duration = Duration::from_secs(10);
/// The pause between a failure and the next try: the first, and the longest.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const MAX_DELAY: Duration = Duration::from_secs(300);

/// A file or entry that can be brought up to date.
pub(super) trait Keep: Send + 'static {
    /// The publication.
    type Wanted: Clone + Send + Sync + 'static;

    /// Whether a publication is empty.
    fn is_empty(wanted: &Self::Wanted) -> bool;

    /// The interfaces that the report names.
    fn interfaces(wanted: &Self::Wanted) -> Vec<String>;

    /// The kind of publication in the report.
    fn published(&self) -> Published;

    /// Brings it up to date by differences.
    ///
    /// # Errors
    ///
    /// The fault and its remedy, in a sentence.
    fn bring(&mut self, wanted: &Self::Wanted) -> impl Future<Output = Result<(), String>> + Send;
}

/// Keeps it up to date until there is no publication any more; the last publication is still tried.
pub(super) async fn keep<K: Keep>(
    mut keeper: K,
    mut wanted: watch::Receiver<K::Wanted>,
    reports: mpsc::Sender<PublicationReport>,
    mut hold_until: Option<Instant>,
) {
    let mut reporter = Reporter { reports, sent: BTreeMap::new() };
    let mut delay = FIRST_DELAY;
    loop {
        let newest = wanted.borrow_and_update().clone();
        let held = hold_until.filter(|until| K::is_empty(&newest) && *until > Instant::now());
        let wake_at = if held.is_some() {
            held
        } else {
            hold_until = None;
            let outcome = keeper.bring(&newest).await.err();
            let wake_at = outcome.is_some().then(|| Instant::now() + delay);
            delay = if outcome.is_some() { (delay * 2).min(MAX_DELAY) } else { FIRST_DELAY };
            reporter.send(K::interfaces(&newest), keeper.published(), outcome).await;
            wake_at
        };
        let wakes = async {
            match wake_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = wanted.changed() => match changed {
                // A new publication may have been the fault.
                Ok(()) => delay = FIRST_DELAY,
                Err(_) => return,
            },
            () = wakes => {}
        }
    }
}

/// Sends reports that have changed.
struct Reporter {
    reports: mpsc::Sender<PublicationReport>,
    /// The last reports, by interface.
    sent: BTreeMap<String, Option<String>>,
}

impl Reporter {
    async fn send(
        &mut self,
        interfaces: Vec<String>,
        published: Published,
        trouble: Option<String>,
    ) {
        if interfaces.is_empty()
            && let Some(trouble) = &trouble
        {
            warn!("{published}: what an earlier run has left cannot be withdrawn: {trouble}");
        }
        self.sent.retain(|interface, _| interfaces.contains(interface));
        for interface in interfaces {
            if self.sent.get(&interface) == Some(&trouble) {
                continue;
            }
            self.sent.insert(interface.clone(), trouble.clone());
            let report = PublicationReport { interface, published, trouble: trouble.clone() };
            // The receiver is gone when the agent ends.
            let _ = self.reports.send(report).await;
        }
    }
}
