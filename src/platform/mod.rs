//! The system: sockets, kernel state, settings, timer, identity, paths. The only code that knows
//! which system it is.
//!
//! What stands here is the same for each system; only the laboratory looks behind it. A backend is
//! a folder beside this file with the items that `pub use backend::…` names and the module
//! `socket_options`, chosen by `target_os` below; its crates stand in Cargo.toml under that target.

pub mod facts;
pub mod freebsd;
#[cfg(target_os = "linux")]
pub mod linux;
pub mod local_advertisements;
pub mod sockets;

#[cfg(target_os = "freebsd")]
use freebsd as backend;
#[cfg(target_os = "linux")]
use linux as backend;

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use backend::socket_options;
pub use backend::{
    CAPABILITIES, Claim, Events, Kernel, Sleep, Timer, accepts_advertisements, claim,
    facts as read_facts, give_back_memory, identity, now, paths, prefer_this_thread, privileges,
    process_start, release_program_pages, remedy_for_unsent,
};
use nix::errno::Errno;
use nix::unistd::User;
use tokio::io::unix::AsyncFd;

use facts::Directory;

pub use crate::core::kernel::object::Refusal;

/// A user of this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// The number of its group.
    pub gid: u32,
}

impl Account {
    /// The user of that name, where there is one.
    ///
    /// # Errors
    ///
    /// When the system cannot look it up.
    pub fn named(name: &str) -> io::Result<Option<Self>> {
        let found = User::from_name(name)?;
        Ok(found.map(|user| Self {
            name: user.name,
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
        }))
    }
}

/// Why an interface cannot be claimed.
#[derive(Debug)]
pub enum Unclaimed {
    /// Another agent has it: its process, where that can be seen.
    Taken(Option<u32>),
    /// The system has refused, or a program that is no agent is in the way.
    Failed(io::Error),
}

/// Whether events came whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drained {
    /// All that has happened has been handed on.
    Whole,
    /// More waits to be read.
    More,
    /// Some was lost: the state has to be dumped anew.
    Overrun,
}

/// Lets the event loop watch a descriptor.
///
/// # Errors
///
/// The system's error.
pub fn watch<T: AsFd + AsRawFd>(owner: T) -> io::Result<AsyncFd<T>> {
    #[expect(unsafe_code, reason = "what implements AsFd keeps its descriptor open while it lives")]
    let watched = unsafe { AsyncFd::register(owner) };
    watched.map_err(Into::into)
}

/// Whether a directory can be written to, and how much room it has.
pub fn directory(path: &Path) -> Directory {
    use nix::unistd::{AccessFlags, access};
    match access(path, AccessFlags::W_OK | AccessFlags::X_OK) {
        Ok(()) => {}
        Err(Errno::ENOENT) => {
            let parent = path.parent().map(directory);
            return match parent {
                Some(refused @ Directory::Refused(_)) => refused,
                Some(Directory::Writable { .. } | Directory::Absent) | None => Directory::Absent,
            };
        }
        Err(errno) => return Directory::Refused(errno.desc()),
    }
    match nix::sys::statvfs::statvfs(path) {
        Ok(found) => Directory::Writable {
            octets: found.blocks_available().saturating_mul(found.fragment_size()),
            // Some file systems have no table of files.
            files: (found.files() > 0).then(|| found.files_available()),
        },
        Err(errno) => Directory::Refused(errno.desc()),
    }
}

/// Whether no later try to send a packet will do better: the interface or the socket is not there,
/// or the packet is too long.
pub fn is_final(error: &io::Error) -> bool {
    const FINAL: [i32; 5] =
        [libc::ENODEV, libc::ENXIO, libc::ENETDOWN, libc::EMSGSIZE, libc::ENOTCONN];
    error.kind() == io::ErrorKind::NotConnected
        || error.raw_os_error().is_some_and(|number| FINAL.contains(&number))
}

/// What the core has to know of an error of the system.
pub fn refusal_of(error: &io::Error) -> Refusal {
    refusal_of_number(error.raw_os_error().unwrap_or(libc::EIO))
}

pub(crate) fn refusal_of_number(number: i32) -> Refusal {
    match number {
        libc::EEXIST => Refusal::Exists,
        libc::EADDRNOTAVAIL | libc::ESRCH | libc::ENOENT | libc::ENODEV | libc::ENXIO => {
            Refusal::NotThere
        }
        libc::ENOBUFS => Refusal::NoBuffer,
        // Settings are read-only in containers, and where a unit has them so.
        libc::EPERM | libc::EACCES | libc::EROFS => Refusal::NotPermitted,
        number => Refusal::Other { number, text: Errno::from_raw(number).desc() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_core_acts_on_is_told_apart_and_the_rest_keeps_the_system_s_words() {
        let cases = [
            (libc::EEXIST, "it exists already"),
            (libc::ENODEV, "there is no such interface, address or route"),
            (libc::ESRCH, "there is no such interface, address or route"),
            (libc::ENOBUFS, "there was no buffer for the request or its answer"),
            (libc::EACCES, "that is not permitted"),
            (libc::EINVAL, "Invalid argument (error 22)"),
        ];
        for (number, text) in cases {
            let refusal = refusal_of(&io::Error::from_raw_os_error(number));
            assert_eq!(refusal.to_string(), text, "{number}");
        }
        let closed = refusal_of(&io::ErrorKind::NotConnected.into());
        assert_eq!(closed.number(), Some(libc::EIO));
    }
}
