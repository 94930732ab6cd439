//! dhcp6s of the KAME project (wide-dhcpv6-server): one static entry for one requesting router.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::net::{Namespace, Net};
use super::process::{Mounts, Process, write};
use super::provider::Promise;
use super::{eventually, secs};

/// Shared by dhcp6s and dhcp6ctl; guards nothing but a namespace of a test.
const CONTROL_KEY: &str = "cmVudW1iZXJkIGxhYm9yYXRvcnk=";

/// A running dhcp6s on one interface.
#[derive(Debug)]
pub struct Kame {
    namespace: Namespace,
    interface: String,
    client: String,
    directory: PathBuf,
    process: Option<Process>,
}

impl Kame {
    /// Starts it; `client` is the DUID that the prefixes are for.
    pub fn start(net: &Net, place: (&Namespace, &str), client: &str, prefixes: &[Promise]) -> Self {
        let (namespace, interface) = (place.0.clone(), place.1.to_owned());
        let directory = net.directory(&format!("dhcp6s-{}", namespace.name()));
        let client = client.to_owned();
        let mut kame = Self { namespace, interface, client, directory, process: None };
        write(&kame.directory.join("key"), CONTROL_KEY);
        std::fs::create_dir_all(kame.directory.join("lib")).unwrap();
        kame.start_with(1, prefixes);
        kame
    }

    /// Starts it as server number `identity`, its DUID, without bindings.
    pub fn start_with(&mut self, identity: u8, prefixes: &[Promise]) {
        self.process = None;
        self.write(prefixes);
        let duid = [&14_u16.to_ne_bytes()[..], &[0, 1, 0, 1, 0, 0, 0, identity], &[2; 6]].concat();
        std::fs::write(self.directory.join("lib/dhcp6s_duid"), duid).unwrap();
        let mounts = Mounts::default().with(self.directory.join("lib"), "/var/lib/dhcpv6");
        let mut command = mounts.command(&self.namespace, "dhcp6s");
        command.arg("-D").arg("-f").arg("-c").arg(self.config());
        command.arg("-k").arg(self.directory.join("key"));
        command.arg("-P").arg(self.directory.join("pid")).arg(&self.interface);
        self.process = Some(Process::start("dhcp6s", &mut command));
        self.control_answers();
    }

    /// Delegates these prefixes from now on. A reload leaves bindings as they are, so the
    /// client's is removed too: its next Renew is answered with NoBinding.
    pub fn delegate(&self, prefixes: &[Promise]) {
        self.write(prefixes);
        self.control(&["reload"]);
        self.control(&["remove", "binding", "IA", "IA_PD", "1", &self.client]);
    }

    /// Ends it without a last word.
    pub fn kill(&mut self) {
        self.process = None;
    }

    fn config(&self) -> PathBuf {
        self.directory.join("dhcp6s.conf")
    }

    /// It takes no lifetime of zero, and a client that names a retired prefix in its Request is
    /// given just that one: prefixes with a preferred lifetime of zero are left out.
    fn write(&self, prefixes: &[Promise]) {
        let mut text = format!("host router {{\n duid {};\n", self.client);
        for Promise { prefix, preferred, valid } in prefixes {
            if *preferred > 0 {
                let _ = writeln!(text, " prefix {prefix} {preferred} {valid};");
            }
        }
        text += "};\n";
        write(&self.config(), &text);
    }

    fn control(&self, words: &[&str]) {
        let key = self.directory.join("key");
        let options = ["-S", "-k", key.to_str().unwrap()];
        self.namespace.run("dhcp6ctl", &[&options[..], words].concat());
    }

    /// The control port is the last thing that it opens.
    fn control_answers(&self) {
        eventually("dhcp6s listens", secs(5), || {
            self.namespace
                .run("ss", &["-H", "-6", "-l", "-t", "-n"])
                .contains(":5547")
                .then_some(())
        });
    }
}
