//! Where the agent has its files unless it is told otherwise (hier(7), file-hierarchy(7)).

/// The configuration.
pub const CONFIG_FILE: &str = "/etc/renumberd.toml";
/// The control socket and the ownership record: what ends with the boot.
pub const RUNTIME_DIR: &str = "/run/renumberd";
/// The memory: what a restart of the machine needs.
pub const STATE_DIR: &str = "/var/lib/renumberd";
