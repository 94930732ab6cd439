//! What leaves the agent: what follows from it in the world, and what must hold for it.

use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;
use renumberd::core::input::{Input, Received};
use renumberd::core::output::Packet;
use renumberd::time::{Lifetime, Until};
use renumberd::wire::dhcpv6::{Message, MessageType};
use renumberd::wire::dhcpv6_option::{Dhcpv6Option, Duid, IaPd, Iaid};
use renumberd::wire::dhcpv6_relay::{RelayKind, Relayed, innermost};
use renumberd::wire::ndp::RouterAdvertisement;
use renumberd::wire::ndp_option::NdpOption;

use super::upstream::{self, Server, net};
use super::{SERVER_ELSEWHERE, UPLINKS, World, own_duid, received, subordinate};

/// What is lost, a bit each.
pub const ROUTER_SOLICITATIONS: u8 = 1;
pub const QUESTIONS: u8 = 2;
pub const ECHO_REQUESTS: u8 = 4;

/// Lifetimes are whole seconds.
const SECOND: Duration = Duration::from_secs(1);

/// Prefixes with the ends of preferred and valid lifetime.
type Held = Vec<(Ipv6Net, Until, Until)>;

impl World {
    pub(super) fn leave_icmpv6(&mut self, packet: &Packet) {
        match packet.octets.first() {
            Some(&128) if self.loses & ECHO_REQUESTS == 0 => self.answer_echo(packet),
            Some(&134) => self.check_advertisement(packet),
            Some(&135) if self.node.hearing.neighbor_advertisements => {
                self.answer_neighbor_solicitation(packet);
            }
            _ => {}
        }
        let uplink =
            UPLINKS.iter().position(|(name, _)| self.index(name) == Some(packet.interface));
        if let Some(uplink) = uplink
            && packet.octets.first() == Some(&133)
            && self.loses & ROUTER_SOLICITATIONS == 0
        {
            let routers = self.advertised.iter().filter(|((of, router), _)| {
                *of == uplink
                    && (packet.destination.is_multicast() || packet.destination == *router)
            });
            let answers: Vec<(Ipv6Addr, Vec<u8>)> =
                routers.map(|((_, router), answer)| (*router, answer.encode())).collect();
            for (router, octets) in answers {
                let received = Received {
                    destination: packet.source,
                    ..received(packet.interface, router, octets)
                };
                self.coming.push((self.now + Duration::from_millis(2), Input::Icmpv6(received)));
            }
        }
    }

    fn answer_echo(&mut self, packet: &Packet) {
        if !self.node.hearing.echo_replies {
            return;
        }
        let mut octets = packet.octets.clone();
        octets[0] = 129;
        let received = Received {
            destination: packet.source,
            ..received(packet.interface, packet.destination, octets)
        };
        self.coming.push((self.now + Duration::from_millis(5), Input::Icmpv6(received)));
    }

    /// What is advertised on a link below is delegated to us, and deprecated where that is.
    fn check_advertisement(&self, packet: &Packet) {
        let sent = RouterAdvertisement::decode(&packet.octets).expect("own message decodes");
        let options = sent.options.iter().filter_map(|option| match option {
            NdpOption::Prefix(prefix) => Some(prefix),
            _ => None,
        });
        let options: Vec<_> = options.filter(|prefix| prefix.valid != Lifetime::ZERO).collect();
        if options.is_empty() {
            return;
        }
        let held = self.held();
        for option in options {
            self.check_given(&held, option.prefix, option.preferred, option.valid);
        }
    }

    /// The same for what is delegated on.
    fn check_answer(&self, sent: &Message) {
        if sent.kind != MessageType::Reply && sent.kind != MessageType::Advertise {
            return;
        }
        let held = self.held();
        for given in sent.ia_pds().flat_map(|ia| &ia.prefixes) {
            if given.valid != Lifetime::ZERO {
                self.check_given(&held, given.prefix, given.preferred, given.valid);
            }
        }
    }

    fn check_given(&self, held: &Held, given: Ipv6Net, preferred: Lifetime, valid: Lifetime) {
        assert!(preferred <= valid, "{given} is preferred for longer than valid");
        let mut around = held.iter().filter(|(prefix, ..)| prefix.contains(&given)).peekable();
        assert!(around.peek().is_some(), "{given} is given, and not held: {held:?}");
        let later = |until: Until| until.at().map_or(until, |at| Until::At(at + SECOND));
        let fits = |has: &(Ipv6Net, Until, Until)| {
            let within =
                |given: Lifetime, until: Until| Until::after(self.now, given) <= later(until);
            within(valid, has.2) && within(preferred, has.1)
        };
        assert!(
            around.any(fits),
            "{given} is given for {valid:?}, preferred for {preferred:?}, at {:?}: {held:?}",
            self.now
        );
    }

