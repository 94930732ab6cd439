//! `rtsold` and `rtsol`: the manual of rtsold(8), option by option, in namespaces with a router that
//! does what a test wants.
//!
//! | option | what is tested |
//! | --- | --- |
//! | `-a` | `all_interfaces_that_can_have_routers_are_found` |
//! | `-d`, `-D`, `-i`, `-l`, `-m` | `the_log_is_as_detailed_as_d_asks_for` |
//! | `-f`, `-1` | `rtsol_ends_when_nobody_answers_three_solicitations` |
//! | `-F` | `the_kernel_is_made_to_accept_advertisements_only_where_that_is_wanted` |
//! | `-u` | `with_u_each_router_has_its_own_entry` |
//! | `-M`, `-O`, `-A` | `scripts_are_called_once_with_the_interface_and_the_router` |
//! | `-R` | `resolver_data_goes_to_resolvconf_and_is_withdrawn_when_it_ends` |
//! | `-p`, `-c`, USR1, TERM | `a_daemon_goes_into_the_background_with_its_pid_file_and_usr1_dumps` |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure in a test is a panic"
)]

mod lab;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use renumberd::time::Lifetime;
use renumberd::wire::ndp_option::NdpOption;

use lab::agent::{Agent, program};
use lab::client::{Client, INTERFACE};
use lab::flood::Usage;
use lab::net::{Namespace, Net};
use lab::process::Process;
use lab::provider::Era;
use lab::scripted::{Script, Scripted};
use lab::wire::Wire;
use lab::{CEILING, eventually, executable, millis, pause, secs, settles};

const ROUTER: &str = "fe80::1";

/// A host with a router beside it.
struct Bench {
    net: Net,
    host: Client,
    router: Namespace,
    directory: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let net = Net::new();
        let router = net.router("router");
        let host = Client::new(&net, "host", &[]);
        net.cable((&host.namespace, INTERFACE), (&router, "lan0"));
        router.link_local("lan0", ROUTER);
        host.namespace.settled(INTERFACE);
        let directory = net.directory("rtsold");
        for name in ["rtsold", "rtsol"] {
            symlink(program(), directory.join(name)).unwrap();
        }
        Self { net, host, router, directory }
    }

    fn path(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The program by one of its names, with the directory of agents for this test.
    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = self.host.namespace.command(self.path(name));
        command.args(["--runtime-dir", &self.path("run")]).args(arguments);
        command
    }

    fn output(&self, name: &str, arguments: &[&str]) -> Output {
        self.command(name, arguments).output().unwrap()
    }

    /// A daemon in the foreground.
    fn rtsold(&self, arguments: &[&str]) -> Process {
        let dump = self.path("dump");
        let arguments = [&["-f", "-d", "-c", &dump], arguments].concat();
        Process::start("rtsold", &mut self.command("rtsold", &arguments))
    }

    fn router(&self, change: impl FnOnce(&mut Script)) -> Scripted {
        let mut script = Script::new(Era::new(1));
        change(&mut script);
        Scripted::start((&self.router, "lan0"), ROUTER, script)
    }

    /// A program that writes down its arguments, and its input after `-a`.
    fn program(&self, name: &str) -> String {
        let (path, log) = (self.path(name), self.path(&format!("{name}.log")));
        let text =
            format!("#!/bin/sh\n{{ echo \"$@\"; test \"$1\" = -a && cat; }} >>{log}\nexit 0\n");
        executable::write(Path::new(&path), &text);
        path
    }

    /// How long an answer to `renumberd status` takes.
    fn status_takes(&self) -> Duration {
        let begun = Instant::now();
        let directory = self.path("run/rtsold-eth0");
        let mut command = Command::new(program());
        let output = command.args(["status", "--json", "--runtime-dir", &directory]).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        begun.elapsed()
    }

    /// What such a program was called with, when that is all that it was.
    fn called(&self, name: &str, expected: &str) {
        settles(name, CEILING, || {
            let called = self.read(&format!("{name}.log"));
            if called == expected { Ok(()) } else { Err(called) }
        });
    }
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn rdnss(lifetime: u32) -> NdpOption {
    let servers = vec!["2001:db8::53".parse().unwrap(), "fe80::53".parse().unwrap()];
    NdpOption::Rdnss { lifetime: Lifetime::from_wire(lifetime), servers }
}

