//! The kernel's state: dumped whole, and changed step by step.
//!
//! The netlink crates encode and decode; the loop of requests is our own, as `rtnetlink` waits for
//! the answer to each request in turn, through a task and a channel: here hundreds go as one.

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv6Addr;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::route::{RouteMessage, RouteProtocol};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

use super::events::Events;
use super::{MARK, decode, encode, mend, sysctl, takeover};
use crate::core::kernel::object::Refusal;
use crate::core::kernel::system::KernelEvent;
use crate::core::kernel::system::System;
use crate::core::output::{Object, Setting, Step, Sysctl};
use crate::net::IfIndex;
use crate::platform::{refusal_of, refusal_of_number};
use crate::time::Instant;

/// The most requests that are sent at once. Should all of them be refused, all answers wait in the
/// socket before the first is read, each as a buffer of some 768 octets: this many fit where the
/// system grants no more than the usual room.
const MAX_BATCH: usize = 256;
/// Where a message's header has its flags (linux/netlink.h).
const FLAGS_OFFSET: usize = 6;
/// How often a dump is repeated that was interrupted.
const DUMPS: usize = 3;
const RECEIVE_OCTETS: usize = 64 * 1024;

/// A socket to read and change the kernel's state. The kernel answers within the call: requests are
/// processed while they are sent.
#[derive(Debug)]
pub struct Kernel {
    pub(super) socket: Socket,
    sequence: u32,
    mark: bool,
    pub(super) buffer: Vec<u8>,
}

/// Requests that are sent together, and whose answers are read together. Only the last asks for an
/// acknowledgement: the kernel handles them in order, and also answers each other one that it
/// refuses.
#[derive(Default)]
struct Batch {
    octets: Vec<u8>,
    /// The position of each request among the caller's steps, and its sequence number.
    requests: Vec<(usize, u32)>,
    /// Where the last request begins.
    last: usize,
}

impl Batch {
    /// Asks for the acknowledgement of the last request.
    fn ask_for_acknowledgement(&mut self) {
        let flags = self.last + FLAGS_OFFSET;
        if let Some(flags) = self.octets.get_mut(flags..flags + 2) {
            let ack = NLM_F_ACK.to_ne_bytes();
            flags.iter_mut().zip(ack).for_each(|(octet, ack)| *octet |= ack);
        }
    }

    fn clear(&mut self) {
        self.octets.clear();
        self.requests.clear();
    }
}

/// The result of reading answers.
pub(super) enum Received {
    /// A datagram is in the buffer.
    Datagram,
    /// The kernel had no room for some answers.
    Lost,
    /// There is none.
    Nothing,
}

