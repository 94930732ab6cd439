//! Programs in the place of built-ins: which are wanted, their orders, and their reports.
//!
//! An order is a state wherever it can be: only the newest counts, and a program that was away is
//! brought to that state by it. Orders are numbered, and a report names the newest order that it is
//! about: a report about an older one has been overtaken on its way.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize, Serializer};

use super::delegate::Assigned;
use crate::config::{Config, Engine, Job};
use crate::core::uplink::change::RefreshKind;
use crate::time::Lifetime;
use crate::wire::dhcpv6_option::{Duid, Iaid};
use crate::wire::ndp::RouterAdvertisement;
use crate::wire::ndp_option::PrefixInformation;

/// One job on one interface, which another program does.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Post {
    /// The job.
    pub job: Job,
    /// The interface.
    pub interface: String,
}

/// An order to a program.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub enum Order {
    /// The lease of an uplink is to be renewed.
    Renew {
        /// Its number.
        number: u64,
        /// The uplink.
        uplink: String,
        /// By the server that gave it, or by any.
        kind: RefreshKind,
    },
    /// The program is to advertise this on a downlink.
    Advertise {
        /// Its number.
        number: u64,
        /// The downlink.
        downlink: String,
        /// The content; none to advertise nothing at all.
        advertised: Option<Box<Advertised>>,
    },
    /// The leases of one router are looked up: that router has just sent a message which may have
    /// changed them.
    LookUp {
        /// The downlink.
        downlink: String,
        /// The router.
        duid: Duid,
    },
    /// The program is to delegate these prefixes on a downlink, and no others.
    Delegate {
        /// Its number.
        number: u64,
        /// The downlink.
        downlink: String,
        /// The prefixes.
        assigned: Box<Assigned>,
    },
}

impl Order {
    /// The post of the program that the order is for.
    pub fn post(&self) -> Post {
        let (job, interface) = match self {
            Self::Renew { uplink, .. } => (Job::Requester, uplink),
            Self::Advertise { downlink, .. } => (Job::Advertiser, downlink),
            Self::LookUp { downlink, .. } | Self::Delegate { downlink, .. } => {
                (Job::Delegator, downlink)
            }
        };
        Post { job, interface: interface.clone() }
    }
}

/// What is advertised on a link, and how often (RFC 4861 §6.2.1).
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Advertised {
    /// All of it, in one message whatever the link's MTU.
    #[serde(serialize_with = "as_octets")]
    pub advertisement: RouterAdvertisement,
    /// The prefixes whose lifetimes run down with their lease from now on. All other lifetimes are
    /// the same in each advertisement, until the next order.
    pub running_down: BTreeSet<Ipv6Net>,
    /// The rules of the downlink, with the intervals that hold now.
    pub rules: crate::config::Advertise,
    /// The MTU of the link in octets: programs refuse to advertise a larger one.
    pub link_mtu: u32,
    /// How often the program did not follow an order: where this has grown, it is to be restarted.
    pub attempt: u32,
}

impl Advertised {
    /// Whether the lifetimes of this prefix run down; endless ones do not.
    pub fn runs_down(&self, prefix: &PrefixInformation) -> bool {
        prefix.valid.seconds().is_some() && self.running_down.contains(&prefix.prefix)
    }
}

/// The leases of a program on one downlink: all of them, or all of one router.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Leases {
    /// The downlink.
    pub downlink: String,
    /// The router whose leases these are; none where they are those of all routers.
    pub of: Option<Duid>,
    /// The leases that are valid.
    pub leases: Vec<Leased>,
}

/// A delegated prefix that a program has leased.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Leased {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// The router that holds it.
    pub duid: Duid,
    /// For which IA_PD.
    pub iaid: Iaid,
    /// Preferred lifetime left.
    pub preferred: Lifetime,
    /// Valid lifetime left.
    pub valid: Lifetime,
}

/// A report about a program.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Its post.
    pub post: Post,
    /// The number of the newest order that it is about; 0 before the first.
    #[serde(default)]
    pub order: u64,
    /// Its version, where it is known.
    pub version: Option<String>,
    /// Its state.
    pub state: State,
    /// Its faults; one that was reported before and is not here is over.
    pub troubles: BTreeMap<Trouble, String>,
}

