//! The ownership record: entries before a step, and objects that an earlier run has left.

use std::net::Ipv6Addr;

use super::clock;
use super::shell::Shell;
use crate::core::Core;
use crate::core::input::Input;
use crate::core::kernel::object::Refusal;
use crate::core::kernel::system::System;
use crate::core::memory::Record;
use crate::core::output::{Object, Setting, Step};
use crate::net::IfIndex;
use crate::time::Instant;

impl Shell {
    /// Records the address that a step adds, or the earlier value of the setting that it changes,
    /// before the step is taken, so that a crash loses neither; returns the value.
    pub(super) fn prepare(&mut self, core: &mut Core, step: &Step) -> Option<i32> {
        match step {
            Step::Set(Object::Address(address)) | Step::Replace(Object::Address(address)) => {
                let (now, ownership) = (clock::now(), &mut self.disk.ownership);
                let complaint = ownership.own(now, address.interface, address.address);
                self.log.warn_all(now, complaint);
                None
            }
            Step::Set(Object::Setting(Setting { interface, name, value, .. })) => {
                let before = self.kernel.setting(interface, *name);
                let before = before.filter(|before| before != value)?;
                let (interface, file) = (interface.clone(), name.file().to_owned());
                let was = Input::SysctlWas { interface: interface.clone(), name: *name, before };
                self.remember(Record::Sysctl { interface, name: file, before: Some(before) });
                self.write();
                core.handle(clock::now(), was);
                Some(before)
            }
            Step::Set(_) | Step::Replace(_) | Step::Remove(_) => None,
        }
    }

    /// Strikes the addresses that steps have removed from the ownership record, but none that they
    /// set anew, nor one whose removal was refused.
    pub(super) fn disown_removed(&mut self, steps: &[Step], refused: &[(&Step, Refusal)]) {
        let sets = |key: (IfIndex, Ipv6Addr)| {
            let mut set = steps.iter().filter_map(|step| match step {
                Step::Set(Object::Address(set)) => Some((set.interface, set.address)),
                Step::Set(_) | Step::Replace(_) | Step::Remove(_) => None,
            });
            set.any(|other| other == key)
        };
        for step in steps {
            if let Step::Remove(Object::Address(has)) = step
                && !sets((has.interface, has.address))
                && !refused.iter().any(|(other, _)| *other == step)
            {
                let now = clock::now();
                let complaint = self.disk.ownership.disown(now, has.interface, has.address);
                self.log.warn_all(now, complaint);
            }
        }
    }

    /// Ends objects that belong to addresses of an earlier run which the kernel has ended since.
    pub(super) fn end_left_behind(&mut self, now: Instant, system: &System) {
        let (absent, complaint) = self.disk.ownership.strike_absent(now, system);
        self.log.warn_all(now, complaint);
        if let Err(error) = self.kernel.end_left_behind(now, &absent) {
            self.log.warn(now, format!("routes of an earlier run may be left: {error}"));
        }
    }
}
