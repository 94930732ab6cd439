//! Which agent has an interface: a file that is locked, of which each jail with a file system of its
//! own has one. The kernel unlocks it with the end of the process, however that comes.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};

use super::paths::RUNTIME_DIR;
use crate::platform::Unclaimed;

/// An interface that no other agent can claim while this is held.
#[derive(Debug)]
pub struct Claim(#[expect(dead_code, reason = "it is held for its lock")] Flock<File>);

/// Claims the interface of this name for this process.
///
/// # Errors
///
/// When another agent has it, or it cannot be claimed.
pub fn claim(interface: &str) -> Result<Claim, Unclaimed> {
    let directory = Path::new(RUNTIME_DIR).join("interfaces");
    let path = directory.join(format!("{interface}.lock"));
    let file = open(&directory, &path).map_err(Unclaimed::Failed)?;
    let mut lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| {
        let holder = fs::read_to_string(&path).unwrap_or_default();
        Unclaimed::Taken(holder.trim().parse().ok())
    })?;
    // Only for people to read.
    let _ = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
    Ok(Claim(lock))
}

fn open(directory: &Path, path: &Path) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
    let mut options = OpenOptions::new();
    let written = options.read(true).write(true).create(true).truncate(false).open(path);
    // One that an agent of another user left can be locked all the same.
    written.or_else(|error| File::open(path).map_err(|_| error))
}
