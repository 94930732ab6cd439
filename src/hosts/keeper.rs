//! A task that keeps one thing at what is published: the newest counts, failures are repeated.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use crate::core::client::{PublicationReport, Published};

/// How long what an earlier run has published stays while nothing takes its place: routers have to
/// be heard first.
pub(super) const HOLD: Duration = Duration::from_secs(10);
/// Between a failure and the next try: at first, and at most.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const MAX_DELAY: Duration = Duration::from_secs(300);

/// How something is brought to what is published.
pub(super) trait Keep: Send + 'static {
    /// What is published.
    type Wanted: Clone + Send + Sync + 'static;

    /// Whether that is nothing.
    fn is_empty(wanted: &Self::Wanted) -> bool;

    /// The interfaces that the outcome is reported to.
    fn interfaces(wanted: &Self::Wanted) -> Vec<String>;

    /// What is reported on.
    fn published(&self) -> Published;

    /// Brings it there by differences.
    ///
    /// # Errors
    ///
    /// What is wrong and how it is mended, in a sentence.
    fn bring(&mut self, wanted: &Self::Wanted) -> impl Future<Output = Result<(), String>> + Send;
}

/// Keeps something until nothing is published any more; what was published last is still tried.
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
                // What is new may be what was wrong.
                Ok(()) => delay = FIRST_DELAY,
                Err(_) => return,
            },
            () = wakes => {}
        }
    }
}

/// Reports what is new.
struct Reporter {
    reports: mpsc::Sender<PublicationReport>,
    /// What was reported last, by interface.
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
            // At the end of the agent it is not taken in any more.
            let _ = self.reports.send(report).await;
        }
    }
}
