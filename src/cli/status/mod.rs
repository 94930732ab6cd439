//! `renumberd status`: the agent's state, as a page for people or as JSON for programs.

mod changes;
mod hosts;
mod plan;
#[cfg(test)]
mod tests;
mod uplinks;

use std::cmp::Ordering;
use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::page::{self, Page, Paint};
use super::{control, say};
use crate::core::engine::{Post, State};
use crate::core::rejection;
use crate::core::status::Status;

/// Bindings and relayed leases are listed up to this number, and counted beyond it.
const LISTED: usize = 24;
/// Between two pages of `--watch`.
const PAUSE: Duration = Duration::from_secs(1);
/// The lines of a terminal that does not say how many it has.
const LINES: usize = 24;

/// What is shown, and how.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Show only this: the hosts that this router knows on its links, with their addresses
    what: Option<What>,
    /// For programs
    #[arg(long, conflicts_with_all = ["watch", "bindings", "what"])]
    json: bool,
    /// Show it anew each second, as much of it as the terminal has lines, until it is interrupted
    #[arg(long)]
    watch: bool,
    /// List all bindings, however many there are
    #[arg(long)]
    bindings: bool,
}

/// A part of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Hosts on the downlinks
    Hosts,
}

/// Shows it.
///
/// # Errors
///
/// When no agent answers.
pub fn run(runtime_dir: &Path, options: &Options) -> anyhow::Result<()> {
    if options.json {
        let status = control::status(runtime_dir, None)?;
        say(&(serde_json::to_string_pretty(&status)? + "\n"));
        return Ok(());
    }
    let is_terminal = std::io::stdout().is_terminal();
    let colour = is_terminal && page::colours_are_wanted();
    if !options.watch {
        say(&show(runtime_dir, options, colour)?);
        return Ok(());
    }
    loop {
        // With `--watch` an agent that is being restarted is waited for.
        let text = show(runtime_dir, options, colour);
        let text = text.unwrap_or_else(|error| format!("{error:#}\n"));
        if is_terminal {
            say(&format!("{}{}", page::CLEAR, first_lines(&text, lines_of_terminal())));
        } else {
            say(&(text + "\n"));
        }
        std::thread::sleep(PAUSE);
    }
}

/// One page.
fn show(runtime_dir: &Path, options: &Options, colour: bool) -> anyhow::Result<String> {
    let most = if options.bindings { usize::MAX } else { LISTED };
    let status = control::status(runtime_dir, Some(most))?;
    Ok(match options.what {
        Some(What::Hosts) => hosts::render(&hosts::on_downlinks(&status)?, colour),
        None => render(&status, most, colour),
    })
}

fn lines_of_terminal() -> usize {
    terminal_size::terminal_size().map_or(LINES, |(_, height)| height.0.into())
}

/// As much of `text` as a terminal of `lines` shows with its cursor below.
fn first_lines(text: &str, lines: usize) -> String {
    let room = lines.saturating_sub(1).max(1);
    if text.lines().count() <= room {
        return text.to_owned();
    }
    let mut shown: String = text.split_inclusive('\n').take(room - 1).collect();
    shown.push_str("(more than this terminal shows)\n");
    shown
}

/// Renders `status`, with what is wrong first; of more relayed leases than `most` only the number.
pub fn render(status: &Status, most: usize, colour: bool) -> String {
    let mut page = Page::new(colour);
    write_conditions(&mut page, status);
    for (name, uplink) in in_natural_order(&status.uplinks) {
        uplinks::write(&mut page, name, uplink);
    }
    plan::write_downlinks(&mut page, status);
    plan::write(&mut page, status);
    plan::write_relays(&mut page, status, most);
    write_engines(&mut page, status);
    changes::write(&mut page, &status.changes);
    write_counters(&mut page, status);
    if let Some((reason, seconds)) = &status.next {
        page.gap();
        page.item(0, Paint::Plain, "next", 0, &format!("{reason} in {}", page::span(*seconds)));
    }
    page.into_text()
}

/// Writes the conditions, each with its remedy; then what is still awaited, which becomes a
/// condition only when it takes too long.
fn write_conditions(page: &mut Page, status: &Status) {
    let lacks = lacks(status);
    match (status.conditions.len(), lacks.as_slice()) {
        (0, []) => page.line(0, Paint::Good, "no condition to mend"),
        (0, _) => {}
        (count, _) => page.line(0, Paint::Bad, &format!("to mend: {count}")),
    }
    for condition in &status.conditions {
        let subject = match condition.subject.as_str() {
            "" => String::new(),
            subject => format!(" {subject}"),
        };
        page.line(2, Paint::Bad, &format!("{}{subject}:", condition.name));
        page.paragraph(4, Paint::Plain, &condition.text);
    }
    if !lacks.is_empty() {
        page.line(0, Paint::Warn, &format!("waiting: {}", lacks.len()));
    }
    for (name, lack) in lacks {
        page.paragraph(2, Paint::Plain, &format!("{name}: {lack}"));
    }
}

/// The uplinks that lack something that no condition names.
fn lacks(status: &Status) -> Vec<(&str, &str)> {
    let has_condition = |name: &str| status.conditions.iter().any(|one| one.subject == name);
    in_natural_order(&status.uplinks)
        .into_iter()
        .filter(|(name, _)| !has_condition(name))
        .filter_map(|(name, uplink)| Some((name.as_str(), uplink.lack.as_deref()?)))
        .collect()
}

fn write_engines(page: &mut Page, status: &Status) {
    if status.engines.is_empty() {
        return;
    }
    page.title("other programs");
    for engine in &status.engines {
        let Post { job, interface } = &engine.post;
        let version = engine.version.as_deref().map(|text| format!(" {text}")).unwrap_or_default();
        let paint = match engine.state {
            State::Idle | State::Running => Paint::Plain,
            State::Starting | State::Changing => Paint::Warn,
            State::Failed => Paint::Bad,
        };
        let text = format!("{job}: {}{version}, {}", engine.program, engine.state);
        page.item(2, paint, interface, 13, &text);
    }
}

fn write_counters(page: &mut Page, status: &Status) {
    if status.counters.is_empty() {
        return;
    }
    page.title("dropped packets");
    for (counter, count) in &status.counters {
        let meaning = rejection::meaning_of(counter).map(|meaning| format!(": {meaning}"));
        let text = format!("{counter}{}", meaning.unwrap_or_default());
        page.item(2, Paint::Plain, &count.to_string(), 13, &text);
    }
}

/// The entries of a map as people count: `d2` before `d10`.
fn in_natural_order<T>(map: &std::collections::BTreeMap<String, T>) -> Vec<(&String, &T)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by(|(one, _), (other, _)| natural(one, other));
    entries
}

/// Compares names so that numbers in them count as numbers.
fn natural(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one, other);
    loop {
        let (Some(a), Some(b)) = (one.chars().next(), other.chars().next()) else {
            return one.len().cmp(&other.len());
        };
        let ordering = if a.is_ascii_digit() && b.is_ascii_digit() {
            let (number, other_number) = (take_digits(&mut one), take_digits(&mut other));
            // Without leading zeros the longer one is the greater one, however many digits it has.
            number.len().cmp(&other_number.len()).then_with(|| number.cmp(other_number))
        } else {
            one = one.get(a.len_utf8()..).unwrap_or_default();
            other = other.get(b.len_utf8()..).unwrap_or_default();
            a.cmp(&b)
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
}

/// The digits at the beginning of `text`, without leading zeros; `text` begins behind them then.
fn take_digits<'a>(text: &mut &'a str) -> &'a str {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    digits.trim_start_matches('0')
}
