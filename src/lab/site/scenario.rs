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
    /// As with graceful, but the provider's server learns the delegated prefix half a second after
    /// the provider has advertised the link's, and notifies nobody
    LateServer,
}

impl Scenario {
    /// How long a line is down before and after the provider has changed.
    pub const DOWN: Duration = Duration::from_millis(300);

    /// Between the two changes of `twice`: less than MIN_DELAY_BETWEEN_RAS.
    pub const APART: Duration = Duration::from_secs(1);

    /// How much later than its advertisement the provider's server learns the new prefix.
    pub const LATE: Duration = Duration::from_millis(500);

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Graceful => "graceful",
            Self::Flash => "flash",
            Self::Redial => "redial",
            Self::PdOnly => "pd-only",
            Self::Twice => "twice",
            Self::LateServer => "late-server",
        }
    }

    /// Whether the link to the provider gets another prefix.
    pub const fn changes_the_link(self) -> bool {
        match self {
            Self::Graceful | Self::Flash | Self::Redial | Self::Twice | Self::LateServer => true,
            Self::PdOnly => false,
        }
    }

    /// What the provider's agent is asked for, and how long after what it was asked before.
    pub fn requests(self, era: Era) -> Vec<(Duration, Value)> {
        let link = self.changes_the_link().then(|| ("wan".to_owned(), json!(era.wan())));
        let site = ("site".to_owned(), json!(era.delegated(1)));
        let (first, second): (Map<String, Value>, Map<String, Value>) = match self {
            Self::LateServer => (link.into_iter().collect(), [site].into_iter().collect()),
            Self::Graceful | Self::Flash | Self::Redial | Self::PdOnly | Self::Twice => {
                (link.into_iter().chain([site]).collect(), Map::new())
            }
        };
        let graceful = match self {
            Self::Graceful | Self::LateServer => true,
            Self::Flash | Self::Redial | Self::PdOnly | Self::Twice => false,
        };
        [(Duration::ZERO, first), (Self::LATE, second)]
            .into_iter()
            .filter(|(_, set)| !set.is_empty())
            .map(|(after, set)| {
                (after, json!({ "command": "prefix", "set": set, "graceful": graceful }))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_is_asked_for_what_changes() {
        let requests = |scenario: Scenario| -> Vec<(u128, String)> {
            let all = scenario.requests(Era(2)).into_iter();
            all.map(|(after, request)| (after.as_millis(), request.to_string())).collect()
        };
        let (site, wan) = (r#""site":"2001:db8:8002::/48""#, r#""wan":"2001:db8:2:ffff::/64""#);
        let request = |graceful, set: &[&str]| {
            let set = set.join(",");
            format!(r#"{{"command":"prefix","graceful":{graceful},"set":{{{set}}}}}"#)
        };
        assert_eq!(requests(Scenario::Flash), [(0, request(false, &[site, wan]))]);
        assert_eq!(requests(Scenario::PdOnly), [(0, request(false, &[site]))]);
        assert_eq!(requests(Scenario::Graceful), [(0, request(true, &[site, wan]))]);
        let late = [(0, request(true, &[wan])), (500, request(true, &[site]))];
        assert_eq!(requests(Scenario::LateServer), late);
    }
}
