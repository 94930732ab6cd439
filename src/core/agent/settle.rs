//! The second half of an event: the desired state is derived, compared, applied and advertised.

use std::collections::BTreeMap;
use std::time::Duration;

use super::serve::PER_PASS;
use crate::core::Core;
use crate::core::delegate::HostOptions;
#[cfg(debug_assertions)]
use crate::core::desired::Delegated;
use crate::core::desired::{self, Carving, Facts, UplinkFacts};
use crate::core::event::Event;
use crate::core::kernel::diff::Removable;
use crate::core::kernel::refusals;

use crate::config::AddressMode;
use crate::core::kernel::object::{Group, Key, Port, Refusal, Step};
use crate::core::kernel::system::{KernelAddress, Link, RouteTarget};
use crate::core::output::Output;
use crate::core::stage::{Milestone, Stage};
use crate::time::Instant;

/// How long the agent waits for Renew messages after its notification of requesting routers has
/// left, before it derives the desired state. A Renew message that finds the agent deriving waits
/// for longer, and so do all routers below its sender.
const ANSWERS_FIRST: Duration = Duration::from_micros(500);

/// How many steps one batch has. Between two batches the loop looks at packets, timers and signals.
const BATCH: usize = 1024;

/// Whether a default route leads to the provider, and since when none does (RA-TX-30).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::core) enum DefaultRoute {
    Absent,
    Present,
    LostAt(Instant),
}

impl Core {
    /// Derives the desired state if something was heard that it depends on, hands over the steps,
    /// and sends messages and advertisements.
    pub(in crate::core) fn settle(&mut self, now: Instant) {
        if !self.ready {
            return;
        }
        // All outputs have been performed, so a retried step that was not refused again has
        // succeeded.
        self.review |= self.kernel.refusals.drop_succeeded();
        let names: Vec<String> = self.uplinks.keys().cloned().collect();
        for name in &names {
            self.send_from_uplink(now, name);
        }
        if self.pass.may_notify_ahead() && self.notify_ahead(now) {
            // The pass follows when the Reconfigure messages have left and were answered.
            self.pass.note_notified_ahead(now);
            self.unsettled = Some(now);
            return;
        }
        if self.answers_first().is_some_and(|until| until.is_none_or(|until| until > now)) {
            return;
        }
        let mut later = Vec::new();
        // Steps that only move lifetimes or remove come after all that neighbors wait for.
        if self.pass.begin(now, self.kernel.backlog.has_steps()) {
            later = self.derive_and_apply(now);
            // Routers that are about to be notified may ask at once, and are answered first.
            let is_busy = self.kernel.backlog.has_steps();
            if self.pass.postpones(now, !later.is_empty(), is_busy) {
                later.clear();
            }
        } else {
            self.work_off(now);
        }
        if std::mem::take(&mut self.review) {
            self.review_conditions(now);
        }
        self.answer_postponed(now);
        self.notify_subordinates(now, self.bindings_per_pass());
        self.send_from_downlinks(now);
        self.take_steps(now, later);
    }

    /// Moves the bindings to the prefixes of the new plan, and sends Reconfigure messages: while
    /// those are on their way, and the Renew messages that answer them, routes and addresses
    /// follow. Returns whether anything leaves.
    fn notify_ahead(&mut self, now: Instant) -> bool {
        // Another program has to have the new prefixes before requesting routers hear of them.
        if !self.delegating.answers()
            || !self.kernel.desired.serves()
            || self.delegating.bindings().is_empty()
        {
            return false;
        }
        let sources = self.sources(now);
        self.carve(now, &sources);
        self.notify_subordinates(now, PER_PASS);
        !self.outputs.is_empty()
    }

    /// The time until which the desired state waits for Renew messages of the routers that were
    /// just notified; the inner option is none before the notification has left.
    pub(in crate::core) fn answers_first(&self) -> Option<Option<Instant>> {
        let ahead = self.pass.ahead()?;
        let is_awaited = self.delegating.awaits_renewal(ahead.notified_at);
        is_awaited.then(|| ahead.left_at.map(|at| at + ANSWERS_FIRST))
    }

    /// Carves the delegated prefixes by the plan and moves the bindings to the result.
    fn carve(&mut self, now: Instant, sources: &BTreeMap<String, UplinkFacts>) -> Carving {
        let carving = Carving::new(self.facts(sources));
        let known = self.bindings_known(&self.accounted(sources));
        let offers = carving.offers(known, self.renewed_at(now));
        let touched = self.delegating.set_offers(now, offers);
        self.kernel.backlog.add_bindings(touched);
        carving
    }

    fn sources(&mut self, now: Instant) -> BTreeMap<String, UplinkFacts> {
        let mut sources: BTreeMap<String, UplinkFacts> =
            self.uplinks.iter().map(|(name, uplink)| (name.clone(), uplink.facts(now))).collect();
        self.follow_default_route(now, &sources);
        sources.extend(self.statics.facts());
        sources
    }

