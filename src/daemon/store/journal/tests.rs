use super::*;

const NOW: Instant = Instant::from_secs(1000);
const WALL: Duration = Duration::from_secs(1_800_000_000);

fn promise(prefix: &str, until: u64) -> Record {
    Record::Advertised {
        downlink: "lan0".to_owned(),
        prefix: prefix.parse().unwrap(),
        is_route: false,
        until: Until::At(Instant::from_secs(until)),
    }
}

/// Takes in a record, and writes it.
fn append(journal: &mut Journal, record: Record, now: Instant) -> Option<String> {
    journal.append(record, now, WALL).or_else(|| journal.write(now))
}

fn write(dir: &Path, records: &[Record]) {
    let (mut journal, _, complaints) = Journal::open(dir, NOW, WALL, "boot 1");
    assert!(complaints.is_empty(), "{complaints:?}");
    for record in records {
        assert_eq!(append(&mut journal, record.clone(), NOW), None);
    }
}

fn ends(memory: &Memory) -> Vec<Until> {
    memory.advertised.values().flat_map(|promises| promises.prefixes.values().copied()).collect()
}

#[test]
fn written_records_are_read_on_the_same_boot() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[promise("2001:db8:a::/64", 1500), promise("2001:db8:a::/64", 1600)]);
    let (_, memory, _) = Journal::open(dir.path(), NOW, WALL, "boot 1");
    assert_eq!(ends(&memory), [Until::At(Instant::from_secs(1600))]);
}

/// STO-10: by wall time after a reboot, and never longer than what was left.
#[test]
fn instants_move_to_the_clock_of_another_boot() {
    for (passed, left) in [(100, 500), (0, 600)] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[promise("2001:db8:a::/64", 1600)]);
        let wall = WALL + Duration::from_secs(passed);
        let now = Instant::from_secs(20);
        let (_, memory, _) = Journal::open(dir.path(), now, wall, "boot 2");
        assert_eq!(ends(&memory), [Until::At(Instant::from_secs(20 + left))]);
    }
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[promise("2001:db8:a::/64", 1600)]);
    let in_1970 = Duration::from_secs(5);
    let (_, memory, _) = Journal::open(dir.path(), Instant::from_secs(20), in_1970, "boot 2");
    assert_eq!(ends(&memory), [Until::At(Instant::from_secs(620))]);
}

/// STO-08
#[test]
fn a_file_cut_anywhere_is_read_as_far_as_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[promise("2001:db8:a::/64", 1600), promise("2001:db8:b::/64", 1700)]);
    let whole = std::fs::read(dir.path().join(NAME)).unwrap();
    for length in 0..whole.len() {
        let cut = tempfile::tempdir().unwrap();
        std::fs::write(cut.path().join(NAME), &whole[..length]).unwrap();
        let (_, memory, complaints) = Journal::open(cut.path(), NOW, WALL, "boot 1");
        assert!(complaints.len() <= 1, "{length}: {complaints:?}");
        assert!(ends(&memory).len() <= 2);
    }
}

#[test]
fn a_file_of_the_future_is_kept_aside() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(NAME), "{\"renumberd-memory\":9}\n").unwrap();
    let (_, memory, complaints) = Journal::open(dir.path(), NOW, WALL, "boot 1");
    assert_eq!((memory, complaints.len()), (Memory::default(), 1));
    assert!(dir.path().join("memory.jsonl.unknown").exists());
}

/// STO-11
#[test]
fn the_file_does_not_grow_without_bound() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, ..) = Journal::open(dir.path(), NOW, WALL, "boot 1");
    for step in 0..5000 {
        append(&mut journal, promise("2001:db8:a::/64", 2000 + step), NOW);
        keep_small(&mut journal);
    }
    let text = std::fs::read_to_string(dir.path().join(NAME)).unwrap();
    assert!(text.lines().count() <= MIN_LINES + 1);
}

/// STO-09
#[test]
fn a_disk_that_takes_nothing_costs_one_complaint() {
    let missing = Path::new("/nonexistent/renumberd");
    let (mut journal, _, complaints) = Journal::open(missing, NOW, WALL, "boot 1");
    assert_eq!(complaints.len(), 1);
    for step in 0..100 {
        let now = Instant::from_secs(1000 + 30 * step);
        assert_eq!(append(&mut journal, promise("2001:db8:a::/64", 9000), now), None);
        assert_eq!(journal.trouble(), Some(complaints[0].as_str()));
    }
}

