//! `renumberd plan`: how a delegated prefix would be carved, as a table and as a picture.

use std::fmt::{self, Write as _};

use comfy_table::{Table, presets};
use ipnet::Ipv6Net;

use crate::config::{Claim, Claimant, Config, Source};
use crate::core::plan::{self, Whole};
use crate::wire::dhcpv6_option::Iaid;

/// Cells of the picture.
const CELLS: u128 = 64;
/// Letters of the parts in the picture; further ones share the last.
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz#";

/// Renders the carving of `prefix`, once for each source where `from` makes them differ.
pub fn render(config: &Config, prefix: Ipv6Net) -> String {
    let delegated = config.uplinks.iter().flat_map(|(name, uplink)| {
        let asked = uplink.delegate.iter();
        asked.map(move |asked| Source { uplink: name.clone(), iaid: Some(asked.iaid) })
    });
    let fixed = config.statics.keys().map(|name| Source { uplink: name.clone(), iaid: None });
    let mut sources: Vec<Source> = delegated.chain(fixed).collect();
    if config.claims().all(|claim| claim.from.is_none()) {
        sources.truncate(1);
    }
    if sources.is_empty() {
        sources.push(Source { uplink: String::new(), iaid: None });
    }
    let is_several = sources.len() > 1;
    let mut text = String::new();
    for source in sources {
        let whole = Whole {
            uplink: source.uplink.clone(),
            iaid: source.iaid.unwrap_or(Iaid(1)),
            prefix,
            exclude: None,
        };
        if is_several {
            let gap = if text.is_empty() { "" } else { "\n" };
            let kind = if source.iaid.is_some() { "delegated as" } else { "static" };
            let _ = writeln!(text, "{gap}{kind} {source}");
        }
        // Writing to a string cannot fail.
        let _ = write_plan(&mut text, config, &whole);
    }
    text
}

