//! What is above the agent: routers that advertise this and that, and a server for each uplink
//! that answers well, badly or not at all.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use renumberd::time::Lifetime;
use renumberd::wire::dhcpv6::{Message, MessageType, TransactionId};
use renumberd::wire::dhcpv6_option::{
    Dhcpv6Option, Duid, IaAddress, IaNa, IaPd, IaPrefix, Status, StatusCode,
};
use renumberd::wire::ndp::RouterAdvertisement;
use renumberd::wire::ndp_option::{NdpOption, PrefixInformation, RouteInformation};

use super::bytes::Bytes;

/// Routers on any link; the first two have link-local addresses of ours on other links.
pub const ROUTERS: [Ipv6Addr; 4] =
    [link_local(1), link_local(2), link_local(0xaa), link_local(0xbb)];

pub const fn link_local(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last)
}

pub fn net(text: &str) -> Ipv6Net {
    text.parse().unwrap()
}

/// Prefixes that routers advertise: good ones, those that are ours, and impossible ones.
const ADVERTISED: [&str; 16] = [
    "2001:db8:a:1::/64",
    "2001:db8:a:2::/64",
    "2001:db8:b:1::/64",
    "3fff:0:0:1::/64",
    "2001:db8:1:1::/64",
    "2001:db8:1::/56",
    "2001:db8:1:ff00::/64",
    "fd00:1:0:1::/64",
    "2000::/3",
    "::/0",
    "fe80::/64",
    "ff00::/8",
    "2001:db8:1:10::/60",
    "2001:db8:a:1::1/128",
    "fd00::/8",
    "2001:db8:2:1::/64",
];

/// Prefixes that servers delegate.
pub const DELEGATED: [&str; 10] = [
    "2001:db8:1::/56",
    "2001:db8:1:ff00::/56",
    "2001:db8:2::/56",
    "2001:db8:2::/60",
    "2001:db8::/32",
    "3fff:1::/48",
    "2001:db8:1:1::/64",
    "2000::/3",
    "fd00:1::/48",
    "::/0",
];

/// Those that can be used at any time, by number; the others are too short or somebody's.
const USABLE: [usize; 4] = [0, 1, 2, 5];

const LIFETIMES: [u32; 12] = [1800, 3600, 7200, 0, 1, 2, 30, 7201, 90, 600, u32::MAX, u32::MAX - 1];

fn lifetime(bytes: &mut Bytes<'_>) -> Lifetime {
    Lifetime::from_wire(bytes.pick(&LIFETIMES))
}

/// An advertisement of a router that works.
pub fn good_advertisement(prefix: &str) -> RouterAdvertisement {
    RouterAdvertisement {
        router_lifetime: 1800,
        options: vec![NdpOption::Prefix(PrefixInformation {
            prefix: net(prefix),
            on_link: true,
            autonomous: true,
            delegation_preferred: false,
            valid: Lifetime::Finite(7200),
            preferred: Lifetime::Finite(3600),
        })],
        ..RouterAdvertisement::default()
    }
}

/// Any advertisement.
pub fn any_advertisement(bytes: &mut Bytes<'_>) -> RouterAdvertisement {
    let flags = bytes.octet();
    let options = (0..bytes.below(5)).map(|_| any_option(bytes)).collect();
    RouterAdvertisement {
        router_lifetime: bytes.pick(&[1800, 0, 1, 9000, 30, u16::MAX]),
        managed: flags & 1 != 0,
        other: flags & 2 != 0,
        hop_limit: if flags & 4 != 0 { flags } else { 0 },
        options,
        ..RouterAdvertisement::default()
    }
}

fn any_option(bytes: &mut Bytes<'_>) -> NdpOption {
    match bytes.below(12) {
        0 => NdpOption::Route(RouteInformation {
            prefix: net(bytes.pick(&ADVERTISED)),
            preference: bytes
                .pick(&[Default::default(), renumberd::wire::ndp_option::Preference::High]),
            lifetime: lifetime(bytes),
        }),
        1 => NdpOption::Rdnss {
            lifetime: lifetime(bytes),
            servers: vec![bytes.pick(&ROUTERS), net(bytes.pick(&ADVERTISED)).network()],
        },
        2 => NdpOption::Mtu(bytes.pick(&[1500, 0, 1280, 1279, u32::MAX])),
        3 => NdpOption::Dnssl { lifetime: lifetime(bytes), names: vec!["example.org".to_owned()] },
        _ => {
            let flags = bytes.octet();
            NdpOption::Prefix(PrefixInformation {
                prefix: net(bytes.pick(&ADVERTISED)),
                on_link: flags & 1 == 0,
                autonomous: flags & 2 == 0,
                delegation_preferred: flags & 4 != 0,
                valid: lifetime(bytes),
                preferred: lifetime(bytes),
            })
        }
    }
}

