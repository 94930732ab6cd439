//! One uplink's lease: the held prefixes, and the requester.
//!
//! The held prefixes (`held`) outlive the exchanges that got them: they run by their own lifetimes,
//! and only a Reply, their expiry or the operator ends them (SEC-05). Nothing is ever released: a
//! delegated prefix may be in use downstream (RFC 9915 §6.3, RFC 9096 §3.1). `remember` carries
//! them over a restart.
//!
//! A [`Requester`] requests the lease: the built-in one (`client`), or another program in its
//! place. Each is passed the lease, and changes it as servers grant it.

mod client;
mod feed;
mod feeds;
mod held;
mod program;
mod remember;
mod types;

use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::change::{Refresh, RefreshKind};
use crate::core::memory::StoredLease;
use crate::core::random::Random;
use crate::time::{Deadline, Instant, Lifetime};
use crate::wire::dhcpv6::Message;
use crate::wire::dhcpv6_option::{Duid, Iaid};
use crate::wire::dhcpv6_service::ServiceOption;

pub use client::{Loss, Transition, Unavailable};
pub use feed::{Event as FeedEvent, FedPrefix, Feed, WithdrawnPrefix};
pub use held::Refusal;
pub use types::{DelegatedPrefix, Ending, LeasedAddress, Progress, Reject, Rules};

use client::Client;
use held::Held;
use program::Program;

/// The lease of one uplink.
#[derive(Clone, Debug)]
pub struct Lease {
    held: Held,
    requester: Requester,
}

/// The program that sends requests to the delegating routers. Another requester is another case,
/// and the compiler names the methods that it has to answer.
#[derive(Clone, Debug)]
enum Requester {
    /// The client of this program.
    BuiltIn(Box<Client>),
    /// Another program.
    Program(Box<Program>),
}

/// The lease itself.
impl Lease {
    /// Restores the lease in `stored`, as far as it is valid at `now`; sends nothing until
    /// [`link_up`](Self::link_up). A prefix of an IA_PD that is not configured any more has ended.
    pub fn new(rules: Rules, stored: Option<&StoredLease>, random: Random, now: Instant) -> Self {
        let held = match stored {
            Some(stored) => Held::restored(&rules, stored, now),
            None => Held::new(rules.shortest_prefix, now),
        };
        let requester = if rules.by_program {
            Requester::Program(Box::new(Program::new(&rules)))
        } else {
            Requester::BuiltIn(Box::new(Client::new(rules, stored, random)))
        };
        Self { held, requester }
    }

    /// Prefixes that are held and those that have ended, by IA_PD and prefix. The ones that have
    /// ended stay listed until [`forget`](Self::forget).
    pub fn prefixes(&self) -> Vec<DelegatedPrefix> {
        self.held.prefixes()
    }

    /// The valid lifetime that the server last gave a prefix; none where that was before a restart.
    pub fn given_for(&self, iaid: Iaid, prefix: Ipv6Net) -> Option<Lifetime> {
        self.held.given_for(iaid, prefix)
    }

    /// Addresses that are held.
    pub fn addresses(&self) -> Vec<LeasedAddress> {
        self.held.addresses()
    }

    /// DNS servers and search domains of the last Reply, with the end of the lease.
    pub fn resolvers(&self) -> (Ending<Ipv6Addr>, Ending<String>) {
        self.held.resolvers()
    }

    /// Options of the last Reply that are passed on to hosts, while the lease lasts (LAN-01).
    pub fn services(&self) -> &[ServiceOption] {
        self.held.services()
    }

    /// When the lease is renewed (T1), if that lies after `now`.
    pub fn renewed_at(&self, now: Instant) -> Option<Instant> {
        self.held.timers().and_then(|timers| timers.t1.at()).filter(|at| *at > now)
    }

    /// When the first of the prefixes ended that are still listed.
    pub fn first_gone(&self) -> Option<Instant> {
        self.held.first_gone()
    }

    /// Drops prefixes that ended at `before` or earlier.
    pub fn forget(&mut self, before: Instant) {
        self.held.forget(before);
    }

    /// Sets the prefixes that other uplinks hold or that are set by hand: prefixes that overlap
    /// them are refused.
    pub fn set_elsewhere(&mut self, elsewhere: Vec<Ipv6Net>) {
        self.held.set_elsewhere(elsewhere);
    }

    /// The next refusal that has not been counted.
    pub fn poll_refusal(&mut self) -> Option<Refusal> {
        self.held.refusals.poll()
    }

    /// The last prefixes that this program refused, with the reasons.
    pub fn refused(&self) -> &[(Ipv6Net, Refusal)] {
        self.held.refusals.standing()
    }

