//! Retransmission with exponential backoff (RFC 9915 §15), used by every exchange.

use std::time::Duration;

/// The parameters of one kind of exchange; zero means "no limit" for the last three.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parameters {
    /// IRT
    pub initial: Duration,
    /// MRT
    pub max_interval: Duration,
    /// MRC
    pub max_count: u32,
    /// MRD
    pub max_duration: Duration,
}
