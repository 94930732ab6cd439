//! What is known of a program, reported whenever it is something new.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use crate::core::engine::{Post, Report, State, Trouble};

/// What is known of one program.
pub(super) struct Reporter {
    report: Report,
    sent: Option<Report>,
    reports: mpsc::Sender<Report>,
}

impl Reporter {
    /// Nothing is known yet.
    pub(super) fn new(post: Post, reports: mpsc::Sender<Report>) -> Self {
        let (version, state, troubles) = (None, State::Starting, BTreeMap::new());
        Self { report: Report { post, order: 0, version, state, troubles }, sent: None, reports }
    }

    /// The number of the newest order, which all that is known is about from here on.
    pub(super) const fn order(&mut self, number: u64) {
        self.report.order = number;
    }

    /// What it is doing.
    pub(super) const fn state(&mut self, state: State) {
        self.report.state = state;
    }

    /// Its version.
    pub(super) fn version(&mut self, version: Option<String>) {
        self.report.version = version;
    }

    /// A trouble, or that it is over.
    pub(super) fn trouble(&mut self, trouble: Trouble, text: Option<String>) {
        match text {
            Some(text) => self.report.troubles.insert(trouble, text),
            None => self.report.troubles.remove(&trouble),
        };
    }

    /// Reports what is known, where it is something new.
    pub(super) async fn send(&mut self) {
        if self.sent.as_ref() == Some(&self.report) {
            return;
        }
        self.sent = Some(self.report.clone());
        // It is not read when everything ends.
        let _ = self.reports.send(self.report.clone()).await;
    }
}
