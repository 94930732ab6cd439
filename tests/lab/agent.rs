//! The agent under test: the very binary, in a namespace.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use ipnet::Ipv6Net;
use nix::sys::signal::Signal;
use renumberd::lab::site::agent::Home;

use super::net::{Namespace, Net};
use super::process::{Mounts, Process};
use super::status::Status;
use super::{CEILING, eventually, secs};

/// The binary of this build; RENUMBERD names another one, of a release for instance.
pub fn program() -> PathBuf {
    let built = env!("CARGO_BIN_EXE_renumberd");
    std::env::var_os("RENUMBERD").map_or_else(|| PathBuf::from(built), PathBuf::from)
}

/// The files of the agent in a namespace.
pub fn home(net: &Net, namespace: &Namespace) -> Home {
    Home::at(net.directory(&format!("agent-{}", namespace.name()))).create().unwrap()
}

/// A running agent; killed on drop.
#[derive(Debug)]
pub struct Agent {
    namespace: Namespace,
    home: Home,
    command: Command,
    process: Process,
}

impl Agent {
    /// Starts it with a configuration file, and further arguments of `run`.
    pub fn start(net: &Net, namespace: &Namespace, config: &str, arguments: &[&str]) -> Self {
        let mut agent = Self::launch(net, namespace, config, arguments);
        agent.answers();
        agent
    }

    /// Starts it with arguments of `run` alone.
    pub fn start_without_file(net: &Net, namespace: &Namespace, arguments: &[&str]) -> Self {
        let mut agent = Self::launch_without_file(net, namespace, arguments);
        agent.answers();
        agent
    }

    /// Starts it with a configuration file, and does not wait for it.
    pub fn launch(net: &Net, namespace: &Namespace, config: &str, arguments: &[&str]) -> Self {
        let home = home(net, namespace);
        home.configure(config).unwrap();
        let file = home.config();
        let with_file = ["--config", file.to_str().unwrap()];
        Self::launch_without_file(net, namespace, &[&with_file[..], arguments].concat())
    }

    /// Starts it with a configuration file by `command`, which gets the arguments, and does not
    /// wait for it.
    pub fn launch_by(net: &Net, namespace: &Namespace, config: &str, command: Command) -> Self {
        let home = home(net, namespace);
        home.configure(config).unwrap();
        let file = home.config();
        let arguments = ["--config", file.to_str().unwrap()];
        Self::begin(namespace, home, command, &arguments)
    }

    /// `renumberd ready --timeout TIMEOUT`: its exit code and what it says.
    pub fn ready(&self, timeout: &str) -> (i32, String) {
        let output = self.command("ready").args(["--timeout", timeout]).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    fn launch_without_file(net: &Net, namespace: &Namespace, arguments: &[&str]) -> Self {
        let home = home(net, namespace);
        let mut arguments = arguments.to_vec();
        if !arguments.contains(&"--log") {
            arguments.extend(["--log", "debug"]);
        }
        let command = namespace.command(program());
        Self::begin(namespace, home, command, &arguments)
    }

    /// Starts it with a configuration file, among programs that have directories of their own.
    pub fn start_among(net: &Net, namespace: &Namespace, config: &str, mounts: &Mounts) -> Self {
        let home = home(net, namespace);
        home.configure(config).unwrap();
        let file = home.config();
        let arguments = ["--config", file.to_str().unwrap(), "--log", "debug"];
        let command = mounts.command(namespace, program().to_str().unwrap());
        let mut agent = Self::begin(namespace, home, command, &arguments);
        agent.answers();
        agent
    }

    fn begin(namespace: &Namespace, home: Home, mut command: Command, arguments: &[&str]) -> Self {
        command.args(home.arguments(arguments.to_vec()));
        let process = Process::start("renumberd", &mut command);
        Self { namespace: namespace.clone(), home, command, process }
    }

    /// What it says of itself; none while it does not answer.
    pub fn ask(&self) -> Option<Status> {
        let output = self.command("status").arg("--json").output().unwrap();
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
            .and_then(|text| Status::parse(&text))
    }

    /// What it says of itself.
    pub fn status(&self) -> Status {
        self.ask().expect("the agent answers")
    }

    /// The line of its log with `text`, waited for.
    pub fn logs(&mut self, text: &str) -> String {
        self.process.wait_for_log(text, CEILING)
    }

    /// Its log so far.
    pub fn log_lines(&self) -> Vec<String> {
        self.process.lines()
    }

    /// `renumberd status`, as people read it.
    pub fn explain(&self) -> String {
        String::from_utf8(self.command("status").output().unwrap().stdout).unwrap()
    }

    /// What `renumberd doctor --json` says of it, with its configuration and further arguments.
    pub fn examine(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.command("doctor").arg("--json").args(arguments).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Writes another configuration and sends SIGHUP.
    pub fn reload(&self, config: &str) {
        self.home.configure(config).unwrap();
        self.process.signal(Signal::SIGHUP);
    }

    /// `renumberd renew`.
    pub fn renew(&self) {
        let output = self.command("renew").output().unwrap();
        assert!(output.status.success(), "renew: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// `renumberd forget PREFIX`; what it says where it fails.
    pub fn forget(&self, prefix: Ipv6Net) -> Result<(), String> {
        let output = self.command("forget").arg(prefix.to_string()).output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.success().then_some(()).ok_or(complaint)
    }

    /// `renumberd prefix NAME=PREFIX`: another static prefix.
    pub fn set_prefix(&self, name: &str, prefix: Ipv6Net) {
        let output = self.command("prefix").arg(format!("{name}={prefix}")).output().unwrap();
        assert!(output.status.success(), "prefix: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// `renumberd linkup UPLINK`.
    pub fn linkup(&self, uplink: &str) {
        let output = self.command("linkup").arg(uplink).output().unwrap();
        assert!(output.status.success(), "linkup: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// `renumberd linkup UPLINK --wait WAIT`: its exit code and what it says.
    pub fn linkup_and_wait(&self, uplink: &str, wait: &str) -> (i32, String) {
        let output = self.command("linkup").args([uplink, "--wait", wait]).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    /// `renumberd prefix`.
    pub fn prefix(&self, words: &[&str]) {
        let output = self.command("prefix").args(words).output().unwrap();
        assert!(output.status.success(), "prefix: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM, and it ends well.
    pub fn stop(&mut self) {
        let status = self.process.stop();
        assert!(status.success(), "the agent stops: {status}");
    }

    /// Starts it again after [`kill`](Self::kill) or [`stop`](Self::stop), with what it left.
    pub fn restart(&mut self) {
        self.process = Process::start("renumberd", &mut self.command);
        self.answers();
    }

    /// Runs another one with the same arguments, to its end.
    pub fn second(&mut self) -> Output {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
    }

    /// Where it writes files for other programs.
    pub fn runtime(&self) -> PathBuf {
        self.home.runtime()
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub fn running(&mut self) -> bool {
        self.process.running()
    }

    fn answers(&mut self) {
        eventually("the agent answers to status", secs(10), || {
            assert!(self.process.running(), "the agent ended by itself");
            self.ask()
        });
    }

    fn command(&self, word: &str) -> Command {
        let mut command = self.namespace.command(program());
        command.arg(word).arg("--runtime-dir").arg(self.home.runtime());
        command
    }
}
