//! RA-TX-60 against a small model of a Linux host.

use super::*;

/// `max_addresses`
const MAX_ADDRESSES: usize = 16;
/// The two-hour rule (RFC 4862 §5.5.3 e).
const TWO_HOURS: Duration = Duration::from_secs(7200);

/// A host, with what it has of each prefix.
#[derive(Clone, Debug)]
struct Host {
    /// `use_tempaddr` 2: a temporary address beside each stable one.
    temporary: bool,
    /// `accept_ra_min_lft`, seconds.
    min_lifetime: u32,
    prefixes: BTreeMap<Ipv6Net, Addresses>,
    most: usize,
}

#[derive(Clone, Copy, Debug)]
struct Addresses {
    preferred_until: Instant,
    valid_until: Instant,
    count: usize,
}

impl Host {
    fn new(temporary: bool, min_lifetime: u32) -> Self {
        Self { temporary, min_lifetime, prefixes: BTreeMap::new(), most: 0 }
    }

    fn hear(&mut self, sent: &Sent) {
        self.prefixes.retain(|_, addresses| addresses.valid_until > sent.at);
        for (prefix, preferred, valid) in sent.prefixes() {
            if valid == 0 || valid >= self.min_lifetime {
                self.hear_prefix(sent.at, prefix, preferred, valid);
            }
        }
        self.most = self.most.max(self.prefixes.len());
    }

    fn hear_prefix(&mut self, now: Instant, prefix: Ipv6Net, preferred: u32, valid: u32) {
        let after = |seconds: u32| now + Duration::from_secs(seconds.into());
        if let Some(known) = self.prefixes.get_mut(&prefix) {
            known.preferred_until = after(preferred);
            if after(valid) > known.valid_until || after(valid) > now + TWO_HOURS {
                known.valid_until = after(valid);
            } else {
                known.valid_until = known.valid_until.min(now + TWO_HOURS);
            }
            return;
        }
        let link_local = 1;
        let room =
            MAX_ADDRESSES - link_local - self.prefixes.values().map(|a| a.count).sum::<usize>();
        let count = room.min(if self.temporary { 2 } else { 1 });
        if valid > 0 && count > 0 {
            let addresses =
                Addresses { preferred_until: after(preferred), valid_until: after(valid), count };
            self.prefixes.insert(prefix, addresses);
        }
    }

    fn preferred(&self, now: Instant) -> Vec<Ipv6Net> {
        let preferred = |a: &Addresses| a.preferred_until > now && a.valid_until > now;
        self.prefixes.iter().filter(|(_, a)| preferred(a)).map(|(prefix, _)| *prefix).collect()
    }
}

/// Redials every `period` seconds for `hours`. Checks that each host has exactly the right
/// prefix preferred five seconds after each change and just before the next. Returns the most
/// prefixes that any host held.
fn redial(shorten: bool, period: u64, hours: u64) -> Result<usize, String> {
    let mut world = World::new(config::Advertise { shorten, ..Default::default() });
    world.set(content(&["2001:db8:ffff::/64"]));
    world.run(4000);
    let mut hosts = [Host::new(false, 0), Host::new(true, 0), Host::new(false, 180)];
    let mut heard = 0;
    for n in 0..hours * 3600 / period {
        let prefix = net(&format!("2001:db8:{n:x}::/64"));
        world.set(content(&[&prefix.to_string()]));
        for wait in [5, period - 5] {
            world.run(wait);
            for host in &mut hosts {
                world.sent[heard..].iter().for_each(|sent| host.hear(sent));
                if host.preferred(world.now) != [prefix] {
                    return Err(format!("redial {n} every {period} s: {host:?}"));
                }
            }
            heard = world.sent.len();
        }
    }
    Ok(hosts.iter().map(|host| host.most).max().unwrap())
}

/// RA-TX-52, RA-TX-60: forty redials in an hour
#[test]
fn hosts_follow_forty_redials_in_an_hour() {
    let most = redial(true, 90, 1).unwrap();
    assert!(most <= 8, "{most}");
}

/// RA-TX-60: every 60 to 1200 s for four hours
#[test]
fn hosts_hold_at_most_eight_prefixes() {
    for period in [60, 75, 120, 180, 240, 300, 600, 900, 1200] {
        let most = redial(true, period, 4).unwrap();
        assert!(most <= 8, "{period}: {most}");
    }
}

/// That the model would see it.
#[test]
fn without_shortening_hosts_get_lost() {
    assert!(redial(false, 90, 1).is_err());
}
