//! A PostgreSQL server with an empty database for leases of Kea: reached by its socket alone, started
//! by an unprivileged user, and gone with the test.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use nix::sys::signal::Signal;

use super::net::Net;
use super::process::Process;
use super::{eventually, millis, pause, secs};

/// Who runs it: Debian's package makes this user.
const USER: &str = "postgres";
/// What Kea keeps its leases in.
const SCHEMA: &str = "/usr/share/kea/scripts/pgsql/dhcpdb_create.pgsql";

/// A running server.
#[derive(Debug)]
pub struct Postgresql {
    directory: PathBuf,
    process: Option<Process>,
}

impl Postgresql {
    /// Starts it, with the database `kea` of a user of that name.
    pub fn start(net: &Net) -> Self {
        let directory = net.directory("postgresql");
        run(Command::new("chown").arg(USER).arg(&directory));
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut init = unprivileged("initdb");
        init.args(["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "-D"]);
        run(init.arg(directory.join("data")));
        let mut started = Self { directory, process: None };
        started.restart();
        run(&mut started.sql("postgres", USER, &["-c", "CREATE ROLE kea LOGIN"]));
        run(&mut started.sql("postgres", USER, &["-c", "CREATE DATABASE kea OWNER kea"]));
        run(&mut started.sql("kea", "kea", &["-f", SCHEMA]));
        started
    }

    /// Starts it again.
    pub fn restart(&mut self) {
        let mut server = unprivileged("postgres");
        server.arg("-D").arg(self.directory.join("data"));
        server.args(["-c", "listen_addresses=", "-c", "fsync=off"]);
        server.arg("-c").arg(format!("unix_socket_directories={}", self.directory.display()));
        self.process = Some(Process::start("postgresql", &mut server));
        eventually("PostgreSQL answers", secs(20), || {
            let answer = self.sql("postgres", USER, &["-c", "SELECT 1"]).output().unwrap();
            answer.status.success().then_some(())
        });
    }

    /// Ends it, whoever is connected.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        process.signal(Signal::SIGQUIT);
        // Killed it would leave shared memory behind.
        let until = Instant::now() + secs(5);
        while process.running() && Instant::now() < until {
            pause(millis(20));
        }
    }

    /// The directory of its socket.
    pub fn host(&self) -> &Path {
        &self.directory
    }

    /// The prefixes of the leases in the database.
    pub fn leases(&self) -> Vec<String> {
        let query = "SELECT address FROM lease6 WHERE state = 0 ORDER BY address";
        let output = self.sql("kea", "kea", &["-At", "-c", query]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    fn sql(&self, database: &str, user: &str, words: &[&str]) -> Command {
        let mut command = Command::new(program("psql"));
        command.args(["-q", "-X", "-v", "ON_ERROR_STOP=1", "-d", database, "-U", user, "-h"]);
        command.arg(&self.directory).args(words);
        command
    }
}

/// Debian has its programs below a directory for each version.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let programs = versions.filter_map(|version| Some(version.ok()?.path().join("bin").join(name)));
    let found = programs.filter(|program| program.exists()).max();
    found.expect("PostgreSQL is not installed: run tests/install-peers.sh")
}

fn unprivileged(name: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "--"]).arg(program(name));
    command.current_dir("/");
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

impl Drop for Postgresql {
    fn drop(&mut self) {
        self.stop();
    }
}
