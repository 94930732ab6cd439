//! Other programs of this machine: commands with limits, and files that are replaced as a whole.

pub(crate) mod command;
pub(crate) mod files;
