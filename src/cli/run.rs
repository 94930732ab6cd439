//! `renumberd run`: the agent in the foreground.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use super::Site;
use crate::config::Config;
use crate::daemon::{self, Options};
use crate::platform::paths::{RUNTIME_DIR, STATE_DIR};

/// Options of the agent.
#[derive(Debug, Clone, Args)]
pub struct Run {
    #[command(flatten)]
    pub(super) site: Site,
    /// Where the memory is kept that outlives a restart
    #[arg(long, value_name = "DIR", default_value = STATE_DIR)]
    state_dir: PathBuf,
    /// Where the control socket and the record of what is ours are
    #[arg(long, value_name = "DIR", default_value = RUNTIME_DIR)]
    runtime_dir: PathBuf,
    /// What is logged: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: String,
    /// How it is logged
    #[arg(long, value_name = "FORM", default_value = "text")]
    log_format: LogFormat,
    /// When root starts it: go on as this user, with the capabilities to change the network and no
    /// others, and hand the two directories to it
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Do not mark addresses as ours: behave as on a kernel before 5.18
    #[arg(long, hide = true)]
    no_address_protocol: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// Runs the agent until a signal ends it.
///
/// # Errors
///
/// When it cannot start, with what an operator can do about it.
pub fn run(options: &Run, config: Config) -> anyhow::Result<()> {
    start_log(options);
    let site = options.site.clone();
    let reload = move || {
        site.load()
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    };
    daemon::run(
        config,
        &Options {
            state_dir: options.state_dir.clone(),
            runtime_dir: options.runtime_dir.clone(),
            address_mark: !options.no_address_protocol,
            log_fields: options.log_format == LogFormat::Json,
            once: false,
            user: options.user.clone(),
            config: options.site.file().map(Path::to_path_buf),
            dump: None,
        },
        &reload,
    )
}

fn start_log(options: &Run) {
    let filter = EnvFilter::try_new(&options.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    let log = log.with_writer(std::io::stderr).with_ansi(false);
    match options.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.event_format(daemon::JsonLines).init(),
    }
}
