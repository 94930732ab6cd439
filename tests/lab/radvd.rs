//! radvd, the router advertisement daemon of most Linux routers.

use std::fmt::Write as _;
use std::path::PathBuf;

use nix::sys::signal::Signal;

use super::net::{Namespace, Net};
use super::process::{Process, write};
use super::provider::Promise;
use super::secs;

/// A running radvd on one interface.
#[derive(Debug)]
pub struct Radvd {
    namespace: Namespace,
    interface: String,
    directory: PathBuf,
    process: Option<Process>,
}

impl Radvd {
    /// Starts it with these prefixes on the link.
    pub fn start(net: &Net, place: (&Namespace, &str), prefixes: &[Promise]) -> Self {
        let (namespace, interface) = (place.0.clone(), place.1.to_owned());
        let directory = net.directory(&format!("radvd-{}", namespace.name()));
        let mut radvd = Self { namespace, interface, directory, process: None };
        radvd.start_with(prefixes);
        radvd
    }

    /// Starts it again after [`kill`](Self::kill).
    pub fn start_with(&mut self, prefixes: &[Promise]) {
        self.write(prefixes);
        let mut command = self.namespace.command("radvd");
        command.args(["--nodaemon", "--logmethod", "stderr", "--debug", "1", "--config"]);
        command.arg(self.config()).arg("--pidfile").arg(self.directory.join("pid"));
        let mut process = Process::start("radvd", &mut command);
        process.wait_for_log("started", secs(5));
        self.process = Some(process);
    }

    /// Advertises these prefixes from now on; HUP makes it do so at once.
    pub fn advertise(&self, prefixes: &[Promise]) {
        self.write(prefixes);
        if let Some(process) = &self.process {
            process.signal(Signal::SIGHUP);
        }
    }

    /// Ends it without a last word.
    pub fn kill(&mut self) {
        self.process = None;
    }

    fn config(&self) -> PathBuf {
        self.directory.join("radvd.conf")
    }

    fn write(&self, prefixes: &[Promise]) {
        let mut text = format!("interface {} {{\n AdvSendAdvert on;\n", self.interface);
        for Promise { prefix, preferred, valid } in prefixes {
            let _ = writeln!(
                text,
                " prefix {prefix} {{ AdvValidLifetime {valid}; AdvPreferredLifetime {preferred}; }};"
            );
        }
        text += "};\n";
        write(&self.config(), &text);
    }
}
