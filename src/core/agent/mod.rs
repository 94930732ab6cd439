//! The agent: the methods of `Core` that connect the parts.
//!
//! | file | contents |
//! | --- | --- |
//! | `receive`, `serve` | incoming packets: from routers and servers above, from routers below |
//! | `events` | events of the kernel |
//! | `effects` | the consequences of an input |
//! | `changes`, `static_prefixes` | the record of changes; static prefixes set by a command |
//! | `settle` | deriving the desired state, and the steps towards it |
//! | `pass` | when the desired state is derived next |
//! | `known`, `postponed` | contents and answers that wait until more is known |
//! | `programs`, `publish` | programs that advertise in the built-in's place; publications of a host |
//! | `takeover` | whether the holder of a delegation still answers when another router asks for it |
//! | `unaddressed` | links that run without a link-local address |
//! | `reload` | taking over another configuration, and stopping |
//! | `conditions`, `counters`, `queries` | what an operator and the shell read |

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
mod queries;
pub(super) mod receive;
pub(super) mod reload;
pub(super) mod serve;
pub(super) mod settle;
mod static_prefixes;
pub(super) mod takeover;
pub(super) mod unaddressed;
