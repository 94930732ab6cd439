//! The core: protocol and policy as state machines, without sockets, clocks or global state.

pub mod advertise;
pub mod change;
pub mod hear;
pub mod input;
pub mod lease;
pub mod memory;
pub mod output;
pub mod plan;
pub mod probe;
pub mod random;
pub mod retransmit;
pub mod solicit;
pub mod stable_address;
pub mod system;
