//! `renumberd doctor`: what is wrong with this machine or with the agent on it, and what to do.

mod checks;
mod filter;
mod programs;
#[cfg(test)]
mod tests;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use self::checks::Case;
use super::control::Unanswered;
use super::page::{self, Page, Paint};
use super::{Site, control, rtsold, say};
use crate::config::{Client, Config, ConfigError, Uplink};
use crate::core::status::Status;
use crate::daemon::clock;
use crate::platform::facts::Directory;
use crate::platform::{self, paths::STATE_DIR};

/// Version of the form for programs.
const SCHEMA: u32 = 1;
/// The exit code where all that was found are warnings.
const WARNINGS: u8 = 4;

/// What to look at.
#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(flatten)]
    site: Site,
    /// Where the memory is kept that outlives a restart
    #[arg(long, value_name = "DIR", default_value = STATE_DIR)]
    state_dir: PathBuf,
    /// For programs
    #[arg(long)]
    json: bool,
}

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Severity {
    /// Something does not work.
    Error,
    /// Something may not work.
    Warning,
    /// Worth knowing.
    Note,
}

/// Something that was found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Finding {
    /// Its stable name: that of a condition of the agent, or of a check.
    pub(super) name: String,
    /// The interface or object that it is about; empty for the whole machine.
    pub(super) subject: String,
    pub(super) severity: Severity,
    /// What it is.
    pub(super) text: String,
    /// What to do.
    pub(super) remedy: String,
    /// The text says that too.
    #[serde(skip)]
    pub(super) says_remedy: bool,
}

/// All of it, for programs.
#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    /// An agent answers.
    agent: bool,
    findings: &'a [Finding],
}

/// Looks, and prints what was found: the exit code.
///
/// # Errors
///
/// None but those of printing.
pub fn run(runtime_dir: &Path, options: &Options) -> anyhow::Result<u8> {
    let (agent, unanswered) = match control::status(runtime_dir, Some(0)) {
        Ok(status) => (Some(status), None),
        Err(error) => (None, Some(error)),
    };
    let contact = Contact::of(unanswered.as_ref());
    let (config, errors) = match &agent {
        Some(status) if rtsold::is_host(runtime_dir) => (of_host(status), Vec::new()),
        Some(_) | None => configuration(&options.site, agent.as_ref()),
    };
    let case = Case {
        config: &config,
        facts: &platform::read_facts(),
        agent: agent.as_ref(),
        is_denied: contact == Contact::Denied,
        wall: clock::wall(),
        state_dir: (&options.state_dir, platform::directory(&options.state_dir)),
        runtime_dir: (runtime_dir, platform::directory(runtime_dir)),
    };
    let mut findings: Vec<Finding> = errors.iter().map(of_configuration).collect();
    findings.extend(unanswered.as_ref().and_then(|error| of_silence(contact, runtime_dir, error)));
    findings.extend(checks::findings(&case));
    findings.sort_by_key(|finding| finding.severity);
    if options.json {
        let report = Report { schema: SCHEMA, agent: agent.is_some(), findings: &findings };
        say(&(serde_json::to_string_pretty(&report)? + "\n"));
    } else {
        let colour = std::io::stdout().is_terminal() && page::colours_are_wanted();
        say(&render(&findings, contact, colour));
    }
    Ok(exit_code(&findings))
}

/// Whether an agent could be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Contact {
    /// It answers.
    Answers,
    /// None runs there.
    Absent,
    /// This user may not ask it, if one runs.
    Denied,
    /// One runs, and does not answer.
    Silent,
}

impl Contact {
    fn of(unanswered: Option<&anyhow::Error>) -> Self {
        match unanswered.map(anyhow::Error::downcast_ref::<Unanswered>) {
            None => Self::Answers,
            Some(Some(Unanswered::Absent(_))) => Self::Absent,
            Some(Some(Unanswered::Denied(_))) => Self::Denied,
            Some(Some(Unanswered::Busy(_) | Unanswered::Failed(..)) | None) => Self::Silent,
        }
    }

