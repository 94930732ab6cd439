//! `renumberd survey IF`: what a provider does on a live line, without an agent and without changing
//! anything on this machine.

mod exchange;
mod mask;
mod oddities;
mod page;
mod report;
#[cfg(test)]
mod tests;

use std::io::IsTerminal as _;
use std::net::Ipv6Addr;
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use self::exchange::{Requested, Send, Settings, Survey};
use self::report::{Report, RequestedPrefixes, offered, status_of_ia};
use super::page::colours_are_wanted;
use super::say;
use crate::core::kernel::system::Link;
use crate::core::output::Packet;
use crate::daemon::{clock, machine_duid};
use crate::net::{ALL_DHCP_SERVERS, ALL_ROUTERS, DHCP_CLIENT_PORT};
use crate::platform::sockets::{Dhcpv6Socket, Icmpv6Socket};
use crate::platform::{self, Kernel};
use crate::wire::dhcpv6_option::{Duid, Iaid};
use crate::wire::ndp::RouterSolicitation;
use crate::wire::ndp_option::NdpOption;

/// Version of the form for programs.
const SCHEMA: u32 = 1;
/// An IA_PD that no client of this machine is likely to have, so that no other client's lease is
/// touched.
const IAID: u32 = 0x5372_7679;

/// What to look at, and how.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The interface towards the provider
    #[arg(value_name = "IF")]
    interface: String,
    /// How long to wait for answers
    #[arg(long, value_name = "DURATION", default_value = "12s", value_parser = humantime::parse_duration)]
    time: Duration,
    /// Request what is offered, as an IA_PD of its own, and release it at the end
    #[arg(long)]
    request: bool,
    /// With --request: do not release it; it ends by its lifetime
    #[arg(long, requires = "request")]
    keep: bool,
    /// Ask servers although another program has UDP port 546: meanwhile the answers to that one come
    /// here, and it has to ask again
    #[arg(long)]
    take_port: bool,
    /// Ask under this DUID [default: that of this machine]
    #[arg(long)]
    duid: Option<Duid>,
    /// Ask for this IA_PD
    #[arg(long, value_name = "NUMBER", default_value_t = IAID)]
    iaid: u32,
    /// Show other addresses, DUIDs and names in the place of those that were found: for a bug report
    #[arg(long)]
    mask: bool,
    /// For programs
    #[arg(long)]
    json: bool,
}

/// Surveys a link, and prints what was found.
///
/// # Errors
///
/// When the interface cannot be used, or a right is missing.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let root = "run as root, or with the capabilities NET_RAW and NET_BIND_SERVICE";
    let (mut kernel, _events) = Kernel::open().context(root)?;
    let system = kernel.dump(clock::now())?;
    let Some(link) = system.link(&options.interface) else {
        bail!("there is no interface {}", options.interface);
    };
    let mut own = system.addresses.values().filter(|one| one.interface == link.index);
    let source = own.find(|one| one.address.is_unicast_link_local() && !one.tentative);
    let Some(source) = source.map(|one| one.address) else {
        bail!("{} has no link-local address that can be used: is it up?", options.interface);
    };
    let icmpv6 = Icmpv6Socket::open().context(root)?;
    let (dhcpv6, not_asked) = client_socket(options);
    let settings = Settings {
        duid: options.duid.clone().map_or_else(machine_duid, Ok)?,
        iaid: Iaid(options.iaid),
        time: options.time,
        asks: dhcpv6.is_some(),
        requests: options.request,
        keeps: options.keep,
    };
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    let mut survey = Survey::new(settings, seed, clock::now());
    converse(&mut survey, link, source, (&icmpv6, dhcpv6.as_ref()))?;
    print(options, report_of(survey, options, not_asked))
}

