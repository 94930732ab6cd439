//! Versions of programs.

use std::cmp::Ordering;
use std::fmt;

/// A version: numbers with dots between them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Version(Vec<u32>);

impl Version {
    /// Before all others.
    pub const UNKNOWN: Self = Self(Vec::new());

    /// The first one in what a program prints.
    pub fn find(text: &str) -> Option<Self> {
        text.split(|letter: char| !(letter.is_ascii_digit() || letter == '.'))
            .map(|word| word.trim_matches('.'))
            .filter(|word| !word.is_empty())
            .find_map(|word| word.split('.').map(|part| part.parse().ok()).collect())
            .map(Self)
    }
}

impl<const N: usize> PartialEq<[u32; N]> for Version {
    fn eq(&self, other: &[u32; N]) -> bool {
        self.0 == *other
    }
}

impl<const N: usize> PartialOrd<[u32; N]> for Version {
    fn partial_cmp(&self, other: &[u32; N]) -> Option<Ordering> {
        Some(self.0.as_slice().cmp(other.as_slice()))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&parts.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_and_compared_by_number() {
        let version = |text| Version::find(text).unwrap();
        assert_eq!(version("dhcpcd 9.4.1\nCopyright (c) 2006-2021").to_string(), "9.4.1");
        assert_eq!(version("systemd 252 (252.39-1~deb12u1)"), [252]);
        assert_eq!(version("Version: 2.19\n"), [2, 19]);
        assert!(version("10.10.0") >= [10, 2] && version("9.4.1") < [10, 2]);
        assert_eq!(Version::find("no number."), None);
    }
}
