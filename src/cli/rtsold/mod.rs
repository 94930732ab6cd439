//! `renumberd rtsold`, and the program called as `rtsold` or `rtsol`: a host without a configuration
//! file, with the options of rtsold(8).

mod interfaces;
mod pid_file;
mod syslog;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{ArgAction, Args, Parser};
use tracing_subscriber::EnvFilter;

use self::pid_file::PidFile;
use self::syslog::Syslog;
use crate::config::{Client, Config, ResolverTarget, Scripts, Uplink};
use crate::daemon::{self, Options};
use crate::platform::paths::{PID_DIR, RUNTIME_DIR};

/// The names of the program that make it this one.
pub(super) const DAEMON: &str = "rtsold";
const ONE_SHOT: &str = "rtsol";
/// What -D has logged.
const DETAILS: &str = "info,renumberd=trace";

/// Options of rtsold(8).
#[derive(Debug, Clone, Args)]
pub struct Rtsold {
    /// On all interfaces that can have routers: those that are up, with multicast, and neither
    /// loopback nor point-to-point
    #[arg(short = 'a', conflicts_with = "interfaces")]
    all: bool,
    /// Log what happens; twice: as -D
    #[arg(short = 'd', action = ArgAction::Count)]
    debug: u8,
    /// Log what happens, each packet that is sent, and each deadline that is waited for
    #[arg(short = 'D')]
    debug_more: bool,
    /// Stay in the foreground, and log to standard error
    #[arg(short = 'f')]
    foreground: bool,
    /// Make the kernel accept advertisements where it does not; with -a also on such interfaces
    #[arg(short = 'F')]
    force: bool,
    /// Do not wait before the first solicitation; that is how it always is
    #[arg(short = 'i')]
    immediately: bool,
    /// Accepted, and without effect
    #[arg(short = 'l')]
    _unused: bool,
    /// Look for routers whenever a link may be another one; that is how it always is
    #[arg(short = 'm')]
    mobile: bool,
    /// Hand over the resolver data of each router by itself: the key of the entry is
    /// eth0:slaac:[fe80::1%eth0] then
    #[arg(short = 'u')]
    per_router: bool,
    /// End when a router has been heard on each interface, or has not answered three solicitations
    #[arg(short = '1')]
    once: bool,
    /// Run this with the interface and the router when a router sets the M flag
    #[arg(short = 'M', value_name = "SCRIPT")]
    managed: Option<String>,
    /// Run this with the interface and the router when a router sets the O flag, but not the M flag
    #[arg(short = 'O', value_name = "SCRIPT")]
    other: Option<String>,
    /// Hand resolver data to this program, which is called like resolvconf(8) [default: to
    /// systemd-resolved where it runs, else to resolvconf where it is installed]
    #[arg(short = 'R', value_name = "SCRIPT")]
    resolvconf: Option<String>,
    /// Run this with the interface and the router when a router is heard
    #[arg(short = 'A', value_name = "SCRIPT")]
    always: Option<String>,
    /// Where the process id is written
    #[arg(short = 'p', value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// Where USR1 has the state written to
    #[arg(short = 'c', value_name = "FILE")]
    dump_file: Option<PathBuf>,
    /// The directory of agents, in which this one has its own
    #[arg(long, value_name = "DIR", default_value = RUNTIME_DIR)]
    runtime_dir: PathBuf,
    /// The interfaces
    #[arg(value_name = "INTERFACE", required_unless_present = "all")]
    interfaces: Vec<String>,
}

/// The program when it is called by one of these names.
#[derive(Debug, Parser)]
#[command(name = "rtsold", version, about = "Solicits routers on interfaces of a host")]
struct Called {
    #[command(flatten)]
    options: Rtsold,
}

/// Whether a directory of an agent is that of a host's.
pub(super) fn is_host(directory: &Path) -> bool {
    let name = directory.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.strip_prefix(DAEMON).is_some_and(|rest| rest.starts_with('-')))
}

/// The program that this one is called as, if it is one of these.
pub(super) fn called_as(program: Option<&Path>) -> Option<&'static str> {
    let name = program?.file_name()?;
    [DAEMON, ONE_SHOT].into_iter().find(|&known| name == known)
}

