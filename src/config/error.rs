//! Configuration errors that name file, line, key, what was found, and the remedy.

use std::fmt;

/// Why a configuration is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// The file, or where else it came from (`command line`).
    pub file: String,
    /// Line, from 1; none where the whole file is meant.
    pub line: Option<usize>,
    /// The key, dotted (`downlink.lan0.subnet`).
    pub key: String,
    /// What is wrong with what was found.
    pub problem: String,
    /// What to write.
    pub remedy: String,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
