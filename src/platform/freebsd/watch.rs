//! States that have to be checked by the clock, as FreeBSD reports no change of them: the end of
//! duplicate address detection, and the ends of addresses.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use crate::core::kernel::system::KernelAddress;
use crate::net::IfIndex;
use crate::time::Instant;

/// A tentative address is looked at this often.
const POLL: Duration = Duration::from_millis(250);
/// Everything is read anew this often: a routing socket drops messages without a word when it is
/// full.
const RESYNC: Duration = Duration::from_secs(60);
/// What the kernel is given beyond the valid lifetime. The kernel ends an address without the route
/// to its link, which would stay for ever: the agent removes both before.
pub(super) const MARGIN: Duration = Duration::from_secs(10);

/// An address on an interface.
pub(super) type Place = (IfIndex, Ipv6Addr);

/// The state that both halves of the backend share.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Names of interfaces, which ioctl(2) takes in place of their numbers.
    pub names: BTreeMap<IfIndex, String>,
    /// When each interface was attached, in seconds since boot.
    attached: BTreeMap<IfIndex, u64>,
    /// Addresses on running links whose duplicate address detection has not ended, with prefix
    /// length.
    tentative: BTreeMap<Place, u8>,
    /// Addresses that this process has set, as it has set them.
    pub set: BTreeMap<Place, KernelAddress>,
    poll_at: Option<Instant>,
    resync_at: Option<Instant>,
}

impl Watch {
    /// An interface is not there any more, and neither is anything on it.
    pub(super) fn forget(&mut self, interface: IfIndex) {
        self.names.remove(&interface);
        self.attached.remove(&interface);
        self.tentative.retain(|(of, _), _| *of != interface);
        self.set.retain(|(of, _), _| *of != interface);
    }

    /// Forgets the interfaces that `is_there` says are not there.
    pub(super) fn retain(&mut self, is_there: impl Fn(IfIndex) -> bool) {
        self.names.retain(|index, _| is_there(*index));
        self.attached.retain(|index, _| is_there(*index));
    }

    /// Takes note of when an interface was attached; whether another one had its number before.
    pub(super) fn note_attached(&mut self, interface: IfIndex, at: u64) -> bool {
        self.attached.insert(interface, at).is_some_and(|before| before != at)
    }

    /// Looks at an address until its duplicate address detection has ended.
    pub(super) fn follow(
        &mut self,
        now: Instant,
        place: Place,
        prefix_len: u8,
        is_tentative: bool,
    ) {
        if is_tentative {
            self.tentative.insert(place, prefix_len);
            self.poll_at.get_or_insert(now + POLL);
        } else {
            self.tentative.remove(&place);
        }
    }

    /// The tentative addresses, if it is time to look at them.
    pub(super) fn take_tentative(&mut self, now: Instant) -> Vec<(Place, u8)> {
        if self.poll_at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        self.poll_at = (!self.tentative.is_empty()).then_some(now + POLL);
        self.tentative.iter().map(|(place, length)| (*place, *length)).collect()
    }

    /// The addresses that this process has set and that have ended.
    pub(super) fn take_ended(&mut self, now: Instant) -> Vec<Place> {
        let ended = self.set.iter().filter(|(_, address)| address.valid_until.is_over(now));
        let ended: Vec<Place> = ended.map(|(place, _)| *place).collect();
        for place in &ended {
            self.set.remove(place);
        }
        ended
    }

    /// Everything has been read anew.
    pub(super) fn note_read(&mut self, now: Instant) {
        self.resync_at = Some(now + RESYNC);
    }

    /// Everything is to be read anew at once.
    pub(super) const fn resync(&mut self, now: Instant) {
        self.resync_at = Some(now);
    }

    /// Whether it is time to read everything anew. The caller does that if so.
    pub(super) fn take_resync(&mut self, now: Instant) -> bool {
        let is_time = self.resync_at.is_none_or(|at| at <= now);
        if is_time {
            self.note_read(now);
        }
        is_time
    }

    /// How long there is nothing to do.
    pub(super) fn rest(&self, now: Instant) -> Duration {
        let resync_at = self.resync_at.unwrap_or(now + RESYNC);
        let ends = self.set.values().filter_map(|address| address.valid_until.at());
        let next = ends.chain(self.poll_at).fold(resync_at, Instant::min);
        next.since(now)
    }
}
