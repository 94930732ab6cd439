//! stub
/// stub
pub fn render(_: &crate::config::Config, _: ipnet::Ipv6Net) -> String { String::new() }
