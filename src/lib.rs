//! renumberd keeps a tree of IPv6 routers on the provider's current prefix.
//!
//! Providers hand out prefixes that change without warning, and DHCPv6 is pull-only: nobody tells
//! the inner routers of a site. The agent on each of them hears the router advertisements of the
//! router above, notices a real change, refreshes its delegation, and carries the new prefix to
//! its links.
//!
//! # Map
//!
//! | module | holds | may import |
//! | --- | --- | --- |
//! | [`time`] | instants, lifetimes, deadlines | nothing |
//! | [`net`] | groups, ports, prefixes, link-layer addresses | nothing |
//! | [`wire`] | octets to types and back, no judgement | `time`, `net` |
//! | [`config`] | the validated configuration and its errors | the above |
//! | [`core`] | protocol and policy: inputs and `now` in, outputs and a deadline out | the above |
//! | [`platform`] | sockets, kernel state, settings; the only code that knows the system | the above |
//! | [`daemon`] | the loop, clock, memory on disk, control socket | the above |
//! | [`lab`] | a site in network namespaces, and how fast a change goes through it | the above |
//! | [`cli`] | the commands | everything |
//!
//! `tests/architecture.rs` enforces the last column.
//!
//! # Invariants that no reader finds in code, because they are absences
//!
//! - The core does no IO, asks no clock and has no global state: the same inputs give the same
//!   outputs.
//! - What the kernel should show is a value derived as a whole. A first start, a restart after a
//!   crash and a missed event all take the same path: compare and mend. The routes of one binding
//!   are all that is ever derived apart, by the function that the whole is made with.
//! - No address or route without our mark, or a place in this boot's ownership record, is ever
//!   changed or removed.
//! - Nothing that waits for a disk stands between a router advertisement and its consequences.
//! - A hostile packet changes nothing but a counter.

pub mod cli;
pub mod config;
pub mod core;
pub mod daemon;
#[cfg(target_os = "linux")]
pub mod lab;
pub mod net;
pub mod platform;
pub mod time;
pub mod wire;
