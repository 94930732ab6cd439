//! The conformance statement, tests/conformance.md, held against the tests: every clause stands
//! there once, with tests that exist or a reason. A finding names the line and the remedy.
#![expect(
    clippy::expect_used,
    reason = "a source that cannot be read is a failed test, in functions beside the tests too"
)]

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("conformance.md");

/// The numbers that each area has assigned: first and last of each run.
const AREAS: [(&str, &[(u32, u32)]); 25] = [
    ("RA-RX", &[(1, 13), (20, 29), (40, 69), (80, 81)]),
    ("RS", &[(1, 12)]),
    ("CHG", &[(1, 16)]),
    ("UPL", &[(1, 23)]),
    ("PDC", &[(1, 16), (20, 32), (40, 53), (60, 72), (80, 97)]),
    ("CRV", &[(1, 11)]),
    ("DWN", &[(1, 12)]),
    ("RA-TX", &[(1, 17), (20, 40), (50, 65)]),
    ("SRV", &[(1, 11), (20, 42), (50, 63)]),
    ("RLY", &[(1, 20), (30, 31)]),
    ("SEC", &[(1, 15), (17, 18)]),
    ("STO", &[(1, 11)]),
    ("BKE", &[(1, 20)]),
    ("IMP", &[(1, 4)]),
    ("ROW", &[(1, 24)]),
    ("LAD", &[(1, 7)]),
    ("KEEP", &[(1, 5)]),
    ("LOOP", &[(1, 10)]),
    ("LAN", &[(1, 1)]),
    ("FLT", &[(1, 1)]),
    ("HST", &[(1, 13)]),
    ("CLI", &[(1, 10), (20, 25), (30, 36)]),
    ("FBS", &[(1, 15)]),
    ("OPS", &[(1, 18)]),
    ("PKG", &[(1, 6)]),
];

/// What a clause can be in besides being held by a test.
const STATES: [&str; 5] = ["untested", "open", "deviation", "later", "not applicable"];

/// Something wrong with the page.
#[derive(PartialEq, Eq, Debug)]
struct Finding {
    /// From 1.
    line: usize,
    problem: String,
    remedy: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, problem, remedy } = self;
        write!(f, "tests/conformance.md:{line}: {problem}\n    {remedy}")
    }
}

/// A line of a table.
struct Clause<'a> {
    line: usize,
    id: &'a str,
    /// The tests named, in front.
    tests: Vec<&'a str>,
    /// What is said behind them: a state and its reason, or nothing.
    remark: &'a str,
}

/// What is there to be named by the page.
struct Sources {
    /// As the page names them.
    tests: BTreeSet<String>,
    /// From the root of the project.
    files: BTreeSet<String>,
}

/// The lines of all tables, and what is no proper line of one.
fn clauses(page: &str) -> (Vec<Clause<'_>>, Vec<Finding>) {
    let (mut clauses, mut findings) = (Vec::new(), Vec::new());
    for (index, text) in page.lines().enumerate().filter(|(_, text)| text.starts_with('|')) {
        let cells: Vec<&str> = text.split('|').map(str::trim).collect();
        match cells[..] {
            ["", "id", ..] | ["", "---", ..] => {}
            ["", id, rfc, what, held, ""] if !rfc.is_empty() && !what.is_empty() => {
                let (tests, remark) = named(held);
                clauses.push(Clause { line: index + 1, id, tests, remark });
            }
            _ => findings.push(Finding {
                line: index + 1,
                problem: "a line without the four cells".to_owned(),
                remedy: "write | id | RFC | what it obliges to | held by |, none of them empty",
            }),
        }
    }
    (clauses, findings)
}

/// The names in backticks at the front of a cell, and what follows them.
fn named(cell: &str) -> (Vec<&str>, &str) {
    let mut tests = Vec::new();
    let mut rest = cell;
    while let Some((name, more)) = rest.strip_prefix('`').and_then(|rest| rest.split_once('`')) {
        tests.push(name);
        rest = more.strip_prefix(", ").unwrap_or(more);
    }
    (tests, rest.strip_prefix("; ").unwrap_or(rest))
}

