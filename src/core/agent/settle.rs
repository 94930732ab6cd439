//! The second half of an event: the desired state is derived, compared, applied and told.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::core::Core;
use crate::core::DefaultRoute;
use crate::core::delegate::HostOptions;
#[cfg(debug_assertions)]
use crate::core::desired::Delegated;
use crate::core::desired::{self, Carving, Facts, UplinkFacts};
use crate::core::event::Event;
use crate::core::kernel::diff::Removable;
use crate::core::kernel::refusals;
use crate::core::uplink::change::Bucket;

use crate::config::AddressMode;
use crate::core::input::Refusal;
use crate::core::kernel::system::{KernelAddress, RouteTarget};
use crate::core::output::{Milestone, Output, Stage, Step};
use crate::time::Instant;

/// What nobody waits for is done so much later, or with what comes up until then: a change goes
/// through a whole tree of routers meanwhile, and has their processors for itself.
pub(in crate::core) const LAG: Duration = Duration::from_millis(10);

/// The desired state is derived so much after requesting routers were notified that have not come
/// until then. A Renew message that finds the agent deriving waits for longer, and all that are
/// below its sender with it.
const ANSWERS_FIRST: Duration = Duration::from_micros(500);

/// How often what was heard on uplinks has the whole derived.
pub(in crate::core) const DERIVATIONS: Bucket = Bucket::new(10, Duration::from_millis(500));

/// Steps that are handed over at once. Between two batches the loop looks at packets, timers and
/// signals.
const BATCH: usize = 1024;

impl Core {
    /// Derives and compares if anything was heard that could matter, then lets the links know.
    pub(in crate::core) fn settle(&mut self, now: Instant) {
        if !self.ready {
            return;
        }
        // All outputs have been performed: what was not refused again went well.
        self.review |= self.kernel.refusals.drop_succeeded();
        let names: Vec<String> = self.uplinks.keys().cloned().collect();
        for name in &names {
            self.send_from_uplink(now, name);
        }
        // What moves lifetimes or removes comes behind all that is awaited.
        let is_due = [self.derive_by, self.refresh_by].into_iter().flatten().any(|at| at <= now)
            && !self.kernel.backlog.has_steps();
        let mut later = Vec::new();
        if self.derive && self.notified_at.is_none() && self.notify_ahead(now) {
            // The rest follows when that has left, and was answered.
            (self.notified_at, self.unsettled) = (Some(now), Some(now));
            return;
        }
        if self.answers_first().is_some_and(|until| until > now) {
            return;
        }
        if std::mem::take(&mut self.derive) || is_due {
            (self.notified_at, self.derive_by, self.refresh_by) = (None, None, None);
            later = self.derive_and_apply(now);
            // Who is about to be told may ask at once, and is answered first.
            self.lags = !later.is_empty() && (!self.lags || self.kernel.backlog.has_steps());
            if self.lags {
                later.clear();
                self.derive_soon(now);
            }
        } else {
            self.work_off(now);
        }
        if std::mem::take(&mut self.review) {
            self.review_conditions(now);
        }
        self.answer_postponed(now);
        self.notify_subordinates(now);
        self.send_from_downlinks(now);
        self.take_steps(now, later);
    }

    /// Has the desired state derived when there is time.
    pub(in crate::core) fn derive_soon(&mut self, now: Instant) {
        self.derive_at(now + LAG);
    }

    fn derive_at(&mut self, at: Instant) {
        self.derive_by = Some(self.derive_by.map_or(at, |known| known.min(at)));
    }

    /// Has it derived at `at` for something that anybody on an uplink can bring about: as often as
    /// routers really change, and a flood cannot have it done more often than that.
    pub(in crate::core) fn derive_heard(&mut self, now: Instant, at: Instant) {
        let mut pending = [self.derive_by, self.refresh_by].into_iter().flatten();
        if self.derive || pending.any(|known| known <= at) {
            return;
        }
        let at =
            if self.derivations.take(now) { at } else { self.derivations.available_at().max(at) };
        if at <= now + LAG {
            self.derive_at(at);
        } else {
            self.refresh_by = Some(self.refresh_by.map_or(at, |known| known.min(at)));
        }
    }

