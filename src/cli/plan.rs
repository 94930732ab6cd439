//! `renumberd plan`: how a delegated prefix would be carved, as a table and as a picture.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use ipnet::Ipv6Net;

use crate::config::{Config, Source};
use crate::core::plan::{self, Plan, Whole};
use crate::wire::dhcpv6_option::Iaid;

/// Cells of the picture.
const CELLS: u128 = 64;
/// Letters of the downlinks in the picture; further ones share the last.
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz#";

/// Renders the carving of `prefix`, once for each delegation where `from` makes them differ.
pub fn render(config: &Config, prefix: Ipv6Net) -> String {
    let mut sources: Vec<Source> = config
        .uplinks
        .iter()
        .flat_map(|(name, uplink)| {
            let of = |iaid| Source { uplink: name.clone(), iaid: Some(iaid) };
            uplink.delegate.iter().map(move |asked| of(asked.iaid))
        })
        .collect();
    if config.downlinks.values().all(|downlink| downlink.from.is_none()) {
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
            occupied: Vec::new(),
        };
        if is_several {
            let gap = if text.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}delegated as {source}");
        }
        // Writing to a string cannot fail.
        let _ = write_plan(&mut text, config, &whole);
    }
    text
}

fn write_plan(text: &mut String, config: &Config, whole: &Whole) -> fmt::Result {
    let plan = plan::plan(config, whole);
    let heads = ["", "downlink", "place", "subnet", "address"].map(str::to_owned);
    let mut rows = vec![heads];
    let fed = config.downlinks.iter().filter(|(_, link)| plan::takes_from(link, whole));
    for (position, (name, downlink)) in fed.enumerate() {
        let place = downlink.subnet.map_or_else(|| "any".to_owned(), |place| place.to_string());
        let folds = downlink.subnet.is_some_and(|at| !plan::contains(whole.prefix, at));
        let (subnet, address) = match (plan.subnets.get(name), plan.without.get(name)) {
            (Some(subnet), _) => {
                let folded = if folds { ", folded" } else { "" };
                let address = format!("{}{folded}", downlink.address.in_prefix(*subnet));
                (subnet.to_string(), address)
            }
            (None, Some(why)) => ("none".to_owned(), why.to_string()),
            (None, None) => ("none".to_owned(), String::new()),
        };
        let letter = if plan.subnets.contains_key(name) { letter(position) } else { ' ' };
        rows.push([letter.to_string(), name.clone(), place, subnet, address]);
    }
    let widths: Vec<usize> = (0..4)
        .map(|column| rows.iter().filter_map(|row| Some(row.get(column)?.len())).max())
        .map(Option::unwrap_or_default)
        .collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths.iter().chain([&0])) {
            write!(line, "{cell:width$}  ")?;
        }
        writeln!(text, "{}", line.trim_end())?;
    }
    write_picture(text, config, whole, &plan)
}

fn letter(position: usize) -> char {
    LETTERS.get(position).or_else(|| LETTERS.last()).map_or('#', |letter| char::from(*letter))
}

/// One line that stands for the whole prefix.
fn write_picture(text: &mut String, config: &Config, whole: &Whole, plan: &Plan) -> fmt::Result {
    let prefix = whole.prefix;
    let Some(bits) = 64_u8.checked_sub(prefix.prefix_len()) else { return Ok(()) };
    let cells = CELLS.min(1_u128.checked_shl(u32::from(bits)).unwrap_or(CELLS));
    // A prefix of 2^bits /64s in 2^n cells.
    let cell_length = prefix.prefix_len() + u8::try_from(cells.trailing_zeros()).unwrap_or(0);
    let size = 1_u128 << (128 - u32::from(cell_length));
    let mut picture = String::new();
    for cell in 0..cells {
        let first = u128::from(prefix.network()) + cell * size;
        let last = first + (size - 1);
        let within: BTreeSet<char> = config
            .downlinks
            .iter()
            .filter(|(_, link)| plan::takes_from(link, whole))
            .enumerate()
            .filter(|(_, (name, _))| {
                plan.subnets.get(*name).is_some_and(|subnet| {
                    u128::from(subnet.network()) <= last && u128::from(subnet.broadcast()) >= first
                })
            })
            .map(|(position, _)| letter(position))
            .collect();
        let several = if within.len() > 1 { '+' } else { '.' };
        picture.push(within.first().copied().filter(|_| within.len() == 1).unwrap_or(several));
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
                    [downlink.far0]\nsubnet = \"0x1e/60\"\nautonomous = false\n";
        assert_eq!(
            lines(text, "2001:db8:1200::/56"),
            [
                "   downlink  place    subnet                 address",
                "a  far0      0x1e/60  2001:db8:1200:e0::/60  2001:db8:1200:e0::1, folded",
                "b  lan0      0x0/64   2001:db8:1200::/64     2001:db8:1200::1",
                "c  lan1      0x1/64   2001:db8:1200:1::/64   2001:db8:1200:1::99",
                "d  vtnet0    -1/64    2001:db8:1200:ff::/64  2001:db8:1200:ff::1",
                "",
                "[+.......................................................aaaa...d]",
                "2001:db8:1200::/56 from end to end: each cell a /62, + several, . free",
            ]
        );
    }

    #[test]
    fn what_goes_without_says_why() {
        let text = "[uplink.tun0]\n[downlink.lan0]\nsubnet = \"0/64\"\n[downlink.lan1]\n\
                    subnet = \"1/64\"\n[downlink.any0]\n[downlink.far0]\nsubnet = \"1/60\"\n\
                    autonomous = false\n";
        assert_eq!(
            lines(text, "2001:db8::/64"),
            [
                "   downlink  place   subnet         address",
                "   any0      any     none           there is no room left",
                "   far0      0x1/60  none           the delegated prefix is smaller than the place",
                "c  lan0      0x0/64  2001:db8::/64  2001:db8::1",
                "   lan1      0x1/64  none           its place, or where that folds to, is taken",
                "",
                "[c]",
                "2001:db8::/64 from end to end: each cell a /64, + several, . free",
            ]
        );
    }

    #[test]
    fn delegations_that_feed_different_links_are_told_apart() {
        let text = "[uplink.tun0]\ndelegate = [{ iaid = 1 }, { iaid = 2 }]\n\
                    [downlink.lan0]\nsubnet = \"0/64\"\nfrom = \"tun0/1\"\n\
                    [downlink.lan1]\nsubnet = \"0/64\"\nfrom = \"tun0/2\"\n";
        let text = rendered(text, "2001:db8::/63");
        assert!(text.contains("delegated as tun0/1\n"), "{text}");
        assert!(text.contains("delegated as tun0/2\n"), "{text}");
        assert_eq!(text.matches("2001:db8::/64").count(), 2, "{text}");
    }
}
