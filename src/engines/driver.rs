//! The interface to delegating programs, with one case for each of them.

use std::io;
use std::path::Path;

use super::Work;
use super::dhcp6s;
use super::kea;
use super::process::Setup;
use crate::config::Program;
use crate::core::delegate::Assigned;
use crate::core::engine::{Leased, Trouble};
use crate::wire::dhcpv6_option::Duid;

/// A fault and its remedy.
pub(super) type Wrong = (Trouble, String);

/// A program with its files and its control.
pub(super) enum Driver {
    Dhcp6s(Box<dhcp6s::life::Driver>),
    Kea(Box<kea::life::Driver>),
}

/// The leases of a program.
#[derive(Default)]
pub(super) struct Known {
    pub(super) leases: Vec<Leased>,
    /// One of them was granted or renewed just now.
    pub(super) is_fresh: bool,
}

impl Driver {
    /// The driver of the wanted program, if that is installed.
    pub(super) fn find(work: &Work, assigned: &Assigned) -> Result<Self, Wrong> {
        match work.engine.program {
            Program::Kea => Ok(Self::Kea(Box::new(kea::life::Driver::find(work, assigned)?))),
            // The configuration has no other program for this job.
            Program::Dhcp6s
            | Program::Dhcpcd
            | Program::Dhcp6c
            | Program::Networkd
            | Program::Command
            | Program::Radvd
            | Program::Rtadvd => Ok(Self::Dhcp6s(Box::new(dhcp6s::life::Driver::find(work)?))),
        }
    }

    /// Prepares the next start of the program; returns how it is started.
    pub(super) fn prepare(&mut self) -> Result<Setup, Wrong> {
        match self {
            Self::Dhcp6s(driver) => driver.prepare(),
            Self::Kea(driver) => driver.prepare(),
        }
    }

    /// The program's file.
    pub(super) fn program(&self) -> &Path {
        match self {
            Self::Dhcp6s(driver) => driver.program(),
            Self::Kea(driver) => driver.program(),
        }
    }

    /// Writes the file with which the program starts; returns the parts of the order that it cannot
    /// carry out.
    pub(super) fn write(&mut self, assigned: &Assigned) -> io::Result<Vec<String>> {
        match self {
            Self::Dhcp6s(driver) => driver.write(assigned),
            Self::Kea(driver) => driver.write(assigned),
        }
    }

    /// The program has been started with the file that was written last.
    pub(super) fn started(&mut self) {
        match self {
            Self::Dhcp6s(driver) => driver.started(),
            Self::Kea(_) => {}
        }
    }

    /// Asks whether the program answers; returns its version, if it prints one.
    pub(super) async fn probe(&self) -> Result<Option<String>, Wrong> {
        match self {
            Self::Dhcp6s(driver) => driver.probe().await.map(|()| None),
            Self::Kea(driver) => driver.probe().await.map(Some),
        }
    }

    /// Makes the running program follow the file that was written last; returns its leases then.
    pub(super) async fn apply(&mut self) -> Result<Vec<Leased>, Wrong> {
        match self {
            Self::Dhcp6s(driver) => driver.apply().await.map(|()| Vec::new()),
            Self::Kea(driver) => driver.apply().await,
        }
    }

    /// Whether it can list its leases.
    pub(super) const fn leases(&self) -> bool {
        matches!(self, Self::Kea(_))
    }

    /// The leases of one router, or of all. Leases that it is not to give any more are removed.
    pub(super) async fn look(&mut self, of: Option<&Duid>) -> Result<Known, Wrong> {
        match self {
            Self::Dhcp6s(_) => Ok(Known::default()),
            Self::Kea(driver) => driver.look(of).await,
        }
    }
}
