//! Kea's DHCPv6 server: a pool of exactly one prefix, leases in memory, a control socket.

use std::io::{Read as _, Write as _};
use std::net::Ipv6Addr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::net::{Namespace, Net};
use super::process::{Process, write};
use super::provider::Promise;
use super::secs;

/// Options for hosts that it tells whoever asks: SNTP and NTP servers, and a captive portal.
pub const SERVICES: [(u16, &str); 3] = [
    (31, "20010db800ff00000000000000000123"),
    (56, "0001001020010db800ff00000000000000000123"),
    (103, "68747470733a2f2f706f7274616c2e6578616d706c652f"),
];

/// A running Kea on one interface.
#[derive(Debug)]
pub struct Kea {
    namespace: Namespace,
    interface: String,
    directory: PathBuf,
    /// Where relay agents reach it.
    address: Option<Ipv6Addr>,
    identity: u8,
    process: Option<Process>,
}

impl Kea {
    /// Starts it.
    pub fn start(net: &Net, place: (&Namespace, &str), prefixes: &[Promise]) -> Self {
        Self::start_at(net, place, None, prefixes)
    }

    /// Starts it for relay agents too, which send to `address`.
    pub fn start_at(
        net: &Net,
        place: (&Namespace, &str),
        address: Option<Ipv6Addr>,
        prefixes: &[Promise],
    ) -> Self {
        let (namespace, interface) = (place.0.clone(), place.1.to_owned());
        let directory = net.directory(&format!("kea-{}", namespace.name()));
        let mut kea = Self { namespace, interface, directory, address, identity: 0, process: None };
        kea.start_with(1, prefixes);
        kea
    }

    /// Starts it as server number `identity`, its DUID, without leases.
    pub fn start_with(&mut self, identity: u8, prefixes: &[Promise]) {
        self.process = None;
        self.identity = identity;
        let config = self.directory.join("kea.json");
        write(&config, &self.config(prefixes).to_string());
        let mut command = self.namespace.command("kea-dhcp6");
        command.arg("-c").arg(config);
        command.env("KEA_PIDFILE_DIR", &self.directory);
        command.env("KEA_LOCKFILE_DIR", &self.directory);
        let mut process = Process::start("kea", &mut command);
        process.wait_for_log("DHCP6_STARTED", secs(10));
        self.process = Some(process);
    }

    /// Delegates these prefixes from now on. Leases are in memory and go with the configuration:
    /// a Renew brings the new prefix, and the old one with lifetimes of zero.
    pub fn delegate(&self, prefixes: &[Promise]) {
        let request = json!({"command": "config-set", "arguments": self.config(prefixes)});
        let mut socket = UnixStream::connect(self.socket()).unwrap();
        socket.write_all(request.to_string().as_bytes()).unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["result"], 0, "{answer}");
    }

    /// Ends it without a last word.
    pub fn kill(&mut self) {
        self.process = None;
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("control")
    }

    /// It has one lifetime for all pools and no way to say "deprecated": prefixes with a
    /// preferred lifetime of zero are left out.
    fn config(&self, prefixes: &[Promise]) -> Value {
        let current: Vec<&Promise> =
            prefixes.iter().filter(|promise| promise.preferred > 0).collect();
        let pools: Vec<Value> = current
            .iter()
            .map(|Promise { prefix, .. }| {
                json!({
                    "prefix": prefix.network().to_string(),
                    "prefix-len": prefix.prefix_len(),
                    "delegated-len": prefix.prefix_len(),
                })
            })
            .collect();
        let preferred = current.first().map_or(1800, |promise| promise.preferred);
        let valid = current.first().map_or(3600, |promise| promise.valid);
        let services: Vec<Value> = SERVICES
            .iter()
            .map(|(code, data)| json!({"code": code, "csv-format": false, "data": data}))
            .collect();
        let mut listening = vec![self.interface.clone()];
        listening.extend(self.address.map(|address| format!("{}/{address}", self.interface)));
        json!({"Dhcp6": {
            "data-directory": self.directory,
            "interfaces-config": {"interfaces": listening},
            "control-socket": {"socket-type": "unix", "socket-name": self.socket()},
            "lease-database": {"type": "memfile", "persist": false},
            "server-id": {
                "type": "EN", "enterprise-id": 32473, "persist": false,
                "identifier": format!("{:016x}", self.identity),
            },
            "preferred-lifetime": preferred,
            "valid-lifetime": valid,
            "renew-timer": preferred / 2,
            "rebind-timer": preferred * 4 / 5,
            "option-data": services,
            "subnet6": [{
                "id": 1, "subnet": "2001:db8::/32",
                "interface": self.interface, "pd-pools": pools,
            }],
            "loggers": [{
                "name": "kea-dhcp6", "severity": "INFO",
                "output_options": [{"output": "stdout", "flush": true}],
            }],
        }})
    }
}
