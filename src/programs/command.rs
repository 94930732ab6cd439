//! Commands of other programs: each has a time limit, and what it prints a bound.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

/// What is read of what a command prints, in octets.
const PRINTED: u64 = 4096;
/// Where programs are that an operator's PATH may not name.
const FOLDERS: [&str; 8] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/usr/lib/systemd",
    "/lib/systemd",
];

/// Why a command did not do what it should.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It cannot be started.
    Start(io::Error),
    /// It did not end in time, and was killed.
    Slow(Duration),
    /// It ended with this status, and printed that.
    Status(std::process::ExitStatus, String),
}

/// The file of a program: the one that is named, else the one of its usual name.
pub(crate) fn find(path: Option<&str>, name: &str) -> Option<PathBuf> {
    let is_file = |path: &PathBuf| path.is_file();
    if let Some(path) = path {
        return Some(PathBuf::from(path)).filter(is_file);
    }
    let variable = std::env::var_os("PATH").unwrap_or_default();
    let listed = std::env::split_paths(&variable).chain(FOLDERS.iter().map(PathBuf::from));
    listed.map(|folder| folder.join(name)).find(is_file)
}

/// Runs a program to its end; what it has printed, up to a bound.
///
/// # Errors
///
/// When it cannot be started, is too slow, or ends with another status than 0.
pub(crate) async fn run(
    program: &Path,
    arguments: &[&str],
    limit: Duration,
) -> Result<String, Failure> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(Failure::Start)?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let ended = tokio::time::timeout(limit, async {
        let (out, err, status) = tokio::join!(read(out), read(err), child.wait());
        (out + &err, status)
    });
    match ended.await {
        Ok((printed, Ok(status))) if status.success() => Ok(printed),
        Ok((printed, Ok(status))) => Err(Failure::Status(status, printed)),
        Ok((_, Err(error))) => Err(Failure::Start(error)),
        Err(_) => Err(Failure::Slow(limit)),
    }
}

/// What a program prints, up to a bound; the rest is read and dropped, so that it does not wait.
async fn read(stream: Option<impl tokio::io::AsyncRead + Unpin>) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let mut kept = Vec::new();
    let _ = (&mut stream).take(PRINTED).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&kept).into_owned()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => write!(f, "it cannot be started: {error}"),
            Self::Slow(limit) => write!(f, "it did not end in {} s", limit.as_secs()),
            Self::Status(status, printed) => {
                let last = printed.lines().rfind(|line| !line.trim().is_empty());
                write!(f, "{status}")?;
                match last {
                    Some(line) => write!(f, ": {}", plain(line)),
                    None => Ok(()),
                }
            }
        }
    }
}

/// A line that goes into the log: without control characters, and not long.
pub(crate) fn plain(line: &str) -> String {
    const LONGEST: usize = 200;
    line.trim().chars().filter(|letter| !letter.is_control()).take(LONGEST).collect()
}

/// The time of day, as other programs on this machine count it.
pub(super) fn seconds_since_1970() -> u64 {
    clock_gettime(ClockId::CLOCK_REALTIME).map_or(0, |now| now.tv_sec().unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(script: &str, limit: Duration) -> Result<String, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(Path::new("/bin/sh"), &["-c", script], limit))
    }

    #[test]
    fn a_command_is_bounded_in_time_and_in_what_it_prints() {
        let second = Duration::from_secs(1);
        assert_eq!(ran("echo 1.2; echo x >&2", second).unwrap(), "1.2\nx\n");
        let many = ran("yes | head -c 1000000", Duration::from_secs(20)).unwrap();
        assert_eq!(many.len() as u64, PRINTED);
        let slow = ran("sleep 30", Duration::from_millis(50)).unwrap_err();
        assert!(matches!(slow, Failure::Slow(_)));
        let failed = ran("echo no; exit 3", second).unwrap_err().to_string();
        assert!(failed.contains('3') && failed.ends_with(": no"), "{failed}");
    }

    #[test]
    fn a_program_is_found_by_its_path_or_by_its_name() {
        assert_eq!(find(Some("/bin/sh"), "dhcpcd"), Some(PathBuf::from("/bin/sh")));
        assert_eq!(find(Some("/nowhere/sh"), "sh"), None);
        assert!(find(None, "sh").is_some());
        assert_eq!(find(None, "no-such-program"), None);
    }
}
