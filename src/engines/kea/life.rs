//! Kea on one downlink: its files, its start, and how it takes over a change.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::control::{self, Failure};
use super::{Configured, Files, find_lease_commands};
use crate::core::delegate::Assigned;
use crate::core::engine::Trouble;
use crate::engines::Work;
use crate::engines::command;
use crate::engines::delegator::Wrong;
use crate::engines::files;
use crate::engines::process::{Process, Setup};

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
    pub(in crate::engines) async fn apply(&mut self) -> Result<(), Wrong> {
        let socket = self.files.socket();
        control::configure(&socket, &self.configured).await.map_err(wrong)?;
        let leases = control::leases(&socket).await.map_err(wrong)?;
        for lease in leases.iter().filter(|lease| !self.configured.gives(&lease.prefix)) {
            control::remove(&socket, lease.prefix).await.map_err(wrong)?;
        }
        Ok(())
    }
}

fn wrong(failure: Failure) -> Wrong {
    let trouble = match failure {
        Failure::Silent(_) => Trouble::Silent,
        Failure::Refused { .. } => Trouble::Refused,
    };
    (trouble, failure.to_string())
}
