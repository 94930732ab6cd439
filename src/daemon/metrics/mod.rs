//! Metrics in the OpenMetrics text format, over HTTP: off unless the configuration has `[metrics]`.
//!
//! `tally` has the counters, `state` the gauges, `endpoint` answers HTTP.

mod endpoint;
mod state;
mod tally;
#[cfg(test)]
mod tests;

use std::time::Duration;

use prometheus_client::encoding::text::{encode_eof, encode_registry};

pub(super) use endpoint::Endpoint;
pub(super) use tally::{Protocol, Tally};

use crate::core::Core;
use crate::time::Instant;

/// All metrics at `now`, which is `wall` since 1970.
pub(super) fn render(tally: &Tally, core: &Core, now: Instant, wall: Duration) -> String {
    let status = core.status_with(now, 0);
    let state = state::registry(&status, core.rejections(), wall);
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = encode_registry(&mut text, tally.registry());
    let _ = encode_registry(&mut text, &state);
    let _ = encode_eof(&mut text);
    text
}