    const fn in_words(self) -> &'static str {
        match self {
            Self::Answers => "an agent answers",
            Self::Absent => "no agent answers",
            Self::Denied => "this user may not ask the agent",
            Self::Silent => "the agent does not answer",
        }
    }
}

/// The finding that an agent could not be asked; none where there is none to ask.
fn of_silence(contact: Contact, runtime_dir: &Path, error: &anyhow::Error) -> Option<Finding> {
    let subject = runtime_dir.display().to_string();
    match contact {
        Contact::Answers | Contact::Absent => None,
        Contact::Denied => Some(checks::finding(
            Severity::Warning,
            "agent-not-asked",
            &subject,
            "this user may not ask the agent there, if one runs: its conditions are not shown, and \
             its rights and directories are not checked",
            "run this command as root, or as the user that the agent runs as",
        )),
        Contact::Silent => Some(checks::finding(
            Severity::Error,
            "agent-silent",
            &subject,
            format!("{error:#}"),
            "look at its log, and restart it where it hangs",
        )),
    }
}

/// What `renumberd rtsold` goes by, which has no file.
fn of_host(status: &Status) -> Config {
    let host = |name: &String| (name.clone(), Uplink::of(Client::default()));
    Config { uplinks: status.uplinks.keys().map(host).collect(), ..Config::default() }
}

/// The configuration that an agent has or would have, and what is wrong with it.
fn configuration(site: &Site, agent: Option<&Status>) -> (Config, Vec<ConfigError>) {
    match (site.load(), agent) {
        (Ok(config), _) => (config, Vec::new()),
        // An agent that runs without a file was given its roles on the command line.
        (Err(errors), Some(status)) if site.config.is_none() => {
            let names = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>();
            let uplinks = names(status.uplinks.keys().collect());
            let downlinks = names(status.downlinks.keys().collect());
            match Config::from_args(&uplinks, &downlinks) {
                Ok(config) => (config, Vec::new()),
                Err(_) => (Config::default(), errors),
            }
        }
        (Err(errors), _) => (Config::default(), errors),
    }
}

fn of_configuration(error: &ConfigError) -> Finding {
    let line = error.line.map(|line| format!(", line {line}")).unwrap_or_default();
    let key = if error.key.is_empty() { String::new() } else { format!("{}: ", error.key) };
    Finding {
        name: "configuration".to_owned(),
        subject: format!("{}{line}", error.file),
        severity: Severity::Error,
        text: format!("{key}{}", error.problem),
        remedy: error.remedy.clone(),
        says_remedy: false,
    }
}

/// Conditions, then what is not as it should be on the machine.
fn exit_code(findings: &[Finding]) -> u8 {
    match findings.iter().map(|finding| finding.severity).min() {
        Some(Severity::Error) => super::FAILED,
        Some(Severity::Warning) => WARNINGS,
        Some(Severity::Note) | None => 0,
    }
}

/// What was found, for people.
fn render(findings: &[Finding], contact: Contact, colour: bool) -> String {
    let mut page = Page::new(colour);
    let agent = contact.in_words();
    let count = |severity| findings.iter().filter(|one| one.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let paint = match (errors, warnings) {
        (0, 0) => Paint::Good,
        (0, _) => Paint::Warn,
        (_, _) => Paint::Bad,
    };
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let (s_of_errors, s_of_warnings) = (plural(errors), plural(warnings));
    let counts = format!("{errors} error{s_of_errors}, {warnings} warning{s_of_warnings}; {agent}");
    page.line(0, paint, &counts);
    for Finding { name, subject, severity, text, remedy, says_remedy } in findings {
        let (paint, word) = match severity {
            Severity::Error => (Paint::Bad, "error"),
            Severity::Warning => (Paint::Warn, "warning"),
            Severity::Note => (Paint::Faint, "note"),
        };
        page.gap();
        page.line(0, paint, format!("{word} {name} {subject}").trim_end());
        page.paragraph(4, Paint::Plain, text);
        if !says_remedy {
            page.item(4, Paint::Plain, "->", 7, remedy);
        }
    }
    page.into_text()
}

/// How much room a directory has, and whether it can be written to.
pub(super) type Place<'a> = (&'a Path, Directory);
