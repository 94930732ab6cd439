//! The form that radvd and KAME's dhcp6 share: statements of words that end with `;`, some of them
//! with a block of statements in braces, and comments from `#` to the end of the line.

use std::rc::Rc;

use super::draft::Origin;
use super::{Loader, wrong};
use crate::config::ConfigError;

/// How deep blocks may lie in each other: theirs lie three deep at most.
const DEEPEST: usize = 8;
/// How many files may include each other in a row.
const INCLUDES: usize = 8;

/// A word, or what stands between double quotes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// Words, and what stands in braces behind them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Statement {
    /// At least one.
    pub(super) words: Vec<Word>,
    pub(super) block: Vec<Self>,
    pub(super) origin: Origin,
}

impl Statement {
    /// The word at a position, as text.
    pub(super) fn word(&self, position: usize) -> &str {
        self.words.get(position).map_or("", |word| &word.text)
    }

    /// The word at a position, which has to be there.
    ///
    /// # Errors
    ///
    /// Where the statement is shorter.
    pub(super) fn need(&self, position: usize, expected: &str) -> Result<&str, ConfigError> {
        match self.words.get(position) {
            Some(word) => Ok(&word.text),
            None => {
                let problem = format!("`{}` ends too soon", self.text());
                Err(wrong(&self.origin, problem, expected))
            }
        }
    }

    /// Its words as they were written, more or less.
    pub(super) fn text(&self) -> String {
        let words: Vec<&str> = self.words.iter().map(|word| word.text.as_str()).collect();
        super::draft::excerpt(&words.join(" "))
    }
}

/// A piece of the text.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Token {
    Word(String),
    Open,
    Close,
    End,
}

/// Reads a file and those that it includes.
///
/// # Errors
///
/// Where it does not have this form, or an included file cannot be read.
pub(super) fn read(
    file: &Rc<str>,
    text: &str,
    loader: &mut Loader<'_>,
) -> Result<Vec<Statement>, ConfigError> {
    read_at(file, text, loader, 0)
}

fn read_at(
    file: &Rc<str>,
    text: &str,
    loader: &mut Loader<'_>,
    depth: usize,
) -> Result<Vec<Statement>, ConfigError> {
    let tokens = tokens(file, text)?;
    let mut reader = Reader { tokens: &tokens, end: last_line(file, text) };
    let statements = reader.statements(0)?;
    let mut all = Vec::new();
    for statement in statements {
        if statement.word(0) != "include" {
            all.push(statement);
            continue;
        }
        let name = statement.need(1, "include \"FILE\";")?;
        if depth + 1 >= INCLUDES {
            let problem = format!("{INCLUDES} files include each other in a row");
            return Err(wrong(&statement.origin, problem, "fewer: does a file include itself?"));
        }
        let (name, text) = loader.load(name, &statement.origin)?;
        all.extend(read_at(&name, &text, loader, depth + 1)?);
    }
    Ok(all)
}

fn last_line(file: &Rc<str>, text: &str) -> Origin {
    Origin { file: Rc::clone(file), line: text.lines().count().max(1) }
}

fn tokens(file: &Rc<str>, text: &str) -> Result<Vec<(Token, Origin)>, ConfigError> {
    let mut tokens = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let origin = Origin { file: Rc::clone(file), line: number + 1 };
        let mut rest = line.trim_start_matches(is_blank);
        while let Some(first) = rest.chars().next() {
            let (token, length) = match first {
                '#' => break,
                '{' => (Token::Open, 1),
                '}' => (Token::Close, 1),
                ';' => (Token::End, 1),
                '"' => {
                    let inner = rest.get(1..).unwrap_or_default();
                    let Some(end) = inner.find('"') else {
                        let problem = "a quotation is not closed on its line";
                        return Err(wrong(&origin, problem, "a double quote at its end"));
                    };
                    (Token::Word(inner.get(..end).unwrap_or_default().to_owned()), end + 2)
                }
                _ => {
                    let is_end = |letter| is_blank(letter) || "{};\"#".contains(letter);
                    let end = rest.find(is_end).unwrap_or(rest.len());
                    (Token::Word(rest.get(..end).unwrap_or_default().to_owned()), end)
                }
            };
            tokens.push((token, origin.clone()));
            rest = rest.get(length..).unwrap_or_default().trim_start_matches(is_blank);
        }
    }
    Ok(tokens)
}

/// Lists are written with commas or without.
fn is_blank(letter: char) -> bool {
    letter.is_whitespace() || letter == ','
}

struct Reader<'a> {
    tokens: &'a [(Token, Origin)],
    /// The last line, for errors that concern the end.
    end: Origin,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<(Token, Origin)> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first.clone())
    }

    /// Statements to the end of a block, or of the file where `depth` is 0.
    fn statements(&mut self, depth: usize) -> Result<Vec<Statement>, ConfigError> {
        let mut all = Vec::new();
        let mut words: Vec<Word> = Vec::new();
        while let Some((token, origin)) = self.next() {
            match token {
                Token::Word(text) => words.push(Word { text, origin }),
                Token::End => all.extend(statement(&mut words, Vec::new())),
                Token::Open => {
                    if depth >= DEEPEST {
                        let problem = format!("blocks lie in each other more than {DEEPEST} deep");
                        return Err(wrong(&origin, problem, "a block to be closed, `};`"));
                    }
                    let block = self.statements(depth + 1)?;
                    if words.is_empty() {
                        let problem = "a block has no words before its `{`";
                        return Err(wrong(&origin, problem, "for instance `interface NAME {`"));
                    }
                    all.extend(statement(&mut words, block));
                }
                Token::Close if depth == 0 => {
                    return Err(wrong(&origin, "a `}` closes nothing", "its `{` before it"));
                }
                Token::Close => return ended(&words, all),
            }
        }
        if depth > 0 {
            return Err(wrong(&self.end, "the file ends within a block", "`};`"));
        }
        ended(&words, all)
    }
}

/// What was read, where no word is left over.
fn ended(words: &[Word], all: Vec<Statement>) -> Result<Vec<Statement>, ConfigError> {
    let Some(word) = words.last() else { return Ok(all) };
    let problem = format!("`{}` does not end its statement", super::draft::excerpt(&word.text));
    Err(wrong(&word.origin, problem, "`;` behind it"))
}

/// A `;` that follows a block, or another one, ends nothing.
fn statement(words: &mut Vec<Word>, block: Vec<Statement>) -> Option<Statement> {
    let words = std::mem::take(words);
    let origin = words.first()?.origin.clone();
    Some(Statement { words, block, origin })
}
