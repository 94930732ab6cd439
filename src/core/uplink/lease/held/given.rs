//! The leases that a delegating router grants, independent of the message that carries them.

use ipnet::Ipv6Net;

use crate::time::Lifetime;
use crate::wire::dhcpv6_option::{Iaid, StatusCode};

/// An identity association.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::core::uplink::lease) enum Ia {
    /// The one for addresses.
    Na,
    /// One for prefix delegation.
    Pd(Iaid),
}

/// The contents of a message for one identity association; an address is a prefix of 128 bits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::core::uplink::lease) struct Given {
    pub(in crate::core::uplink::lease) ia: Ia,
    pub(in crate::core::uplink::lease) t1: Lifetime,
    pub(in crate::core::uplink::lease) t2: Lifetime,
    pub(in crate::core::uplink::lease) status: StatusCode,
    pub(in crate::core::uplink::lease) leases: Vec<GivenLease>,
}

/// The contents of a message for one prefix or address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::core::uplink::lease) struct GivenLease {
    pub(in crate::core::uplink::lease) prefix: Ipv6Net,
    pub(in crate::core::uplink::lease) exclude: Option<Ipv6Net>,
    pub(in crate::core::uplink::lease) preferred: Lifetime,
    pub(in crate::core::uplink::lease) valid: Lifetime,
    /// Its own status is success.
    pub(in crate::core::uplink::lease) success: bool,
}

impl GivenLease {
    /// Whether the server grants it, rather than refuse or withdraw it.
    pub(in crate::core::uplink::lease) const fn is_given(&self) -> bool {
        self.success && !self.valid.is_zero()
    }
}
