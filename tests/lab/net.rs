//! Network namespaces and what connects them: those of the library, where a failure is a panic.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use pnet::util::MacAddr;
use renumberd::lab::site::keeper::Keeper;
use renumberd::lab::site::namespace;
use serde_json::Value;

use super::house::Slot;

/// The namespaces of one test and a directory for its files.
#[derive(Debug)]
pub struct Net {
    roles: Mutex<Vec<String>>,
    keeper: Mutex<Keeper>,
    directory: PathBuf,
    _slot: Slot,
}

/// A network namespace.
#[derive(Clone, Debug)]
pub struct Namespace {
    inner: namespace::Namespace,
    role: String,
}

/// An interface of a namespace.
pub type Place<'a> = (&'a Namespace, &'a str);

impl Net {
    pub fn new() -> Self {
        let slot = Slot::take();
        let program = Path::new(env!("CARGO_BIN_EXE_renumberd"));
        let keeper = Keeper::start(program, "renumberd-lab-").unwrap();
        let directory = keeper.directory().to_owned();
        Self { roles: Mutex::default(), keeper: Mutex::new(keeper), directory, _slot: slot }
    }

    /// A host: it takes addresses from advertisements as Linux does by default.
    pub fn host(&self, role: &str) -> Namespace {
        let inner = namespace::Namespace::new().unwrap();
        self.keeper.lock().unwrap().hold(&inner).unwrap();
        let mut roles = self.roles.lock().unwrap();
        assert!(!roles.iter().any(|known| known == role), "two systems are called {role}");
        roles.push(role.to_owned());
        inner.set_up("lo", true).unwrap();
        Namespace { inner, role: role.to_owned() }
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
    pub fn switch(&self, role: &str, places: &[Place<'_>]) -> Namespace {
        let switch = self.host(role);
        switch.sysctl("default", "disable_ipv6", 1);
        switch.inner.switch("switch").unwrap();
        for (port, place) in places.iter().enumerate() {
            switch.port(&format!("port{port}"), *place, None);
        }
        switch
    }

    /// A veth pair between two places, both ends up.
    pub fn cable(&self, one: Place<'_>, other: Place<'_>) {
        one.0.inner.cable(one.1, (&other.0.inner, other.1)).unwrap();
    }

    /// A directory for files of this test.
    pub fn directory(&self, name: &str) -> PathBuf {
        let path = self.directory.join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }
}

impl Namespace {
    /// What it is in its test.
    pub fn name(&self) -> &str {
        &self.role
    }

    /// The library's handle of it.
    pub const fn handle(&self) -> &namespace::Namespace {
        &self.inner
    }

    /// Runs `work` inside. Sockets opened there stay there, whichever thread uses them.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.inner.run(|| Ok(work())).unwrap()
    }

    /// A cable from a new port of the switch that this is.
    pub fn port(&self, port: &str, far: Place<'_>, link_layer: Option<[u8; 6]>) {
        self.inner.port("switch", port, (&far.0.inner, far.1), link_layer).unwrap();
    }

    /// A command that will run in this namespace, as the very process that is started.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        self.inner.command(program.as_ref())
    }

    /// Runs a program to its end and returns what it printed.
    pub fn run(&self, program: &str, arguments: &[&str]) -> String {
        finish(self.command(program).args(arguments))
    }

    /// Runs `ip`, its arguments separated by blanks.
    pub fn ip(&self, arguments: &str) -> String {
        let split: Vec<&str> = arguments.split_whitespace().collect();
        self.run("ip", &split)
    }

    /// What `ip -6 -json` says.
    pub fn ip_json(&self, arguments: &str) -> Vec<Value> {
        let text = self.ip(&format!("-6 -json {arguments}"));
        if text.trim().is_empty() { Vec::new() } else { serde_json::from_str(&text).unwrap() }
    }

    /// Sets `net.ipv6.conf.<interface>.<name>`.
    pub fn sysctl(&self, interface: &str, name: &str, value: i32) {
        self.inner.sysctl(interface, name, value).unwrap();
    }

    /// Gives an interface this link-local address alone, usable at once: servers that open their
    /// sockets while it is tentative never serve.
    pub fn link_local(&self, interface: &str, address: &str) {
        self.ip(&format!("-6 addr flush dev {interface} scope link"));
        self.ip(&format!("addr add {address}/64 dev {interface} nodad"));
    }

    /// Waits until the interface has a link-local address that it can send from.
    pub fn settled(&self, interface: &str) {
        self.inner.settled(&[interface]).unwrap();
    }

    /// The link-layer address of an interface.
    pub fn mac(&self, interface: &str) -> MacAddr {
        self.inner.mac(interface).unwrap()
    }

    /// The index of an interface.
    pub fn index(&self, interface: &str) -> u32 {
        self.inner.index(interface).unwrap()
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
