//! The command line. Exit codes: 0 done, 1 failed, 2 bad usage or configuration, 3 not converged in
//! time.

#[cfg(target_os = "linux")]
pub mod bench;
pub mod check;
pub mod control;
pub mod doctor;
pub mod feed;
pub mod import;
pub mod manual;
mod page;
pub mod plan;
pub mod rtsold;
pub mod run;
pub mod schema;
#[cfg(target_os = "linux")]
mod selftest;
#[cfg(not(target_os = "linux"))]
#[path = "selftest_by_script.rs"]
mod selftest;
mod site;
pub mod status;
pub mod survey;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use ipnet::Ipv6Net;

pub use self::site::{Site, load_file};
use crate::config::{ConfigError, Peer};
#[cfg(target_os = "linux")]
use crate::lab::part::{self, Part};
use crate::platform::paths::{CONFIG_FILE, RUNTIME_DIR};

const FAILED: u8 = 1;
const BAD_CONFIGURATION: u8 = 2;
const NOT_CONVERGED: u8 = 3;

#[derive(Debug, Parser)]
#[command(
    name = "renumberd",
    version,
    about = "Keeps a tree of IPv6 routers on the provider's current prefix",
    after_help = "Examples:\n  \
        renumberd run --uplink tap0 --downlink lan0 --downlink wl0\n  \
        renumberd check /etc/renumberd.toml\n  \
        renumberd plan --prefix 2001:db8:1200::/56 --downlink lan0\n  \
        renumberd import dhcpcd.conf /etc/dhcpcd.conf radvd.conf /etc/radvd.conf\n  \
        renumberd status\n  \
        renumberd linkup tun0\n\nFreeBSD: see renumberd.toml(5)."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent in the foreground
    #[command(after_help = "Examples:\n  \
        renumberd run --uplink tap0 --downlink lan0 --downlink wl0\n  \
        renumberd run --forward --delegate tap0 lan0 wl0\n  \
        renumberd run --config /etc/renumberd.toml\n\n\
        Signals: HUP reloads the configuration, TERM and INT stop.\n\n\
        With --user the programs that the agent starts are that user's, too: radvd, dhcp6s and Kea \
        (give the user the files that they keep below /var/lib). dhcpcd, dhcp6c and systemd-networkd \
        renew for root alone, unless `renew` names a command.")]
    Run(run::Run),
    /// Be what rtsold(8) is to a host, with its options; so is this program when it is called as
    /// rtsold or rtsol
    #[command(after_help = "Examples:\n  \
        renumberd rtsold -f eth0\n  \
        renumberd rtsold -a -p /run/rtsold.pid\n  \
        ln -s renumberd /usr/sbin/rtsol && rtsol -O /etc/dhcp6-script eth0\n\n\
        Without -f it goes into the background and logs to syslogd. The process id is written to \
        /run/rtsold.pid, or to /run/rtsold-eth0.pid where another instance has that; with -f only \
        where -p says so. The dump file is /run/rtsold.dump. Each script runs once, until the link \
        comes up anew: it has 30 s, a plain PATH and nobody's shell. Resolver data goes to \
        `SCRIPT -a eth0:slaac` on standard input, and is withdrawn by `SCRIPT -d eth0:slaac`; with \
        -u the key names the router, too: `eth0:slaac:[fe80::1%eth0]`.\n\n\
        Each instance has its interfaces alone: one that another agent has is refused by name. \
        Signals: USR1 writes the state to the dump file, TERM and INT stop. \
        `renumberd status --runtime-dir /run/renumberd/rtsold-eth0` shows it too. Exit codes are \
        those of rtsold: 0, and 1 for whatever is wrong.")]
    Rtsold(rtsold::Rtsold),
    /// Read a configuration and say what is wrong with it
    #[command(after_help = "Example:\n  renumberd check /etc/renumberd.toml")]
    Check {
        /// The configuration file
        #[arg(default_value = CONFIG_FILE)]
        file: PathBuf,
    },
    /// Show how a delegated prefix would be carved
    #[command(after_help = "Examples:\n  \
        renumberd plan --prefix 2001:db8:1200::/56\n  \
        renumberd plan --prefix 2001:db8::/60 --downlink lan0 --downlink wl0")]
    Plan {
        #[command(flatten)]
        site: Site,
        /// The delegated prefix
        #[arg(long, value_name = "PREFIX")]
        prefix: Ipv6Net,
    },
    /// Turn configurations of other programs into one of this program
    #[command(after_help = "Examples:\n  \
        renumberd import article /usr/local/etc/dhcpcd.enter-hook dhcpcd.conf \
        /usr/local/etc/dhcpcd.conf\n  \
        renumberd import dhcpcd.conf /etc/dhcpcd.conf radvd.conf /etc/radvd.conf\n  \
        renumberd import --downlink lan0 dhcp6s.conf /etc/wide-dhcpv6/dhcp6s.conf\n\n\
        The configuration goes to standard output, a comment behind each line says which line of \
        which file it comes from. What was left out, and why, stands at its end and on standard \
        error. The result passes `renumberd check`; read it before you run it.")]
    Import(import::Import),
    /// Show what the running agent has heard, what it holds, and what it advertises and delegates
    #[command(after_help = "Examples:\n  renumberd status\n  renumberd status --watch\n  \
            renumberd status hosts\n  renumberd status --json | jq .uplinks\n\n\
            Colours are for terminals, and for nobody where NO_COLOR is set.")]
    Status {
        #[command(flatten)]
        agent: Agent,
        #[command(flatten)]
        options: status::Options,
    },
    /// Say what is wrong with this machine, or with the agent on it, and what to do
    #[command(after_help = "Examples:\n  renumberd doctor\n  \
        renumberd doctor --uplink tap0 --downlink lan0\n  \
        renumberd doctor --json | jq '.findings[] | select(.severity == \"error\")'\n\n\
        It changes nothing, and needs no running agent: before the first start it looks at \
        forwarding, interfaces, other programs, ports, packet filters, rights and directories; \
        with an agent also at the conditions that this names. What needs root to be seen is left out \
        without it.\n\n\
        Exit codes: 0 nothing to mend (notes at most), 1 errors, 4 warnings and no errors.")]
    Doctor {
        #[command(flatten)]
        agent: Agent,
        #[command(flatten)]
        options: doctor::Options,
    },
    /// Find out what the provider does on an interface, without an agent and without changing anything
    #[command(after_help = "Examples:\n  renumberd survey wan0\n  \
        renumberd survey wan0 --request\n  renumberd survey wan0 --mask --json > for-a-bug-report.json\n\n\
        It solicits routers, asks DHCPv6 servers what they offer, first without and then with the hint \
        of a length, and listens. Nothing is committed by that. With --request what is offered is \
        requested, as an IA_PD of its own, and released at the end. Servers answer to UDP port 546 \
        alone: where another program has it none are asked, unless --take-port says so; what is sent \
        to that program comes here meanwhile, and it has to ask again. A kernel that follows router \
        advertisements follows those that are solicited, too.")]
    Survey(survey::Options),
    /// Ask the delegating router anew
    #[command(after_help = "Examples:\n  renumberd renew\n  renumberd renew tap0")]
    Renew {
        #[command(flatten)]
        agent: Agent,
        /// The uplink; without it, all
        uplink: Option<String>,
    },
    /// Put other prefixes in the place of static ones
    #[command(after_help = "Examples:\n  \
        renumberd prefix site=2001:db8:1200::/48\n  \
        renumberd prefix --graceful wan=2001:db8:1::/64 site=2001:db8:1200::/48\n  \
        renumberd prefix site=none")]
    Prefix {
        #[command(flatten)]
        agent: Agent,
        /// Keep the prefixes before them, deprecated, until they run out
        #[arg(long)]
        graceful: bool,
        /// Names of [static.NAME] tables, each with its prefix or `none`
        #[arg(required = true, value_name = "NAME=PREFIX", value_parser = assignment)]
        prefixes: Vec<(String, Option<Ipv6Net>)>,
    },
    /// End a delegation that was relayed here, whose router is gone: its route goes at once
    #[command(after_help = "Example:\n  renumberd forget 2001:db8:1:100::/56\n\n\
        `renumberd status` lists them. A router that lives after all has its route back when it \
        renews.")]
    Forget {
        #[command(flatten)]
        agent: Agent,
        /// What was delegated
        prefix: Ipv6Net,
    },
    /// Tell the agent that an uplink has connected anew (for ppp.linkup, ipv6-up.d)
    #[command(after_help = "Examples:\n  \
        renumberd linkup \"$PPP_IFACE\"\n  \
        renumberd linkup tun0 --wait 30s && service named restart\n\n\
        The agent solicits routers, asks for its lease anew, and removes the addresses of the former \
        connection as soon as there are new ones; link-local addresses stay. contrib/ppp has the \
        scripts of ppp that call this. With --wait the exit code is 3 when the time was too short.")]
    Linkup {
        #[command(flatten)]
        agent: Agent,
        /// The uplink
        uplink: String,
        /// How long to wait for an address and a lease of the new connection
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
        wait: Option<std::time::Duration>,
    },
    /// Wait until every uplink has its address and lease, and the kernel has all routes
    #[command(after_help = "Example:\n  renumberd ready --timeout 30s\n\n\
        Exit code 0 when all is there, 3 when the time was too short: then it says what is missing. \
        An agent that is not running yet may start meanwhile.")]
    Ready {
        #[command(flatten)]
        agent: Agent,
        /// How long to wait
        #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = humantime::parse_duration)]
        timeout: std::time::Duration,
    },
    /// Hand over what another program holds that requests an uplink's prefixes (for its hook)
    #[command(after_help = "Examples:\n  \
        in a hook of dhcpcd: renumberd feed dhcpcd\n  \
        in the script of dhcp6c: renumberd feed dhcp6c tap0\n  \
        echo '{\"event\": \"bound\", \"interface\": \"tap0\", \"prefixes\": [{\"prefix\": \
        \"2001:db8:1200::/56\", \"preferred\": 3600, \"valid\": 7200}]}' | renumberd feed json")]
    Feed {
        #[command(flatten)]
        agent: Agent,
        /// The program
        #[command(subcommand)]
        source: feed::Source,
    },
    /// Write the manual's pages
    #[command(after_help = "Example:\n  renumberd man man8 && man ./man8/renumberd.8")]
    Man {
        /// Where to; it is made
        directory: PathBuf,
    },
    /// Print the JSON Schema of the configuration file, for editors
    #[command(after_help = "Example:\n  renumberd schema > renumberd.schema.json\n\n\
        An editor with taplo reads it where the first line of the configuration is:\n  \
        #:schema ./renumberd.schema.json")]
    Schema,
    /// Print what a shell needs to complete this command line
    #[command(after_help = "Examples:\n  \
        renumberd completions bash > /usr/share/bash-completion/completions/renumberd\n  \
        renumberd completions zsh > /usr/share/zsh/vendor-completions/_renumberd")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Try out on this machine whether the agent works, on a site that is made and removed for that
    #[command(after_help = "Example:\n  renumberd selftest\n\n\
        It builds a provider, a router and a host, in network namespaces (FreeBSD: in jails, of epair \
        interfaces), lets the provider's line connect anew with other prefixes, and says line by line \
        what works. Exit code 0 when all does, else 1. Nothing of the machine's own network is \
        touched, and nothing stays. Needs root, or a system that allows user namespaces.")]
    Selftest,
    #[cfg(target_os = "linux")]
    /// Measure how fast prefix changes go through a site in network namespaces of this machine
    #[command(after_help = "Examples:\n  \
        renumberd bench\n  \
        renumberd bench --hops 4 --runs 20 --scenario flash --floor --svg bench.svg\n  \
        renumberd bench --loss 2 --max 5s --json bench.json\n\n\
        Needs root, or a system that allows user namespaces. All it makes is gone afterwards.")]
    Bench(bench::Bench),
    #[cfg(target_os = "linux")]
    /// A process of `bench`
    #[command(hide = true)]
    BenchPart(Part),
}

