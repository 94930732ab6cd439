//! The assignments of a shell script, as far as a file of settings has them: `NAME=value` with or
//! without quotes, which may hold several lines.

use std::rc::Rc;

use super::draft::Origin;
use super::wrong;
use crate::config::ConfigError;

/// A line of a script.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Line {
    /// A variable and what it is set to; line breaks in it are those of the file.
    Assignment { name: String, value: String, origin: Origin },
    /// Anything else that is no comment.
    Other { text: String, origin: Origin },
}

/// Reads a script line by line.
///
/// # Errors
///
/// Where a quotation is not closed.
pub(super) fn read(file: &Rc<str>, text: &str) -> Result<Vec<Line>, ConfigError> {
    let mut all = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let origin = Origin { file: Rc::clone(file), line: number + 1 };
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, rest)) = assignment(line) else {
            all.push(Line::Other { text: line.to_owned(), origin });
            continue;
        };
        let mut value = Value::default();
        let mut is_whole = value.add(rest);
        while !is_whole {
            let Some((_, line)) = lines.next() else {
                let problem = format!("the value of {name} begins with a quote that has no end");
                return Err(wrong(&origin, problem, "a quote that closes it"));
            };
            value.found.push('\n');
            is_whole = value.add(line);
        }
        let value = value.found;
        all.push(Line::Assignment { name: name.to_owned(), value, origin });
    }
    Ok(all)
}

/// `NAME` and what is behind the `=`.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let (name, rest) = line.split_once('=')?;
    let is_letter = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
    let is_name = name.starts_with(is_letter)
        && name.chars().all(|letter| is_letter(letter) || letter.is_ascii_digit());
    is_name.then_some((name, rest))
}

/// A value as far as it has been read.
#[derive(Default)]
struct Value {
    found: String,
    /// The quote that has not been closed.
    quote: Option<char>,
}

impl Value {
    /// Reads on in a line; true where the value ends in it.
    fn add(&mut self, line: &str) -> bool {
        let mut letters = line.chars();
        while let Some(letter) = letters.next() {
            match (self.quote, letter) {
                (Some(open), letter) if letter == open => self.quote = None,
                (None | Some('"'), '\\') => self.found.extend(letters.next()),
                (None, '\'' | '"') => self.quote = Some(letter),
                (None, letter) if letter.is_whitespace() || letter == ';' => return true,
                (_, letter) => self.found.push(letter),
            }
        }
        self.quote.is_none()
    }
}