/// UDP port 546, or why it is left alone.
fn client_socket(options: &Options) -> (Option<Dhcpv6Socket>, Option<String>) {
    let facts = platform::read_facts();
    let mut holders = facts.ports.iter().filter(|holder| holder.port == DHCP_CLIENT_PORT);
    if let Some(holder) = holders.next().filter(|_| !options.take_port) {
        let name = holder.name.as_deref().unwrap_or("another program");
        let text = format!(
            "{name} has UDP port 546, so no server was asked: stop it for the time of the survey; or \
             --take-port, and what servers answer to it comes here meanwhile, so that it has to ask \
             again"
        );
        return (None, Some(text));
    }
    match Dhcpv6Socket::open() {
        Ok(socket) => (Some(socket), None),
        Err(error) => (None, Some(format!("UDP port 546 cannot be had: {error}"))),
    }
}

/// Sends what is to be sent, and takes in what comes on the link, until there is enough.
fn converse(
    survey: &mut Survey,
    link: &Link,
    source: Ipv6Addr,
    (icmpv6, dhcpv6): (&Icmpv6Socket, Option<&Dhcpv6Socket>),
) -> anyhow::Result<()> {
    loop {
        let now = clock::now();
        for send in survey.handle_timeout(now) {
            let packet =
                |destination, octets| Packet { interface: link.index, source, destination, octets };
            match send {
                Send::RouterSolicitation => {
                    icmpv6.send(&packet(ALL_ROUTERS, solicitation(link)))?
                }
                Send::Dhcpv6(octets) => {
                    if let Some(dhcpv6) = dhcpv6 {
                        dhcpv6.send(&packet(ALL_DHCP_SERVERS, octets))?;
                    }
                }
            }
        }
        if survey.is_over(now) {
            return Ok(());
        }
        let wait = survey.deadline().at.since(now).max(Duration::from_millis(10));
        let mut watched = vec![PollFd::new(icmpv6.as_fd(), PollFlags::POLLIN)];
        watched.extend(dhcpv6.map(|dhcpv6| PollFd::new(dhcpv6.as_fd(), PollFlags::POLLIN)));
        let _ = poll(&mut watched, PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO));
        let now = clock::now();
        while let Some(received) = icmpv6.recv()? {
            if received.interface == link.index {
                survey.take_icmpv6(now, &received);
            }
        }
        while let Some(received) = dhcpv6.map(Dhcpv6Socket::recv).transpose()?.flatten() {
            if received.interface == link.index {
                survey.take_dhcpv6(now, &received);
            }
        }
    }
}

fn solicitation(link: &Link) -> Vec<u8> {
    let address = link.link_layer_address.clone().filter(|_| !link.point_to_point);
    let options = address.map(NdpOption::SourceLinkLayer).into_iter().collect();
    RouterSolicitation { options }.encode()
}

fn report_of(survey: Survey, options: &Options, not_asked: Option<String>) -> Report {
    let requested = survey.requested.map(|Requested { reply, is_released }| {
        let prefixes: Vec<_> = reply.iter().flat_map(|ia| &ia.prefixes).map(offered).collect();
        RequestedPrefixes {
            answered: reply.is_some(),
            status: reply.as_ref().and_then(status_of_ia),
            released: (!options.keep && !prefixes.is_empty()).then_some(is_released),
            prefixes,
        }
    });
    Report {
        schema: SCHEMA,
        interface: options.interface.clone(),
        routers: survey.routers,
        servers: survey.servers,
        not_asked,
        hint: survey.hint,
        requested,
        oddities: Vec::new(),
        masked: false,
    }
}

fn print(options: &Options, report: Report) -> anyhow::Result<()> {
    let mut report = if options.mask { mask::masked(report) } else { report };
    // Made of what is shown, so that they name nothing that is masked.
    report.oddities = oddities::oddities(&report);
    if options.json {
        say(&(serde_json::to_string_pretty(&report)? + "\n"));
    } else {
        let colour = std::io::stdout().is_terminal() && colours_are_wanted();
        say(&page::render(&report, colour));
    }
    Ok(())
}
