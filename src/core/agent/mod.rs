//! The agent: what ties the parts together, all of it `impl Core`.
//!
//! | file | what it does |
//! | --- | --- |
//! | `receive`, `serve` | packets in: from routers and servers above, from routers below |
//! | `events` | what the kernel reports |
//! | `effects` | what follows from an input |
//! | `changes` | the record of changes |
//! | `settle` | derives the desired state and brings it about |
//! | `pass` | when the desired state is derived next |
//! | `known`, `postponed` | what waits until more is known |
//! | `programs` | programs that advertise in the built-in's place |
//! | `takeover` | whether the holder of a delegation still answers when another asks for it |
//! | `unaddressed` | links that run without a link-local address |
//! | `reload` | taking over another configuration, and stopping |
//! | `conditions`, `counters` | what an operator reads |

mod changes;
pub(super) mod conditions;
pub(super) mod counters;
mod effects;
pub(super) mod events;
pub(super) mod known;
pub(super) mod pass;
pub(super) mod postponed;
mod programs;
mod publish;
pub(super) mod receive;
pub(super) mod reload;
pub(super) mod serve;
pub(super) mod settle;
pub(super) mod takeover;
pub(super) mod unaddressed;
