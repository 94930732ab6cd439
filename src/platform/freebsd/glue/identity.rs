//! What names this machine, and this boot of it.

use std::fs;
use std::io;

use super::super::host_uuid::parse_uuid;
use super::sysctl;

/// Where FreeBSD keeps the UUID of the machine over reinstallations of the kernel.
const HOST_ID: &str = "/etc/hostid";
/// FreeBSD names no boot, and empties this directory at each: what is made there names one.
const BOOT_ID: &str = "/var/run/renumberd.boot";

/// An identifier of this machine that stays over reinstallations of the program, for a DUID-UUID
/// (RFC 6355).
///
/// # Errors
///
/// The system's error; `InvalidData` where the machine has none.
pub fn machine_uuid() -> io::Result<[u8; 16]> {
    let known = sysctl::text("kern.hostuuid").ok().and_then(|text| parse_uuid(&text));
    if let Some(uuid) = known {
        return Ok(uuid);
    }
    parse_uuid(&fs::read_to_string(HOST_ID)?).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("neither kern.hostuuid nor {HOST_ID} holds a UUID: run `service hostid start`"),
        )
    })
}

/// The identifier of this boot; another one means that no kernel state of before is left.
///
/// # Errors
///
/// The system's error.
pub fn boot_id() -> io::Result<String> {
    match fs::read_to_string(BOOT_ID) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut octets = [0; 16];
    getrandom::fill(&mut octets).map_err(io::Error::other)?;
    let id = format!("{:032x}", u128::from_be_bytes(octets));
    fs::write(BOOT_ID, format!("{id}\n"))?;
    Ok(id)
}
