//! Programs that tests write, and then run or have run.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes an executable file, in the place of one that is there.
///
/// Another process does it: a file that this process has open for writing is open as well in each
/// child that another test begins at that moment, and cannot be run until that child runs its own
/// program ("Text file busy").
pub(crate) fn write(path: &Path, text: &str) {
    let mut command = Command::new("sh");
    command.args(["-ec", "cat >\"$0\".new; chmod 755 \"$0\".new; mv -f \"$0\".new \"$0\""]);
    let mut writer = command.arg(path).stdin(Stdio::piped()).spawn().unwrap();
    writer.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success(), "{} cannot be written", path.display());
}
