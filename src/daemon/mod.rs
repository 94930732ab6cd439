//! The shell around the core: one loop that waits, hands inputs to the core, and performs the
//! outputs of the core.

pub mod clock;
pub mod control;
mod directory;
mod disk;
mod dump;
mod gate;
mod idle;
mod json_lines;
mod log;
mod machine;
mod metrics;
mod neighbors;
mod notify;
mod observed;
mod once;
mod outbox;
mod prepare;
mod rights;
mod send;
mod server;
mod shell;
mod sleep;
mod spare;
pub mod store;
mod turn;

pub use json_lines::JsonLines;
pub use machine::duid as machine_duid;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use self::control::{Answer, Pending, Request};
use self::directory::Held;
use self::idle::Idle;
use self::metrics::Endpoint;
use self::notify::Supervisor;
use self::once::Once;
use self::rights::Confinement;
use self::shell::Shell;
use self::turn::{Flow, Pauses, Ready};
use crate::config::{Config, Scheduling};
use crate::core::Core;
use crate::core::input::{Command, Input};
use crate::platform;

/// How long other threads may still write when the agent stops.
const LAST_WRITES: Duration = Duration::from_millis(500);

/// How the agent runs on this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Where the memory is.
    pub state_dir: PathBuf,
    /// Where the control socket and the ownership record are.
    pub runtime_dir: PathBuf,
    /// Addresses are marked as ours in the kernel.
    pub address_mark: bool,
    /// Lines of the log carry the values of events as fields, for [`JsonLines`].
    pub log_fields: bool,
    /// The agent ends when routers have been heard, or have not answered.
    pub once: bool,
    /// The user that the agent becomes; none to stay the one that it is.
    pub user: Option<String>,
    /// The configuration's file; none where there is none.
    pub config: Option<PathBuf>,
    /// The file that USR1 makes the agent write the state of the solicitation to; none where that
    /// signal keeps its default.
    pub dump: Option<PathBuf>,
}

/// Whether the interfaces of a configuration can be had: no other agent has one of them.
///
/// # Errors
///
/// When one has, by name.
pub fn check_free(config: &Config) -> anyhow::Result<()> {
    Held::new(config).map(drop)
}

/// Runs the agent until a signal ends it; `reload` reads the configuration anew.
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
    // First of all: an unhandled signal ends the program. The two that are to end it may do so as
    // long as nothing has begun.
    let notices = {
        let _context = runtime.enter();
        Notices::new(options.dump.is_some())?
    };
    // This needs root, who can see which process has an interface.
    let mut held = Held::new(&config)?;
    // This comes before there is another thread: each thread has rights of its own.
    let confinement = match &options.user {
        Some(name) => rights::give_up(name, &config, options)?,
        None => Confinement::None,
    };
    let reload = &|| {
        let config = reload()?;
        confinement.check(&config).map(|()| config)
    };
    if options.user.is_some()
        && let Err(error) = reload()
    {
        warn!("the configuration could not be read again: {error}");
    }
    let result = runtime.block_on(serve(config, options, notices, &mut held, reload));
    // A disk that hangs does not hold the agent up.
    runtime.shutdown_timeout(LAST_WRITES);
    result
}