    /// Moves the bindings to what there is to give, and sends Reconfigure messages: while those
    /// are on their way, and the Renew messages that answer them, routes and addresses follow.
    /// Whether anything leaves.
    fn notify_ahead(&mut self, now: Instant) -> bool {
        if !self.kernel.desired.serves() || self.delegating.bindings().is_empty() {
            return false;
        }
        let sources = self.sources(now);
        self.carve(now, &sources);
        self.notify_subordinates(now);
        !self.outputs.is_empty()
    }

    /// Until when the desired state waits for Renew messages of those who were just notified.
    pub(in crate::core) fn answers_first(&self) -> Option<Instant> {
        let since = self.notified_at.filter(|_| self.derive)?;
        self.delegating.awaits_renewal(since).then_some(since + ANSWERS_FIRST)
    }

    /// Lets the bindings follow what there is to give.
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

    /// Brings about what is new; the steps are left over that nobody waits for.
    pub(in crate::core) fn derive_and_apply(&mut self, now: Instant) -> Vec<Step> {
        let sources = self.sources(now);
        let accounted = self.accounted(&sources);
        let carving = self.carve(now, &sources);
        let rerouted = self.kernel.delegated.attach(&self.kernel.state.system, &self.delegating);
        self.kernel.backlog.add_rerouted(rerouted);
        let removable = self.removable();
        let all =
            std::mem::take(&mut self.kernel.compare_all) || removable != self.kernel.removable;
        self.kernel.removable = removable;
        if all {
            for key in self.kernel.backlog.take_all() {
                self.follow_binding(&key);
            }
        }
        let facts = self.facts(&sources);
        let mut desired = desired::from_scratch(facts, &carving, &self.delegating, now);
        self.relays.desire(
            &mut desired,
            &self.kernel.delegated,
            &self.config,
            &self.kernel.state.system,
        );
        if !self.capabilities.routes_have_metrics {
            desired.keep_one_route_each(&self.kernel.delegated);
        }
        let before = std::mem::replace(&mut self.kernel.desired, desired);
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
        self.remember_next();
        self.forget_settings();
        let restored = self.restored_settings();
        let steps = self.kernel.steps(now, &before, restored, all);
        if steps.iter().any(|step| self.restores(step)) {
            self.derive_soon(now);
        }
        let (first, later) = steps.into_iter().partition(|step| self.kernel.is_awaited(step));
        let later = self.postpone_routes(now, later);
        let mut first = self.first_slice(first);
        first.extend(self.follow_next(now));
        #[cfg(debug_assertions)]
        self.check_delegated();
        self.apply(now, first);
        self.tell_links(now, &accounted);
        self.aim_probes(now);
        self.review = true;
        later
    }

    /// What was kept of earlier derivations equals what all of it gives.
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

    /// Lets each uplink probe the first of its prefixes that packets can leave from.
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

    /// Hands steps to the shell and takes them as taken: a refusal comes back as an input.
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
    }

    /// Hands steps to the shell, in batches.
    pub(in crate::core) fn hand_over(&mut self, steps: Vec<Step>) {
        if steps.len() > BATCH {
            self.outputs.extend(steps.chunks(BATCH).map(|batch| Output::Apply(batch.to_vec())));
        } else if !steps.is_empty() {
            self.outputs.push_back(Output::Apply(steps));
        }
    }

    /// The kernel refused a step: what was assumed is taken back, and the step waits until its
    /// retry. A refusal alone has nothing derived, or thousands of them would keep the loop busy.
    pub(in crate::core) fn step_failed(&mut self, now: Instant, step: Step, refusal: Refusal) {
        let refused = refusals::refused(&step, refusal, &self.kernel.state.system);
        if self.kernel.refused(now, step, refusal) {
            self.report(Event::StepRefused(refused));
        }
        self.review = true;
    }

    /// What may be removed: on an uplink once its router was heard, elsewhere once it is known
    /// what is delegated.
    fn removable(&self) -> Removable {
        let known = self.leases_known();
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

    /// Whether a default route leads to the provider: at once when one appears, after the hold
    /// when the last is lost (RA-TX-30). Without uplinks somebody else sees to that.
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
            heard || adopted || !uplink.config().default_route
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
