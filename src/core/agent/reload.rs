//! Taking over a configuration by its differences from the one before, and stopping.

use std::collections::BTreeSet;

use super::receive::advertisements;
use super::static_prefixes::STATIC;
use crate::config::{Config, OnStop};
use crate::core::Core;
use crate::core::downlink::Downlink;
use crate::core::kernel::object::{Object, Step};
use crate::core::output::Output;
use crate::core::uplink::Uplink;
use crate::time::Instant;

impl Core {
    /// Takes over `config`. An uplink or downlink whose configuration is the same as before keeps
    /// its state.
    pub(in crate::core) fn configure(&mut self, now: Instant, config: Config) {
        if let Some(duid) = config.duid.clone()
            && duid != self.duid
        {
            self.duid = duid;
            self.uplinks.clear();
        }
        self.uplinks.retain(|name, uplink| config.uplinks.get(name) == Some(uplink.config()));
        for (name, wanted) in &config.uplinks {
            if !self.uplinks.contains_key(name) {
                let stored = self.memory.leases.get(name).cloned();
                let uplink = Uplink::new(name, wanted, &self.duid, stored, &mut self.random, now);
                self.uplinks.insert(name.clone(), uplink);
            }
        }
        let changed = |name: &String, downlink: &Downlink| {
            config.downlinks.get(name).is_none_or(|wanted| wanted != downlink.config())
        };
        let stopped: BTreeSet<String> = self
            .downlinks
            .iter()
            .filter(|(name, downlink)| changed(name, downlink))
            .map(|(name, _)| name.clone())
            .collect();
        for name in &stopped {
            let ended = !config.downlinks.contains_key(name);
            if let Some(mut downlink) = self.downlinks.remove(name)
                && ended
            {
                self.send_final_advertisement(now, &mut downlink, true);
            }
        }
        for (name, wanted) in &config.downlinks {
            if !self.downlinks.contains_key(name) {
                let promised = self.memory.advertised.get(name).cloned().unwrap_or_default();
                let engine = wanted.advertiser.as_deref().and_then(|name| config.engine(name));
                let program = engine.map(|engine| engine.program);
                let random = &mut self.random;
                let downlink = Downlink::new(name, wanted, promised, program, random);
                self.downlinks.insert(name.clone(), downlink);
            }
        }
        self.statics.configure(now, &config.statics, &self.memory.statics);
        self.delegating.configure(&self.duid, &config);
        if let Some(engines) = self.engines.configure(&config) {
            self.outputs.push_back(Output::RunEngines(engines));
            // A program that takes another's place has no order yet.
            self.downlinks.values_mut().for_each(|downlink| downlink.repeat_order(now));
        }
        self.config = config;
        self.follow_hearing();
        let bindings = self.delegating.bindings().keys().cloned().collect();
        self.kernel.backlog.add_rerouted(bindings);
        self.pass.request();
        self.kernel.compare_all = true;
        // The first change of each is one from what is remembered, or configured.
        let statics = self.static_prefixes(now);
        self.reported.entry(STATIC.to_owned()).or_insert(statics);
        for (name, uplink) in &self.uplinks {
            self.reported.entry(name.clone()).or_insert_with(|| uplink.current(now));
        }
    }

    /// Sends the final advertisements; then leaves or removes the agent's addresses, routes and
    /// settings, as configured (`on_stop`).
    pub(in crate::core) fn stop(&mut self, now: Instant) {
        let remove = self.config.on_stop == OnStop::Remove;
        if self.ready && self.pass.begin_pressing() {
            // The final advertisements must not promise what has ended since the last pass.
            self.derive_and_apply(now);
        }
        for mut downlink in std::mem::take(&mut self.downlinks).into_values() {
            self.send_final_advertisement(now, &mut downlink, remove);
        }
        if remove {
            let addresses =
                self.kernel.state.system.addresses.values().filter(|address| address.ours);
            let mut steps: Vec<Step> =
                addresses.map(|address| Step::Remove(Object::Address(address.clone()))).collect();
            steps.extend(
                self.kernel
                    .state
                    .system
                    .routes
                    .values()
                    .cloned()
                    .map(|route| Step::Remove(Object::Route(route))),
            );
            self.hand_over(steps);
            self.restore_all_settings();
        }
        self.outputs.push_back(Output::Exit);
    }

    /// Sends the final advertisement of a downlink; `withdraw` withdraws its prefixes too.
    fn send_final_advertisement(&mut self, now: Instant, downlink: &mut Downlink, withdraw: bool) {
        if let Some(advertised) = downlink.final_order(now, withdraw) {
            self.order_to_advertise(downlink.name().to_owned(), advertised);
        }
        if let Some((attached, transmit)) = downlink.stop(now, withdraw) {
            self.outputs.extend(advertisements(&attached, &transmit));
        }
    }
}
