//! The system calls of the backend, and its two halves on them.

use std::io;
use std::net::Ipv6Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::rc::Rc;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use socket2::{Domain, Socket, Type};

use super::super::abi::{self, Name, Request};
use super::super::errno::Errno;
use super::super::system_calls::SystemCalls;
use super::super::{events, kernel, look};
use super::sysctl;
use super::wakeup::Wakeup;
use crate::core::kernel::system::{KernelEvent, Neighbor, System};
use crate::net::IfIndex;
use crate::platform::Drained;
use crate::time::Instant;

/// Whether the kernel follows router advertisements on an interface: one on which IPv6 is disabled
/// does not.
pub fn accepts_advertisements(interface: &str) -> bool {
    let Ok(mut calls) = Wakeup::new().and_then(|wakeup| Calls::open(Rc::new(wakeup))) else {
        return false;
    };
    look::info(&mut calls, interface).is_ok_and(|info| {
        let flags = info.flags();
        flags & abi::ACCEPT_ADVERTISEMENTS != 0 && flags & abi::DISABLED == 0
    })
}

/// Reads and changes the kernel's state.
pub type Kernel = kernel::Kernel<Calls>;
/// Listens to it.
pub type Events = events::Events<Calls>;

/// More makes room for hardly more messages, and 2 MiB are refused.
const SOCKET_OCTETS: usize = 256 * 1024;

/// The descriptors that system calls are made on.
#[derive(Debug)]
pub struct Calls {
    datagram: Socket,
    /// With protocol 0: one of IPv6 alone never gets what is reported of interfaces.
    route: Socket,
    wakeup: Rc<Wakeup>,
}

impl Calls {
    fn open(wakeup: Rc<Wakeup>) -> io::Result<Self> {
        let datagram = Socket::new(Domain::IPV6, Type::DGRAM.cloexec(), None)?;
        let kind = Type::RAW.nonblocking().cloexec();
        let route = Socket::new(Domain::from(libc::PF_ROUTE), kind, None)?;
        Ok(Self { datagram, route, wakeup })
    }
}

impl SystemCalls for Calls {
    fn ioctl(&mut self, request: Request, argument: &mut [u8]) -> Result<(), Errno> {
        #[expect(unsafe_code, reason = "the request's size is that of the argument, see `ioctl`")]
        let result = unsafe {
            libc::ioctl(self.datagram.as_raw_fd(), request, argument.as_mut_ptr().cast::<u8>())
        };
        if result == -1 { Err(last_errno()) } else { Ok(()) }
    }

    fn write(&mut self, message: &[u8]) -> Result<(), Errno> {
        self.route.send(message).map(drop).map_err(|error| errno_of(&error))
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Errno> {
        loop {
            match nix::sys::socket::recv(
                self.route.as_raw_fd(),
                buffer,
                nix::sys::socket::MsgFlags::empty(),
            ) {
                Ok(length) => return Ok(Some(length)),
                Err(nix::errno::Errno::EAGAIN) => return Ok(None),
                Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(Errno(errno as i32)),
            }
        }
    }

    fn sysctl(&mut self, name: &Name) -> Result<Vec<u8>, Errno> {
        sysctl::table(name).map_err(|error| errno_of(&error))
    }

    fn sysctl_by_name(&mut self, name: &str) -> Result<i32, Errno> {
        sysctl::number(name).map_err(|error| errno_of(&error))
    }

    fn set_sysctl_by_name(&mut self, name: &str, value: i32) -> Result<(), Errno> {
        sysctl::set_number(name, value).map_err(|error| errno_of(&error))
    }

    fn wall_clock(&mut self) -> Duration {
        clock_gettime(ClockId::CLOCK_REALTIME).map_or(Duration::ZERO, Duration::from)
    }

    fn wake_after(&mut self, delay: Duration) {
        // It wakes for the next message at the latest.
        let _ = self.wakeup.after(delay);
    }
}

impl Kernel {
    /// Opens what asks, and what listens.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn open() -> io::Result<(Self, Events)> {
        let wakeup = Rc::new(Wakeup::new()?);
        let asks = Calls::open(Rc::clone(&wakeup))?;
        // It hears of what it writes by the result, and never reads.
        asks.route.shutdown(std::net::Shutdown::Read)?;
        let listens = Calls::open(Rc::clone(&wakeup))?;
        listens.route.set_recv_buffer_size(SOCKET_OCTETS)?;
        wakeup.watch(&listens.route)?;
        Ok(Self::through(asks, listens, std::process::id()))
    }

    /// What the kernel has, whole.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn dump(&mut self, now: Instant) -> io::Result<System> {
        self.read(now).map_err(to_io)
    }

    /// Ends what addresses of an earlier run have left behind.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn end_left_behind(
        &mut self,
        now: Instant,
        addresses: &[(IfIndex, Ipv6Addr)],
    ) -> io::Result<()> {
        self.end_leftovers(now, addresses).map_err(to_io)
    }

    /// The IPv6 neighbors on an interface.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn neighbors(&mut self, interface: IfIndex) -> io::Result<Vec<Neighbor>> {
        self.list_neighbors(interface).map_err(to_io)
    }

    /// The kernel here finds its neighbors by solicitation alone.
    ///
    /// # Errors
    ///
    /// None.
    pub const fn expect_neighbors(
        &mut self,
        _interface: IfIndex,
        _hosts: &[(Ipv6Addr, Vec<u8>)],
    ) -> io::Result<()> {
        Ok(())
    }
}

impl Events {
    /// What `asker` changes is known by its process.
    ///
    /// # Errors
    ///
    /// None.
    pub const fn leave_out_what_is_known_to(&self, _asker: &Kernel) -> io::Result<()> {
        Ok(())
    }

    /// Reads what there is into `events`; after [`Drained::Overrun`] they are void.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn read(&mut self, now: Instant, events: &mut Vec<KernelEvent>) -> io::Result<Drained> {
        self.calls.wakeup.drain();
        self.drain(now, events).map_err(to_io)
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.calls.wakeup.as_fd()
    }
}

impl AsRawFd for Events {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

fn to_io(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.0)
}

fn errno_of(error: &io::Error) -> Errno {
    Errno(error.raw_os_error().unwrap_or(libc::EIO))
}

fn last_errno() -> Errno {
    errno_of(&io::Error::last_os_error())
}
