//! The agent: what ties the parts together, all of it `impl Core`.
//!
//! | file | what it does |
//! | --- | --- |
//! | `receive`, `serve` | packets in: from routers and servers above, from routers below |
//! | `events` | what the kernel tells |
//! | `effects` | what follows from an input |
//! | `changes` | the record of changes |
//! | `settle` | derives the desired state and brings it about |
//! | `pass` | when that is done next |
//! | `known`, `postponed` | what waits until more is known |
//! | `takeover` | whether the holder of a place still answers |
//! | `reload` | another configuration, and the end |
//! | `conditions`, `counters` | what people read |

mod changes;
pub(super) mod conditions;
pub(super) mod counters;
mod effects;
pub(super) mod events;
pub(super) mod known;
pub(super) mod pass;
pub(super) mod postponed;
pub(super) mod receive;
pub(super) mod reload;
pub(super) mod serve;
pub(super) mod settle;
pub(super) mod takeover;