    /// What the agent holds, with the ends of preferred and valid lifetime.
    fn held(&self) -> Held {
        let status = self.node.core.status(self.now);
        let end = |seconds: Option<u32>| {
            let seconds = seconds.map(|seconds| Duration::from_secs(u64::from(seconds)));
            seconds.map_or(Until::Never, |left| Until::At(self.now + left))
        };
        let leases = status.uplinks.values().flat_map(|uplink| &uplink.leases);
        let leases = leases.filter(|lease| !lease.gone);
        let leases = leases.map(|has| (has.prefix, end(has.preferred), end(has.valid)));
        let statics = ["fd00:1::/48", "fd00:2::/48"].map(net).into_iter().map(|prefix| {
            let preferred = status.statics.values().flatten().any(|of| *of == prefix);
            let until = if preferred { Until::Never } else { Until::At(self.now) };
            (prefix, until, Until::Never)
        });
        leases.chain(statics).collect()
    }

    /// Requesting routers answer that are awake; the first always is.
    fn answer_neighbor_solicitation(&mut self, packet: &Packet) {
        let target = packet.octets.get(8..24).and_then(|octets| <[u8; 16]>::try_from(octets).ok());
        let target = Ipv6Addr::from(target.expect("own message is whole"));
        let mut awake = (0..subordinate::CLIENTS).filter(|number| self.asleep >> number & 1 == 0);
        if awake.any(|number| subordinate::address(number) == target) {
            let octets = [&[136, 0, 0, 0, 0x60, 0, 0, 0][..], &target.octets()].concat();
            let received = Received {
                destination: packet.source,
                ..received(packet.interface, target, octets)
            };
            self.coming.push((self.now + Duration::from_millis(1), Input::Icmpv6(received)));
        }
    }

    pub(super) fn leave_dhcpv6(&mut self, packet: &Packet) {
        let message = Message::decode(&packet.octets).expect("own message decodes");
        let uplink =
            UPLINKS.iter().position(|(name, _)| self.index(name) == Some(packet.interface));
        let Some(uplink) = uplink else { return };
        self.questions += 1;
        if self.loses & QUESTIONS == 0
            && let Some(answer) = self.servers[uplink].answer(&message)
        {
            let router = upstream::ROUTERS[uplink];
            let received = Received {
                port: 547,
                destination: packet.source,
                ..received(packet.interface, router, answer.encode())
            };
            self.coming.push((self.now + Duration::from_millis(3), Input::Dhcpv6(received)));
        }
        self.asked[uplink].push(message);
        if self.asked[uplink].len() > 4 {
            self.asked[uplink].remove(0);
        }
    }

    pub(super) fn leave_server(&mut self, packet: &Packet) {
        if packet.octets.first().copied().and_then(RelayKind::from_wire) == Some(RelayKind::Forward)
        {
            return self.answer_elsewhere(&packet.octets);
        }
        let inner = match packet.octets.first().copied().and_then(RelayKind::from_wire) {
            Some(_) => innermost(&packet.octets).expect("own message decodes"),
            None => packet.octets.clone(),
        };
        if let Ok(message) = Message::decode(&inner) {
            // What the server elsewhere gave is its business.
            if message.server_id() == Some(&own_duid()) {
                self.check_answer(&message);
                self.ledger.answered(self.now, packet.destination, &message);
            }
        }
    }

    /// The server elsewhere gives each requesting router a prefix of its own.
    fn answer_elsewhere(&mut self, octets: &[u8]) {
        // What clients send is passed on unread.
        let Ok(relayed) = Relayed::decode(octets) else { return };
        let Ok(asked) = Message::decode(&relayed.octets) else { return };
        let Some(duid) = asked.client_id() else { return };
        let number = duid.octets().last().copied().unwrap_or(0);
        let prefix = net(&format!("3fff:2:0:{number:x}::/64"));
        let mut options = vec![
            Dhcpv6Option::ClientId(duid.clone()),
            Dhcpv6Option::ServerId(Duid::from_uuid([0x77; 16])),
        ];
        for ia in asked.ia_pds() {
            let mut good = Server::new(0);
            good.set_prefix(prefix);
            let first = IaPd { iaid: Iaid(1), ..ia.clone() };
            options.push(Dhcpv6Option::IaPd(IaPd { iaid: ia.iaid, ..good.ia_pd(&first) }));
        }
        let kind = MessageType::Reply;
        let answer = Message { kind, transaction_id: asked.transaction_id, options };
        let Some(interface) = self.index("up") else { return };
        let received = Received {
            port: 547,
            ..received(interface, SERVER_ELSEWHERE, relayed.wrap(&answer.encode()))
        };
        self.coming.push((self.now + Duration::from_millis(4), Input::Server(received)));
    }
}
