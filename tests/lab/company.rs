//! Requesting programs that the agent leads: beside it on the same router, with a hook that hands
//! what they hold to it.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use renumberd::daemon::control;

use super::agent::{Agent, program};
use super::executable;
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
        let mounts = Mounts::private(&directory);
        let kept = directory.join("var/lib");
        write(&kept.join("dhcpcd/duid"), &format!("{DUID}\n"));
        let duid = duid_octets();
        let length = u16::try_from(duid.len()).unwrap().to_ne_bytes();
        std::fs::write(kept.join("dhcpv6/dhcp6c_duid"), [&length[..], &duid].concat()).unwrap();
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

    /// The same, but what it is bound to first reaches the agent seconds later: it is dated when the
    /// hook is run, and held up on its way.
    pub fn dhcpcd_with_a_late_hook(&self, ia_pd: &[u32], seconds: u64) -> Process {
        let hook = self.hook("dhcpcd/renumberd", &[]);
        let text = std::fs::read_to_string(&hook).unwrap();
        let runtime = self.runtime();
        let late = self.directory.join("late");
        std::fs::create_dir_all(&late).unwrap();
        hold_up(&control::path(&late), control::path(&runtime), self.log(), seconds);
        let (prompt, late) = (runtime.display().to_string(), late.display());
        let place = format!("$([ $reason = BOUND6 ] && echo {late} || echo {prompt})");
        executable::write(&hook, &text.replace(&prompt, &place));
        self.dhcpcd_with(&hook, ia_pd)
    }

    fn runtime(&self) -> PathBuf {
        super::agent::home(&self.site.net, &self.site.dut).runtime()
    }

    /// What hooks were run for is written there.
    fn log(&self) -> PathBuf {
        self.directory.join("feeds")
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

    /// A program that says that it is this version of dhcpcd, in the place of the one before.
    pub fn dhcpcd_of_version(&self, version: &str) -> PathBuf {
        let path = self.directory.join("bin-dhcpcd");
        let script = format!(
            "#!/bin/sh\n[ \"$1\" != --version ] || {{ echo dhcpcd {version}; exit; }}\n\
             exec dhcpcd \"$@\"\n"
        );
        executable::write(&path, &script);
        path
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
        let program = program().display().to_string();
        let (runtime, log) =
            (self.runtime().display().to_string(), self.log().display().to_string());
        let mut text = std::fs::read_to_string(source).unwrap();
        for (line, other) in settings {
            let before = text.clone();
            text = text.replace(&format!("\n{line}\n"), &format!("\n{other}\n"));
            assert_ne!(text, before, "{line}");
        }
        let (call, logger) = ("renumberd feed ", "logger -t renumberd-hook");
        assert!(text.contains(&format!("\t{call}")) && text.contains(logger), "{text}");
        let led = format!("\t{program} feed --runtime-dir {runtime} ");
        text = text.replace(&format!("\t{call}"), &led);
        text = text.replace(&format!("{logger} >/dev/null"), &format!("cat >>{log}"));
        let noted = format!("\necho \"$reason$REASON\" >>{log}\n");
        for start in ["case \"$reason\" in\n", "(\n"] {
            text = text.replace(&format!("\n{start}"), &format!("{noted}{start}"));
        }
        let path = self.directory.join(name.replace('/', "-"));
        executable::write(&path, &text);
        path
    }

    /// What hooks were run for, and what came of it where that was wrong.
    pub fn feeds(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// Hands a feed to the agent as JSON; what it says where it does not take it.
    pub fn feed_json(&self, json: &str) -> Result<(), String> {
        let file = self.directory.join("feed.json");
        write(&file, json);
        let mut command = self.site.dut.command(program());
        command.args(["feed", "json", "--runtime-dir"]).arg(self.runtime());
        command.stdin(std::fs::File::open(file).unwrap());
        let output = command.output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.success().then_some(()).ok_or(complaint)
    }

    /// A command that writes `what` into a file each time, and that file.
    pub fn recording(&self, name: &str) -> (PathBuf, PathBuf) {
        let (path, record) =
            (self.directory.join(name), self.directory.join(format!("{name}.ran")));
        executable::write(&path, &format!("#!/bin/sh\necho \"$@\" >>{}\n", record.display()));
        (path, record)
    }
}

/// Hands on what is said at the socket `at` seconds later to the one `to`, and notes that in `log`.
fn hold_up(at: &Path, to: PathBuf, log: PathBuf, seconds: u64) {
    let listener = UnixListener::bind(at).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut request = String::new();
            BufReader::new(stream.unwrap()).read_line(&mut request).unwrap();
            super::pause(super::secs(seconds));
            // At the end of the test there is no agent any more.
            let Ok(mut stream) = UnixStream::connect(&to) else { return };
            stream.write_all(request.as_bytes()).unwrap();
            let _ = BufReader::new(stream).read_line(&mut String::new());
            let mut log = OpenOptions::new().append(true).create(true).open(&log).unwrap();
            writeln!(log, "late").unwrap();
        }
    });
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
