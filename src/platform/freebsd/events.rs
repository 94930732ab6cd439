//! The events of the kernel, and the checks by the clock of states that it does not report.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use super::abi;
use super::errno::Errno;
use super::ioctl;
use super::leftover;
use super::look;
use super::route_message::{Message, Route, messages};
use super::system_calls::SystemCalls;
use super::table::{self, Clock, Table};
use super::watch::{Place, Watch};
use crate::core::kernel::system::KernelEvent;
use crate::net::IfIndex;
use crate::platform::Drained;
use crate::time::Instant;

/// Room for the longest message.
const RECEIVE_OCTETS: usize = 2048;
/// Messages read before others have their turn.
const BATCH: usize = 64;
/// A socket of 256 KiB keeps some eight hundred messages, and silently drops what follows. After
/// reading this many without a pause the agent assumes that some were lost.
const SUSPICIOUS: usize = 512;

/// Reports what happens.
#[derive(Debug)]
pub struct Events<C> {
    pub(super) calls: C,
    pub(super) watch: Rc<RefCell<Watch>>,
    /// This process: the backend knows what came of its own requests.
    pid: u32,
    buffer: Vec<u8>,
    /// Messages read since the socket was empty.
    read: usize,
}

/// The consequence of a message.
enum Consequence {
    Nothing,
    Event(KernelEvent),
    /// An interface has to be looked up.
    Look(IfIndex),
    /// A message can be read in two ways.
    Doubt,
}

impl<C: SystemCalls> Events<C> {
    pub(super) fn new(calls: C, watch: Rc<RefCell<Watch>>, pid: u32) -> Self {
        Self { calls, watch, pid, buffer: vec![0; RECEIVE_OCTETS], read: 0 }
    }

