//! The rights that the agent gives up when root makes it another user.

use std::fs::DirBuilder;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use nix::dir::{Dir, Type};
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{Gid, Uid, fchown, fchownat};
use tracing::{info, warn};

use super::Options;
use crate::config::{Config, Scheduling};
use crate::platform::{Account, privileges};

/// The directories that Landlock leaves readable: the identity of this machine, its users, the
/// state of the network, and the files of the C library for time and names. The configuration's
/// directory is added.
const READ: [&str; 7] = ["/etc", "/proc", "/sys", "/dev", "/usr/lib", "/usr/share", "/run"];
/// The files that it leaves writable besides the agent's own directories.
const WRITTEN: [&str; 2] = ["/proc/sys/net", "/dev/null"];
/// Directories below the agent's own are no deeper.
const DEPTH: usize = 4;

/// What the agent cannot do any more since it has started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Confinement {
    /// Nothing: it is still the user that started it.
    None,
    /// It is not root any more: it cannot control programs that run as root.
    Root,
    /// It has only its own files: it can start no other program.
    Files,
}

impl Confinement {
    /// Whether a configuration can be followed with these rights.
    pub(super) fn check(self, config: &Config) -> Result<(), String> {
        if self == Self::None {
            return Ok(());
        }
        without_root(config)?;
        if self == Self::Root || config.is_self_contained() {
            return Ok(());
        }
        Err("it names another program or a file of others, which are out of reach of an agent that \
             was started with --user and without such: start it anew"
            .to_owned())
    }
}

/// Refuses a configuration that needs root.
fn without_root(config: &Config) -> Result<(), String> {
    let Some((interface, program)) = config.engine_of_root() else { return Ok(()) };
    Err(format!(
        "{program} on {interface} runs as root and renews for nobody else: start the agent without \
         --user, or name a command with renew in an [engine.NAME] of the kind {program}"
    ))
}

/// Gives the agent's directories to a user, and becomes that user with no more rights than needed.
///
/// # Errors
///
/// The remedy for an operator; the agent must not go on then.
pub(super) fn give_up(
    name: &str,
    config: &Config,
    options: &Options,
) -> anyhow::Result<Confinement> {
    without_root(config).map_err(|text| anyhow!("--user {name}: {text}"))?;
    let account = Account::named(name).with_context(|| format!("--user {name}"))?;
    let account = account.ok_or_else(|| {
        anyhow!("--user {name}: there is no such user: make it (`useradd --system {name}`)")
    })?;
    if !Uid::effective().is_root() {
        anyhow::bail!("--user {name} is for root: start the agent as root, or leave it out");
    }
    for directory in [&options.state_dir, &options.runtime_dir] {
        hand_over(directory, &account)
            .with_context(|| format!("{} cannot be handed to {name}", directory.display()))?;
    }
    privileges::go_on_as(&account, config.scheduling == Scheduling::Fifo)
        .with_context(|| format!("cannot go on as {name}"))?;
    let confinement = confine(config, options)?;
    info!("goes on as {name}");
    Ok(confinement)
}

fn confine(config: &Config, options: &Options) -> anyhow::Result<Confinement> {
    if !config.is_self_contained() {
        info!("files are as far within reach as for the user, since other programs are started");
        return Ok(Confinement::Root);
    }
    let mut read: Vec<PathBuf> = READ.map(PathBuf::from).to_vec();
    let directory = options.config.as_deref().and_then(Path::parent);
    read.extend(directory.map(Path::to_path_buf));
    let own = [&options.state_dir, &options.runtime_dir].into_iter().cloned();
    let write: Vec<PathBuf> = WRITTEN.map(PathBuf::from).into_iter().chain(own).collect();
    if privileges::confine(&read, &write).context("files cannot be put out of reach")? {
        return Ok(Confinement::Files);
    }
    warn!("this kernel has no Landlock: files are as far within reach as for the user");
    Ok(Confinement::Root)
}

/// Makes a directory, and gives it and its contents to a user. No link is followed out of it:
/// anything but a directory or a plain file with a single name is left as it is.
fn hand_over(directory: &Path, account: &Account) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
    let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    give(&mut Dir::open(directory, flags, Mode::empty())?, account, DEPTH)
}

fn give(directory: &mut Dir, account: &Account, depth: usize) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    fchown(directory.as_fd(), Some(uid), Some(gid))?;
    let entries: Vec<_> = directory.iter().collect::<Result<_, _>>()?;
    for entry in entries {
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if entry.file_type() == Some(Type::Directory) && depth > 0 {
            let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let below = Dir::openat(directory.as_fd(), name, flags, Mode::empty());
            give(&mut below?, account, depth - 1)?;
        } else if entry.file_type() == Some(Type::File) {
            let found = fstatat(directory.as_fd(), name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
            if found.st_nlink == 1 {
                let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
                fchownat(directory.as_fd(), name, Some(uid), Some(gid), flags)?;
            }
        }
    }
    Ok(())
}
