//! A small world in virtual time, for tests and for the fuzzer: the core as it is, on fake kernels.
//!
//! It is pure as the core is: no clock, no socket, no chance but a seed. The same calls give the
//! same course.
//!
//! | room | holds |
//! | --- | --- |
//! | [`kernel`] | the fake kernel: takes steps as Linux does, refuses, has events |
//! | [`node`] | one agent on its machine: core, kernel, memory |

pub mod kernel;
pub mod node;
