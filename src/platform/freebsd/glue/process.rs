//! Processes: when others were started, and how the own one is scheduled.

use std::io;
use std::mem::size_of;

use super::sysctl;

/// When the process with this id was started, in hundredths of a second since boot; none where there
/// is none, or only what its parent has not taken notice of.
pub fn process_start(pid: u32) -> Option<u64> {
    let name = [libc::CTL_KERN, libc::KERN_PROC, libc::KERN_PROC_PID, i32::try_from(pid).ok()?];
    let octets = sysctl::table(&name).ok()?;
    if octets.len() < size_of::<libc::kinfo_proc>() {
        return None;
    }
    #[expect(unsafe_code, reason = "the octets are as many as the structure has, of numbers alone")]
    let process = unsafe { octets.as_ptr().cast::<libc::kinfo_proc>().read_unaligned() };
    if process.ki_stat == libc::SZOMB {
        return None;
    }
    // The kernel reports the wall clock of now: it moves with the boot time when that is set.
    let (seconds, microseconds) = sysctl::time("kern.boottime").ok()?;
    let hundredths = |seconds: i64, microseconds: i64| {
        seconds.checked_mul(100)?.checked_add(microseconds / 10_000)
    };
    let booted = hundredths(seconds, microseconds)?;
    let started = hundredths(process.ki_start.tv_sec, process.ki_start.tv_usec)?;
    u64::try_from(started.checked_sub(booted)?).ok()
}

/// Nothing is given back: FreeBSD's pager takes such pages by itself when it is short of them.
pub const fn release_program_pages() {}

/// Lets the calling thread run before all that is not real-time.
///
/// # Errors
///
/// The system's error; EPERM without the privilege.
pub fn prefer_this_thread() -> io::Result<()> {
    // The lowest priority above all that is not real-time (rtprio(2)).
    let mut parameter = libc::rtprio { type_: libc::RTP_PRIO_REALTIME, prio: 31 };
    #[expect(unsafe_code, reason = "neither nix nor socket2 has it; 0 is the calling thread")]
    let result = unsafe { libc::rtprio_thread(libc::RTP_SET, 0, &raw mut parameter) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
