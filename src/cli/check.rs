//! stub
/// stub
pub fn render(_: &std::path::Path, _: &crate::config::Config) -> String { String::new() }
