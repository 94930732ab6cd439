//! The shell around the core: one loop that waits, tells the core what happened, and does what
//! the core asks for.

pub mod clock;
pub mod control;
mod server;
mod shell;
pub mod store;

use std::path::PathBuf;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use self::control::{Answer, Asked, Request};
use self::shell::Shell;
use crate::config::{Config, Scheduling};
use crate::core::Core;
use crate::core::input::{Command, Input};
use crate::platform::linux::scheduling;

/// How the agent runs on this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Where the memory is.
    pub state_dir: PathBuf,
    /// Where the control socket and the ownership record are.
    pub runtime_dir: PathBuf,
    /// Addresses are marked as ours in the kernel.
    pub address_mark: bool,
}

/// Runs the agent until it is told to stop; `reload` reads the configuration anew.
///
/// # Errors
///
/// When it cannot start, with what an operator can do about it.
pub fn run(
    config: Config,
    options: &Options,
    reload: &dyn Fn() -> Result<Config, String>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(config, options, reload))
}

async fn serve(
    config: Config,
    options: &Options,
    reload: &dyn Fn() -> Result<Config, String>,
) -> anyhow::Result<()> {
    let (mut shell, memory, duid) = Shell::open(options)?;
    if config.scheduling == Scheduling::Fifo
        && let Err(error) = scheduling::prefer_this_thread()
    {
        warn!("scheduling = \"fifo\" needs root or CAP_SYS_NICE, and goes without: {error}");
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    let mut core = Core::new(config, memory, duid, seed, clock::now());
    let mut signals = Signals::new()?;
    let mut requests = control::listen(&options.runtime_dir)
        .with_context(|| format!("cannot listen in {}", options.runtime_dir.display()))?;
    let system = shell.dump()?;
    core.handle(clock::now(), Input::System(system));
    info!("running");
    loop {
        // First, so that a flood of packets never starves a deadline.
        core.handle(clock::now(), Input::Timeout);
        if !shell.perform(&mut core) {
            break;
        }
        shell.arm(core.deadline(clock::now()));
        tokio::select! {
            ready = shell.ready() => if !shell.take_in(&mut core, ready)? {
                break;
            },
            Some(asked) = requests.recv() => answer(&mut core, &mut requests, asked),
            command = signals.next() => match command {
                Told::Stop => core.handle(clock::now(), Input::Command(Command::Stop)),
                Told::Reload => match reload() {
                    Ok(config) => {
                        let command = Command::Reload(Box::new(config));
                        core.handle(clock::now(), Input::Command(command));
                    }
                    Err(errors) => error!("the configuration stays as it was: {errors}"),
                },
            },
        }
        if !shell.perform(&mut core) {
            break;
        }
    }
    shell.close();
    let _ = std::fs::remove_file(control::path(&options.runtime_dir));
    info!("stopped");
    Ok(())
}

fn answer(core: &mut Core, requests: &mut mpsc::Receiver<Asked>, asked: Asked) {
    let mut next = Some(asked);
    while let Some((request, reply)) = next.take() {
        // Who asked may have gone away.
        let _ = reply.send(obey(core, request));
        next = requests.try_recv().ok();
    }
}

fn obey(core: &mut Core, request: Request) -> Answer {
    let now = clock::now();
    let known = |core: &Core, uplink: &str| core.status(now).uplinks.contains_key(uplink);
    match request {
        Request::Status => Answer::Status(Box::new(core.status(now))),
        Request::Renew { uplink } => match &uplink {
            Some(name) if !known(core, name) => Answer::Refused(format!("{name} is no uplink")),
            Some(_) | None => {
                core.handle(now, Input::Command(Command::Renew { uplink }));
                Answer::Done
            }
        },
        Request::Prefix { set, .. } if set.keys().any(|name| !core.has_static(name)) => {
            let unknown = set.keys().find(|name| !core.has_static(name));
            let unknown = unknown.map(String::as_str).unwrap_or_default();
            Answer::Refused(format!(
                "there is no [static.{unknown}] in the configuration of the agent"
            ))
        }
        Request::Prefix { set, graceful } => {
            let command = Command::SetPrefixes { prefixes: set, graceful };
            core.handle(now, Input::Command(command));
            Answer::Done
        }
        Request::Forget { prefix } if !core.has_relayed(prefix) => {
            Answer::Refused(format!("{prefix} has not been relayed here: see `renumberd status`"))
        }
        Request::Forget { prefix } => {
            core.handle(now, Input::Command(Command::Forget { prefix }));
            Answer::Done
        }
        Request::Linkup { uplink } if !known(core, &uplink) => {
            Answer::Refused(format!("{uplink} is no uplink"))
        }
        Request::Linkup { uplink } => {
            core.handle(now, Input::Command(Command::LinkUp { uplink }));
            Answer::Done
        }
    }
}

/// What a signal asks for.
enum Told {
    Stop,
    Reload,
}

struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.hangup.recv() => Told::Reload,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.terminate.recv() => Told::Stop,
        }
    }
}

/// Says once what could not be done, without stopping.
fn complain(complaints: impl IntoIterator<Item = String>) {
    for complaint in complaints {
        warn!("{complaint}");
    }
}
