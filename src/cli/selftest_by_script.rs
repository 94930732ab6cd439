//! `renumberd selftest` on FreeBSD: a script builds the site of epair(4) interfaces and VNET jails.
//! Nothing of it has been run by the authors.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;

const SCRIPT: &str = include_str!("../../contrib/freebsd/selftest.sh");

/// Runs the script, which prints line by line what works; whether all does.
///
/// # Errors
///
/// When no shell can be started.
pub(super) fn run(program: &Path) -> anyhow::Result<bool> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SCRIPT, "selftest"]).arg(program).stdin(Stdio::null());
    Ok(command.status().context("/bin/sh")?.success())
}
