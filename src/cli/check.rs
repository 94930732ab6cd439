//! `renumberd check`: says in words what a configuration that is right means.

use std::fmt::Write as _;
use std::path::Path;

use crate::config::{Config, Delegate, Downlink, Uplink};

/// Renders what `config`, read from `file`, makes the agent do.
pub fn render(file: &Path, config: &Config) -> String {
    let mut text = format!("{}: valid\n", file.display());
    // Writing to a string cannot fail.
    for (name, uplink) in &config.uplinks {
        let _ = writeln!(text, "  uplink {name}: {}", of_uplink(uplink));
    }
    for (name, downlink) in &config.downlinks {
        let _ = writeln!(text, "  downlink {name}: {}", of_downlink(downlink));
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

fn of_downlink(downlink: &Downlink) -> String {
    let place = downlink.subnet.map_or_else(|| "any /64".to_owned(), |place| place.to_string());
    let from = downlink.from.as_ref();
    let from = from.map_or_else(|| "each delegation".to_owned(), ToString::to_string);
    let quiet = if downlink.advertise.enabled { "" } else { ", sends no advertisements" };
    format!("{place} of {from}{quiet}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_told_in_words() {
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
             downlink wl0: any /64 of each delegation, sends no advertisements\n"
        );
    }
}
