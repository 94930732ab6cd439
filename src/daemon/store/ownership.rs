//! The record of the addresses that the agent added in this boot, for kernels that cannot mark them
//! (before 5.18): after a crash they are recognized, and no address of another program is taken for
//! ours.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::Ipv6Addr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::file::LineFile;
use crate::core::kernel::system::System;
use crate::net::IfIndex;
use crate::time::Instant;

const NAME: &str = "owned.jsonl";
const MIN_LINES: usize = 256;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    Boot(String),
    Owned(IfIndex, Ipv6Addr),
    Gone(IfIndex, Ipv6Addr),
}

/// The addresses that are ours.
#[derive(Debug)]
pub struct Ownership {
    file: LineFile,
    boot_id: String,
    owned: BTreeSet<(IfIndex, Ipv6Addr)>,
    lines: usize,
    /// The addresses of an earlier run have not been compared with the kernel's yet.
    is_of_earlier: bool,
}

impl Ownership {
    /// Opens the record in `dir`; one of another boot is void. Also returns a complaint.
    pub fn open(dir: &Path, now: Instant, boot_id: &str) -> (Self, Option<String>) {
        let (file, octets, unread) = LineFile::open(dir, NAME);
        let mut owned = BTreeSet::new();
        let lines = octets.split(|octet| *octet == b'\n');
        let mut lines = lines.filter_map(|line| serde_json::from_slice(line).ok());
        if matches!(lines.next(), Some(Line::Boot(boot)) if boot == boot_id) {
            for line in lines {
                match line {
                    Line::Owned(interface, address) => {
                        owned.insert((interface, address));
                    }
                    Line::Gone(interface, address) => {
                        owned.remove(&(interface, address));
                    }
                    Line::Boot(_) => {}
                }
            }
        }
        let boot_id = boot_id.to_owned();
        let mut ownership = Self { file, boot_id, owned, lines: 0, is_of_earlier: true };
        let complaint = ownership.compact(now);
        (ownership, unread.or(complaint))
    }

    /// Marks the recorded addresses in `system` as ours. An interface that came back has another
    /// number, and none of its earlier addresses.
    pub fn mark(&self, system: &mut System) {
        for key in &self.owned {
            if let Some(address) = system.addresses.get_mut(key) {
                address.ours = true;
            }
        }
    }

    /// Whether an address is recorded.
    pub fn contains(&self, interface: IfIndex, address: Ipv6Addr) -> bool {
        self.owned.contains(&(interface, address))
    }

    /// Records an address that is about to be added: written, not synced, for the kernel's state
    /// does not outlive the machine either.
    pub fn own(&mut self, now: Instant, interface: IfIndex, address: Ipv6Addr) -> Option<String> {
        if !self.owned.insert((interface, address)) {
            return None;
        }
        self.append(now, &Line::Owned(interface, address))
    }

    /// Removes an address from the record.
    pub fn disown(
        &mut self,
        now: Instant,
        interface: IfIndex,
        address: Ipv6Addr,
    ) -> Option<String> {
        if !self.owned.remove(&(interface, address)) {
            return None;
        }
        self.append(now, &Line::Gone(interface, address))
    }

    /// Removes, once, those addresses of an earlier run that are not in `system`: the kernel has
    /// ended them meanwhile. Returns them, and a complaint.
    pub fn strike_absent(
        &mut self,
        now: Instant,
        system: &System,
    ) -> (Vec<(IfIndex, Ipv6Addr)>, Option<String>) {
        if !std::mem::take(&mut self.is_of_earlier) {
            return (Vec::new(), None);
        }
        let absent = self.owned.iter().filter(|key| !system.addresses.contains_key(key));
        let absent: Vec<_> = absent.copied().collect();
        let complaints = absent.iter().filter_map(|key| self.disown(now, key.0, key.1));
        let complaint = complaints.last();
        (absent, complaint)
    }

    fn append(&mut self, now: Instant, line: &Line) -> Option<String> {
        if self.file.is_behind() || self.file.is_blocked() {
            return self.retry(now);
        }
        self.lines = self.lines.saturating_add(1);
        if self.lines > MIN_LINES && self.lines / 4 > self.owned.len() {
            return self.compact(now);
        }
        self.file.append(now, text(line).as_bytes())
    }

    /// Writes missing lines, if the disk may be tried again.
    pub fn retry(&mut self, now: Instant) -> Option<String> {
        (self.file.is_behind() && self.file.is_usable(now)).then(|| self.compact(now)).flatten()
    }

    /// When [`retry`](Self::retry) has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.file.deadline()
    }

    fn compact(&mut self, now: Instant) -> Option<String> {
        let mut whole = text(&Line::Boot(self.boot_id.clone()));
        for (interface, address) in &self.owned {
            whole.push_str(&text(&Line::Owned(*interface, *address)));
        }
        if self.file.is_blocked() {
            return None;
        }
        let paths = self.file.paths();
        let written = paths.create().and_then(|mut file| {
            file.write_all(whole.as_bytes())?;
            paths.rename()?;
            Ok(file)
        });
        match written {
            Ok(file) => {
                self.lines = self.owned.len();
                self.file.replaced_by(file);
                None
            }
            Err(error) => {
                paths.discard();
                self.file.outcome(now, Err(error))
            }
        }
    }
}

fn text(line: &Line) -> String {
    serde_json::to_string(line).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_secs(1000);
    const LAN: IfIndex = IfIndex(3);

    #[test]
    fn owned_addresses_are_known_after_a_crash_and_void_after_a_reboot() {
        let dir = tempfile::tempdir().unwrap();
        let kept: Ipv6Addr = "2001:db8::1".parse().unwrap();
        let gone: Ipv6Addr = "2001:db8::2".parse().unwrap();
        let (mut record, complaint) = Ownership::open(dir.path(), NOW, "boot 1");
        assert_eq!(complaint, None);
        record.own(NOW, LAN, kept);
        record.own(NOW, LAN, gone);
        record.disown(NOW, LAN, gone);
        let (again, _) = Ownership::open(dir.path(), NOW, "boot 1");
        assert!(again.contains(LAN, kept) && !again.contains(LAN, gone));
        let (rebooted, _) = Ownership::open(dir.path(), NOW, "boot 2");
        assert!(!rebooted.contains(LAN, kept));
    }

    #[test]
    fn addresses_that_have_ended_meanwhile_are_removed_once() {
        let dir = tempfile::tempdir().unwrap();
        let address: Ipv6Addr = "2001:db8::1".parse().unwrap();
        let (mut record, _) = Ownership::open(dir.path(), NOW, "boot 1");
        record.own(NOW, LAN, address);
        let (mut again, _) = Ownership::open(dir.path(), NOW, "boot 1");
        let absent = again.strike_absent(NOW, &System::default());
        assert_eq!(absent, (vec![(LAN, address)], None));
        assert!(!again.contains(LAN, address));
        again.own(NOW, LAN, address);
        assert_eq!(again.strike_absent(NOW, &System::default()), (Vec::new(), None));
        assert!(again.contains(LAN, address), "it is about to be set by this run");
    }

    #[test]
    fn the_record_does_not_grow_without_bound() {
        let dir = tempfile::tempdir().unwrap();
        let address: Ipv6Addr = "2001:db8::1".parse().unwrap();
        let (mut record, _) = Ownership::open(dir.path(), NOW, "boot 1");
        for _ in 0..5000 {
            record.own(NOW, LAN, address);
            record.disown(NOW, LAN, address);
        }
        let text = std::fs::read_to_string(dir.path().join(NAME)).unwrap();
        assert!(text.lines().count() <= MIN_LINES + 2);
    }
}
