//! What the TOML file holds, field for field, and its way into [`Config`](super::Config).

use super::{Config, ConfigError};

/// Reads a configuration from the text of a file.
///
/// # Errors
///
/// Every [`ConfigError`] found; one for a syntax error, as many as there are for wrong values.
pub fn parse(_file: &str, _text: &str) -> Result<Config, Vec<ConfigError>> {
    todo!()
}
