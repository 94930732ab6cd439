//! The parts of its configuration that the modules of an uplink use.

use super::{hear, lease};
use crate::config;
use crate::wire::dhcpv6_option::Duid;

/// The rules for advertisements.
pub(super) fn hear_rules(config: &config::Uplink) -> hear::Rules {
    hear::Rules { routers: config.routers.clone(), verify_omission: config.verify_omission }
}

/// The rules for its lease.
pub(super) fn lease_rules(config: &config::Uplink, duid: &Duid) -> lease::Rules {
    lease::Rules {
        by_program: config.requester.is_some(),
        duid: duid.clone(),
        delegate: config.delegate.clone(),
        rapid_commit: config.rapid_commit,
        reconfigure: config.reconfigure,
        solicit_on_reconnect: config.solicit_on_reconnect,
        strict: config.strict,
        shortest_prefix: config.shortest_prefix,
    }
}