impl Kernel {
    /// Opens the socket for requests, and the one for reports.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn open() -> io::Result<(Self, Events)> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // The kernel then returns only requested objects; a kernel that does not know the option
        // returns all.
        let _ = socket.set_netlink_get_strict_chk(true);
        let kernel =
            Self { socket, sequence: 0, mark: true, buffer: Vec::with_capacity(RECEIVE_OCTETS) };
        Ok((kernel, Events::open()?))
    }

    /// The netlink port of this socket.
    pub(super) fn port(&self) -> io::Result<u32> {
        let mut address = SocketAddr::new(0, 0);
        self.socket.get_address(&mut address)?;
        Ok(address.port_number())
    }

    /// Whether addresses are marked as ours; not marking them simulates a kernel before 5.18.
    pub const fn set_address_mark(&mut self, mark: bool) {
        self.mark = mark;
    }

    /// Addresses of the agent bring no routes here, and leave none behind.
    ///
    /// # Errors
    ///
    /// None.
    pub const fn end_left_behind(
        &mut self,
        _: Instant,
        _: &[(IfIndex, Ipv6Addr)],
    ) -> io::Result<()> {
        Ok(())
    }

    /// The value of a setting of an interface; none where the interface is gone or the value is no
    /// number.
    pub fn setting(&self, interface: &str, name: Sysctl) -> Option<i32> {
        sysctl::read_sysctl(interface, name)
    }

    /// The kernel's whole state.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn dump(&mut self, now: Instant) -> io::Result<System> {
        let mut system = System::default();
        let mut address = AddressMessage::default();
        address.header.family = AddressFamily::Inet6;
        let mut route = RouteMessage::default();
        route.header.address_family = AddressFamily::Inet6;
        // Other programs and the kernel have routes by the thousand where a node floods a link with
        // advertisements; a kernel before 4.20 hands on all of them.
        route.header.protocol = RouteProtocol::Other(MARK);
        for request in [
            RouteNetlinkMessage::GetLink(LinkMessage::default()),
            RouteNetlinkMessage::GetAddress(address),
            RouteNetlinkMessage::GetRoute(route),
        ] {
            // A change between two parts makes the kernel skip objects that were there all the
            // time, and its mark for that (NLM_F_DUMP_INTR) can come too late. Objects that several
            // dumps together have too many are removed by the events that wait behind them.
            for _ in 0..DUMPS {
                let parts = self.dump_each(request.clone(), &mut |message| {
                    for event in decode::events(now, &message) {
                        system.handle(event);
                    }
                })?;
                if parts <= 1 {
                    break;
                }
            }
        }
        system.handle(KernelEvent::Forwarding(sysctl::forwarding().unwrap_or(false)));
        Ok(system)
    }

    /// Calls the function with each answer of the kernel; returns the number of parts.
    pub(crate) fn dump_each(
        &mut self,
        request: RouteNetlinkMessage,
        take: &mut dyn FnMut(RouteNetlinkMessage),
    ) -> io::Result<usize> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let sequence = self.next_sequence();
        header.sequence_number = sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request));
        message.finalize();
        let mut octets = vec![0; message.buffer_len()];
        message.serialize(&mut octets);
        self.socket.send(&octets, 0)?;
        let mut parts = 0;
        loop {
            match self.receive()? {
                Received::Datagram => {}
                Received::Lost => continue,
                Received::Nothing => break,
            }
            let mut filled = false;
            for message in messages(&self.buffer) {
                if message.header.sequence_number != sequence {
                    continue;
                }
                match message.payload {
                    NetlinkPayload::InnerMessage(message) => {
                        filled = true;
                        take(message);
                    }
                    NetlinkPayload::Done(done) if done.code < 0 => {
                        return Err(io::Error::from_raw_os_error(done.code.saturating_neg()));
                    }
                    NetlinkPayload::Done(_) => return Ok(parts + usize::from(filled)),
                    NetlinkPayload::Error(error) => return Err(error.to_io()),
                    NetlinkPayload::Noop | NetlinkPayload::Overrun(_) => {}
                    _ => {}
                }
            }
            parts += usize::from(filled);
        }
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the kernel broke a dump off"))
    }

    /// Reads the next datagram of answers. The kernel has answered when a request is sent, so that
    /// waiting for an answer that was lost would never end.
    pub(super) fn receive(&mut self) -> io::Result<Received> {
        loop {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, libc::MSG_DONTWAIT) {
                Ok(_) => return Ok(Received::Datagram),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Received::Nothing);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The other answers are still there, and until they are read the kernel drops all
                // that follow.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    return Ok(Received::Lost);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes the steps in their order; returns the positions of those refused, and why. A step
    /// whose result is there already is not refused. Steps about sockets are skipped.
    pub fn apply(&mut self, now: Instant, steps: &[Step]) -> Vec<(usize, Refusal)> {
        let mut refused = Vec::new();
        let mut batch = Batch::default();
        for (position, step) in steps.iter().enumerate() {
            let Some(request) = encode::request(now, step, self.mark) else {
                self.flush(steps, &mut batch, &mut refused);
                if let Err(error) = self.take(step) {
                    refused.push((position, refusal_of(&error)));
                }
                continue;
            };
            self.collect(position, request, &mut batch);
            if batch.requests.len() >= MAX_BATCH {
                self.flush(steps, &mut batch, &mut refused);
            }
        }
        self.flush(steps, &mut batch, &mut refused);
        refused
    }

    fn collect(
        &mut self,
        position: usize,
        request: NetlinkMessage<RouteNetlinkMessage>,
        batch: &mut Batch,
    ) {
        batch.last = batch.octets.len();
        let sequence = self.append(request, &mut batch.octets);
        batch.requests.push((position, sequence));
    }

    /// Appends a request to others; returns its sequence number.
    pub(super) fn append(
        &mut self,
        mut request: NetlinkMessage<RouteNetlinkMessage>,
        octets: &mut Vec<u8>,
    ) -> u32 {
        let sequence = self.next_sequence();
        request.header.sequence_number = sequence;
        // This call counts the octets, which takes as long as writing them.
        request.finalize();
        let start = octets.len();
        octets.resize(start + usize::try_from(request.header.length).unwrap_or(0), 0);
        if let Some(room) = octets.get_mut(start..) {
            request.serialize(room);
        }
        sequence
    }

    /// Sends requests that are no steps; returns those refused, with the error number.
    pub(crate) fn request(
        &mut self,
        requests: Vec<NetlinkMessage<RouteNetlinkMessage>>,
    ) -> io::Result<Vec<(usize, i32)>> {
        let mut refused = Vec::new();
        let mut batch = Batch::default();
        for (position, request) in requests.into_iter().enumerate() {
            self.collect(position, request, &mut batch);
            if batch.requests.len() >= MAX_BATCH {
                refused.extend(self.exchange(&mut batch)?);
            }
        }
        refused.extend(self.exchange(&mut batch)?);
        Ok(refused)
    }

    /// Takes a step that needs more than one request.
    fn take(&mut self, step: &Step) -> io::Result<()> {
        match step {
            Step::Set(Object::Setting(Setting { interface, name, value, .. })) => {
                sysctl::write_sysctl(interface, *name, *value)
            }
            Step::Set(Object::Takeover(interface)) => {
                takeover::drop_kernel_made(self, *interface, None)
            }
            Step::Set(Object::Leftover(interface, prefix)) => {
                takeover::drop_kernel_made(self, *interface, Some(*prefix))
            }
            Step::Set(Object::Deprecation(has)) => mend::deprecate(self, has),
            Step::Set(_) | Step::Replace(_) | Step::Remove(_) => Ok(()),
        }
    }

    /// Sends the batch, and adds the steps that were refused and whose result is not there already.
    fn flush(&mut self, steps: &[Step], batch: &mut Batch, refused: &mut Vec<(usize, Refusal)>) {
        let errors = match self.exchange(batch) {
            Ok(errors) => errors,
            Err(error) => unanswered(&batch.requests, &error),
        };
        batch.clear();
        let errors =
            errors.into_iter().map(|(position, errno)| (position, refusal_of_number(errno)));
        refused.extend(errors.filter(|(position, refusal)| {
            steps.get(*position).is_none_or(|step| !is_so(step, *refusal))
        }));
    }

    /// Sends the batch; returns the requests that the kernel has refused, or may not have carried
    /// out.
    fn exchange(&mut self, batch: &mut Batch) -> io::Result<Vec<(usize, i32)>> {
        if batch.requests.is_empty() {
            return Ok(Vec::new());
        }
        batch.ask_for_acknowledgement();
        self.socket.send(&batch.octets, 0)?;
        let errors = self.errors(&batch.requests);
        batch.clear();
        Ok(errors)
    }

    /// Reads the answers up to that to the last request. Where some were lost, each request without
    /// an answer may have been refused.
    fn errors(&mut self, requests: &[(usize, u32)]) -> Vec<(usize, i32)> {
        let mut errors = Vec::new();
        let mut lost = None;
        let mut is_over = false;
        while !is_over {
            match self.receive() {
                Ok(Received::Datagram) => {}
                Ok(Received::Lost) => {
                    lost = Some(libc::ENOBUFS);
                    continue;
                }
                Ok(Received::Nothing) => {
                    lost = Some(libc::ENOBUFS);
                    break;
                }
                Err(error) => {
                    lost = Some(error.raw_os_error().unwrap_or(libc::EIO));
                    break;
                }
            }
            for message in messages(&self.buffer) {
                let NetlinkPayload::Error(error) = message.payload else { continue };
                let sequence = message.header.sequence_number;
                let Some(at) = requests.iter().position(|(_, of)| *of == sequence) else {
                    continue;
                };
                is_over |= at + 1 == requests.len();
                let answered = requests.get(at).zip(error.code);
                errors.extend(
                    answered.map(|((position, _), code)| (*position, code.get().saturating_neg())),
                );
            }
        }
        if let Some(errno) = lost {
            let refused: BTreeSet<usize> = errors.iter().map(|(position, _)| *position).collect();
            let others = requests.iter().filter(|(position, _)| !refused.contains(position));
            errors.extend(others.map(|(position, _)| (*position, errno)));
        }
        errors
    }

    const fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }
}

/// All requests count as refused; an event shows which of them the kernel has carried out.
fn unanswered(requests: &[(usize, u32)], error: &io::Error) -> Vec<(usize, i32)> {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    requests.iter().map(|(position, _)| (*position, errno)).collect()
}

/// Whether a refusal says that the result of the step is there already.
fn is_so(step: &Step, refusal: Refusal) -> bool {
    let is_removal = matches!(
        step,
        Step::Remove(Object::Address(_) | Object::Route(_)) | Step::Set(Object::LostRouter(..))
    );
    is_removal && refusal == Refusal::NotThere
}

/// The messages in a datagram; one that cannot be decoded is skipped.
pub(crate) fn messages(
    octets: &[u8],
) -> impl Iterator<Item = NetlinkMessage<RouteNetlinkMessage>> + '_ {
    const HEADER: usize = 16;
    let mut rest = octets;
    std::iter::from_fn(move || {
        loop {
            let length = rest.first_chunk::<4>().map(|octets| u32::from_ne_bytes(*octets))?;
            let length = usize::try_from(length).ok().filter(|length| *length >= HEADER)?;
            let message = rest.get(..length)?;
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            if let Ok(message) = NetlinkMessage::deserialize(message) {
                return Some(message);
            }
        }
    })
}
