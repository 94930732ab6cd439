//! Socket options that neither `socket2` nor `nix` knows: not yet.

use std::io;
use std::os::fd::AsFd;

use super::not_yet;

/// Number of the control message that tells the size of the largest fragment: the system has none.
pub(crate) const FRAGMENT_SIZE: i32 = i32::MIN;

pub(crate) fn receive_fragment_size(_socket: impl AsFd) -> io::Result<()> {
    Err(not_yet())
}

pub(crate) fn receive_own_groups(_socket: impl AsFd) -> io::Result<()> {
    Err(not_yet())
}

pub(crate) fn pass_icmpv6_types(_socket: impl AsFd, _types: &[u8]) -> io::Result<()> {
    Err(not_yet())
}
