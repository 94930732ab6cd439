//! Programs of other people: where they are, and which packages bring them.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::bail;

/// Programs for routers are here, where the search path of other users than root does not lead.
const MORE: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// A program and the Debian package that brings it.
pub type Packaged = (&'static str, &'static str);

/// Where programs are looked for.
pub fn path() -> OsString {
    let own = env::var_os("PATH").unwrap_or_default();
    let all: Vec<PathBuf> = env::split_paths(&own).chain(MORE.map(PathBuf::from)).collect();
    // One with a colon in its name cannot have been in the variable.
    env::join_paths(all).unwrap_or(own)
}

/// Makes sure that all of them are there.
///
/// # Errors
///
/// Names those that are missing, and the packages that bring them.
pub fn require(what: &str, programs: &[Packaged]) -> anyhow::Result<()> {
    let path = path();
    let is_there =
        |name: &str| env::split_paths(&path).any(|directory| is_program(&directory.join(name)));
    let missing: Vec<&Packaged> = programs.iter().filter(|(name, _)| !is_there(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|(name, _)| *name).collect();
    let mut packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    bail!(
        "{what} needs {}, which this machine does not have: on Debian, \
         apt-get install --no-install-recommends {}",
        names.join(", "),
        packages.join(" ")
    );
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_programs_are_named_with_their_packages() {
        let wanted = [("sh", "dash"), ("no-such-b", "two"), ("no-such-a", "one"), ("no-c", "two")];
        assert_eq!(
            require("this", &wanted).unwrap_err().to_string(),
            "this needs no-such-b, no-such-a, no-c, which this machine does not have: on Debian, \
             apt-get install --no-install-recommends one two"
        );
        assert!(require("this", &wanted[..1]).is_ok());
    }
}
