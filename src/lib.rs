//! renumberd keeps a tree of IPv6 routers on the provider's current prefix.
//!
//! Providers hand out prefixes that change without warning, and DHCPv6 is pull-only: the inner
//! routers of a site do not hear of a change. The agent on each of them hears the router
//! advertisements of the router above, notices a real change, refreshes its delegation, and carries
//! the new prefix to its links.
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
//! | `programs` | commands of other programs with their limits, files for them | nothing |
//! | [`engines`] | other programs in a built-in's place: files, control, lives | `time` to `core`, `programs` |
//! | [`hosts`] | what other programs of a host are handed: resolver, files, scripts | `time` to `core`, `programs` |
//! | [`daemon`] | the loop, clock, memory on disk, control socket | the above |
//! | [`sim`] | the core on fake kernels and links in virtual time | `time` to `core` |
//! | [`lab`] | a site in network namespaces, and how fast a change goes through it | the above, but `sim` |
//! | [`cli`] | the commands | everything |
//!
//! `tests/architecture.rs` enforces the last column.
//!
//! # Words
//!
//! | word | meaning |
//! | --- | --- |
//! | uplink | an interface with a router above: advertisements are heard there, prefixes asked for |
//! | downlink | an interface with hosts or subordinate routers: what they get comes from us |
//! | lease | what a delegating router has given us, by DHCPv6 |
//! | plan | which part of a delegated prefix each downlink, delegation and pool gets |
//! | slot | the place of a subordinate router in every plan: a named delegation, or a number in a pool |
//! | offer | the part of one delegated prefix that falls to a delegation or pool |
//! | binding | what one IA_PD of one requesting router has been given, and is to be given |
//! | grant | an offer with the lifetimes that it may be given for |
//! | promise | what a message or an advertisement has said: its receiver may hold it until it ends |
//! | notification | a Reconfigure message, or a unicast advertisement, that has a router ask again |
//! | requester, advertiser, delegator | who asks, advertises, answers below: we, or a program in our place |
//! | desired state | addresses, routes, settings and advertisements as they should be |
//! | object, step | what the kernel holds for us; setting, replacing or removing it |
//! | pass | one derivation of the desired state, with the steps that it brings |
//! | change | a change of the prefixes of an uplink, from what was heard until it is advertised |
//! | condition | something wrong that lasts, in `status` until it is over |
//!
//! A comment that names a clause (`CHG-14`, `SRV-57`) means a row of `tests/conformance.md`, which
//! says what it obliges to, where it comes from, and which test holds it.
//!
//! # Invariants that no reader finds in code, because they are absences
//!
//! - The core does no IO, asks no clock and has no global state: the same inputs give the same
//!   outputs.
//! - What the kernel should show is a value derived as a whole. A first start, a restart after a
//!   crash and a missed event all take the same path: compare and mend. The routes of bindings
//!   alone are kept from one derivation to the next, and follow what changes theirs.
//! - No address or route without our mark, or a place in this boot's ownership record, is ever
//!   changed or removed.
//! - Nothing that waits for a disk stands between a router advertisement and its consequences.
//! - A hostile packet changes nothing but a counter.

pub mod cli;
pub mod config;
pub mod core;
pub mod daemon;
pub mod engines;
pub mod hosts;
#[cfg(target_os = "linux")]
pub mod lab;
pub mod net;
pub mod platform;
mod programs;
pub mod sim;
pub mod time;
pub mod wire;
