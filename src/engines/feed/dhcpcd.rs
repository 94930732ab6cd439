//! dhcpcd's hook: `reason`, `interface`, and variables with the present lease (`new_`) and the one
//! before (`old_`). Version 9 lists the prefixes of all IA_PDs under the last of them.

use ipnet::Ipv6Net;

use super::{Environment, domains, servers};
use crate::core::uplink::lease::{FedPrefix, Feed, FeedEvent, WithdrawnPrefix};
use crate::wire::dhcpv6_option::{Duid, Iaid};

pub(super) fn feed(environment: &Environment) -> Result<Option<Feed>, String> {
    let get = |name: &str| environment.get(name).map(String::as_str);
    let reason = get("reason").ok_or("reason is not set: this is for a hook of dhcpcd")?;
    let event = match reason {
        "BOUND6" | "RENEW6" | "REBIND6" | "REBOOT6" | "REPLY6" | "INFORM6" => FeedEvent::Bound,
        "EXPIRE6" | "RELEASE6" => FeedEvent::Ended,
        // STOP6 is among these: prefixes last until their lifetimes end, or each upgrade of dhcpcd
        // would be an outage.
        _ => return Ok(None),
    };
    let interface = get("interface").ok_or("interface is not set: this is for a hook of dhcpcd")?;
    let (new, old) = (prefixes(environment, "new"), prefixes(environment, "old"));
    let (prefixes, gone): (Vec<_>, Vec<_>) = match event {
        FeedEvent::Bound => new.into_iter().partition(|fed| fed.valid > 0),
        FeedEvent::Ended => (Vec::new(), new),
    };
    let kept = |old: &FedPrefix| prefixes.iter().any(|new| new.prefix == old.prefix);
    let withdrawn = gone.into_iter().chain(old).filter(|old| !kept(old));
    let mut withdrawn: Vec<WithdrawnPrefix> =
        withdrawn.map(|fed| WithdrawnPrefix { iaid: fed.iaid, prefix: fed.prefix }).collect();
    withdrawn.dedup();
    if event == FeedEvent::Bound && prefixes.is_empty() && withdrawn.is_empty() {
        return Ok(None);
    }
    Ok(Some(Feed {
        event,
        at: None,
        interface: interface.to_owned(),
        server: get("new_dhcp6_server_id").and_then(duid),
        prefixes,
        withdrawn,
        servers: servers(environment, "new_dhcp6_name_servers"),
        domains: domains(environment, "new_dhcp6_domain_search"),
    }))
}

/// The prefixes of all IA_PDs, in the order of the numbers of their variables.
fn prefixes(environment: &Environment, age: &str) -> Vec<FedPrefix> {
    let mut found = Vec::new();
    for association in 1.. {
        let prefix = format!("{age}_dhcp6_ia_pd{association}");
        let Some(iaid) = environment.get(&format!("{prefix}_iaid")) else { break };
        let Ok(iaid) = u32::from_str_radix(iaid.trim(), 16) else { continue };
        for number in 1.. {
            let name = format!("{prefix}_prefix{number}");
            if !environment.contains_key(&name) || found.len() >= Feed::PREFIXES {
                break;
            }
            found.extend(one(environment, &name, Iaid(iaid)));
        }
    }
    found
}

fn one(environment: &Environment, name: &str, iaid: Iaid) -> Option<FedPrefix> {
    let number = |what: &str| environment.get(&format!("{name}_{what}"))?.trim().parse().ok();
    let length = environment.get(&format!("{name}_length"))?.trim().parse().ok()?;
    let prefix = Ipv6Net::new(environment.get(name)?.trim().parse().ok()?, length).ok()?.trunc();
    let valid: u32 = number("vltime").unwrap_or_default();
    let preferred: u32 = number("pltime").unwrap_or_default();
    let preferred = preferred.min(valid);
    (1..=64).contains(&length).then_some(FedPrefix {
        iaid,
        prefix,
        exclude: None,
        preferred,
        valid,
    })
}

