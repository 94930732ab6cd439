//! dhcp6s on one downlink: its files, its start, and how it takes over a change.

use std::fs;
use std::io;
use std::net::{Ipv6Addr, TcpListener};
use std::path::PathBuf;

use super::File;
use super::control::{self, Command, Key};
use crate::core::delegate::Assigned;
use crate::core::engine::Trouble;
use crate::engines::Work;
use crate::engines::delegator::Wrong;
use crate::engines::process::{Process, Setup};
use crate::programs::command::{self, seconds_since_1970};
use crate::programs::files;

/// A program of one downlink.
pub(in crate::engines) struct Driver {
    path: PathBuf,
    port: u16,
    key: Key,
    /// What is in its file.
    written: File,
    /// What the running program may have bindings of.
    loaded: File,
}

impl Driver {
    /// The program of a downlink, where it is installed.
    pub(in crate::engines) fn find(
        work: &Work,
        _assigned: &Assigned,
    ) -> Result<(Self, Process), Wrong> {
        let program = command::find(work.engine.path.as_deref(), "dhcp6s").ok_or_else(|| {
            let text = "dhcp6s is not there: install it (Debian: wide-dhcpv6-server; FreeBSD: \
                        dhcp6), or name its file: program = \"…\" in [engine.dhcp6s]";
            (Trouble::Missing, text.to_owned())
        })?;
        let refused = |what: &str, error: io::Error| (Trouble::Refused, format!("{what}: {error}"));
        let name = format!("dhcp6s-{}", work.post.interface);
        let directory = work.runtime_dir.clone();
        let below = |ending: &str| directory.join(format!("{name}.{ending}"));
        let port = free_port().map_err(|error| refused("there is no port on ::1", error))?;
        let mut octets = [0; 16];
        getrandom::fill(&mut octets)
            .map_err(|error| (Trouble::Refused, format!("no randomness: {error}")))?;
        let key = Key::new(octets);
        files::replace(&below("key"), key.file().as_bytes(), 0o600)
            .map_err(|error| refused("its key cannot be written", error))?;
        let (config, pid) = (below("conf"), below("pid"));
        let mut arguments = vec!["-f".into(), "-p".into(), port.to_string().into()];
        arguments.extend(["-k".into(), below("key").into_os_string()]);
        arguments.extend(["-P".into(), pid.into_os_string()]);
        arguments.extend(["-c".into(), config.clone().into_os_string()]);
        arguments.push(work.post.interface.clone().into());
        let process_start = work.process_start;
        let left_behind = None;
        let process =
            Process::new(Setup { name, program, arguments, left_behind, directory, process_start });
        let (written, loaded) = (File::default(), File::default());
        Ok((Self { path: config, port, key, written, loaded }, process))
    }

    pub(in crate::engines) fn write(&mut self, assigned: &Assigned) -> io::Result<Vec<String>> {
        self.written = File::render(assigned);
        files::replace(&self.path, self.written.text.as_bytes(), 0o644)?;
        Ok(self.written.left_out.clone())
    }

    /// It has no bindings yet, and gives what its file says.
    pub(in crate::engines) fn started(&mut self) {
        self.loaded = self.written.clone();
    }

    pub(in crate::engines) async fn probe(&self) -> Result<(), Wrong> {
        control::probe(self.port).await.map_err(|error| self.silent(&error))
    }

    /// The file first: who asks anew behind the removal of a binding gets what it says.
    pub(in crate::engines) async fn apply(&mut self) -> Result<(), Wrong> {
        if self.written == self.loaded {
            return Ok(());
        }
        self.send(&Command::Reload).await?;
        for (duid, iaid) in self.written.outdated(&self.loaded) {
            self.send(&Command::Remove(duid, iaid)).await?;
        }
        self.loaded = self.written.clone();
        Ok(())
    }

    async fn send(&self, command: &Command) -> Result<(), Wrong> {
        // The program has these 32 bits as well.
        let seconds = u32::try_from(seconds_since_1970() & 0xffff_ffff).unwrap_or_default();
        let sent = command.send(self.port, &self.key, seconds).await;
        sent.map_err(|error| self.silent(&error))
    }

    fn silent(&self, error: &io::Error) -> Wrong {
        let port = self.port;
        let text = format!("its control port {port} of ::1 does not answer ({error}): restarted");
        (Trouble::Silent, text)
    }
}

/// A port of the loopback that nobody listens at.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv6Addr::LOCALHOST, 0))?.local_addr()?.port())
}

impl Drop for Driver {
    /// Nobody needs its key any more.
    fn drop(&mut self) {
        for ending in ["key", "conf"] {
            let _ = fs::remove_file(self.path.with_extension(ending));
        }
    }
}
