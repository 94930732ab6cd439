//! dhcp6c of the KAME project (wide-dhcpv6-client).

use nix::sys::signal::Signal;

use super::peer::{IAID, LENGTH, Peer, Place, duid_octets};
use super::process::{Mounts, Process, write};

/// A running dhcp6c.
#[derive(Debug)]
pub struct Dhcp6c {
    process: Process,
}

impl Dhcp6c {
    /// Starts it; it keeps no leases.
    pub fn start(place: Place<'_>) -> Self {
        let directory = place.net.directory(&format!("dhcp6c-{}", place.namespace.name()));
        let lib = directory.join("lib");
        std::fs::create_dir_all(&lib).unwrap();
        let duid = duid_octets();
        let length = u16::try_from(duid.len()).unwrap().to_ne_bytes();
        std::fs::write(lib.join("dhcp6c_duid"), [&length[..], &duid].concat()).unwrap();
        let config = directory.join("dhcp6c.conf");
        write(&config, &text(place));
        let mounts = Mounts::default().with(lib, "/var/lib/dhcpv6");
        let mut command = mounts.command(place.namespace, "dhcp6c");
        command.arg("-D").arg("-f").arg("-c").arg(config);
        command.arg("-p").arg(directory.join("pid")).arg(place.uplink);
        Self { process: Process::start("dhcp6c", &mut command) }
    }
}

impl Peer for Dhcp6c {
    /// It releases what it has and asks as if for the first time.
    fn renew(&mut self) {
        self.process.signal(Signal::SIGHUP);
    }

    fn release(&mut self) {
        self.process.stop();
    }
}

fn text(place: Place<'_>) -> String {
    let Place { uplink, inner, .. } = place;
    format!(
        "interface {uplink} {{\n send ia-pd {IAID};\n send rapid-commit;\n}};\n\
         id-assoc pd {IAID} {{\n prefix ::/{LENGTH} infinity;\n\
         prefix-interface {inner} {{\n sla-id 0;\n sla-len {};\n }};\n}};\n",
        64 - LENGTH
    )
}
