//! `renumberd import`: turns configurations of other programs into one of ours.
//!
//! Each format has a file here that reads it into a [`Draft`]; [`settle`] then brings the draft to
//! what the reader of the configuration accepts, so the result always passes `check`. Nothing is
//! carried over in silence: each line names the file and line that it comes from, and what has no
//! key here is listed with the reason.

mod article;
mod blocks;
mod dhcp6c;
mod dhcp6s;
mod dhcpcd;
mod draft;
mod prefixes;
mod radvd;
mod render;
mod rtadvd;
mod settle;
mod shell;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use clap::Args;
use ipnet::Ipv6Net;

use crate::config::ConfigError;
use draft::{Draft, Hints, LeftOut, Origin};

/// Most octets that are read from all files together.
const MOST_OCTETS: usize = 1 << 20;

/// What is imported.
#[derive(Debug, Clone, Args)]
pub struct Import {
    /// Formats and files in turn: article, dhcpcd.conf, radvd.conf, dhcp6s.conf, dhcp6c.conf or
    /// rtadvd.conf, each with a FILE
    #[arg(required = true, num_args = 2.., value_name = "FORMAT FILE")]
    inputs: Vec<String>,
    /// The interface towards the provider, for files that name none
    #[arg(long, value_name = "IF")]
    uplink: Option<String>,
    /// The interface towards routers and hosts, for files that name none
    #[arg(long, value_name = "IF")]
    downlink: Option<String>,
    /// The provider's prefix that the files were written with: what lies in it becomes a place in
    /// each delegated prefix, what does not is static
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<Ipv6Net>,
}

/// A configuration that was made, and what to know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The configuration, as TOML.
    pub configuration: String,
    /// What was left out, for people.
    pub summary: String,
}

/// A format that is known here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    Article,
    Dhcpcd,
    Radvd,
    Dhcp6s,
    Dhcp6c,
    Rtadvd,
}

impl Format {
    const ALL: [(&'static str, Self); 6] = [
        ("article", Self::Article),
        ("dhcpcd.conf", Self::Dhcpcd),
        ("radvd.conf", Self::Radvd),
        ("dhcp6s.conf", Self::Dhcp6s),
        ("dhcp6c.conf", Self::Dhcp6c),
        ("rtadvd.conf", Self::Rtadvd),
    ];

    fn named(name: &str) -> Result<Self, ConfigError> {
        let known = Self::ALL.iter().find(|(known, _)| *known == name);
        known.map(|(_, format)| *format).ok_or_else(|| {
            let names = Self::ALL.map(|(name, _)| name).join(", ");
            let problem = format!("{name:?} is no format that can be imported");
            on_command_line(problem, format!("write one of {names} before each FILE"))
        })
    }
}

/// Reads files, and those that they include.
pub(crate) struct Loader<'a> {
    read: &'a mut dyn FnMut(&Path) -> std::io::Result<Vec<u8>>,
    left: usize,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(read: &'a mut dyn FnMut(&Path) -> std::io::Result<Vec<u8>>) -> Self {
        Self { read, left: MOST_OCTETS }
    }

    /// A file that another one names at `origin`; a relative name is looked up beside that one.
    fn load(&mut self, name: &str, origin: &Origin) -> Result<(Rc<str>, String), ConfigError> {
        let beside = Path::new(&*origin.file).parent().unwrap_or_else(|| Path::new(""));
        let path = beside.join(name);
        self.text(&path).map(|text| (path.display().to_string().into(), text)).map_err(|why| {
            let problem = format!("{} cannot be read: {why}", path.display());
            wrong(origin, problem, "the name of a file that can be read")
        })
    }

    fn text(&mut self, path: &Path) -> Result<String, String> {
        let octets = (self.read)(path).map_err(|error| error.to_string())?;
        self.left = self
            .left
            .checked_sub(octets.len())
            .ok_or_else(|| format!("the files have more than {MOST_OCTETS} octets together"))?;
        // Comments may be in any encoding; names that are not UTF-8 are refused where they matter.
        Ok(String::from_utf8_lossy(&octets).into_owned())
    }
}

/// An error at a line: the problem, and what was expected there.
fn wrong(origin: &Origin, problem: impl Into<String>, expected: &str) -> ConfigError {
    ConfigError {
        file: origin.file.to_string(),
        line: Some(origin.line),
        key: String::new(),
        problem: problem.into(),
        remedy: format!("expected {expected}"),
    }
}

