//! Rust source as the rules want to see it: without comments and text, as paths and attributes.

/// A word or a sign of the code, with its line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Token<'a> {
    line: usize,
    text: &'a str,
}

/// A path that the code names, `use` groups unfolded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NamedPath {
    /// Where its last segment stands, from 1.
    pub(crate) line: usize,
    /// Its segments.
    pub(crate) segments: Vec<String>,
    /// It stands in a `use`, where one segment can be a whole crate.
    pub(crate) imported: bool,
}

/// An attribute, all its words and signs in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Attribute {
    /// Where it begins, from 1.
    pub(crate) line: usize,
    /// What stands in its brackets.
    pub(crate) words: Vec<String>,
}

/// `source` with spaces in place of comments and of what stands in quotes.
pub(crate) fn code_of(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let word = before.is_alphanumeric() || before == '_';
        let (skipped, length) = match rest.as_bytes() {
            [b'/', b'/', ..] => (true, rest.find('\n').unwrap_or(rest.len())),
            [b'/', b'*', ..] => (true, block_comment(rest)),
            [b'"', ..] => (true, quoted(rest, '"')),
            [b'b' | b'c', b'"', ..] if !word => (true, 1 + quoted(&rest[1..], '"')),
            [b'r', b'"' | b'#', ..] if !word => raw_string(rest, 1),
            [b'b' | b'c', b'r', b'"' | b'#', ..] if !word => raw_string(rest, 2),
            [b'\'', ..] if is_character(rest) => (true, quoted(rest, '\'')),
            _ => (false, first.len_utf8()),
        };
        let (taken, left) = rest.split_at(length);
        if skipped {
            code.extend(taken.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        } else {
            code.push_str(taken);
        }
        before = if skipped { ' ' } else { first };
        rest = left;
    }
    code
}

/// The length of a block comment, which may hold others.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a literal that ends with an unescaped `quote`.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Whether `rest` is a raw string behind a prefix of `prefix` octets, and how long it is; `r#name`
/// is none.
fn raw_string(rest: &str, prefix: usize) -> (bool, usize) {
    let body = &rest[prefix..];
    let hashes = body.len() - body.trim_start_matches('#').len();
    if !body[hashes..].starts_with('"') {
        return (false, prefix);
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let text = prefix + hashes + 1;
    (true, rest[text..].find(&end).map_or(rest.len(), |at| text + at + end.len()))
}

/// Whether the quote begins a character, not a lifetime.
fn is_character(rest: &str) -> bool {
    let mut chars = rest.chars().skip(1);
    chars.next() == Some('\\') || chars.next() == Some('\'')
}

fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (index, text) in code.lines().enumerate() {
        let line = index + 1;
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let sign = if rest.starts_with("::") { 2 } else { first.len_utf8() };
            let (text, left) = rest.split_at(word.max(usize::from(word == 0) * sign));
            tokens.push(Token { line, text });
            rest = left.trim_start();
        }
    }
    tokens
}

/// Every path that `code` names. Local names are paths of one segment.
pub(crate) fn paths(code: &str) -> Vec<NamedPath> {
    let tokens = tokens(code);
    let mut paths = Vec::new();
    // What stands before each group that is open; none for braces that are not part of a path.
    let mut groups: Vec<Option<Vec<String>>> = Vec::new();
    let mut current: Vec<String> = Vec::new();
    let mut imported = false;
    for (index, token) in tokens.iter().enumerate() {
        let follows = index > 0 && tokens[index - 1].text == "::";
        let goes_on = tokens.get(index + 1).is_some_and(|next| next.text == "::");
        match token.text {
            "use" => imported = true,
            "::" => {}
            "{" if follows => groups.push(Some(std::mem::take(&mut current))),
            "{" => groups.push(None),
            "}" => {
                groups.pop();
            }
            ";" => imported = false,
            text if text.starts_with(|c: char| c.is_alphabetic() || c == '_') || text == "*" => {
                if !follows {
                    current = groups.last().cloned().flatten().unwrap_or_default();
                }
                current.push(text.to_owned());
                if !goes_on {
                    let segments = std::mem::take(&mut current);
                    paths.push(NamedPath { line: token.line, segments, imported });
                }
            }
            _ => {}
        }
    }
    paths
}

/// Every attribute of `code`.
pub(crate) fn attributes(code: &str) -> Vec<Attribute> {
    let tokens = tokens(code);
    let mut attributes = Vec::new();
    for (index, token) in tokens.iter().enumerate().filter(|(_, token)| token.text == "#") {
        let inner = tokens.get(index + 1).is_some_and(|next| next.text == "!");
        let start = index + 1 + usize::from(inner);
        if tokens.get(start).is_none_or(|bracket| bracket.text != "[") {
            continue;
        }
        let mut depth = 0_usize;
        let words = tokens[start..].iter().take_while(|token| {
            depth += usize::from(token.text == "[");
            depth -= usize::from(token.text == "]");
            depth > 0
        });
        let words = words.map(|token| token.text.to_owned()).collect();
        attributes.push(Attribute { line: token.line, words });
    }
    attributes
}

mod tests {
    use super::*;

    #[test]
    fn comments_and_text_are_no_code() {
        let cases = [
            ("a // b", "a     "),
            ("a /* b /* c */ d */ e", "a                   e"),
            ("a(\"b \\\" c\", d)", "a(        , d)"),
            ("a(r#\"b\" c\"#, d)", "a(         , d)"),
            ("a(br\"b\\\", d)", "a(      , d)"),
            ("bar\"b\"", "bar   "),
            ("r#type + x", "r#type + x"),
            ("a('\\'', 'b', '\"', d)", "a(    ,    ,    , d)"),
            ("fn a<'b>(c: &'b str)", "fn a<'b>(c: &'b str)"),
            ("\"a\nb\" c // d\ne", "  \n   c     \ne"),
        ];
        for (source, expected) in cases {
            assert_eq!(code_of(source), expected, "{source}");
        }
    }

    #[test]
    fn groups_are_unfolded() {
        let named = |code| {
            let paths = paths(code).into_iter();
            let paths = paths.map(|path| format!("{}:{}", path.line, path.segments.join("::")));
            paths.filter(|path| path.contains("::")).collect::<Vec<_>>()
        };
        let cases: [(&str, &[&str]); 6] = [
            ("use a::b;", &["1:a::b"]),
            ("use a::{b,\nc::{d, e::*}};", &["1:a::b", "2:a::c::d", "2:a::c::e::*"]),
            ("use {a::b, c::{d}};", &["1:a::b", "1:c::d"]),
            ("fn f(x: a::B) { c::d(e) }", &["1:a::B", "1:c::d"]),
            ("match x { a::B { y } => c::D { z: y } }", &["1:a::B", "1:c::D"]),
            ("use super\n    ::a::{self, b};", &["2:super::a::self", "2:super::a::b"]),
        ];
        for (code, expected) in cases {
            assert_eq!(named(code), expected, "{code}");
        }
    }
}
