//! radvd in the built-in advertiser's place, in a whole site.

use std::fs;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use ipnet::Ipv6Net;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use renumberd::lab::observe::frame::Frame;
use renumberd::lab::site::frames::Envelope;
use renumberd::wire::ndp_option::NdpOption;

use crate::lab::agent::{self, Agent};
use crate::lab::provider::{Era, Promise};
use crate::lab::scripted::{Script, Scripted};
use crate::lab::site::{self, PROVIDER, Site};
use crate::lab::wire::open;
use crate::lab::{CEILING, eventually, executable, millis, pause, secs, sys};

/// The usual configuration, with radvd on lan0.
fn config(engine: &str) -> String {
    format!("{}advertiser = \"radvd\"\n{engine}", site::config())
}

/// A site whose agent has the configuration, and whose host has its address.
struct Scene {
    site: Site,
    router: Scripted,
    agent: Agent,
    era: Era,
}

impl Scene {
    fn new(config: &str) -> Self {
        Self::on(Site::new(), config)
    }

    fn on(site: Site, config: &str) -> Self {
        let era = Era::new(1);
        let router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(era));
        let agent = Agent::start(&site.net, &site.dut, config, &[]);
        site.client().takes(era.delegated, CEILING);
        site.client().has_default_route(CEILING);
        Self { site, router, agent, era }
    }

    /// The provider changes its prefixes; returns the new ones.
    fn renumber(&mut self) -> Era {
        let next = Era::new(self.era.on_link.addr().segments()[2] + 1);
        self.router.rewrite(|script| *script = Script::new(next));
        self.router.advertise();
        self.era = next;
        next
    }

    fn runtime(&self) -> PathBuf {
        agent::home(&self.site.net, &self.site.dut).runtime()
    }

    /// radvd, as the agent has recorded it.
    fn radvd(&self) -> Option<Pid> {
        let record = fs::read_to_string(self.runtime().join("radvd-lan0.run")).ok()?;
        Some(Pid::from_raw(record.split(' ').next()?.parse().ok()?))
    }

    /// Waits until status says that radvd runs and nothing is wrong with it.
    fn runs_well(&self) {
        eventually("radvd runs, and nothing is wrong with it", CEILING, || {
            let status = self.agent.status();
            let engine = status.engine("advertiser", "lan0");
            let troubles = ["missing", "ended", "silent", "refused"];
            let is_well = troubles.iter().all(|t| !status.complains(&format!("engine-{t}")));
            (is_well && engine["state"] == "running").then_some(())
        });
    }
}

