//! dhcpcd, by itself or with the hook of the article that asks for the prefix anew when the
//! router above advertises another one.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::net::Namespace;
use super::peer::{DUID, IAID, Peer, Place};
use super::process::{Mounts, Process, write};

/// What runs at its events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hook {
    None,
    RenewsOnChange,
}

/// A running dhcpcd.
#[derive(Debug)]
pub struct Dhcpcd {
    namespace: Namespace,
    uplink: String,
    directory: PathBuf,
    mounts: Mounts,
    process: Process,
}

impl Dhcpcd {
    /// Starts it without a lease.
    pub fn start(place: Place<'_>, hook: Hook) -> Self {
        let directory = place.net.directory(&format!("dhcpcd-{}", place.namespace.name()));
        for part in ["run", "lib"] {
            std::fs::create_dir_all(directory.join(part)).unwrap();
        }
        write(&directory.join("lib/duid"), &format!("{DUID}\n"));
        let _ = std::fs::remove_file(directory.join(format!("lib/{}.lease6", place.uplink)));
        let script = match hook {
            Hook::None => PathBuf::from("/bin/true"),
            Hook::RenewsOnChange => renewing_hook(&directory, place.uplink),
        };
        write(&directory.join("dhcpcd.conf"), &config(place, &script));
        let mounts = Mounts::default()
            .with(directory.join("run"), "/run")
            .with(directory.join("lib"), "/var/lib/dhcpcd");
        let mut command = mounts.command(place.namespace, "dhcpcd");
        command.arg("-B").arg("-d").arg("-f").arg(directory.join("dhcpcd.conf"));
        let process = Process::start("dhcpcd", &mut command);
        let (namespace, uplink) = (place.namespace.clone(), place.uplink.to_owned());
        Self { namespace, uplink, directory, mounts, process }
    }

    /// Ends it without a Release.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    fn tell(&self, option: &str) {
        let mut command: Command = self.mounts.command(&self.namespace, "dhcpcd");
        command.arg("-f").arg(self.directory.join("dhcpcd.conf")).args([option, &self.uplink]);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "dhcpcd {option}: {said}");
    }
}

impl Peer for Dhcpcd {
    fn renew(&mut self) {
        self.tell("-N");
    }

    fn release(&mut self) {
        self.tell("-k");
    }
}

/// In a namespace of its own it would wait for udev for ever: `nodev`.
fn config(place: Place<'_>, script: &Path) -> String {
    let Place { uplink, inner, .. } = place;
    format!(
        "ipv6only\nnodev\nduid\nnoipv6rs\nscript {}\nallowinterfaces {uplink} {inner}\n\
         interface {uplink}\n  ipv6rs\n  option rapid_commit\n  ia_pd {IAID} {inner}/0/64\n",
        script.display()
    )
}

/// Its `dhcpcd -N` provokes an advertisement, which runs it again: it acts on a change alone. And
/// a `dhcpcd -N` from within a hook is lost: it is sent when the hook has ended.
fn renewing_hook(directory: &Path, uplink: &str) -> PathBuf {
    let (path, seen) = (directory.join("hook"), directory.join("seen"));
    let (config, seen) = (directory.join("dhcpcd.conf"), seen.display().to_string());
    let _ = std::fs::remove_file(&seen);
    let text = format!(
        "#!/bin/sh\n\
         [ \"$reason\" = ROUTERADVERT ] || exit 0\n\
         now=$(env | grep -E '^nd[0-9]+_prefix_information[0-9]+_prefix=' | sort)\n\
         before=$(cat {seen} 2>/dev/null)\n\
         [ \"$now\" != \"$before\" ] || exit 0\n\
         echo \"$now\" >{seen}\n\
         [ -n \"$before\" ] || exit 0\n\
         (sleep 0.1; exec dhcpcd -f {} -N {uplink}) >/dev/null 2>&1 &\n",
        config.display()
    );
    write(&path, &text);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, mode).unwrap();
    path
}
