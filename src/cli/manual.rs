//! Manual pages and completions, made from the command line's own description.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::roff::{Roff, bold, italic, roman};

use crate::config::keys::{self, Key, Kind};
use crate::core::rejection;
use crate::platform::paths::{CONFIG_FILE, RUNTIME_DIR, STATE_DIR};

/// The section of programs of the system administrator.
const SECTION: &str = "8";

/// Writes a page for the program and for each of its commands into `directory`; their files.
///
/// # Errors
///
/// When the directory cannot be written to.
pub fn write(program: Command, directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    let mut program = program.disable_help_subcommand(true);
    program.build();
    let name = program.get_name().to_owned();
    let commands = program.get_subcommands().filter(|command| !command.is_hide_set());
    let pages = commands.map(|command| {
        // A command keeps its name for clap as long as the program runs.
        let page: &'static str = String::leak(format!("{name}-{}", command.get_name()));
        command.clone().name(page)
    });
    let mut written = Vec::new();
    for page in std::iter::once(program.clone()).chain(pages) {
        let command = page.get_name().to_owned();
        let is_whole = command == name;
        let file = directory.join(format!("{command}.{SECTION}"));
        let mut text = Vec::new();
        clap_mangen::Man::new(page).section(SECTION).render(&mut text)?;
        let text = String::from_utf8(text)?.replace("\n.SH EXTRA\n", "\n.SH EXAMPLES AND NOTES\n");
        let about = if command == "renumberd-status" { counters() } else { String::new() };
        let rest = if is_whole { overview() } else { about + &see_also("renumberd", "8") };
        let text = text + &rest;
        std::fs::write(&file, text).with_context(|| file.display().to_string())?;
        written.push(file);
    }
    let file = directory.join("renumberd.toml.5");
    std::fs::write(&file, configuration()).with_context(|| file.display().to_string())?;
    written.push(file);
    Ok(written)
}

/// What renumberd(8) has besides its commands: how to begin, and what is where.
fn overview() -> String {
    let mut page = Roff::new();
    page.control("SH", ["GETTING STARTED"]);
    for paragraph in BEGINNING {
        page.control("PP", []);
        page.text([roman(paragraph)]);
    }
    page.control("SH", ["FILES"]);
    for (file, what) in [
        (CONFIG_FILE, "the configuration, see renumberd.toml(5)"),
        (STATE_DIR, "what the agent remembers: its DUID, leases, what it has delegated"),
        (RUNTIME_DIR, "the control socket, and the record of what is the agent's in the kernel"),
    ] {
        page.control("TP", []);
        page.text([bold(file)]);
        page.text([roman(what)]);
    }
    page.control("SH", ["EXIT STATUS"]);
    page.text([roman(
        "0 done, 1 failed, 2 bad usage or configuration, 3 not in time. renumberd doctor also has 4: \
         warnings alone.",
    )]);
    page.to_roff() + &see_also("renumberd.toml", "5")
}

/// What `renumberd status` counts, and what that says.
fn counters() -> String {
    let mut page = Roff::new();
    page.control("SH", ["DROPPED PACKETS"]);
    page.text([roman(
        "Messages that are not believed or not understood are counted by kind and reason, and change \
         nothing else. Any node on a link can send such. The same names are the labels of \
         renumberd_messages_rejected_total among the metrics. Options that are malformed are left out, \
         and the rest of their message counts.",
    )]);
    for (kinds, reason, meaning) in rejection::MEANINGS {
        let names: Vec<String> = kinds.iter().map(|kind| format!("{kind}-{reason}")).collect();
        page.control("TP", []);
        page.text([bold(names.join(", "))]);
        page.text([roman(*meaning)]);
    }
    page.to_roff()
}

/// How somebody begins who has the program and nothing else.
const BEGINNING: [&str; 4] = [
    "Each router of a site runs one agent, by one file: an uplink towards the provider, downlinks \
     towards hosts and further routers, and who gets a part of the prefix. renumberd.toml(5) has an \
     example for each role at its end. renumberd doctor says what stands in the way on this machine, \
     renumberd check what is wrong with the file, and renumberd plan --prefix 2001:db8:1200::/56 \
     who would get what of such a prefix.",
    "With systemd: systemctl enable --now renumberd starts the agent, as a user of its own; \
     systemctl reload renumberd has it take over a changed file, unless that has errors. Enabling \
     renumberd-wait-online has the boot wait for addresses and leases. Without systemd, as root: \
     renumberd run --user renumberd.",
    "A host needs no file: renumberd rtsold eth0, or systemctl enable --now \
     renumberd-rtsold@eth0. That starts without a network, too; enabling \
     renumberd-rtsold-wait-online@eth0 has the boot wait for an address.",
    "renumberd status shows what is wrong first, then what is still waited for, and all that the \
     agent hears, holds and gives.",
];