    /// Whether this program itself requests the lease, by UDP port 546, and not another program.
    pub const fn is_built_in(&self) -> bool {
        match self.requester {
            Requester::BuiltIn(_) => true,
            Requester::Program(_) => false,
        }
    }

    /// The lease to store for a restart: none when no prefix is held.
    pub fn stored(&self) -> Option<StoredLease> {
        match &self.requester {
            Requester::BuiltIn(client) => self.held.stored().map(|stored| client.with_key(stored)),
            Requester::Program(_) => self.held.stored(),
        }
    }
}

/// Requests.
impl Lease {
    /// The uplink can send: what is held is rebound (CHG-05), else a Solicit is sent (PDC-20: after
    /// a random delay of up to a second unless `hurry`). Ends in a
    /// [`Progress::outcome`](super::Progress).
    pub fn link_up(&mut self, now: Instant, hurry: bool) {
        match &mut self.requester {
            Requester::BuiltIn(client) => client.link_up(&self.held, now, hurry),
            Requester::Program(program) => program.link_up(now),
        }
    }

    /// The uplink cannot send: exchanges rest, while the lifetimes of prefixes run on.
    pub fn link_down(&mut self) {
        match &mut self.requester {
            Requester::BuiltIn(client) => client.link_down(),
            Requester::Program(program) => program.link_down(),
        }
    }

    /// Takes over whether a router's M flag says that addresses are available by DHCPv6 (UPL-15).
    /// An address that is held stays held when the flag is cleared.
    pub fn want_address(&mut self, now: Instant, wanted: bool) {
        match &mut self.requester {
            Requester::BuiltIn(client) => client.want_address(&self.held, now, wanted),
            Requester::Program(_) => {}
        }
    }

    /// Takes over whether a router's O flag says that other configuration is available by DHCPv6:
    /// it is requested where neither prefixes nor addresses are (CHG-06).
    pub fn want_information(&mut self, now: Instant, wanted: bool) {
        match &mut self.requester {
            Requester::BuiltIn(client) => client.want_information(&self.held, now, wanted),
            Requester::Program(_) => {}
        }
    }

    /// Climbs the refresh ladder (requirements of a change: Renew or Rebind now, repeated after a
    /// few round trips where no answer comes; Rebind after 1 and 2 s, Solicit with Rapid Commit
    /// after 4 s). Absorbed by a refresh under way.
    pub fn refresh(&mut self, now: Instant, refresh: Refresh) {
        match &mut self.requester {
            Requester::BuiltIn(client) => client.refresh(&self.held, now, refresh),
            Requester::Program(program) => program.refresh(now, refresh),
        }
    }

    /// Skips what is left of the random delay before the first message: a router advertisement has
    /// shown that the link has a router.
    pub fn hurry(&mut self, now: Instant) {
        match &mut self.requester {
            Requester::BuiltIn(client) => client.hurry(now),
            Requester::Program(_) => {}
        }
    }

    /// Sends the next Solicit of a discovery in vain at `at`, and starts its intervals anew: if the
    /// last one was just sent and may still be answered, this is a moment later. Returns whether
    /// that is sooner than it would have been.
    pub fn ask_soon(&mut self, at: Instant) -> bool {
        match &mut self.requester {
            Requester::BuiltIn(client) => client.ask_soon(at),
            Requester::Program(program) => program.ask_soon(at),
        }
    }

    /// Solicits anew once, beside the lease (a probe found the prefix not routed).
    pub fn rediscover(&mut self, now: Instant) {
        match &mut self.requester {
            Requester::BuiltIn(client) => client.rediscover(now),
            Requester::Program(program) => program.rediscover(now),
        }
    }

    /// Renews before T1, for a requesting router that could be granted only a short preferred
    /// lifetime (SRV-61); whether a renewal that this or T1 started is under way since less than
    /// `patience`. A renewal that brought nothing longer is not repeated within
    /// a minute, and one without an answer goes on at its own pace.
    pub fn renew_for_others(&mut self, now: Instant, patience: Duration) -> bool {
        match &mut self.requester {
            Requester::BuiltIn(client) => client.renew_for_others(&self.held, now, patience),
            Requester::Program(program) => program.renew_for_others(now, patience),
        }
    }

    /// Declines an address of the IA_NA for which duplicate address detection failed (PDC-84).
    pub fn decline(&mut self, now: Instant, address: Ipv6Addr) {
        match &mut self.requester {
            Requester::BuiltIn(client) => client.decline(&mut self.held, now, address),
            Requester::Program(_) => {}
        }
    }

