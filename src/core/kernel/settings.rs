//! Restoring settings: the agent gives settings of interfaces that are no uplinks of a router any
//! more their earlier values back, and `forwarding` where it does not switch it on any more.

use super::object::{Key, Object, Setting, Step, Sysctl};
use crate::core::Core;
use crate::core::memory::Record;
use crate::core::output::Output;
use crate::net::IfIndex;

impl Core {
    /// The settings that are desired no more, with their earlier values.
    pub(in crate::core) fn restored_settings(&self) -> Vec<Object> {
        let state = &self.kernel.state;
        let earlier = self.earlier_settings();
        let settings = earlier.filter_map(|(interface, name, value)| {
            let index = state.index_of_settings(&interface)?;
            Some(Object::Setting(Setting { index, interface, name, value }))
        });
        settings.collect()
    }

    /// The earlier values of settings that are desired no more.
    fn earlier_settings(&self) -> impl Iterator<Item = (String, Sysctl, i32)> + '_ {
        let remembered = self.memory.sysctls.iter();
        remembered.filter_map(|((interface, file), before)| {
            let name = Sysctl::from_file(file)?;
            let index = self.kernel.state.index_of_settings(interface)?;
            let is_over = !self.keeps_setting(index, interface, name);
            is_over.then(|| (interface.clone(), name, *before))
        })
    }

    /// Whether a setting keeps the agent's value: on an uplink of a router always, on that of a
    /// host while the value is desired.
    fn keeps_setting(&self, index: IfIndex, interface: &str, name: Sysctl) -> bool {
        if name == Sysctl::Forwarding {
            return self.config.forward;
        }
        let uplink = self.config.uplinks.get(interface);
        uplink.is_some_and(|uplink| {
            uplink.client.is_none()
                || self.kernel.desired.made.contains_key(&Key::Setting(index, name))
        })
    }

    /// Whether a step restores a value. Once it has been taken the earlier value can be forgotten.
    pub(in crate::core) fn restores(&self, step: &Step) -> bool {
        matches!(step, Step::Set(Object::Setting(Setting { index, interface, name, .. }))
            if !self.keeps_setting(*index, interface, *name))
    }

    /// Forgets the values that were restored, and those of interfaces that have vanished: an
    /// interface that comes back has settings of its own.
    pub(in crate::core) fn forget_settings(&mut self) {
        let is_restored = |(interface, name, before): &(String, Sysctl, i32)| {
            self.kernel.state.setting(interface, *name) == Some(*before)
        };
        let restored = self.earlier_settings().filter(is_restored);
        let restored = restored.map(|(interface, name, _)| (interface, name.file().to_owned()));
        let remembered = self.memory.sysctls.keys();
        let vanished = remembered
            .filter(|(interface, _)| self.kernel.state.index_of_settings(interface).is_none());
        let over: Vec<(String, String)> = restored.chain(vanished.cloned()).collect();
        over.into_iter().for_each(|(interface, file)| self.forget_setting(interface, file));
    }

    fn forget_setting(&mut self, interface: String, name: String) {
        let record = Record::Sysctl { interface, name, before: None };
        self.memory.fold(record.clone());
        self.outputs.push_back(Output::Remember(record));
    }

    /// The kernel has refused to restore a value at the end: the next run retries that.
    pub(in crate::core) fn leave_to_next_run(&mut self, step: &Step) {
        let is_ending = matches!(self.outputs.back(), Some(Output::Exit));
        if let Step::Set(Object::Setting(Setting { interface, name, value, .. })) = step
            && is_ending
        {
            let (interface, name) = (interface.clone(), name.file().to_owned());
            let record = Record::Sysctl { interface, name, before: Some(*value) };
            let exit = self.outputs.len() - 1;
            self.outputs.insert(exit, Output::Remember(record));
        }
    }

    /// Restores all settings at the end: there will be no other time for it.
    pub(in crate::core) fn restore_all_settings(&mut self) {
        let remembered = std::mem::take(&mut self.memory.sysctls);
        let mut steps = Vec::new();
        for ((interface, file), value) in &remembered {
            if let Some(name) = Sysctl::from_file(file)
                && let Some(index) = self.kernel.state.index_of_settings(interface)
            {
                let interface = interface.clone();
                let setting = Setting { index, interface, name, value: *value };
                steps.push(Step::Set(Object::Setting(setting)));
            }
        }
        self.hand_over(steps);
        for ((interface, file), _) in remembered {
            self.forget_setting(interface, file);
        }
    }
}