fn is_running(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// BKE-05, RA-TX-50, RA-TX-51: what the built-in does, radvd does.
#[test]
fn a_renumbering_reaches_the_host_and_the_old_prefix_stays_withdrawn() {
    let mut scene = Scene::new(&config(""));
    scene.runs_well();
    let engine = scene.agent.status().engine("advertiser", "lan0");
    assert_eq!((&engine["program"], &engine["version"]), (&"radvd".into(), &"2.19".into()));
    let wire = scene.site.lan_wire();
    let (old, since) = (scene.era, sys::monotonic());
    let new = scene.renumber();
    let frame = wire.wait_for("the new prefix", CEILING, |frame| frame.advertises(new.delegated));
    scene.site.client().takes(new.delegated, CEILING);
    scene.site.client().leaves(old.delegated, CEILING);
    assert!(frame.deprecates(old.delegated), "{frame:?}");
    println!("from the change to its advertisement: {:?}", frame.at - since);
    // Somebody who comes later hears of the old prefix as well.
    let since = sys::monotonic();
    scene.site.client().namespace.run("rdisc6", &["-1", "-r", "1", "eth0"]);
    let answer = |frame: &Frame| frame.at > since && frame.advertisement().is_some();
    let frame = wire.wait_for("an answer", secs(5), answer);
    let withdrawn = frame.prefixes().into_iter().find(|one| old.delegated.contains(&one.prefix));
    assert!(withdrawn.is_some_and(|one| one.valid.is_zero() && one.preferred.is_zero()));
    scene.runs_well();
    eventually("the change was advertised", secs(5), || {
        let text = serde_json::to_string(&scene.agent.status().changes_view()).unwrap();
        text.contains("advertised").then_some(())
    });
}

/// RA-TX-30: no default router without a way to the provider.
#[test]
fn a_lost_uplink_ends_the_default_route_of_hosts() {
    let scene = Scene::new(&config(""));
    let wire = scene.site.lan_wire();
    scene.site.client().has_default_route(CEILING);
    scene.router.rewrite(|script| script.router_lifetime = 0);
    scene.router.advertise();
    wire.wait_for("Router Lifetime 0", CEILING, |frame| {
        frame.advertisement().is_some_and(|one| one.router_lifetime == 0)
    });
}

/// BKE-07
#[test]
fn radvd_killed_during_a_change_is_started_again() {
    let mut scene = Scene::new(&config(""));
    scene.runs_well();
    let (old, pid) = (scene.era, scene.radvd().unwrap());
    kill(pid, Signal::SIGKILL).unwrap();
    let new = scene.renumber();
    scene.site.client().takes(new.delegated, CEILING);
    scene.site.client().leaves(old.delegated, CEILING);
    scene.runs_well();
    assert_ne!(scene.radvd(), Some(pid));
    assert!(!is_running(pid));
}

/// BKE-07
#[test]
fn radvd_stopped_during_a_change_is_started_anew() {
    let mut scene = Scene::new(&config(""));
    scene.runs_well();
    let (old, pid) = (scene.era, scene.radvd().unwrap());
    kill(pid, Signal::SIGSTOP).unwrap();
    let new = scene.renumber();
    // It is not silent for long once it is started anew.
    scene.agent.logs("engine-silent");
    scene.site.client().takes(new.delegated, CEILING);
    scene.site.client().leaves(old.delegated, CEILING);
    scene.runs_well();
    assert!(!is_running(pid));
}

/// BKE-19: a host on the link sends what radvd should, under the router's own address.
#[test]
fn a_forged_advertisement_does_not_speak_for_a_radvd_that_hangs() {
    let mut scene = Scene::new(&config(""));
    scene.runs_well();
    let (wire, old) = (scene.site.lan_wire(), scene.era);
    scene.site.client().namespace.run("rdisc6", &["-1", "-r", "1", "eth0"]);
    let sent = wire.wait_for("an answer", secs(5), |frame| frame.advertises(old.delegated));
    let mut forged = sent.advertisement().unwrap().clone();
    kill(scene.radvd().unwrap(), Signal::SIGSTOP).unwrap();
    let new = scene.renumber();
    for option in &mut forged.options {
        if let NdpOption::Prefix(prefix) = option {
            prefix.prefix = Ipv6Net::new(new.delegated.network(), 64).unwrap();
        }
    }
    let (host, router) = (&scene.site.client().namespace, &scene.site.dut);
    let shown = router.ip("-6 -o addr show dev lan0 scope link");
    let local = shown.split_whitespace().find_map(|word| word.split_once('/')?.0.parse().ok());
    let local: Ipv6Addr = local.unwrap();
    let mut link = open((host, "eth0"));
    let frame = Envelope::to_all_nodes(host.mac("eth0"), local).icmpv6(&forged.encode());
    eventually("that radvd hangs is noticed", CEILING, || {
        link.send(&frame).unwrap();
        scene.agent.log_lines().iter().any(|line| line.contains("engine-silent")).then_some(())
    });
    scene.runs_well();
    wire.wait_for("what radvd itself says", secs(10), |frame| {
        frame.source_mac == router.mac("lan0") && frame.advertises(new.delegated)
    });
}

/// BKE-07
#[test]
fn a_program_that_is_not_there_is_named_and_taken_when_it_comes() {
    let site = Site::new();
    let program = site.net.directory("bin").join("radvd");
    let config = config(&format!("[engine.radvd]\nprogram = \"{}\"\n", program.display()));
    let era = Era::new(1);
    let _router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(era));
    let agent = Agent::start(&site.net, &site.dut, &config, &[]);
    let text = eventually("status says what is missing", CEILING, || {
        agent.status().condition("engine-missing")
    });
    assert!(text.contains("[engine.radvd]"), "{text}");
    assert!(site.router_has("lan0", era.delegated), "the rest of the router goes on");
    std::os::unix::fs::symlink("/usr/sbin/radvd", &program).unwrap();
    site.client().takes(era.delegated, CEILING);
    eventually("nothing is missing", CEILING, || {
        (!agent.status().complains("engine-missing")).then_some(())
    });
}

