//! UDP port 547: open while something is delegated, and answers that wait for the disk.

use std::io;
use std::os::fd::AsRawFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tracing::{trace, warn};

use crate::core::input::Received;
use crate::core::output::{Group, ServerPacket};
use crate::net::IfIndex;
use crate::platform::sockets::{ServerSender, ServerSocket};
use crate::platform::watch;

/// The server's socket and what is to leave through it.
#[derive(Default)]
pub(super) struct Server {
    socket: Option<AsyncFd<ServerSocket>>,
    /// They leave when everything written until now is on disk.
    held: Vec<ServerPacket>,
}

/// Answers that leave when a sync has ended, on the thread that it ran on; at once where there was
/// nothing to sync.
pub(super) struct Released {
    sender: Option<ServerSender>,
    packets: Vec<ServerPacket>,
}

/// Answers that the system did not take.
pub(super) type Refused = Vec<(ServerPacket, io::Error)>;

impl Released {
    /// Sends them; those that the system did not take.
    pub(super) fn send(self) -> Refused {
        let mut refused = Refused::new();
        for packet in self.packets {
            trace!(?packet, "send");
            let sent = match &self.sender {
                Some(sender) => sender.send(&packet.packet, packet.port),
                None => Err(io::ErrorKind::NotConnected.into()),
            };
            if let Err(error) = sent {
                refused.push((packet, error));
            }
        }
        refused
    }
}

impl Server {
    /// Opens the socket, or closes it.
    pub(super) fn serve(&mut self, serve: bool) -> io::Result<()> {
        self.socket = match serve {
            true => Some(watch(open()?)?),
            false => None,
        };
        Ok(())
    }

    pub(super) fn join(&self, group: Group, interface: IfIndex) -> io::Result<()> {
        self.with_socket(|socket| socket.join(group.address(), interface))
    }

    /// A socket that is closed has left all groups.
    pub(super) fn leave(&self, group: Group, interface: IfIndex) -> io::Result<()> {
        match &self.socket {
            Some(socket) => socket.get_ref().leave(group.address(), interface),
            None => Ok(()),
        }
    }

    fn with_socket(&self, act: impl Fn(&ServerSocket) -> io::Result<()>) -> io::Result<()> {
        match &self.socket {
            Some(socket) => act(socket.get_ref()),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Waits until there is something to receive.
    pub(super) async fn readable(&self) {
        match &self.socket {
            Some(socket) => drop(socket.readable().await),
            None => std::future::pending().await,
        }
    }

    /// The next datagram; none when there is none yet.
    pub(super) fn recv(&self) -> io::Result<Option<Received>> {
        match &self.socket {
            Some(socket) => next(socket, ServerSocket::recv),
            None => Ok(None),
        }
    }

    pub(super) fn send(&self, packet: &ServerPacket) -> io::Result<()> {
        self.with_socket(|socket| socket.send(&packet.packet, packet.port))
    }

    /// Keeps an answer back until what it says is on disk.
    pub(super) fn hold(&mut self, packet: ServerPacket) {
        self.held.push(packet);
    }

    pub(super) const fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// What is held leaves when the sync that begins has ended.
    pub(super) fn release(&mut self) -> Released {
        let sender = self.socket.as_ref().map(|socket| socket.get_ref().sender());
        Released { sender, packets: std::mem::take(&mut self.held) }
    }
}

/// The next packet. Readiness is taken back only when there is none, so that what is left after
/// a batch is not forgotten.
pub(super) fn next<S: AsRawFd>(
    socket: &AsyncFd<S>,
    recv: impl Fn(&S) -> io::Result<Option<Received>>,
) -> io::Result<Option<Received>> {
    let received = socket.try_io(Interest::READABLE, |socket| {
        recv(socket)?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    });
    match received {
        Ok(received) => Ok(Some(received)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

fn open() -> io::Result<ServerSocket> {
    let socket = ServerSocket::open()?;
    if socket.is_shared() {
        warn!(
            "another program (dhcp6s, dnsmasq?) has UDP port 547 as well: where it serves the same \
             interface, requesting routers get two answers"
        );
    }
    Ok(socket)
}
