//! A Debian that has been booted in a namespace: what packages do there is done by a real dpkg and a
//! real systemd.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use super::lab::net::{Namespace, Net};
use super::lab::{eventually, secs};

/// Within this time systemd has started, or a command has ended.
const PATIENCE: std::time::Duration = secs(120);

/// What a fresh system has besides what each has.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,iproute2";

/// A freshly installed Debian of this machine's own release, made once and then left as it is.
pub fn fresh_root() -> PathBuf {
    let release = fs::read_to_string("/etc/os-release").unwrap();
    let suite = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let suite = suite.expect("a Debian with a code name");
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("root-{suite}"));
    if !root.exists() {
        let made = root.with_extension("part");
        let _ = fs::remove_dir_all(&made);
        let mut command = Command::new("mmdebstrap");
        command.args(["--quiet", "--variant=minbase", &format!("--include={PACKAGES}")]);
        // Nothing of it has to outlive a power cut.
        command.args(["--dpkgopt=force-unsafe-io", suite]);
        let output = command.arg(&made).output();
        let output = output.expect("mmdebstrap: tests/install-peers.sh installs it");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::rename(&made, &root).unwrap();
    }
    root
}

/// A running system; ended on drop.
#[derive(Debug)]
pub struct Machine {
    unshare: Child,
    /// Its first process, by the number that it has outside.
    init: u32,
    cgroup: PathBuf,
}

impl Machine {
    /// Boots a copy of `root` in the network of `namespace`, with `shared` as /shared.
    pub fn boot(net: &Net, namespace: &Namespace, root: &Path, shared: &Path) -> Self {
        let cgroup = cgroups().join(format!("packages-{}", namespace.name()));
        fs::create_dir_all(&cgroup).unwrap();
        let mut command = namespace.command("unshare");
        command.args(["-m", "-p", "-f", "-C", "-u", "-i", "--kill-child"]);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/packages/boot.sh"));
        command.arg(root).arg(net.directory("boot")).arg(shared).arg(&cgroup);
        // Its cgroup namespace has the cgroup as its root.
        let enter = format!("echo $$ >'{}/cgroup.procs'; exec \"$@\"", cgroup.display());
        let mut entered = Command::new("sh");
        entered.args(["-c", &enter, "sh"]).arg(command.get_program()).args(command.get_args());
        let log = fs::File::create(net.directory("boot-log").join("console")).unwrap();
        let errors = log.try_clone().unwrap();
        let unshare = entered.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().unwrap();
        let init = eventually("the first process", PATIENCE, || init_of(unshare.id()));
        let machine = Self { unshare, init, cgroup };
        eventually("a running system", PATIENCE, || {
            let output = machine.command("systemctl", &["is-system-running"]).output().ok()?;
            let state = String::from_utf8_lossy(&output.stdout);
            ["running", "degraded"].contains(&state.trim()).then_some(())
        });
        machine
    }

    /// A program in it.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.init));
        command.args(["-m", "-p", "-u", "-i", "-n", "-C", "env", "-i"]);
        command.args(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"]);
        command.args(["SYSTEMD_COLORS=0", "LC_ALL=C", program]).args(arguments);
        command.stdin(Stdio::null());
        command
    }

    /// What a command line of it does.
    pub fn try_run(&self, line: &str) -> Output {
        self.command("sh", &["-c", line]).output().unwrap()
    }

    /// What a command line of it prints, which succeeds.
    pub fn run(&self, line: &str) -> String {
        let output = self.try_run(line);
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let (out, errors) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{line}: {out}{errors}\n{}", self.log());
        out.trim().to_owned()
    }

    /// A property of a unit.
    pub fn property(&self, unit: &str, name: &str) -> String {
        self.run(&format!("systemctl show --value -p {name} {unit}"))
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        let journal = self.command("journalctl", &["--no-pager", "-n", "60", "-o", "cat"]);
        let mut journal = journal;
        journal.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With its first process all others end.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
        let gone = || (!Path::new(&format!("/proc/{}", self.init)).exists()).then_some(());
        if !std::thread::panicking() {
            eventually("the end of the system", PATIENCE, gone);
        }
        remove_cgroup(&self.cgroup);
    }
}

fn init_of(unshare: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).ok()?;
    let init = children.split_whitespace().next()?.parse().ok()?;
    // Until it has its root it is a shell.
    let name = fs::read_to_string(format!("/proc/{init}/comm")).ok()?;
    (name.trim() == "systemd").then_some(init)
}

/// Where the hierarchy of cgroups v2 is mounted.
fn cgroups() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let found = mounts.lines().find(|line| line.contains(" - cgroup2 "));
    PathBuf::from(found.and_then(|line| line.split(' ').nth(4)).expect("a cgroup2 file system"))
}

/// A cgroup goes when those below it have.
fn remove_cgroup(cgroup: &Path) {
    let below = fs::read_dir(cgroup).into_iter().flatten().flatten();
    for entry in below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_cgroup(&entry.path());
    }
    let _ = fs::remove_dir(cgroup);
}
