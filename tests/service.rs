//! The agent under a service manager: when it counts as started, and how it is known to be alive.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure in a test is a panic"
)]

mod lab;

use std::fs::{Permissions, metadata, read_to_string, remove_file, set_permissions, write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use lab::agent::{self, Agent};
use lab::process::Process;
use lab::provider::Era;
use lab::scripted::{Script, Scripted};
use lab::site::{self, PROVIDER, Site};
use lab::{CEILING, eventually, secs};

/// The user `nobody`.
const NOBODY: u32 = 65_534;
/// What the agent's unit gives it.
const CAPABILITIES: [&str; 3] = ["net_admin", "net_raw", "net_bind_service"];

/// A service manager, as far as the agent sees one.
struct Manager(UnixDatagram);

impl Manager {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self(socket)
    }

    /// What has come since the last time.
    fn read(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length) = self.0.recv(&mut buffer) {
            lines.extend(String::from_utf8_lossy(&buffer[..length]).lines().map(str::to_owned));
        }
        lines
    }

    /// Waits for a line that begins so; all that came until then.
    fn wait_for(&self, beginning: &str) -> Vec<String> {
        let mut lines = Vec::new();
        eventually(&format!("a line {beginning}…"), CEILING, || {
            lines.extend(self.read());
            lines.iter().any(|line| line.starts_with(beginning)).then(|| lines.clone())
        })
    }
}

/// Starts the agent as a service manager does that listens at `socket` and hears from it every
/// second.
fn launch(site: &Site, config: &str, socket: &Path) -> Agent {
    let mut command = site.dut.command(agent::program());
    command.env("NOTIFY_SOCKET", socket).env("WATCHDOG_USEC", "1000000");
    Agent::launch_by(&site.net, &site.dut, config, command)
}

/// Starts it as the unit does: as another user, with these capabilities and no others.
fn launch_with(site: &Site, config: &str, capabilities: &[&str]) -> Agent {
    let home = agent::home(&site.net, &site.dut);
    for directory in [home.state(), home.runtime()] {
        chown(&directory, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let mut command = site.dut.command("setpriv");
    command.args(["--no-new-privs", "--clear-groups"]);
    command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")]);
    let kept: String = capabilities.iter().map(|capability| format!(",+{capability}")).collect();
    for set in ["inh-caps", "ambient-caps", "bounding-set"] {
        command.arg(format!("--{set}=-all{kept}"));
    }
    command.arg(agent::program());
    Agent::launch_by(&site.net, &site.dut, config, command)
}

/// What the unit gives it is all that it needs.
#[test]
fn a_user_with_three_capabilities_is_enough() {
    let site = Site::new();
    let era = Era::new(1);
    let _router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(era));
    site.dut.sysctl("wan0", "accept_ra", 1);
    let config = format!("on-stop = \"remove\"\n{}", site::config());
    let mut agent = launch_with(&site, &config, &CAPABILITIES);
    site.client().takes(era.delegated, CEILING);
    assert_eq!(accept_ra(&site), "0", "settings of interfaces are within reach");
    let conditions = agent.status();
    assert!(!conditions.complains("refused"), "{}", agent.explain());
    agent.stop();
    assert_eq!(accept_ra(&site), "1");
}

/// SEC-12
#[test]
fn root_has_it_go_on_as_a_user_who_can_change_the_network_and_nothing_else() {
    let site = Site::new();
    let era = Era::new(1);
    let _router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(era));
    site.dut.sysctl("wan0", "accept_ra", 1);
    let config = format!("on-stop = \"remove\"\n{}", site::config());
    // What runs as root renews for root alone.
    let led = "[uplink.wan0]\nrequester = \"dhcpcd\"\n[downlink.lan0]\n";
    let mut refused = Agent::launch(&site.net, &site.dut, led, &["--user", "nobody"]);
    refused.logs("--user nobody: dhcpcd on wan0 runs as root and renews for nobody else");
    eventually("its end", CEILING, || (!refused.running()).then_some(()));
    // What root has left is the user's then.
    let mut agent = Agent::start(&site.net, &site.dut, &config, &[]);
    agent.stop();
    let mut agent = Agent::start(&site.net, &site.dut, &config, &["--user", "nobody"]);
    site.client().takes(era.delegated, CEILING);
    assert_eq!(accept_ra(&site), "0", "settings of interfaces are within reach");
    assert!(!agent.status().complains("refused"), "{}", agent.explain());
    let home = agent::home(&site.net, &site.dut);
    for file in ["memory.jsonl", "lock"] {
        assert_eq!(metadata(home.state().join(file)).unwrap().uid(), NOBODY, "{file}");
    }
    let status = read_to_string(format!("/proc/{}/status", agent.pid())).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(field("Uid:"), vec![NOBODY.to_string(); 4]);
    assert_eq!(field("Gid:"), vec![NOBODY.to_string(); 4]);
    // CAP_NET_BIND_SERVICE, CAP_NET_ADMIN and CAP_NET_RAW are 10, 12 and 13.
    for set in ["CapPrm:", "CapEff:", "CapInh:", "CapAmb:", "CapBnd:"] {
        assert_eq!(field(set), ["0000000000003400"], "{set}");
    }
    assert_eq!(field("NoNewPrivs:"), ["1"]);
    // It could start no other program: one that comes with a reload is refused.
    agent.reload(&format!("{config}advertiser = \"radvd\"\n"));
    agent.logs("out of reach of an agent that was started with --user");
    a_file_elsewhere_is_refused(&site, &mut agent, &config);
    agent.stop();
    assert_eq!(accept_ra(&site), "1");
}

