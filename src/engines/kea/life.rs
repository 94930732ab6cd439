//! Kea on one downlink: its files, its start, and how it takes over a change.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use ipnet::Ipv6Net;

use super::control::{self, Failure, Lease};
use super::{Configured, Files, Held, find_lease_commands};
use crate::config::Engine;
use crate::core::delegate::Assigned;
use crate::core::engine::{Leased, Trouble};
use crate::engines::Work;
use crate::engines::driver::{Known, Wrong};
use crate::engines::process::Setup;
use crate::programs::command::{self, seconds_since_1970};
use crate::programs::files;
use crate::time::Lifetime;
use crate::wire::dhcpv6_option::Duid;

/// A lease that was given or renewed so lately is the answer to a message of just now, in seconds.
const FRESH: u64 = 3;

/// Where else the program would have its files, by variable of its environment.
const DIRECTORIES: [&str; 5] = ["PIDFILE", "LOCKFILE", "CONTROL_SOCKET", "DHCP_DATA", "LOG_FILE"];

/// A program of one downlink.
pub(in crate::engines) struct Driver {
    program: PathBuf,
    env: PathBuf,
    name: String,
    runtime_dir: PathBuf,
    process_start: fn(u32) -> Option<u64>,
    files: Files,
    path: PathBuf,
    configured: Configured,
    /// When the program took that over, in seconds since 1970.
    configured_at: u64,
}

impl Driver {
    /// The program of a downlink, where it is installed with what it needs.
    pub(in crate::engines) fn find(work: &Work, assigned: &Assigned) -> Result<Self, Wrong> {
        let missing = |text: &str| (Trouble::Missing, text.to_owned());
        let program = command::find(work.engine.path.as_deref(), "kea-dhcp6").ok_or_else(|| {
            missing(
                "kea-dhcp6 is not there: install it (Debian: kea-dhcp6-server), or name its file: \
                 program = \"…\" in [engine.kea]",
            )
        })?;
        let lease_commands = find_lease_commands().ok_or_else(|| {
            missing("the hook lease_cmds is not there: install it (Debian: kea-common)")
        })?;
        let env = command::find(None, "env").ok_or_else(|| missing("env is not there"))?;
        let name = format!("kea-{}", work.post.interface);
        let directory = work.runtime_dir.join(&name);
        let path = directory.join("kea.json");
        let state = work.state_dir.join(&name);
        let Engine { lease_database: database, high_availability: pair, .. } = work.engine.clone();
        let password_file = database.as_ref().and_then(|database| database.password_file.as_ref());
        let password = password_file.map(|file| password(file)).transpose()?;
        let files = Files { directory, state, lease_commands, database, password, pair };
        let configured = Configured::render(assigned, &files);
        let (runtime_dir, process_start) = (work.runtime_dir.clone(), work.process_start);
        let configured_at = 0;
        Ok(Self {
            program,
            env,
            name,
            runtime_dir,
            process_start,
            files,
            path,
            configured,
            configured_at,
        })
    }

    /// The directories have to be there at each start.
    pub(in crate::engines) fn prepare(&self) -> Result<Setup, Wrong> {
        make(&self.files.directory)?;
        make(&self.files.state)?;
        let variables = DIRECTORIES.map(|of| {
            let mut variable = std::ffi::OsString::from(format!("KEA_{of}_DIR="));
            variable.push(&self.files.directory);
            variable
        });
        let mut arguments: Vec<_> = variables.into();
        let (program, file) = (self.program.clone().into(), self.path.clone().into_os_string());
        arguments.extend([program, "-c".into(), file]);
        Ok(Setup {
            name: self.name.clone(),
            program: self.env.clone(),
            arguments,
            left_behind: Some(self.files.directory.join("kea.kea-dhcp6.pid")),
            directory: self.runtime_dir.clone(),
            process_start: self.process_start,
        })
    }

    pub(in crate::engines) fn program(&self) -> &Path {
        &self.program
    }

    pub(in crate::engines) fn write(&mut self, assigned: &Assigned) -> io::Result<Vec<String>> {
        let configured = Configured::render(assigned, &self.files);
        files::replace(&self.path, configured.at_start().to_string().as_bytes(), 0o600)?;
        self.configured = configured;
        Ok(self.configured.left_out.clone())
    }

    pub(in crate::engines) async fn probe(&self) -> Result<String, Wrong> {
        control::version(&self.files.socket()).await.map_err(wrong)
    }

