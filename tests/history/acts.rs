//! What happens: one act after another, as the octets say.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use renumberd::core::input::{Command, Input, Received};
use renumberd::core::kernel::object::Refusal;
use renumberd::core::kernel::system::KernelAddress;
use renumberd::core::kernel::system::KernelEvent;
use renumberd::net::IfIndex;
use renumberd::wire::ndp::RouterSolicitation;

use super::bytes::Bytes;
use super::upstream::{self, ROUTERS, link_local, net};
use super::{LINKS, UPLINKS, World, own_duid, received, subordinate};
use renumberd::sim::kernel::{Rule, foreign};

const SPANS: [Duration; 16] = [
    Duration::ZERO,
    Duration::from_millis(1),
    Duration::from_millis(10),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(10),
    Duration::from_secs(31),
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(900),
    Duration::from_secs(1801),
    Duration::from_secs(3600),
    Duration::from_secs(7205),
];

const REFUSALS: [Refusal; 8] = [
    Refusal::NotPermitted,
    Refusal::NotThere,
    Refusal::Exists,
    Refusal::NoBuffer,
    Refusal::Other { number: 12, text: "" },
    Refusal::Other { number: 22, text: "" },
    Refusal::Other { number: 101, text: "" },
    Refusal::Other { number: 113, text: "" },
];

impl World {
    /// The next act.
    pub fn act(&mut self, bytes: &mut Bytes<'_>) {
        match bytes.below(32) {
            0..=2 => self.pass(bytes.pick(&SPANS)),
            3 => {
                self.pass(bytes.pick(&SPANS));
                self.check_anew();
            }
            4 => self.now = self.now + bytes.pick(&SPANS),
            5..=8 => self.advertise(bytes),
            9 => {
                let uplink = bytes.below(2);
                self.servers[uplink].behave(bytes);
            }
            10 => self.answer_oddly(bytes),
            11..=15 => self.ask(bytes),
            16 => self.garble(bytes),
            17..=18 => self.change_link(bytes),
            19 => self.change_address(bytes),
            20 => self.meddle(bytes),
            21 => self.node.kernel.find_duplicate(bytes.below(256)),
            22 => self.refuse(bytes),
            23 if bytes.flag() => self.lose(bytes),
            23 => self.node.kernel.refusals.rules.clear(),
            24 => self.hold_events(bytes),
            25 => self.command(bytes),
            26 => self.configure(bytes),
            27 => match bytes.below(4) {
                0 => self.restart(),
                3 => {
                    self.config = bytes.below(self.configs.len());
                    self.restart();
                }
                1 => self.node.kill_after = Some(bytes.below(40)),
                _ => self.give(Input::Command(Command::Stop)),
            },
            28 => self.solicit(bytes),
            29 => self.storm(bytes),
            30 => match bytes.below(4) {
                0 => self.asleep = bytes.octet() & !1,
                1 => self.flap(bytes),
                2 => self.copy(bytes),
                _ => (0..3).for_each(|_| self.give(Input::Timeout)),
            },
            _ if self.has_programs && bytes.flag() => self.hear_of_program(bytes),
            _ => self.node.kernel.change(KernelEvent::Forwarding(bytes.flag())),
        }
        self.give_events();
    }

    fn any_link(&self, bytes: &mut Bytes<'_>) -> IfIndex {
        let (name, _) = bytes.pick(&LINKS);
        self.index(name).unwrap_or(IfIndex(99))
    }

    /// A router advertises; nothing of that changes what DHCPv6 has delegated to us.
    fn advertise(&mut self, bytes: &mut Bytes<'_>) {
        let flags = bytes.octet();
        let uplink = usize::from(flags & 1);
        let router = ROUTERS[usize::from(flags >> 1 & 3)];
        let repeated = self.advertised.get(&(uplink, router)).filter(|_| flags & 8 != 0);
        let good = upstream::good_advertisement(UPLINKS[uplink].1);
        let advertisement = match repeated {
            Some(repeated) => repeated.clone(),
            None if flags & 0x30 == 0 => good,
            None => upstream::any_advertisement(bytes),
        };
        let interface = match flags >> 6 {
            3 => self.any_link(bytes),
            _ => self.index(UPLINKS[uplink].0).unwrap_or(IfIndex(99)),
        };
        let mut packet = received(interface, router, advertisement.encode());
        if flags >> 6 == 2 {
            packet.destination = link_local(LINKS[uplink].1);
        }
        self.advertised.insert((uplink, router), advertisement);
        self.pass(Duration::from_millis(11));
        let before = self.subnets();
        self.give(Input::Icmpv6(packet));
        let after = self.subnets();
        for subnet in before {
            assert!(after.contains(&subnet), "an advertisement has taken {subnet:?} away");
        }
    }

