//! A file for other programs, replaced as a whole, and the commands that are run after that.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::keeper::{HOLD, Keep};
use super::record::{Purpose, Record, Written};
use crate::core::client::Published;
use crate::programs::{command, files};

/// How long such a command may take.
const LIMIT: Duration = Duration::from_secs(30);
/// The mode of such a file: its readers are other users.
const MODE: u32 = 0o644;

/// The contents of a file and its commands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wanted {
    /// Whether there is no data for it.
    pub(super) is_empty: bool,
    pub(super) text: String,
    /// The commands that are run after a change, each a program and its arguments.
    pub(super) commands: BTreeSet<Vec<String>>,
    /// The interface of the data.
    pub(super) interfaces: BTreeSet<String>,
}

/// A file.
pub(super) struct File {
    path: PathBuf,
    purpose: Purpose,
    record: Record,
}

impl File {
    pub(super) const fn new(path: PathBuf, purpose: Purpose, record: Record) -> Self {
        Self { path, purpose, record }
    }

    fn write(&self, text: &str) -> Result<(), String> {
        if std::fs::read(&self.path).is_ok_and(|found| found == text.as_bytes()) {
            return Ok(());
        }
        files::replace(&self.path, text.as_bytes(), MODE).map_err(|error| {
            let other = "name one in a directory that can be written to";
            let remedy = if error.kind() == io::ErrorKind::NotFound {
                "make its directory".to_owned()
            } else if error.kind() == io::ErrorKind::ResourceBusy {
                format!("it is mounted there by itself: {other}")
            } else {
                other.to_owned()
            };
            format!("{} cannot be replaced: {error}: {remedy}", self.path.display())
        })
    }

    async fn run(&self, commands: &BTreeSet<Vec<String>>) -> Result<(), String> {
        let mut outcome = Ok(());
        for line in commands {
            let Some((program, arguments)) = line.split_first() else { continue };
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let ran = match find(program) {
                Some(file) => command::run(&file, &arguments, LIMIT).await.map(drop),
                None => Err(command::Failure::Start(io::ErrorKind::NotFound.into())),
            };
            if let Err(failure) = ran
                && outcome.is_ok()
            {
                let line = line.join(" ");
                outcome =
                    Err(format!("`{line}`, which is run when it has changed, failed: {failure}"));
            }
        }
        outcome
    }
}

impl Keep for File {
    /// None where there is no publication any more: the file is emptied.
    type Wanted = Option<Wanted>;

    fn is_empty(wanted: &Self::Wanted) -> bool {
        wanted.as_ref().is_none_or(|wanted| wanted.is_empty)
    }

    fn interfaces(wanted: &Self::Wanted) -> Vec<String> {
        wanted.iter().flat_map(|wanted| wanted.interfaces.iter().cloned()).collect()
    }

    fn published(&self) -> Published {
        match self.purpose {
            Purpose::Resolver => Published::Resolver,
            Purpose::Networks => Published::Networks,
        }
    }

    async fn bring(&mut self, wanted: &Self::Wanted) -> Result<(), String> {
        let before = self.record.read().files.remove(&self.path);
        let Some(wanted) = wanted else {
            let Some(before) = before else { return Ok(()) };
            self.write(&super::text::nothing(self.purpose))?;
            self.run(&before.commands).await?;
            self.record.change(|handed| drop(handed.files.remove(&self.path)));
            return Ok(());
        };
        let done = before.filter(|before| before.commands == wanted.commands);
        let done = done.and_then(|before| before.done);
        let written = |done| {
            let commands = wanted.commands.clone();
            Written { purpose: self.purpose, commands, done }
        };
        // The record comes first: the file outlives the agent.
        self.record.change(|handed| {
            handed.files.insert(self.path.clone(), written(done.clone()));
        });
        self.write(&wanted.text)?;
        if done.as_ref() != Some(&wanted.text) {
            self.run(&wanted.commands).await?;
            self.record.change(|handed| {
                handed.files.insert(self.path.clone(), written(Some(wanted.text.clone())));
            });
        }
        Ok(())
    }
}

/// The file of a program, given by its path or its name.
fn find(program: &str) -> Option<PathBuf> {
    let path = Some(program).filter(|program| program.contains('/'));
    command::find(path, program)
}

/// Until when a file of an earlier run stays as it is while there is no publication.
pub(super) fn hold(record: &Record, path: &Path) -> Option<Instant> {
    record.read().files.contains_key(path).then(|| Instant::now() + HOLD)
}
