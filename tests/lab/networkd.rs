//! systemd-networkd, alone in a namespace: with its own /run, /etc/systemd/network and a message
//! bus, through which it takes commands.

use std::path::Path;

use nix::sys::signal::Signal;

use super::agent;
use super::net::{Namespace, Net};
use super::peer::{DUID, IAID, LENGTH, Peer, Place};
use super::process::{Mounts, Process, write};
use super::{eventually, secs};

/// No package puts it into a directory of PATH.
const PROGRAM: &str = "/lib/systemd/systemd-networkd";
/// Its own user, whom it becomes.
const USER: &str = "systemd-network";

/// A running systemd-networkd.
#[derive(Debug)]
pub struct Networkd {
    namespace: Namespace,
    uplink: String,
    mounts: Mounts,
    process: Process,
    _bus: Process,
}

impl Networkd {
    /// Starts it without a lease, to put a part of what it is delegated on the inner interface.
    pub fn start(place: Place<'_>) -> Self {
        Self::start_with(place, &[("10-uplink", uplink(place)), ("20-inner", inner(place))])
    }

    /// Starts it without a lease, on the uplink alone: the agent has what is behind it.
    pub fn start_led(place: Place<'_>) -> Self {
        Self::start_with(place, &[("10-uplink", uplink(place))])
    }

    fn start_with(place: Place<'_>, files: &[(&str, String)]) -> Self {
        let directory = place.net.directory(&format!("networkd-{}", place.namespace.name()));
        let (run, etc) = (directory.join("run"), directory.join("etc"));
        for directory in [&run.join("dbus"), &etc] {
            std::fs::create_dir_all(directory).unwrap();
        }
        runtime_directories(&run);
        write(&directory.join("bus.conf"), BUS);
        for (name, text) in files {
            write(&etc.join(format!("{name}.network")), text);
        }
        let mounts = Mounts::default()
            .with(&run, "/run")
            .with(&etc, "/etc/systemd/network")
            // With a writable /sys it would wait for udev.
            .read_only("/sys");
        let bus = bus(&mounts, place.namespace, &directory);
        let mut command = mounts.command(place.namespace, PROGRAM);
        command.env("SYSTEMD_LOG_LEVEL", "debug").env("SYSTEMD_LOG_TARGET", "console");
        let process = Process::start("networkd", &mut command);
        let (namespace, uplink) = (place.namespace.clone(), place.uplink.to_owned());
        Self { namespace, uplink, mounts, process, _bus: bus }
    }

    /// The directories among which it runs.
    pub const fn mounts(&self) -> &Mounts {
        &self.mounts
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Runs the script of `contrib`, which calls the program under test for the agent there.
    pub fn feeds(&self, net: &Net) -> Process {
        let home = agent::home(net, &self.namespace);
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/networkd/renumberd-networkd");
        let text = std::fs::read_to_string(source).unwrap();
        let (call, logger) = ("renumberd feed json", "logger -t renumberd-hook");
        assert!(text.contains(&format!("\t{call}")) && text.contains(logger), "{text}");
        let (program, runtime) = (agent::program(), home.runtime());
        let feed = format!("{} feed json --runtime-dir {}", program.display(), runtime.display());
        let text = text.replace(&format!("\t{call}"), &format!("\t{feed}"));
        let path = net.directory("networkd-hook").join("renumberd-networkd");
        write(&path, &text.replace(logger, "cat"));
        let mut command = self.mounts.command(&self.namespace, "sh");
        Process::start("renumberd-networkd", command.arg(path).arg(&self.uplink))
    }

    fn control(&self, word: &str) {
        let mut command = self.mounts.command(&self.namespace, "networkctl");
        let output = command.args([word, &self.uplink]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "networkctl {word}: {said}");
    }
}

impl Peer for Networkd {
    /// `networkctl renew` does nothing for DHCPv6. `reconfigure` begins anew, the link down and
    /// up.
    fn renew(&mut self) {
        self.control("reconfigure");
    }

    /// Version 252 sends no Release.
    fn release(&mut self) {
        self.process.stop();
    }
}

fn runtime_directories(run: &Path) {
    let user = nix::unistd::User::from_name(USER).unwrap();
    let user = user.unwrap_or_else(|| panic!("no user {USER}: run tests/install-peers.sh"));
    for part in ["netif", "netif/links", "netif/leases", "netif/lldp"] {
        let part = run.join("systemd").join(part);
        std::fs::create_dir_all(&part).unwrap();
        std::os::unix::fs::chown(&part, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    }
}

fn bus(mounts: &Mounts, namespace: &Namespace, directory: &Path) -> Process {
    let mut command = mounts.command(namespace, "dbus-daemon");
    command.arg("--nofork").arg("--nopidfile").arg("--nosyslog");
    command.arg(format!("--config-file={}", directory.join("bus.conf").display()));
    let process = Process::start("dbus-daemon", &mut command);
    let socket = directory.join("run/dbus/system_bus_socket");
    eventually("the message bus is there", secs(10), || socket.exists().then_some(()));
    process
}

/// A bus for one program, which starts no others.
const BUS: &str = r#"<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
    <allow user="*"/>
  </policy>
</busconfig>
"#;

/// It asks without being told to by an advertisement, as the others do.
fn uplink(place: Place<'_>) -> String {
    let uuid = DUID.strip_prefix("00:04:").unwrap();
    format!(
        "[Match]\nName={}\n[Network]\nDHCP=ipv6\nIPv6AcceptRA=yes\n\
         [IPv6AcceptRA]\nDHCPv6Client=always\n\
         [DHCPv6]\nDUIDType=uuid\nDUIDRawData={uuid}\nIAID={IAID}\nWithoutRA=solicit\n\
         PrefixDelegationHint=::/{LENGTH}\n",
        place.uplink
    )
}

fn inner(place: Place<'_>) -> String {
    format!(
        "[Match]\nName={}\n[Network]\nIPv6AcceptRA=no\nDHCPPrefixDelegation=yes\n\
         [DHCPPrefixDelegation]\nSubnetId=0\nAnnounce=no\n",
        place.inner
    )
}
