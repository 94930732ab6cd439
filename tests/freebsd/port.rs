//! The skeleton of a port, and the scripts of rc(8): what is installed, and in which order it starts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the scripts of FreeBSD say of their order, as far as ours have to do with them.
const SYSTEM: [(&str, &str, &str); 9] = [
    // provides, requires, before
    ("FILESYSTEMS", "", ""),
    ("netif", "FILESYSTEMS", ""),
    ("devd", "netif", "NETWORKING mountcritremote"),
    ("ppp", "netif", ""),
    ("routing", "netif ppp", ""),
    ("NETWORKING NETWORK", "netif routing ppp", ""),
    ("mountcritremote", "NETWORKING FILESYSTEMS", ""),
    ("syslogd", "mountcritremote FILESYSTEMS netif", ""),
    ("ntpdate", "NETWORKING syslogd", ""),
];
const SCRIPTS: [&str; 4] = ["IPV6READY", "IPV6UP", "renumberd", "renumberd_rtsold"];

fn contrib(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib").join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(contrib(name)).unwrap()
}

fn names_in(folder: &str, ending: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(contrib(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(ending)).collect()
}

/// A script of rc(8): what it provides, requires, and comes before.
struct Script {
    provides: Vec<String>,
    requires: Vec<String>,
    before: Vec<String>,
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn scripts() -> Vec<Script> {
    let ours = SCRIPTS.map(|name| {
        let text = text(&format!("freebsd/rc.d/{name}"));
        let of = |keyword: &str| {
            let beginning = format!("# {keyword}: ");
            let lines = text.lines().filter_map(|line| line.strip_prefix(&beginning));
            words(&lines.collect::<Vec<_>>().join(" "))
        };
        Script { provides: of("PROVIDE"), requires: of("REQUIRE"), before: of("BEFORE") }
    });
    let system = SYSTEM.map(|(provides, requires, before)| Script {
        provides: words(provides),
        requires: words(requires),
        before: words(before),
    });
    system.into_iter().chain(ours).collect()
}

/// The order in which rcorder(8) starts them.
fn order(mut scripts: Vec<Script>) -> Vec<String> {
    for at in 0..scripts.len() {
        let (name, before) = (scripts[at].provides[0].clone(), scripts[at].before.clone());
        for later in &mut scripts {
            if before.iter().any(|wanted| later.provides.contains(wanted)) {
                later.requires.push(name.clone());
            }
        }
    }
    let mut started: Vec<String> = Vec::new();
    while !scripts.is_empty() {
        let is_ready = |script: &Script| script.requires.iter().all(|name| started.contains(name));
        let next = scripts.iter().position(is_ready);
        let next = next.unwrap_or_else(|| panic!("a circle behind {started:?}"));
        started.extend(scripts.remove(next).provides);
    }
    started
}

/// PKG-03: the article's markers stand where they are meant to: what asks for prefixes starts when
/// interfaces and routing are set up, and before what needs the network's time.
#[test]
fn rc_scripts_have_an_order_without_a_circle() {
    let order = order(scripts());
    let at = |name: &str| order.iter().position(|started| started == name).unwrap();
    for pair in [
        ["netif", "IPV6READY"],
        ["routing", "IPV6READY"],
        ["FILESYSTEMS", "IPV6READY"],
        ["IPV6READY", "NETWORKING"],
        ["IPV6READY", "renumberd"],
        ["IPV6READY", "renumberd_rtsold"],
        ["renumberd", "IPV6UP"],
        ["renumberd_rtsold", "IPV6UP"],
        ["IPV6UP", "ntpdate"],
    ] {
        assert!(at(pair[0]) < at(pair[1]), "{pair:?}: {order:?}");
    }
}

/// The files that the port installs, of which a package is made.
fn listed() -> BTreeSet<String> {
    let text = text("freebsd/port/pkg-plist");
    let lines: Vec<&str> = text.lines().collect();
    let all: BTreeSet<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    assert_eq!(all.len(), lines.len(), "a file stands there twice");
    all
}

/// PKG-03: the list of the port's files has each page of the manual, each script and each example, and
/// nothing else; and what the Makefile copies is there.
#[test]
fn the_port_lists_what_it_installs() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_renumberd"));
    let written = program.arg("man").arg(folder.path()).output().unwrap();
    assert!(written.status.success(), "{written:?}");
    let pages = fs::read_dir(folder.path()).unwrap();
    let pages = pages.map(|page| page.unwrap().file_name().into_string().unwrap());
    // The bench is built of the namespaces of Linux.
    let pages = pages.filter(|page| page != "renumberd-bench.8");
    let mut expected: BTreeSet<String> = pages
        .map(|page| format!("share/man/man{}/{page}.gz", page.chars().last().unwrap()))
        .collect();
    expected.extend(SCRIPTS.map(|name| format!("etc/rc.d/{name}")));
    expected.extend(
        [
            "@sample etc/renumberd.toml.sample",
            "sbin/renumberd",
            "share/bash-completion/completions/renumberd",
            "share/fish/vendor_completions.d/renumberd.fish",
            "share/zsh/site-functions/_renumberd",
            "%%PORTDOCS%%%%DOCSDIR%%/README.md",
        ]
        .map(str::to_owned),
    );
    let documents = names_in("doc", ".md");
    expected.extend(documents.iter().map(|name| format!("%%PORTDOCS%%%%DOCSDIR%%/{name}")));
    let others = ["70-renumberd", "devd.conf", "dhcp6c-script", "ip6addrctl.conf", "ppp.linkup"];
    let examples = names_in("examples", ".toml").into_iter();
    let examples = examples.chain(others.map(str::to_owned));
    expected.extend(examples.map(|name| format!("%%PORTEXAMPLES%%%%EXAMPLESDIR%%/{name}")));
    assert_eq!(listed(), expected);

    let makefile = text("freebsd/port/Makefile");
    let sources: Vec<&str> = makefile
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("${WRKSRC}/"))
        .filter(|word| !word.contains('*') && !word.contains("${"))
        .collect();
    assert!(sources.len() > 8, "{sources:?}");
    for source in sources {
        assert!(contrib("..").join(source).exists(), "{source}");
    }
}

