//! Where the agent has its files by default (hier(7), file-hierarchy(7)).

/// The configuration.
pub const CONFIG_FILE: &str = "/etc/renumberd.toml";
/// The control socket and the ownership record: what ends with the boot.
pub const RUNTIME_DIR: &str = "/run/renumberd";
/// The memory: what a restart of the machine needs.
pub const STATE_DIR: &str = "/var/lib/renumberd";
/// Where syslogd(8) listens.
pub const SYSLOG: &str = "/dev/log";
/// Where daemons write down their process ids.
pub const PID_DIR: &str = "/run";
