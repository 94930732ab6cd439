//! Other programs in a built-in's place: they do what they are asked for, or not, and say what they
//! hold, or nonsense.

use std::collections::BTreeMap;
use std::time::Duration;

use renumberd::config::Job;
use renumberd::core::engine::{Order, Post, Report, State, Trouble};
use renumberd::core::input::{Command, Input};
use renumberd::core::uplink::lease::{FedPrefix, Feed, FeedEvent, WithdrawnPrefix};
use renumberd::wire::dhcpv6_option::Iaid;

use super::bytes::Bytes;
use super::upstream::{self, DELEGATED};
use super::{UPLINKS, World};

/// How long a program takes to renew.
const RENEWAL: Duration = Duration::from_millis(30);

/// The configurations in which programs request prefixes.
pub fn configs() -> [String; 3] {
    let dhcpcd = "[uplink.up]\nrequester = \"dhcpcd\"\n[uplink.dsl]\ndelegate = [{ iaid = 1 }, \
                  { iaid = 2 }]\n[downlink.lan]\nsubnet = \"0x1/64\"\n[downlink.wl]\n\
                  [pool.near]\ndownlink = \"lan\"\nsize = 60\nlength = 62\n";
    let command = "[engine.modem]\nkind = \"command\"\nrenew = [\"modem\"]\n";
    [
        dhcpcd.to_owned(),
        format!(
            "{command}[uplink.up]\nrequester = \"modem\"\n[uplink.dsl]\nrequester = \"modem\"\n\
             [static.home]\nprefix = \"fd00:1::/48\"\n[downlink.lan]\n"
        ),
        dhcpcd.replace("requester = \"dhcpcd\"\n", ""),
    ]
}

impl World {
    /// A program gets an order.
    pub fn lead(&mut self, order: &Order) {
        let Order::Renew { uplink, .. } = order else { return };
        self.questions += 1;
        let Some(number) = UPLINKS.iter().position(|(name, _)| name == uplink) else { return };
        if self.loses & 2 == 0 && !self.servers[number].is_silent() {
            let feed = Input::Command(Command::Feed(Box::new(self.good_feed(number))));
            self.coming.push((self.now + RENEWAL, feed));
        }
    }

    /// What a program holds whose server works.
    fn good_feed(&self, number: usize) -> Feed {
        let prefix = self.servers[number].prefix();
        let fed = FedPrefix { iaid: Iaid(1), prefix, exclude: None, preferred: 3600, valid: 7200 };
        feed(UPLINKS[number].0, FeedEvent::Bound, vec![fed], Vec::new())
    }

    /// A program says something that need not be so, or something is known of one.
    pub fn hear_of_program(&mut self, bytes: &mut Bytes<'_>) {
        let interface = bytes.pick(&["up", "dsl", "lan"]);
        if bytes.flag() {
            let job = bytes.pick(&[Job::Requester, Job::Advertiser, Job::Delegator]);
            let state = bytes.pick(&[State::Running, State::Failed, State::Changing]);
            let trouble = bytes.pick(&[Trouble::Missing, Trouble::Ended, Trouble::Silent]);
            let trouble = (state == State::Failed).then(|| (trouble, "wrong".to_owned()));
            let troubles: BTreeMap<_, _> = trouble.into_iter().collect();
            let post = Post { job, interface: interface.to_owned() };
            let order = bytes.pick(&[u64::MAX, u64::MAX, u64::MAX, 1]);
            self.give(Input::Engine(Report { post, order, version: None, state, troubles }));
            return;
        }
        let event = bytes.pick(&[FeedEvent::Bound, FeedEvent::Bound, FeedEvent::Ended]);
        let prefixes = (0..bytes.below(4)).map(|_| FedPrefix {
            iaid: Iaid(u32::from(bytes.octet() & 3)),
            prefix: upstream::net(bytes.pick(&DELEGATED)),
            exclude: None,
            preferred: bytes.pick(&[0, 60, 3600, u32::MAX]),
            valid: bytes.pick(&[0, 60, 7200, u32::MAX]),
        });
        let prefixes: Vec<_> = prefixes.collect();
        let withdrawn = (0..bytes.below(3)).map(|_| WithdrawnPrefix {
            iaid: Iaid(u32::from(bytes.octet() & 3)),
            prefix: upstream::net(bytes.pick(&DELEGATED)),
        });
        let withdrawn: Vec<_> = withdrawn.collect();
        let feed = feed(interface, event, prefixes, withdrawn);
        // What is wrong with one does not come as far as this.
        if feed.check().is_ok() {
            self.give(Input::Command(Command::Feed(Box::new(feed))));
        }
    }
}

fn feed(
    interface: &str,
    event: FeedEvent,
    prefixes: Vec<FedPrefix>,
    withdrawn: Vec<WithdrawnPrefix>,
) -> Feed {
    Feed {
        event,
        at: None,
        interface: interface.to_owned(),
        server: None,
        prefixes,
        withdrawn,
        servers: Vec::new(),
        domains: Vec::new(),
    }
}