fn write_plan(text: &mut String, config: &Config, whole: &Whole) -> fmt::Result {
    let plan = plan::plan(config, whole);
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "",
        "for",
        "place",
        "prefix",
        "address or router",
    ]);
    let mut parts = Vec::new();
    let fed = config.claims().filter(|claim| plan::takes_from(claim.from, whole));
    for (position, claim) in fed.enumerate() {
        let automatic = || format!("any /{}", claim.length);
        let place = claim.place.map_or_else(automatic, |place| place.to_string());
        let folds = claim.place.is_some_and(|at| !plan::contains(whole.prefix, at));
        let (mark, prefix, last) = if let Some(part) = plan.part(&claim) {
            parts.push((letter(position), part));
            let folded = if folds { ", folded" } else { "" };
            (
                letter(position),
                part.to_string(),
                format!("{}{folded}", use_of(config, &claim, part)),
            )
        } else {
            let why = plan.without.get(claim.name).map(ToString::to_string);
            (' ', "none".to_owned(), why.unwrap_or_default())
        };
        let who = format!("{} {}", claim.claimant, claim.name);
        table.add_row([mark.to_string(), who, place, prefix, last]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    writeln!(text, "{}", table.trim_fmt())?;
    write_picture(text, whole.prefix, &parts)
}

/// What becomes of the part that a claim gets: this router's address, or the router that gets it.
fn use_of(config: &Config, claim: &Claim<'_>, part: Ipv6Net) -> String {
    let text = match claim.claimant {
        Claimant::Downlink => {
            let downlink = config.downlinks.get(claim.name);
            downlink.map(|downlink| downlink.address.in_prefix(part).to_string())
        }
        Claimant::Delegation => config.delegations.get(claim.name).map(|delegation| {
            let via = delegation.next_hop.map(|hop| format!(" via {hop}"));
            format!("to {}{}", super::shortened(&delegation.peer), via.unwrap_or_default())
        }),
        Claimant::Pool => config
            .pools
            .get(claim.name)
            .map(|pool| format!("a /{} to each router on {}", pool.length, pool.downlink)),
    };
    text.unwrap_or_default()
}

fn letter(position: usize) -> char {
    LETTERS.get(position).or_else(|| LETTERS.last()).map_or('#', |letter| char::from(*letter))
}

/// One line that stands for the whole prefix.
fn write_picture(text: &mut String, prefix: Ipv6Net, parts: &[(char, Ipv6Net)]) -> fmt::Result {
    let Some(bits) = 64_u8.checked_sub(prefix.prefix_len()) else { return Ok(()) };
    let cells = CELLS.min(1_u128.checked_shl(u32::from(bits)).unwrap_or(CELLS));
    // A prefix of 2^bits /64s in 2^n cells.
    let cell_length = prefix.prefix_len() + u8::try_from(cells.trailing_zeros()).unwrap_or(0);
    let size = 1_u128 << (128 - u32::from(cell_length));
    let mut picture = String::new();
    for cell in 0..cells {
        let first = u128::from(prefix.network()) + cell * size;
        let last = first + (size - 1);
        let mut within = parts.iter().filter(|(_, part)| {
            u128::from(part.network()) <= last && u128::from(part.broadcast()) >= first
        });
        picture.push(match (within.next(), within.next()) {
            (None, _) => '.',
            (Some((letter, _)), None) => *letter,
            (Some(_), Some(_)) => '+',
        });
    }
    writeln!(text, "\n[{picture}]")?;
    writeln!(text, "{prefix} from end to end: each cell a /{cell_length}, + several, . free")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, prefix: &str) -> Vec<String> {
        rendered(text, prefix).lines().map(str::to_owned).collect()
    }

    fn rendered(text: &str, prefix: &str) -> String {
        render(&crate::config::file::parse("", text).unwrap(), prefix.parse().unwrap())
    }

    #[test]
    fn the_carving_is_a_table_and_a_picture() {
        let text = "[uplink.tun0]\n[downlink.lan0]\nsubnet = \"0/64\"\n[downlink.lan1]\n\
                    subnet = \"1/64\"\naddress = \"::99\"\n[downlink.vtnet0]\nsubnet = \"-1/64\"\n\
                    [downlink.far0]\nsubnet = \"0x1e/60\"\nautonomous = false\n\
                    [delegation.wlanr]\ndownlink = \"lan0\"\nprefix = \"0x1/62\"\n\
                    duid = \"00:04:a4:79:42:d1:2e:ab:81:de:33:7a:00:e0:a1:f4:42:51\"\n\
                    [delegation.attic]\ndownlink = \"lan0\"\nlength = 60\nnext-hop = \"fe80::2\"\n\
                    link-layer = \"02:00:5e:00:53:01\"\n\
                    [pool.guests]\ndownlink = \"lan1\"\nprefix = \"0x8/61\"\n";
        assert_eq!(
            lines(text, "2001:db8:1200::/56"),
            [
                "   for               place    prefix                 address or router",
                "a  downlink far0     0x1e/60  2001:db8:1200:e0::/60  2001:db8:1200:e0::1, folded",
                "b  downlink lan0     0x0/64   2001:db8:1200::/64     2001:db8:1200::1",
                "c  downlink lan1     0x1/64   2001:db8:1200:1::/64   2001:db8:1200:1::99",
                "d  downlink vtnet0   -1/64    2001:db8:1200:ff::/64  2001:db8:1200:ff::1",
                "e  delegation attic  any /60  2001:db8:1200:c0::/60  to 02:00:5e:00:53:01 via fe80::2",
                "f  delegation wlanr  0x1/62   2001:db8:1200:4::/62   to 00:04:a4:79…f4:42:51",
                "g  pool guests       0x8/61   2001:db8:1200:40::/61  a /64 to each router on lan1",
                "",
                "[+f..............gg..............................eeee....aaaa...d]",
                "2001:db8:1200::/56 from end to end: each cell a /62, + several, . free",
            ]
        );
    }

    #[test]
    fn claims_without_a_part_have_a_reason() {
        let text = "[uplink.tun0]\n[downlink.lan0]\nsubnet = \"0/64\"\n[downlink.lan1]\n\
                    subnet = \"1/64\"\n[downlink.any0]\n[downlink.far0]\nsubnet = \"1/60\"\n\
                    autonomous = false\n[delegation.wlanr]\ndownlink = \"lan0\"\nlength = 64\n\
                    duid = \"00:01:02\"\n[pool.guests]\ndownlink = \"lan0\"\n";
        assert_eq!(
            lines(text, "2001:db8::/64"),
            [
                "   for               place    prefix         address or router",
                "   downlink any0     any /64  none           there is no room left",
                "   downlink far0     0x1/60   none           the delegated prefix is smaller than the place",
                "c  downlink lan0     0x0/64   2001:db8::/64  2001:db8::1",
                "   downlink lan1     0x1/64   none           its place, or where that folds to, is taken",
                "   delegation wlanr  any /64  none           there is no room left",
                "   pool guests       any /60  none           the delegated prefix is smaller than the place",
                "",
                "[c]",
                "2001:db8::/64 from end to end: each cell a /64, + several, . free",
            ]
        );
    }

    #[test]
    fn delegations_that_feed_different_links_are_distinguished() {
        let text = "[uplink.tun0]\ndelegate = [{ iaid = 1 }, { iaid = 2 }]\n\
                    [downlink.lan0]\nsubnet = \"0/64\"\nfrom = \"tun0/1\"\n\
                    [downlink.lan1]\nsubnet = \"0/64\"\nfrom = \"tun0/2\"\n\
                    [static.site]\n[delegation.r]\ndownlink = \"lan0\"\nduid = \"00:01:02\"\n\
                    from = \"site\"\n";
        let text = rendered(text, "2001:db8::/63");
        assert!(text.contains("delegated as tun0/1\n"), "{text}");
        assert!(text.contains("delegated as tun0/2\n"), "{text}");
        assert_eq!(text.matches("2001:db8::/64").count(), 2, "{text}");
        let (_, fixed) = text.split_once("\nstatic site\n").unwrap();
        assert!(fixed.contains("delegation r") && !fixed.contains("downlink"), "{fixed}");
    }
}