/// The state of a program.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It has no order: an advertiser is started with the first advertisement, which waits until
    /// the leases of the uplinks are known.
    #[default]
    Idle,
    /// It has an order, and no report has come yet.
    Starting,
    /// It runs, and as far as is known follows its last order.
    Running,
    /// It has an order that it has not confirmed.
    Changing,
    /// It does not run, and is tried again.
    Failed,
}

/// A kind of fault of a program; its text names the remedy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// It is not installed, or cannot be started.
    Missing,
    /// It has ended.
    Ended,
    /// It does not answer, or does not follow its order.
    Silent,
    /// It refuses its order, or reports something impossible.
    Refused,
    /// Its version has a known fault.
    Trap,
    /// It cannot do a part of the built-in's job.
    LeftOut,
}

impl Trouble {
    /// The name of the condition.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "engine-missing",
            Self::Ended => "engine-ended",
            Self::Silent => "engine-silent",
            Self::Refused => "engine-refused",
            Self::Trap => "engine-trap",
            Self::LeftOut => "engine-left-out",
        }
    }
}

/// A program that does a job, as `status` shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EngineStatus {
    /// Its post.
    #[serde(flatten)]
    pub post: Post,
    /// The program.
    pub program: String,
    /// Its version, where it is known.
    pub version: Option<String>,
    /// Its state.
    pub state: State,
}

/// The programs of a configuration, with their reports.
#[derive(Clone, Debug, Default)]
pub(super) struct Engines {
    wanted: BTreeMap<Post, Engine>,
    reports: BTreeMap<Post, Report>,
    /// The number of the newest order of all, and that of each program.
    last_number: u64,
    ordered: BTreeMap<Post, u64>,
}

impl Engines {
    /// Takes over a configuration; returns the wanted programs where they differ from those before.
    pub(super) fn configure(&mut self, config: &Config) -> Option<BTreeMap<Post, Engine>> {
        let wanted: BTreeMap<Post, Engine> = config
            .engines_in_use()
            .filter_map(|(job, interface, name)| {
                let post = Post { job, interface: interface.to_owned() };
                Some((post, config.engine(name)?))
            })
            .collect();
        if wanted == self.wanted {
            return None;
        }
        // Another program in the place of one begins without an order.
        self.reports.retain(|post, _| wanted.get(post) == self.wanted.get(post));
        self.ordered.retain(|post, _| wanted.get(post) == self.wanted.get(post));
        self.wanted = wanted;
        Some(self.wanted.clone())
    }

    /// Takes the number of the next order, which is for this program.
    pub(super) fn next_number(&mut self, job: Job, interface: &str) -> u64 {
        self.last_number = self.last_number.saturating_add(1);
        self.ordered.insert(Post { job, interface: interface.to_owned() }, self.last_number);
        self.last_number
    }

    /// Whether a report is about the newest order of its program.
    pub(super) fn is_about_newest(&self, report: &Report) -> bool {
        self.ordered.get(&report.post).is_none_or(|number| report.order >= *number)
    }

    /// Handles a report about the newest order of its program; returns whether it says anything
    /// new.
    pub(super) fn handle_report(&mut self, report: Report) -> bool {
        let is_news = self.wanted.contains_key(&report.post)
            && self.reports.get(&report.post) != Some(&report);
        if is_news {
            self.reports.insert(report.post.clone(), report);
        }
        is_news
    }

    /// The state of a program without a report: the system starts requesters.
    fn state_before_a_report(&self, post: &Post) -> State {
        let is_asked = post.job == Job::Requester || self.ordered.contains_key(post);
        if is_asked { State::Starting } else { State::Idle }
    }

    /// The faults of all programs.
    pub(super) fn troubles(&self) -> impl Iterator<Item = (&Post, Trouble, &str)> {
        self.reports.iter().flat_map(|(post, report)| {
            let troubles = report.troubles.iter();
            troubles.map(move |(trouble, text)| (post, *trouble, text.as_str()))
        })
    }

