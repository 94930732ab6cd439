//! A delegating router's server, as simple as it can be: one prefix, one requesting router.

use std::time::Duration;

use ipnet::Ipv6Net;
use renumberd::time::{Instant, Lifetime};
use renumberd::wire::dhcpv6::{Message, MessageType};
use renumberd::wire::dhcpv6_option::{Dhcpv6Option, Duid, IaPd, IaPrefix, Status, StatusCode};

pub struct Server {
    pub duid: Duid,
    /// What it delegates.
    pub prefix: Ipv6Net,
    /// Before that; it is told to be over.
    pub old: Option<Ipv6Net>,
    pub preferred: u32,
    pub valid: u32,
    pub t1: u32,
    pub delay: Duration,
    /// Answers nothing of these.
    pub deaf_to: Vec<MessageType>,
    /// Renew and Rebind are answered with NoBinding until the next Request.
    pub forgot: bool,
    /// Answers whatever it is asked with the old prefix until then.
    pub slow_until: Option<(Instant, Ipv6Net)>,
    /// Further options, sent as they are where they are asked for.
    pub options: Vec<(u16, Vec<u8>)>,
    /// Gives nothing, and says so.
    pub refuses: Option<Status>,
}

impl Server {
    pub fn new(prefix: Ipv6Net) -> Self {
        Self {
            duid: Duid::from_uuid([0x11; 16]),
            prefix,
            old: None,
            preferred: 3600,
            valid: 7200,
            t1: 1800,
            delay: Duration::from_micros(300),
            deaf_to: Vec::new(),
            forgot: false,
            slow_until: None,
            options: Vec::new(),
            refuses: None,
        }
    }

    /// From now on another prefix; the old one is told to be over.
    pub fn renumber(&mut self, prefix: &str) {
        self.old = Some(std::mem::replace(&mut self.prefix, prefix.parse().unwrap()));
    }

    pub fn answer(&mut self, now: Instant, message: &Message) -> Option<(Duration, Message)> {
        if self.deaf_to.contains(&message.kind) {
            return None;
        }
        let named = message.options.iter().find_map(|option| match option {
            Dhcpv6Option::ServerId(duid) => Some(duid),
            _ => None,
        });
        if named.is_some_and(|duid| *duid != self.duid) {
            return None;
        }
        let rapid = message.options.contains(&Dhcpv6Option::RapidCommit);
        let kind = match message.kind {
            MessageType::Solicit if !rapid => MessageType::Advertise,
            MessageType::Solicit
            | MessageType::Request
            | MessageType::Renew
            | MessageType::Rebind
            | MessageType::Release => MessageType::Reply,
            _ => return None,
        };
        let mut options = vec![Dhcpv6Option::ServerId(self.duid.clone())];
        if message.kind == MessageType::Solicit && rapid {
            options.push(Dhcpv6Option::RapidCommit);
        }
        let forgot =
            self.forgot && matches!(message.kind, MessageType::Renew | MessageType::Rebind);
        if message.kind == MessageType::Request || message.kind == MessageType::Solicit {
            self.forgot = false;
        }
        for option in &message.options {
            match option {
                Dhcpv6Option::ClientId(duid) => options.push(Dhcpv6Option::ClientId(duid.clone())),
                Dhcpv6Option::IaPd(ia) => {
                    options.push(Dhcpv6Option::IaPd(self.ia(now, ia, forgot)))
                }
                Dhcpv6Option::OptionRequest(codes) => {
                    let asked = self.options.iter().filter(|(code, _)| codes.contains(code));
                    options.extend(
                        asked.cloned().map(|(code, body)| Dhcpv6Option::Unknown { code, body }),
                    );
                }
                _ => {}
            }
        }
        let transaction_id = message.transaction_id;
        Some((self.delay, Message { kind, transaction_id, options }))
    }

    fn ia(&self, now: Instant, asked: &IaPd, forgot: bool) -> IaPd {
        let mut ia = IaPd {
            iaid: asked.iaid,
            t1: Lifetime::Finite(self.t1),
            t2: Lifetime::Finite(self.t1 + self.t1 / 2),
            prefixes: Vec::new(),
            status: None,
        };
        if let Some(status) = &self.refuses {
            ia.status = Some(status.clone());
            return ia;
        }
        if forgot {
            ia.status = Some(Status { code: StatusCode::NoBinding, text: String::new() });
            return ia;
        }
        let prefix = |prefix, preferred, valid| IaPrefix {
            prefix,
            preferred: Lifetime::Finite(preferred),
            valid: Lifetime::Finite(valid),
            exclude: None,
            status: None,
        };
        if let Some((until, old)) = self.slow_until
            && now < until
        {
            ia.prefixes.push(prefix(old, self.preferred, self.valid));
            return ia;
        }
        let held: Vec<Ipv6Net> = asked.prefixes.iter().map(|held| held.prefix).collect();
        if let Some(old) = self.old.filter(|old| held.contains(old) && *old != self.prefix) {
            ia.prefixes.push(prefix(old, 0, 0));
        }
        ia.prefixes.push(prefix(self.prefix, self.preferred, self.valid));
        ia
    }
}