#[test]
fn rtsol_ends_when_a_router_has_been_heard() {
    let bench = Bench::new();
    let _router = bench.router(|_| ());
    let begun = Instant::now();
    let ended = bench.output("rtsol", &[INTERFACE]);
    assert_eq!(code(&ended), Some(0), "{}", stderr(&ended));
    // Most of it is for its link-local address, which a busy kernel takes seconds to prove unique;
    // three solicitations in vain would take more than twelve.
    assert!(begun.elapsed() < secs(12), "{:?}", begun.elapsed());
    bench.host.takes(Era::new(1).on_link, CEILING);
}

#[test]
fn rtsol_ends_when_nobody_answers_three_solicitations() {
    let bench = Bench::new();
    let wire = Wire::capture(&bench.router, "lan0");
    let ended = bench.output("rtsold", &["-f1", INTERFACE]);
    assert_eq!(code(&ended), Some(0), "{}", stderr(&ended));
    let sent = wire.frames().iter().filter(|frame| frame.is_solicitation()).count();
    assert!((3..=6).contains(&sent), "three of ours, and those of the kernel at its start: {sent}");
}

#[test]
fn the_log_is_as_detailed_as_d_asks_for() {
    let bench = Bench::new();
    let _router = bench.router(|_| ());
    for (option, expected) in [
        ("-ilm", (false, false)),
        ("-d", (true, false)),
        ("-dd", (true, true)),
        ("-D", (true, true)),
    ] {
        let ended = bench.output("rtsold", &["-f1", option, INTERFACE]);
        let text = stderr(&ended);
        assert_eq!(code(&ended), Some(0), "{option}: {text}");
        let (tells, has_details) = (text.contains("INFO"), text.contains("wait deadline="));
        assert_eq!((tells, has_details), expected, "{option}: {text}");
    }
}

#[test]
fn bad_usage_is_exit_code_1_and_says_why() {
    let bench = Bench::new();
    let cases: [(&[&str], &str); 6] = [
        (&[], "Usage"),
        (&["-a", INTERFACE], "cannot be used with"),
        (&["-f", "nowhere0"], "there is no interface nowhere0"),
        (&["-f", INTERFACE, INTERFACE], "eth0 is named twice"),
        (&["-f", "-O", "script", INTERFACE], "script is to be an absolute path"),
        (&["-Z", INTERFACE], "-Z"),
    ];
    for (arguments, expected) in cases {
        let ended = bench.output("rtsold", arguments);
        assert_eq!(code(&ended), Some(1), "{arguments:?}");
        assert!(stderr(&ended).contains(expected), "{arguments:?}: {}", stderr(&ended));
        let words = [&["rtsold"], arguments].concat();
        let ended = Command::new(program()).args(&words).output().unwrap();
        assert_eq!(code(&ended), Some(1), "renumberd {words:?}");
    }
    let help = Command::new(program()).args(["rtsold", "--help"]).output().unwrap();
    assert_eq!(code(&help), Some(0));
}

