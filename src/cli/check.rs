//! `renumberd check`: says in words what a configuration that is right means.

use std::fmt::Write as _;
use std::path::Path;

use crate::config::{
    Config, Delegate, Delegation, Downlink, Layout, Place, Pool, Source, Static, Uplink,
};

/// Renders what `config`, read from `file`, makes the agent do.
pub fn render(file: &Path, config: &Config) -> String {
    let mut text = format!("{}: valid\n", file.display());
    // Writing to a string cannot fail.
    for (name, uplink) in &config.uplinks {
        let _ = writeln!(text, "  uplink {name}: {}", of_uplink(uplink));
    }
    for (name, fixed) in &config.statics {
        let _ = writeln!(text, "  static {name}: {}", of_static(fixed));
    }
    for (name, downlink) in &config.downlinks {
        let _ = writeln!(text, "  downlink {name}: {}", of_downlink(downlink));
    }
    for (name, delegation) in &config.delegations {
        let _ = writeln!(text, "  delegation {name}: {}", of_delegation(delegation));
    }
    for (name, pool) in &config.pools {
        let _ = writeln!(text, "  pool {name}: {}", of_pool(pool));
    }
    for (job, interface, engine) in config.engines_in_use() {
        let found = config.engine(engine);
        let rights = match &found {
            Some(engine) if engine.needs_root() => ", for an agent that runs as root",
            Some(_) | None => "",
        };
        let program = found.map_or_else(|| engine.to_owned(), |found| found.program.to_string());
        let _ = writeln!(text, "  {job} on {interface}: {program}, not this program{rights}");
    }
    match config.layout {
        Layout::Scattered => {}
        Layout::Descending => {
            text.push_str("  automatic places: from the high end, the smallest first\n");
        }
    }
    text
}

fn of_uplink(uplink: &Uplink) -> String {
    let asked = uplink.delegate.iter().map(of_delegate).collect::<Vec<_>>().join(" and ");
    let asked = if asked.is_empty() { "no prefix".to_owned() } else { asked };
    let route = if uplink.default_route { "" } else { ", installs no default route" };
    format!("asks for {asked}{route}")
}

fn of_delegate(delegate: &Delegate) -> String {
    match delegate.length {
        Some(length) => format!("a /{length} (IAID {})", delegate.iaid),
        None => format!("a prefix (IAID {})", delegate.iaid),
    }
}

fn of_static(fixed: &Static) -> String {
    let prefix = fixed.prefix.map(|prefix| prefix.to_string());
    let prefix = prefix.unwrap_or_else(|| "a prefix that the control socket sets".to_owned());
    let until = fixed.valid.map(|valid| format!("for {}", humantime::format_duration(valid)));
    format!("{prefix}, {}", until.unwrap_or_else(|| "for ever".to_owned()))
}

fn of_downlink(downlink: &Downlink) -> String {
    let part = part(downlink.subnet, 64, downlink.from.as_ref());
    let quiet = if downlink.advertise.enabled { "" } else { ", sends no advertisements" };
    format!("{part}{quiet}")
}

fn of_delegation(delegation: &Delegation) -> String {
    let part = part(delegation.place, delegation.length, delegation.from.as_ref());
    let iaid = delegation.iaid.map(|iaid| format!(" (IAID {iaid})")).unwrap_or_default();
    let via = delegation.next_hop.map(|hop| format!(" via {hop}")).unwrap_or_default();
    let who = super::shortened(&delegation.peer);
    format!("{part} to {who}{iaid} on {}{via}", delegation.downlink)
}

fn of_pool(pool: &Pool) -> String {
    let part = part(pool.place, pool.size, pool.from.as_ref());
    let relayed = pool.link.map(|link| format!(", relayed from {link}")).unwrap_or_default();
    format!("{part}, a /{} to each router on {}{relayed}", pool.length, pool.downlink)
}

fn part(place: Option<Place>, length: u8, from: Option<&Source>) -> String {
    let place = place.map_or_else(|| format!("any /{length}"), |place| place.to_string());
    let from = from.map_or_else(|| "each prefix".to_owned(), ToString::to_string);
    format!("{place} of {from}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delegations_are_described_in_words() {
        let text = "layout = \"descending\"\n[static.site]\nprefix = \"2001:db8:1200::/48\"\n\
                    [static.later]\nvalid-lifetime = \"2h\"\n[downlink.lan0]\n\
                    [delegation.attic]\ndownlink = \"lan0\"\nlink-layer = \"02:00:5e:00:53:01\"\n\
                    length = 60\nnext-hop = \"fe80::2\"\nfrom = \"later\"\n\
                    [delegation.wlanr]\ndownlink = \"lan0\"\nprefix = \"0x1/62\"\niaid = 1\n\
                    duid = \"00:04:a4:79:42:d1:2e:ab:81:de:33:7a:00:e0:a1:f4:42:51\"\n\
                    [pool.guests]\ndownlink = \"lan0\"\n\
                    [pool.relayed]\ndownlink = \"lan0\"\nlink = \"fd00:1::/64\"\nsize = 56\n\
                    length = 60\n";
        let config = crate::config::file::parse("", text).unwrap();
        assert_eq!(
            render(Path::new("x"), &config),
            "x: valid\n  \
             static later: a prefix that the control socket sets, for 2h\n  \
             static site: 2001:db8:1200::/48, for ever\n  \
             downlink lan0: any /64 of each prefix\n  \
             delegation attic: any /60 of later to 02:00:5e:00:53:01 on lan0 via fe80::2\n  \
             delegation wlanr: 0x1/62 of each prefix to 00:04:a4:79…f4:42:51 (IAID 1) on lan0\n  \
             pool guests: any /60 of each prefix, a /64 to each router on lan0\n  \
             pool relayed: any /56 of each prefix, a /60 to each router on lan0, relayed from \
             fd00:1::/64\n  \
             automatic places: from the high end, the smallest first\n"
        );
    }

    #[test]
    fn a_configuration_is_described_in_words() {
        let text = "[uplink.tap0]\ndelegate = [{ iaid = 1, length = 60 }, { iaid = 2 }]\n\
                    [uplink.tun0]\ndelegate = []\ndefault-route = false\n\
                    [downlink.lan0]\nsubnet = \"-1/64\"\nfrom = \"tap0/2\"\n\
                    [downlink.wl0]\nadvertise = false\n";
        let config = crate::config::file::parse("", text).unwrap();
        assert_eq!(
            render(Path::new("/etc/renumberd.toml"), &config),
            "/etc/renumberd.toml: valid\n  \
             uplink tap0: asks for a /60 (IAID 1) and a prefix (IAID 2)\n  \
             uplink tun0: asks for no prefix, installs no default route\n  \
             downlink lan0: -1/64 of tap0/2\n  \
             downlink wl0: any /64 of each prefix, sends no advertisements\n"
        );
    }

    #[test]
    fn the_jobs_of_other_programs_are_described() {
        let text = "[uplink.tap0]\nrequester = \"modem\"\n[downlink.lan0]\nadvertiser = \"radvd\"\n\
                    [uplink.tun0]\nrequester = \"dhcpcd\"\n\
                    [engine.modem]\nkind = \"command\"\nrenew = [\"modem\"]\n";
        let config = crate::config::file::parse("a.toml", text).unwrap();
        let text = render(Path::new("a.toml"), &config);
        for line in [
            "requester on tap0: command, not this program\n",
            "requester on tun0: dhcpcd, not this program, for an agent that runs as root\n",
            "advertiser on lan0: radvd, not this program\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
