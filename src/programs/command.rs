//! Commands of other programs: each has a time limit, and a bound on its output.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

/// The most octets of a command's output that are kept.
const PRINTED: u64 = 4096;
/// How long the output of a command is still read after its end.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// The directories of programs that an operator's PATH may lack.
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

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It cannot be started.
    Start(io::Error),
    /// It did not end in time, and was killed.
    Slow(Duration),
    /// It ended with this status and output.
    Status(ExitStatus, String),
}

/// The file of a program: the configured one, or one found by its usual name.
pub(crate) fn find(path: Option<&str>, name: &str) -> Option<PathBuf> {
    let is_file = |path: &PathBuf| path.is_file();
    if let Some(path) = path {
        return Some(PathBuf::from(path)).filter(is_file);
    }
    let variable = std::env::var_os("PATH").unwrap_or_default();
    let listed = std::env::split_paths(&variable).chain(FOLDERS.iter().map(PathBuf::from));
    listed.map(|folder| folder.join(name)).find(is_file)
}

/// How a command is run, beside its program and arguments.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner<'a> {
    /// Its standard input.
    pub(crate) input: &'a str,
    /// It gets none of our environment variables but a plain PATH, and its output is not read: it
    /// may start programs that outlive it.
    pub(crate) detached: bool,
}

/// Runs a program to its end; returns its output, up to a bound.
///
/// # Errors
///
/// When it cannot be started, is too slow, or ends with another status than 0.
pub(crate) async fn run(
    program: &Path,
    arguments: &[&str],
    limit: Duration,
) -> Result<String, Failure> {
    run_as(program, arguments, Manner::default(), limit).await
}

/// Runs a program to its end, as [`run`] does. It is a process group of its own, which is killed as
/// a whole when the time is over, or when the future is dropped.
///
/// # Errors
///
/// When it cannot be started, is too slow, or ends with another status than 0.
pub(crate) async fn run_as(
    program: &Path,
    arguments: &[&str],
    manner: Manner<'_>,
    limit: Duration,
) -> Result<String, Failure> {
    let mut command = Command::new(program);
    command.args(arguments).process_group(0);
    let (input, output, errors) = match manner {
        Manner { detached: true, .. } => (Stdio::null(), Stdio::null(), Stdio::inherit()),
        Manner { input: "", .. } => (Stdio::null(), Stdio::piped(), Stdio::piped()),
        Manner { .. } => (Stdio::piped(), Stdio::piped(), Stdio::piped()),
    };
    if manner.detached {
        command.env_clear().env("PATH", FOLDERS.join(":"));
    }
    let child = command.stdin(input).stdout(output).stderr(errors).spawn();
    let mut child = child.map_err(Failure::Start)?;
    let mut group = Group(child.id().and_then(|id| i32::try_from(id).ok()));
    let ended = tokio::time::timeout(limit, communicate(&mut child, manner.input)).await;
    let (printed, status) = ended.map_err(|_| Failure::Slow(limit))?;
    group.0 = None;
    match status {
        Ok(status) if status.success() => Ok(printed),
        Ok(status) => Err(Failure::Status(status, printed)),
        Err(error) => Err(Failure::Start(error)),
    }
}

/// A process group that is killed when it is dropped.
struct Group(Option<i32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            // It may have ended meanwhile, and not been waited for: the id is still its own.
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

/// Writes a program its input, and reads its output until it has ended. Programs that it has
/// started may keep its output open after that.
async fn communicate(child: &mut Child, input: &str) -> (String, io::Result<ExitStatus>) {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let streams = async {
        let write = async {
            if let Some(mut stdin) = stdin {
                // A program that does not read its input reports the cause in its own way.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        tokio::join!(write, read(stdout, &mut out), read(stderr, &mut err));
    };
    let status = {
        tokio::pin!(streams);
        tokio::select! {
            status = child.wait() => {
                let _ = tokio::time::timeout(LAST_WORDS, streams).await;
                status
            }
            () = &mut streams => child.wait().await,
        }
    };
    out.append(&mut err);
    (String::from_utf8_lossy(&out).into_owned(), status)
}

/// Reads the output of a program, up to a bound; the rest is read and dropped, so that the program
/// does not wait.
async fn read(stream: Option<impl tokio::io::AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut stream) = stream else { return };
    let _ = (&mut stream).take(PRINTED).read_to_end(kept).await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
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

/// A line for the log: without control characters, and not long.
pub(crate) fn plain(line: &str) -> String {
    const LONGEST: usize = 200;
    line.trim().chars().filter(|letter| !letter.is_control()).take(LONGEST).collect()
}

/// The time of day, as other programs on this machine count it.
pub(crate) fn seconds_since_1970() -> u64 {
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
    fn a_command_has_ended_when_it_ends_and_not_when_what_it_started_does() {
        assert_eq!(ran("sleep 20 & echo x", Duration::from_secs(5)).unwrap(), "x\n");
    }

    #[test]
    fn a_slow_command_is_killed_with_what_it_started() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let script = format!("(sleep 1; echo x >{}) & sleep 30", file.path().display());
        assert!(matches!(ran(&script, Duration::from_millis(100)), Err(Failure::Slow(_))));
        std::thread::sleep(Duration::from_millis(1500));
        assert_eq!(std::fs::read_to_string(file.path()).unwrap(), "");
    }

    #[test]
    fn a_command_reads_its_input_or_does_not() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let shell = |script: &str, input: &str| {
            let manner = Manner { input, detached: false };
            let limit = Duration::from_secs(20);
            runtime.block_on(run_as(Path::new("/bin/sh"), &["-c", script], manner, limit)).unwrap()
        };
        assert_eq!(shell("cat", "a b\n"), "a b\n");
        assert_eq!(shell("echo x", &"y".repeat(1_000_000)), "x\n");
    }

    #[test]
    fn a_detached_command_has_nothing_of_our_environment() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let manner = Manner { input: "", detached: true };
        let script = "test -z \"$CARGO_PKG_NAME$HOME\" && test -n \"$PATH\"";
        let limit = Duration::from_secs(20);
        let shell = Path::new("/bin/sh");
        runtime.block_on(run_as(shell, &["-c", script], manner, limit)).unwrap();
    }

    #[test]
    fn a_program_is_found_by_its_path_or_by_its_name() {
        assert_eq!(find(Some("/bin/sh"), "dhcpcd"), Some(PathBuf::from("/bin/sh")));
        assert_eq!(find(Some("/nowhere/sh"), "sh"), None);
        assert!(find(None, "sh").is_some());
        assert_eq!(find(None, "no-such-program"), None);
    }
}