fn see_also(name: &str, section: &str) -> String {
    let mut page = Roff::new();
    page.control("SH", ["SEE ALSO"]);
    page.text([bold(name), roman(format!("({section})"))]);
    page.to_roff()
}

/// Whole files, by the roles of routers.
const EXAMPLES: [(&str, &str); 4] = [
    ("The smallest router", include_str!("../../contrib/examples/minimal.toml")),
    ("The outbound router, at the provider", include_str!("../../contrib/examples/outbound.toml")),
    ("The backbone router, in the middle", include_str!("../../contrib/examples/backbone.toml")),
    ("The router at the edge", include_str!("../../contrib/examples/wlan.toml")),
];

/// renumberd.toml(5): every key.
fn configuration() -> String {
    let mut page = Roff::new();
    page.control("TH", ["renumberd.toml", "5"]);
    page.control("SH", ["NAME"]);
    page.text([roman("renumberd.toml - configuration of renumberd(8)")]);
    page.control("SH", ["DESCRIPTION"]);
    page.text([roman(
        "The file is TOML. renumberd check reads it and names file, line, key and remedy of what is \
         wrong; SIGHUP has a running agent take it over by its differences. What only the running \
         system can refute, such as an absent interface, is no error but a condition that \
         renumberd status shows. Durations are texts with units, such as \"1h 30m\" or \"300ms\".",
    )]);
    for table in &keys::ALL {
        if table.table.is_empty() {
            page.control("SH", ["KEYS OF THE WHOLE MACHINE"]);
        } else {
            page.control("SH", [format!("[{}.{}]", table.table, table.name).as_str()]);
        }
        page.text([roman(table.about)]);
        describe(&mut page, table.keys);
    }
    for (title, text) in NOTES {
        page.control("SH", [title]);
        page.text([roman(text)]);
    }
    page.control("SH", ["EXAMPLES"]);
    for (title, file) in EXAMPLES {
        page.control("SS", [title]);
        page.control("nf", []);
        for line in file.lines() {
            page.text([roman(line)]);
        }
        page.control("fi", []);
    }
    page.render() + &see_also("renumberd", "8")
}

/// What several keys have to do with each other.
const NOTES: [(&str, &str); 3] = [
    (
        "PLACES",
        "A place that the delegated prefix does not contain is folded: its number modulo what \
         there is, if that is free when all places that fit have been given. Automatic places come \
         last. A delegation or pool is a whole prefix only where nobody else gets a part of it. What \
         goes without is named in renumberd status.",
    ),
    (
        "WHAT IS PASSED ON",
        "What the provider's DHCPv6 server says of NTP, SNTP, encrypted DNS, the captive portal, SIP, \
         AFTR, MAP and lightweight 4over6 is passed on to hosts and routers that ask for it by \
         DHCPv6, also on links where nothing is delegated, unless that is switched off there with \
         other = false. With several uplinks each option is that of the first, by name. renumberd \
         status shows what is passed on.",
    ),
    (
        "FREEBSD",
        "For FreeBSD 12.3 to 15; bytes and behaviour are tested against FreeBSD 13.0's own network \
         code, the program itself was not yet run there by us: renumberd selftest shows whether it \
         works. The file is /usr/local/etc/renumberd.toml there, what ends with the boot is in \
         /var/run/renumberd, and the memory in /var/db/renumberd. Routes have no metrics: of several \
         to one destination the best is set. An address whose prefix is not on-link stands alone.",
    ),
];

fn describe(page: &mut Roff, keys: &[Key]) {
    for key in keys {
        page.control("TP", []);
        page.text([bold(key.name), roman(" = "), italic(key.kind.to_string())]);
        let what = format!("{} Default: {}. Example: ", key.meaning, key.default);
        page.text([roman(what), roman(format!("{} = {}", key.name, key.example))]);
        if let Kind::Table(below) | Kind::Tables(below) = key.kind {
            page.control("RS", []);
            describe(page, below);
            page.control("RE", []);
        }
    }
}

/// What a shell reads to complete the command line.
pub fn completions(mut program: Command, shell: Shell) -> Vec<u8> {
    let name = program.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut program, name, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// PKG-06: who has the manual alone finds out how to begin.
    #[test]
    fn the_manual_says_how_to_begin_and_where_to_go_on() {
        let directory = tempfile::tempdir().unwrap();
        let files = write(super::super::Cli::command(), directory.path()).unwrap();
        let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
        let program = read("renumberd.8");
        for section in ["GETTING STARTED", "FILES", "EXIT STATUS", "SEE ALSO"] {
            assert!(program.contains(section), "{section}: {program}");
        }
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let has = |title: &str| text.contains(title);
            assert!(has("SEE ALSO") && !has("EXTRA"), "{}", file.display());
        }
        assert!(read("renumberd-status.8").contains("dhcpv6\\-useless"));
        assert!(read("renumberd.toml.5").contains("[delegation.backbone]"));
    }
}
