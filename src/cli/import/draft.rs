//! The configuration that an import makes: tables of keys, each with the place that it comes from,
//! and what has no key here.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use ipnet::Ipv6Net;

use crate::config::ConfigError;

/// Most characters of an imported file that are repeated in a comment.
const LONGEST_EXCERPT: usize = 80;

/// Most items of a list that is made here.
const MOST_ITEMS: usize = 64;
/// Most tables of a configuration that is made here.
const MOST_TABLES: usize = 1000;

/// A line of an imported file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Origin {
    /// The file's name, as it was given.
    pub(super) file: Rc<str>,
    /// Counted from 1.
    pub(super) line: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// The kind of a table of the configuration, in the order in which tables are written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    /// The keys before all tables.
    Root,
    /// `[uplink.INTERFACE]`
    Uplink,
    /// `[static.NAME]`
    Static,
    /// `[downlink.INTERFACE]`
    Downlink,
    /// `[delegation.NAME]`
    Delegation,
}

impl Kind {
    /// The first part of the table's name.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Root => "",
            Self::Uplink => "uplink",
            Self::Static => "static",
            Self::Downlink => "downlink",
            Self::Delegation => "delegation",
        }
    }
}

/// A table: its kind and its name, which is empty for the root.
pub(super) type Id = (Kind, String);

/// The keys before all tables.
pub(super) const fn root() -> Id {
    (Kind::Root, String::new())
}

/// A value and the lines that it comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Item {
    /// As TOML has it.
    pub(super) value: String,
    /// Lines that say so; none where a rule of the program does.
    pub(super) origins: Vec<Origin>,
    /// Why it is written, where its origin does not show that.
    pub(super) note: String,
}

/// The value of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Content {
    /// One value.
    One(Item),
    /// A list, an item a line.
    Many(Vec<Item>),
}

/// A key of a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub(super) key: &'static str,
    pub(super) content: Content,
    /// Whether another line may replace it without a word.
    pub(super) weak: bool,
}

/// A table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Section {
    /// Lines that name it.
    pub(super) origins: Vec<Origin>,
    pub(super) entries: Vec<Entry>,
    /// Comments below its keys.
    pub(super) hints: Vec<String>,
    /// The sources of the prefixes that it takes a part of.
    pub(super) feeds: Vec<(Feed, Origin)>,
}

/// A source of prefixes for a downlink or delegation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Feed {
    /// All delegated prefixes.
    Delegated,
    /// What is delegated with this IAID, on this uplink where it is known.
    Iaid(Option<String>, u32),
    /// A static prefix of this name.
    Static(String),
}

/// A setting that the configuration cannot express.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct LeftOut {
    /// The line that says it; none where it is about all files.
    pub(super) origin: Option<Origin>,
    pub(super) what: String,
    pub(super) why: String,
}

/// The options of the command line beside the files.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Hints {
    /// The uplink of files that name none.
    pub(super) uplink: Option<String>,
    /// The downlink of files that name none.
    pub(super) downlink: Option<String>,
    /// The provider's prefix that the files were written with.
    pub(super) provider: Option<Ipv6Net>,
}

/// A configuration under construction.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Draft {
    pub(super) hints: Hints,
    pub(super) sections: BTreeMap<Id, Section>,
    pub(super) left_out: Vec<LeftOut>,
    /// IAIDs that a file asks for without naming the uplink.
    pub(super) asked: Vec<(u32, Origin)>,
}

impl Draft {
    /// The table `id`, which the line `origin` names.
    pub(super) fn table(&mut self, id: &Id, origin: &Origin) -> &mut Section {
        let section = self.sections.entry(id.clone()).or_default();
        // One mention of each file shows where the rest is.
        if section.origins.iter().all(|known| known.file != origin.file) {
            section.origins.push(origin.clone());
        }
        section
    }

    /// Refuses files that would make more tables than a person can read.
    ///
    /// # Errors
    ///
    /// Where there are too many already.
    pub(super) fn check_room(&self, origin: &Origin) -> Result<(), ConfigError> {
        if self.sections.len() < MOST_TABLES {
            return Ok(());
        }
        let problem = format!("this and the lines before it make more than {MOST_TABLES} tables");
        Err(super::wrong(origin, problem, "less: import the file in parts"))
    }

    /// Writes `key = value` into a table. Of two values the first stays.
    pub(super) fn set(&mut self, id: &Id, key: &'static str, value: String, origin: &Origin) {
        self.set_with(id, key, value, origin, String::new());
    }

    /// As [`set`](Self::set), with a reason beside the origin.
    pub(super) fn set_with(
        &mut self,
        id: &Id,
        key: &'static str,
        value: String,
        origin: &Origin,
        note: String,
    ) {
        let section = self.table(id, origin);
        let item = Item { value, origins: vec![origin.clone()], note };
        match section.entries.iter_mut().find(|entry| entry.key == key) {
            None => {
                section.entries.push(Entry { key, content: Content::One(item), weak: false });
            }
            Some(entry) if entry.weak => {
                *entry = Entry { key, content: Content::One(item), weak: false };
            }
            Some(Entry { content: Content::One(known), .. }) if known.value == item.value => {
                known.origins.push(origin.clone());
            }
            Some(Entry { content, .. }) => {
                let first = match content {
                    Content::One(known) => known.origins.first(),
                    Content::Many(known) => known.first().and_then(|item| item.origins.first()),
                };
                let first = first.map_or_else(|| "an earlier line".to_owned(), Origin::to_string);
                let why = format!("{first} says otherwise, and the first one counts");
                self.leave_out(origin, format!("{key} = {}", item.value), why);
            }
        }
    }