    /// Takes in a message from UDP port 547; `octets` are those it was decoded from, for the
    /// authentication of a Reconfigure.
    ///
    /// # Errors
    ///
    /// [`Reject`] when it is dropped; nothing but the bounds of retransmission changes then.
    pub fn handle_message(
        &mut self,
        now: Instant,
        message: &Message,
        octets: &[u8],
    ) -> Result<Progress, Reject> {
        match &mut self.requester {
            Requester::BuiltIn(client) => {
                client.handle_message(&mut self.held, now, message, octets)
            }
            Requester::Program(_) => Err(Reject::UnexpectedType),
        }
    }

    /// Retransmits, renews and rebinds, and ends what is not valid any more.
    pub fn handle_timeout(&mut self, now: Instant) -> Progress {
        match &mut self.requester {
            Requester::BuiltIn(client) => client.handle_timeout(&mut self.held, now),
            Requester::Program(program) => program.handle_timeout(&mut self.held, now),
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn deadline(&self) -> Option<Deadline> {
        match &self.requester {
            Requester::BuiltIn(client) => client.deadline(&self.held),
            Requester::Program(program) => program.deadline(&self.held),
        }
    }

    /// The next message to send to ff02::1:2 port 547, encoded.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        match &mut self.requester {
            Requester::BuiltIn(client) => client.poll_transmit(&self.held, now),
            Requester::Program(_) => None,
        }
    }

    /// The next transition of an exchange that has not been reported.
    pub fn poll_transition(&mut self) -> Option<Transition> {
        match &mut self.requester {
            Requester::BuiltIn(client) => client.poll_transition(),
            Requester::Program(_) => None,
        }
    }

    /// The renewal that the program which requests the lease is to be asked for.
    pub fn poll_order(&mut self) -> Option<RefreshKind> {
        match &mut self.requester {
            Requester::BuiltIn(_) => None,
            Requester::Program(program) => program.poll_order(),
        }
    }

    /// Whether the program that requests the lease reports more often than the rate allows.
    pub fn is_flooded(&self) -> bool {
        match &self.requester {
            Requester::BuiltIn(_) => false,
            Requester::Program(program) => program.is_flooded(),
        }
    }

    /// Handles a report of the program that requests the lease.
    pub fn handle_feed(&mut self, now: Instant, feed: &Feed) -> Progress {
        match &mut self.requester {
            Requester::BuiltIn(_) => Progress::default(),
            Requester::Program(program) => program.handle_feed(&mut self.held, now, feed),
        }
    }

    /// Whether `message` answers an exchange under way.
    pub fn awaits(&self, message: &Message) -> bool {
        match &self.requester {
            Requester::BuiltIn(client) => client.awaits(message),
            Requester::Program(_) => false,
        }
    }

    /// Whether servers were asked for a first lease, or for what is missing beside one, and none
    /// has offered any.
    pub fn asks_in_vain(&self) -> bool {
        match &self.requester {
            Requester::BuiltIn(client) => client.asks_in_vain(&self.held),
            Requester::Program(program) => program.asks_in_vain(&self.held),
        }
    }

    /// Whether a Renew is under way since less than `patience`.
    pub fn is_renewing(&self, now: Instant, patience: Duration) -> bool {
        match &self.requester {
            Requester::BuiltIn(client) => client.is_renewing(now, patience),
            Requester::Program(program) => program.is_renewing(now, patience),
        }
    }

    /// Since when exchanges about a lease have got no answer.
    pub fn unanswered_since(&self) -> Option<Instant> {
        match &self.requester {
            Requester::BuiltIn(client) => client.unanswered_since(),
            Requester::Program(program) => program.unanswered_since(),
        }
    }

    /// The IA_PDs for which servers answer without granting a prefix, by IAID.
    pub fn unavailable(&self) -> &[Unavailable] {
        match &self.requester {
            Requester::BuiltIn(client) => client.unavailable(),
            Requester::Program(_) => &[],
        }
    }

    /// When servers are asked for a prefix again: in an exchange under way or at T1; none if
    /// neither is set.
    pub fn asked_again_at(&self) -> Option<Instant> {
        match &self.requester {
            Requester::BuiltIn(client) => client.asked_again_at(&self.held),
            Requester::Program(program) => program.asked_again_at(),
        }
    }

    /// The server that granted the lease, and the exchange under way, for status.
    pub fn describe(&self) -> (Option<Duid>, &'static str) {
        match &self.requester {
            Requester::BuiltIn(client) => client.describe(&self.held),
            Requester::Program(program) => program.describe(&self.held),
        }
    }
}
