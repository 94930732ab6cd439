//! UDP port 547: open while prefixes are delegated, and answers that wait for the disk.

use std::io;
use std::sync::Arc;

use tracing::{trace, warn};

use super::gate::Gate;
use super::metrics::{Protocol, Tally};
use super::shell::Shell;
use crate::core::input::Received;
use crate::core::output::{Group, ServerPacket};
use crate::net::{IfIndex, link_layer_of};
use crate::platform::sockets::{ServerSender, ServerSocket};

/// A message type (RFC 9686 §4.2).
const ADDR_REG_INFORM: u8 = 36;

/// The server's socket and the answers that are to leave through it.
#[derive(Default)]
pub(super) struct Server {
    gate: Gate<ServerSocket>,
    /// Answers that leave when everything written until now is on disk.
    held: Vec<ServerPacket>,
    tally: Option<Arc<Tally>>,
}

/// Answers that leave when a sync has ended, on the thread that it ran on; at once where there was
/// nothing to sync.
pub(super) struct Released {
    sender: Option<ServerSender>,
    packets: Vec<ServerPacket>,
    tally: Option<Arc<Tally>>,
}

/// Answers that the system did not accept.
pub(super) type Refused = Vec<(ServerPacket, io::Error)>;

impl Released {
    /// Sends the answers; returns those that the system did not accept.
    pub(super) fn send(self) -> Refused {
        let mut refused = Refused::new();
        for packet in self.packets {
            trace!(?packet, "send");
            let sent = match &self.sender {
                Some(sender) => sender.send(&packet.packet, packet.port),
                None => Err(io::ErrorKind::NotConnected.into()),
            };
            match sent {
                Ok(()) => {
                    if let Some(tally) = &self.tally {
                        tally.sent(Protocol::Dhcpv6, &packet.packet.octets);
                    }
                }
                Err(error) => refused.push((packet, error)),
            }
        }
        refused
    }
}

impl Server {
    /// Sets the counters for sent packets.
    pub(super) fn set_tally(&mut self, tally: Option<&Arc<Tally>>) {
        self.tally = tally.cloned();
    }

    /// Opens the socket, or closes it.
    pub(super) fn serve(&mut self, serve: bool) -> io::Result<()> {
        if serve {
            return self.gate.open(open);
        }
        self.gate.close();
        Ok(())
    }

    pub(super) fn join(&self, group: Group, interface: IfIndex) -> io::Result<()> {
        self.gate.with(|socket| socket.join(group.address(), interface))
    }

    /// A socket that is closed has left all groups.
    pub(super) fn leave(&self, group: Group, interface: IfIndex) -> io::Result<()> {
        match self.gate.socket() {
            Some(socket) => socket.leave(group.address(), interface),
            None => Ok(()),
        }
    }

    /// Waits until there is something to receive.
    pub(super) async fn readable(&self) {
        self.gate.readable().await;
    }

    /// The next datagram; none when there is none yet.
    pub(super) fn recv(&self) -> io::Result<Option<Received>> {
        self.gate.recv(ServerSocket::recv)
    }

    pub(super) fn send(&self, packet: &ServerPacket) -> io::Result<()> {
        self.gate.with(|socket| socket.send(&packet.packet, packet.port))
    }

    /// Keeps an answer until the records before it are on disk.
    pub(super) fn hold(&mut self, packet: ServerPacket) {
        self.held.push(packet);
    }

    pub(super) const fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Returns the answers that leave when the sync that begins now has ended.
    pub(super) fn release(&mut self) -> Released {
        let sender = self.gate.socket().map(ServerSocket::sender);
        let packets = std::mem::take(&mut self.held);
        Released { sender, packets, tally: self.tally.clone() }
    }
}

fn open() -> io::Result<ServerSocket> {
    let socket = ServerSocket::open()?;
    if socket.is_shared() {
        warn!(
            "another program (dhcp6s, dnsmasq?) has UDP port 547 as well: where it serves the same \
             interface and is not led by renumberd, requesting routers get two answers"
        );
    }
    Ok(socket)
}

impl Shell {
    /// A datagram to the server's port. If the sender's address does not show its link-layer
    /// address, that is looked up.
    pub(super) fn recv_server(&mut self) -> io::Result<Option<Received>> {
        let mut received = self.server.recv()?;
        // A host sends the registration of an address from that address (RFC 9686 §4.2).
        let registers = |received: &Received| received.octets.first() == Some(&ADDR_REG_INFORM);
        if let Some(received) = &mut received
            && (received.source.is_unicast_link_local() || registers(received))
            && link_layer_of(received.source).is_none()
        {
            received.link_layer = self.kernel.neighbor(received.interface, received.source);
        }
        Ok(received)
    }
}
