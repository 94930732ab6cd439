//! Kernel settings and group memberships: those that are to be made, and the settings of
//! interfaces that are no uplinks any more, which get the values back that they had.

use super::Core;
use super::memory::Record;
use super::output::{Output, Step, Sysctl};
use crate::time::Instant;

impl Core {
    /// Settings and group memberships that are not made yet.
    pub(super) fn setting_steps(&self, now: Instant) -> Vec<Step> {
        let wanted = self.desired.sysctls.iter();
        let wanted = wanted.map(|((interface, name), value)| (interface.clone(), *name, *value));
        let settings = wanted.chain(self.earlier_settings());
        let mut steps: Vec<Step> = settings
            .filter(|(interface, name, value)| self.setting(interface, *name) != Some(*value))
            .map(|(interface, name, value)| Step::SetSysctl { interface, name, value })
            .collect();
        if self.desired.serve != self.serving {
            steps.push(Step::Serve(self.desired.serve));
        }
        let served = self.desired.serve && !self.failures.holds(now, &Step::Serve(true));
        let wanted = &self.desired.groups;
        let join = wanted.difference(&self.groups).copied();
        let join = join.filter(|(group, _)| served || !group.is_for_servers());
        steps.extend(join.map(|(group, interface)| Step::Join(group, interface)));
        let leave = self.groups.difference(wanted).copied();
        steps.extend(leave.map(|(group, interface)| Step::Leave(group, interface)));
        steps
    }

    /// The value that a setting was given on the interface that is there.
    fn setting(&self, interface: &str, name: Sysctl) -> Option<i32> {
        let index = self.system.link(interface)?.index;
        self.settings.get(&(index, name)).copied()
    }

    /// The values that settings had on interfaces that are no uplinks any more.
    fn earlier_settings(&self) -> impl Iterator<Item = (String, Sysctl, i32)> + '_ {
        let remembered = self.memory.sysctls.iter();
        let others =
            remembered.filter(|((interface, _), _)| !self.config.uplinks.contains_key(interface));
        others.filter_map(|((interface, file), before)| {
            let name = Sysctl::from_file(file)?;
            self.system.link(interface)?;
            Some((interface.clone(), name, *before))
        })
    }

    /// Whether a step gives back a value. When it was taken that can be forgotten.
    pub(super) fn restores(&self, step: &Step) -> bool {
        matches!(step, Step::SetSysctl { interface, .. }
            if !self.config.uplinks.contains_key(interface))
    }

    /// Forgets the values that were given back, and those of interfaces that have vanished: one
    /// that comes back has its own.
    pub(super) fn forget_settings(&mut self) {
        let is_restored = |(interface, name, before): &(String, Sysctl, i32)| {
            self.setting(interface, *name) == Some(*before)
        };
        let restored = self.earlier_settings().filter(is_restored);
        let restored = restored.map(|(interface, name, _)| (interface, name.file().to_owned()));
        let remembered = self.memory.sysctls.keys();
        let vanished = remembered.filter(|(interface, _)| self.system.link(interface).is_none());
        let over: Vec<(String, String)> = restored.chain(vanished.cloned()).collect();
        over.into_iter().for_each(|(interface, file)| self.forget_setting(interface, file));
    }

    fn forget_setting(&mut self, interface: String, name: String) {
        let record = Record::Sysctl { interface, name, before: None };
        self.memory.fold(record.clone());
        self.outputs.push_back(Output::Remember(record));
    }

    /// Gives all settings back at the end: there will be no other time for it.
    pub(super) fn restore_all_settings(&mut self) {
        let remembered = std::mem::take(&mut self.memory.sysctls);
        let mut steps = Vec::new();
        for ((interface, file), value) in &remembered {
            if let Some(name) = Sysctl::from_file(file)
                && self.system.link(interface).is_some()
            {
                let interface = interface.clone();
                steps.push(Step::SetSysctl { interface, name, value: *value });
            }
        }
        self.hand_over(steps);
        for ((interface, file), _) in remembered {
            self.forget_setting(interface, file);
        }
    }
}