/// How a running agent is found.
#[derive(Debug, Clone, Args)]
struct Agent {
    /// Where the agent has its control socket
    #[arg(long, value_name = "DIR", default_value = RUNTIME_DIR, global = true)]
    runtime_dir: PathBuf,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let program = std::env::args_os().next().map(PathBuf::from);
    if let Some(name) = rtsold::called_as(program.as_deref()) {
        return rtsold::main(name);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if std::env::args_os().nth(1).is_some_and(|word| word == rtsold::DAEMON) => {
            return rtsold::misused(&error);
        }
        Err(error) => error.exit(),
    };
    match perform(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Reported(code)) => ExitCode::from(code),
        Err(Failure::Configuration(errors)) => {
            for error in errors {
                print_error(&error);
            }
            ExitCode::from(BAD_CONFIGURATION)
        }
        Err(Failure::Other(error)) => {
            print_error(&format_args!("{error:#}"));
            ExitCode::from(FAILED)
        }
    }
}

/// Why a command did not do what it was asked.
enum Failure {
    Configuration(Vec<ConfigError>),
    /// What was printed says why.
    Reported(u8),
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

fn perform(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run(options) => {
            let config = options.site.load().map_err(Failure::Configuration)?;
            run::run(&options, config)?;
        }
        Command::Rtsold(options) => rtsold::run(&options)?,
        Command::Check { file } => {
            let config = load_file(&file).map_err(Failure::Configuration)?;
            say(&check::render(&file, &config));
        }
        Command::Plan { site, prefix } => {
            let config = site.load().map_err(Failure::Configuration)?;
            say(&plan::render(&config, prefix.trunc()));
        }
        Command::Import(options) => {
            let imported =
                import::run(&options).map_err(|error| Failure::Configuration(vec![error]))?;
            say(&imported.configuration);
            print_error(&imported.summary.trim_end());
        }
        Command::Status { agent, options } => {
            status::run(&control::directory(&agent.runtime_dir), &options)?;
        }
        Command::Survey(options) => survey::run(&options)?,
        Command::Doctor { agent, options } => {
            let code = doctor::run(&control::directory(&agent.runtime_dir), &options)?;
            if code != 0 {
                return Err(Failure::Reported(code));
            }
        }
        Command::Renew { agent, uplink } => control::renew(&agent.runtime_dir, uplink)?,
        Command::Prefix { agent, graceful, prefixes } => {
            control::prefix(&agent.runtime_dir, prefixes.into_iter().collect(), graceful)?;
        }
        Command::Forget { agent, prefix } => control::forget(&agent.runtime_dir, prefix)?,
        Command::Linkup { agent, uplink, wait } => {
            control::linkup(&agent.runtime_dir, uplink.clone())?;
            let Some(wait) = wait else { return Ok(()) };
            if let Some(missing) = control::wait_connected(&agent.runtime_dir, &uplink, wait)? {
                let wait = humantime::format_duration(wait);
                print_error(&format_args!("{uplink} is not connected after {wait}: {missing}"));
                return Err(Failure::Reported(NOT_CONVERGED));
            }
        }
        Command::Ready { agent, timeout } => {
            if let Some(missing) = control::wait_ready(&agent.runtime_dir, timeout)? {
                print_error(&format_args!("not ready: {missing}"));
                return Err(Failure::Reported(NOT_CONVERGED));
            }
        }
        Command::Man { directory } => {
            for file in manual::write(Cli::command(), &directory)? {
                say(&format!("{}\n", file.display()));
            }
        }
        Command::Schema => {
            let text =
                serde_json::to_string_pretty(&schema::schema()).map_err(anyhow::Error::from)?;
            say(&(text + "\n"));
        }
        Command::Completions { shell } => {
            say(&String::from_utf8_lossy(&manual::completions(Cli::command(), shell)));
        }
        Command::Selftest => {
            let program = std::env::current_exe().map_err(anyhow::Error::from)?;
            if !selftest::run(&program)? {
                return Err(Failure::Reported(FAILED));
            }
        }
        Command::Feed { agent, source } => feed::run(&agent.runtime_dir, &source)?,
        #[cfg(target_os = "linux")]
        Command::Bench(options) => {
            let program = std::env::current_exe().map_err(anyhow::Error::from)?;
            let (code, text) = bench::run(&options, program)?;
            say(&text);
            if code != 0 {
                return Err(Failure::Reported(code));
            }
        }
        #[cfg(target_os = "linux")]
        Command::BenchPart(part) => part::play(&part)?,
    }
    Ok(())
}

