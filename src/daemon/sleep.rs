//! A machine that wakes from sleep: the core is informed before any packet that waits is read.

use std::io;

use tokio::io::Interest;
use tracing::info;

use super::clock;
use super::shell::Shell;
use crate::core::Core;
use crate::core::input::Input;

impl Shell {
    /// Informs the core if the machine has slept.
    pub(super) fn notice_sleep(&mut self, core: &mut Core) {
        let _ = self.sleep.try_io_mut(Interest::READABLE, |sleep| {
            sleep.drain();
            Err::<(), _>(io::ErrorKind::WouldBlock.into())
        });
        if self.sleep.get_mut().is_over() {
            info!("the machine has slept: routers are solicited anew");
            core.handle(clock::now(), Input::Resumed);
        }
    }
}
