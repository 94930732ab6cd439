//! What is observed in a laboratory: packets, events of the kernels, answers from beyond the
//! provider, each with its time; and the milestones of a change that they amount to.

pub mod echo;
pub mod frame;
pub mod log;
pub mod milestones;
pub mod monitor;
pub mod packets;
pub mod tap;
pub mod watch;