#[test]
fn a_daemon_goes_into_the_background_with_its_pid_file_and_usr1_dumps() {
    let bench = Bench::new();
    let _router = bench.router(|script| {
        script.managed = true;
        script.options = vec![rdnss(3600)];
    });
    let (pid_file, dump) = (bench.path("pid"), bench.path("dump"));
    let begun = Instant::now();
    let ended = bench.output("rtsold", &["-p", &pid_file, "-c", &dump, INTERFACE]);
    assert_eq!(code(&ended), Some(0), "{}", stderr(&ended));
    assert!(begun.elapsed() < secs(2));
    let pid = eventually("it has written its process id", CEILING, || {
        bench.read("pid").trim().parse().ok().map(Pid::from_raw)
    });
    let _ended_at_the_end = Ended(pid);
    settles("the dump tells of the router", CEILING, || {
        // A signal before it is watched for would end the process.
        if !PathBuf::from(bench.path("run/rtsold-eth0/control.sock")).exists() {
            return Err("it does not listen yet".to_owned());
        }
        kill(pid, Signal::SIGUSR1).unwrap();
        pause(millis(50));
        let text = bench.read("dump");
        // While the machine's table of neighbors is full, for others, solicitations are repeated.
        let lines = [
            "Interface eth0\n  probe interval: infinity\n  no probe timer\n",
            "  interface status: active\n  managed config: on\n  other config: off\n",
            "  rtsold status: IDLE\n  carrier detection: available\n  probes: 0, dadcount = 0\n",
            "   RA from fe80::1\n    option: RDNSS: 2001:db8::53 (expire: ",
            "    option: RDNSS: fe80::53%eth0 (expire: ",
        ];
        let missing = lines.iter().find(|line| !text.contains(**line));
        missing.map_or(Ok(()), |line| Err(format!("{line}: {text}")))
    });
    let second = bench.output("rtsold", &["-p", &pid_file, "-c", &dump, INTERFACE]);
    assert_eq!(code(&second), Some(1));
    assert!(stderr(&second).contains("eth0 is in use by another renumberd (process "));
    kill(pid, Signal::SIGTERM).unwrap();
    eventually("the file goes with the process", CEILING, || {
        (!PathBuf::from(&pid_file).exists()).then_some(())
    });
}

/// A daemon that ends with the test.
struct Ended(Pid);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
    }
}

#[test]
fn instances_and_a_router_s_agent_live_side_by_side() {
    let bench = Bench::new();
    let namespace = &bench.host.namespace;
    for (one, other) in [("eth1", "lan1"), ("lan0", "pc0")] {
        let far = if one == "lan0" { bench.net.host("pc") } else { bench.router.clone() };
        bench.net.cable((namespace, one), (&far, other));
        namespace.settled(one);
    }
    let config = "[static.site]\nprefix = \"2001:db8:1200::/56\"\n[downlink.lan0]\n";
    let agent = Agent::start(&bench.net, namespace, config, &[]);
    let marked = || {
        let addresses =
            namespace.run("ip", &["-6", "addr", "show", "dev", "lan0", "scope", "global"]);
        let routes = namespace.run("ip", &["-6", "route", "show", "proto", "82"]);
        (addresses.contains("2001:db8:12"), routes.contains("2001:db8:1200::/56"))
    };
    eventually("the agent has its subnet", CEILING, || (marked() == (true, true)).then_some(()));
    let _router = bench.router(|_| ());
    let mut first = bench.rtsold(&[INTERFACE]);
    let mut second = bench.rtsold(&["eth1"]);
    first.wait_for_log("running", CEILING);
    second.wait_for_log("running", CEILING);
    pause(secs(3));
    assert_eq!(marked(), (true, true), "what another agent has is left alone");
    assert!(first.running() && second.running());
    assert_eq!(agent.status().conditions("overlap"), [""; 0]);
    assert!(first.stop().success() && second.stop().success());
    assert_eq!(marked(), (true, true));
}

#[test]
fn all_interfaces_that_can_have_routers_are_found() {
    let bench = Bench::new();
    let namespace = &bench.host.namespace;
    namespace.ip("link add eth1 type veth peer name eth2");
    namespace.ip("link set eth1 up");
    namespace.ip("link set eth2 up");
    namespace.sysctl("eth2", "accept_ra", 0);
    let _router = bench.router(|_| ());
    let mut daemon = bench.rtsold(&["-a"]);
    daemon.wait_for_log("running", CEILING);
    daemon.signal(Signal::SIGUSR1);
    let found = eventually("the dump names interfaces", CEILING, || {
        let text = bench.read("dump");
        let names = text.lines().filter_map(|line| line.strip_prefix("Interface "));
        Some(names.map(str::to_owned).collect::<Vec<_>>()).filter(|names| !names.is_empty())
    });
    assert_eq!(found, [INTERFACE, "eth1"]);
}

