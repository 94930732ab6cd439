//! What a hostile neighbor costs: processor time of the agent for one message of each kind, and how
//! many of them a second take a tenth of a core, without bindings, with 1000 and with 20,000.
//! Needs root, as the tests of the laboratory do.
//!
//! `cargo bench --bench hostile [-- BINDINGS...]`; RENUMBERD names the binary of another build.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a laboratory: a failure is a panic, the result goes to standard output"
)]

#[path = "../tests/lab/mod.rs"]
mod lab;

#[path = "hostile/bindings.rs"]
mod bindings;
#[path = "hostile/messages.rs"]
mod messages;

use std::time::Duration;

use ipnet::Ipv6Net;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use renumberd::lab::site::frames::FrameSender;

use lab::agent::{self, Agent};
use lab::provider::Era;
use lab::scripted::{Script, Scripted};
use lab::site::{DUID, PROVIDER, Site};
use lab::{CEILING, client, eventually, millis, pause, secs, sys, wire};

use messages::{Kind, Message};

/// Messages of the first look, and how far apart.
const FIRST: (u32, Duration) = (40, millis(10));
/// Processor time that a measurement should take, and the part of a core that it may.
const SPENT: Duration = secs(1);
const PART: u32 = 4;
/// A measurement has at most so many messages, and at least so far apart.
const MOST: u32 = 4000;
const APART: Duration = Duration::from_micros(500);

fn main() {
    let sizes: Vec<u32> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![0, 1000, 20_000] } else { sizes };
    println!(
        "{:<36}{:>10}{:>14}{:>14}",
        "a message of a hostile neighbor", "bindings", "µs", "a second"
    );
    for bindings in sizes {
        let mut attack = Attack::begin(bindings);
        for kind in Kind::ALL {
            let Some(cost) = attack.measure(kind) else {
                println!("{:<36}{bindings:>10}  does not come to rest", kind.name());
                drop(attack);
                attack = Attack::begin(bindings);
                continue;
            };
            // Of a tenth of a core.
            let rate = 0.1 / cost.as_secs_f64().max(1e-9);
            let micros = cost.as_secs_f64() * 1e6;
            println!("{:<36}{bindings:>10}{micros:>14.1}{rate:>14.0}", kind.name());
        }
    }
}

/// An agent with bindings, and who attacks it from above and below.
struct Attack {
    _site: Site,
    _router: Scripted,
    agent: Agent,
    above: FrameSender,
    below: FrameSender,
    /// What the bindings are of.
    given: Vec<Ipv6Net>,
    number: u32,
}

fn config() -> String {
    format!(
        "duid = \"{DUID}\"\n[uplink.wan0]\naddress = \"::2\"\n[downlink.lan0]\n\
         [static.site]\nprefix = \"{}\"\n\
         [pool.site]\ndownlink = \"lan0\"\nfrom = \"site\"\nsize = 47\nlength = 64\n",
        bindings::SITE
    )
}

impl Attack {
    fn begin(bindings: u32) -> Self {
        let site = Site::new();
        let era = Era::new(1);
        let router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(era));
        let directory = agent::home(&site.net, &site.dut).state();
        let given = bindings::write(&directory, &config(), bindings);
        let agent = Agent::launch(&site.net, &site.dut, &config(), &["--log", "info"]);
        eventually("all bindings are there", secs(180), || {
            let known = agent.ask()?.bindings().len();
            (known == usize::try_from(bindings).unwrap()).then_some(())
        });
        site.client().takes(era.delegated, CEILING);
        let above = wire::open((&site.isp, "isp0"));
        let below = wire::open((&site.client().namespace, client::INTERFACE));
        let attack = Self { _site: site, _router: router, agent, above, below, given, number: 0 };
        attack.rest().expect("the agent has come to rest");
        attack
    }

    /// The processor time that one message of this kind takes; none if the agent does not come to
    /// rest.
    fn measure(&mut self, kind: Kind) -> Option<Duration> {
        let (count, apart) = FIRST;
        let first = self.send(kind, count, apart)?;
        let affordable = SPENT.as_secs_f64() / first.as_secs_f64().max(1e-6);
        let count = (affordable as u32).clamp(FIRST.0, MOST);
        self.send(kind, count, (first * PART).max(APART))
    }

    fn send(&mut self, kind: Kind, count: u32, apart: Duration) -> Option<Duration> {
        let before = self.processor_time();
        let start = sys::monotonic();
        for sent in 1..=count {
            self.number += 1;
            let Message { frame, from_above } = messages::make(kind, self.number, &self.given);
            let sender = if from_above { &mut self.above } else { &mut self.below };
            sender.send(&frame).unwrap();
            pause((start + apart * sent).saturating_sub(sys::monotonic()));
        }
        self.rest()?;
        Some(self.processor_time().saturating_sub(before) / count)
    }

    /// Waits until the agent has nothing to do, for a minute at most.
    fn rest(&self) -> Option<()> {
        let until = sys::monotonic() + secs(60);
        let mut before = self.processor_time();
        while sys::monotonic() < until {
            pause(millis(300));
            let after = self.processor_time();
            if after.saturating_sub(std::mem::replace(&mut before, after)) < millis(2) {
                return Some(());
            }
        }
        None
    }

    fn processor_time(&self) -> Duration {
        let pid = Pid::from_raw(i32::try_from(self.agent.pid()).unwrap());
        clock_gettime(ClockId::pid_cpu_clock_id(pid).unwrap()).unwrap().into()
    }
}