    /// Reads what there is into `events`; after [`Drained::Overrun`] they are void.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn drain(&mut self, now: Instant, events: &mut Vec<KernelEvent>) -> Result<Drained, Errno> {
        let watch = Rc::clone(&self.watch);
        let mut watch = watch.borrow_mut();
        let drained = self.read_messages(now, &mut watch, events)?;
        if drained == Drained::Overrun {
            self.discard()?;
        }
        if drained != Drained::Whole {
            return Ok(drained);
        }
        self.remove_ended(now, &mut watch);
        self.poll(now, &mut watch, events);
        let drained = if watch.take_resync(now) { Drained::Overrun } else { Drained::Whole };
        self.calls.wake_after(watch.rest(now));
        Ok(drained)
    }

    fn read_messages(
        &mut self,
        now: Instant,
        watch: &mut Watch,
        events: &mut Vec<KernelEvent>,
    ) -> Result<Drained, Errno> {
        let mut changed = BTreeSet::new();
        let mut drained = Drained::More;
        for _ in 0..BATCH {
            let length = match self.calls.read(&mut self.buffer) {
                Ok(Some(length)) => length,
                Ok(None) => {
                    self.read = 0;
                    drained = Drained::Whole;
                    break;
                }
                Err(Errno::NOBUFS) => return Ok(Drained::Overrun),
                Err(errno) => return Err(errno),
            };
            self.read += 1;
            if self.read >= SUSPICIOUS {
                return Ok(Drained::Overrun);
            }
            let octets = self.buffer.get(..length).unwrap_or_default().to_vec();
            for message in messages(&octets) {
                match self.follow(now, watch, message) {
                    Consequence::Nothing => {}
                    Consequence::Event(event) => events.push(event),
                    // One lookup shows all changes of several messages.
                    Consequence::Look(interface) => drop(changed.insert(interface)),
                    Consequence::Doubt => return Ok(Drained::Overrun),
                }
            }
        }
        for interface in changed {
            // If it has vanished by now, a later message reports that.
            let _ = look::interfaces(&mut self.calls, watch, now, interface.0, events);
        }
        Ok(drained)
    }

    fn follow(&mut self, now: Instant, watch: &mut Watch, message: Message) -> Consequence {
        match message {
            Message::Announcement { interface, arrives: true, .. } => Consequence::Look(interface),
            Message::Announcement { interface, arrives: false, .. } => {
                watch.forget(interface);
                Consequence::Event(KernelEvent::LinkGone(interface))
            }
            // It has no name, and addresses become tentative with it and without a word.
            Message::Interface(interface) => Consequence::Look(interface.index),
            Message::Other(_) => Consequence::Nothing,
            Message::Address(found) => {
                let Some(address) = found.address() else { return Consequence::Nothing };
                let (place, length) = ((found.interface, address), found.prefix_len());
                let event = self.look(now, watch, place, length);
                if !found.is_there && matches!(event, KernelEvent::Address(_)) {
                    // The kernel reports the end of an address before it removes it.
                    watch.follow(now, place, length, true);
                }
                Consequence::Event(event)
            }
            Message::Route(route) => self.follow_route(now, &route),
        }
    }

    /// Looks up an address, whatever a message reports: an existing one can be reported as removed.
    fn look(
        &mut self,
        now: Instant,
        watch: &mut Watch,
        place: Place,
        prefix_len: u8,
    ) -> KernelEvent {
        let (interface, address) = place;
        match look::address(&mut self.calls, watch, interface, address, prefix_len) {
            Some(has) => {
                watch.follow(now, place, prefix_len, has.tentative);
                KernelEvent::Address(has)
            }
            None => {
                watch.follow(now, place, prefix_len, false);
                watch.set.remove(&place);
                KernelEvent::AddressGone { interface, address }
            }
        }
    }

    /// A route with our mark that another program has changed, or that the kernel has ended. A
    /// change can take the mark away, and of two paths a message shows the one that is left, or the
    /// flags of the other one: there the table decides.
    fn follow_route(&mut self, now: Instant, route: &Route) -> Consequence {
        let is_own = route.pid == self.pid;
        let is_refused = route.flags & abi::DONE == 0;
        let is_kernels = route.flags & (abi::PINNED | abi::NEIGHBOR) != 0;
        if is_own || is_refused || is_kernels || route.kind == abi::GET {
            return Consequence::Nothing;
        }
        let is_ours = route.flags & abi::OURS != 0;
        match route.kind {
            abi::DELETE if route.flags & abi::UP == 0 => {
                let wall = self.calls.wall_clock();
                let gone = table::route(Clock { now, wall }, route).filter(|_| is_ours);
                gone.map_or(Consequence::Nothing, |gone| {
                    Consequence::Event(KernelEvent::RouteGone(gone))
                })
            }
            abi::ADD if !is_ours => Consequence::Nothing,
            _ => Consequence::Doubt,
        }
    }

    /// Reads all waiting messages and drops them: they are older than those that were lost.
    fn discard(&mut self) -> Result<(), Errno> {
        for _ in 0..SUSPICIOUS * 4 {
            match self.calls.read(&mut self.buffer) {
                Ok(Some(_)) | Err(Errno::NOBUFS) => {}
                Ok(None) => break,
                Err(errno) => return Err(errno),
            }
        }
        self.read = 0;
        Ok(())
    }

    /// Looks at the addresses whose duplicate address detection has not ended.
    fn poll(&mut self, now: Instant, watch: &mut Watch, events: &mut Vec<KernelEvent>) {
        for (place, prefix_len) in watch.take_tentative(now) {
            let (interface, address) = place;
            let Some(name) = watch.names.get(&interface) else { continue };
            match look::flags(&mut self.calls, name, interface, address) {
                Ok(flags) if flags & abi::TENTATIVE != 0 => {}
                Ok(_) | Err(_) => events.push(self.look(now, watch, place, prefix_len)),
            }
        }
    }

    /// Removes what has ended, before the kernel does: it would leave the route to the link behind.
    fn remove_ended(&mut self, now: Instant, watch: &mut Watch) {
        for place in watch.take_ended(now) {
            let Some(name) = watch.names.get(&place.0) else { continue };
            let mut argument = ioctl::address(name, place.0, place.1);
            // A message follows, or the kernel was first: this process has not run for a while.
            if self.calls.ioctl(abi::REMOVE_ADDRESS, &mut argument) == Err(Errno::ADDRNOTAVAIL)
                && let Ok(table) = Table::read(&mut self.calls, now)
            {
                let _ = leftover::end_route(&mut self.calls, &table, name, place);
            }
        }
    }
}
