//! The system: sockets, kernel state, settings, timer, identity, paths. No other module depends on
//! which system it is.
//!
//! The items of this file are the same for each system; only the laboratory uses those below it. A
//! backend is a folder beside this file with the items that `pub use backend::…` names and the
//! module `socket_options`, chosen by `target_os` below; its crates are in Cargo.toml under that
//! target.

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
    /// The system has refused, or a program that is no agent has the name.
    Failed(io::Error),
}

/// Whether all events could be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drained {
    /// All events have been returned.
    Whole,
    /// More events wait to be read.
    More,
    /// Some events were lost: the kernel's state has to be read anew.
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

/// Whether every later try to send a packet will fail too: the interface or the socket does not
/// exist, or the packet is too long.
pub fn is_final(error: &io::Error) -> bool {
    const FINAL: [i32; 5] =
        [libc::ENODEV, libc::ENXIO, libc::ENETDOWN, libc::EMSGSIZE, libc::ENOTCONN];
    error.kind() == io::ErrorKind::NotConnected
        || error.raw_os_error().is_some_and(|number| FINAL.contains(&number))
}

/// An error of the system as the core distinguishes it.
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
        // Settings are read-only in containers, and in a unit that is configured so.
        libc::EPERM | libc::EACCES | libc::EROFS => Refusal::NotPermitted,
        number => Refusal::Other { number, text: Errno::from_raw(number).desc() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_that_the_core_acts_on_are_distinct_and_others_keep_the_system_s_text() {
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