    fn answer_oddly(&mut self, bytes: &mut Bytes<'_>) {
        let uplink = bytes.below(2);
        let asked = self.asked[uplink].last();
        let message = upstream::any_message(bytes, asked, &own_duid());
        let Some(interface) = self.index(UPLINKS[uplink].0) else { return };
        let source = match bytes.below(4) {
            0 => "2001:db8:ffff::547".parse().unwrap(),
            1 => link_local(LINKS[uplink].1),
            _ => ROUTERS[uplink],
        };
        let received = Received {
            port: 547,
            destination: link_local(LINKS[uplink].1),
            ..received(interface, source, message.encode())
        };
        self.give(Input::Dhcpv6(received));
    }

    fn ask(&mut self, bytes: &mut Bytes<'_>) {
        let sent = subordinate::any_message(bytes, &self.ledger, &own_duid());
        let name = bytes.pick(&["lan", "lan", "lan", "wl", "rel", "up"]);
        self.leave_subordinate(&sent, name);
    }

    fn leave_subordinate(&mut self, sent: &subordinate::Sent, name: &str) {
        let Some(interface) = self.index(name) else { return };
        if name != "rel" {
            self.ledger.asked(sent);
        }
        let direct = sent.relays.is_empty();
        let received = Received {
            port: if direct { 546 } else { 547 },
            link_layer: direct.then(|| sent.link_layer.clone()),
            destination: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2),
            ..received(
                interface,
                if direct { sent.source } else { link_local(0x66) },
                sent.octets(),
            )
        };
        self.give(Input::Server(received));
    }

    /// Octets that are no message, or almost one.
    fn garble(&mut self, bytes: &mut Bytes<'_>) {
        let mut octets = match bytes.below(4) {
            0 => upstream::any_advertisement(bytes).encode(),
            1 => subordinate::any_message(bytes, &self.ledger, &own_duid()).octets(),
            2 => upstream::any_message(bytes, self.asked[0].last(), &own_duid()).encode(),
            _ => Vec::new(),
        };
        let raw = bytes.raw(40);
        let at = bytes.below(octets.len() + 1);
        if bytes.flag() {
            octets.truncate(at);
        }
        for (octet, new) in octets.iter_mut().skip(at).zip(&raw) {
            *octet ^= new;
        }
        octets.extend(raw);
        let interface = self.any_link(bytes);
        let mut packet = received(interface, bytes.pick(&ROUTERS), octets);
        let flags = bytes.octet();
        if flags & 1 != 0 {
            packet.destination = link_local(2);
        }
        if flags & 2 != 0 {
            packet.source = "2001:db8:1:1::99".parse().unwrap();
        }
        self.give(match flags >> 6 {
            0 => Input::Dhcpv6(packet),
            1 => Input::Server(packet),
            _ => Input::Icmpv6(packet),
        });
    }

    fn change_link(&mut self, bytes: &mut Bytes<'_>) {
        let (name, last) = bytes.pick(&LINKS);
        let index = self.index(name);
        match (bytes.below(6), index) {
            (0 | 1, Some(index)) => self.node.kernel.set_running(index, false, bytes.flag()),
            (2 | 3, Some(index)) => self.node.kernel.set_running(index, true, false),
            (4, Some(index)) => {
                if self.node.kernel.vanish(index).is_some() {
                    self.gone.push((name, last));
                }
            }
            (_, _) => self.return_link(bytes.below(6), bytes.flag()),
        }
    }

    /// Another program sets or removes an address: a link-local one, or one that ours would be.
    fn change_address(&mut self, bytes: &mut Bytes<'_>) {
        let interface = self.any_link(bytes);
        let own: Vec<Ipv6Addr> = self
            .node
            .kernel
            .foreign_addresses
            .keys()
            .filter(|(of, _)| *of == interface)
            .map(|(_, address)| *address)
            .collect();
        match bytes.below(5) {
            0 => {
                let address = bytes.pick(&["2001:db8:1:1::1", "fd00:1:0:1::1", "2001:db8:9::1"]);
                let address: Ipv6Addr = address.parse().unwrap();
                if !self.node.kernel.system().addresses.contains_key(&(interface, address)) {
                    self.node.kernel.set_foreign(foreign(interface, address));
                }
            }
            1 => self.node.kernel.set_foreign(foreign(interface, bytes.pick(&ROUTERS))),
            2 => {
                let address = foreign(interface, link_local(0x50));
                self.node.kernel.set_foreign(KernelAddress { tentative: true, ..address });
            }
            3 if !own.is_empty() => {
                let address = bytes.pick(&own);
                let duplicate = KernelAddress { duplicate: true, ..foreign(interface, address) };
                self.node.kernel.set_foreign(duplicate);
            }
            _ if !own.is_empty() => {
                let address = bytes.pick(&own);
                self.node.kernel.foreign_addresses.remove(&(interface, address));
                self.node.kernel.change(KernelEvent::AddressGone { interface, address });
            }
            _ => {}
        }
    }

    /// An administrator removes what is ours, or is there first.
    fn meddle(&mut self, bytes: &mut Bytes<'_>) {
        let routes: Vec<_> = self.node.kernel.system().routes.values().cloned().collect();
        let addresses = self.node.kernel.system().addresses.values().filter(|address| address.ours);
        let addresses: Vec<_> = addresses.cloned().collect();
        match bytes.below(3) {
            0 if !routes.is_empty() => {
                let route = bytes.pick(&routes);
                self.node.kernel.change(KernelEvent::RouteGone(route));
            }
            1 if !addresses.is_empty() => {
                let KernelAddress { interface, address, .. } = bytes.pick(&addresses);
                self.node.kernel.change(KernelEvent::AddressGone { interface, address });
            }
            _ => {
                let prefix = net(bytes.pick(&["2001:db8:1:1::/64", "2001:db8:1:10::/60", "::/0"]));
                let slot = (prefix, bytes.pick(&[248, 256, 512, 1024]));
                if !self.node.kernel.system().has_slot(slot)
                    && self.node.kernel.foreign_routes.len() < 3
                {
                    self.node.kernel.foreign_routes.insert(slot);
                }
            }
        }
    }

    fn refuse(&mut self, bytes: &mut Bytes<'_>) {
        if self.node.kernel.refusals.rules.len() < 4 {
            let kinds = bytes.octet();
            let interface = bytes.flag().then(|| self.any_link(bytes));
            let refusal = bytes.pick(&REFUSALS);
            let left = bytes.pick(&[1, 3, 20, u32::MAX]);
            self.node.kernel.refusals.rules.push(Rule { kinds, interface, refusal, left });
        }
    }

    /// What leaves is lost, or the disk takes nothing.
    fn lose(&mut self, bytes: &mut Bytes<'_>) {
        let flags = bytes.octet();
        self.loses = flags & 7;
        if flags & 0x18 == 0x18 {
            self.node.unwritten.get_or_insert_default();
        } else {
            self.node.write_again();
        }
    }

    /// Routers contradict each other, or themselves, in turn.
    fn flap(&mut self, bytes: &mut Bytes<'_>) {
        let uplink = bytes.below(2);
        let times = bytes.pick(&[4, 9, 20, 60]);
        let gap = bytes.pick(&[11, 300, 1000, 3100, 20_000]);
        let flags = bytes.octet();
        let messages = [upstream::any_advertisement(bytes), upstream::any_advertisement(bytes)];
        let (began_at, first) = (self.now, self.questions);
        for number in 0..times {
            let Some(interface) = self.index(UPLINKS[uplink].0) else { return };
            let message = messages[number % 2].encode();
            let router = ROUTERS[if flags & 1 == 0 { uplink } else { number % 2 }];
            let mut packet = received(interface, router, message);
            if flags & 2 != 0 {
                packet.destination = link_local(LINKS[uplink].1);
            }
            self.give(Input::Icmpv6(packet));
            self.pass(Duration::from_millis(gap));
        }
        let took = self.now.since(began_at);
        self.check_questions(first, took);
    }

    /// A router repeats what it has advertised, to us alone.
    fn copy(&mut self, bytes: &mut Bytes<'_>) {
        let uplink = bytes.below(2);
        let router = ROUTERS[bytes.below(4)];
        let Some(message) = self.advertised.get(&(uplink, router)).cloned() else { return };
        let times = bytes.pick(&[3, 10, 40]);
        let (began_at, first) = (self.now, self.questions);
        for _ in 0..times {
            let Some(interface) = self.index(UPLINKS[uplink].0) else { return };
            let mut packet = received(interface, router, message.encode());
            packet.destination = link_local(LINKS[uplink].1);
            self.give(Input::Icmpv6(packet));
            self.pass(Duration::from_millis(50));
        }
        self.check_questions(first, self.now.since(began_at));
    }

    /// Whatever is heard, servers are not asked all the time.
    fn check_questions(&self, first: usize, took: Duration) {
        let count = u64::try_from(self.questions - first).unwrap();
        // Buckets, a ladder for each question, retransmissions, and what renewal itself asks.
        let most = 60 + took.as_secs() * 2;
        assert!(count <= most, "{count} questions to servers in {took:?}");
    }

    fn hold_events(&mut self, bytes: &mut Bytes<'_>) {
        match bytes.below(3) {
            0 => self.node.holds_events = true,
            1 => self.node.holds_events = false,
            // Some are lost, which the agent is told.
            _ => self.read_kernel(),
        }
    }

    fn command(&mut self, bytes: &mut Bytes<'_>) {
        let command = match bytes.below(5) {
            0 => Command::Renew { uplink: None },
            1 => Command::Renew { uplink: Some("up".to_owned()) },
            2 => Command::LinkUp { uplink: bytes.pick(&["up", "dsl"]).to_owned() },
            3 => {
                let prefixes = [None, Some(net("fd00:1::/48")), Some(net("fd00:2::/48"))];
                let prefix = bytes.pick(&prefixes);
                let prefixes = BTreeMap::from([("home".to_owned(), prefix)]);
                Command::SetPrefixes { prefixes, graceful: bytes.flag() }
            }
            _ => Command::Forget { prefix: net("3fff:2:0:1::/64") },
        };
        self.give(Input::Command(command));
    }

    fn configure(&mut self, bytes: &mut Bytes<'_>) {
        self.config = bytes.below(self.configs.len());
        let config = Box::new(self.configs[self.config].clone());
        self.give(Input::Command(Command::Reload(config)));
    }

    fn solicit(&mut self, bytes: &mut Bytes<'_>) {
        let Some(interface) = self.index(bytes.pick(&["lan", "wl"])) else { return };
        let host = link_local(0x2000 + u16::from(bytes.octet()));
        let octets = RouterSolicitation { options: Vec::new() }.encode();
        self.give(Input::Icmpv6(received(interface, host, octets)));
    }

    /// Many messages at once, each of somebody else.
    fn storm(&mut self, bytes: &mut Bytes<'_>) {
        if self.storms >= 2 {
            return;
        }
        self.storms += 1;
        let count = bytes.pick(&[5, 20, 70, 300]);
        let what = bytes.below(4);
        let first = u16::from(bytes.octet()) << 8;
        for number in (0..count).map(|number| first.wrapping_add(number).max(0x100)) {
            match what {
                0 => self.leave_subordinate(&subordinate::stranger(number, false), "lan"),
                1 => self.leave_subordinate(&subordinate::stranger(number, true), "lan"),
                2 => self.leave_subordinate(&subordinate::stranger(number, false), "rel"),
                _ => {
                    let prefix = format!("2001:db8:{number:x}:7::/64");
                    let advertisement = upstream::good_advertisement(&prefix);
                    let router = link_local(if bytes.flag() { number } else { 1 });
                    let Some(interface) = self.index("up") else { return };
                    self.give(Input::Icmpv6(received(interface, router, advertisement.encode())));
                }
            }
        }
    }

    /// The subnets of links by what they are told, with a valid lifetime.
    fn subnets(&self) -> Vec<(String, ipnet::Ipv6Net)> {
        let status = self.node.core.status(self.now);
        let advertised = status.downlinks.into_iter().flat_map(|(name, link)| {
            let live = link.advertised.into_iter().filter(|prefix| prefix.valid > 0);
            live.map(move |prefix| (name.clone(), prefix.prefix))
        });
        advertised.collect()
    }
}
