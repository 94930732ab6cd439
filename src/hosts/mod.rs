//! What other programs of a host are handed: the resolver's data, the file of the local networks,
//! and the programs that rtsold(8) would run.

use std::collections::BTreeMap;

use crate::core::client::{Publication, PublicationReport, Script};

/// All that is published on this machine.
#[derive(Debug, Default)]
pub struct Hosts {}

impl Hosts {
    /// Brings files and resolvers to what is published of each interface; what was published of
    /// others is withdrawn.
    pub fn publish(&mut self, _publications: BTreeMap<String, Publication>) {}

    /// Runs a program of the operator.
    pub fn run(&mut self, _script: Script) {}

    /// What became of something. Never ends where there is nothing to tell.
    pub async fn report(&mut self) -> PublicationReport {
        std::future::pending().await
    }
}
