//! The routing table: every path of it, for what has no metrics and can have several paths to one
//! destination.

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::abi;
use super::errno::Errno;
use super::route_message::{self, Message, messages};
use super::system_calls::SystemCalls;
use crate::core::capabilities::ONLY_METRIC;
use crate::core::kernel::system::{KernelRoute, RouteTarget};
use crate::time::{Instant, Until};

/// The two clocks that ends of routes are converted by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// The clock of the core.
    pub now: Instant,
    /// Time since 1970.
    pub wall: Duration,
}

impl Clock {
    /// When what ends at a time of the wall clock, in seconds, ends.
    fn until(self, end: Option<u64>) -> Until {
        end.map_or(Until::Never, |end| {
            Until::At(self.now + Duration::from_secs(end).saturating_sub(self.wall))
        })
    }

    /// The time of the wall clock, in seconds, of an end. One in the past would be kept for ever.
    pub(super) fn end(self, until: Until) -> Option<u64> {
        let left = until.at()?.since(self.now).max(Duration::from_secs(1));
        Some(self.wall.saturating_add(left).as_secs().saturating_add(1))
    }
}

/// A path to a destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Path {
    /// Where it leads; none of a kind that is never ours.
    pub target: Option<RouteTarget>,
    /// Its flags (RTF_*).
    pub flags: u32,
    /// When it ends.
    pub until: Until,
}

impl Path {
    /// Whether it has our mark.
    pub(super) const fn is_ours(&self) -> bool {
        self.flags & abi::OURS != 0
    }

    /// Whether the kernel made it of a router advertisement: it was not set by hand, and it is not
    /// the route to a link of its own.
    pub(super) const fn is_learnt(&self) -> bool {
        let other = abi::OURS | abi::STATIC | abi::PINNED | abi::REJECT | abi::BLACKHOLE;
        self.flags & abi::GATEWAY != 0 && self.flags & other == 0
    }

    /// Whether it is the kernel's own route to a link.
    pub(super) const fn is_to_link(&self) -> bool {
        self.flags & abi::PINNED != 0 && self.flags & abi::HOST == 0
    }
}

/// A route with our mark, as a message has it. All routes have one metric.
pub(super) fn route(clock: Clock, route: &route_message::Route) -> Option<KernelRoute> {
    Some(KernelRoute {
        destination: route.destination()?,
        target: route.target()?,
        metric: ONLY_METRIC,
        until: clock.until(route.end),
    })
}

/// All paths, by destination.
#[derive(Clone, Debug, Default)]
pub(super) struct Table(BTreeMap<Ipv6Net, Vec<Path>>);

impl Table {
    /// Reads the table.
    pub(super) fn read<C: SystemCalls>(calls: &mut C, now: Instant) -> Result<Self, Errno> {
        let octets = calls.sysctl(&abi::ROUTES)?;
        let clock = Clock { now, wall: calls.wall_clock() };
        let mut table = Self::default();
        for message in messages(&octets) {
            if let Message::Route(found) = message
                && let Some(destination) = found.destination()
            {
                let path = Path {
                    target: found.target(),
                    flags: found.flags,
                    until: clock.until(found.end),
                };
                table.0.entry(destination).or_default().push(path);
            }
        }
        Ok(table)
    }

    /// The paths to a destination.
    pub(super) fn paths(&self, destination: Ipv6Net) -> &[Path] {
        self.0.get(&destination).map_or(&[], Vec::as_slice)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Ipv6Net, &Path)> {
        self.0.iter().flat_map(|(to, paths)| paths.iter().map(|path| (*to, path)))
    }

    /// Routes with our mark.
    pub(super) fn ours(&self) -> impl Iterator<Item = KernelRoute> + '_ {
        let ours = self.iter().filter(|(_, path)| path.is_ours());
        ours.filter_map(|(destination, path)| {
            let (target, until) = (path.target?, path.until);
            Some(KernelRoute { destination, target, metric: ONLY_METRIC, until })
        })
    }

    /// Takes note of a path of ours.
    pub(super) fn put(&mut self, route: &KernelRoute) {
        let path = Path { target: Some(route.target), flags: abi::OURS, until: route.until };
        let paths = self.0.entry(route.destination).or_default();
        paths.retain(|known| known.target != path.target);
        paths.push(path);
    }

    /// Takes note that a path is gone.
    pub(super) fn forget(&mut self, destination: Ipv6Net, target: Option<RouteTarget>) {
        if let Some(paths) = self.0.get_mut(&destination) {
            paths.retain(|known| known.target != target);
        }
    }
}