/// `NAME=PREFIX`, or `NAME=none`.
fn assignment(text: &str) -> Result<(String, Option<Ipv6Net>), String> {
    let (name, prefix) = text.split_once('=').ok_or("write NAME=PREFIX")?;
    if prefix == "none" {
        return Ok((name.to_owned(), None));
    }
    let found: Ipv6Net = prefix.parse().map_err(|_| format!("{prefix} is no IPv6 prefix"))?;
    if found != found.trunc() {
        return Err(format!("{found} has bits set beyond its length: write {}", found.trunc()));
    }
    Ok((name.to_owned(), Some(found)))
}

/// A subordinate router as it fits into a line: the type of its DUID and the octets in which
/// DUIDs of one type differ most.
fn shortened(peer: &Peer) -> String {
    /// Two hexadecimal digits and a colon for each octet.
    const OCTET: usize = 3;
    let text = peer.to_string();
    let head = text.get(..4 * OCTET - 1).unwrap_or_default();
    let tail = text.get(text.len().saturating_sub(3 * OCTET - 1)..).unwrap_or_default();
    if text.len() > 8 * OCTET { format!("{head}…{tail}") } else { text }
}

/// Writes to standard output; a reader that has gone away is no failure.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Writes to standard error, the kernel's answers in words alone.
fn print_error(problem: &dyn std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{}", page::in_words(&problem.to_string()));
}