#[test]
fn a_reload_puts_one_in_the_place_of_the_other_and_no_host_notices() {
    let scene = Scene::new(&config(""));
    scene.runs_well();
    let wire = scene.site.lan_wire();
    let (since, pid) = (sys::monotonic(), scene.radvd().unwrap());
    scene.agent.reload(&site::config());
    let later = |frame: &Frame| frame.at > since && frame.advertises(scene.era.delegated);
    wire.wait_for("an advertisement of the built-in", CEILING, later);
    eventually("radvd has ended", secs(5), || (!is_running(pid)).then_some(()));
    eventually("its record is removed", secs(5), || scene.radvd().is_none().then_some(()));
    pause(secs(1));
    scene.agent.reload(&config(""));
    scene.runs_well();
    eventually("radvd runs", secs(5), || scene.radvd().filter(|pid| is_running(*pid)));
    pause(secs(1));
    let is_wrong = |frame: &&Frame| {
        let ends = frame.advertisement().is_some_and(|one| one.router_lifetime == 0);
        frame.at > since && (ends || frame.deprecates(scene.era.delegated))
    };
    let frames = wire.frames();
    assert_eq!(frames.iter().find(is_wrong), None);
}

/// Law 1: it ends where an undisturbed run would have.
#[test]
fn radvd_goes_on_while_the_agent_is_away_and_is_led_again_after() {
    let mut scene = Scene::new(&config(""));
    scene.runs_well();
    let (old, pid) = (scene.era, scene.radvd().unwrap());
    scene.agent.kill();
    let wire = scene.site.lan_wire();
    let since = sys::monotonic();
    scene.site.client().namespace.run("rdisc6", &["-1", "-r", "3", "eth0"]);
    let answer = |frame: &Frame| frame.at > since && frame.advertises(old.delegated);
    wire.wait_for("an answer while the agent is away", secs(5), answer);
    assert!(is_running(pid));
    let new = scene.renumber();
    pause(millis(300));
    scene.agent.restart();
    scene.site.client().takes(new.delegated, CEILING);
    scene.site.client().leaves(old.delegated, CEILING);
    scene.runs_well();
    assert!(!is_running(pid), "there is one radvd, and it is ours");
    eventually("radvd runs", secs(5), || scene.radvd().filter(|pid| is_running(*pid)));
}

/// RA-TX-57
#[test]
fn the_end_of_the_agent_is_the_end_of_radvd_behind_a_last_advertisement() {
    let mut scene = Scene::new(&config(""));
    scene.runs_well();
    let (wire, pid) = (scene.site.lan_wire(), scene.radvd().unwrap());
    let since = sys::monotonic();
    scene.agent.stop();
    let last = wire.wait_for("the last advertisement", secs(5), |frame| {
        let ends = frame.advertisement().is_some_and(|one| one.router_lifetime == 0);
        frame.at > since && ends
    });
    assert!(!last.deprecates(scene.era.delegated), "the prefix stays");
    assert!(!is_running(pid));
    assert_eq!(scene.radvd(), None);
}

#[test]
fn a_former_radvd_that_nobody_wants_any_more_is_ended() {
    let mut scene = Scene::new(&config(""));
    scene.runs_well();
    let pid = scene.radvd().unwrap();
    scene.agent.kill();
    agent::home(&scene.site.net, &scene.site.dut).configure(&site::config()).unwrap();
    scene.agent.restart();
    eventually("radvd has ended", CEILING, || (!is_running(pid)).then_some(()));
}