async fn serve(
    config: Config,
    options: &Options,
    notices: Notices,
    held: &mut Held,
    reload: &dyn Fn() -> Result<Config, String>,
) -> anyhow::Result<()> {
    let mut signals = Signals::new(notices)?;
    let (mut shell, memory, duid) = Shell::open(options)?;
    if config.scheduling == Scheduling::Fifo
        && let Err(error) = platform::prefer_this_thread()
    {
        warn!("scheduling = \"fifo\" needs root or CAP_SYS_NICE, and goes without: {error}");
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    shell.engines.end_strays(&config);
    let ready_timeout = config.ready_timeout;
    shell.hosts.withdraw_strays(&config);
    let metrics = config.metrics.clone();
    let mut once = options.once.then(|| Once::new(clock::now(), config.uplinks.keys().cloned()));
    let mut idle = Idle::new(clock::now(), &config);
    let mut core = Core::new(config, memory, duid, platform::CAPABILITIES, seed, clock::now());
    let (sender, mut requests) = control::requests();
    control::listen(&options.runtime_dir, sender.clone())
        .with_context(|| format!("cannot listen in {}", options.runtime_dir.display()))?;
    info!("running");
    let mut endpoint = Endpoint::default();
    shell.serve_metrics(&mut core, metrics.as_ref(), (&mut endpoint, &sender));
    let mut supervisor = Supervisor::new(clock::now(), ready_timeout);
    let mut pauses = Pauses::new(clock::now());
    loop {
        // Deadlines come first, so that a flood of packets never starves one.
        core.handle(clock::now(), Input::Timeout);
        let flow = shell.perform(&mut core);
        if flow == Flow::Exit {
            break;
        }
        if once.as_mut().is_some_and(|once| once.ends(clock::now(), &core)) {
            core.handle(clock::now(), Input::Command(Command::Stop));
            continue;
        }
        // Outputs that are left over come before any deadline.
        let deadline = core.deadline(clock::now()).filter(|_| flow == Flow::Idle);
        supervisor.report(clock::now(), &core);
        let once_over = once.as_ref().and_then(|once| once.deadline(clock::now(), &core));
        let own = supervisor.deadline().into_iter().chain(idle.deadline());
        let deadlines = deadline.into_iter().chain(own).chain(once_over);
        shell.arm(deadlines.min_by_key(|one| one.at));
        if flow == Flow::Idle && !core.has_postponed_work() {
            shell.tidy_up();
        }
        pauses.pause(clock::now()).await;
        let begun = clock::now();
        if flow == Flow::Idle {
            // This comes last: any code that runs after it reads its pages back.
            idle.handle_rest(begun);
        }
        let woken = tokio::select! {
            biased;
            signal = signals.next() => Woken::Signal(signal),
            woken = wait(&mut shell, &mut requests, flow == Flow::More) => woken,
        };
        idle.handle_wake(begun, clock::now());
        let flow = match woken {
            Woken::Ready(ready) => shell.take_in(&mut core, ready),
            Woken::Pending((request, reply)) => {
                let fed = request.fed_uplink().map(str::to_owned);
                let answer = if request == Request::Metrics {
                    shell.metrics(&core)
                } else {
                    execute(&mut core, request)
                };
                if let Some(uplink) = fed.filter(|_| answer == Answer::Done) {
                    shell.engines.answered(&uplink);
                }
                // The client may have gone away.
                let _ = reply.send(answer);
                Flow::Idle
            }
            Woken::Signal(Signalled::Stop) => {
                supervisor.stopping();
                core.handle(clock::now(), Input::Command(Command::Stop));
                Flow::Idle
            }
            Woken::Signal(Signalled::Reload) => {
                let config = reload().and_then(|config| {
                    let followed = held.follow(&config);
                    followed.map(|()| config).map_err(|error| error.to_string())
                });
                match config {
                    Ok(config) => {
                        let metrics = config.metrics.as_ref();
                        shell.serve_metrics(&mut core, metrics, (&mut endpoint, &sender));
                        let command = Command::Reload(Box::new(config));
                        core.handle(clock::now(), Input::Command(command));
                    }
                    Err(errors) => error!("the configuration stays as it was: {errors}"),
                }
                Flow::Idle
            }
            Woken::Signal(Signalled::Dump) => {
                if let Some(file) = &options.dump {
                    dump::write(file, &core.status(clock::now()));
                }
                Flow::Idle
            }
            Woken::More => Flow::Idle,
        };
        if flow == Flow::Exit || (flow == Flow::Idle && shell.perform(&mut core) == Flow::Exit) {
            break;
        }
    }
    endpoint.end();
    shell.engines.end().await;
    shell.hosts.end(options.once).await;
    shell.close();
    let _ = std::fs::remove_file(control::path(&options.runtime_dir));
    info!("stopped");
    Ok(())
}

/// The reason why the loop wakes.
enum Woken {
    Signal(Signalled),
    Ready(Ready),
    Pending(Pending),
    /// Outputs are left over from the last turn.
    More,
}

/// Waits for anything but a signal, as signals take precedence; does not wait where `more` outputs
/// are left over.
async fn wait(shell: &mut Shell, requests: &mut mpsc::Receiver<Pending>, more: bool) -> Woken {
    tokio::select! {
        ready = shell.ready() => Woken::Ready(ready),
        Some(pending) = requests.recv() => Woken::Pending(pending),
        () = tokio::task::yield_now(), if more => Woken::More,
    }
}

fn execute(core: &mut Core, request: Request) -> Answer {
    let now = clock::now();
    match request {
        Request::Status { most } => Answer::Status(Box::new(match most {
            Some(most) => core.status_with(now, most),
            None => core.status(now),
        })),
        // The shell answers this request, and not the core.
        Request::Metrics => Answer::Refused("there are no metrics here".to_owned()),
        Request::Renew { uplink } => match &uplink {
            Some(name) if !core.has_uplink(name) => Answer::Refused(format!("{name} is no uplink")),
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
        Request::Feed { feed } => {
            let refused = match core.requester(&feed.interface) {
                None => Err(format!("{} is no uplink", feed.interface)),
                Some(None) => Err(format!(
                    "this agent itself asks for the prefixes of {0}: write requester = \"...\" \
                     in [uplink.{0}]",
                    feed.interface
                )),
                Some(Some(_)) => feed.check(),
            };
            match refused {
                Ok(()) => {
                    core.handle(now, Input::Command(Command::Feed(feed)));
                    Answer::Done
                }
                Err(why) => Answer::Refused(why),
            }
        }
        Request::Ready => match core.first_lack(now) {
            None => Answer::Done,
            Some((uplink, lack)) => Answer::Waiting(notify::describe(uplink, lack)),
        },
        Request::Connected { uplink } => match core.lack(now, &uplink) {
            None => Answer::Refused(format!("{uplink} is no uplink")),
            Some(None) => Answer::Done,
            Some(Some(lack)) => Answer::Waiting(lack.to_string()),
        },
        Request::Linkup { uplink } if !core.has_uplink(&uplink) => {
            Answer::Refused(format!("{uplink} is no uplink"))
        }
        Request::Linkup { uplink } => {
            core.handle(now, Input::Command(Command::LinkUp { uplink }));
            Answer::Done
        }
    }
}

/// The meaning of a signal.
enum Signalled {
    Stop,
    Reload,
    Dump,
}

/// The signals that do not end the agent.
struct Notices {
    hangup: Signal,
    dump: Option<Signal>,
}

impl Notices {
    /// Handles these signals from here on.
    fn new(dumps: bool) -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            dump: dumps.then(|| signal(SignalKind::user_defined1())).transpose()?,
        })
    }
}

struct Signals {
    notices: Notices,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new(notices: Notices) -> std::io::Result<Self> {
        Ok(Self {
            notices,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Signalled {
        tokio::select! {
            _ = self.notices.hangup.recv() => Signalled::Reload,
            _ = self.interrupt.recv() => Signalled::Stop,
            _ = self.terminate.recv() => Signalled::Stop,
            Some(_) = next_of(&mut self.notices.dump) => Signalled::Dump,
        }
    }
}

/// The next signal of this kind; pending for ever where the kind is not handled.
async fn next_of(signal: &mut Option<Signal>) -> Option<()> {
    match signal {
        Some(signal) => signal.recv().await,
        None => std::future::pending().await,
    }
}
