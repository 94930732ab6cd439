//! What must always hold, and what must hold once the world has come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ipnet::Ipv6Net;
use renumberd::core::input::Input;
use renumberd::core::kernel::system::KernelEvent;
use renumberd::core::kernel::system::RouteTarget;
use renumberd::net::IfIndex;
use renumberd::sim::kernel::{Kernel, foreign};
use renumberd::time::Until;

use super::upstream::{self, link_local};
use super::{LINKS, UPLINKS, World, delegated, subordinate};

/// Long enough for every exchange to end and for everything to be tried again.
const REST: Duration = Duration::from_secs(400);
/// SOL_MAX_RT, and a little more: whoever still waits has asked again by then.
const IDLE: Duration = Duration::from_secs(4000);
/// Lifetimes that were heard reach the kernel within that.
const SETTLED: Duration = Duration::from_secs(11);
/// What ends within that is not compared.
const SOON: Duration = Duration::from_secs(30);

impl World {
    /// After each act.
    pub fn check(&self) {
        self.node.kernel.check_foreign();
        self.check_delegated();
        self.check_first();
        self.check_tables();
    }

    /// No two routes of ours lead to overlapping delegations, on different ways.
    fn check_delegated(&self) {
        if !self.node.kernel.refusals.rules.is_empty()
            || self.node.core.has_postponed_work()
            || !self.node.refused.is_empty()
        {
            return;
        }
        let delegated = delegated(self.node.kernel.system());
        for (position, (prefix, target)) in delegated.iter().enumerate() {
            for (other, other_target) in &delegated[..position] {
                let overlap = prefix.contains(other) || other.contains(prefix);
                assert!(
                    !overlap || target == other_target,
                    "{prefix} leads to {target}, {other} to {other_target}"
                );
            }
        }
    }

    /// What the first requesting router holds, which answers whenever it is asked, leads to nobody
    /// else (SEC-18).
    fn check_first(&self) {
        let first = format!("{}", subordinate::address(0));
        for (held, until) in &self.ledger.first {
            let routes = delegated(self.node.kernel.system());
            let over = until.is_over(self.now);
            for (prefix, target) in routes.iter().filter(|(prefix, _)| !over && prefix == held) {
                assert!(target.contains(&first), "{prefix} of {first} leads to {target}");
            }
        }
    }

    /// What was reported of conditions is what there is: none comes or goes unnoticed, but for the
    /// moment in which what was heard waits for its turn.
    fn check_reported(&self) {
        let core = &self.node.core;
        let is_late = core.deadline(self.now).is_some_and(|next| next.at <= self.now);
        if is_late || core.has_postponed_work() {
            return;
        }
        let mut found: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let status = core.status(self.now);
        for one in &status.conditions {
            *found.entry((&one.name, &one.subject)).or_default() += 1;
        }
        let reported = self.reported.iter();
        let reported = reported.map(|((name, subject), count)| ((*name, &**subject), *count));
        assert_eq!(reported.collect::<BTreeMap<_, _>>(), found, "reported, and there");
    }

    /// Tables do not grow with what strangers say.
    fn check_tables(&self) {
        let status = self.node.core.status(self.now);
        for (name, uplink) in &status.uplinks {
            assert!(uplink.routers.len() <= 16, "{} routers on {name}", uplink.routers.len());
            for router in &uplink.routers {
                assert!(router.prefixes.len() <= 64, "{} prefixes", router.prefixes.len());
            }
            assert!(uplink.leases.len() <= 64, "{} leases on {name}", uplink.leases.len());
        }
        assert!(status.counters.len() <= 128, "{} counters", status.counters.len());
        assert!(status.changes.len() <= 64, "{} changes", status.changes.len());
    }

    /// Everything works again; then the world comes to rest, and is looked at.
    pub fn rest(mut self) {
        self.check_refused();
        self.mend();
        self.pass(REST);
        self.check();
        self.check_from_scratch();
        self.check_reported();
        self.check_anew();
        self.check_subnets();
        self.check_owned();
        self.check_idle();
        self.check_from_scratch();
        self.check_leases();
        self.check_hosts();
        self.check_restart();
        self.check_hosts();
    }

