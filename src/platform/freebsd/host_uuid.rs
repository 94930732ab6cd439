//! The UUID of a machine as text, which FreeBSD keeps in `kern.hostuuid` and /etc/hostid.

/// The octets of a UUID with its hyphens (RFC 9562 §4); none where the text is none, or the UUID is
/// that of no machine: all zeros, or all ones.
pub fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    let text = text.trim_matches(|end: char| end == '\0' || end.is_whitespace());
    let has_form = text.len() == 36
        && text.bytes().enumerate().all(|(at, octet)| {
            if HYPHENS.contains(&at) { octet == b'-' } else { octet.is_ascii_hexdigit() }
        });
    let digits: String = text.chars().filter(|digit| *digit != '-').collect();
    let uuid = u128::from_str_radix(&digits, 16).ok().filter(|_| has_form)?;
    (uuid != 0 && uuid != u128::MAX).then(|| uuid.to_be_bytes())
}