/// A server as it behaves until it is told to behave otherwise.
#[derive(Clone)]
pub struct Server {
    duid: Duid,
    prefix: Ipv6Net,
    /// Named beside it, with lifetimes of zero where the agent holds it.
    old: Option<Ipv6Net>,
    preferred: Lifetime,
    valid: Lifetime,
    t1: u32,
    t2: u32,
    silent: bool,
    /// Said of the whole message.
    status: Option<StatusCode>,
    /// Said of each IA_PD.
    ia_status: Option<StatusCode>,
    /// IA_PDs with a status have their prefixes all the same.
    contradicts: bool,
    wrong_transaction: bool,
    /// What it answers Renew and Rebind with.
    forgot: bool,
}

const STATUSES: [Option<StatusCode>; 8] = [
    None,
    Some(StatusCode::Success),
    Some(StatusCode::NoPrefixAvail),
    Some(StatusCode::NoBinding),
    Some(StatusCode::NoAddrsAvail),
    Some(StatusCode::UnspecFail),
    Some(StatusCode::NotOnLink),
    Some(StatusCode::Other(777)),
];

impl Server {
    pub fn new(number: u8) -> Self {
        Self {
            duid: Duid::from_uuid([0x10 + number; 16]),
            prefix: net(DELEGATED[usize::from(number) * 2]),
            old: None,
            preferred: Lifetime::Finite(3600),
            valid: Lifetime::Finite(7200),
            t1: 1800,
            t2: 2880,
            silent: false,
            status: None,
            ia_status: None,
            contradicts: false,
            wrong_transaction: false,
            forgot: false,
        }
    }

    pub fn prefix(&self) -> Ipv6Net {
        self.prefix
    }

    pub const fn is_silent(&self) -> bool {
        self.silent
    }

    pub const fn set_prefix(&mut self, prefix: Ipv6Net) {
        self.prefix = prefix;
    }

    /// What it gives to an IA_PD.
    pub fn ia_pd(&self, asked: &IaPd) -> IaPd {
        self.ia(asked, false)
    }

    /// It behaves otherwise from here on.
    pub fn behave(&mut self, bytes: &mut Bytes<'_>) {
        match bytes.below(8) {
            0 | 1 => {
                let to = net(bytes.pick(&DELEGATED));
                self.old = Some(std::mem::replace(&mut self.prefix, to));
            }
            2 => {
                self.valid = lifetime(bytes);
                self.preferred = lifetime(bytes);
            }
            3 => {
                self.t1 = bytes.pick(&[1800, 0, 1, u32::MAX, 5]);
                self.t2 = bytes.pick(&[2880, 0, 1, u32::MAX, 5]);
            }
            4 => self.silent = !self.silent,
            5 => {
                self.status = bytes.pick(&STATUSES);
                self.ia_status = bytes.pick(&STATUSES);
                self.contradicts = bytes.flag();
            }
            6 => self.wrong_transaction = !self.wrong_transaction,
            _ => self.forgot = true,
        }
    }

    /// It delegates another prefix in the place of the one before.
    pub fn renumber(&mut self, to: Ipv6Net) {
        self.old = Some(std::mem::replace(&mut self.prefix, to));
    }

    /// It behaves well from here on. It goes on delegating what it does, unless that cannot be
    /// used beside what the `other` server delegates: then it delegates what it did at first.
    pub fn mend(&mut self, number: u8, other: &Self) {
        let mended = Self::new(number);
        let usable = USABLE.iter().any(|usable| DELEGATED[*usable] == self.prefix.to_string());
        let near = |a: Ipv6Net, b: Ipv6Net| a.contains(&b) || b.contains(&a);
        let mut parts = self.parts();
        if usable && !parts.any(|part| other.parts().any(|of_other| near(part, of_other))) {
            *self = Self { old: self.old, prefix: self.prefix, ..mended };
        } else {
            let old = Some(self.prefix).filter(|old| *old != mended.prefix);
            *self = Self { old, ..mended };
        }
    }

    /// What it gives to the first IA_PDs, next to each other.
    fn parts(&self) -> impl Iterator<Item = Ipv6Net> + use<> {
        let prefix = self.prefix;
        (0..4).map(move |number| part(prefix, number))
    }

