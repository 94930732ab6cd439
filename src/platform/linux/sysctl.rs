//! The interface settings below `/proc/sys/net/ipv6/conf`.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

use crate::core::output::Sysctl;

const SETTINGS: &str = "/proc/sys/net/ipv6/conf";

/// Reads a setting of an interface; none where the interface is gone or the value is no number.
pub fn read_sysctl(interface: &str, name: Sysctl) -> Option<i32> {
    fs::read_to_string(path(interface, name.file())?).ok()?.trim().parse().ok()
}

/// Sets a value; it is no error if the interface is gone.
///
/// # Errors
///
/// The system's error: EINVAL for a value out of range, EROFS or EACCES in containers.
pub fn write_sysctl(interface: &str, name: Sysctl, value: i32) -> io::Result<()> {
    let path = path(interface, name.file()).ok_or(io::ErrorKind::InvalidInput)?;
    let written = fs::OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(value.to_string().as_bytes()));
    match written {
        // The interface may also vanish between opening and writing.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Whether the kernel follows router advertisements on an interface: those that are members of a
/// bridge or a bond have no addresses of their own.
pub fn accepts_advertisements(interface: &str) -> bool {
    let value = |file| -> Option<i32> {
        fs::read_to_string(path(interface, file)?).ok()?.trim().parse().ok()
    };
    let is_member = PathBuf::from(format!("/sys/class/net/{interface}/master")).exists();
    let is_on = value("disable_ipv6") == Some(0) && !is_member;
    is_on
        && match value("accept_ra") {
            Some(1) => value("forwarding") == Some(0),
            value => value.is_some_and(|value| value > 1),
        }
}

/// Whether the machine forwards IPv6.
///
/// # Errors
///
/// The system's error; `NotFound` where IPv6 is off.
pub(super) fn forwarding() -> io::Result<bool> {
    Ok(fs::read_to_string(format!("{SETTINGS}/all/forwarding"))?.trim() != "0")
}

/// The setting's file; none for a name that no interface can have, as it could lead out of the
/// directory.
fn path(interface: &str, file: &str) -> Option<PathBuf> {
    let name = !matches!(interface, "" | "." | "..") && !interface.contains('/');
    name.then(|| PathBuf::from(format!("{SETTINGS}/{interface}/{file}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_name_cannot_lead_elsewhere() {
        for name in ["", ".", "..", "../../kernel", "a/b"] {
            assert_eq!(path(name, "mtu"), None, "{name}");
        }
        assert!(path("eth0.100", "mtu").is_some());
    }
}