    /// Writes `key = value` unless another line sets the key.
    pub(super) fn suggest(
        &mut self,
        id: &Id,
        key: &'static str,
        value: String,
        origin: &Origin,
        note: &str,
    ) {
        let section = self.table(id, origin);
        if section.entries.iter().all(|entry| entry.key != key) {
            let origins = vec![origin.clone()];
            let item = Item { value, origins, note: note.to_owned() };
            section.entries.push(Entry { key, content: Content::One(item), weak: true });
        }
    }

    /// Adds an item to the list `key`, unless it has it.
    pub(super) fn push(&mut self, id: &Id, key: &'static str, value: String, origin: &Origin) {
        let section = self.table(id, origin);
        let item = Item { value, origins: vec![origin.clone()], note: String::new() };
        match section.entries.iter_mut().find(|entry| entry.key == key) {
            None => {
                let content = Content::Many(vec![item]);
                section.entries.push(Entry { key, content, weak: false });
            }
            Some(Entry { content: Content::Many(items), .. }) => {
                let has_room = items.len() < MOST_ITEMS;
                match items.iter_mut().find(|known| known.value == item.value) {
                    Some(known) => known.origins.push(origin.clone()),
                    None if has_room => items.push(item),
                    None => {
                        let why = format!("a list here has {MOST_ITEMS} items at most");
                        self.leave_out(origin, format!("{key}: {}", item.value), why);
                    }
                }
            }
            Some(entry) => {
                *entry = Entry { key, content: Content::Many(vec![item]), weak: false };
            }
        }
    }

    /// Adds a source of prefixes for a downlink or delegation.
    pub(super) fn feed(&mut self, id: &Id, feed: Feed, origin: &Origin) {
        let section = self.table(id, origin);
        if section.feeds.iter().all(|(known, _)| *known != feed) {
            section.feeds.push((feed, origin.clone()));
        }
    }

    /// Adds a comment below the keys of a table.
    pub(super) fn hint(&mut self, id: &Id, origin: &Origin, hint: String) {
        let section = self.table(id, origin);
        if !section.hints.contains(&hint) {
            section.hints.push(hint);
        }
    }

    /// Notes a setting that the configuration cannot express.
    pub(super) fn leave_out(
        &mut self,
        origin: &Origin,
        what: impl Into<String>,
        why: impl Into<String>,
    ) {
        let (what, why) = (what.into(), why.into());
        self.left_out.push(LeftOut { origin: Some(origin.clone()), what, why });
    }

    /// A name for a table of this kind that resembles `name` and that nothing has with which it
    /// could be confused.
    pub(super) fn free_name(&self, kind: Kind, name: &str) -> String {
        /// The most characters of a name, less room for a number.
        const MOST: usize = 50;
        let plain = |letter: char| {
            if letter.is_ascii_alphanumeric() || "_.-".contains(letter) { letter } else { '-' }
        };
        let name: String = name.chars().map(plain).take(MOST).collect();
        let name = if name.trim_matches('.').is_empty() { kind.key().to_owned() } else { name };
        // Downlinks and delegations share one room for names, static prefixes and uplinks another.
        let rivals = match kind {
            Kind::Static | Kind::Uplink | Kind::Root => [Kind::Static, Kind::Uplink],
            Kind::Downlink | Kind::Delegation => [Kind::Downlink, Kind::Delegation],
        };
        let is_free = |name: &String| {
            rivals.iter().all(|rival| !self.sections.contains_key(&(*rival, name.clone())))
        };
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        std::iter::once(name.clone()).chain(numbered).find(is_free).unwrap_or_default()
    }

    /// The names of tables of one kind.
    pub(super) fn names(&self, kind: Kind) -> Vec<String> {
        let all = self.sections.keys().filter(|(known, _)| *known == kind);
        all.map(|(_, name)| name.clone()).collect()
    }
}

/// A string as TOML has it, on one line.
pub(super) fn quoted(text: &str) -> String {
    let mut found = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => found.extend(['\\', letter]),
            letter if letter.is_control() => {
                found.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            letter => found.push(letter),
        }
    }
    found.push('"');
    found
}

/// A duration as the configuration has it: in the largest unit that leaves no remainder.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration.subsec_nanos() != 0 {
        return format!("\"{}ms\"", duration.as_millis());
    }
    let units = [(86_400, "d"), (3600, "h"), (60, "m")];
    let unit =
        units.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    let (unit, name) = unit.unwrap_or((1, "s"));
    format!("\"{}{name}\"", seconds / unit)
}

/// Text as a comment can have it: on one line and without control characters.
pub(super) fn comment(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// Text of an imported file, cut to a length that identifies it.
pub(super) fn excerpt(text: &str) -> String {
    let mut found: String = text.chars().take(LONGEST_EXCERPT).collect();
    if text.chars().nth(LONGEST_EXCERPT).is_some() {
        found.push('…');
    }
    comment(&found)
}
