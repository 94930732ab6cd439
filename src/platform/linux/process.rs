//! Processes of others.

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
    // The state was the third.
    let start = fields.nth(START - 4)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(start)
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
