//! ISC's dhclient. Its package has no word for delegated prefixes in the script that it runs, so
//! here is one that gives the inner interface an address, as administrators write it.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::executable;
use super::net::Namespace;
use super::peer::{LENGTH, Peer, Place, duid_octets, octal};
use super::process::{Process, write};

/// A running dhclient.
#[derive(Debug)]
pub struct Dhclient {
    namespace: Namespace,
    uplink: String,
    directory: PathBuf,
    process: Process,
}

impl Dhclient {
    /// Starts it without a lease.
    pub fn start(place: Place<'_>) -> Self {
        let directory = place.net.directory(&format!("dhclient-{}", place.namespace.name()));
        write(&directory.join("empty.conf"), "");
        let duid = format!("default-duid \"{}\";\n", octal(&duid_octets()));
        write(&directory.join("leases"), &duid);
        script(&directory.join("script"), place.inner);
        let (namespace, uplink) = (place.namespace.clone(), place.uplink.to_owned());
        let process = Process::start("dhclient", &mut command(&namespace, &directory, &uplink));
        Self { namespace, uplink, directory, process }
    }
}

impl Peer for Dhclient {
    /// There is no handle: it is killed and started again. It asks to have its lease confirmed.
    fn renew(&mut self) {
        self.process.kill();
        let mut command = command(&self.namespace, &self.directory, &self.uplink);
        self.process = Process::start("dhclient", &mut command);
    }

    fn release(&mut self) {
        let mut command = command(&self.namespace, &self.directory, &self.uplink);
        let output = command.arg("-r").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "dhclient -r: {said}");
    }
}

fn command(namespace: &Namespace, directory: &Path, uplink: &str) -> Command {
    let mut command = namespace.command("dhclient");
    command.args(["-6", "-P", "-d", "-v", "--prefix-len-hint", &LENGTH.to_string()]);
    for (option, file) in
        [("-cf", "empty.conf"), ("-lf", "leases"), ("-pf", "pid"), ("-sf", "script")]
    {
        command.arg(option).arg(directory.join(file));
    }
    command.arg(uplink);
    command
}

/// A prefix whose preferred lifetime is over comes with the reason DEPREF6, before EXPIRE6.
fn script(path: &Path, inner: &str) {
    let text = format!(
        "#!/bin/sh\n\
         address() {{ echo \"${{1%/*}}1/64\"; }}\n\
         old=$old_ip6_prefix new=$new_ip6_prefix cur=$cur_ip6_prefix\n\
         if [ \"$reason\" = DEPREF6 ]; then\n\
         ip -6 addr change \"$(address \"$cur\")\" dev {inner} preferred_lft 0\n\
         exit\n\
         fi\n\
         case $reason in EXPIRE6|FAIL6|STOP6|RELEASE6) new= ;; esac\n\
         if [ -n \"$old\" ] && [ \"$old\" != \"$new\" ]; then\n\
         ip -6 addr del \"$(address \"$old\")\" dev {inner}\n\
         fi\n\
         if [ -n \"$new\" ]; then\n\
         ip -6 addr replace \"$(address \"$new\")\" dev {inner} \
         preferred_lft \"$new_preferred_life\" valid_lft \"$new_max_life\"\n\
         fi\n\
         exit 0\n"
    );
    executable::write(path, &text);
}
