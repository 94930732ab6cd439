//! The laws of the house that can be read off the sources: who may import whom, what the core
//! never touches, how long a file may be. A finding names the file and line, the rule, the remedy.
#![expect(
    clippy::expect_used,
    reason = "a source that cannot be read is a failed test, in functions beside the tests too"
)]

use std::fmt;
use std::path::{Path, PathBuf};

#[path = "architecture/samples.rs"]
mod samples;
#[path = "architecture/source.rs"]
mod source;

use source::{attributes, code_of, paths};

/// What each room of `src` may import besides itself.
const ARROWS: [(&str, &[&str]); 13] = [
    ("time", &[]),
    ("net", &[]),
    ("wire", &["time", "net"]),
    ("config", &["time", "net", "wire"]), // wire for the types of identifiers and preferences
    ("core", &["time", "net", "wire", "config"]),
    ("platform", &["time", "net", "wire", "config", "core"]),
    ("programs", &[]),
    ("engines", &["time", "net", "wire", "config", "core", "programs"]),
    ("hosts", &["time", "net", "wire", "config", "core", "programs"]),
    ("daemon", &["time", "net", "wire", "config", "core", "platform", "engines", "hosts"]),
    ("sim", &["time", "net", "wire", "config", "core"]),
    ("lab", &["time", "net", "wire", "config", "core", "platform", "engines", "daemon"]),
    (
        "cli",
        &[
            "time", "net", "wire", "config", "core", "platform", "engines", "hosts", "daemon",
            "sim", "lab",
        ],
    ),
];

/// The rooms in which everything comes in as a value and goes out as a value.
const PURE: [&str; 6] = ["time", "net", "wire", "config", "core", "sim"];

/// Crates that reach outside.
const OUTSIDE_CRATES: [&str; 12] = [
    "tokio",
    "socket2",
    "nix",
    "libc",
    "rustix",
    "getrandom",
    "rand",
    "tempfile",
    "netlink_sys",
    "netlink_packet_core",
    "netlink_packet_route",
    "pnet_datalink",
];

/// Parts of the standard library that reach outside.
const OUTSIDE_STD: [&[&str]; 14] = [
    &["std", "fs"],
    &["std", "env"],
    &["std", "process"],
    &["std", "thread"],
    &["std", "os"],
    &["std", "time", "Instant"],
    &["std", "time", "SystemTime"],
    &["std", "time", "*"],
    &["std", "net", "TcpListener"],
    &["std", "net", "TcpStream"],
    &["std", "net", "UdpSocket"],
    &["std", "net", "ToSocketAddrs"],
    &["std", "net", "*"],
    &["std", "io"],
];

/// The backends of `platform`.
const SYSTEMS: [&str; 2] = ["linux", "freebsd"];

/// Where systems keep what is theirs.
const SYSTEM_PATHS: [&str; 6] = ["/proc", "/sys", "/etc", "/var", "/run", "/dev"];

/// What a test file may use all the same: the way to bound the stack of what it tests.
const SMALL_STACK: [&str; 3] = ["std", "thread", "Builder"];

/// The longest that a file may be, its tests included.
const LONGEST_FILE: usize = 500;

/// A broken rule.
struct Finding {
    file: String,
    line: usize,
    rule: String,
    remedy: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}\n    {}", self.file, self.line, self.rule, self.remedy)
    }
}

/// The room that a file of `src` stands in: its folder, or the file itself. `lib.rs` and
/// `main.rs` are in none.
fn room(file: &str) -> Option<&str> {
    let inside = file.strip_prefix("src/")?;
    let room = inside.split_once('/').map_or(inside, |(folder, _)| folder);
    let room = room.strip_suffix(".rs").unwrap_or(room);
    (!["lib", "main"].contains(&room)).then_some(room)
}

/// How many `super` lead from a file's own module to the root.
fn depth(file: &str) -> usize {
    let below_src = file.split('/').count() - 1;
    if file.ends_with("/mod.rs") { below_src - 1 } else { below_src }
}

/// The room that a path leads to from `file`, if it goes through the root.
fn target<'a>(file: &str, segments: &'a [String]) -> Option<&'a str> {
    let supers = segments.iter().take_while(|segment| *segment == "super").count();
    let room = match segments.first()?.as_str() {
        "crate" | "renumberd" => segments.get(1)?,
        "super" if supers >= depth(file) => segments.get(supers)?,
        _ => return None,
    };
    ARROWS.iter().any(|(known, _)| known == room).then_some(room.as_str())
}