    fn facts<'a>(&'a self, sources: &'a BTreeMap<String, UplinkFacts>) -> Facts<'a> {
        Facts {
            config: &self.config,
            capabilities: self.capabilities,
            system: &self.kernel.state.system,
            sources,
            secret: &self.secret,
            default_route: self.default_route != DefaultRoute::Absent,
        }
    }

    /// Derives the desired state and takes the steps that neighbors wait for. Returns the other
    /// steps.
    pub(in crate::core) fn derive_and_apply(&mut self, now: Instant) -> Vec<Step> {
        let sources = self.sources(now);
        let accounted = self.accounted(&sources);
        let carving = self.carve(now, &sources);
        let rerouted = self.kernel.delegated.attach(&self.kernel.state.system, &self.delegating);
        self.delegating.notify_again(now, &rerouted);
        self.kernel.backlog.add_rerouted(rerouted);
        let removable = self.removable();
        let all =
            std::mem::take(&mut self.kernel.compare_all) || removable != self.kernel.removable;
        self.kernel.removable = removable;
        if all {
            let bindings = self.kernel.backlog.take_all();
            let (mut before, mut after) = (Vec::new(), Vec::new());
            for (key, reason) in &bindings {
                self.follow_binding(key, *reason, &mut before, &mut after);
            }
            self.kernel.backlog.add_records(bindings);
        }
        let facts = self.facts(&sources);
        let mut desired = desired::from_scratch(facts, &carving, &self.delegating, now);
        self.relays.desire(
            &mut desired,
            &self.kernel.delegated,
            &self.config,
            &self.kernel.state.system,
        );
        self.kernel.state.system.bound_duplicates(&desired.held_elsewhere);
        desired.suit(self.capabilities, &self.kernel.delegated);
        desired.note_ends(now);
        let before = std::mem::replace(&mut self.kernel.desired, desired);
        if before.routes.keys().ne(self.kernel.desired.routes.keys()) {
            self.kernel.backlog.check_later();
        }
        let options = self.kernel.desired.contents.iter().map(|(name, content)| {
            let (servers, search) = (content.resolvers.iter(), content.search.iter());
            let options = HostOptions {
                servers: servers.map(|(address, _)| *address).collect(),
                search: search.map(|(name, _)| name.clone()).collect(),
                services: content.services.clone(),
            };
            (name.clone(), options)
        });
        self.delegating.set_host_options(options.collect());
        self.order_delegations(now);
        self.remember_next();
        self.forget_settings();
        let restored = self.restored_settings();
        let steps = self.kernel.steps(now, &before, restored, all);
        if steps.iter().any(|step| self.restores(step)) {
            self.pass.request_soon(now);
        }
        let (first, later) = steps.into_iter().partition(|step| self.kernel.is_awaited(step));
        let later = self.postpone_routes(now, later);
        let mut first = self.first_slice(first);
        first.extend(self.follow_next(now));
        #[cfg(debug_assertions)]
        self.check_delegated();
        self.apply(now, first);
        self.note_listening(now);
        self.set_contents(now, &accounted);
        self.publish(now, &sources);
        self.follow_forming(now);
        self.aim_probes(now);
        self.review = true;
        later
    }

    /// Checks that the routes kept over earlier derivations equal those of a whole derivation.
    #[cfg(debug_assertions)]
    fn check_delegated(&self) {
        if !self.kernel.backlog.has_steps() {
            let whole = Delegated::from_scratch(&self.kernel.state.system, &self.delegating);
            assert_eq!(
                self.kernel.delegated, whole,
                "kept routes are not those that bindings have"
            );
        }
    }

    /// Solicits routers once more where a host's kernel has formed no address from their
    /// advertisements.
    fn follow_forming(&mut self, now: Instant) {
        for uplink in self.uplinks.values_mut() {
            if uplink.follow_forming(now, &self.kernel.state.system) {
                self.pass.request_soon(now);
            }
        }
        let hosts = self.uplinks.iter().filter(|(_, uplink)| uplink.client().is_some());
        let names: Vec<String> = hosts.map(|(name, _)| name.clone()).collect();
        names.iter().for_each(|name| self.send_from_uplink(now, name));
    }

    /// Lets each uplink probe the first of its prefixes that has a usable address.
    fn aim_probes(&mut self, now: Instant) {
        for uplink in self.uplinks.values_mut() {
            let prefixes = uplink
                .lease()
                .prefixes()
                .into_iter()
                .filter(|held| held.gone_since.is_none() && !held.preferred_until.is_over(now));
            let mut candidates = prefixes.filter_map(|held| {
                let within = |address: &&KernelAddress| {
                    address.is_usable() && held.prefix.contains(&address.address)
                };
                let address = self.kernel.state.system.addresses.values().find(within)?;
                Some((address.address, held.prefix))
            });
            let candidate = candidates.next();
            uplink.aim_probe(now, candidate);
        }
    }

    /// Hands steps to the shell and assumes that they succeed: a refusal comes back as an input.
    fn apply(&mut self, now: Instant, steps: Vec<Step>) {
        self.take_steps(now, steps);
        if let Some(change) = self.unadvertised {
            let stage = Stage::Applied;
            self.outputs.push_back(Output::Milestone(Milestone { change, stage }));
        }
    }