/// SEC-13
#[test]
fn the_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[Record::Secret { secret: [7; 32] }]);
    let mode = std::fs::metadata(dir.path().join(NAME)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// Does what the loop and its threads do between records.
fn keep_small(journal: &mut Journal) {
    if let Some(snapshot) = journal.begin_snapshot(NOW, WALL, false) {
        assert_eq!(journal.end_snapshot(NOW, snapshot.write()), None);
    }
    sync(journal, NOW);
}

fn sync(journal: &mut Journal, now: Instant) -> Option<String> {
    let synced = journal.take_unsynced()?.sync();
    journal.end_sync(now, synced)
}

fn remembered(dir: &Path) -> Vec<String> {
    let (_, memory, complaints) = Journal::open(dir, NOW, WALL, "boot 1");
    assert!(complaints.is_empty(), "{complaints:?}");
    let advertised = memory.advertised.values();
    advertised.flat_map(|all| all.prefixes.keys().map(ToString::to_string)).collect()
}

fn number(number: u64) -> Record {
    promise(&format!("2001:db8:{number:x}::/64"), 9000)
}

/// STO-08: killed at any instant, the file has every record that was appended, also those that
/// came while it was written anew.
#[test]
fn nothing_is_lost_while_the_file_is_written_anew() {
    for killed_after in 0..6 {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, ..) = Journal::open(dir.path(), NOW, WALL, "boot 1");
        for _ in 0..MIN_LINES + 10 {
            append(&mut journal, number(1), NOW);
        }
        let mut snapshot = None;
        let mut written = None;
        let mut synced = None;
        let mut count = 1;
        for stage in 0..killed_after {
            match stage {
                0 => snapshot = journal.begin_snapshot(NOW, WALL, false),
                1 => written = snapshot.take().map(Snapshot::write),
                2 => assert_eq!(journal.end_snapshot(NOW, written.take().unwrap()), None),
                3 => synced = journal.take_unsynced().map(Unsynced::sync),
                _ => {
                    let synced = synced.take().unwrap();
                    assert_eq!(journal.end_sync(NOW, synced), None);
                }
            }
            count += 1;
            append(&mut journal, number(count), NOW);
        }
        // What is killed says nothing any more; what was written stays.
        let copy = tempfile::tempdir().unwrap();
        std::fs::copy(dir.path().join(NAME), copy.path().join(NAME)).unwrap();
        let known = remembered(copy.path());
        assert_eq!(known.len() as u64, count, "killed after {killed_after}: {known:?}");
        drop(journal);
        assert_eq!(remembered(dir.path()).len() as u64, count);
    }
}

/// A line that could be read once more is not thrown away.
#[test]
fn lines_that_are_not_understood_are_kept_aside() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[promise("2001:db8:a::/64", 1600)]);
    let path = dir.path().join(NAME);
    let mut whole = std::fs::read(&path).unwrap();
    whole.extend(b"{\"boot\":\"of a later version\"}\n\xff\xfe\n");
    std::fs::write(&path, &whole).unwrap();
    let (_, memory, complaints) = Journal::open(dir.path(), NOW, WALL, "boot 1");
    assert_eq!(ends(&memory).len(), 1);
    assert!(complaints[0].contains("2 lines") && complaints.len() == 1, "{complaints:?}");
    assert_eq!(std::fs::read(dir.path().join("memory.jsonl.damaged")).unwrap(), whole);
    let (_, _, complaints) = Journal::open(dir.path(), NOW, WALL, "boot 1");
    assert!(complaints.is_empty(), "the file is sound again: {complaints:?}");
}

/// Only what is not there is empty. A directory in the place of the file is what root cannot read.
#[test]
fn unreadable_files_are_kept_aside() {
    let dir = tempfile::tempdir().unwrap();
    for aside in ["memory.jsonl.unreadable", "memory.jsonl.unreadable.1"] {
        let _ = std::fs::remove_file(dir.path().join(NAME));
        std::fs::create_dir(dir.path().join(NAME)).unwrap();
        let (mut journal, memory, complaints) = Journal::open(dir.path(), NOW, WALL, "boot 1");
        assert_eq!((memory, complaints.len()), (Memory::default(), 1), "{complaints:?}");
        assert!(complaints[0].contains(aside), "{complaints:?}");
        assert!(dir.path().join(aside).is_dir());
        assert_eq!(append(&mut journal, number(1), NOW), None);
        assert_eq!(remembered(dir.path()).len(), 1);
    }
}

