//! Stories of an agent that delegates by another program, to an agent or dhcpcd below it.

use std::net::Ipv6Addr;
use std::path::Path;
use std::time::Duration;

use ipnet::Ipv6Net;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::agent::Agent;
use super::delegating::{INTERFACE, next_hop, site_prefix};
use super::executable;
use super::net::Namespace;
use super::peer::{DUID, Kind};
use super::provider::Era;
use super::requesting::{Below, eras};
use super::site::{CUSTOMER, Site};
use super::{CEILING, eventually, pause, secs, sys};

/// The agent above, which delegates by a program.
#[derive(Debug)]
pub struct ProgramSide {
    pub agent: Agent,
    program: &'static str,
}

impl ProgramSide {
    /// Starts it in `era`, with more lines of its configuration.
    pub fn start(site: &Site, program: &'static str, era: Era, lines: &str) -> Self {
        Self::with(site, program, &config(program, era, lines))
    }

    /// Starts it with a configuration.
    pub fn with(site: &Site, program: &'static str, config: &str) -> Self {
        Self::inside(site, &site.isp, program, config)
    }

    /// Starts it in another place.
    pub fn inside(site: &Site, namespace: &Namespace, program: &'static str, config: &str) -> Self {
        Self { agent: Agent::start(&site.net, namespace, config, &[]), program }
    }

    /// The agent and its program are no more.
    pub fn kill(&mut self) {
        self.agent.kill();
        let before = self.pid().expect("the program runs");
        self.signal(Signal::SIGKILL);
        eventually("the program has ended", secs(5), || has_ended(before).then_some(()));
    }

    /// Goes over to another era.
    pub fn renumber(&self, to: Era) {
        self.agent.set_prefix("site", site_prefix(to));
    }

    /// The process that delegates, where there is one.
    pub fn pid(&self) -> Option<Pid> {
        let record = self.agent.runtime().join(format!("{}-{INTERFACE}.run", self.program));
        let text = std::fs::read_to_string(record).ok()?;
        let pid = text.split(' ').next()?.parse().ok()?;
        kill(Pid::from_raw(pid), None).ok()?;
        Some(Pid::from_raw(pid))
    }

    /// Removes what the program reads at its start.
    fn remove_files(&self) {
        let runtime = self.agent.runtime();
        let name = format!("{}-{INTERFACE}", self.program);
        let _ = std::fs::remove_dir_all(runtime.join(&name));
        for ending in ["conf", "key"] {
            let _ = std::fs::remove_file(runtime.join(format!("{name}.{ending}")));
        }
    }

    /// Waits until nothing is wrong with the program, and it runs.
    fn is_well(&self) {
        eventually("all is well", CEILING, || {
            let status = self.agent.status();
            let troubles = ["engine-ended", "engine-silent", "engine-refused", "engine-missing"];
            let is_well = !troubles.iter().any(|name| status.complains(name));
            (is_well && status.engine("delegator", INTERFACE)["state"] == "running").then_some(())
        });
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = self.pid().expect("the program runs");
        kill(pid, signal).unwrap();
    }
}

