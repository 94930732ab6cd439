//! The directories of an agent, and the interfaces of a machine: each has one agent at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use anyhow::Context as _;
use nix::fcntl::{Flock, FlockArg};

use crate::config::Config;

/// What nothing can be written to for now: the agent runs from memory (STO-09).
const NOT_WRITABLE: [i32; 4] = [libc::EROFS, libc::ENOSPC, libc::EDQUOT, libc::EIO];

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
    let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| {
        anyhow::anyhow!(
            "{shown} is in use by another renumberd ({errno}): stop that, or name other \
             directories with --state-dir and --runtime-dir"
        )
    })?;
    Ok(Taken::Locked(lock))
}

/// What helps where a file or a directory is another user's, as the continuation of a sentence.
pub(super) fn remedy(error: &io::Error) -> &'static str {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return "";
    }
    ": give it to the user as whom the agent runs (chown), or start the agent as root with --user, \
     which does that"
}

/// The file that is locked. One that an earlier run left can be locked where nothing can be
/// written.
fn open(dir: &Path) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
    let path = dir.join("lock");
    File::create(&path).or_else(|error| File::open(&path).map_err(|_| error))
}

/// The interfaces that this agent has, by name: for as long as this is held no other agent takes
/// them.
#[derive(Debug, Default)]
pub(super) struct Held(BTreeMap<String, Flock<File>>);

impl Held {
    /// Takes the interfaces of a configuration, and lets others go.
    ///
    /// # Errors
    ///
    /// When another agent has one, by name; what was held before is held still.
    pub(super) fn follow(&mut self, shared: &Path, config: &Config) -> anyhow::Result<()> {
        let names = config.uplinks.keys().chain(config.downlinks.keys());
        let names: BTreeSet<&String> = names.chain(config.relays.keys()).collect();
        let mut taken = BTreeMap::new();
        for name in names.iter().filter(|name| !self.0.contains_key(name.as_str())) {
            if let Some(lock) = take_interface(shared, name)? {
                taken.insert((*name).clone(), lock);
            }
        }
        self.0.retain(|name, _| names.contains(name));
        self.0.append(&mut taken);
        Ok(())
    }
}

/// Takes an interface; nothing where nothing can be written, as then no agent can.
fn take_interface(shared: &Path, name: &str) -> anyhow::Result<Option<Flock<File>>> {
    let directory = shared.join("interfaces");
    let path = directory.join(format!("{name}.lock"));
    let made = DirBuilder::new().recursive(true).mode(0o755).create(&directory);
    let opened = made.and_then(|()| {
        let mut options = OpenOptions::new();
        let written = options.read(true).write(true).create(true).truncate(false).open(&path);
        // One that an agent of another user left can be locked all the same.
        written.or_else(|error| File::open(&path).map_err(|_| error))
    });
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.raw_os_error().is_some_and(|errno| NOT_WRITABLE.contains(&errno)) => {
            return Ok(None);
        }
        Err(error) => {
            let remedy = remedy(&error);
            return Err(error).with_context(|| format!("{}{remedy}", path.display()));
        }
    };
    let mut lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| {
        let holder = fs::read_to_string(&path).unwrap_or_default();
        let holder = match holder.trim() {
            "" => String::new(),
            pid => format!(" (process {pid})"),
        };
        anyhow::anyhow!(
            "{name} is in use by another renumberd{holder}: stop that, or leave the interface to it"
        )
    })?;
    // Only for people to read.
    let _ = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
    Ok(Some(lock))
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
        let shared = tempfile::tempdir().unwrap();
        let (mut one, mut other) = (Held::default(), Held::default());
        one.follow(shared.path(), &config(&["eth0", "eth1"])).unwrap();
        let refused = other.follow(shared.path(), &config(&["eth1", "eth2"])).unwrap_err();
        let pid = std::process::id();
        let expected = format!("eth1 is in use by another renumberd (process {pid}): stop");
        assert!(refused.to_string().starts_with(&expected), "{refused}");
        // What was refused has taken nothing.
        one.follow(shared.path(), &config(&["eth0", "eth2"])).unwrap();
        other.follow(shared.path(), &config(&["eth1"])).unwrap();
        drop(one);
        other.follow(shared.path(), &config(&["eth0", "eth1", "eth2"])).unwrap();
    }
}
