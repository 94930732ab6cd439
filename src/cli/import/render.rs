//! The draft as text, line by line, and which line is about what.

use super::draft::{Content, Draft, Entry, Id, Item, Kind, Origin, Section, comment, quoted};

/// Column in which comments begin, where the line is shorter.
const COMMENTS_AT: usize = 36;

/// What a line of the rendered configuration is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Subject {
    /// Nothing that could be wrong.
    Nothing,
    /// A table as a whole.
    Table(Id),
    /// A key.
    Key(Id, &'static str),
    /// An item of a list, by its position.
    Item(Id, &'static str, usize),
}

/// The configuration as lines.
pub(super) fn lines(draft: &Draft) -> Vec<(String, Subject)> {
    let mut lines = Vec::new();
    for (id, section) in &draft.sections {
        of_section(&mut lines, id, section);
    }
    lines
}

fn of_section(lines: &mut Vec<(String, Subject)>, id: &Id, section: &Section) {
    let (kind, name) = id;
    if *kind != Kind::Root {
        lines.push((String::new(), Subject::Nothing));
        let head = format!("[{}.{}]", kind.key(), key(name));
        lines.push((with_origins(&head, &section.origins, ""), Subject::Table(id.clone())));
    }
    for entry in &section.entries {
        of_entry(lines, id, entry);
    }
    for hint in &section.hints {
        lines.push((format!("# {}", comment(hint)), Subject::Nothing));
    }
}

fn of_entry(lines: &mut Vec<(String, Subject)>, id: &Id, entry: &Entry) {
    let name = entry.key;
    let whole = || Subject::Key(id.clone(), name);
    match &entry.content {
        Content::One(item) => {
            lines.push((of_item(&format!("{name} = {}", item.value), item), whole()));
        }
        Content::Many(items) if items.is_empty() => {
            lines.push((format!("{name} = []"), whole()));
        }
        Content::Many(items) => {
            lines.push((format!("{name} = ["), whole()));
            for (position, item) in items.iter().enumerate() {
                let subject = Subject::Item(id.clone(), name, position);
                lines.push((of_item(&format!("    {},", item.value), item), subject));
            }
            lines.push(("]".to_owned(), whole()));
        }
    }
}

fn of_item(text: &str, item: &Item) -> String {
    with_origins(text, &item.origins, &item.note)
}

fn with_origins(text: &str, origins: &[Origin], note: &str) -> String {
    /// More are not of use.
    const MOST: usize = 4;
    let mut parts: Vec<String> =
        origins.iter().take(MOST).map(|origin| comment(&origin.to_string())).collect();
    if origins.len() > MOST {
        parts.push("…".to_owned());
    }
    let mut origin = parts.join(", ");
    if !note.is_empty() {
        origin = if origin.is_empty() { note.to_owned() } else { format!("{origin}: {note}") };
    }
    if origin.is_empty() {
        return text.to_owned();
    }
    let width = COMMENTS_AT - 1;
    format!("{text:<width$} # {origin}")
}

/// A name as a part of a table's head.
fn key(name: &str) -> String {
    let is_bare = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { quoted(name) }
}
