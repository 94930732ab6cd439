//! The consequences of an input: effects on uplinks, the record of a change, the next deadline.

use super::settle::DefaultRoute;
use crate::core::Core;
use crate::core::event::Event;
use crate::core::input::Command;
use crate::core::kernel::object::Sysctl;
use crate::core::memory::Record;
use crate::core::output::Output;
use crate::core::stage::Stage;
use crate::core::uplink::Effect;
use crate::net::IfIndex;
use crate::time::{Deadline, Instant};

impl Core {
    /// The first of all deadlines.
    pub(in crate::core) fn first_deadline(&self, now: Instant) -> Option<Deadline> {
        let uplinks = self.uplinks.values().map(|uplink| uplink.deadline(self.config.grace));
        let held = self.advertising_held_until(now);
        let wait = |deadline: Deadline| match held {
            Some(until) if deadline.at < until => {
                Deadline::new(until, "answer about a remembered lease")
            }
            Some(_) | None => deadline,
        };
        let downlinks = self.downlinks.values().map(|downlink| downlink.deadline().map(wait));
        let hold = match self.default_route {
            DefaultRoute::LostAt(at) => {
                Some(Deadline::new(at + self.config.uplink_loss_hold, "loss of the default route"))
            }
            DefaultRoute::Absent | DefaultRoute::Present => None,
        };
        let end = self.kernel.desired.next_end();
        let more = [
            self.pass.deadline(),
            self.kernel.backlog.deadline(now),
            hold,
            end,
            self.kernel.refusals.deadline(),
            self.statics.deadline(self.config.grace),
            self.delegating.deadline(),
            self.takeovers.deadline(),
            self.postponed.deadline(),
            self.relays.leases().deadline(),
            self.publications.deadline(),
            self.unaddressed.deadline(),
        ];
        Deadline::first(uplinks.chain(downlinks).chain(more))
    }

    /// Handles all deadlines that have passed.
    pub(in crate::core) fn handle_timeouts(&mut self, now: Instant) {
        let grace = self.config.grace;
        let effects: Vec<(String, Effect)> = self
            .uplinks
            .iter_mut()
            .map(|(name, uplink)| (name.clone(), uplink.handle_timeout(now, grace)))
            .collect();
        for (name, effect) in effects {
            self.take_effect(now, &name, &effect);
        }
        self.pass.request_if(self.statics.handle_timeout(now, grace));
        self.pass.request_if(self.delegating.is_to_be_derived(now));
        self.serve_timeouts(now, self.bindings_per_pass());
        self.handle_takeovers(now);
        self.end_relayed(now);
        self.review |= self.unaddressed.handle_timeout(now);
        let over = self.kernel.desired.take_ended(now);
        let hold = self.config.uplink_loss_hold;
        let hold = matches!(self.default_route, DefaultRoute::LostAt(at) if at + hold <= now);
        let is_retry_due = self.kernel.refusals.is_retry_due(now);
        self.kernel.compare_all |= is_retry_due;
        self.pass.request_if(is_retry_due || hold || self.publications.is_due(now));
        if over {
            self.pass.request_heard(now, now);
        }
    }

