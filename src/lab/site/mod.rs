//! What a laboratory is built of: network namespaces and what connects them, the systems of the
//! benchmark's site, and what happens to its prefixes. Nothing here watches or judges.

pub mod agent;
pub mod cable;
pub mod filter;
pub mod frames;
pub mod keeper;
pub mod namespace;
pub mod nodes;
pub mod private;
pub mod process;
pub mod programs;
pub mod scenario;