/// What everybody may read is out of reach of an agent that has no need of it (Landlock).
fn a_file_elsewhere_is_refused(site: &Site, agent: &mut Agent, config: &str) {
    let elsewhere = site.net.directory("elsewhere").join("renumberd.toml");
    let file = agent::home(&site.net, &site.dut).config();
    for (path, text) in [(&elsewhere, "nonsense = 1\n"), (&file, config)] {
        write(path, text).unwrap();
        set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    }
    let as_nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "cat"];
    site.dut.run("setpriv", &[&as_nobody[..], &[elsewhere.to_str().unwrap()]].concat());
    remove_file(&file).unwrap();
    symlink(&elsewhere, &file).unwrap();
    kill(Pid::from_raw(agent.pid().cast_signed()), Signal::SIGHUP).unwrap();
    agent.logs("renumberd.toml: cannot be read: Permission denied");
}

/// SEC-12
#[test]
fn a_right_that_is_missing_is_named_with_how_to_give_it() {
    for (missing, text) in [
        (
            "net_admin",
            "accept_ra to 0: that is not permitted, the agent needs the capability CAP_NET_ADMIN",
        ),
        ("net_raw", "ICMPv6 needs the capability CAP_NET_RAW"),
        (
            "net_bind_service",
            "port 546: that is not permitted, the agent needs the capability CAP_NET_BIND_SERVICE",
        ),
    ] {
        let site = Site::new();
        site.dut.sysctl("wan0", "accept_ra", 1);
        let kept: Vec<&str> = CAPABILITIES.into_iter().filter(|one| *one != missing).collect();
        let mut agent = launch_with(&site, &site::config(), &kept);
        agent.logs(text);
    }
}

fn accept_ra(site: &Site) -> String {
    site.dut.run("cat", &["/proc/sys/net/ipv6/conf/wan0/accept_ra"]).trim().to_owned()
}

#[test]
fn it_is_ready_when_addresses_and_routes_are_there() {
    let site = Site::new();
    let socket = site.net.directory("manager").join("notify");
    let manager = Manager::at(&socket);
    let mut agent = launch(&site, &site::config(), &socket);
    let waiting = manager.wait_for("STATUS=waiting: wan0: no router has been heard");
    assert!(!waiting.contains(&"READY=1".to_owned()), "{waiting:?}");
    let (code, complaint) = agent.ready("0s");
    assert_eq!((code, complaint.contains("wan0")), (3, true), "{complaint}");

    let era = Era::new(1);
    let _router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(era));
    let lines = manager.wait_for("READY=1");
    assert!(lines.contains(&"STATUS=ready".to_owned()), "{lines:?}");
    assert!(site.router_has("lan0", era.delegated), "the address is there by then");
    assert_eq!(agent.ready("0s"), (0, String::new()));

    manager.read();
    manager.wait_for("WATCHDOG=1");
    agent.stop();
    manager.wait_for("STOPPING=1");
}

