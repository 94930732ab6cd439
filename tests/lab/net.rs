//! Network namespaces and what connects them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use pnet::datalink::NetworkInterface;
use serde_json::Value;

use super::house::{self, Slot};
use super::{eventually, secs, sys};

static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// The namespaces of one test and a directory for its files.
#[derive(Debug)]
pub struct Net {
    number: usize,
    made: std::sync::Mutex<Vec<String>>,
    directory: tempfile::TempDir,
    _slot: Slot,
}

/// A network namespace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Namespace(String);

impl Net {
    pub fn new() -> Self {
        let slot = Slot::take();
        Self {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            made: std::sync::Mutex::default(),
            directory: tempfile::Builder::new().prefix("renumberd-lab").tempdir().unwrap(),
            _slot: slot,
        }
    }

    /// A host: it takes addresses from advertisements as Linux does by default.
    pub fn host(&self, role: &str) -> Namespace {
        let name = format!("rn{}-{}-{role}", std::process::id(), self.number);
        run("ip", &["netns", "add", &name]);
        self.made.lock().unwrap().push(name.clone());
        let namespace = Namespace(name);
        namespace.ip("link set lo up");
        namespace
    }

    /// A router: it forwards, and its kernel does not listen to advertisements.
    pub fn router(&self, role: &str) -> Namespace {
        let namespace = self.host(role);
        for scope in ["all", "default"] {
            namespace.sysctl(scope, "forwarding", 1);
            namespace.sysctl(scope, "accept_ra", 0);
        }
        namespace
    }

    /// A switch with one port for each place given; cables to switched-off ports keep carrier.
    pub fn switch(&self, role: &str, places: &[(&Namespace, &str)]) -> Namespace {
        let switch = self.host(role);
        switch.sysctl("default", "disable_ipv6", 1);
        switch.ip("link add switch type bridge mcast_snooping 0 forward_delay 0");
        switch.ip("link set switch up");
        for (port, place) in places.iter().enumerate() {
            let port = format!("port{port}");
            self.cable((&switch, &port), *place);
            switch.ip(&format!("link set {port} master switch"));
        }
        switch
    }

    /// A veth pair between two places, both ends up. Checksum offload is off: raw readers would
    /// see half-made checksums.
    pub fn cable(&self, one: (&Namespace, &str), other: (&Namespace, &str)) {
        let ((one, name), (other, peer)) = (one, other);
        one.ip(&format!("link add {name} type veth peer name {peer} netns {}", other.name()));
        for (namespace, interface) in [(one, name), (other, peer)] {
            namespace.run("ethtool", &["-K", interface, "tx", "off", "rx", "off"]);
            namespace.ip(&format!("link set {interface} up"));
        }
    }

    /// A directory for files of this test.
    pub fn directory(&self, name: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in self.made.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner) {
            house::remove(name);
        }
    }
}

impl Namespace {
    pub fn name(&self) -> &str {
        &self.0
    }

    /// A command that will run in this namespace, as the very process that is started.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.0)).arg("--").arg(program.as_ref());
        command
    }

    /// Runs a program to its end and returns what it printed.
    pub fn run(&self, program: &str, arguments: &[&str]) -> String {
        finish(self.command(program).args(arguments))
    }

    /// Runs `ip`, its arguments separated by blanks.
    pub fn ip(&self, arguments: &str) -> String {
        let split: Vec<&str> = arguments.split_whitespace().collect();
        run("ip", &[&["-n", &self.0][..], &split].concat())
    }

    /// What `ip -6 -json` says.
    pub fn ip_json(&self, arguments: &str) -> Vec<Value> {
        let text = self.ip(&format!("-6 -json {arguments}"));
        if text.trim().is_empty() { Vec::new() } else { serde_json::from_str(&text).unwrap() }
    }

    /// Sets `net.ipv6.conf.<interface>.<name>`.
    pub fn sysctl(&self, interface: &str, name: &str, value: i32) {
        let path = format!("/proc/sys/net/ipv6/conf/{interface}/{name}");
        sys::in_namespace(&self.0, || {
            std::fs::write(&path, value.to_string())
                .unwrap_or_else(|error| panic!("{path}: {error}"));
        });
    }

    /// Gives an interface this link-local address alone, usable at once: servers that open their
    /// sockets while it is tentative never serve.
    pub fn link_local(&self, interface: &str, address: &str) {
        self.ip(&format!("-6 addr flush dev {interface} scope link"));
        self.ip(&format!("addr add {address}/64 dev {interface} nodad"));
    }

    /// Waits until the interface has a link-local address that it can send from.
    pub fn settled(&self, interface: &str) {
        eventually(&format!("{interface} has a link-local address"), secs(10), || {
            let shown = self.ip_json(&format!("addr show dev {interface} scope link"));
            let addresses = shown.iter().filter_map(|link| link["addr_info"].as_array()).flatten();
            addresses
                .filter(|address| address["local"].is_string())
                .any(|address| address["tentative"].as_bool() != Some(true))
                .then_some(())
        });
    }

    /// An interface as the library for raw frames wants it.
    pub fn interface(&self, name: &str) -> NetworkInterface {
        let found = sys::in_namespace(&self.0, || {
            pnet::datalink::interfaces().into_iter().find(|interface| interface.name == name)
        });
        found.unwrap_or_else(|| panic!("no interface {name} in {}", self.0))
    }

    /// All there is to compare of global addresses and routes, without lifetimes.
    pub fn snapshot(&self) -> Vec<String> {
        let mut seen = Vec::new();
        for link in self.ip_json("addr show scope global") {
            for address in link["addr_info"].as_array().into_iter().flatten() {
                let deprecated = address["deprecated"].as_bool() == Some(true);
                seen.push(format!("{} {} {deprecated}", link["ifname"], address["local"]));
            }
        }
        for route in self.ip_json("route show table all") {
            let (to, via, dev) = (&route["dst"], &route["gateway"], &route["dev"]);
            if route["type"] != "multicast" && !to.to_string().contains("fe80") {
                seen.push(format!("{to} via {via} dev {dev} {}", route["protocol"]));
            }
        }
        seen.sort();
        seen
    }
}

/// Runs a program outside of any namespace.
pub fn run(program: &str, arguments: &[&str]) -> String {
    finish(Command::new(program).args(arguments))
}

fn finish(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
