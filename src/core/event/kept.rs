//! The delegated prefixes that an uplink uses while no router or server answers.

use std::fmt;

use ipnet::Ipv6Net;
use serde::Serialize;

/// The delegated prefixes that an uplink holds while it waits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(transparent)]
pub struct Kept(pub Vec<KeptPrefix>);

/// A delegated prefix that is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct KeptPrefix {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// Its valid lifetime, in seconds; none for one without end.
    pub valid: Option<u32>,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("No delegated prefix is held");
        }
        for (index, KeptPrefix { prefix, valid }) in self.0.iter().enumerate() {
            let separator = if index == 0 { "Kept meanwhile: " } else { ", " };
            match valid {
                Some(seconds) => write!(f, "{separator}{prefix} for {seconds} s")?,
                None => write!(f, "{separator}{prefix} without end")?,
            }
        }
        Ok(())
    }
}
