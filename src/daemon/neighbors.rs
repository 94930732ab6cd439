//! What the kernel's neighbor cache is asked for, and handed (RFC 4861 §5.1).

use std::net::Ipv6Addr;

use tracing::debug;

use super::clock;
use super::shell::Shell;
use crate::core::Core;
use crate::core::input::Input;
use crate::net::IfIndex;

impl Shell {
    /// Answers with the neighbors on an interface.
    pub(super) fn list_neighbors(&mut self, core: &mut Core, interface: IfIndex) {
        let neighbors = self.kernel.neighbors(interface).unwrap_or_default();
        core.handle(clock::now(), Input::Neighbors { interface, neighbors });
    }

    /// Has the kernel know neighbors that it has not heard of yet. It asks the link for those that
    /// it does not take.
    pub(super) fn expect_neighbors(&mut self, interface: IfIndex, hosts: &[(Ipv6Addr, Vec<u8>)]) {
        if let Err(error) = self.kernel.expect_neighbors(interface, hosts) {
            debug!(%error, "neighbors that were expected are not known");
        }
    }
}