/// A DUID as dhcpcd writes it: hexadecimal digits without colons.
fn duid(text: &str) -> Option<Duid> {
    let pairs: Vec<&str> = (0..text.len())
        .step_by(2)
        .map(|at| text.get(at..at.saturating_add(2)))
        .collect::<Option<_>>()?;
    pairs.join(":").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(text: &str) -> Environment {
        let pairs = text.lines().filter_map(|line| line.trim().split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The environment of version 9.4.1 with two IA_PDs, 1 and 2.
    const BOUND: &str = "reason=BOUND6
        interface=tap0
        new_dhcp6_ia_pd1_iaid=00000002
        new_dhcp6_ia_pd1_prefix1=2001:db8:1200:6fb0::
        new_dhcp6_ia_pd1_prefix1_length=60
        new_dhcp6_ia_pd1_prefix1_pltime=591
        new_dhcp6_ia_pd1_prefix1_vltime=1191
        new_dhcp6_ia_pd1_prefix2=2001:db8:1200:6fe0::
        new_dhcp6_ia_pd1_prefix2_length=60
        new_dhcp6_ia_pd1_prefix2_pltime=4294967295
        new_dhcp6_ia_pd1_prefix2_vltime=4294967295
        new_dhcp6_name_servers=2001:db8::53 :: nonsense
        new_dhcp6_domain_search=example.org ../etc
        new_dhcp6_server_id=0004cd31b8d80676848f862e5185af9bc2c1";

    #[test]
    fn bound_prefixes_are_read_and_senseless_words_left_out() {
        let feed = feed(&environment(BOUND)).unwrap().unwrap();
        assert_eq!((feed.event, feed.interface.as_str()), (FeedEvent::Bound, "tap0"));
        let [first, second] = feed.prefixes.as_slice() else { panic!("{feed:?}") };
        assert_eq!((first.iaid, first.preferred, first.valid), (Iaid(2), 591, 1191));
        assert_eq!(first.prefix.to_string(), "2001:db8:1200:6fb0::/60");
        assert_eq!(second.valid, u32::MAX);
        assert_eq!(feed.servers, ["2001:db8::53".parse::<std::net::Ipv6Addr>().unwrap()]);
        assert_eq!(feed.domains, ["example.org"]);
        assert!(feed.server.is_some());
        assert_eq!(feed.check(), Ok(()));
    }

    #[test]
    fn earlier_prefixes_that_are_held_no_more_are_withdrawn() {
        let renewed = format!(
            "{}\nold_dhcp6_ia_pd1_iaid=00000002
            old_dhcp6_ia_pd1_prefix1=2001:db8:1200:6fb0::
            old_dhcp6_ia_pd1_prefix1_length=60
            old_dhcp6_ia_pd1_prefix2=2001:db8:5600:10::
            old_dhcp6_ia_pd1_prefix2_length=60",
            BOUND.replace("BOUND6", "RENEW6")
        );
        let renewed = feed(&environment(&renewed)).unwrap().unwrap();
        let withdrawn: Vec<String> =
            renewed.withdrawn.iter().map(|gone| gone.prefix.to_string()).collect();
        assert_eq!(withdrawn, ["2001:db8:5600:10::/60"]);
        let expired = BOUND.replace("BOUND6", "EXPIRE6").replace("new_", "old_");
        let expired = feed(&environment(&expired)).unwrap().unwrap();
        assert_eq!((expired.event, expired.prefixes.len()), (FeedEvent::Ended, 0));
        assert_eq!(expired.withdrawn.len(), 2);
    }

    #[test]
    fn events_that_are_not_about_a_lease_say_nothing() {
        for reason in ["PREINIT", "CARRIER", "ROUTERADVERT", "STOP6", "DELEGATED6", "BOUND"] {
            let text = BOUND.replace("BOUND6", reason);
            assert_eq!(feed(&environment(&text)), Ok(None), "{reason}");
        }
        assert!(feed(&environment("interface=tap0")).is_err());
        assert!(feed(&environment("reason=BOUND6")).is_err());
    }
}