/// Every assigned id stands on the page once, and no other.
fn ids(clauses: &[Clause<'_>]) -> Vec<Finding> {
    let assigned: BTreeSet<String> = AREAS
        .iter()
        .flat_map(|(area, runs)| runs.iter().map(move |run| (area, run)))
        .flat_map(|(area, (first, last))| {
            (*first..=*last).map(move |number| format!("{area}-{number:02}"))
        })
        .collect();
    let mut seen = BTreeSet::new();
    let mut findings = Vec::new();
    for Clause { line, id, .. } in clauses {
        if !assigned.contains(*id) {
            findings.push(Finding {
                line: *line,
                problem: format!("{id} is not assigned"),
                remedy: "extend AREAS in tests/conformance.rs if the clause is new",
            });
        }
        if !seen.insert((*id).to_owned()) {
            findings.push(Finding {
                line: *line,
                problem: format!("{id} is there twice"),
                remedy: "say all that holds it in one line",
            });
        }
    }
    let last = clauses.last().map_or(1, |clause| clause.line);
    findings.extend(assigned.difference(&seen).map(|id| Finding {
        line: last,
        problem: format!("{id} is missing"),
        remedy: "give it a line in the table of its area, `open: …` if nothing is done for it",
    }));
    findings
}

/// Every clause has tests that exist, or says what it is in and why.
fn holdings(clauses: &[Clause<'_>], sources: &Sources) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Clause { line, id, tests, remark } in clauses {
        let mut find = |problem, remedy| findings.push(Finding { line: *line, problem, remedy });
        for test in tests.iter().filter(|test| !sources.tests.contains(**test)) {
            find(
                format!("{id}: there is no test `{test}`"),
                "name it as `cargo test -- --list` does, one below tests/ as `tests/file.rs: name`",
            );
        }
        let state = remark
            .split_once(':')
            .filter(|(state, reason)| STATES.contains(state) && !reason.trim().is_empty());
        let is_held = remark.is_empty() && !tests.is_empty();
        if !is_held && state.is_none() {
            find(
                format!("{id}: {remark:?} is neither a test nor a state with its reason"),
                "name a test, or write one of the states that the page begins with, and why",
            );
        }
        let files: Vec<_> = remark.split('`').filter(|part| part.starts_with("src/")).collect();
        for file in files.iter().filter(|file| !sources.files.contains(**file)) {
            find(format!("{id}: there is no file `{file}`"), "name where the code has gone");
        }
        if state.is_some_and(|(state, _)| state == "untested") && files.is_empty() {
            find(
                format!("{id}: untested, and nowhere"),
                "name the file that does it, as `src/…`, or say `open`",
            );
        }
    }
    findings
}

/// The tests of a file by their names on the page: by their modules, and behind the file where
/// that is below `tests`. A file in a folder there belongs to the binary of the folder's name.
fn tests_of(file: &str, text: &str) -> Vec<String> {
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let mut modules: Vec<&str> = stem.split('/').skip(1).collect();
    let binary = stem.starts_with("tests/").then(|| format!("tests/{}.rs: ", modules[0]));
    if binary.is_some() && modules.len() == 1 {
        modules.clear();
    }
    if modules.last().is_some_and(|last| ["mod", "lib", "main"].contains(last)) {
        modules.pop();
    }
    // With the indentation at which each module inside of the file ends.
    let mut inline: Vec<(usize, &str)> = Vec::new();
    let mut is_test = false;
    let mut tests = Vec::new();
    for line in text.lines() {
        let code = line.trim_start();
        let indentation = line.len() - code.len();
        let module = code.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(" {"));
        let function = code.strip_prefix("async ").unwrap_or(code).strip_prefix("fn ");
        if let Some(module) = module {
            inline.push((indentation, module));
        } else if code == "}" {
            inline.pop_if(|(opened_at, _)| *opened_at == indentation);
        } else if code == "#[test]" || code.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(function) = function
            && std::mem::take(&mut is_test)
        {
            let name = function.split(['(', '<']).next().unwrap_or(function);
            let inline = inline.iter().map(|(_, module)| *module);
            let path: Vec<_> = modules.iter().copied().chain(inline).chain([name]).collect();
            tests.push(format!("{}{}", binary.as_deref().unwrap_or(""), path.join("::")));
            // One that is included by its path stands at the root of its binary.
            if let Some(binary) = binary.as_deref().filter(|_| modules.len() > 1) {
                tests.push(format!("{binary}{}", path[1..].join("::")));
            }
        }
    }
    tests
}

/// All Rust files of the project with their tests.
fn sources() -> Sources {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Sources { tests: BTreeSet::new(), files: BTreeSet::new() };
    let mut folders: Vec<PathBuf> = ["src", "tests"].map(|name| root.join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry of a folder of sources").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let file = path.strip_prefix(root).expect("below the root").to_string_lossy();
                let text = std::fs::read_to_string(&path).expect("a source in UTF-8");
                sources.tests.extend(tests_of(&file, &text));
                sources.files.insert(file.into_owned());
            }
        }
    }
    sources
}

