//! What the kernel holds and should hold, and the steps from one to the other.
//!
//! | file | what it has |
//! | --- | --- |
//! | `object` | kinds of objects, and steps: `Set`, `Replace`, `Remove` × object |
//! | `system` | links, addresses and routes, as the kernel tells of them |
//! | `recorded` | how those are written into a recording |
//! | `state` | that, and what the agent alone knows to have made |
//! | `reconcile` | all of it together: steps, what was assumed, what was refused |
//! | `diff` | state and desired state → steps, in order of rank |
//! | `refusals` | what the kernel refused, and when it is tried again |
//! | `backlog` | what is left to be done for many bindings |
//! | `settings` | interface settings that get back the values that they had |

pub(super) mod backlog;
pub mod diff;
mod duplicates;
pub mod object;
mod reconcile;
mod recorded;
pub(super) mod refusals;
mod settings;
mod state;
pub mod system;

pub(super) use reconcile::Reconciler;