#[test]
fn a_silent_provider_does_not_hold_up_the_boot_for_ever() {
    let site = Site::new();
    let socket = site.net.directory("manager").join("notify");
    let manager = Manager::at(&socket);
    let config = format!("ready-timeout = \"500ms\"\n{}", site::config());
    let mut agent = launch(&site, &config, &socket);
    let lines = manager.wait_for("READY=1");
    let status = lines.iter().find(|line| line.starts_with("STATUS=running without")).unwrap();
    assert!(status.contains("no router has been heard"), "{status}");
    assert!(agent.running());
    agent.stop();
}

/// PKG-05: a host starts without a network, too; what it lacks stays known.
#[test]
fn a_host_counts_as_started_at_once() {
    let site = Site::new();
    let directory = site.net.directory("manager");
    let manager = Manager::at(&directory.join("notify"));
    let runtime = directory.join("run");
    site.dut.sysctl("wan0", "accept_ra", 2);
    let mut command = site.dut.command(agent::program());
    command.env("NOTIFY_SOCKET", directory.join("notify")).env("WATCHDOG_USEC", "1000000");
    command.args(["rtsold", "-f", "wan0", "-c"]).arg(directory.join("dump"));
    let mut rtsold = Process::start("rtsold", command.arg("--runtime-dir").arg(&runtime));
    let lines = manager.wait_for("READY=1");
    let status = lines.iter().rfind(|line| line.starts_with("STATUS=")).unwrap();
    assert!(status.starts_with("STATUS=running without all that it needs: wan0"), "{status}");
    // Who wants to wait for the network does so by a command of its own.
    let wait = |timeout| {
        let mut command = site.dut.command(agent::program());
        command.args(["ready", "--timeout", timeout, "--runtime-dir"]);
        command.arg(runtime.join("rtsold-wan0")).output().unwrap().status.code()
    };
    assert_eq!(wait("0s"), Some(3));
    // What is lacking is followed on.
    let _router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(Era::new(1)));
    eventually("another status", CEILING, || {
        let lines = manager.read();
        lines.iter().any(|line| line.starts_with("STATUS=") && line != status).then_some(())
    });
    rtsold.stop();
}

#[test]
fn waiting_for_an_agent_that_is_not_there_says_so() {
    let site = Site::new();
    let mut agent = site.agent(&[]);
    agent.stop();
    let since = lab::sys::monotonic();
    let (code, complaint) = agent.ready("300ms");
    assert_eq!(code, 3);
    assert!(complaint.contains("no agent answers"), "{complaint}");
    assert!(lab::sys::monotonic() - since < secs(3));
}

/// OPS-06: no wait and no other directory helps a user who may not ask the agent.
#[test]
fn a_user_who_may_not_ask_the_agent_hears_that_at_once() {
    let site = Site::new();
    let agent = site.agent(&[]);
    let ask = |words: &[&str]| {
        let mut command = site.dut.command("setpriv");
        command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")]);
        command.arg("--clear-groups").arg(agent::program()).args(words);
        let output = command.arg("--runtime-dir").arg(agent.runtime()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    let since = lab::sys::monotonic();
    for words in [&["status"][..], &["renew"], &["ready", "--timeout", "1min"]] {
        let (code, text) = ask(words);
        assert_eq!(code, Some(1), "{words:?}: {text}");
        assert!(text.contains("to this user: ask as root"), "{words:?}: {text}");
    }
    assert!(lab::sys::monotonic() - since < secs(10));
    let (_, text) = ask(&["doctor", "--uplink", "wan0", "--downlink", "lan0"]);
    assert!(text.contains("this user may not ask the agent"), "{text}");
    assert!(text.contains("warning agent-not-asked"), "{text}");
    assert!(!text.contains("right-missing") && !text.contains("-directory"), "{text}");
}
