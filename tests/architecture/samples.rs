//! The rules on small samples: each fails on a bad one and passes a good one.

use super::{
    Finding, LONGEST_FILE, arrows, backends, dependencies, laboratory, length, purity, reasons,
    system_paths, systems,
};

/// Lines of the findings.
fn lines(findings: &[Finding]) -> Vec<usize> {
    findings.iter().map(|finding| finding.line).collect()
}

#[test]
fn a_finding_names_place_rule_and_remedy() {
    let findings = arrows("src/core/hear.rs", "\nuse crate::platform::Sockets;\n");
    let text: Vec<_> = findings.iter().map(Finding::to_string).collect();
    let expected = "src/core/hear.rs:2: `core` imports `platform` (crate::platform::Sockets)\n    \
                    move the type down to where both may see it, or pass a value instead";
    assert_eq!(text, [expected]);
}

#[test]
fn arrows_point_down() {
    let cases: [(&str, &str, &[usize]); 21] = [
        ("src/core/plan.rs", "use crate::config::Config;", &[]),
        ("src/core/plan.rs", "use crate::core::uplink::hear::X;", &[]),
        ("src/core/plan.rs", "use crate::daemon::X;", &[1]),
        ("src/core/plan.rs", "use crate::{\n    time::Instant,\n    daemon::X,\n};", &[3]),
        ("src/core/plan.rs", "fn f() {\n    crate::platform::g();\n}", &[2]),
        ("src/core/plan.rs", "// crate::platform\nconst A: &str = \"crate::platform\";", &[]),
        ("src/core/plan.rs", "use super::super::platform::X;", &[1]),
        ("src/core/plan.rs", "use super::plan;", &[]),
        ("src/core/lease/mod.rs", "use super::super::sim::X;", &[1]),
        ("src/core/lease/mod.rs", "use super::memory::X;", &[]),
        ("src/time.rs", "use crate::wire::X;", &[1]),
        ("src/wire/ndp.rs", "use crate::config::X;", &[1]),
        ("src/config/mod.rs", "use crate::wire::dhcpv6_option::Duid;", &[]),
        ("src/config/mod.rs", "use crate::core::X;", &[1]),
        ("src/platform/linux/mod.rs", "use crate::engines::X;", &[1]),
        ("src/engines/kea.rs", "use crate::platform::X;", &[1]),
        ("src/daemon/mod.rs", "use crate::{core::Core, platform::X, cli::Y};", &[1]),
        ("src/sim/mod.rs", "use crate::daemon::X;", &[1]),
        ("src/cli/mod.rs", "use crate::{daemon, lab, sim};", &[]),
        ("src/attic/mod.rs", "", &[1]),
        ("src/main.rs", "use renumberd::cli;", &[]),
    ];
    for (file, text, expected) in cases {
        assert_eq!(lines(&arrows(file, text)), expected, "{file}: {text}");
    }
}

#[test]
fn pure_rooms_reach_for_nothing() {
    let core = "src/core/hear/mod.rs";
    let cases: [(&str, &str, &[usize]); 21] = [
        (core, "use std::net::Ipv6Addr;\nuse std::time::Duration;", &[]),
        (core, "use crate::time::Instant;", &[]),
        (core, "use std::time::{Duration, Instant};", &[1]),
        (core, "let now = std::time::SystemTime::now();", &[1]),
        (core, "use std::{fmt, fs};", &[1]),
        (core, "use std::{fmt, io};", &[1]),
        (core, "use std::net::{Ipv6Addr, UdpSocket};", &[1]),
        (core, "std::thread::spawn(f);", &[1]),
        (core, "std::thread::Builder::new()", &[1]),
        ("src/core/hear/tests.rs", "std::thread::Builder::new()", &[]),
        ("src/core/hear/tests.rs", "std::thread::sleep(d)", &[1]),
        (core, "use tokio;", &[1]),
        (core, "#[tokio::test]", &[1]),
        (core, "let nix = 1; f(nix)", &[]),
        (core, "use netlink_packet_route::link::X;", &[1]),
        (core, "use rand_chacha::ChaCha12Rng;", &[]),
        ("src/wire/ndp.rs", "libc::ICMP6_FILTER", &[1]),
        ("src/config/file.rs", "std::fs::read_to_string(path)", &[1]),
        ("src/time.rs", "use std::time::Instant;", &[1]),
        ("src/core/random.rs", "getrandom::fill(&mut seed)", &[1]),
        ("src/platform/sockets.rs", "use tokio::io::X;\nuse std::time::Instant;", &[]),
    ];
    for (file, text, expected) in cases {
        assert_eq!(lines(&purity(file, text)), expected, "{file}: {text}");
    }
}

#[test]
fn pure_rooms_name_no_path_of_the_system() {
    let cases: [(&str, &str, &[usize]); 4] = [
        ("src/core/plan.rs", "\nlet file = \"/proc/sys/net/ipv6\";", &[2]),
        ("src/core/plan.rs", "/// Below `/proc/sys`.", &[]),
        ("src/config/file.rs", "const FILE: &str = \"/etc/x\";", &[1]),
        ("src/platform/linux/sysctl.rs", "const FILE: &str = \"/etc/x\";", &[]),
    ];
    for (file, text, expected) in cases {
        assert_eq!(lines(&system_paths(file, text)), expected, "{file}: {text}");
    }
}

