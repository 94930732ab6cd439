//! What the tests of this folder share.

use ipnet::Ipv6Net;

/// Octets written in hex. Blanks mean nothing, and what follows a bar in a line is a remark.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text
        .lines()
        .flat_map(|line| line.split('|').next().unwrap().chars())
        .filter(|c| !c.is_whitespace())
        .collect();
    assert_eq!(digits.len() % 2, 0, "an odd number of digits: {text}");
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
        .collect()
}

/// A prefix, kept as it is written.
pub(super) fn net(text: &str) -> Ipv6Net {
    text.parse().unwrap()
}
