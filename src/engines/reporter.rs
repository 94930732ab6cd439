//! Reports about a program, sent whenever they have changed.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use crate::core::engine::{Post, Report, State, Trouble};

/// The state of one program.
pub(super) struct Reporter {
    report: Report,
    sent: Option<Report>,
    reports: mpsc::Sender<Report>,
}

impl Reporter {
    /// The state is unknown.
    pub(super) fn new(post: Post, reports: mpsc::Sender<Report>) -> Self {
        let (version, state, troubles) = (None, State::Starting, BTreeMap::new());
        Self { report: Report { post, order: 0, version, state, troubles }, sent: None, reports }
    }

    /// Sets the number of the newest order: reports are about that order from here on.
    pub(super) const fn order(&mut self, number: u64) {
        self.report.order = number;
    }

    /// Sets the state.
    pub(super) const fn state(&mut self, state: State) {
        self.report.state = state;
    }

    /// Sets the version.
    pub(super) fn version(&mut self, version: Option<String>) {
        self.report.version = version;
    }

    /// Sets a fault, or ends it.
    pub(super) fn trouble(&mut self, trouble: Trouble, text: Option<String>) {
        match text {
            Some(text) => self.report.troubles.insert(trouble, text),
            None => self.report.troubles.remove(&trouble),
        };
    }

    /// Sends the report if it has changed.
    pub(super) async fn send(&mut self) {
        if self.sent.as_ref() == Some(&self.report) {
            return;
        }
        self.sent = Some(self.report.clone());
        // The receiver is gone when the agent ends.
        let _ = self.reports.send(self.report.clone()).await;
    }
}