/// Runs as the program of that name.
pub(super) fn main(name: &'static str) -> ExitCode {
    let called = match Called::try_parse() {
        Ok(called) => called,
        Err(error) => return misused(&error),
    };
    let mut options = called.options;
    if name == ONE_SHOT {
        (options.foreground, options.once) = (true, true);
    }
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            super::print_error(&format_args!("{name}: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// What the command line lacks, or the help that it asks for. Bad usage is exit code 1, as of
/// rtsold(8).
pub(super) fn misused(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Solicits until a signal ends it, or once.
///
/// # Errors
///
/// When it cannot start, with what an operator can do about it.
pub fn run(options: &Rtsold) -> anyhow::Result<()> {
    let names = options.names()?;
    let config = options.config(&names)?;
    let Some(first) = names.iter().min() else { bail!("no interface can have routers") };
    let directory = options.runtime_dir.join(format!("{DAEMON}-{first}"));
    daemon::check_free(&config)?;
    let (pid_file, dump_file) = options.files(first)?;
    if options.foreground {
        let log = tracing_subscriber::fmt().with_env_filter(options.level()).with_target(false);
        log.with_writer(std::io::stderr).with_ansi(false).init();
    } else {
        // Before there is any thread.
        nix::unistd::daemon(false, false).context("cannot go into the background")?;
        let log = tracing_subscriber::fmt().with_env_filter(options.level()).with_target(false);
        log.with_writer(Syslog::new(DAEMON))
            .without_time()
            .with_level(false)
            .with_ansi(false)
            .init();
    }
    if let Some(pid_file) = &pid_file {
        pid_file.write()?;
    }
    let unchanged = config.clone();
    let result = daemon::run(
        config,
        &Options {
            // A host has no memory that a restart of the machine needs.
            state_dir: directory.join("state"),
            runtime_dir: directory,
            address_mark: true,
            log_fields: false,
            once: options.once,
            user: None,
            config: None,
            dump: Some(dump_file),
        },
        &move || Ok(unchanged.clone()),
    );
    if !options.foreground
        && let Err(error) = &result
    {
        tracing::error!("{error:#}");
    }
    result
}

impl Rtsold {
    /// The interfaces: those that are named, or all that can have routers.
    fn names(&self) -> anyhow::Result<Vec<String>> {
        if self.all {
            return interfaces::all(self.force);
        }
        for (index, name) in self.interfaces.iter().enumerate() {
            if self.interfaces.iter().take(index).any(|before| before == name) {
                bail!("{name} is named twice: name it once");
            }
            interfaces::exists(name)?;
        }
        Ok(self.interfaces.clone())
    }

    /// What `run` would read from a file.
    fn config(&self, names: &[String]) -> anyhow::Result<Config> {
        for script in [&self.managed, &self.other, &self.resolvconf, &self.always] {
            if let Some(script) = script.as_ref().filter(|script| !script.starts_with('/')) {
                bail!("{script} is to be an absolute path, from the root");
            }
        }
        let resolver = match &self.resolvconf {
            Some(program) => ResolverTarget::Program(program.clone()),
            // systemd-resolved knows no entries of routers.
            None if self.per_router => ResolverTarget::Resolvconf,
            None => ResolverTarget::Auto,
        };
        let scripts = Scripts {
            managed: self.managed.clone(),
            other: self.other.clone(),
            always: self.always.clone(),
        };
        let (force, resolver_per_router) = (self.force, self.per_router);
        let client = Client { force, resolver, resolver_per_router, scripts, ..Client::default() };
        let uplink = |name: &String| (name.clone(), Uplink::of(client.clone()));
        let uplinks: BTreeMap<_, _> = names.iter().map(uplink).collect();
        Ok(Config {
            uplinks,
            // Beside it there may be a router's agent, or another one like it.
            is_confined: true,
            // A host without a network starts all the same: `renumberd ready` is for who waits.
            ready_timeout: Duration::ZERO,
            ..Config::default()
        })
    }

    /// The file with the process id, and the one of the state. By default they are those of
    /// rtsold(8), or ones that name an interface where another instance has those.
    fn files(&self, interface: &str) -> anyhow::Result<(Option<PidFile>, PathBuf)> {
        let default = |name: &str, end: &str| Path::new(PID_DIR).join(format!("{name}.{end}"));
        let own = format!("{DAEMON}-{interface}");
        let (pid_file, name) = match &self.pid_file {
            Some(path) => (Some(PidFile::take(path)?), DAEMON),
            None if self.foreground => (None, DAEMON),
            None => match PidFile::take(&default(DAEMON, "pid")) {
                Ok(file) => (Some(file), DAEMON),
                Err(_) => (Some(PidFile::take(&default(&own, "pid"))?), own.as_str()),
            },
        };
        let dump_file = self.dump_file.clone().unwrap_or_else(|| default(name, "dump"));
        Ok((pid_file, dump_file))
    }

    fn level(&self) -> EnvFilter {
        EnvFilter::new(match self.debug {
            _ if self.debug_more => DETAILS,
            0 => "warn",
            1 => "info",
            _ => DETAILS,
        })
    }
}

#[cfg(test)]
mod tests;
