//! Other programs that do a built-in's job: which there are to be, what is asked of them, and what
//! is known of them.
//!
//! What they are asked for is a state wherever it can be: the newest order is the only one that
//! counts, and a program that was away is brought there by it. Orders are numbered, and a report
//! names the newest that it is about: one about an older order has been overtaken on its way.

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
    /// What it does.
    pub job: Job,
    /// Where.
    pub interface: String,
}

/// What is asked of a program.
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
    /// This is to be advertised on a downlink.
    Advertise {
        /// Its number.
        number: u64,
        /// The downlink.
        downlink: String,
        /// What; none for nothing at all.
        advertised: Option<Box<Advertised>>,
    },
    /// What the program of a downlink has leased to one router is looked up: that router has just
    /// sent a message which may have changed it.
    LookUp {
        /// The downlink.
        downlink: String,
        /// The router.
        duid: Duid,
    },
    /// This is to be given on a downlink, and nothing else.
    Delegate {
        /// Its number.
        number: u64,
        /// The downlink.
        downlink: String,
        /// What is given there.
        assigned: Box<Assigned>,
    },
}

impl Order {
    /// The router that has it.
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
    /// Those of its prefixes whose lifetimes run down with their lease from now on. All other
    /// lifetimes are the same in each advertisement, until the next order.
    pub running_down: BTreeSet<Ipv6Net>,
    /// The rules of the downlink, with the intervals that hold now.
    pub rules: crate::config::Advertise,
    /// The MTU of the link in octets: programs refuse to advertise a larger one.
    pub link_mtu: u32,
    /// How often the program was found not to do what it was handed: where this has grown, it is
    /// to be started anew.
    pub attempt: u32,
}

impl Advertised {
    /// Whether the lifetimes of this prefix run down; endless ones do not.
    pub fn runs_down(&self, prefix: &PrefixInformation) -> bool {
        prefix.valid.seconds().is_some() && self.running_down.contains(&prefix.prefix)
    }
}

/// What a program has leased on one downlink: all of it, or all that one router holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Leases {
    /// The downlink.
    pub downlink: String,
    /// The router whose leases these are; none where they are those of all routers.
    pub of: Option<Duid>,
    /// The leases that hold.
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
    /// What is left of its preferred lifetime.
    pub preferred: Lifetime,
    /// What is left of its valid lifetime.
    pub valid: Lifetime,
}

/// What is known of a program.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Its job.
    pub post: Post,
    /// The number of the newest order that it is about; 0 before the first.
    #[serde(default)]
    pub order: u64,
    /// Its version, where it says one.
    pub version: Option<String>,
    /// What it is doing.
    pub state: State,
    /// What is wrong with it; what was reported before and is not here is over.
    pub troubles: BTreeMap<Trouble, String>,
}

/// What a program is doing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It has nothing to do: an advertiser is started with the first advertisement, which waits until
    /// it is known what the uplinks have.
    #[default]
    Idle,
    /// It has an order, and nothing is known of it yet.
    Starting,
    /// It runs, and does what the last order says as far as is known.
    Running,
    /// It has an order that it has not confirmed.
    Changing,
    /// It does not run, and is tried again.
    Failed,
}

/// A kind of trouble with a program; its text names the remedy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// It is not there, or cannot be started.
    Missing,
    /// It has ended.
    Ended,
    /// It does not answer, or does not do what it was asked for.
    Silent,
    /// It refuses what it was given, or says what cannot be.
    Refused,
    /// Its version has a fault that is known.
    Trap,
    /// It cannot do a part of what the built-in does.
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
    /// Its job and where it does it.
    #[serde(flatten)]
    pub post: Post,
    /// The program.
    pub program: String,
    /// Its version, where it says one.
    pub version: Option<String>,
    /// What it is doing.
    pub state: State,
}

/// The programs of a configuration, and what is known of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Engines {
    wanted: BTreeMap<Post, Engine>,
    reports: BTreeMap<Post, Report>,
    /// The number of the newest order of all, and that of each program.
    last_number: u64,
    ordered: BTreeMap<Post, u64>,
}

impl Engines {
    /// Takes over a configuration; which programs there are to be, where that is something new.
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

    /// The number of the next order, which is for this program.
    pub(super) fn next_number(&mut self, job: Job, interface: &str) -> u64 {
        self.last_number = self.last_number.saturating_add(1);
        self.ordered.insert(Post { job, interface: interface.to_owned() }, self.last_number);
        self.last_number
    }

    /// Whether a report is about the newest order of its program.
    pub(super) fn is_about_newest(&self, report: &Report) -> bool {
        self.ordered.get(&report.post).is_none_or(|number| report.order >= *number)
    }

    /// Takes in what is known of a program, as of its newest order; whether that is something new.
    pub(super) fn handle_report(&mut self, report: Report) -> bool {
        let is_news = self.wanted.contains_key(&report.post)
            && self.reports.get(&report.post) != Some(&report);
        if is_news {
            self.reports.insert(report.post.clone(), report);
        }
        is_news
    }

    /// What a program does that has reported nothing: the system starts those that request.
    fn state_before_a_report(&self, post: &Post) -> State {
        let is_asked = post.job == Job::Requester || self.ordered.contains_key(post);
        if is_asked { State::Starting } else { State::Idle }
    }

    /// What is wrong with which of them.
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

/// As the message would be on the wire.
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
