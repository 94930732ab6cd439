//! What is written for people is held to what the program does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::path::Path;

use renumberd::config::file::parse;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn is_valid(name: &str, text: &str) {
    if let Err(errors) = parse(name, text) {
        panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    }
}

#[test]
fn the_examples_are_valid() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/examples");
    let mut count = 0;
    for entry in examples.read_dir().unwrap() {
        let path = entry.unwrap().path();
        is_valid(&path.display().to_string(), &std::fs::read_to_string(&path).unwrap());
        count += 1;
    }
    assert!(count >= 4);
}

#[test]
fn readme_s_configuration_is_valid() {
    let readme = read("README.md");
    let blocks: Vec<&str> = readme.split("```toml").skip(1).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        is_valid("README.md", block.split("```").next().unwrap());
    }
}

/// The keys that a table of the file knows, as the refusal of an unknown one lists them.
fn keys(table: &str) -> Vec<String> {
    let errors = parse("", &format!("{table}\nqqq = 1\n")).unwrap_err();
    let unknown = errors.iter().find(|error| error.key.ends_with("qqq")).unwrap();
    let list = unknown.remedy.strip_prefix("the keys here are: ").unwrap();
    list.split(", ").map(str::to_owned).collect()
}

/// Every command has a page, and every shell what it completes with.
#[test]
fn the_manual_has_every_command() {
    let directory = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_renumberd");
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let pages = run(&["man", directory.path().to_str().unwrap()]);
    let help = run(&["--help"]);
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let named = commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let named: Vec<&str> = named.filter(|name| !name.is_empty() && *name != "help").collect();
    assert!(named.len() > 10, "{named:?}");
    for command in named {
        assert!(pages.contains(&format!("renumberd-{command}.8")), "{command}: {pages}");
    }
    for page in pages.lines() {
        let text = std::fs::read_to_string(page).unwrap();
        if page.ends_with(".8") {
            assert!(text.contains(".SH SYNOPSIS"), "{page}");
        }
    }
    let configuration = directory.path().join("renumberd.toml.5");
    let configuration = std::fs::read_to_string(configuration).unwrap();
    let tables =
        ["uplink", "client", "downlink", "delegation", "pool", "static", "relay", "engine"];
    let all = tables.map(|table| format!("[{table}.a]"));
    for table in all.iter().map(String::as_str).chain([""]) {
        for key in keys(table).into_iter().filter(|key| !tables.contains(&key.as_str())) {
            let entry = format!("\\fB{}\\fR", key.replace('-', "\\-"));
            assert!(configuration.contains(&entry), "{table} {entry}");
        }
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(&["completions", shell]).contains("linkup"), "{shell}");
    }
}