    pub fn answer(&mut self, message: &Message) -> Option<Message> {
        let other = message.server_id().is_some_and(|duid| *duid != self.duid);
        if self.silent || other {
            return None;
        }
        let rapid = message.has_rapid_commit();
        let kind = match message.kind {
            MessageType::Solicit if !rapid => MessageType::Advertise,
            MessageType::Solicit | MessageType::Request | MessageType::Renew => MessageType::Reply,
            MessageType::Rebind | MessageType::Release | MessageType::Decline => MessageType::Reply,
            MessageType::InformationRequest | MessageType::Confirm => MessageType::Reply,
            MessageType::Advertise | MessageType::Reply | MessageType::Reconfigure => return None,
        };
        let transaction_id =
            if self.wrong_transaction { TransactionId([0, 0, 1]) } else { message.transaction_id };
        let mut options = vec![Dhcpv6Option::ServerId(self.duid.clone())];
        options.extend(message.client_id().cloned().map(Dhcpv6Option::ClientId));
        if kind == MessageType::Reply && message.kind == MessageType::Solicit {
            options.push(Dhcpv6Option::RapidCommit);
        }
        let forgot =
            self.forgot && matches!(message.kind, MessageType::Renew | MessageType::Rebind);
        self.forgot &= forgot;
        options.extend(self.status.map(status));
        options.extend(message.ia_pds().map(|ia| Dhcpv6Option::IaPd(self.ia(ia, forgot))));
        options.extend(message.ia_nas().map(|ia| Dhcpv6Option::IaNa(self.ia_na(ia))));
        Some(Message { kind, transaction_id, options })
    }

    fn ia(&self, asked: &IaPd, forgot: bool) -> IaPd {
        let code = if forgot { Some(StatusCode::NoBinding) } else { self.ia_status };
        let status = code.map(|code| Status { code, text: String::new() });
        let refused = code.is_some_and(|code| code != StatusCode::Success);
        let mut prefixes = Vec::new();
        if !refused || self.contradicts {
            let given = |prefix, preferred, valid| IaPrefix {
                prefix,
                preferred,
                valid,
                exclude: None,
                status: None,
            };
            let held = |old: &Ipv6Net| asked.prefixes.iter().any(|held| held.prefix == *old);
            if let Some(old) = self.old.filter(held).filter(|old| *old != self.prefix) {
                prefixes.push(given(old, Lifetime::ZERO, Lifetime::ZERO));
            }
            let prefix = part(self.prefix, asked.iaid.0.saturating_sub(1) & 3);
            prefixes.push(given(prefix, self.preferred, self.valid));
        }
        let (t1, t2) = (Lifetime::from_wire(self.t1), Lifetime::from_wire(self.t2));
        IaPd { iaid: asked.iaid, t1, t2, prefixes, status }
    }

    fn ia_na(&self, asked: &IaNa) -> IaNa {
        let address = Ipv6Addr::from(u128::from(net("2001:db8:a:1::/64").network()) | 0x77);
        IaNa {
            iaid: asked.iaid,
            t1: Lifetime::from_wire(self.t1),
            t2: Lifetime::from_wire(self.t2),
            addresses: vec![IaAddress {
                address,
                preferred: self.preferred,
                valid: self.valid,
                status: None,
            }],
            status: None,
        }
    }
}

/// The `number`th of what begins with `prefix`: one for each IA_PD.
fn part(prefix: Ipv6Net, number: u32) -> Ipv6Net {
    let bits = 128 - u32::from(prefix.prefix_len());
    let offset = 1_u128.checked_shl(bits).unwrap_or(0);
    let address = u128::from(prefix.network());
    let address = address.wrapping_add(offset.wrapping_mul(u128::from(number)));
    Ipv6Net::new(Ipv6Addr::from(address), prefix.prefix_len()).unwrap().trunc()
}

fn status(code: StatusCode) -> Dhcpv6Option {
    Dhcpv6Option::Status(Status { code, text: String::new() })
}

/// A message from a server that the agent may not have asked for.
pub fn any_message(bytes: &mut Bytes<'_>, asked: Option<&Message>, client: &Duid) -> Message {
    let kind = MessageType::from_wire(bytes.octet() % 12).unwrap_or(MessageType::Reply);
    let transaction_id = match asked {
        Some(asked) if bytes.flag() => asked.transaction_id,
        Some(_) | None => TransactionId([bytes.octet(), 0, 0]),
    };
    let mut server = Server::new(bytes.octet() & 1);
    server.behave(bytes);
    server.behave(bytes);
    let flags = bytes.octet();
    let mut options = Vec::new();
    if flags & 1 == 0 {
        options.push(Dhcpv6Option::ServerId(server.duid.clone()));
    }
    if flags & 2 == 0 {
        options.push(Dhcpv6Option::ClientId(client.clone()));
    }
    if flags & 4 != 0 {
        options.push(Dhcpv6Option::Preference(flags));
    }
    if flags & 8 != 0 {
        options.push(Dhcpv6Option::ReconfigureMessage(5));
    }
    if flags & 16 != 0 {
        options.push(Dhcpv6Option::RapidCommit);
    }
    for ia in asked.into_iter().flat_map(Message::ia_pds) {
        options.push(Dhcpv6Option::IaPd(server.ia(ia, false)));
    }
    Message { kind, transaction_id, options }
}
