//! The runner's child processes: each enters its namespace and dies with the runner, but
//! for the one that clears up.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use clap::{Args, Subcommand};
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

use super::floor;
use super::site::keeper;
use super::site::nodes::Site;
use super::site::private;

/// A part that a child process plays.
#[derive(Debug, Clone, Args)]
pub struct Part {
    /// The namespace to enter
    #[arg(long)]
    net: Option<PathBuf>,
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Clone, Subcommand)]
enum Role {
    /// This program with other arguments
    Agent { arguments: Vec<String> },
    /// Another program, which has these directories for itself
    Program { directory: PathBuf, words: Vec<String> },
    /// A node of the floor
    Floor { hops: usize, depth: usize },
    /// A load
    Busy,
    /// Clears up when the runner has ended
    Keep { directory: PathBuf },
}

/// Plays it.
///
/// # Errors
///
/// What keeps it from that.
pub fn play(part: &Part) -> anyhow::Result<()> {
    // A key press in the runner's terminal is the runner's business; and the scheduler shares the
    // machine out by sessions.
    nix::unistd::setsid()?;
    if !matches!(part.role, Role::Keep { .. }) {
        set_pdeathsig(Signal::SIGKILL)?;
    }
    if let Some(net) = &part.net {
        setns(File::open(net)?, CloneFlags::CLONE_NEWNET)?;
    }
    match &part.role {
        Role::Agent { arguments } => {
            Err(Command::new(std::env::current_exe()?).args(arguments).exec().into())
        }
        Role::Program { directory, words } => private::become_program(directory, words),
        Role::Floor { hops, depth } => floor::play(Site { hops: *hops, clients: 1 }, *depth),
        Role::Keep { directory } => keeper::play(directory),
        Role::Busy => loop {
            std::hint::spin_loop();
        },
    }
}