/// Another version under a running agent.
#[test]
fn an_upgraded_program_is_started_with_what_it_can_say() {
    let site = Site::new();
    let program = site.net.directory("bin").join("radvd");
    wrap(&program, "2.18");
    let config = config(&format!("[engine.radvd]\nprogram = \"{}\"\n", program.display()));
    let mut scene = Scene::on(site, &config);
    let version =
        |scene: &Scene| scene.agent.status().engine("advertiser", "lan0")["version"].clone();
    eventually("the old version runs", secs(5), || (version(&scene) == "2.18").then_some(()));
    let pid = scene.radvd().unwrap();
    wrap(&program, "2.19");
    let new = scene.renumber();
    scene.site.client().takes(new.delegated, CEILING);
    eventually("the new version runs", CEILING, || (version(&scene) == "2.19").then_some(()));
    // The version is known before the program is replaced.
    eventually("the old version has ended", secs(5), || (!is_running(pid)).then_some(()));
    scene.runs_well();
}

/// radvd that says another version of itself.
fn wrap(path: &Path, version: &str) {
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = --version ]; then echo Version: {version}; exit 1; fi\n\
         exec /usr/sbin/radvd \"$@\"\n"
    );
    executable::write(path, &script);
}

/// BKE-06: `rtadvctl` knows the system's control socket alone, and HUP does what its reload does. What
/// stands in for rtadvd shows what it has read.
#[test]
fn rtadvd_is_made_to_read_its_file_anew_by_a_signal() {
    let site = Site::new();
    let directory = site.net.directory("bin");
    let (program, read) = (directory.join("rtadvd"), directory.join("read"));
    let script = format!(
        "#!/bin/sh\nwhile getopts fsc:C:p: option; do [ $option = c ] && file=$OPTARG; done\n\
         look() {{ cp \"$file\" {0}.new; echo \"pid $$\" >>{0}.new; mv {0}.new {0}; }}\n\
         trap look HUP\nlook\nwhile :; do sleep 0.1; done\n",
        read.display()
    );
    executable::write(&program, &script);
    let engine = format!("[engine.rtadvd]\nprogram = \"{}\"\n", program.display());
    let config = config(&engine).replace("\"radvd\"", "\"rtadvd\"");
    let router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(Era::new(1)));
    let _agent = Agent::start(&site.net, &site.dut, &config, &[]);
    let has_read = |era: Era| {
        eventually("the file is read", CEILING, || {
            let text = fs::read_to_string(&read).ok()?;
            let process = text.rsplit_once("pid ")?.1.trim().to_owned();
            text.contains(&era.delegated.network().to_string()).then_some(process)
        })
    };
    let process = has_read(Era::new(1));
    pause(secs(4));
    router.rewrite(|script| *script = Script::new(Era::new(2)));
    router.advertise();
    assert_eq!(has_read(Era::new(2)), process, "it was started anew");
}

/// A lease that ends cuts lifetimes short: they run down on the wire.
#[test]
fn lifetimes_of_a_short_lease_run_down() {
    let site = Site::new();
    let era = Era::new(1);
    let mut script = Script::new(era);
    script.delegated = vec![Promise { preferred: 120, valid: 240, ..script.delegated[0] }];
    script.deaf_to = Vec::new();
    let router = Scripted::start((&site.isp, "isp0"), PROVIDER, script);
    let _agent = Agent::start(&site.net, &site.dut, &config(""), &[]);
    site.client().takes(era.delegated, CEILING);
    use renumberd::wire::dhcpv6::MessageType::{Rebind, Renew, Solicit};
    router.rewrite(|script| script.deaf_to = vec![Renew, Rebind, Solicit]);
    let wire = site.lan_wire();
    let lifetimes = || {
        let since = sys::monotonic();
        site.client().namespace.run("rdisc6", &["-1", "-r", "3", "eth0"]);
        let frame = wire.wait_for("an answer", secs(5), |frame| {
            frame.at > since && frame.advertises(era.delegated)
        });
        let prefix = frame.prefixes().into_iter().find(|one| era.delegated.contains(&one.prefix));
        prefix.map(|one| (one.valid.to_wire(), one.preferred.to_wire())).unwrap()
    };
    let first = lifetimes();
    pause(secs(10));
    let later = lifetimes();
    assert!(later.0 + 8 <= first.0 && later.1 + 8 <= first.1, "{first:?} {later:?}");
}
