//! dhcpcd, by itself or with the hook of the article that asks for the prefix anew when the
//! router above advertises another one.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::executable;
use super::net::Namespace;
use super::peer::{DUID, IAID, Peer, Place};
use super::process::{Mounts, Process, write};
use super::{CEILING, eventually};

/// What it can be made to do besides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Besides {
    Nothing,
    /// It does not listen to advertisements. Where it does, it at times does not end on TERM.
    NoAdvertisements,
    /// A hook renews when the advertised prefix is another one.
    Hook,
    /// It accepts Reconfigure.
    Reconfigure,
}

/// A running dhcpcd.
#[derive(Debug)]
pub struct Dhcpcd {
    namespace: Namespace,
    uplink: String,
    mounts: Mounts,
    process: Process,
    releasing: Option<Process>,
}

impl Dhcpcd {
    /// Starts it without a lease.
    pub fn start(place: Place<'_>, besides: Besides) -> Self {
        let directory = place.net.directory(&format!("dhcpcd-{}", place.namespace.name()));
        let mounts = Mounts::private(&directory);
        let kept = directory.join("var/lib/dhcpcd");
        write(&kept.join("duid"), &format!("{DUID}\n"));
        let _ = std::fs::remove_file(kept.join(format!("{}.lease6", place.uplink)));
        let (script, option) = match besides {
            Besides::Nothing => (PathBuf::from("/bin/true"), "ipv6rs"),
            Besides::NoAdvertisements => ("/bin/true".into(), "noipv6rs"),
            Besides::Hook => (renewing_hook(&directory, place.uplink), "ipv6rs"),
            Besides::Reconfigure => ("/bin/true".into(), "ipv6rs\noption dhcp6_reconfigure_accept"),
        };
        write(&directory.join("dhcpcd.conf"), &config(place, &script, option));
        let mut command = mounts.command(place.namespace, "dhcpcd");
        command.arg("-B").arg("-d").arg("-f").arg(directory.join("dhcpcd.conf"));
        let process = Process::start("dhcpcd", &mut command);
        let (namespace, uplink) = (place.namespace.clone(), place.uplink.to_owned());
        Self { namespace, uplink, mounts, process, releasing: None }
    }

    /// Ends it without a Release.
    pub fn stop(&mut self) {
        self.process.stop();
        // The processes that it has started end a moment later, and one of them has the port.
        eventually("UDP port 546 is free", CEILING, || {
            let open = self.namespace.run("ss", &["-H", "-6", "-l", "-u", "-n"]);
            (!open.contains(":546 ")).then_some(())
        });
    }

    /// With its configuration named, it would look for a process that does IPv6 alone, and start one.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.mounts.command(&self.namespace, "dhcpcd");
        command.args(words);
        command
    }
}

impl Peer for Dhcpcd {
    fn renew(&mut self) {
        let output = self.command(&["-N", &self.uplink]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "dhcpcd -N: {said}");
    }

    /// With an interface named, it says that it is not running. It waits for the other's end.
    fn release(&mut self) {
        self.releasing = Some(Process::start("dhcpcd -k", &mut self.command(&["-k"])));
    }
}

/// In a namespace of its own it would wait for udev for ever: `nodev`.
fn config(place: Place<'_>, script: &Path, option: &str) -> String {
    let Place { uplink, inner, .. } = place;
    format!(
        "ipv6only\nnodev\nduid\nnoipv6rs\nscript {}\nallowinterfaces {uplink} {inner}\n\
         interface {uplink}\n  {option}\n  option rapid_commit\n  ia_pd {IAID} {inner}/0/64\n",
        script.display()
    )
}

/// Its `dhcpcd -N` provokes an advertisement, which runs it again: it acts on a change alone. And
/// a `dhcpcd -N` from within a hook is lost: it is sent when the hook has ended.
fn renewing_hook(directory: &Path, uplink: &str) -> PathBuf {
    let (path, seen) = (directory.join("hook"), directory.join("seen"));
    let _ = std::fs::remove_file(&seen);
    let seen = seen.display();
    let text = format!(
        "#!/bin/sh\n\
         [ \"$reason\" = ROUTERADVERT ] || exit 0\n\
         now=$(env | grep -E '^nd[0-9]+_prefix_information[0-9]+_prefix=' | sort)\n\
         before=$(cat {seen} 2>/dev/null)\n\
         [ \"$now\" != \"$before\" ] || exit 0\n\
         echo \"$now\" >{seen}\n\
         [ -n \"$before\" ] || exit 0\n\
         (sleep 0.1; exec dhcpcd -N {uplink}) >/dev/null 2>&1 &\n"
    );
    executable::write(&path, &text);
    path
}
