//! Where the agent has its files by default (hier(7)).

/// The configuration.
pub const CONFIG_FILE: &str = "/usr/local/etc/renumberd.toml";
/// The control socket and the ownership record: what ends with the boot.
pub const RUNTIME_DIR: &str = "/var/run/renumberd";
/// The memory: what a restart of the machine needs.
pub const STATE_DIR: &str = "/var/db/renumberd";
/// Where syslogd(8) listens.
pub const SYSLOG: &str = "/var/run/log";
/// Where daemons write down their process ids.
pub const PID_DIR: &str = "/var/run";