    /// Carries out a command of an operator or a hook.
    pub(in crate::core) fn command(&mut self, now: Instant, command: Command) {
        let (interface, command_name) = (command.uplink().map(str::to_owned), command.name());
        self.report(Event::CommandReceived { interface, command: command_name });
        let effects: Vec<(String, Effect)> = match command {
            Command::Renew { uplink } => {
                let wanted = |name: &String| uplink.as_ref().is_none_or(|uplink| uplink == name);
                let uplinks = self.uplinks.iter_mut().filter(|(name, _)| wanted(name));
                uplinks.map(|(name, uplink)| (name.clone(), uplink.renew(now))).collect()
            }
            Command::LinkUp { uplink } => {
                let found = self.uplinks.get_mut(&uplink);
                found.map(|found| (uplink, found.link_up(now))).into_iter().collect()
            }
            Command::Feed(feed) => {
                let found = self.uplinks.get_mut(&feed.interface);
                let found = found.map(|found| found.handle_feed(now, &feed));
                found.map(|effect| (feed.interface.clone(), effect)).into_iter().collect()
            }
            Command::Reload(config) => {
                self.configure(now, *config);
                self.attach(now);
                Vec::new()
            }
            Command::Forget { prefix } => {
                self.forget_relayed(prefix);
                Vec::new()
            }
            Command::SetPrefixes { prefixes, graceful } => {
                vec![self.set_prefixes(now, prefixes, graceful)]
            }
            Command::Stop => Vec::new(),
        };
        for (name, effect) in effects {
            self.take_effect(now, &name, &effect);
        }
    }

    /// Attaches uplinks and downlinks to the links that the kernel has, or detaches them.
    pub(in crate::core) fn attach(&mut self, now: Instant) {
        if !self.ready {
            return;
        }
        let system = &self.kernel.state.system;
        self.review |= self.unaddressed.follow(now, &self.config, system);
        let mut effects: Vec<(String, Effect)> = Vec::new();
        for (name, uplink) in &mut self.uplinks {
            let is_off = system.link(name).is_some_and(|link| link.accept_ra == Some(0));
            let key = (name.clone(), Sysctl::AcceptRa.file().to_owned());
            let is_forced = uplink.client().is_some_and(|client| client.force);
            let is_ours = is_forced || self.memory.sysctls.contains_key(&key);
            uplink.set_managed_elsewhere(now, is_off && !is_ours);
            effects.push((name.clone(), uplink.attach(now, system)));
            effects.push((key.0, uplink.follow_addresses(now, system)));
        }
        for downlink in self.downlinks.values_mut() {
            downlink.attach(now, system);
        }
        for (name, effect) in effects {
            self.take_effect(now, &name, &effect);
        }
    }

    /// Carries out an effect of an uplink: records the change, stores the lease and queues
    /// messages.
    pub(in crate::core) fn take_effect(&mut self, now: Instant, name: &str, effect: &Effect) {
        self.pass.request_if(effect.derive);
        if effect.heard {
            self.pass.request_heard(now, now);
        } else if let Some(at) = effect.derive_by {
            self.pass.request_heard(now, at);
        }
        self.review |= effect.review;
        self.report_routers(name, &effect.routers);
        self.report_exchanges(name);
        self.follow_change(now, name, effect);
        if effect.delegated {
            self.ask_again_elsewhere(now, name);
        }
        if effect.asked {
            // A request promises nothing, so it need not wait until the lease is stored.
            self.send_from_uplink(now, name);
        }
        if effect.remember
            && let Some(uplink) = self.uplinks.get(name)
        {
            let lease = uplink.lease().stored();
            let record = Record::Lease { uplink: name.to_owned(), lease };
            self.memory.fold(record.clone());
            self.outputs.push_back(Output::Remember(record));
        }
        self.send_from_uplink(now, name);
        self.run_scripts(name);
        if effect.asked {
            self.milestone(name, Stage::Asked);
        }
        if effect.outcome.is_some() && !effect.delegated {
            self.milestone(name, Stage::Applied);
        }
    }

    pub(in crate::core) fn report(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// The name of an interface.
    pub(in crate::core) fn name_of(&self, interface: IfIndex) -> Option<String> {
        self.kernel.state.system.name_of(interface).map(str::to_owned)
    }

    /// Whether work is left that no neighbor waits for.
    pub fn has_postponed_work(&self) -> bool {
        self.pass.is_deferred() || !self.kernel.backlog.is_empty()
    }

    /// Sets whether debug events are reported. Without them nothing is allocated for events that
    /// any node can cause in large numbers.
    pub const fn set_reports_debug(&mut self, reports_debug: bool) {
        self.reports_debug = reports_debug;
    }
}
