//! The directories of an agent: each has one agent at a time.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use anyhow::Context as _;
use nix::fcntl::{Flock, FlockArg};

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
            return Err(error).with_context(|| {
                format!("{shown} cannot be made: name another with --state-dir and --runtime-dir")
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

/// The file that is locked. One that an earlier run left can be locked where nothing can be
/// written.
fn open(dir: &Path) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
    let path = dir.join("lock");
    File::create(&path).or_else(|error| File::open(&path).map_err(|_| error))
}
