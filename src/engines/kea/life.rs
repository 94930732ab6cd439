//! Kea on one downlink: its files, its start, and how it takes over a change.

use std::fs;
use std::io;
use std::path::PathBuf;

use ipnet::Ipv6Net;

use super::control::{self, Failure, Lease};
use super::{Configured, Files, find_lease_commands};
use crate::core::delegate::Assigned;
use crate::core::engine::{Leased, Trouble};
use crate::engines::Work;
use crate::engines::delegator::{Known, Wrong};
use crate::engines::process::{Process, Setup};
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
    files: Files,
    path: PathBuf,
    configured: Configured,
}

impl Driver {
    /// The program of a downlink, where it is installed with what it needs.
    pub(in crate::engines) fn find(
        work: &Work,
        assigned: &Assigned,
    ) -> Result<(Self, Process), Wrong> {
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
        fs::create_dir_all(&directory)
            .map_err(|error| (Trouble::Refused, format!("{}: {error}", directory.display())))?;
        let variables = DIRECTORIES.map(|of| {
            let mut variable = std::ffi::OsString::from(format!("KEA_{of}_DIR="));
            variable.push(&directory);
            variable
        });
        let path = directory.join("kea.json");
        let mut arguments: Vec<_> = variables.into();
        arguments.extend([program.into(), "-c".into(), path.clone().into_os_string()]);
        let files = Files { directory, lease_commands };
        let configured = Configured::render(assigned, &files);
        let directory = work.runtime_dir.clone();
        let process_start = work.process_start;
        let process =
            Process::new(Setup { name, program: env, arguments, directory, process_start });
        Ok((Self { files, path, configured }, process))
    }

    pub(in crate::engines) fn write(&mut self, assigned: &Assigned) -> io::Result<Vec<String>> {
        self.configured = Configured::render(assigned, &self.files);
        files::replace(&self.path, self.configured.json.to_string().as_bytes(), 0o600)?;
        Ok(self.configured.left_out.clone())
    }

    pub(in crate::engines) async fn probe(&self) -> Result<String, Wrong> {
        control::version(&self.files.socket()).await.map_err(wrong)
    }

    /// The configuration first: who asks anew gets what it says.
    pub(in crate::engines) async fn apply(&mut self) -> Result<Vec<Leased>, Wrong> {
        control::configure(&self.files.socket(), &self.configured).await.map_err(wrong)?;
        Ok(self.look(None).await?.leases)
    }

    /// What it has leased, to one router or to all. What it is not to give any more is removed,
    /// wherever that came from: a lease file of before, or another server.
    pub(in crate::engines) async fn look(&mut self, of: Option<&Duid>) -> Result<Known, Wrong> {
        let socket = self.files.socket();
        let leases = match of {
            Some(duid) => control::leases_of(&socket, duid).await,
            None => control::leases(&socket).await,
        };
        let (given, stale): (Vec<Lease>, Vec<Lease>) =
            leases.map_err(wrong)?.into_iter().partition(|one| self.configured.gives(&one.prefix));
        let stale: Vec<Ipv6Net> = stale.into_iter().map(|lease| lease.prefix).collect();
        control::remove(&socket, &stale).await.map_err(wrong)?;
        let now = seconds_since_1970();
        let is_fresh = given.iter().any(|lease| now.saturating_sub(lease.renewed_at) <= FRESH);
        Ok(Known { leases: given.into_iter().filter_map(|one| held(one, now)).collect(), is_fresh })
    }
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

fn wrong(failure: Failure) -> Wrong {
    let trouble = match failure {
        Failure::Silent(_) => Trouble::Silent,
        Failure::Refused { .. } => Trouble::Refused,
    };
    (trouble, failure.to_string())
}