/// STO-09: what is owed is written by itself when there is room again.
#[test]
fn missing_lines_are_written_within_a_minute() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("state");
    let (mut journal, _, complaints) = Journal::open(&below, NOW, WALL, "boot 1");
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert_eq!(append(&mut journal, number(1), NOW), None, "said once");
    let next = journal.deadline().unwrap();
    assert!(next <= NOW + Duration::from_secs(60));
    assert!(journal.begin_snapshot(NOW, WALL, false).is_none());
    // Nothing has changed.
    let snapshot = journal.begin_snapshot(next, WALL, false).unwrap();
    assert_eq!(journal.end_snapshot(next, snapshot.write()), None);
    let next = journal.deadline().unwrap();
    assert!(journal.trouble().is_some());
    std::fs::create_dir(&below).unwrap();
    let snapshot = journal.begin_snapshot(next, WALL, false).unwrap();
    assert_eq!(journal.end_snapshot(next, snapshot.write()), None);
    assert_eq!(sync(&mut journal, next), None);
    assert_eq!((journal.deadline(), journal.trouble()), (None, None));
    assert_eq!(append(&mut journal, number(2), next), None);
    assert_eq!(remembered(&below).len(), 2);
}

/// While there is other work the file is not written anew until it is much longer than it needs to be.
#[test]
fn a_crowded_file_is_written_anew_when_there_is_nothing_else_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, ..) = Journal::open(dir.path(), NOW, WALL, "boot 1");
    let append_until = |lines: usize, journal: &mut Journal| {
        let mut next = 0;
        while journal.lines < lines {
            append(journal, number(next % 64), NOW);
            next += 1;
        }
    };
    append_until(MIN_LINES + 64, &mut journal);
    assert!(journal.begin_snapshot(NOW, WALL, true).is_none());
    append_until(64 * MOST_WHILE_BUSY, &mut journal);
    assert!(journal.begin_snapshot(NOW, WALL, true).is_some());
}

/// A file that cannot be written anew for want of room for two is appended to all the same.
#[test]
fn a_file_that_cannot_be_written_anew_is_still_appended_to() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, ..) = Journal::open(dir.path(), NOW, WALL, "boot 1");
    for _ in 0..MIN_LINES + 10 {
        append(&mut journal, number(1), NOW);
    }
    drop(journal.begin_snapshot(NOW, WALL, false).unwrap());
    let full = io::Error::from_raw_os_error(libc::ENOSPC);
    assert_eq!(journal.end_snapshot(NOW, Err(full)), None);
    assert!(journal.begin_snapshot(NOW, WALL, false).is_none(), "not at once");
    assert_eq!(append(&mut journal, number(2), NOW), None);
    assert_eq!(remembered(dir.path()).len(), 2);
}

/// The system forgets what it could not bring to disk: the next sync would say that all is well.
#[test]
fn after_a_sync_that_failed_all_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, ..) = Journal::open(dir.path(), NOW, WALL, "boot 1");
    assert_eq!(append(&mut journal, number(1), NOW), None);
    drop(journal.take_unsynced());
    let failed = Synced::failed(io::Error::from_raw_os_error(libc::EIO));
    let complaint = journal.end_sync(NOW, failed);
    assert!(complaint.is_some_and(|text| text.contains("from memory")));
    let next = journal.deadline().unwrap();
    let snapshot = journal.begin_snapshot(next, WALL, false).unwrap();
    assert_eq!(journal.end_snapshot(next, snapshot.write()), None);
    assert_eq!(sync(&mut journal, next), None);
    assert_eq!((journal.deadline(), remembered(dir.path()).len()), (None, 1));
}

/// STO-09: what is written to a file that was removed is lost with the process.
#[test]
fn a_file_that_somebody_has_removed_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, ..) = Journal::open(dir.path(), NOW, WALL, "boot 1");
    assert_eq!(append(&mut journal, number(1), NOW), None);
    assert_eq!(sync(&mut journal, NOW), None);
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    assert_eq!(append(&mut journal, number(2), NOW), None);
    assert!(sync(&mut journal, NOW).is_some_and(|text| text.contains("has removed it")));
    let next = journal.deadline().unwrap();
    let snapshot = journal.begin_snapshot(next, WALL, false).unwrap();
    assert_eq!(journal.end_snapshot(next, snapshot.write()), None);
    assert_eq!(sync(&mut journal, next), None);
    assert_eq!(remembered(dir.path()).len(), 2);
}