    /// What the kernel refuses for good keeps nobody busy.
    fn check_refused(&mut self) {
        self.node.kernel.refusals.rules.retain(|rule| rule.left > 0);
        if self.node.kernel.refusals.rules.is_empty() {
            return;
        }
        self.pass(REST);
        // Routers that are there for a second, whenever they are asked, are another matter.
        self.loses |= super::sent::ROUTER_SOLICITATIONS;
        self.node.outputs = 0;
        self.wakeups = 0;
        self.pass(Duration::from_secs(1000));
        let last = self.node.refused.iter().rev().take(8).collect::<Vec<_>>();
        assert!(self.node.outputs < 2000, "{} outputs while refused: {last:?}", self.node.outputs);
        assert!(self.wakeups < 3000, "{} wakeups while steps are refused", self.wakeups);
    }

    fn mend(&mut self) {
        self.node.kill_after = None;
        self.node.kernel.refusals.rules.clear();
        self.node.kernel.foreign_routes.clear();
        self.loses = 0;
        self.node.write_again();
        for (number, (_, prefix)) in UPLINKS.iter().enumerate() {
            let other = self.servers[1 - number].clone();
            self.servers[number].mend(u8::try_from(number).unwrap(), &other);
            let good = upstream::good_advertisement(prefix);
            self.advertised.insert((number, upstream::ROUTERS[number]), good);
        }
        while !self.gone.is_empty() {
            self.return_link(0, false);
        }
        for (name, last) in LINKS {
            let Some(index) = self.index(name) else { continue };
            self.node.kernel.set_running(index, true, false);
            self.node.kernel.set_foreign(foreign(index, link_local(last)));
        }
        self.node.holds_events = false;
        self.give_events();
        for (number, (name, _)) in UPLINKS.iter().enumerate() {
            // With the address of its router an uplink cannot hear it.
            let (Some(interface), address) = (self.index(name), upstream::ROUTERS[number]) else {
                continue;
            };
            if self.node.kernel.foreign_addresses.remove(&(interface, address)).is_some() {
                self.node.kernel.change(KernelEvent::AddressGone { interface, address });
            }
        }
        self.node.kernel.change(KernelEvent::Forwarding(true));
        self.give_events();
        for number in 0..UPLINKS.len() {
            self.advertise_well(number);
        }
        self.node.refused.clear();
    }

    fn advertise_well(&mut self, uplink: usize) {
        let Some(interface) = self.index(UPLINKS[uplink].0) else { return };
        let octets = upstream::good_advertisement(UPLINKS[uplink].1).encode();
        let router = upstream::ROUTERS[uplink];
        self.give(Input::Icmpv6(super::received(interface, router, octets)));
    }

    /// What of ours is on the links below and leads there, but for what ends within `span`.
    fn below(&self, span: Duration) -> BTreeMap<String, String> {
        let up: Vec<_> = UPLINKS.iter().filter_map(|(name, _)| self.index(name)).collect();
        let lasts = |until: Until| !until.is_over(self.now + span);
        let addresses = self.node.kernel.system().addresses.values();
        let addresses = addresses.filter(|has| has.ours && !up.contains(&has.interface));
        let addresses = addresses.filter(|has| lasts(has.valid_until)).map(|has| {
            (format!("{} on {}", has.address, has.interface.0), has.prefix_len.to_string())
        });
        let routes = self.node.kernel.system().routes.values();
        let routes = routes.filter(|has| has.target.interface().is_none_or(|at| !up.contains(&at)));
        let routes = routes.filter(|has| lasts(has.until));
        let routes = routes.map(|has| {
            (format!("{} metric {}", has.destination, has.metric), format!("{:?}", has.target))
        });
        addresses.chain(routes).collect()
    }

