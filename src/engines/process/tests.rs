use super::*;
use crate::engines::testing::{self, block_on};

const PATIENCE: Duration = Duration::from_secs(5);

/// A program that is a shell script.
fn setup(directory: &Path, script: &str) -> Setup {
    Setup {
        name: "test-lan0".to_owned(),
        program: PathBuf::from("/bin/sh"),
        arguments: vec!["-c".into(), script.into()],
        left_behind: None,
        directory: directory.to_owned(),
        process_start: testing::process_start,
    }
}

async fn started(process: &mut Process) -> u32 {
    process.start();
    let happened = timeout(PATIENCE, process.next()).await;
    assert!(matches!(happened, Ok(Happened::Started { .. })), "{happened:?}");
    let State::Running { child, .. } = &process.state else { panic!("it does not run") };
    child.id().unwrap()
}

#[test]
fn a_program_that_ends_is_started_again_ever_more_rarely() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = Process::new(setup(dir.path(), "echo no such interface >&2; exit 3"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        const HOW: &str = "exit status: 3 (no such interface)";
        process.start();
        for seconds in [1, 2] {
            let started = timeout(PATIENCE, process.next()).await.unwrap();
            let after = (seconds > 1).then(|| HOW.to_owned());
            assert_eq!(started, Happened::Started { after });
            // What an operator reads never says that it is yet to be started while it runs.
            let text = started.trouble("radvd").unwrap_or_default();
            assert_eq!(text.contains("has been started again"), seconds > 1, "{text}");
            let ended = timeout(PATIENCE, process.next()).await.unwrap();
            let text = format!("radvd has ended, and is started again in {seconds} s: {HOW}");
            assert_eq!(ended.trouble("radvd"), Some(text));
            let (how, again_in) = (HOW.to_owned(), Duration::from_secs(seconds));
            assert_eq!(ended, Happened::Ended { how, again_in });
            assert!(!process.signal(Signal::SIGHUP));
        }
        for _ in 0..10 {
            process.wait(String::new());
        }
        let longest = process.wait(String::new());
        assert_eq!(longest, Happened::Ended { how: String::new(), again_in: MAX_DELAY });
    });
}

#[test]
fn a_stopped_program_is_started_anew_and_a_deaf_one_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = Process::new(setup(dir.path(), "trap '' TERM; while :; do sleep 0.05; done"));
    block_on(async {
        let first = started(&mut process).await;
        assert!(process.signal(Signal::SIGSTOP));
        process.restart();
        let second = started(&mut process).await;
        assert_ne!(first, second);
        assert_eq!(testing::process_start(first), None);
        process.stop(Duration::from_millis(50)).await;
        assert_eq!(testing::process_start(second), None);
        assert!(!process.signal(Signal::SIGHUP));
        assert!(!record_path(&process.setup).exists());
    });
}

#[test]
fn programs_of_an_earlier_run_are_ended_before_the_next_are_started() {
    let dir = tempfile::tempdir().unwrap();
    let setup = setup(dir.path(), "sleep 60; :");
    block_on(async {
        let mut before = Process::new(setup.clone());
        let first = started(&mut before).await;
        // As if the agent had been killed.
        let State::Running { child: _child, .. } = before.state else { panic!("it runs") };
        let mut process = Process::new(setup);
        started(&mut process).await;
        assert_eq!(testing::process_start(first), None);
        process.stop(PATIENCE).await;
    });
}

#[test]
fn a_process_that_only_has_the_same_id_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let setup = setup(dir.path(), "sleep 60; :");
    block_on(async {
        let mut stranger = Process::new(Setup { name: "stranger".to_owned(), ..setup.clone() });
        let id = started(&mut stranger).await;
        let start = testing::process_start(id).unwrap();
        for record in [format!("{id} {}\n", start + 1), format!("{id}"), "0 0".into(), "x".into()] {
            fs::write(record_path(&setup), record).unwrap();
            kill_former(&setup).await;
            assert_eq!(testing::process_start(id), Some(start));
        }
        stranger.stop(PATIENCE).await;
    });
}

#[test]
fn a_program_survives_that_nobody_reads_what_it_prints() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("mark");
    let script = format!("sleep 0.2; echo a; echo b; touch {}; sleep 60", mark.display());
    let setup = setup(dir.path(), &script);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let process = runtime.block_on(async {
        let mut process = Process::new(setup.clone());
        started(&mut process).await;
        process
    });
    // The readers end with their runtime, as with a killed agent.
    drop(runtime);
    let until = Duration::from_secs(5);
    let begun = testing::now();
    while !mark.exists() {
        assert!(testing::now().since(begun) < until, "it ended as it printed");
        std::thread::sleep(TURN);
    }
    drop(process);
    block_on(kill_former(&setup));
}

#[test]
fn unwanted_programs_are_ended_and_wanted_ones_continue() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let mut ids = Vec::new();
        for name in ["radvd-lan0", "radvd-wl0"] {
            let setup = setup(dir.path(), "sleep 60; :");
            let mut process = Process::new(Setup { name: name.to_owned(), ..setup });
            ids.push((started(&mut process).await, process));
        }
        let wanted = vec!["radvd-wl0".to_owned()];
        end_strays(dir.path().to_owned(), wanted, testing::process_start).await;
        assert_eq!(testing::process_start(ids[0].0), None);
        assert!(testing::process_start(ids[1].0).is_some());
        ids[1].1.stop(PATIENCE).await;
    });
}

#[test]
fn a_program_that_has_no_time_to_end_has_no_last_word() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("mark");
    let script = format!("trap 'touch {}' TERM; while :; do sleep 0.05; done", mark.display());
    block_on(async {
        let mut process = Process::new(setup(dir.path(), &script));
        let id = started(&mut process).await;
        process.stop(Duration::ZERO).await;
        assert_eq!(testing::process_start(id), None);
        sleep(Duration::from_millis(100)).await;
        assert!(!mark.exists());
    });
}
