//! Processes of others.

use std::collections::BTreeMap;
use std::fs;

/// When the process with this id was started, in the kernel's ticks since boot; none where there
/// is none, or only what its parent has not taken notice of.
pub fn process_start(pid: u32) -> Option<u64> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads a line of proc(5). The name in the second field may hold anything, brackets too.
fn parse_stat(stat: &str) -> Option<u64> {
    const START: usize = 22;
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_whitespace();
    let state = fields.next()?;
    // The state was the third field.
    let start = fields.nth(START - 4)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(start)
}

/// All processes.
pub(super) fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Processes that have these sockets open, by inode, as far as they can be seen.
pub(super) fn sockets_of_processes(inodes: &[u64]) -> BTreeMap<u64, u32> {
    let mut holders = BTreeMap::new();
    for pid in pids() {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
        for file in files.flatten() {
            let Ok(target) = fs::read_link(file.path()) else { continue };
            let inode = target.to_str().and_then(|text| {
                text.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok()
            });
            if let Some(inode) = inode.filter(|inode| inodes.contains(inode)) {
                holders.insert(inode, pid);
            }
        }
    }
    holders
}

/// The effective capabilities of a process by its status (capabilities(7)).
pub(super) fn capabilities(status: &str) -> Option<u64> {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(effective.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_found_behind_any_name() {
        let behind = "1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 100 200";
        assert_eq!(parse_stat(&format!("7 (a) S {behind}")), Some(4242));
        assert_eq!(parse_stat(&format!("7 (a) b) (c) R {behind}")), Some(4242));
        assert_eq!(parse_stat(&format!("7 (a) Z {behind}")), None);
        for broken in ["", "7 (a", "7 (a) S", "7 (a) S 1 2 3"] {
            assert_eq!(parse_stat(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn this_process_has_a_start() {
        let own = process_start(std::process::id());
        assert!(own.is_some_and(|start| start > 0));
        assert_eq!(process_start(u32::MAX), None);
    }
}