/// All findings of a page.
fn check(page: &str, sources: &Sources) -> Vec<Finding> {
    let (clauses, mut findings) = clauses(page);
    findings.extend(ids(&clauses));
    findings.extend(holdings(&clauses, sources));
    findings.sort_by_key(|finding| finding.line);
    findings
}

#[test]
fn every_clause_is_held_by_a_test_or_says_why_not() {
    let sources = sources();
    assert!(sources.tests.len() > 400, "the tests were not found");
    let list: Vec<_> = check(PAGE, &sources).iter().map(Finding::to_string).collect();
    assert!(list.is_empty(), "{} findings\n{}", list.len(), list.join("\n"));
}

#[test]
fn each_kind_of_flaw_is_found() {
    let known = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let sources = Sources {
        tests: known(&["core::tests::holds", "tests/core.rs: holds"]),
        files: known(&["src/core/mod.rs"]),
    };
    let cases = [
        // the last cell, what is found
        ("`core::tests::holds`", None),
        ("`core::tests::holds`, `tests/core.rs: holds`; later: a part of it", None),
        ("untested: done by `src/core/mod.rs`", None),
        ("not applicable: nobody does this", None),
        ("`core::tests::gone`", Some("no test `core::tests::gone`")),
        ("core::tests::holds", Some("neither a test nor a state")),
        ("`core::tests::holds` and more", Some("neither a test nor a state")),
        ("soon: it will be done", Some("neither a test nor a state")),
        ("open:", Some("neither a test nor a state")),
        ("untested: somewhere in the core", Some("nowhere")),
        ("open: half of it in `src/gone.rs`", Some("no file `src/gone.rs`")),
        ("", Some("neither a test nor a state")),
    ];
    for (held, expected) in cases {
        let page = format!("| id | RFC |\n| --- | --- |\n| RS-01 | 4861 | something | {held} |\n");
        let (clauses, findings) = clauses(&page);
        assert_eq!(findings, [], "{held}");
        let found = holdings(&clauses, &sources);
        let problems: Vec<_> = found.iter().map(|finding| finding.problem.as_str()).collect();
        assert_eq!(problems.len(), usize::from(expected.is_some()), "{held}: {problems:?}");
        assert!(problems.iter().all(|p| p.contains(expected.unwrap_or(""))), "{problems:?}");
        assert!(found.iter().all(|finding| finding.line == 3));
    }
    let short = check("| RS-01 | 4861 | something |\n", &sources);
    assert!(short[0].to_string().contains("conformance.md:1: a line without the four cells"));
}

#[test]
fn ids_are_there_once_and_all_of_them() {
    let twice = "| RS-99 | 1 | a | open: to be done |\n| RS-01 | 1 | a | open: to be done |\n\
                 | RS-01 | 1 | a | open: to be done |\n";
    let problems: Vec<_> =
        ids(&clauses(twice).0).into_iter().map(|finding| finding.problem).collect();
    assert_eq!(problems[..2], ["RS-99 is not assigned", "RS-01 is there twice"]);
    assert!(problems.contains(&"RS-02 is missing".to_owned()));
    assert!(!problems.contains(&"RS-01 is missing".to_owned()));
}

#[test]
fn tests_have_the_names_that_cargo_lists() {
    let text = "mod inner {\n    #[test]\n    fn one() {\n    }\n\n    fn helper() {}\n}\n\n\
                proptest! {\n    /// Claims.\n    #[test]\n    fn two(\n        n: u8,\n    ) {\n\
                \x20   }\n}\n\n#[tokio::test]\nasync fn three() {}\n";
    let cases = [
        ("src/core/mod.rs", &["core::inner::one", "core::two", "core::three"][..]),
        ("src/time.rs", &["time::inner::one", "time::two", "time::three"]),
        (
            "tests/core.rs",
            &["tests/core.rs: inner::one", "tests/core.rs: two", "tests/core.rs: three"],
        ),
        (
            "tests/a/b.rs",
            &[
                "tests/a.rs: a::b::inner::one",
                "tests/a.rs: b::inner::one",
                "tests/a.rs: a::b::two",
                "tests/a.rs: b::two",
                "tests/a.rs: a::b::three",
                "tests/a.rs: b::three",
            ],
        ),
    ];
    for (file, expected) in cases {
        assert_eq!(tests_of(file, text), expected, "{file}");
    }
}