fn on_command_line(problem: String, remedy: String) -> ConfigError {
    let (file, key) = ("command line".to_owned(), String::new());
    ConfigError { file, line: None, key, problem, remedy }
}

/// Imports what the command line names.
///
/// # Errors
///
/// Where a file cannot be read or does not have its format, or nothing is left that an agent could
/// do.
pub fn run(import: &Import) -> Result<Imported, ConfigError> {
    let mut inputs = Vec::new();
    for pair in import.inputs.chunks(2) {
        let [format, file] = pair else {
            let problem = format!("{:?} has no FILE", pair.concat());
            return Err(on_command_line(problem, "write FORMAT FILE, once or more".to_owned()));
        };
        inputs.push((Format::named(format)?, PathBuf::from(file)));
    }
    let hints = Hints {
        uplink: import.uplink.clone(),
        downlink: import.downlink.clone(),
        provider: import.prefix.map(|prefix| prefix.trunc()),
    };
    from_files(&inputs, hints, &mut |path| read_bounded(path))
}

/// Reads a file, whatever kind it is, up to a bound.
fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let most = u64::try_from(MOST_OCTETS).unwrap_or(u64::MAX).saturating_add(1);
    let mut octets = Vec::new();
    std::fs::File::open(path)?.take(most).read_to_end(&mut octets)?;
    Ok(octets)
}

fn from_files(
    inputs: &[(Format, PathBuf)],
    hints: Hints,
    read: &mut dyn FnMut(&Path) -> std::io::Result<Vec<u8>>,
) -> Result<Imported, ConfigError> {
    let mut draft = Draft { hints, ..Draft::default() };
    let mut loader = Loader::new(read);
    for (format, path) in inputs {
        let file: Rc<str> = path.display().to_string().into();
        let text = loader.text(path).map_err(|why| ConfigError {
            file: file.to_string(),
            line: None,
            key: String::new(),
            problem: format!("cannot be read: {why}"),
            remedy: "name a file that can be read".to_owned(),
        })?;
        let before = draft.left_out.len();
        match format {
            Format::Article => article::import(&mut draft, &file, &text)?,
            Format::Dhcpcd => dhcpcd::import(&mut draft, &file, &text)?,
            Format::Radvd => radvd::import(&mut draft, &file, &text, &mut loader)?,
            Format::Dhcp6s => dhcp6s::import(&mut draft, &file, &text, &mut loader)?,
            Format::Dhcp6c => dhcp6c::import(&mut draft, &file, &text, &mut loader)?,
            Format::Rtadvd => rtadvd::import(&mut draft, &file, &text)?,
        }
        let found = draft.left_out.get_mut(before..).unwrap_or_default();
        found.sort_by_key(|left| {
            let origin = left.origin.as_ref();
            origin.map(|origin| (Rc::clone(&origin.file), origin.line))
        });
    }
    settle::settle(&mut draft)?;
    Ok(Imported { configuration: configuration(&draft, inputs), summary: summary(&draft) })
}

fn configuration(draft: &Draft, inputs: &[(Format, PathBuf)]) -> String {
    let names: Vec<String> =
        inputs.iter().map(|(_, path)| draft::comment(&path.display().to_string())).collect();
    // Writing to a string cannot fail.
    let mut text = format!("# Imported from {}.\n", names.join(", "));
    text.push_str(
        "# Behind each line stands the file and line that it comes from. What is not written has\n\
         # renumberd's defaults, and its built-in engines do what the other programs did.\n",
    );
    for (line, _) in render::lines(draft) {
        let _ = writeln!(text, "{}", line.trim_end());
    }
    if !draft.left_out.is_empty() {
        text.push_str("\n# Left out:\n");
        for left in &draft.left_out {
            let _ = writeln!(text, "#   {}", sentence(left));
        }
    }
    text
}

fn sentence(left: &LeftOut) -> String {
    let at = left.origin.as_ref().map(|origin| format!("{origin}: ")).unwrap_or_default();
    draft::comment(&format!("{at}{}: {}", draft::excerpt(&left.what), left.why))
}

fn summary(draft: &Draft) -> String {
    let tables = draft.sections.keys().filter(|(kind, _)| *kind != draft::Kind::Root).count();
    let mut text = format!("imported {tables} tables, left out {}", draft.left_out.len());
    text.push_str(if draft.left_out.is_empty() { "\n" } else { ":\n" });
    for left in &draft.left_out {
        let _ = writeln!(text, "  {}", sentence(left));
    }
    text
}
