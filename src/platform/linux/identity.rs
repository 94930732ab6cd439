//! What names this machine, and this boot of it.

use std::fs;
use std::io;

use sha2::{Digest, Sha256};

const MACHINE_ID: &str = "/etc/machine-id";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// An identifier of this machine that stays over reinstallations of the program, for a DUID-UUID
/// (RFC 6355).
///
/// # Errors
///
/// The system's error; `InvalidData` where the file is not set up.
pub fn machine_uuid() -> io::Result<[u8; 16]> {
    parse_machine_id(&fs::read_to_string(MACHINE_ID)?).map(derive_uuid).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{MACHINE_ID} holds no machine id"))
    })
}

/// The identifier of this boot; another one means that no kernel state of before is left.
///
/// # Errors
///
/// The system's error.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string(BOOT_ID)?.trim().to_owned())
}

/// The 16 octets behind 32 hexadecimal digits (machine-id(5)); a new image says "uninitialized".
fn parse_machine_id(text: &str) -> Option<[u8; 16]> {
    let text = text.trim_end();
    let digits = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let id = u128::from_str_radix(text, 16).ok().filter(|id| digits && *id != 0)?;
    Some(id.to_be_bytes())
}

/// A UUID that belongs to this program: machine-id(5) wants the id itself kept from the network.
fn derive_uuid(machine_id: [u8; 16]) -> [u8; 16] {
    let hash =
        Sha256::new().chain_update(machine_id).chain_update(b"renumberd DUID-UUID").finalize();
    let mut uuid = [0; 16];
    for (octet, hashed) in uuid.iter_mut().zip(hash) {
        *octet = hashed;
    }
    // Version 8, made by an application's own rules, and the variant (RFC 9562 §5.8).
    uuid[6] = uuid[6] & 0x0f | 0x80;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_machine_id_is_one() {
        let cases = [
            ("000102030405060708090a0b0c0d0e0f\n", true),
            ("000102030405060708090a0b0c0d0e0f", true),
            ("", false),
            ("uninitialized\n", false),
            ("00000000000000000000000000000000\n", false),
            ("+00102030405060708090a0b0c0d0e0f\n", false),
            ("000102030405060708090a0b0c0d0e\n", false),
        ];
        for (text, whole) in cases {
            assert_eq!(parse_machine_id(text).is_some(), whole, "{text:?}");
        }
    }

    /// STO-01: the DUID may not change from one version of the program to the next.
    #[test]
    fn the_uuid_is_stable_and_does_not_show_the_machine_id() {
        let id = parse_machine_id("000102030405060708090a0b0c0d0e0f").unwrap();
        assert_eq!(id[15], 15);
        let expected = 0x8d8a_69c5_613c_8153_a4fd_6646_f680_539c;
        assert_eq!(u128::from_be_bytes(derive_uuid(id)), expected);
    }
}
