//! The keeper clears up: a process beside that outlives the laboratory by a moment.
//!
//! Programs that go into the background outlive the one that started them, and a process that is
//! killed cannot end them. The keeper holds the namespaces, and a directory; when its input ends,
//! however that comes about, it kills what runs in the namespaces and removes the directory.
//! Namespaces have no names: nothing else remains.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use super::namespace::Namespace;

/// The answer once a namespace is held.
const HELD: &str = "held";

/// A running keeper; clears up on drop.
#[derive(Debug)]
pub struct Keeper {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    directory: TempDir,
}

impl Keeper {
    /// Starts one. `program` is the agent's binary, which plays this part, too; `prefix` begins
    /// the name of the directory.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn start(program: &Path, prefix: &str) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix(prefix).tempdir()?;
        let mut command = Command::new(program);
        command.args(["bench-part", "keep"]).arg(directory.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child =
            command.spawn().with_context(|| format!("{} does not start", program.display()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let output = BufReader::new(output.context("the keeper has no output")?);
        Ok(Self { child, input, output, directory })
    }

    /// The directory that it removes.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Has it hold a namespace.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn hold(&mut self, namespace: &Namespace) -> anyhow::Result<()> {
        let input = self.input.as_mut().context("the keeper has no input")?;
        writeln!(input, "{}", namespace.path().display()).context("the keeper has ended")?;
        let mut answer = String::new();
        self.output.read_line(&mut answer).context("the keeper has ended")?;
        ensure!(answer.trim() == HELD, "the keeper does not answer");
        Ok(())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// Plays the keeper: holds the namespaces that its input names until that ends, and clears up then.
///
/// # Errors
///
/// When a process cannot be ended, or a file cannot be removed.
pub fn play(directory: &Path) -> anyhow::Result<()> {
    let mut held = Vec::new();
    for path in std::io::stdin().lines().map_while(Result::ok) {
        held.push(Namespace::open(Path::new(&path))?);
        // The laboratory may have ended: the end of the input shows that next.
        let _ = writeln!(std::io::stdout(), "{HELD}");
    }
    let mut ended = Ok(());
    for namespace in &held {
        // Each is tried, whatever becomes of the others.
        let of_this = namespace.end_processes();
        ended = ended.and(of_this);
    }
    fs::remove_dir_all(directory).with_context(|| format!("{} stays", directory.display()))?;
    Ok(ended?)
}