/// What portlint(1) looks at first, as far as it can be told without the tree of ports.
#[test]
fn the_port_s_variables_stand_in_the_order_of_the_tree() {
    const ORDER: [&str; 13] = [
        "PORTNAME",
        "DISTVERSIONPREFIX",
        "DISTVERSION",
        "CATEGORIES",
        "MAINTAINER",
        "COMMENT",
        "WWW",
        "LICENSE",
        "LICENSE_COMB",
        "LICENSE_FILE_APACHE20",
        "LICENSE_FILE_MIT",
        "USES",
        "OPTIONS_DEFINE",
    ];
    let makefile = text("freebsd/port/Makefile");
    let variables: BTreeMap<&str, &str> =
        makefile.lines().filter_map(|line| line.split_once("=\t")).collect();
    let lines = makefile.lines().filter_map(|line| line.split_once("=\t"));
    let order: Vec<&str> = lines.map(|(name, _)| name).collect();
    assert_eq!(order, ORDER);
    let comment = variables["COMMENT"].trim();
    assert!(comment.len() <= 70 && !comment.ends_with('.'), "{comment}");
    assert_eq!(variables["DISTVERSION"].trim(), env!("CARGO_PKG_VERSION"));
    for file in ["Makefile", "pkg-descr", "pkg-message", "pkg-plist"] {
        let text = text(&format!("freebsd/port/{file}"));
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{file}");
        assert!(text.lines().all(|line| line.trim_end() == line), "{file}: blanks at an end");
        assert!(!text.contains("/usr/local"), "{file}: the prefix is that of the ports");
    }
    for line in text("freebsd/port/pkg-descr").lines() {
        assert!(line.len() <= 80, "{line}");
    }
}
