//! Configuration errors that name file, line, key, what was found, and the remedy.

use std::fmt;

/// The reason to refuse a configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// The file, or where else it came from (`command line`).
    pub file: String,
    /// Line, from 1; none where the whole file is meant.
    pub line: Option<usize>,
    /// The key, dotted (`downlink.lan0.subnet`); empty where the whole file is meant.
    pub key: String,
    /// The problem of the value that was found.
    pub problem: String,
    /// What to write.
    pub remedy: String,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}\n  remedy: {}", self.problem, self.remedy)
    }
}
