//! Requesting programs that the agent leads: beside it on the same router, with a hook that hands
//! what they hold to it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use super::agent::{Agent, program};
use super::peer::duid_octets;
use super::process::{Mounts, Process, write};
use super::site::{DUID, Site};

/// The router of a site with directories that programs believe to be the system's.
#[derive(Debug)]
pub struct Router<'a> {
    site: &'a Site,
    directory: PathBuf,
    mounts: Mounts,
}

impl<'a> Router<'a> {
    pub fn new(site: &'a Site) -> Self {
        let directory = site.net.directory("company");
        for part in ["run", "dhcpcd", "dhcpv6"] {
            std::fs::create_dir_all(directory.join(part)).unwrap();
        }
        write(&directory.join("dhcpcd/duid"), &format!("{DUID}\n"));
        let duid = duid_octets();
        let length = u16::try_from(duid.len()).unwrap().to_ne_bytes();
        std::fs::write(directory.join("dhcpv6/dhcp6c_duid"), [&length[..], &duid].concat())
            .unwrap();
        let mounts = Mounts::default()
            .with(directory.join("run"), "/run")
            .with(directory.join("dhcpcd"), "/var/lib/dhcpcd")
            .with(directory.join("dhcpv6"), "/var/lib/dhcpv6");
        Self { site, directory, mounts }
    }

    /// The agent, which finds pid files where the programs put them.
    pub fn agent(&self, config: &str) -> Agent {
        Agent::start_among(&self.site.net, &self.site.dut, config, &self.mounts)
    }

    /// dhcpcd, which listens to advertisements too and asks for the prefixes `ia_pd`. Its hook is
    /// that of `contrib`.
    pub fn dhcpcd(&self, ia_pd: &[u32]) -> Process {
        self.dhcpcd_with(&self.hook("dhcpcd/renumberd", &[]), ia_pd)
    }

    /// The same, but what it is bound to first is handed over seconds later.
    pub fn dhcpcd_with_a_late_hook(&self, ia_pd: &[u32], seconds: u32) -> Process {
        let hook = self.hook("dhcpcd/renumberd", &[]);
        let text = std::fs::read_to_string(&hook).unwrap();
        let call = format!("{} feed ${{at", program().display());
        assert!(text.contains(&call), "{text}");
        let late = format!("[ \"$reason\" != BOUND6 ] || {{ sleep {seconds}; echo late; }}");
        let text = text.replace(&call, &format!("{{ {late}; {call}"));
        executable(&hook, &text.replace(" 2>&1 |", "; } 2>&1 |"));
        self.dhcpcd_with(&hook, ia_pd)
    }

    fn dhcpcd_with(&self, hook: &Path, ia_pd: &[u32]) -> Process {
        let mut config = format!(
            "ipv6only\nnodev\nduid\nnoipv6rs\nscript {}\nallowinterfaces wan0\ninterface wan0\n  \
             ipv6rs\n  option rapid_commit\n",
            hook.display()
        );
        for iaid in ia_pd {
            config += &format!("  ia_pd {iaid} -\n");
        }
        let file = self.directory.join("dhcpcd.conf");
        write(&file, &config);
        let mut command = self.mounts.command(&self.site.dut, "dhcpcd");
        command.arg("-B").arg("-d").arg("-f").arg(file);
        Process::start("dhcpcd", &mut command)
    }

    /// dhcp6c, which puts a part of the prefix on a dummy interface.
    pub fn dhcp6c(&self) -> Process {
        self.site.dut.ip("link add inner0 type veth peer name inner1");
        self.site.dut.ip("link set inner0 up");
        let settings =
            [("uplink=tun0", "uplink=wan0"), ("inner=", "inner=inner0"), ("length=", "length=56")];
        let script = self.hook("dhcp6c/renumberd-script", &settings);
        let file = self.directory.join("dhcp6c.conf");
        write(
            &file,
            &format!(
                "interface wan0 {{\n send ia-pd 1;\n script \"{}\";\n}};\nid-assoc pd 1 {{\n \
                 prefix-interface inner0 {{\n sla-id 0;\n sla-len 8;\n }};\n}};\n",
                script.display()
            ),
        );
        let mut command = self.mounts.command(&self.site.dut, "dhcp6c");
        command.arg("-D").arg("-f").arg("-c").arg(file).arg("wan0");
        Process::start("dhcp6c", &mut command)
    }

    /// A hook of `contrib` with these lines changed, which calls the program under test and writes
    /// into a file what it was run for.
    fn hook(&self, name: &str, settings: &[(&str, &str)]) -> PathBuf {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib").join(name);
        let runtime = super::agent::home(&self.site.net, &self.site.dut).runtime();
        let (program, runtime) = (program().display().to_string(), runtime.display().to_string());
        let log = self.directory.join("feeds").display().to_string();
        let mut text = std::fs::read_to_string(source).unwrap();
        for (line, other) in settings {
            let before = text.clone();
            text = text.replace(&format!("\n{line}\n"), &format!("\n{other}\n"));
            assert_ne!(text, before, "{line}");
        }
        let (call, logger) = ("renumberd feed ", "logger -t renumberd-hook");
        assert!(text.contains(&format!("\t{call}")) && text.contains(logger), "{text}");
        for before in ["\t", "$("] {
            text = text.replace(&format!("{before}{call}"), &format!("{before}{program} feed "));
        }
        text = text.replace(" 2>&1 |", &format!(" --runtime-dir {runtime} 2>&1 |"));
        text = text.replace(logger, &format!("cat >>{log}"));
        let noted = format!("\necho \"$reason$REASON\" >>{log}\n");
        for start in ["case \"$reason\" in\n", "(\n"] {
            text = text.replace(&format!("\n{start}"), &format!("{noted}{start}"));
        }
        let path = self.directory.join(name.replace('/', "-"));
        executable(&path, &text);
        path
    }

    /// What hooks were run for, and what came of it where that was wrong.
    pub fn feeds(&self) -> String {
        std::fs::read_to_string(self.directory.join("feeds")).unwrap_or_default()
    }

    /// Hands a feed to the agent as JSON; what it says where it does not take it.
    pub fn feed_json(&self, json: &str) -> Result<(), String> {
        let file = self.directory.join("feed.json");
        write(&file, json);
        let runtime = super::agent::home(&self.site.net, &self.site.dut).runtime();
        let mut command = self.site.dut.command(program());
        command.args(["feed", "json", "--runtime-dir"]).arg(runtime);
        command.stdin(std::fs::File::open(file).unwrap());
        let output = command.output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.success().then_some(()).ok_or(complaint)
    }

    /// A command that writes `what` into a file each time, and that file.
    pub fn recording(&self, name: &str) -> (PathBuf, PathBuf) {
        let (path, record) =
            (self.directory.join(name), self.directory.join(format!("{name}.ran")));
        executable(&path, &format!("#!/bin/sh\necho \"$@\" >>{}\n", record.display()));
        (path, record)
    }
}

/// All processes of a program, with those that it has started.
pub fn signal_all(process: &Process, signal: Signal) {
    let mut all = vec![process.pid()];
    let mut at = 0;
    while let Some(pid) = all.get(at).copied() {
        let children = format!("/proc/{pid}/task/{pid}/children");
        let children = std::fs::read_to_string(children).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        at += 1;
    }
    for pid in all {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
        let _ = nix::sys::signal::kill(pid, signal);
    }
}

fn executable(path: &Path, text: &str) {
    write(path, text);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
