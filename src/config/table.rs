//! Tables of the file: reading keys and collecting errors.
//!
//! serde's derive would end at the first error: an operator is shown all of them at once, each with
//! its line, its key, and the key or value that was probably meant.

use std::cell::RefCell;
use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ConfigError;
use super::keys::{self, Key, Keys, Kind};
use super::value::{Read, Wrong};

/// How alike two keys must be for one to be meant by the other (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.8;

/// The file that is read, and the errors that were found.
pub(super) struct File<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
    errors: RefCell<Vec<ConfigError>>,
    unread: RefCell<BTreeSet<&'static str>>,
}

impl<'a> File<'a> {
    pub(super) fn new(name: &'a str, text: &'a str) -> Self {
        Self { name, text, errors: RefCell::default(), unread: RefCell::default() }
    }

    /// Notes an error at an octet of the text.
    pub(super) fn wrong(&self, at: Option<usize>, key: &str, wrong: Wrong) {
        self.errors.borrow_mut().push(ConfigError {
            file: self.name.to_owned(),
            line: at.map(|at| self.line(at)),
            key: key.to_owned(),
            problem: wrong.problem,
            remedy: wrong.remedy,
        });
    }

    /// Notes that there may be more tables of a kind, or more in them, than could be read.
    pub(super) fn miss(&self, kind: &'static str) {
        self.unread.borrow_mut().insert(kind);
    }

    /// Whether there may be more tables of a kind, or more in them, than could be read.
    pub(super) fn misses(&self, kind: &str) -> bool {
        self.unread.borrow().contains(kind)
    }

    fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        before.iter().filter(|octet| **octet == b'\n').count() + 1
    }

    /// The errors, from the top to the bottom of the file, and then those of the whole file.
    pub(super) fn into_errors(self) -> Vec<ConfigError> {
        let mut errors = self.errors.into_inner();
        errors.sort_by_key(|error| (error.line.is_none(), error.line));
        errors
    }
}

/// A table; those of its keys that are unknown are noted by [`finish`](Self::finish).
pub(super) struct Table<'a> {
    file: &'a File<'a>,
    /// Its own key, dotted; empty for the root.
    path: String,
    /// Where it begins; none for the root.
    at: Option<usize>,
    entries: &'a DeTable<'a>,
    /// The keys that it can have, below which tables may stand.
    keys: &'static [Key],
}

impl<'a> Table<'a> {
    pub(super) const fn root(file: &'a File<'a>, entries: &'a DeTable<'a>) -> Self {
        Self { file, path: String::new(), at: None, entries, keys: keys::TOP.keys }
    }

    const fn below(
        &self,
        path: String,
        at: usize,
        entries: &'a DeTable<'a>,
        keys: &'static [Key],
    ) -> Self {
        Self { file: self.file, path, at: Some(at), entries, keys }
    }

