//! Domain names as uncompressed labels (RFC 1035 §3.1), as RFC 8106 and RFC 3646 carry them.
//!
//! Names come from the network and end up in logs and in the environment of hooks, so that only
//! letters, digits, hyphens and underscores stand for themselves; every other octet of a label is
//! written as `\DDD`, its decimal value in three digits (RFC 1035 §5.1).

use super::DecodeError;
use super::cursor::Cursor;

/// The longest label (RFC 1035 §2.3.4).
const MAX_LABEL_LEN: usize = 63;
/// The longest name on the wire (RFC 1035 §2.3.4) without the zero octet that ends it.
const MAX_LABELS_LEN: usize = 254;

/// Decodes names until the octets end; zero octets between or behind names are padding.
///
/// # Errors
///
/// [`DecodeError::DomainName`] for a compression pointer, a label that runs past the end, or a
/// name over 255 octets.
pub fn decode_names(octets: &[u8]) -> Result<Vec<String>, DecodeError> {
    let mut rest = Cursor::new(octets);
    let mut names = Vec::new();
    while !rest.is_empty() {
        let name = decode_name(&mut rest)?;
        // The root has no use as a search domain, and on the wire it looks like padding.
        if !name.is_empty() {
            names.push(name);
        }
    }
    Ok(names)
}

fn decode_name(rest: &mut Cursor<'_>) -> Result<String, DecodeError> {
    let mut text = String::new();
    let mut room = MAX_LABELS_LEN;
    loop {
        let label_len = usize::from(rest.u8().map_err(|_| DecodeError::DomainName)?);
        if label_len == 0 {
            return Ok(text);
        }
        // The two high bits mark a compression pointer, or a label type that is not in use.
        if label_len > MAX_LABEL_LEN {
            return Err(DecodeError::DomainName);
        }
        let label = rest.take(label_len).map_err(|_| DecodeError::DomainName)?;
        room = room
            .checked_sub(label_len)
            .and_then(|room| room.checked_sub(1))
            .ok_or(DecodeError::DomainName)?;
        if !text.is_empty() {
            text.push('.');
        }
        for &octet in label {
            if is_plain(octet) {
                text.push(char::from(octet));
            } else {
                text.push_str(&format!("\\{octet:03}"));
            }
        }
    }
}

/// Encodes names as uncompressed labels, without padding.
///
/// # Errors
///
/// [`DecodeError::DomainName`] for an empty label, one over 63 octets, a name over 255, or a
/// character that [`decode_names`] would not write.
pub fn encode_names(names: &[String]) -> Result<Vec<u8>, DecodeError> {
    let mut octets = Vec::new();
    for name in names {
        let mut labels = Vec::new();
        for label in name.split('.') {
            let label = encode_label(label)?;
            let label_len = u8::try_from(label.len()).map_err(|_| DecodeError::DomainName)?;
            labels.push(label_len);
            labels.extend(label);
        }
        if labels.len() > MAX_LABELS_LEN {
            return Err(DecodeError::DomainName);
        }
        octets.extend(labels);
        octets.push(0);
    }
    Ok(octets)
}

fn encode_label(text: &str) -> Result<Vec<u8>, DecodeError> {
    let mut label = Vec::new();
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => break,
            [b'\\', digits @ ..] => {
                let (digits, rest) = digits.split_first_chunk().ok_or(DecodeError::DomainName)?;
                label.push(decimal(*digits).ok_or(DecodeError::DomainName)?);
                rest
            }
            [octet, rest @ ..] if is_plain(*octet) => {
                label.push(*octet);
                rest
            }
            [_, ..] => return Err(DecodeError::DomainName),
        }
    }
    if (1..=MAX_LABEL_LEN).contains(&label.len()) {
        Ok(label)
    } else {
        Err(DecodeError::DomainName)
    }
}

const fn is_plain(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_')
}

fn decimal(digits: [u8; 3]) -> Option<u8> {
    digits.iter().try_fold(0_u8, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    /// RFC 1035 §3.1, RFC 8106 §5.2.
    #[test]
    fn names_are_read_and_written() {
        let cases: [(&[u8], &[&str]); 4] = [
            (b"", &[]),
            (b"\x03lan\0", &["lan"]),
            (b"\x04home\x04arpa\0\x03lan\0", &["home.arpa", "lan"]),
            (b"\x04_tcp\x03X-1\0", &["_tcp.X-1"]),
        ];
        for (octets, text) in cases {
            assert_eq!(decode_names(octets), Ok(names(text)));
            assert_eq!(encode_names(&names(text)).as_deref(), Ok(octets));
        }
    }

    /// RA-RX-64: padding.
    #[test]
    fn zero_octets_between_and_behind_names_are_padding() {
        let octets = b"\0\x01a\0\0\0\x01b\0\0\0\0";
        assert_eq!(decode_names(octets), Ok(names(&["a", "b"])));
        assert_eq!(decode_names(&[0; 8]), Ok(Vec::new()));
    }

    /// RA-RX-64, SEC-07.
    #[test]
    fn a_name_that_is_not_plain_labels_is_refused() {
        let cases: [(&str, &[u8]); 6] = [
            ("pointer to itself", b"\xc0\x00"),
            ("pointer behind a label", b"\x03lan\xc0\x00"),
            ("reserved label type", b"\x40a\0"),
            ("label of 64 octets", &[64; 70]),
            ("label past the end", b"\x05lan\0"),
            ("not terminated", b"\x03lan"),
        ];
        for (name, octets) in cases {
            assert_eq!(decode_names(octets), Err(DecodeError::DomainName), "{name}");
        }
    }

    #[test]
    fn a_name_has_255_octets_at_most() {
        let longest = [&[63; 64][..], &[63; 64], &[63; 64], &[61; 62], &[0]].concat();
        let decoded = decode_names(&longest).unwrap();
        assert_eq!(longest.len(), 255);
        assert_eq!(encode_names(&decoded), Ok(longest));

        let over = [&[63; 64][..], &[63; 64], &[63; 64], &[62; 63], &[0]].concat();
        assert_eq!(decode_names(&over), Err(DecodeError::DomainName));
        let label = "a".repeat(63);
        let over = [label.as_str(), &label, &label, &"a".repeat(62)].join(".");
        assert_eq!(encode_names(&[over]), Err(DecodeError::DomainName));
    }

    /// SEC-14: what a router puts into a label can neither end a log line nor reach a shell.
    #[test]
    fn decoded_names_are_safe_to_log_and_to_hand_to_a_hook() {
        let octets = b"\x04$(x)\x03a.b\x02\x1b\n\x02\xc3\xa4\x01\\\0";
        let text = r"\036\040x\041.a\046b.\027\010.\195\164.\092";
        assert_eq!(decode_names(octets), Ok(names(&[text])));
        assert_eq!(encode_names(&names(&[text])).as_deref(), Ok(&octets[..]));
    }

    #[test]
    fn text_that_is_no_name_is_not_encoded() {
        let label = "a".repeat(64);
        for name in ["", ".", "a.", ".a", "a..b", "a b", "ä", r"\", r"\1", r"\256", r"\+12", &label]
        {
            assert_eq!(encode_names(&names(&[name])), Err(DecodeError::DomainName), "{name}");
        }
    }
}
