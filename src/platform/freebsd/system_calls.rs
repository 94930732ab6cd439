//! The system calls that the backend is made of, so that a fake kernel can stand behind it.

use std::time::Duration;

use super::abi::{Name, Request};
use super::errno::Errno;

/// The system calls of the backend. Each method is one system call, or two.
pub trait SystemCalls {
    /// ioctl(2) on a datagram socket of IPv6; what the system answers is left in `argument`.
    ///
    /// # Errors
    ///
    /// The system's error.
    fn ioctl(&mut self, request: Request, argument: &mut [u8]) -> Result<(), Errno>;

    /// write(2) of one message to a routing socket.
    ///
    /// # Errors
    ///
    /// The system's error of the request.
    fn write(&mut self, message: &[u8]) -> Result<(), Errno>;

    /// read(2) of one message from the routing socket of events; none where none is there yet.
    ///
    /// # Errors
    ///
    /// The system's error; ENOBUFS where messages were lost, on systems that say so.
    fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Errno>;

    /// sysctl(3): a table of the kernel.
    ///
    /// # Errors
    ///
    /// The system's error.
    fn sysctl(&mut self, name: &Name) -> Result<Vec<u8>, Errno>;

    /// sysctlbyname(3) of a number.
    ///
    /// # Errors
    ///
    /// The system's error.
    fn sysctl_by_name(&mut self, name: &str) -> Result<i32, Errno>;

    /// sysctlbyname(3) with a new number.
    ///
    /// # Errors
    ///
    /// The system's error.
    fn set_sysctl_by_name(&mut self, name: &str, value: i32) -> Result<(), Errno>;

    /// The wall clock, since 1970: ends of routes are counted on it.
    fn wall_clock(&mut self) -> Duration;

    /// Has the descriptor of events become readable after `delay`, whatever comes.
    fn wake_after(&mut self, delay: Duration);
}
