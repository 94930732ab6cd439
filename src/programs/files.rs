//! Files for other programs, and the programs' own files.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Replaces a file as a whole: a reader finds the old or the new text. It is not synced, as it is
/// written again after a restart.
///
/// # Errors
///
/// The system's error.
pub(crate) fn replace(path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    // One that a crash has left may have another mode, or be a link to elsewhere.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    // Whatever our umask is: its readers can read it.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(text)?;
    fs::rename(&new, path)
}

/// The edition of a program's file: an upgrade brings another one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Edition {
    device: u64,
    inode: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
}

impl Edition {
    /// The edition of the file that is there now.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        let modified = (file.mtime(), file.mtime_nsec());
        Some(Self { device: file.dev(), inode: file.ino(), modified })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_whatever_a_crash_has_left() {
        let dir = tempfile::tempdir().unwrap();
        let (path, left, victim) =
            (dir.path().join("a.conf"), dir.path().join("a.conf.new"), dir.path().join("victim"));
        fs::write(&victim, "of others").unwrap();
        std::os::unix::fs::symlink(&victim, &left).unwrap();
        replace(&path, b"one", 0o600).unwrap();
        replace(&path, b"two", 0o644).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "of others");
        assert!(!left.exists());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o022, 0);
    }

    #[test]
    fn an_upgrade_is_another_edition() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("program");
        assert_eq!(Edition::of(&path), None);
        replace(&path, b"1", 0o755).unwrap();
        let first = Edition::of(&path);
        assert!(first.is_some());
        assert_eq!(Edition::of(&path), first);
        replace(&path, b"2", 0o755).unwrap();
        assert_ne!(Edition::of(&path), first);
    }
}
