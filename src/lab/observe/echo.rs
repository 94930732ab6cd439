//! Echoes from a client's new address to what lies beyond the provider.

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use socket2::{Domain, Protocol, Socket, Type};

use crate::lab::site::nodes::TARGET;

const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;

/// Sends an echo request each [`Echo::TURN`] until one is answered: the first from an optimistic
/// address can be lost.
#[derive(Debug)]
pub struct Echo {
    /// From this address.
    pub from: Ipv6Addr,
    number: u8,
    sequence: u16,
    state: State,
}

#[derive(Debug)]
enum State {
    Unbound,
    Waiting(Socket),
    Answered,
}

impl Echo {
    /// How long to wait for an answer.
    pub const TURN: Duration = Duration::from_millis(1);

    /// Begins; `number` distinguishes clients.
    pub fn new(from: Ipv6Addr, number: usize) -> Self {
        let number = u8::try_from(number % 256).unwrap_or_default();
        Self { from, number, sequence: 0, state: State::Unbound }
    }

    /// What can be read when an answer is there.
    pub fn socket(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Waiting(socket) => Some(socket.as_fd()),
            State::Unbound | State::Answered => None,
        }
    }

    /// Whether it still sends.
    pub const fn is_waiting(&self) -> bool {
        !matches!(self.state, State::Answered)
    }

    /// Looks for an answer, and else sends again; true once.
    ///
    /// # Errors
    ///
    /// When no socket can be had.
    pub fn is_answered(&mut self) -> io::Result<bool> {
        if let State::Unbound = self.state {
            match bind(self.from) {
                Ok(socket) => self.state = State::Waiting(socket),
                // The address may be gone again, or not yet be good for it.
                Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => {}
                Err(error) => return Err(error),
            }
        }
        let State::Waiting(socket) = &self.state else { return Ok(false) };
        let mut octets = [0; 64];
        loop {
            match recv(socket.as_raw_fd(), &mut octets, MsgFlags::MSG_DONTWAIT) {
                Ok(_) if octets.first() == Some(&ECHO_REPLY) => {
                    self.state = State::Answered;
                    return Ok(true);
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => break,
            }
        }
        self.sequence = self.sequence.wrapping_add(1);
        let [high, low] = self.sequence.to_be_bytes();
        let request = [ECHO_REQUEST, 0, 0, 0, 0, self.number, high, low, 1, 2, 3, 4, 5, 6, 7, 8];
        // Where there is no route yet the next one finds it.
        let _ = socket.send_to(&request, &SocketAddrV6::new(TARGET, 0, 0, 0).into());
        Ok(false)
    }
}

fn bind(from: Ipv6Addr) -> io::Result<Socket> {
    let socket =
        Socket::new(Domain::IPV6, Type::RAW.nonblocking().cloexec(), Some(Protocol::ICMPV6))?;
    socket.bind(&SocketAddrV6::new(from, 0, 0, 0).into())?;
    Ok(socket)
}
