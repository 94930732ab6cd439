//! renumberd keeps a tree of IPv6 routers on the provider's current prefix.

pub mod cli;
pub mod config;
pub mod core;
pub mod daemon;
pub mod platform;
pub mod time;
pub mod wire;