    /// All that is ours, but for what ends within `span`.
    fn ours(&self, span: Duration) -> BTreeMap<String, String> {
        let lasts = |until: Until| !until.is_over(self.now + span);
        let addresses = self.node.kernel.system().addresses.values();
        let addresses = addresses.filter(|has| has.ours && lasts(has.valid_until)).map(|has| {
            (format!("{} on {}", has.address, has.interface.0), has.prefix_len.to_string())
        });
        let routes = self.node.kernel.system().routes.values().filter(|has| lasts(has.until));
        let routes = routes.map(|has| {
            (format!("{} metric {}", has.destination, has.metric), format!("{:?}", has.target))
        });
        addresses.chain(routes).collect()
    }

    /// What the agent's sockets are members of, and the settings that are not as they were, but for
    /// those that routers advertise: they need not have been heard.
    fn settings(&self) -> String {
        let Kernel { groups, serving, asking, sysctls, .. } = &self.node.kernel;
        let own = sysctls.iter().filter(|((_, file), _)| file == "accept_ra").collect::<Vec<_>>();
        format!("{groups:?} {serving} {asking} {own:?}")
    }

    /// What the links below are told, by prefix, and what requesting routers have, but for what
    /// ends within `span`.
    fn given(&self, span: Duration) -> BTreeSet<String> {
        let status = self.node.core.status(self.now);
        let lasts = |left: u32| u64::from(left) > span.as_secs();
        let advertised = status.downlinks.iter().flat_map(|(name, link)| {
            let live = link.advertised.iter().filter(|prefix| lasts(prefix.valid));
            live.map(move |prefix| format!("{} on {name}", prefix.prefix))
        });
        let bindings = status.bindings.iter().flat_map(|binding| {
            let given = binding.prefixes.iter().filter(|has| has.state == "given");
            let given = given.filter(|has| has.valid.is_none_or(lasts));
            given.map(move |has| format!("{} for {}", has.prefix, binding.duid))
        });
        advertised.chain(bindings).collect()
    }

    /// Nothing of ours is left on what the configuration does not name, nor for what is not held.
    fn check_owned(&self) {
        let config = &self.configs[self.config];
        let named = |index: &IfIndex| {
            let name = self.node.kernel.system().links.get(index).map(|link| &link.name);
            name.is_some_and(|name| {
                config.uplinks.contains_key(name)
                    || config.downlinks.contains_key(name)
                    || config.relays.contains_key(name)
            })
        };
        for has in self.node.kernel.system().addresses.values().filter(|has| has.ours) {
            assert!(named(&has.interface), "{} is left on a link of others", has.address);
        }
        let status = self.node.core.status(self.now);
        let leases = status.uplinks.values().flat_map(|uplink| &uplink.leases);
        let held: Vec<Ipv6Net> = leases
            .map(|lease| lease.prefix)
            .chain(["fd00:1::/48", "fd00:2::/48"].map(upstream::net))
            .collect();
        for route in self.node.kernel.system().routes.values() {
            match route.target.interface() {
                Some(index) => assert!(named(&index), "{route:?} is left on a link of others"),
                None => assert!(held.contains(&route.destination), "{route:?} is left"),
            }
        }
        for (index, file) in self.node.kernel.sysctls.keys() {
            let name = &self.node.kernel.system().links[index].name;
            assert!(config.uplinks.contains_key(name), "{file} of {name} is left as it was set");
        }
        for (group, index) in &self.node.kernel.groups {
            assert!(named(index), "{group:?} is left on a link of others");
        }
    }

    /// A derivation from scratch finds nothing to do (what is incremental equals what is whole).
    fn check_from_scratch(&mut self) {
        // Nothing new is heard, and what was heard last has its effect.
        self.loses = u8::MAX;
        self.pass(SETTLED);
        for _ in 0..100 {
            if self.node.core.has_postponed_work() {
                self.pass(Duration::from_millis(1));
            }
        }
        let (mut before, all) = (self.ours(SOON), self.ours(Duration::ZERO));
        let settings = self.settings();
        let silent = self.silent_routers();
        self.node.refused.clear();
        self.give(Input::System(self.node.kernel.system().clone()));
        self.pass(Duration::from_millis(100));
        self.loses = 0;
        let after = self.ours(Duration::ZERO);
        assert_eq!(settings, self.settings(), "others when derived anew");
        // Nothing is answered meanwhile: a router that was being asked may have been found silent.
        if silent != self.silent_routers() {
            before.retain(|name, _| !name.starts_with("::/0 "));
        }
        for (name, value) in &before {
            assert_eq!(after.get(name), Some(value), "{name}: another when derived anew");
        }
        for name in after.keys() {
            assert!(all.contains_key(name), "{name}: only when derived anew");
        }
        assert!(self.node.refused.is_empty(), "the kernel still refuses {:?}", self.node.refused);
    }

