//! One downlink on a virtual clock.

mod copies;
mod difference;
mod external;
mod hosts;
mod lifetimes;
mod message;
mod properties;
mod timing;
mod withdrawal;

use super::*;
use crate::time::Lifetime;
use crate::wire::ndp_option::NdpOption;
use crate::wire::ndp_option::Preference;

/// What was sent.
#[derive(Clone, Debug)]
struct Sent {
    at: Instant,
    to: Ipv6Addr,
    messages: Vec<RouterAdvertisement>,
    promises: Vec<Promise>,
}

impl Sent {
    fn options(&self) -> impl Iterator<Item = &NdpOption> {
        self.messages.iter().flat_map(|message| &message.options)
    }

    /// Preferred and valid lifetime of a prefix, if it is advertised.
    fn prefix(&self, prefix: &str) -> Option<(u32, u32)> {
        let wanted = net(prefix);
        self.prefixes().find(|(prefix, _, _)| *prefix == wanted).map(|(_, p, v)| (p, v))
    }

    fn prefixes(&self) -> impl Iterator<Item = (Ipv6Net, u32, u32)> {
        self.options().filter_map(|option| {
            let NdpOption::Prefix(pio) = option else { return None };
            Some((pio.prefix, pio.preferred.to_wire(), pio.valid.to_wire()))
        })
    }

    fn routes(&self) -> Vec<(Ipv6Net, u32)> {
        let route = |option| {
            let NdpOption::Route(rio) = option else { return None };
            Some((rio.prefix, rio.lifetime.to_wire()))
        };
        self.options().cloned().filter_map(route).collect()
    }

    fn resolvers(&self) -> Vec<(Ipv6Addr, u32)> {
        let mut resolvers = Vec::new();
        for option in self.options() {
            if let NdpOption::Rdnss { lifetime, servers } = option {
                resolvers.extend(servers.iter().map(|server| (*server, lifetime.to_wire())));
            }
        }
        resolvers
    }

    fn search(&self) -> Vec<(String, u32)> {
        let mut search = Vec::new();
        for option in self.options() {
            if let NdpOption::Dnssl { lifetime, names } = option {
                search.extend(names.iter().map(|name| (name.clone(), lifetime.to_wire())));
            }
        }
        search
    }
}

/// An advertiser, its clock, and what it has sent.
struct World {
    advertising: Advertising,
    now: Instant,
    sent: Vec<Sent>,
    /// What the neighbor cache has.
    neighbors: Vec<Neighbor>,
    /// How often it was read.
    listed: usize,
}

impl World {
    /// With the link up since 1000 s.
    fn new(rules: config::Advertise) -> Self {
        Self::restarted(rules, BTreeMap::new())
    }

    fn restarted(rules: config::Advertise, promised: BTreeMap<Ipv6Net, Until>) -> Self {
        Self::remembering(rules, Promises { prefixes: promised, routes: BTreeMap::new() })
    }

    fn remembering(rules: config::Advertise, promised: Promises) -> Self {
        let mut advertising = Advertising::new(rules, promised, Random::new([7; 32]));
        let now = secs(1000);
        advertising.link_up(now, Some(MAC.to_vec()), 1500);
        Self { advertising, now, sent: Vec::new(), neighbors: Vec::new(), listed: 0 }
    }

    /// With that content since 1000 s.
    fn saying(content: Content) -> Self {
        let mut world = Self::new(config::Advertise::default());
        world.set(content);
        world
    }

    fn set(&mut self, content: Content) -> bool {
        let differs = self.advertising.set_content(self.now, content);
        self.drain();
        differs
    }

    fn solicit(&mut self, source: &str, link_layer: bool) {
        let options =
            if link_layer { vec![NdpOption::SourceLinkLayer(vec![2; 6])] } else { Vec::new() };
        let solicitation = RouterSolicitation { options };
        self.advertising.handle_solicitation(self.now, source.parse().unwrap(), &solicitation);
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            while let Some((promises, to, messages)) = self.advertising.poll_advertisement(self.now)
            {
                assert!(self.sent.last().is_none_or(|last| last.at <= self.now));
                for to in to {
                    let (messages, promises) = (messages.clone(), promises.clone());
                    self.sent.push(Sent { at: self.now, to, messages, promises });
                }
            }
            if !self.advertising.poll_neighbors(self.now) {
                break;
            }
            self.listed += 1;
            self.advertising.set_neighbors(self.now, self.neighbors.clone());
        }
        let due = self.advertising.deadline();
        assert!(due.is_none_or(|due| due.at > self.now), "{due:?} would spin");
    }

    /// Lets the time pass until `at` seconds; returns what was sent meanwhile.
    fn run_until(&mut self, at: u64) -> Vec<Sent> {
        let before = self.sent.len();
        while let Some(due) = self.advertising.deadline().filter(|due| due.at <= secs(at)) {
            self.now = due.at;
            self.drain();
        }
        self.now = secs(at);
        self.sent[before..].to_vec()
    }

    fn run(&mut self, seconds: u64) -> Vec<Sent> {
        self.run_until(self.now.since_boot().as_secs() + seconds)
    }

    fn last(&self) -> &Sent {
        self.sent.last().unwrap()
    }
}

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const A: &str = "2001:db8:a::/64";
const B: &str = "2001:db8:b::/64";
const C: &str = "2001:db8:c::/64";
const HOST: &str = "fe80::99";

fn secs(seconds: u64) -> Instant {
    Instant::from_secs(seconds)
}

fn at(seconds: u64) -> Until {
    Until::At(secs(seconds))
}

fn net(prefix: &str) -> Ipv6Net {
    prefix.parse().unwrap()
}

/// A router with these prefixes, valid for long.
fn content(prefixes: &[&str]) -> Content {
    let ends = (at(1_000_000), at(2_000_000));
    let prefixes = prefixes.iter().map(|prefix| (net(prefix), ends)).collect();
    Content { default_router: true, prefixes, ..Content::default() }
}

/// The content with one prefix, and the seconds at which its lifetimes end.
fn ending(prefix: &str, preferred: u64, valid: u64) -> Content {
    let mut content = content(&[prefix]);
    content.prefixes.insert(net(prefix), (at(preferred), at(valid)));
    content
}

fn gaps(sent: &[Sent]) -> Vec<f64> {
    sent.windows(2).map(|pair| pair[1].at.since(pair[0].at).as_secs_f64()).collect()
}

impl Advertising {
    fn sender(&mut self) -> &mut Sender {
        match &mut self.advertiser {
            Advertiser::BuiltIn(sender) => sender,
            Advertiser::External(_) => panic!("another program sends"),
        }
    }
}
