//! An agent's files, how it is started with them, and how it is asked.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, iter};

use anyhow::Context as _;

use crate::daemon::control;

/// An agent answers within this time.
const PATIENCE: Duration = Duration::from_secs(5);

/// The directory of one agent.
#[derive(Clone, Debug)]
pub struct Home(PathBuf);

impl Home {
    /// Where it is, or will be.
    pub const fn at(directory: PathBuf) -> Self {
        Self(directory)
    }

    /// Makes it, with what an agent needs inside, where it is not there.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn create(self) -> io::Result<Self> {
        fs::create_dir_all(self.state())?;
        fs::create_dir_all(self.runtime())?;
        Ok(self)
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.0.join("renumberd.toml")
    }

    /// Where it keeps what outlasts a restart.
    pub fn state(&self) -> PathBuf {
        self.0.join("state")
    }

    /// Where its control socket is.
    pub fn runtime(&self) -> PathBuf {
        self.0.join("runtime")
    }

    /// Its control socket.
    pub fn socket(&self) -> PathBuf {
        control::path(&self.runtime())
    }

    /// Writes its configuration file.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn configure(&self, text: &str) -> io::Result<()> {
        fs::write(self.config(), text)
    }

    /// The arguments with which the program becomes this agent, `more` of `run` among them.
    pub fn arguments<'a>(&self, more: impl IntoIterator<Item = &'a str>) -> Vec<OsString> {
        let option = |name: &str, path: &Path| [name.into(), path.into()];
        iter::once("run".into())
            .chain(more.into_iter().map(OsString::from))
            .chain(option("--state-dir", &self.state()))
            .chain(option("--runtime-dir", &self.runtime()))
            .collect()
    }

    /// What it answers to a request, a line of JSON each, without a program in between.
    ///
    /// # Errors
    ///
    /// When it does not run, or does not answer.
    pub fn ask(&self, request: &str) -> anyhow::Result<String> {
        let mut stream = UnixStream::connect(self.socket()).context("the agent does not run")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        writeln!(stream, "{request}")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).context("the agent does not answer")?;
        Ok(answer)
    }
}