/// Whether a process is no more, but for who has to take note of that.
fn has_ended(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or(true, |stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')))
}

/// A site with a static prefix, of which one router gets a part.
pub fn config(program: &str, era: Era, lines: &str) -> String {
    format!(
        "grace = \"2s\"\n{lines}\n[static.site]\nprefix = \"{}\"\n\
         [downlink.{INTERFACE}]\nsubnet = \"0x0/64\"\ndelegator = \"{program}\"\n\
         [delegation.peer]\nduid = \"{DUID}\"\niaid = 1\nnext-hop = \"{CUSTOMER}\"\n\
         downlink = \"{INTERFACE}\"\nprefix = \"0x1/56\"\n",
        site_prefix(era)
    )
}

/// An agent settled below one that delegates by a program.
pub struct Pair {
    pub above: ProgramSide,
    pub below: Agent,
    pub site: Site,
}

impl Pair {
    pub fn start(program: &'static str) -> Self {
        let site = Site::new();
        let above = ProgramSide::start(&site, program, eras().0, "");
        let below = site.agent(&[]);
        let pair = Self { above, below, site };
        pair.settles(eras().0.delegated);
        pair
    }

    /// Waits until the router below has its prefix, and packets find it.
    pub fn settles(&self, delegated: Ipv6Net) {
        eventually(&format!("{delegated} is in use below"), CEILING, || {
            self.site.router_has("lan0", delegated).then_some(())
        });
        is_routed(&self.site, delegated);
    }

    /// Waits until nothing is left of a prefix.
    pub fn forgets(&self, delegated: Ipv6Net) {
        eventually(&format!("nothing is left of {delegated}"), CEILING, || {
            let is_held = self.below.status().delegated("wan0").contains(&delegated);
            (!is_held && next_hop(&self.site, delegated).is_none()).then_some(())
        });
    }

    /// A change is followed; how long that took.
    pub fn follows(&self) -> Duration {
        let (from, to) = eras();
        let since = sys::monotonic();
        self.above.renumber(to);
        self.settles(to.delegated);
        let took = sys::monotonic().saturating_sub(since);
        self.forgets(from.delegated);
        took
    }
}

fn is_routed(site: &Site, delegated: Ipv6Net) {
    let to: Ipv6Addr = CUSTOMER.parse().unwrap();
    eventually(&format!("the route to {delegated} through {to}"), secs(5), || {
        (next_hop(site, delegated) == Some(to)).then_some(())
    });
}

/// The router below follows, with routes to its link-local address, and no binding of the old
/// prefix is left.
pub fn renumbers(program: &'static str) {
    let pair = Pair::start(program);
    pause(secs(4));
    let took = pair.follows();
    println!("{program}: an agent below has followed after {took:?}");
    assert!(took < secs(3), "{took:?}");
    let old = eras().0.delegated;
    eventually("no binding of the old prefix is left", CEILING, || {
        let bound = pair.above.agent.status().bindings();
        let is_given = |(prefix, state): &(Ipv6Net, String)| *prefix == old && state == "given";
        (!bound.iter().any(is_given)).then_some(())
    });
    // It stays so when the router below asks anew.
    pair.below.renew();
    pause(secs(2));
    pair.settles(eras().1.delegated);
    assert!(!pair.below.status().delegated("wan0").contains(&old));
}

/// dhcpcd with the article's hook follows the advertisement.
pub fn renumbers_dhcpcd(program: &'static str) {
    let (from, to) = eras();
    let kind = Kind::DhcpcdWithHook;
    let below = Below::begin(kind, |site| ProgramSide::start(site, program, from, ""));
    pause(secs(4));
    let since = sys::monotonic();
    below.above.renumber(to);
    let followed = below.follows(since);
    println!("{program}: dhcpcd below has followed after {:?}", followed.took);
    assert!(followed.left.is_some(), "it prefers its old prefix still");
    is_routed(&below.site, to.delegated);
}

/// Killed or stopped during a change, it is started anew, and the change goes through.
pub fn is_restarted_on(program: &'static str, signal: Signal) {
    let pair = Pair::start(program);
    pause(secs(4));
    let before = pair.above.pid();
    pair.above.signal(signal);
    let took = pair.follows();
    println!("{program} after {signal}: an agent below has followed after {took:?}");
    let after = eventually("it runs again", CEILING, || pair.above.pid());
    assert_ne!(before, Some(after));
    pair.above.is_well();
    if signal == Signal::SIGKILL {
        pair.above.remove_files();
        pair.above.signal(signal);
        eventually("it runs with new files", CEILING, || {
            pair.above.pid().filter(|pid| *pid != after)
        });
        pair.above.is_well();
    }
}

/// A program that is not there is named with the remedy, and all else goes on.
pub fn is_missed(program: &'static str) {
    let site = Site::new();
    let lines = format!("[engine.{program}]\nprogram = \"/nowhere/{program}\"\n");
    let above = ProgramSide::start(&site, program, eras().0, &lines);
    let text = eventually("it is missed", CEILING, || {
        above.agent.status().conditions("engine-missing").pop()
    });
    assert!(text.contains("install it"), "{text}");
    let below = site.agent(&[]);
    let on_link = eras().0.on_link;
    eventually("advertisements go on", CEILING, || {
        below.status().heard("wan0").iter().any(|(prefix, _)| *prefix == on_link).then_some(())
    });
    above.renumber(eras().1);
    let on_link = eras().1.on_link;
    eventually("a change is advertised", CEILING, || {
        below.status().heard("wan0").iter().any(|(prefix, _)| *prefix == on_link).then_some(())
    });
}

/// While its file cannot be written, nothing counts as done; the change follows when it can be.
pub fn is_behind_without_a_file(program: &'static str, file: &str) {
    let (from, to) = eras();
    let pair = Pair::start(program);
    pause(secs(4));
    let obstacle = pair.above.agent.runtime().join(format!("{file}.new"));
    std::fs::create_dir(&obstacle).unwrap();
    pair.above.renumber(to);
    let text = eventually("it is named", CEILING, || {
        pair.above.agent.status().conditions("engine-refused").pop()
    });
    assert!(text.contains("written"), "{text}");
    std::fs::remove_dir(&obstacle).unwrap();
    pair.settles(to.delegated);
    pair.forgets(from.delegated);
    pair.above.is_well();
}

/// Its file is replaced under the running program: that is started anew with the next change.
pub fn is_upgraded(program: &'static str, file: &str) {
    let site = Site::new();
    let path = site.net.directory("bin").join(file);
    install(&path, file, 1);
    let lines = format!("[engine.{program}]\nprogram = \"{}\"\n", path.display());
    let above = ProgramSide::start(&site, program, eras().0, &lines);
    let pair = Pair { above, below: site.agent(&[]), site };
    pair.settles(eras().0.delegated);
    let before = pair.above.pid().expect("the program runs");
    install(&path, file, 2);
    pause(secs(4));
    pair.follows();
    let after = pair.above.pid().expect("the program runs");
    assert_ne!(before, after, "the version of before goes on");
}

/// Another edition of a program, in the place of the one before.
fn install(path: &Path, file: &str, edition: u32) {
    let script = format!("#!/bin/sh\n# edition {edition}\nexec /usr/sbin/{file} \"$@\"\n");
    executable::write(path, &script);
}

/// An agent that is killed leaves the program running; the next one ends it and starts its own.
pub fn outlives_a_crash(program: &'static str) {
    let mut pair = Pair::start(program);
    pause(secs(2));
    let before = pair.above.pid().expect("the program runs");
    pair.above.agent.kill();
    pair.above.agent.restart();
    eventually("another one runs", CEILING, || pair.above.pid().filter(|pid| *pid != before));
    eventually("the one before has ended", secs(5), || has_ended(before).then_some(()));
    pair.settles(eras().0.delegated);
    pause(secs(3));
    let took = pair.follows();
    println!("{program} after a crash of the agent: followed after {took:?}");
}

/// Its interface is removed and comes back as another one: the program hears that one.
pub fn hears_an_interface_made_anew(program: &'static str) {
    let pair = Pair::start(program);
    let before = pair.above.pid();
    pair.site.recreate_provider_link();
    eventually("it is started anew", CEILING, || {
        pair.above.pid().filter(|pid| Some(*pid) != before)
    });
    pair.settles(eras().0.delegated);
    pause(secs(3));
    pair.follows();
}

/// A reload puts the built-in in the program's place, and the program back in that of the built-in.
pub fn changes_places(program: &'static str) {
    let (from, to) = eras();
    let pair = Pair::start(program);
    let with_program = config(program, from, "");
    let built_in = with_program.replace(&format!("delegator = \"{program}\"\n"), "");
    let before = pair.above.pid().expect("the program runs");
    pair.above.agent.reload(&built_in);
    eventually("the program has ended", CEILING, || has_ended(before).then_some(()));
    pause(secs(2));
    pair.follows();
    pair.above.agent.reload(&with_program);
    eventually("the program runs again", CEILING, || pair.above.pid());
    pause(secs(2));
    pair.above.renumber(from);
    pair.settles(from.delegated);
    pair.forgets(to.delegated);
}

/// An agent that stops ends its program: nobody would tell that of the next change.
pub fn ends_with_the_agent(program: &'static str) {
    let mut pair = Pair::start(program);
    let before = pair.above.pid().expect("the program runs");
    pair.above.agent.stop();
    assert!(has_ended(before), "it still runs");
}
