//! dhcp6s on one downlink: its files, its start, and how it takes over a change.

use std::fs;
use std::io;
use std::net::{Ipv6Addr, TcpListener};
use std::path::{Path, PathBuf};

use super::File;
use super::control::{self, Command, Key};
use crate::core::delegate::Assigned;
use crate::core::engine::Trouble;
use crate::engines::Work;
use crate::engines::driver::Wrong;
use crate::engines::process::Setup;
use crate::programs::command::{self, seconds_since_1970};
use crate::programs::files;

/// A program of one downlink.
pub(in crate::engines) struct Driver {
    program: PathBuf,
    interface: String,
    directory: PathBuf,
    process_start: fn(u32) -> Option<u64>,
    port: u16,
    key: Key,
    /// The contents of its file.
    written: File,
    /// The contents of which the running program may have bindings.
    loaded: File,
}

impl Driver {
    /// The program of a downlink, where it is installed.
    pub(in crate::engines) fn find(work: &Work) -> Result<Self, Wrong> {
        let program = command::find(work.engine.path.as_deref(), "dhcp6s").ok_or_else(|| {
            let text = "dhcp6s is not there: install it (Debian: wide-dhcpv6-server; FreeBSD: \
                        dhcp6), or name its file: program = \"…\" in [engine.dhcp6s]";
            (Trouble::Missing, text.to_owned())
        })?;
        Ok(Self {
            program,
            interface: work.post.interface.clone(),
            directory: work.runtime_dir.clone(),
            process_start: work.process_start,
            port: 0,
            key: Key::new([0; 16]),
            written: File::default(),
            loaded: File::default(),
        })
    }

    /// Each start has a port and a key of its own: another program may have taken the port that
    /// was free before.
    pub(in crate::engines) fn prepare(&mut self) -> Result<Setup, Wrong> {
        let refused = |what: &str, error: io::Error| (Trouble::Refused, format!("{what}: {error}"));
        self.port = free_port().map_err(|error| refused("there is no port on ::1", error))?;
        let mut octets = [0; 16];
        getrandom::fill(&mut octets)
            .map_err(|error| (Trouble::Refused, format!("no randomness: {error}")))?;
        self.key = Key::new(octets);
        files::replace(&self.file("key"), self.key.file().as_bytes(), 0o600)
            .map_err(|error| refused("its key cannot be written", error))?;
        let mut arguments = vec!["-f".into(), "-p".into(), self.port.to_string().into()];
        for (option, ending) in [("-k", "key"), ("-P", "pid"), ("-c", "conf")] {
            arguments.extend([option.into(), self.file(ending).into_os_string()]);
        }
        arguments.push(self.interface.clone().into());
        Ok(Setup {
            name: self.name(),
            program: self.program.clone(),
            arguments,
            left_behind: None,
            directory: self.directory.clone(),
            process_start: self.process_start,
        })
    }

    fn name(&self) -> String {
        format!("dhcp6s-{}", self.interface)
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.directory.join(format!("{}.{ending}", self.name()))
    }

    pub(in crate::engines) fn program(&self) -> &Path {
        &self.program
    }

    pub(in crate::engines) fn write(&mut self, assigned: &Assigned) -> io::Result<Vec<String>> {
        let rendered = File::render(assigned);
        files::replace(&self.file("conf"), rendered.text.as_bytes(), 0o644)?;
        self.written = rendered;
        Ok(self.written.left_out.clone())
    }

    /// The program has been started: it has no bindings yet, and delegates by its file.
    pub(in crate::engines) fn started(&mut self) {
        self.loaded = self.written.clone();
    }

    pub(in crate::engines) async fn probe(&self) -> Result<(), Wrong> {
        control::probe(self.port).await.map_err(|error| self.silent(&error))
    }

    /// Makes it carry out the newest order. The file comes first: a router that requests anew when
    /// its binding has been removed gets the prefixes of the file.
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
        // The program uses the low 32 bits of the time too.
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

/// A free port of the loopback.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv6Addr::LOCALHOST, 0))?.local_addr()?.port())
}

impl Drop for Driver {
    /// Removes the file of its key.
    fn drop(&mut self) {
        for ending in ["key", "conf"] {
            let _ = fs::remove_file(self.file(ending));
        }
    }
}
