//! `renumberd status hosts`: the hosts on the downlinks, and the prefix of each. It is read from
//! the kernel's neighbor cache: a host that has not sent anything for a while is not in it, and no
//! host is asked.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv6Addr;

use anyhow::Context as _;
use ipnet::Ipv6Net;
use nix::net::if_::if_nametoindex;

use crate::cli::page::{Page, Paint};
use crate::core::kernel::system::Neighbor;
use crate::core::status::Status;
use crate::net::IfIndex;
use crate::platform::Kernel;

/// The most hosts that are listed of a link.
const LISTED: usize = 512;

/// A link with its hosts.
pub(super) struct Link {
    pub(super) name: String,
    /// The prefixes that hosts are to use.
    pub(super) current: Vec<Ipv6Net>,
    pub(super) neighbors: Vec<Neighbor>,
}

/// The downlinks of the agent, in natural order.
pub(super) fn on_downlinks(status: &Status) -> anyhow::Result<Vec<Link>> {
    let (mut kernel, _events) = Kernel::open().context("the neighbor cache cannot be read")?;
    let links = super::in_natural_order(&status.downlinks).into_iter().map(|(name, downlink)| {
        let preferred = downlink.advertised.iter().filter(|one| one.preferred > 0);
        // A link that is not there has no hosts.
        let index = if_nametoindex(name.as_str()).ok();
        let neighbors = index.and_then(|index| kernel.neighbors(IfIndex(index)).ok());
        Link {
            name: name.clone(),
            current: preferred.map(|one| one.prefix).collect(),
            neighbors: neighbors.unwrap_or_default(),
        }
    });
    Ok(links.collect())
}

/// Renders them.
pub(super) fn render(links: &[Link], colour: bool) -> String {
    let mut page = Page::new(colour);
    for link in links {
        write(&mut page, link);
    }
    if links.is_empty() {
        page.line(0, Paint::Plain, "the agent has no downlinks");
    }
    page.into_text()
}

fn write(page: &mut Page, link: &Link) {
    let is_current =
        |address: &Ipv6Addr| link.current.iter().any(|prefix| prefix.contains(address));
    let mut hosts: BTreeMap<String, Vec<Ipv6Addr>> = BTreeMap::new();
    for neighbor in &link.neighbors {
        let addresses = hosts.entry(octets(&neighbor.link_layer)).or_default();
        addresses.extend(Some(neighbor.address).filter(|address| !address.is_unicast_link_local()));
    }
    let moved = hosts.values().filter(|addresses| addresses.iter().any(is_current)).count();
    page.title(&format!(
        "{}: {} hosts and routers known, {moved} of them with an address of a current prefix",
        link.name,
        hosts.len()
    ));
    for (link_layer, addresses) in hosts.iter_mut().take(LISTED) {
        addresses.sort_unstable();
        let text = |address: &Ipv6Addr| {
            format!("{address}{}", if is_current(address) { "" } else { " (not current)" })
        };
        let list: Vec<String> = addresses.iter().map(text).collect();
        let (paint, list) = match (list.is_empty(), addresses.iter().any(is_current)) {
            (true, _) => (Paint::Faint, "its link-local address alone".to_owned()),
            (false, true) => (Paint::Good, list.join(", ")),
            (false, false) => (Paint::Warn, list.join(", ")),
        };
        page.item(2, paint, link_layer, 21, &list);
    }
    if let Some(more) = hosts.len().checked_sub(LISTED).filter(|more| *more > 0) {
        page.line(2, Paint::Faint, &format!("and {more} more"));
    }
}

/// Octets in hexadecimal, with colons between them.
fn octets(octets: &[u8]) -> String {
    let mut text = String::new();
    for (position, octet) in octets.iter().enumerate() {
        let colon = if position == 0 { "" } else { ":" };
        // Writing to a string cannot fail.
        let _ = write!(text, "{colon}{octet:02x}");
    }
    text
}