    /// Has it take over the newest configuration, and returns the leases that are left then.
    ///
    /// Leases that the program would not make by itself come first: a router that asks before it
    /// has them gets a part of its prefixes, and the others at its next Renew. That the program
    /// refuses one keeps no router from the others, and shows when they are looked at.
    pub(in crate::engines) async fn apply(&mut self) -> Result<Vec<Leased>, Wrong> {
        if !self.configured.held.is_empty() {
            let handed_over = match self.leases(None).await {
                Ok((given, _)) => self.hand_over(&given).await,
                Err(wrong) => Err(wrong),
            };
            handed_over
                .or_else(|wrong| if wrong.0 == Trouble::Refused { Ok(()) } else { Err(wrong) })?;
        }
        control::configure(&self.files.socket(), &self.configured).await.map_err(wrong)?;
        self.configured_at = seconds_since_1970();
        Ok(self.look(None).await?.leases)
    }

    /// The leases of one router, or of all: those that the configuration gives, and the others.
    async fn leases(&self, of: Option<&Duid>) -> Result<(Vec<Lease>, Vec<Lease>), Wrong> {
        let (socket, subnet) = (self.files.socket(), self.configured.subnet);
        let leases = match of {
            Some(duid) => control::leases_of(&socket, subnet, duid).await,
            None => control::leases(&socket, subnet).await,
        };
        let gives = |lease: &Lease| self.configured.gives(&lease.prefix, &lease.duid);
        Ok(leases.map_err(wrong)?.into_iter().partition(gives))
    }

    /// Hands it what it would not give by itself, where that is not leased; all that it takes, and
    /// then the first refusal.
    async fn hand_over(&self, given: &[Lease]) -> Result<(), Wrong> {
        let is_there = |held: &&Held| {
            let wanted = (held.prefix.prefix.trunc(), &held.duid, held.iaid);
            given.iter().any(|lease| (lease.prefix, &lease.duid, lease.iaid) == wanted)
        };
        let mut refused = None;
        for held in self.configured.held.iter().filter(|held| !is_there(held)) {
            match control::hold(&self.files.socket(), self.configured.subnet, held).await {
                Ok(()) => {}
                Err(failure @ Failure::Refused { .. }) => drop(refused.get_or_insert(failure)),
                Err(failure) => return Err(wrong(failure)),
            }
        }
        refused.map_or(Ok(()), |failure| Err(wrong(failure)))
    }

    /// What it has leased, to one router or to all. What it is not to give any more is removed,
    /// wherever that came from: a lease file of before, or another server.
    pub(in crate::engines) async fn look(&mut self, of: Option<&Duid>) -> Result<Known, Wrong> {
        let (given, others) = self.leases(of).await?;
        let now = seconds_since_1970();
        let is_stale = |lease: &Lease| {
            !self.files.has_others() || self.configured.is_stale(lease, self.configured_at, now)
        };
        let stale = others.into_iter().filter(is_stale);
        let stale: Vec<Ipv6Net> = stale.map(|lease| lease.prefix).collect();
        control::remove(&self.files.socket(), &stale).await.map_err(wrong)?;
        if of.is_none() {
            self.hand_over(&given).await?;
        }
        let is_fresh = given.iter().any(|lease| now.saturating_sub(lease.renewed_at) <= FRESH);
        Ok(Known { leases: given.into_iter().filter_map(|one| held(one, now)).collect(), is_fresh })
    }
}

/// Makes a directory that only its owner can read.
fn make(directory: &Path) -> Result<(), Wrong> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| (Trouble::Refused, format!("{}: {error}", directory.display())))
}

fn password(file: &str) -> Result<String, Wrong> {
    let read = fs::read_to_string(file);
    read.map(|text| text.trim_end_matches('\n').to_owned()).map_err(|error| {
        (Trouble::Refused, format!("its password cannot be read: {file}: {error}"))
    })
}

/// A lease with what is left of its lifetimes at `now`; none where it has run out.
fn held(lease: Lease, now: u64) -> Option<Leased> {
    let Lease { prefix, duid, iaid, renewed_at, preferred, valid } = lease;
    let age = u32::try_from(now.saturating_sub(renewed_at)).unwrap_or(u32::MAX);
    let left =
        |of: Lifetime| of.seconds().map_or(of, |of| Lifetime::Finite(of.saturating_sub(age)));
    let (preferred, valid) = (left(preferred), left(valid));
    (!valid.is_zero()).then_some(Leased { prefix, duid, iaid, preferred, valid })
}

/// What is wrong, and what comes of it.
fn wrong(failure: Failure) -> Wrong {
    match &failure {
        Failure::Silent(_) => (Trouble::Silent, format!("{failure}: it is restarted")),
        Failure::Refused { .. } => {
            let remedy = "it goes on with what it had, and is asked again; look whether its \
                          database is there, and into its output (--log debug)";
            (Trouble::Refused, format!("{failure}: {remedy}"))
        }
    }
}