    pub(in crate::core) fn take_steps(&mut self, now: Instant, steps: Vec<Step>) {
        self.hand_over(steps.clone());
        self.kernel.assume(now, steps);
        self.mute_uplinks(now);
    }

    /// Lets the exchanges of uplinks rest while UDP port 546 cannot be opened.
    fn mute_uplinks(&mut self, now: Instant) {
        let is_refused = self.kernel.refusals.of(&Key::Port(Port::Client)).is_some();
        let is_open = self.kernel.state.is_open(Port::Client);
        let is_mute = is_refused && !is_open;
        for uplink in self.uplinks.values_mut() {
            uplink.set_mute(now, is_mute);
            if uplink.follow_port(is_open, is_refused) {
                self.pass.request_soon(now);
            }
        }
    }

    /// Notes on which downlinks messages of requesting routers arrive: only there a router that sends
    /// none is overdue.
    fn note_listening(&mut self, now: Instant) {
        let state = &self.kernel.state;
        let hears = |link: &&Link| {
            link.running
                && state.is_member(Group::DhcpServers, link.index)
                && self.delegating.serves(&link.name)
        };
        let links = state.system.links.values().filter(|_| state.is_open(Port::Server));
        let heard: Vec<String> = links.filter(hears).map(|link| link.name.clone()).collect();
        self.delegating.set_listening(now, heard.into_iter());
    }

    /// Hands steps to the shell, in batches.
    pub(in crate::core) fn hand_over(&mut self, steps: Vec<Step>) {
        if steps.len() > BATCH {
            self.outputs.extend(steps.chunks(BATCH).map(|batch| Output::Apply(batch.to_vec())));
        } else if !steps.is_empty() {
            self.outputs.push_back(Output::Apply(steps));
        }
    }

    /// Handles a refusal: the assumption is taken back, and the step waits until its retry. A
    /// refusal alone starts no derivation, or thousands of them would keep the loop busy.
    pub(in crate::core) fn step_failed(&mut self, now: Instant, step: Step, refusal: Refusal) {
        self.leave_to_next_run(&step);
        let refused = refusals::refused(&step, refusal, &self.kernel.state.system);
        let is_of_port = step.object().key() == Key::Port(Port::Server);
        if self.kernel.refused(now, step, refusal) {
            self.report(Event::StepRefused(refused));
        }
        self.mute_uplinks(now);
        if is_of_port {
            self.note_listening(now);
        }
        self.review = true;
    }

    /// What may be removed: on an uplink once its router was heard, elsewhere once it is known
    /// what is delegated, unless another agent has its own there.
    fn removable(&self) -> Removable {
        let known = self.leases_known() && !self.config.is_confined;
        let interfaces = self.kernel.state.system.links.values().filter(|link| link.running);
        let interfaces = interfaces
            .filter(|link| match self.uplinks.get(&link.name) {
                Some(uplink) => uplink.heard() || uplink.config().address == AddressMode::Kernel,
                None => known,
            })
            .map(|link| link.index)
            .collect();
        Removable { interfaces, unbound: known }
    }

    /// When the first of our leases is to be renewed.
    fn renewed_at(&self, now: Instant) -> Option<Instant> {
        self.uplinks.values().filter_map(|uplink| uplink.lease().renewed_at(now)).min()
    }

    /// Whether a default route leads to the provider: at once when one appears, after the hold when
    /// the last is lost (RA-TX-30). Without uplinks another program sees to that.
    fn follow_default_route(&mut self, now: Instant, facts: &BTreeMap<String, UplinkFacts>) {
        let routed = self.uplinks.iter().any(|(name, uplink)| {
            let heard = facts.get(name).is_some_and(|facts| !facts.default_routers.is_empty());
            let Some(attached) = uplink.attached() else { return false };
            // Before the first advertisement after a restart the route of the earlier run counts,
            // and where another program owns the route, the link does.
            let adopted = !uplink.heard() && self.kernel.state.system.routes.values().any(|route| {
                route.destination.prefix_len() == 0
                    && matches!(route.target, RouteTarget::Gateway(at, _) if at == attached.index)
            });
            let is_elsewhere = !uplink.config().default_route && uplink.client().is_none();
            heard || adopted || is_elsewhere
        }) || self.uplinks.is_empty();
        let before = self.default_route;
        self.default_route = match before {
            _ if routed => DefaultRoute::Present,
            DefaultRoute::Present => DefaultRoute::LostAt(now),
            DefaultRoute::LostAt(at) if now.since(at) >= self.config.uplink_loss_hold => {
                DefaultRoute::Absent
            }
            unchanged @ (DefaultRoute::LostAt(_) | DefaultRoute::Absent) => unchanged,
        };
        match (before, self.default_route) {
            (DefaultRoute::Absent, DefaultRoute::Present) if !self.uplinks.is_empty() => {
                self.report(Event::DefaultRouteFound);
            }
            (DefaultRoute::LostAt(_), DefaultRoute::Absent) => {
                self.report(Event::DefaultRouteLost);
            }
            _ => {}
        }
    }
}
