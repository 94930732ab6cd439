//! `renumberd selftest`: whether the agent works on this machine, shown on a small site that is made
//! for that and removed again.

#[cfg(target_os = "freebsd")]
mod freebsd;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "freebsd")]
pub(super) use freebsd::run;
#[cfg(target_os = "linux")]
pub(super) use linux::run;
