//! Manual pages and completions, made from the command line's own description.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::roff::{Roff, bold, italic, roman};

use crate::config::keys::{self, Key, Kind};

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
        let file = directory.join(format!("{}.{SECTION}", page.get_name()));
        let mut text = Vec::new();
        clap_mangen::Man::new(page).section(SECTION).render(&mut text)?;
        std::fs::write(&file, text).with_context(|| file.display().to_string())?;
        written.push(file);
    }
    let file = directory.join("renumberd.toml.5");
    std::fs::write(&file, configuration()).with_context(|| file.display().to_string())?;
    written.push(file);
    Ok(written)
}

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
    page.control("SH", ["SEE ALSO"]);
    page.text([bold("renumberd"), roman("(8)")]);
    page.render()
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
