//! Other programs that advertise on downlinks: the agent hands them what to advertise, and listens
//! to what they send.

use crate::config::Job;
use crate::core::Core;
use crate::core::agent::conditions::Conditions;
use crate::core::agent::receive::check_neighbor;
use crate::core::client::PublicationReport;
use crate::core::downlink::Downlink;
use crate::core::downlink::advertise::Promise;
use crate::core::engine::{Advertised, Order, Trouble};
use crate::core::event::Condition;
use crate::core::input::Received;
use crate::core::memory::Record;
use crate::core::output::{Output, Packet};
use crate::core::stage::{Milestone, Stage};
use crate::time::Instant;
use crate::wire::ndp::{RouterAdvertisement, RouterSolicitation};

impl Core {
    /// Hands the program of a downlink, if it has one, what it is to advertise from now on, after
    /// storing the promises in it, and solicits the program to check what it sends.
    pub(in crate::core) fn send_to_program(&mut self, now: Instant, downlink: &mut Downlink) {
        let failures = downlink.advertising().program_failures();
        if let Some(attached) = downlink.poll_probe(now) {
            // The packet goes from our own address to the same address: no other node on the link
            // sees it.
            self.outputs.push_back(Output::SendIcmpv6(Packet {
                interface: attached.index,
                source: attached.link_local,
                destination: attached.link_local,
                octets: RouterSolicitation::default().encode(),
            }));
        }
        self.review |= failures != downlink.advertising().program_failures();
        if let Some((promises, advertised)) = downlink.poll_order(now) {
            self.remember_promises(downlink.name(), promises);
            if let Some(advertised) = advertised {
                self.order_to_advertise(downlink.name().to_owned(), advertised);
            }
        }
    }

    /// Stores the promises that are about to be made to hosts on a downlink.
    pub(in crate::core) fn remember_promises(&mut self, downlink: &str, promises: Vec<Promise>) {
        for Promise { prefix, is_route, until } in promises {
            let downlink = downlink.to_owned();
            let record = Record::Advertised { downlink, prefix, is_route, until };
            self.memory.fold(record.clone());
            self.outputs.push_back(Output::Remember(record));
        }
    }

    /// Hands a program what it is to advertise.
    pub(in crate::core) fn order_to_advertise(&mut self, downlink: String, advertised: Advertised) {
        let advertised = Some(Box::new(advertised));
        let number = self.engines.next_number(Job::Advertiser, &downlink);
        self.outputs.push_back(Output::Engine(Order::Advertise { number, downlink, advertised }));
    }

    /// Handles a report about something that is published on this host.
    pub(in crate::core) fn take_publication_report(&mut self, report: PublicationReport) {
        self.publications.take_report(report);
        self.review = true;
    }

    /// Handles an advertisement that this machine has sent to itself from its own address on a
    /// downlink: it is the one of the program that advertises there. One that arrives from the link
    /// under that address is forged, and is not handed to this method.
    pub(in crate::core) fn advertisement_of_program(&mut self, now: Instant, received: &Received) {
        let system = &self.kernel.state.system;
        if check_neighbor(received).is_err() || !system.is_own(received.interface, received.source)
        {
            return;
        }
        let Some(name) = system.name_of(received.interface) else { return };
        let Some(downlink) = self.downlinks.get_mut(name) else { return };
        let Ok(advertisement) = RouterAdvertisement::decode(&received.octets) else { return };
        if downlink.handle_own(now, &advertisement) {
            self.review = true;
            let is_announcing = self.downlinks.values().any(Downlink::is_announcing);
            if !is_announcing && let Some(change) = self.unadvertised.take() {
                let milestone = Milestone { change, stage: Stage::Advertised };
                self.outputs.push_back(Output::Milestone(milestone));
            }
        }
    }

    /// Adds the programs that hand over more reports than the agent takes in.
    pub(in crate::core) fn find_flooding_programs(&self, found: &mut Conditions) {
        let flooding = self.uplinks.iter().filter(|(_, uplink)| uplink.lease().is_flooded());
        for (name, uplink) in flooding {
            let program = uplink.config().requester.as_deref().unwrap_or_default();
            let text = format!(
                "the hook of {program} hands over what it holds more often than can be taken in; \
                 the last it says counts: see what runs `renumberd feed` all the time"
            );
            let (job, trouble) = (Job::Requester, Trouble::Refused);
            found.add(name, Condition::Engine { job, trouble, text });
        }
    }

    /// Adds the programs whose advertisements do not show what they were handed.
    pub(in crate::core) fn find_silent_programs(&self, found: &mut Conditions) {
        for (name, downlink) in &self.downlinks {
            let Some(failures) = downlink.advertising().program_failures() else { continue };
            let program = downlink.config().advertiser.as_deref().unwrap_or_default();
            let text = format!(
                "{program} was not heard to advertise what it was handed, and was started anew \
                 {failures} times: see what it prints with --log debug, and whether it may send on \
                 {name}"
            );
            let (job, trouble) = (Job::Advertiser, Trouble::Silent);
            found.add(name, Condition::Engine { job, trouble, text });
        }
    }
}
