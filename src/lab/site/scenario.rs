//! What happens to the site's prefixes.

use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::nodes::Era;

/// What happens to the site's prefixes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Scenario {
    /// New prefixes; the old ones stay valid, deprecated
    Graceful,
    /// New prefixes, and not a word about the old ones
    Flash,
    /// New prefixes while the line to the provider is down
    Redial,
    /// A new delegated prefix; the prefix of the link to the provider stays
    PdOnly,
    /// New prefixes twice, a second apart, as with flash; the second time is measured
    Twice,
}

impl Scenario {
    /// How long a line is down before and after the provider has changed.
    pub const DOWN: Duration = Duration::from_millis(300);

    /// Between the two changes of `twice`: less than MIN_DELAY_BETWEEN_RAS.
    pub const APART: Duration = Duration::from_secs(1);

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Graceful => "graceful",
            Self::Flash => "flash",
            Self::Redial => "redial",
            Self::PdOnly => "pd-only",
            Self::Twice => "twice",
        }
    }

    /// Whether the link to the provider gets another prefix.
    pub const fn changes_the_link(self) -> bool {
        match self {
            Self::Graceful | Self::Flash | Self::Redial | Self::Twice => true,
            Self::PdOnly => false,
        }
    }

    /// What the provider's agent is told.
    pub fn request(self, era: Era) -> Value {
        let mut set = Map::new();
        if self.changes_the_link() {
            set.insert("wan".to_owned(), json!(era.wan()));
        }
        set.insert("site".to_owned(), json!(era.delegated(1)));
        let graceful = match self {
            Self::Graceful => true,
            Self::Flash | Self::Redial | Self::PdOnly | Self::Twice => false,
        };
        json!({ "command": "prefix", "set": set, "graceful": graceful })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_is_told_what_changes() {
        assert_eq!(
            Scenario::Flash.request(Era(2)).to_string(),
            r#"{"command":"prefix","graceful":false,"set":{"site":"2001:db8:8002::/48","wan":"2001:db8:2:ffff::/64"}}"#
        );
        assert_eq!(
            Scenario::PdOnly.request(Era(2))["set"],
            json!({ "site": "2001:db8:8002::/48" })
        );
        assert_eq!(Scenario::Graceful.request(Era(2))["graceful"], json!(true));
    }
}