#[test]
fn a_file_ends_in_time() {
    let longest = "\n".repeat(LONGEST_FILE);
    assert!(length("src/core/plan.rs", &longest).is_empty());
    assert_eq!(lines(&length("tests/scenarios.rs", &(longest + "\n"))), [LONGEST_FILE + 1]);
}

#[test]
fn the_system_is_named_in_the_platform_only() {
    let cases: [(&str, &str, &[usize]); 6] = [
        ("src/lib.rs", "\n#[cfg(target_os = \"linux\")]\nmod a;", &[]),
        ("src/cli/bench.rs", "\n#[cfg(target_os = \"linux\")]\nmod a;", &[2]),
        ("src/daemon/mod.rs", "if cfg!(not(target_os = \"linux\")) {}", &[1]),
        ("src/core/mod.rs", "// cfg(target_os)", &[]),
        ("src/platform/mod.rs", "#[cfg(target_os = \"linux\")]", &[]),
        ("tests/lab.rs", "#![cfg(target_os = \"linux\")]", &[]),
    ];
    for (file, text, expected) in cases {
        assert_eq!(lines(&systems(file, text)), expected, "{file}: {text}");
    }
}

#[test]
fn nobody_looks_behind_the_platform() {
    let cases: [(&str, &str, &[usize]); 6] = [
        ("src/daemon/shell.rs", "\nuse crate::platform::linux::Kernel;", &[2]),
        ("src/daemon/shell.rs", "use crate::platform::{Kernel, freebsd::x};", &[1]),
        ("src/daemon/shell.rs", "use crate::platform::{Kernel, identity};", &[]),
        ("src/lab/site/cable.rs", "use crate::platform::linux::Kernel;", &[]),
        ("src/platform/mod.rs", "use crate::platform::linux::Kernel;", &[]),
        ("tests/platform.rs", "use renumberd::platform::linux::Kernel;", &[]),
    ];
    for (file, text, expected) in cases {
        assert_eq!(lines(&backends(file, text)), expected, "{file}: {text}");
    }
}

#[test]
fn the_rooms_of_the_laboratory_are_in_order() {
    let cases: [(&str, &str, &[usize]); 5] = [
        ("src/lab/site/cable.rs", "use crate::lab::observe::tap::Tap;", &[1]),
        ("src/lab/site/cable.rs", "\nuse super::super::report::Stack;", &[2]),
        ("src/lab/site/cable.rs", "use super::namespace::Namespace;", &[]),
        ("src/lab/observe/watch.rs", "use crate::lab::{site::nodes::Site, report::Stack};", &[1]),
        ("src/lab/stage.rs", "use super::report::Stack;", &[]),
    ];
    for (file, text, expected) in cases {
        assert_eq!(lines(&laboratory(file, text)), expected, "{file}: {text}");
    }
}

#[test]
fn a_relaxed_lint_says_why() {
    let cases: [(&str, &[usize]); 8] = [
        ("#[allow(dead_code)]", &[1]),
        ("\n#![expect(unsafe_code)]", &[2]),
        ("#[cfg_attr(test, allow(dead_code))]", &[1]),
        ("#[expect(\n    unsafe_code,\n    reason = \"the kernel's interface\"\n)]", &[]),
        ("#[allow(dead_code, reason = \"x[0]\")]", &[]),
        ("#[allow(dead_code)] // reason = none", &[1]),
        ("#[derive(Debug)]\nfn f() { x.expect(\"why\") }", &[]),
        ("#[warn(missing_docs)]", &[]),
    ];
    for (text, expected) in cases {
        assert_eq!(lines(&reasons("src/core/plan.rs", text)), expected, "{text}");
    }
}

#[test]
fn a_dependency_says_what_for() {
    let cases: [(&str, &[usize]); 10] = [
        ("[dependencies]\na = \"1\" # text", &[]),
        ("[dependencies]\na = \"1\"", &[2]),
        ("[dependencies]\na = \"1\" #", &[2]),
        ("[dependencies]\na = { git = \"b#c\" }", &[2]),
        ("[dependencies]\n# text\na = \"1\"\nb = \"1\"", &[4]),
        ("[dependencies]\na = { version = \"1\", features = [\n  \"b\",\n] }", &[2]),
        ("[dev-dependencies]\na.workspace = true", &[2]),
        ("[target.'cfg(unix)'.dependencies]\na = \"1\"", &[2]),
        ("[dependencies.a]\nversion = \"1\"", &[1]),
        ("[package]\nname = \"a\"\n[dependencies]\n[profile.release]\nlto = true", &[]),
    ];
    for (text, expected) in cases {
        assert_eq!(lines(&dependencies("Cargo.toml", text)), expected, "{text}");
    }
}