/// -F: the kernel follows advertisements though it was not to; without it the interface is left to
/// whoever has switched that off.
#[test]
fn the_kernel_is_made_to_accept_advertisements_only_where_that_is_wanted() {
    let bench = Bench::new();
    let namespace = &bench.host.namespace;
    let accepts = || namespace.run("sysctl", &["-n", "net.ipv6.conf.eth0.accept_ra"]);
    namespace.sysctl(INTERFACE, "accept_ra", 0);
    let _router = bench.router(|_| ());
    let mut daemon = bench.rtsold(&[INTERFACE]);
    daemon.wait_for_log("managed-elsewhere", CEILING);
    assert_eq!(accepts(), "0\n");
    assert!(daemon.stop().success());
    let mut daemon = bench.rtsold(&["-F", INTERFACE]);
    bench.host.takes(Era::new(1).on_link, CEILING);
    assert_eq!(accepts(), "1\n");
    assert!(daemon.stop().success());
    // On an interface that -a would leave out.
    namespace.sysctl(INTERFACE, "accept_ra", 0);
    let refused = bench.output("rtsold", &["-f", "-a"]);
    assert_eq!(code(&refused), Some(1));
    assert!(stderr(&refused).contains("name one, or add -F"), "{}", stderr(&refused));
    let _daemon = bench.rtsold(&["-a", "-F"]);
    eventually("the kernel accepts advertisements", CEILING, || (accepts() == "1\n").then_some(()));
}

#[test]
fn scripts_are_called_once_with_the_interface_and_the_router() {
    let bench = Bench::new();
    let (managed, other, always) =
        (bench.program("managed"), bench.program("other"), bench.program("always"));
    let router = bench.router(|script| script.other = true);
    let _daemon =
        bench.rtsold(&["-M", &managed, "-O", &other, "-A", &always, "-R", "/bin/true", INTERFACE]);
    bench.called("other", "eth0 fe80::1\n");
    bench.called("always", "eth0 fe80::1\n");
    assert_eq!(bench.read("managed.log"), "");
    router.rewrite(|script| script.managed = true);
    router.advertise();
    bench.called("managed", "eth0 fe80::1\n");
    for _ in 0..20 {
        router.advertise();
        pause(millis(20));
    }
    pause(millis(300));
    bench.called("other", "eth0 fe80::1\n");
    bench.called("always", "eth0 fe80::1\n");
    // What comes up anew may be another link.
    bench.host.namespace.ip("link set eth0 down");
    bench.host.namespace.ip("link set eth0 up");
    bench.called("managed", "eth0 fe80::1\neth0 fe80::1\n");
    bench.called("always", "eth0 fe80::1\neth0 fe80::1\n");
    // With the M flag the O flag says nothing new.
    pause(millis(300));
    bench.called("other", "eth0 fe80::1\n");
}

#[test]
fn a_script_that_hangs_holds_nobody_up() {
    let bench = Bench::new();
    let hanging = bench.path("hanging");
    executable::write(Path::new(&hanging), "#!/bin/sh\nsleep 1000\n");
    let resolvconf = bench.program("resolvconf");
    let _router = bench.router(|script| script.options = vec![rdnss(3600)]);
    let mut daemon = bench.rtsold(&["-A", &hanging, "-R", &resolvconf, INTERFACE]);
    bench
        .called("resolvconf", "-a eth0:slaac\nnameserver 2001:db8::53\nnameserver fe80::53%eth0\n");
    assert!(daemon.stop().success());
}

#[test]
fn resolver_data_goes_to_resolvconf_and_is_withdrawn_when_it_ends() {
    let bench = Bench::new();
    let resolvconf = bench.program("resolvconf");
    let [clean, other] = ["example.org", "$(reboot).example"].map(|name| NdpOption::Dnssl {
        lifetime: Lifetime::from_wire(4),
        names: vec![name.to_owned()],
    });
    let router = bench.router(|script| script.options = vec![rdnss(4), clean, other]);
    let _daemon = bench.rtsold(&["-R", &resolvconf, INTERFACE]);
    let handed = "-a eth0:slaac\nnameserver 2001:db8::53\nnameserver fe80::53%eth0\n\
                  search example.org\n";
    settles("resolver data is handed over, cleaned", CEILING, || {
        let called = bench.read("resolvconf.log");
        let is_clean = !called.contains('$') && called.starts_with(handed);
        if is_clean { Ok(()) } else { Err(called) }
    });
    router.rewrite(|script| {
        script.options.clear();
        script.answers_solicitations = false;
    });
    settles("it is withdrawn when its lifetime has ended", CEILING, || {
        let called = bench.read("resolvconf.log");
        if called.ends_with("-d eth0:slaac\n") { Ok(()) } else { Err(called) }
    });
}