    /// Reads `key` with `meaning`; none where it is absent or wrong.
    pub(super) fn get<T>(
        &self,
        key: &'static str,
        meaning: impl Fn(&DeValue<'_>) -> Read<T>,
    ) -> Option<T> {
        let value = self.value(key)?;
        meaning(value.get_ref())
            .map_err(|wrong| self.file.wrong(Some(value.span().start), &self.dotted(key), wrong))
            .ok()
    }

    /// Reads `key`, which may not be left out.
    pub(super) fn need<T>(
        &self,
        key: &'static str,
        remedy: &str,
        meaning: impl Fn(&DeValue<'_>) -> Read<T>,
    ) -> Option<T> {
        if !self.has(key) {
            self.wrong(key, Wrong::new("is missing", remedy));
        }
        self.get(key, meaning)
    }

    /// Whether `key` is there, right or wrong.
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.value(key).is_some()
    }

    /// Reads the list at `key`, each of its items with `meaning`.
    pub(super) fn list<T>(
        &self,
        key: &'static str,
        meaning: impl Fn(&DeValue<'_>) -> Read<T>,
    ) -> Option<Vec<T>> {
        let mut all = Vec::new();
        for (at, item) in self.items(key)? {
            match meaning(item) {
                Ok(item) => all.push(item),
                Err(wrong) => self.file.wrong(Some(at), &self.dotted(key), wrong),
            }
        }
        Some(all)
    }

    /// The tables in the list at `key`.
    pub(super) fn list_of_tables(&self, key: &'static str) -> Option<Vec<Self>> {
        let path = self.dotted(key);
        let keys = self.keys_below(key);
        let mut tables = Vec::new();
        for (at, item) in self.items(key)? {
            match item.as_table() {
                Some(entries) => {
                    tables.push(self.below(path.clone(), at, entries, keys));
                }
                None => self.file.wrong(
                    Some(at),
                    &path,
                    Wrong::new("is no table", "write a table in braces, { … }"),
                ),
            }
        }
        Some(tables)
    }

    /// The table in braces at `key`.
    pub(super) fn inner(&self, key: &'static str) -> Option<Self> {
        let value = self.value(key)?;
        let at = value.span().start;
        let Some(entries) = value.get_ref().as_table() else {
            let wrong = Wrong::new("is no table", "write a table in braces, { … }");
            self.file.wrong(Some(at), &self.dotted(key), wrong);
            return None;
        };
        Some(self.below(self.dotted(key), at, entries, self.keys_below(key)))
    }

    /// The keys of the tables that are the value of `key`.
    fn keys_below(&self, key: &str) -> &'static [Key] {
        let known = self.keys.iter().find(|known| known.name == key);
        match known.map(|known| known.kind) {
            Some(Kind::Table(keys) | Kind::Tables(keys)) => keys,
            Some(_) | None => &[],
        }
    }

    /// The tables of a kind by their names: `[table.NAME]`.
    pub(super) fn tables(&self, kind: &Keys) -> Vec<(String, Self)> {
        let key = kind.table;
        let Some(value) = self.entries.get(key) else { return Vec::new() };
        let remedy = || format!("begin a table with [{key}.{}]", kind.name);
        let Some(below) = value.get_ref().as_table() else {
            let wrong = Wrong::new("is no table", remedy());
            self.file.wrong(Some(value.span().start), &self.dotted(key), wrong);
            self.file.miss(key);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (name, value) in below {
            let path = format!("{}.{}", self.dotted(key), name.get_ref());
            match value.get_ref().as_table() {
                Some(entries) => {
                    let below = self.below(path, name.span().start, entries, kind.keys);
                    tables.push((name.get_ref().to_string(), below));
                }
                None => {
                    let wrong = Wrong::new("stands where a table belongs", remedy());
                    self.file.wrong(Some(name.span().start), &path, wrong);
                    self.file.miss(key);
                }
            }
        }
        tables
    }

    /// Reads something of a table of a kind; where that is wrong, the kind is not known whole.
    pub(super) fn part_of<T>(&self, kind: &Keys, read: impl FnOnce() -> T) -> T {
        let before = self.file.errors.borrow().len();
        let part = read();
        if self.file.errors.borrow().len() > before {
            self.file.miss(kind.table);
        }
        part
    }

    /// Notes that the value of `key`, though well-formed, cannot be.
    pub(super) fn wrong(&self, key: &'static str, wrong: Wrong) {
        let at = self.value(key).map(|value| value.span().start).or(self.at);
        self.file.wrong(at, &self.dotted(key), wrong);
    }

    /// Notes that the table itself cannot be.
    pub(super) fn unwanted(&self, wrong: Wrong) {
        self.file.wrong(self.at, &self.path, wrong);
    }

    /// Notes the keys that are unknown.
    pub(super) fn finish(&self) {
        let tables = self.path.is_empty().then(|| keys::ALL.iter().map(|keys| keys.table));
        let tables = tables.into_iter().flatten().filter(|table| !table.is_empty());
        let known: Vec<&str> = self.keys.iter().map(|key| key.name).chain(tables).collect();
        for key in self.entries.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            let unknown = key.get_ref().as_ref();
            if self.path.is_empty() {
                // It may be a table of any kind, misspelt.
                keys::ALL.iter().for_each(|keys| self.file.miss(keys.table));
            }
            let meant = known
                .iter()
                .map(|known| (strsim::jaro_winkler(unknown, known), *known))
                .filter(|(alike, _)| *alike >= ALIKE)
                .max_by(|a, b| a.0.total_cmp(&b.0));
            let remedy = match meant {
                Some((_, meant)) => format!("did you mean `{meant}`?"),
                None => format!("the keys here are: {}", known.join(", ")),
            };
            let wrong = Wrong::new("is no key that is known here", remedy);
            self.file.wrong(Some(key.span().start), &self.dotted(unknown), wrong);
        }
    }

    fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        debug_assert!(
            self.keys.iter().any(|known| known.name == key),
            "{key} is not described in config::keys"
        );
        self.entries.get(key)
    }

    /// The items of a list with where they begin.
    fn items(&self, key: &'static str) -> Option<Vec<(usize, &'a DeValue<'a>)>> {
        let value = self.value(key)?;
        let Some(array) = value.get_ref().as_array() else {
            let wrong = Wrong::new("is no list", "write a list in brackets, [ … ]");
            self.file.wrong(Some(value.span().start), &self.dotted(key), wrong);
            return None;
        };
        Some(array.iter().map(|item| (item.span().start, item.get_ref())).collect())
    }

    fn dotted(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}
