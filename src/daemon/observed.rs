//! Counting and reporting by the shell: for the log, and for metrics where they are served.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::clock;
use super::control::{Answer, Pending};
use super::metrics::{self, Endpoint, Protocol, Tally};
use super::outbox::Parcel;
use super::shell::Shell;
use super::turn::Source;
use crate::config::Listen;
use crate::core::Core;
use crate::core::event::Event;

impl Shell {
    /// Serves metrics at the configured address from here on; the counters keep their values.
    pub(super) fn serve_metrics(
        &mut self,
        core: &mut Core,
        listen: Option<&Listen>,
        (endpoint, sender): (&mut Endpoint, &mpsc::Sender<Pending>),
    ) {
        endpoint.follow(listen, sender);
        if endpoint.is_on() {
            self.tally.get_or_insert_with(|| Arc::new(Tally::new()));
        } else {
            self.tally = None;
        }
        self.server.set_tally(self.tally.as_ref());
        // Events that any node can cause are for the debug log and for counters only.
        core.set_reports_debug(endpoint.is_on() || tracing::enabled!(tracing::Level::DEBUG));
    }

    /// The metrics.
    pub(super) fn metrics(&self, core: &Core) -> Answer {
        match &self.tally {
            Some(tally) => {
                Answer::Metrics(metrics::render(tally, core, clock::now(), clock::wall()))
            }
            None => Answer::Refused("metrics are off: see [metrics] in the manual".to_owned()),
        }
    }

    /// Logs and counts an event.
    pub(super) fn report(&mut self, event: Event) {
        if let Some(tally) = &self.tally {
            tally.count(&event);
        }
        self.log.write(clock::now(), event);
    }

    /// Counts a packet that came in.
    pub(super) fn count_received(&self, source: Source, octets: &[u8]) {
        let Some(tally) = &self.tally else { return };
        match source {
            Source::Icmpv6 => tally.received(Protocol::Icmpv6, octets),
            Source::Dhcpv6 | Source::Server => tally.received(Protocol::Dhcpv6, octets),
            Source::Events | Source::LocalAdvertisements => {}
        }
    }

    /// Counts a packet that has left.
    pub(super) fn count_sent(&self, parcel: &Parcel) {
        let Some(tally) = &self.tally else { return };
        match parcel {
            Parcel::Icmpv6(packet) => tally.sent(Protocol::Icmpv6, &packet.octets),
            Parcel::Dhcpv6(packet) => tally.sent(Protocol::Dhcpv6, &packet.octets),
            Parcel::Server(packet) => tally.sent(Protocol::Dhcpv6, &packet.packet.octets),
        }
    }

    /// The end: all records are synced.
    pub(super) fn close(&mut self) {
        self.disk.close();
        self.log.close(clock::now());
    }
}