/// The law of arrows.
fn arrows(file: &str, text: &str) -> Vec<Finding> {
    let Some(room) = room(file) else { return Vec::new() };
    let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == room) else {
        return vec![Finding {
            file: file.to_owned(),
            line: 1,
            rule: format!("the law of arrows knows no room `{room}`"),
            remedy: "say in ARROWS of tests/architecture.rs what it may import, and in lib.rs why",
        }];
    };
    let code = code_of(text);
    let paths = paths(&code).into_iter();
    let forbidden = paths.filter_map(|path| {
        let target = target(file, &path.segments)?;
        (target != room && !allowed.contains(&target)).then(|| Finding {
            file: file.to_owned(),
            line: path.line,
            rule: format!("`{room}` imports `{target}` ({})", path.segments.join("::")),
            remedy: "move the type down to where both may see it, or pass a value instead",
        })
    });
    forbidden.collect()
}

/// No clock, socket, file, environment, thread or system call in the pure rooms.
fn purity(file: &str, text: &str) -> Vec<Finding> {
    if !room(file).is_some_and(|room| PURE.contains(&room)) {
        return Vec::new();
    }
    let code = code_of(text);
    let is_test_file = file.ends_with("tests.rs") || file.contains("/tests/");
    let outside = paths(&code).into_iter().filter(|path| {
        if is_test_file && path.segments.starts_with(&SMALL_STACK.map(str::to_owned)) {
            return false;
        }
        let whole = path.imported || path.segments.len() > 1;
        let segments: Vec<_> = path.segments.iter().map(String::as_str).collect();
        let from_crate = OUTSIDE_CRATES.iter().any(|name| segments.first() == Some(name));
        whole && from_crate || OUTSIDE_STD.iter().any(|prefix| segments.starts_with(prefix))
    });
    let findings = outside.map(|path| Finding {
        file: file.to_owned(),
        line: path.line,
        rule: format!("a pure room reaches outside ({})", path.segments.join("::")),
        remedy: "let it come in as an argument or an Input and go out as an Output",
    });
    findings.collect()
}

/// No path of the system stands in what is pure.
fn system_paths(file: &str, text: &str) -> Vec<Finding> {
    if !room(file).is_some_and(|room| PURE.contains(&room)) {
        return Vec::new();
    }
    let names = |line: &str| SYSTEM_PATHS.iter().any(|path| line.contains(&format!("\"{path}/")));
    let lines = text.lines().enumerate().filter(|(_, line)| names(line));
    let findings = lines.map(|(index, _)| Finding {
        file: file.to_owned(),
        line: index + 1,
        rule: "a pure room names a path of the system".to_owned(),
        remedy: "name it in src/platform, and let what is there come in as an Input",
    });
    findings.collect()
}

/// No file that does not fit in a head.
fn length(file: &str, text: &str) -> Vec<Finding> {
    let lines = text.lines().count();
    let finding = (lines > LONGEST_FILE).then(|| Finding {
        file: file.to_owned(),
        line: LONGEST_FILE + 1,
        rule: format!("{lines} lines, {LONGEST_FILE} at most"),
        remedy: "split it by subject; large tests go to a file beside it",
    });
    finding.into_iter().collect()
}

/// Only `platform` knows the system. The laboratory is made of what Linux alone has: it and its
/// command are left out elsewhere.
fn systems(file: &str, text: &str) -> Vec<Finding> {
    let leaves_out_the_lab = ["src/lib.rs", "src/cli/mod.rs"].contains(&file);
    if room(file) == Some("platform") || !file.starts_with("src/") || leaves_out_the_lab {
        return Vec::new();
    }
    let code = code_of(text);
    let named = paths(&code).into_iter().filter(|path| path.segments == ["target_os"]);
    let findings = named.map(|path| Finding {
        file: file.to_owned(),
        line: path.line,
        rule: "`target_os` outside of src/platform".to_owned(),
        remedy: "put what differs behind the surface of src/platform/mod.rs",
    });
    findings.collect()
}

/// Nobody looks behind the surface of `platform`, but the laboratory.
fn backends(file: &str, text: &str) -> Vec<Finding> {
    if matches!(room(file), Some("platform" | "lab")) || !file.starts_with("src/") {
        return Vec::new();
    }
    let code = code_of(text);
    let is_backend = |segments: &[String]| {
        let of = |system: &str| segments == ["platform", system];
        SYSTEMS.into_iter().any(of)
    };
    let named = paths(&code).into_iter().filter(|path| path.segments.windows(2).any(is_backend));
    let findings = named.map(|path| Finding {
        file: file.to_owned(),
        line: path.line,
        rule: format!("a backend outside of src/platform ({})", path.segments.join("::")),
        remedy: "use what src/platform/mod.rs names, or put it there for each system",
    });
    findings.collect()
}

