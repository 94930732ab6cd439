//! The directories of an agent, and the interfaces of a machine: each has one agent at a time.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::fcntl::{Flock, FlockArg};
use tracing::warn;

use crate::config::Config;
use crate::platform::{self, Claim, Unclaimed};

/// Errors of a directory that cannot be written to for now: the agent runs from memory (STO-09).
const NOT_WRITABLE: [i32; 4] = [libc::EROFS, libc::ENOSPC, libc::EDQUOT, libc::EIO];

/// How often a lock that another agent has is tried, and the pause after each try.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// Whether other agents are kept out of a directory.
pub(super) enum Taken {
    /// They are, for as long as this is held.
    Locked(Flock<File>),
    /// Nothing can be written there, and why.
    Unlocked(String),
}

/// Makes a directory, and keeps other agents out of it.
pub(super) fn take(dir: &Path) -> anyhow::Result<Taken> {
    let shown = dir.display();
    let file = match open(dir) {
        Ok(file) => file,
        Err(error) if error.raw_os_error().is_some_and(|errno| NOT_WRITABLE.contains(&errno)) => {
            return Ok(Taken::Unlocked(format!(
                "{shown} cannot be written to: the agent goes on from memory and tries again \
                 ({error}); make it writable, or name another directory with --state-dir and \
                 --runtime-dir"
            )));
        }
        Err(error) => {
            let remedy = remedy(&error);
            return Err(error).with_context(|| {
                format!(
                    "{shown} cannot be made or written to{remedy}; or name another with --state-dir \
                     and --runtime-dir"
                )
            });
        }
    };
    let lock = patiently(|| {
        let file = file.try_clone()?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock);
        lock.map_err(|(_, errno)| {
            anyhow::anyhow!(
                "{shown} is in use by another renumberd ({errno}): stop that, or name other \
                 directories with --state-dir and --runtime-dir"
            )
        })
    })?;
    Ok(Taken::Locked(lock))
}

/// Tries for a moment: an agent that has just been killed may still have its locks.
fn patiently<T>(take: impl Fn() -> anyhow::Result<T>) -> anyhow::Result<T> {
    for _ in 0..TRIES {
        if let Ok(taken) = take() {
            return Ok(taken);
        }
        thread::sleep(PAUSE);
    }
    take()
}

/// The remedy where a file or a directory is another user's, as the continuation of a sentence.
pub(super) fn remedy(error: &io::Error) -> &'static str {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return "";
    }
    ": give it to the user as whom the agent runs (chown), or start the agent as root with --user, \
     which does that"
}

/// The file that is locked. A file that an earlier run left can be locked even where nothing can be
/// written.
fn open(dir: &Path) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
    let path = dir.join("lock");
    File::create(&path).or_else(|error| File::open(&path).map_err(|_| error))
}

/// The interfaces that this agent has, by name: for as long as this is held no other agent takes
/// them, whatever its directories are. None is held where that is not possible.
#[derive(Debug, Default)]
pub(super) struct Held(BTreeMap<String, Option<Claim>>);

impl Held {
    /// Takes the interfaces of a configuration at the start.
    ///
    /// # Errors
    ///
    /// When another agent has one, by name.
    pub(super) fn new(config: &Config) -> anyhow::Result<Self> {
        patiently(|| {
            let mut held = Self::default();
            held.follow(config).map(|()| held)
        })
    }

    /// Takes the interfaces of a configuration, and lets others go.
    ///
    /// # Errors
    ///
    /// When another agent has one, by name; what was held before is held still.
    pub(super) fn follow(&mut self, config: &Config) -> anyhow::Result<()> {
        let names = config.interfaces();
        let mut taken = BTreeMap::new();
        for name in names.iter().filter(|name| !self.0.contains_key(name.as_str())) {
            taken.insert((*name).clone(), take_interface(name)?);
        }
        self.0.retain(|name, _| names.contains(name));
        self.0.append(&mut taken);
        Ok(())
    }
}

fn take_interface(name: &str) -> anyhow::Result<Option<Claim>> {
    match platform::claim(name) {
        Ok(claim) => Ok(Some(claim)),
        Err(Unclaimed::Failed(error)) => {
            warn!("{name} cannot be kept from other agents of this machine: {error}");
            Ok(None)
        }
        Err(Unclaimed::Taken(holder)) => {
            let holder = holder.map(|pid| format!(" (process {pid})")).unwrap_or_default();
            bail!(
                "{name} is in use by another renumberd{holder}: stop that, or leave the interface \
                 to it"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(names: &[&str]) -> Config {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        Config::from_args(&names, &[]).unwrap()
    }

    #[test]
    fn an_interface_has_one_agent_and_is_named_to_the_next() {
        let names = ["a", "b", "c"].map(|last| format!("t{}{last}", std::process::id()));
        let [a, b, c] = names.each_ref().map(String::as_str);
        let (mut one, mut other) = (Held::default(), Held::default());
        one.follow(&config(&[a, b])).unwrap();
        let refused = other.follow(&config(&[b, c])).unwrap_err();
        let pid = std::process::id();
        let expected = format!("{b} is in use by another renumberd (process {pid}): stop");
        assert!(refused.to_string().starts_with(&expected), "{refused}");
        // What was refused has taken nothing.
        one.follow(&config(&[a, c])).unwrap();
        other.follow(&config(&[b])).unwrap();
        drop(one);
        other.follow(&config(&[a, b, c])).unwrap();
    }
}