    fn silent_routers(&self) -> Vec<String> {
        let status = self.node.core.status(self.now);
        let silent = status.conditions.into_iter().filter(|one| one.name == "router-silent");
        silent.map(|one| one.subject).collect()
    }

    /// Each delegated prefix is on the links that are to have it.
    fn check_subnets(&self) {
        let status = self.node.core.status(self.now);
        let is_short = |left: Option<u32>| left.is_some_and(|left| left < 60);
        for (uplink, name) in status
            .uplinks
            .values()
            .flat_map(|uplink| status.downlinks.keys().map(move |name| (uplink, name)))
        {
            let downlink = &status.downlinks[name];
            for lease in uplink.leases.iter().filter(|lease| !lease.gone && !is_short(lease.valid))
            {
                let has = |prefix: &Ipv6Net| lease.prefix.contains(prefix);
                let advertised = downlink.advertised.iter();
                let advertised =
                    advertised.filter(|prefix| prefix.valid > 0).any(|prefix| has(&prefix.prefix));
                let without = downlink.without.keys().any(has);
                assert!(advertised || without, "{name} is told nothing of {}", lease.prefix);
            }
        }
    }

    /// Killed and started again it ends in the same state.
    fn check_restart(&mut self) {
        let (before, all) = (self.below(REST + SOON), self.below(Duration::ZERO));
        let (settings, given) = (self.settings(), self.given(REST + SOON));
        let ending = self.ending(REST + SOON);
        self.restart();
        self.pass(REST);
        let after = self.below(Duration::ZERO);
        assert_eq!(settings, self.settings(), "others after a restart");
        let given_after = self.given(Duration::ZERO);
        assert!(given.is_subset(&given_after), "{given:?} before a restart, {given_after:?} after");
        for (name, value) in &before {
            // A static prefix may have left gracefully meanwhile, or a lease run out: this route
            // shows no end of it.
            let may_end =
                || name.starts_with("fd00:") || ending.iter().any(|it| name.starts_with(it));
            if value == "Unreachable" && may_end() && !after.contains_key(name) {
                continue;
            }
            assert_eq!(after.get(name), Some(value), "{name}: another after a restart");
        }
        // What another node was found to hold is tried again.
        let tried =
            self.node.kernel.found.iter().map(|(on, address)| format!("{address} on {}", on.0));
        let tried: BTreeSet<String> = tried.collect();
        for name in after.keys().filter(|name| !tried.contains(*name)) {
            assert!(all.contains_key(name), "{name}: only after a restart");
        }
    }

    /// Prefixes of leases that end within `span`.
    fn ending(&self, span: Duration) -> Vec<String> {
        let status = self.node.core.status(self.now);
        let leases = status.uplinks.values().flat_map(|uplink| &uplink.leases);
        let ends = |left: Option<u32>| left.is_some_and(|left| u64::from(left) <= span.as_secs());
        let ending = leases.filter(|lease| ends(lease.valid));
        ending.map(|lease| format!("{} ", lease.prefix)).collect()
    }

    /// Nobody says anything for some time, but for servers that answer.
    fn check_idle(&mut self) {
        self.node.outputs = 0;
        self.wakeups = 0;
        self.pass(IDLE);
        assert!(self.node.outputs < 2000, "{} outputs in an idle hour", self.node.outputs);
        assert!(self.wakeups < 3000, "{} wakeups in an idle hour", self.wakeups);
    }