/// In the laboratory who builds a site knows nothing of what is observed there, and who observes
/// nothing of the report.
fn laboratory(file: &str, text: &str) -> Vec<Finding> {
    let forbidden: &[&str] = if file.starts_with("src/lab/site/") {
        &["observe", "report", "stage"]
    } else if file.starts_with("src/lab/observe/") {
        &["report", "stage"]
    } else {
        return Vec::new();
    };
    let code = code_of(text);
    let is_forbidden = |path: &[String]| {
        let room = match path {
            [root, lab, room, ..] if root == "crate" && lab == "lab" => room,
            [one, two, room, ..] if one == "super" && two == "super" => room,
            _ => return false,
        };
        forbidden.contains(&room.as_str())
    };
    let named = paths(&code).into_iter().filter(|path| is_forbidden(&path.segments));
    let findings = named.map(|path| Finding {
        file: file.to_owned(),
        line: path.line,
        rule: format!("site, observe, report: none knows the next ({})", path.segments.join("::")),
        remedy: "move it to the later room, or to src/lab, which knows all of them",
    });
    findings.collect()
}

/// Every relaxed lint says why.
fn reasons(file: &str, text: &str) -> Vec<Finding> {
    let code = code_of(text);
    let bare = attributes(&code).into_iter().filter(|attribute| {
        let has = |pair: [&str; 2]| attribute.words.windows(2).any(|words| words == pair);
        (has(["allow", "("]) || has(["expect", "("])) && !has(["reason", "="])
    });
    let findings = bare.map(|attribute| Finding {
        file: file.to_owned(),
        line: attribute.line,
        rule: "a lint is relaxed without a reason".to_owned(),
        remedy: "add `reason = \"…\"`, or better obey the lint",
    });
    findings.collect()
}

/// Every dependency says what it is for, behind its line or above it.
fn dependencies(file: &str, text: &str) -> Vec<Finding> {
    let (mut inside, mut above) = (false, false);
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let reason = line.rsplit_once('#').is_some_and(|(before, comment)| {
            before.matches('"').count() % 2 == 0 && !comment.trim().is_empty()
        });
        let name = line.chars().take_while(|c| c.is_alphanumeric() || "-_.".contains(*c)).count();
        let entry = name > 0 && line[name..].trim_start().starts_with('=');
        if line.starts_with('[') {
            let section = line.split(']').next().unwrap_or(line);
            inside = section.ends_with("dependencies");
            if section.contains("dependencies.") && !reason && !above {
                findings.push((index + 1, section.trim_start_matches('[').to_owned()));
            }
        } else if inside && entry && !reason && !above {
            findings.push((index + 1, line[..name].to_owned()));
        }
        above = line.starts_with('#') && reason;
    }
    let findings = findings.into_iter().map(|(line, name)| Finding {
        file: file.to_owned(),
        line,
        rule: format!("the dependency `{name}` has no reason"),
        remedy: "say behind its line what it is for, or do without it",
    });
    findings.collect()
}

/// The text of every Rust file below the folders of sources, by its path from the root.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = ["src", "tests", "benches"].map(|name| root.join(name)).into();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("an entry of a folder of sources").path();
            // What the crate of the fuzzer has built stands beside it.
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).expect("below the root");
                let text = std::fs::read_to_string(&path).expect("a source in UTF-8");
                files.push((name.to_string_lossy().replace('\\', "/"), text));
            }
        }
    }
    files.sort();
    files
}

/// Fails with all findings of `rule` in the sources.
fn assert_obeyed(rule: impl Fn(&str, &str) -> Vec<Finding>) {
    let sources = sources();
    assert!(sources.len() > 20, "the sources were not found");
    let findings: Vec<_> = sources.iter().flat_map(|(file, text)| rule(file, text)).collect();
    let list: Vec<_> = findings.iter().map(Finding::to_string).collect();
    assert!(list.is_empty(), "{} findings\n{}", list.len(), list.join("\n"));
}

#[test]
fn imports_follow_the_law_of_arrows() {
    assert_obeyed(arrows);
}

#[test]
fn the_core_is_pure() {
    assert_obeyed(purity);
    assert_obeyed(system_paths);
}

#[test]
fn no_file_is_too_long() {
    assert_obeyed(length);
}

#[test]
fn only_the_platform_knows_the_system() {
    assert_obeyed(systems);
    assert_obeyed(backends);
}

#[test]
fn the_laboratory_is_built_before_it_is_observed() {
    assert_obeyed(laboratory);
}

#[test]
fn every_relaxed_lint_has_a_reason() {
    assert_obeyed(reasons);
}

#[test]
fn every_dependency_has_a_reason() {
    let manifest = include_str!("../Cargo.toml");
    let list: Vec<_> =
        dependencies("Cargo.toml", manifest).iter().map(Finding::to_string).collect();
    assert!(list.is_empty(), "{}", list.join("\n"));
}
