//! The only file that asks the time.

use std::time::{Duration, SystemTime};

use crate::platform;
use crate::time::Instant;

/// The present, on the clock that counts suspend.
pub fn now() -> Instant {
    platform::now()
}

/// Wall time since 1970; for the memory alone.
#[expect(clippy::disallowed_methods, reason = "this is the file that asks")]
pub fn wall() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