    /// With a router and a server that work every uplink has its lease.
    fn check_leases(&mut self) {
        (0..UPLINKS.len()).for_each(|number| self.advertise_well(number));
        self.pass(Duration::from_secs(200));
        let status = self.node.core.status(self.now);
        let routers = |name: &str| status.uplinks.get(name).filter(|_| self.is_router_on(name));
        for (number, (name, _)) in UPLINKS.iter().enumerate() {
            let Some(uplink) = routers(name) else { continue };
            let wanted = self.servers[number].prefix();
            let holds = uplink.leases.iter().any(|lease| lease.prefix == wanted && !lease.gone);
            let any = uplink.leases.iter().any(|lease| !lease.gone);
            assert!(any, "{name} has no lease: {}", uplink.state);
            assert!(holds, "{name} does not hold {wanted}: {:?}", uplink.leases);
        }
        self.check_renumbering();
        self.check_first_words();
        let unreachable = self.node.kernel.system().routes.values();
        let unreachable = unreachable.filter(|route| route.target == RouteTarget::Unreachable);
        // A host alone has a static prefix at most, which an act may have taken.
        let status = self.node.core.status(self.now);
        let is_any = |(name, _): &(&str, &str)| self.is_router_on(name);
        let has_prefix = UPLINKS.iter().any(is_any) || !status.statics.values().all(Vec::is_empty);
        assert!(unreachable.count() > 0 || !has_prefix);
    }

    /// Prefixes that come and go: the last one is what counts.
    fn check_renumbering(&mut self) {
        for (number, (name, _)) in UPLINKS.iter().enumerate() {
            if !self.is_router_on(name) {
                continue;
            }
            let first = self.servers[number].prefix();
            let [other, last] = [["3fff:a::/56", "3fff:b::/56"], ["3fff:c::/56", "3fff:d::/56"]]
                [number]
                .map(upstream::net);
            for (round, prefix) in [other, first, other, first, last].into_iter().enumerate() {
                self.servers[number].renumber(prefix);
                let Some(interface) = self.index(name) else { continue };
                let on_link = format!("2001:db8:c{number}{round}:1::/64");
                let octets = upstream::good_advertisement(&on_link).encode();
                let router = upstream::ROUTERS[number];
                self.give(Input::Icmpv6(super::received(interface, router, octets)));
                self.pass(Duration::from_millis(700));
            }
            self.pass(Duration::from_secs(120));
            let status = self.node.core.status(self.now);
            let leases = &status.uplinks[*name].leases;
            let holds = leases.iter().any(|lease| lease.prefix == last && !lease.gone);
            assert!(holds, "{name} does not hold {last}, the last of several: {leases:?}");
            let keeps = leases.iter().any(|lease| lease.prefix == other && !lease.gone);
            assert!(!keeps, "{name} keeps {other}: {leases:?}");
        }
    }

    /// A router that is heard first when there is a lease already, and then about the next prefix,
    /// is followed within seconds.
    fn check_first_words(&mut self) {
        for (number, (name, _)) in UPLINKS.iter().enumerate() {
            if !self.is_router_on(name) {
                continue;
            }
            let [held, next] = [["3fff:1a::/56", "3fff:1b::/56"], ["3fff:1c::/56", "3fff:1d::/56"]]
                [number]
                .map(upstream::net);
            self.servers[number].renumber(held);
            self.loses = super::sent::ROUTER_SOLICITATIONS;
            self.replace_link(name);
            self.pass(Duration::from_secs(2));
            self.servers[number].renumber(next);
            let Some(interface) = self.index(name) else { continue };
            let on_link = format!("2001:db8:d{number}:1::/64");
            let octets = upstream::good_advertisement(&on_link).encode();
            let router = upstream::ROUTERS[number];
            self.give(Input::Icmpv6(super::received(interface, router, octets)));
            self.pass(Duration::from_secs(3));
            self.loses = 0;
            let status = self.node.core.status(self.now);
            let leases = &status.uplinks[*name].leases;
            let holds = leases.iter().any(|lease| lease.prefix == next && !lease.gone);
            assert!(holds, "{name} does not hold {next}, the one at its first words: {leases:?}");
        }
        // What went with it goes.
        self.pass(REST);
    }
}
