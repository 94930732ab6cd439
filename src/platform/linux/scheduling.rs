//! Real-time scheduling of the event loop.

use std::io;

/// The lowest priority above all that is not real-time.
const PRIORITY: libc::c_int = 1;

/// Lets the calling thread run before all that is not real-time as soon as it has something to do;
/// threads and programs that it starts do not inherit that.
///
/// # Errors
///
/// The system's error; EPERM without CAP_SYS_NICE.
pub fn prefer_this_thread() -> io::Result<()> {
    let parameter = libc::sched_param { sched_priority: PRIORITY };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    #[expect(unsafe_code, reason = "neither nix nor socket2 has it; the structure is read only")]
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