/// -u
#[test]
fn with_u_each_router_has_its_own_entry() {
    let bench = Bench::new();
    let resolvconf = bench.program("resolvconf");
    let _router = bench.router(|script| script.options = vec![rdnss(3600)]);
    let _daemon = bench.rtsold(&["-u", "-R", &resolvconf, INTERFACE]);
    bench.called(
        "resolvconf",
        "-a eth0:slaac:[fe80::1%eth0]\nnameserver 2001:db8::53\nnameserver fe80::53%eth0\n",
    );
}

#[test]
fn what_a_killed_instance_has_handed_over_is_withdrawn_by_the_next() {
    let bench = Bench::new();
    let resolvconf = bench.program("resolvconf");
    let router = bench.router(|script| script.options = vec![rdnss(3600)]);
    let mut first = bench.rtsold(&["-R", &resolvconf, INTERFACE]);
    let servers = "-a eth0:slaac\nnameserver 2001:db8::53\nnameserver fe80::53%eth0\n";
    bench.called("resolvconf", servers);
    first.kill();
    router.rewrite(|script| script.options.clear());
    let _second = bench.rtsold(&["-R", &resolvconf, INTERFACE]);
    bench.called("resolvconf", &format!("{servers}-d eth0:slaac\n"));
}

/// RA-RX-69: the tools of thc-ipv6 against a host. It keeps running within bounds, answers whoever asks
/// what it is doing, and is there for its own router again when they have ended.
#[test]
fn floods_of_advertisements_take_neither_the_host_s_memory_nor_its_time() {
    let bench = Bench::new();
    let router = bench.router(|_| ());
    let mut daemon = bench.rtsold(&["-R", "/bin/true", INTERFACE]);
    bench.host.takes(Era::new(1).on_link, CEILING);
    let before = Usage::of(daemon.pid()).memory;
    for (tool, arguments) in [
        ("atk6-flood_router26", &["lan0"][..]),
        ("atk6-kill_router6", &["lan0", "*"]),
        ("atk6-fake_router26", &["-A", "2001:db8:66::/64", "lan0"]),
    ] {
        let spent = Usage::of(daemon.pid()).processor;
        let mut attack = Process::start(tool, bench.router.command(tool).args(arguments));
        let slowest = (0..5).map(|_| {
            pause(millis(400));
            bench.status_takes()
        });
        let slowest = slowest.max().unwrap();
        assert!(attack.running(), "{tool} has ended: {:?}", attack.lines());
        attack.kill();
        let slowest = (0..3).map(|_| bench.status_takes()).max().unwrap().max(slowest);
        assert!(daemon.running(), "{tool}");
        let spent = Usage::of(daemon.pid()).processor - spent;
        println!("{tool}: {spent:?} of the processor's time, an answer within {slowest:?}");
        assert!(spent < secs(4), "{tool}: {spent:?} of the processor's time");
        assert!(slowest < secs(3), "{tool}: an answer after {slowest:?}");
        let grown = Usage::of(daemon.pid()).memory.saturating_sub(before);
        assert!(grown < 16_384, "{tool}: {grown} KiB more");
    }
    router.rewrite(|script| script.options = vec![rdnss(3600)]);
    // What waits in the socket is taken in first, a hundred advertisements a second on a busy machine.
    settles("its router is heard", secs(90), || {
        router.advertise();
        daemon.signal(Signal::SIGUSR1);
        pause(millis(200));
        let dump = bench.read("dump");
        if dump.contains("RDNSS: 2001:db8::53") { Ok(()) } else { Err(dump) }
    });
}
