//! systemd-resolved, over its bus (org.freedesktop.resolve1).
//!
//! busctl makes the calls: it is part of every systemd. A bus client of our own would be the
//! largest of all dependencies, for two calls at each change.

use std::path::Path;

use nix::net::if_::if_nametoindex;

use super::entry::LIMIT;
use super::text::Resolver;
use crate::programs::command::{self, Failure};

/// AF_INET6 as the bus has it, which is that of Linux.
const INET6: &str = "10";

/// Hands over the resolver data of an interface.
///
/// # Errors
///
/// The fault and its remedy.
pub(super) async fn hand(resolver: &Resolver) -> Result<(), String> {
    let name = &resolver.interface;
    let index = if_nametoindex(name.as_str()).map_err(|_| {
        format!("{name} is not there yet: systemd-resolved is handed its data when it is")
    })?;
    call(&servers_of(index, resolver)).await?;
    call(&domains_of(index, resolver)).await
}

/// Withdraws the resolver data of an interface.
///
/// # Errors
///
/// The fault and its remedy.
pub(super) async fn withdraw(interface: &str) -> Result<(), String> {
    // resolved forgets the data of an interface that vanishes.
    let Ok(index) = if_nametoindex(interface) else { return Ok(()) };
    let nothing = Resolver { interface: interface.to_owned(), ..Resolver::default() };
    call(&servers_of(index, &nothing)).await?;
    call(&domains_of(index, &nothing)).await
}

/// The arguments of the call that sets the servers of a link.
fn servers_of(index: u32, resolver: &Resolver) -> Vec<String> {
    let (method, signature) = ("SetLinkDNS", "ia(iay)");
    let mut arguments = [method, signature].map(str::to_owned).to_vec();
    arguments.extend([index.to_string(), resolver.servers.len().to_string()]);
    for server in &resolver.servers {
        let octets = server.octets();
        arguments.extend([INET6.to_owned(), octets.len().to_string()]);
        arguments.extend(octets.iter().map(ToString::to_string));
    }
    arguments
}

/// The arguments of the call that sets the search domains of a link.
fn domains_of(index: u32, resolver: &Resolver) -> Vec<String> {
    let (method, signature) = ("SetLinkDomains", "ia(sb)");
    let mut arguments = [method, signature].map(str::to_owned).to_vec();
    arguments.extend([index.to_string(), resolver.search.len().to_string()]);
    // The domains are search domains, and not only routing domains of this link.
    let domains = resolver.search.iter().flat_map(|domain| [domain.clone(), "false".to_owned()]);
    arguments.extend(domains);
    arguments
}

async fn call(method: &[String]) -> Result<(), String> {
    let program = command::find(None, "busctl").ok_or(
        "busctl is not there, by which systemd-resolved is reached: install systemd, or name \
         another resolver",
    )?;
    call_by(&program, method).await
}

async fn call_by(program: &Path, method: &[String]) -> Result<(), String> {
    let object = [
        // A domain may begin with a hyphen.
        "--",
        "call",
        "org.freedesktop.resolve1",
        "/org/freedesktop/resolve1",
        "org.freedesktop.resolve1.Manager",
    ];
    let arguments: Vec<&str> =
        object.into_iter().chain(method.iter().map(String::as_str)).collect();
    let ran = command::run(program, &arguments, LIMIT).await;
    ran.map(drop).map_err(|failure| match &failure {
        Failure::Status(_, printed) if printed.contains("is managed") => format!(
            "systemd-networkd hands systemd-resolved the data of this interface, so that ours is \
             refused: write resolver = \"none\" ({failure})"
        ),
        Failure::Start(_) | Failure::Slow(_) | Failure::Status(..) => {
            let method = method.first().map_or("", String::as_str);
            format!("{method} of systemd-resolved failed, and is called again: {failure}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calls_are_those_of_the_bus() {
        let resolver = Resolver {
            interface: "eth0".to_owned(),
            router: None,
            servers: vec!["2001:db8::53".parse().unwrap()],
            search: vec!["example.org".to_owned(), "a.example".to_owned()],
        };
        assert_eq!(
            servers_of(7, &resolver).join(" "),
            "SetLinkDNS ia(iay) 7 1 10 16 32 1 13 184 0 0 0 0 0 0 0 0 0 0 0 83"
        );
        assert_eq!(
            domains_of(7, &resolver).join(" "),
            "SetLinkDomains ia(sb) 7 2 example.org false a.example false"
        );
        assert_eq!(servers_of(7, &Resolver::default()).join(" "), "SetLinkDNS ia(iay) 7 0");
    }
}