    /// All of them.
    pub(super) fn status(&self) -> Vec<EngineStatus> {
        let status = |(post, engine): (&Post, &Engine)| {
            let report = self.reports.get(post);
            EngineStatus {
                post: post.clone(),
                program: engine.program.to_string(),
                version: report.and_then(|report| report.version.clone()),
                state: report.map_or_else(|| self.state_before_a_report(post), |one| one.state),
            }
        };
        self.wanted.iter().map(status).collect()
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "nothing to do",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Changing => "changing",
            Self::Failed => "failed",
        })
    }
}

/// The message as it is on the wire.
fn as_octets<S: Serializer>(
    advertisement: &RouterAdvertisement,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    advertisement.encode().serialize(serializer)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INTERFACES: [&str; 2] = ["lan0", "wl0"];

    /// What a program did with an order, as its report says.
    fn report(interface: &str, order: u64) -> Report {
        let post = Post { job: Job::Delegator, interface: interface.to_owned() };
        let version = Some(order.to_string());
        Report { post, order, version, state: State::Running, troubles: BTreeMap::new() }
    }

    #[test]
    fn a_program_without_an_order_has_nothing_to_do() {
        let config = crate::config::file::parse("test.toml", TWO_PROGRAMS).unwrap();
        let mut engines = Engines::default();
        engines.configure(&config);
        let states = |engines: &Engines| -> Vec<State> {
            engines.status().into_iter().map(|one| one.state).collect()
        };
        assert_eq!(states(&engines), [State::Idle; 2]);
        engines.next_number(Job::Delegator, INTERFACES[0]);
        assert_eq!(states(&engines), [State::Starting, State::Idle]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// BKE-07: reports may be on their way for any time, and programs may skip orders. What is
        /// known is never about an order that a newer one has overtaken, and in the end it is about
        /// the newest.
        #[test]
        fn a_report_about_an_older_order_counts_for_nothing(
            acts in prop::collection::vec((0..3_u8, 0..2_usize), 0..60),
        ) {
            let config = crate::config::file::parse("test.toml", TWO_PROGRAMS).unwrap();
            let mut engines = Engines::default();
            engines.configure(&config);
            let mut newest = [0_u64; 2];
            let mut on_its_way: [Vec<Report>; 2] = Default::default();
            let drain = INTERFACES.iter().enumerate().flat_map(|(link, _)| [(1, link), (2, link)]);
            let drain = drain.chain((0..60).flat_map(|_| [(2, 0), (2, 1)]));
            for (act, link) in acts.into_iter().chain(drain) {
                let interface = INTERFACES[link];
                match act {
                    0 => newest[link] = engines.next_number(Job::Delegator, interface),
                    1 => on_its_way[link].push(report(interface, newest[link])),
                    _ if on_its_way[link].is_empty() => {}
                    _ => {
                        let report = on_its_way[link].remove(0);
                        let (is_newest, order) = (report.order == newest[link], report.order);
                        prop_assert_eq!(engines.is_about_newest(&report), is_newest);
                        if is_newest {
                            engines.handle_report(report);
                            let shown = engines.status().into_iter().nth(link).unwrap();
                            prop_assert_eq!(shown.version, Some(order.to_string()));
                        }
                    }
                }
            }
            for (link, shown) in engines.status().into_iter().enumerate() {
                prop_assert_eq!(shown.version, Some(newest[link].to_string()));
            }
        }
    }

    const TWO_PROGRAMS: &str = "[uplink.up]\n[downlink.lan0]\ndelegator = \"dhcp6s\"\n\
                                [downlink.wl0]\ndelegator = \"dhcp6s\"\n";

    /// Another program in the place of one has no order yet, and what it reports counts.
    #[test]
    fn a_program_that_replaces_another_begins_without_an_order() {
        let parse = |text: &str| crate::config::file::parse("test.toml", text).unwrap();
        let mut engines = Engines::default();
        engines.configure(&parse(TWO_PROGRAMS));
        for interface in INTERFACES {
            engines.next_number(Job::Delegator, interface);
        }
        let other = TWO_PROGRAMS.replacen("dhcp6s", "kea", 1);
        assert!(engines.configure(&parse(&other)).is_some());
        let counts = INTERFACES.map(|interface| engines.is_about_newest(&report(interface, 0)));
        assert_eq!(counts, [true, false]);
    }
}
