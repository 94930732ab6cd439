//! The file with the process id of a daemon, which one process has at a time.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use nix::fcntl::{Flock, FlockArg};

/// A file that is ours until this is dropped, and removed then.
#[derive(Debug)]
pub(super) struct PidFile {
    path: PathBuf,
    lock: Flock<File>,
}

impl PidFile {
    /// Takes the file, before the process has the id that it is to have.
    ///
    /// # Errors
    ///
    /// When it cannot be written to, or another process has it.
    pub(super) fn take(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.with_context(|| format!("{shown} cannot be opened"))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self { path: path.to_owned(), lock }),
            Err((mut file, _)) => {
                let mut pid = String::new();
                let _ = file.read_to_string(&mut pid);
                bail!("process {} has {shown}: stop it, or name another file with -p", pid.trim())
            }
        }
    }

    /// Writes this process's id.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub(super) fn write(&self) -> anyhow::Result<()> {
        let mut file: &File = &self.lock;
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "{}", std::process::id())
            .with_context(|| format!("{} cannot be written", self.path.display()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // The file is of no use any more.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_has_the_file_and_it_ends_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rtsold.pid");
        fs::write(&path, "4294967295 of a crash").unwrap();
        let file = PidFile::take(&path).unwrap();
        file.write().unwrap();
        let pid = std::process::id().to_string();
        assert_eq!(fs::read_to_string(&path).unwrap(), pid);
        let refused = PidFile::take(&path).unwrap_err().to_string();
        assert!(refused.starts_with(&format!("process {pid} has")), "{refused}");
        drop(file);
        assert!(!path.exists());
    }
}
