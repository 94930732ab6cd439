//! Directories that a router of the laboratory has for itself: other people's programs keep
//! sockets, leases and keys at fixed paths, and several routers run on one machine.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use anyhow::{Context as _, ensure};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::programs;

/// What each router has for itself, from the root.
pub const OWN: [&str; 3] = ["etc", "run", "var/lib"];
/// Where programs keep what outlasts a restart; they do not make these directories.
const KEPT: [&str; 2] = ["var/lib/dhcpcd", "var/lib/dhcpv6"];
/// Files of the machine's /etc without which programs do not start.
const COPIED: [&str; 7] =
    ["passwd", "group", "nsswitch.conf", "hosts", "services", "protocols", "ld.so.cache"];

/// The directories of one router.
#[derive(Clone, Debug)]
pub struct Private(PathBuf);

impl Private {
    /// Makes them below `directory`.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn create(directory: PathBuf) -> io::Result<Self> {
        for path in OWN.iter().chain(&KEPT) {
            fs::create_dir_all(directory.join(path))?;
        }
        for name in COPIED {
            let from = Path::new("/etc").join(name);
            if from.exists() {
                fs::copy(from, directory.join("etc").join(name))?;
            }
        }
        Ok(Self(directory))
    }

    /// Writes a file that its programs see at `path`, an absolute one.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn write(&self, path: &str, text: &str) -> io::Result<()> {
        let path = self.place(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)
    }

    /// Writes a script that they can run.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn write_program(&self, path: &str, text: &str) -> io::Result<()> {
        self.write(path, text)?;
        fs::set_permissions(self.place(path), fs::Permissions::from_mode(0o755))
    }

    fn place(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }
}

/// Becomes the program that `words` name, which sees the directories below `directory` in the
/// place of the machine's.
///
/// # Errors
///
/// When the mounts are refused, or the program does not start.
pub fn become_program(directory: &Path, words: &[String]) -> anyhow::Result<()> {
    let (program, arguments) = words.split_first().context("no program is named")?;
    ensure!(directory.is_absolute(), "{} is no absolute path", directory.display());
    unshare(CloneFlags::CLONE_NEWNS).context("mount namespaces need root")?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    for path in OWN {
        let (own, fixed) = (directory.join(path), Path::new("/").join(path));
        mount(Some(&own), &fixed, none, MsFlags::MS_BIND, none)
            .with_context(|| format!("cannot mount {} at {}", own.display(), fixed.display()))?;
    }
    let path: OsString = programs::path();
    let failure = Command::new(program).args(arguments).env("PATH", path).exec();
    Err(failure).with_context(|| format!("{program} does not start"))
}
