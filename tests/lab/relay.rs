//! dhcp6relay of the KAME project (wide-dhcpv6-relay).

use std::net::Ipv6Addr;

use super::net::{Namespace, Net};
use super::process::Process;

/// A running relay agent.
#[derive(Debug)]
pub struct Relay {
    process: Process,
}

impl Relay {
    /// Starts it: what it hears on `below` goes through `above` to `server`, to all servers of the
    /// site (ff05::1:3) where none is given; `source` is its own address there.
    pub fn start(
        net: &Net,
        namespace: &Namespace,
        (below, above): (&str, &str),
        source: Ipv6Addr,
        server: Option<Ipv6Addr>,
    ) -> Self {
        let directory = net.directory(&format!("dhcp6relay-{}", namespace.name()));
        let mut command = namespace.command("dhcp6relay");
        command.args(["-D", "-f", "-r", above, "-b", &source.to_string()]);
        if let Some(server) = server {
            command.args(["-s", &server.to_string()]);
        }
        command.arg("-p").arg(directory.join("pid")).arg(below);
        Self { process: Process::start("dhcp6relay", &mut command) }
    }

    pub fn running(&mut self) -> bool {
        self.process.running()
    }
}
