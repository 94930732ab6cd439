//! Sending packets: at once, or when the system accepts them.

use std::io;

use tracing::trace;

use super::clock;
use super::outbox::Parcel;
use super::shell::Shell;
use crate::core::Core;
use crate::core::input::Input;
use crate::core::output::Packet;
use crate::core::stage::Milestone;

impl Shell {
    /// Sends a packet, or keeps it to be retried; returns whether it has left.
    pub(super) fn send(&mut self, parcel: Parcel) -> bool {
        trace!(?parcel, "send");
        if self.outbox.holds(&parcel) {
            self.outbox.push(clock::now(), parcel);
            return false;
        }
        let sent = self.try_send(&parcel);
        match sent {
            Ok(()) => self.outbox.sent(&parcel),
            Err(ref error) => self.outbox.refused(clock::now(), parcel, error),
        }
        sent.is_ok()
    }

    fn try_send(&self, parcel: &Parcel) -> io::Result<()> {
        let sent = match parcel {
            Parcel::Icmpv6(packet) => self.icmpv6.get_ref().send(packet),
            Parcel::Dhcpv6(packet) => self.client.with(|socket| socket.send(packet)),
            Parcel::Server(packet) => self.server.send(packet),
        };
        if sent.is_ok() {
            self.count_sent(parcel);
        }
        sent
    }

    /// Reports a milestone to the core, when its packets have left.
    pub(super) fn reach(&mut self, core: &mut Core, milestone: Milestone) {
        if let Some(milestone) = self.outbox.reach(milestone) {
            core.handle(clock::now(), Input::Milestone(milestone));
        }
    }

    /// Sends an ICMPv6 packet, and reports to the core if it did not leave at once.
    pub(super) fn send_icmpv6(&mut self, core: &mut Core, packet: Packet) {
        let (interface, destination) = (packet.interface, packet.destination);
        if !self.send(Parcel::Icmpv6(packet)) {
            let refused = Input::NotSent { interface, destination, is_dropped: false };
            core.handle(clock::now(), refused);
            self.report_dropped(core);
        }
    }

    /// Reports packets that were dropped to the core.
    fn report_dropped(&mut self, core: &mut Core) {
        for (interface, destination) in self.outbox.take_dropped() {
            let dropped = Input::NotSent { interface, destination, is_dropped: true };
            core.handle(clock::now(), dropped);
        }
    }

    /// Retries packets that have waited long enough.
    pub(super) fn send_again(&mut self, core: &mut Core) {
        let now = clock::now();
        for (packet, error) in self.disk.take_refused() {
            self.outbox.refused(now, Parcel::Server(packet), &error);
        }
        let mut outbox = std::mem::take(&mut self.outbox);
        let (reached, warning) = outbox.retry(now, |parcel| self.try_send(parcel));
        self.outbox = outbox;
        self.log.warn_all(now, warning);
        self.report_dropped(core);
        for milestone in reached {
            core.handle(clock::now(), Input::Milestone(milestone));
        }
    }
}
