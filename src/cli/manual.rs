//! Manual pages and completions, made from the command line's own description.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Command;
use clap_complete::Shell;

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
    Ok(written)
}

/// What a shell reads to complete the command line.
pub fn completions(mut program: Command, shell: Shell) -> Vec<u8> {
    let name = program.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut program, name, &mut text);
    text
}
