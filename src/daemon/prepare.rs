//! What is put down before the kernel is asked for something.

use super::clock;
use super::shell::Shell;
use crate::core::Core;
use crate::core::input::Input;
use crate::core::memory::Record;
use crate::core::output::{Object, Setting, Step};

impl Shell {
    /// Puts on record what has to be there before a step is taken, or a crash would leave it without
    /// an owner; the value of a setting that the step changes.
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
}
