//! Frames that no kernel would send, and a sender of them.
//!
//! Headers are put together here: pnet's writable packets would ask at each of them what to do
//! where the buffer is too short, which it never is. Checksums and sending are pnet's.

use std::fmt;
use std::net::Ipv6Addr;

use anyhow::{Context as _, bail};
use pnet::datalink::{Channel, ChannelType, Config, DataLinkSender};
use pnet::packet::ethernet::EtherTypes;
use pnet::packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet::util::{MacAddr, ipv6_checksum};

use super::cable::Place;
use crate::net::ALL_NODES;

/// Where the checksum is, in words of 16 bits: it does not count itself.
const ICMPV6_CHECKSUM: usize = 1;
const UDP_CHECKSUM: usize = 3;
const UDP_HEADER: usize = 8;

/// Everything around the content of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Envelope {
    /// Link-layer source address.
    pub source_mac: MacAddr,
    /// Link-layer destination address.
    pub destination_mac: MacAddr,
    /// Source address.
    pub source: Ipv6Addr,
    /// Destination address.
    pub destination: Ipv6Addr,
    /// Hop limit.
    pub hop_limit: u8,
}

impl Envelope {
    /// To all nodes, as an advertisement goes.
    pub const fn to_all_nodes(source_mac: MacAddr, source: Ipv6Addr) -> Self {
        let destination_mac = MacAddr(0x33, 0x33, 0, 0, 0, 1);
        Self { source_mac, destination_mac, source, destination: ALL_NODES, hop_limit: 255 }
    }

    /// A frame around an ICMPv6 message, its checksum made right.
    pub fn icmpv6(&self, message: &[u8]) -> Vec<u8> {
        self.frame(IpNextHeaderProtocols::Icmpv6, &self.with_checksum(message))
    }

    /// The same in two fragments.
    pub fn icmpv6_in_fragments(&self, message: &[u8]) -> [Vec<u8>; 2] {
        let message = self.with_checksum(message);
        let (first, second) = message.split_at(message.len().min(8));
        [(first, 0_u16, 1_u16), (second, 1, 0)].map(|(part, offset, more)| {
            let [high, low] = ((offset << 3) | more).to_be_bytes();
            let header = [IpNextHeaderProtocols::Icmpv6.0, 0, high, low, 0, 0, 0, 7];
            self.frame(IpNextHeaderProtocols::Ipv6Frag, &[&header, part].concat())
        })
    }

    /// A frame around a UDP datagram from one port to another.
    pub fn udp(&self, (from, to): (u16, u16), payload: &[u8]) -> Vec<u8> {
        let length = length(UDP_HEADER + payload.len()).to_be_bytes();
        let datagram =
            [&from.to_be_bytes(), &to.to_be_bytes(), &length, &[0, 0][..], payload].concat();
        let datagram = self.sealed(datagram, IpNextHeaderProtocols::Udp, UDP_CHECKSUM);
        self.frame(IpNextHeaderProtocols::Udp, &datagram)
    }

    /// A frame around anything.
    pub fn frame(&self, next_header: IpNextHeaderProtocol, payload: &[u8]) -> Vec<u8> {
        let [high, low] = length(payload.len()).to_be_bytes();
        [
            &self.destination_mac.octets()[..],
            &self.source_mac.octets(),
            &EtherTypes::Ipv6.0.to_be_bytes(),
            &[0x60, 0, 0, 0, high, low, next_header.0, self.hop_limit],
            &self.source.octets(),
            &self.destination.octets(),
            payload,
        ]
        .concat()
    }

    fn with_checksum(&self, message: &[u8]) -> Vec<u8> {
        self.sealed(message.to_vec(), IpNextHeaderProtocols::Icmpv6, ICMPV6_CHECKSUM)
    }

    /// Writes the checksum; what is too short for one stays as it is.
    fn sealed(&self, mut packet: Vec<u8>, of: IpNextHeaderProtocol, word: usize) -> Vec<u8> {
        let sum = ipv6_checksum(&packet, word, &[], &self.source, &self.destination, of);
        if let Some(field) = packet.get_mut(2 * word..2 * word + 2) {
            field.copy_from_slice(&sum.to_be_bytes());
        }
        packet
    }
}

fn length(octets: usize) -> u16 {
    u16::try_from(octets).unwrap_or(u16::MAX)
}

/// Sends frames on an interface, whatever its kernel thinks of them.
pub struct FrameSender {
    channel: Box<dyn DataLinkSender>,
    /// The interface's link-layer address.
    pub mac: MacAddr,
}

impl FrameSender {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// When there is no such interface, or the system's error.
    pub fn open((namespace, name): Place<'_>) -> anyhow::Result<Self> {
        let config = Config { channel_type: ChannelType::Layer2, ..Config::default() };
        let opened = namespace.run(|| {
            let all = pnet::datalink::interfaces();
            let interface = all.into_iter().find(|interface| interface.name == name);
            let opened =
                interface.map(|found| (found.mac, pnet::datalink::channel(&found, config)));
            Ok(opened)
        });
        let (mac, channel) = opened?.with_context(|| format!("no interface {name}"))?;
        let Channel::Ethernet(channel, _) = channel? else { bail!("{name} carries no frames") };
        Ok(Self { channel, mac: mac.unwrap_or_default() })
    }

    /// Sends a frame.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn send(&mut self, frame: &[u8]) -> anyhow::Result<()> {
        self.channel.send_to(frame, None).context("the frame does not fit")??;
        Ok(())
    }
}

impl fmt::Debug for FrameSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameSender").field("mac", &self.mac).finish_non_exhaustive()
    }
}
