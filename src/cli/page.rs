//! A page of text for a terminal of 80 columns.

use std::time::Duration;

/// No line is longer, in characters.
pub(in crate::cli) const WIDTH: usize = 80;
/// The cells of a bar.
const CELLS: u32 = 24;
/// Empties a terminal, with the cursor at its beginning (ECMA-48: CUP, ED).
pub(in crate::cli) const CLEAR: &str = "\x1b[H\x1b[2J";

/// Whether nobody asks for a page without colours (<https://no-color.org>).
pub(in crate::cli) fn colours_are_wanted() -> bool {
    are_wanted(|name| std::env::var_os(name))
}

fn are_wanted(variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> bool {
    variable("NO_COLOR").is_none_or(|value| value.is_empty())
        && variable("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// How a piece of text looks on a terminal with colours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::cli) enum Paint {
    Plain,
    Title,
    Good,
    Warn,
    Bad,
    Faint,
}

impl Paint {
    /// What selects it (ECMA-48: SGR).
    const fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Title => Some("1"),
            Self::Good => Some("32"),
            Self::Warn => Some("33"),
            Self::Bad => Some("1;31"),
            Self::Faint => Some("2"),
        }
    }
}

/// A page that is being written. What comes in is shown without control characters: names and
/// texts may come from the network.
#[derive(Debug)]
pub(in crate::cli) struct Page {
    text: String,
    colour: bool,
}

impl Page {
    pub(in crate::cli) const fn new(colour: bool) -> Self {
        Self { text: String::new(), colour }
    }

    pub(in crate::cli) fn into_text(self) -> String {
        self.text
    }

    /// An empty line, unless the page is empty.
    pub(in crate::cli) fn gap(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    /// Writes the title of a section, after an empty line.
    pub(in crate::cli) fn title(&mut self, text: &str) {
        self.gap();
        self.line(0, Paint::Title, text);
    }

    /// One line, or as many as it takes.
    pub(in crate::cli) fn line(&mut self, indent: usize, paint: Paint, text: &str) {
        self.wrap(indent, indent + 2, paint, text);
    }

    /// Lines that all begin in one column.
    pub(in crate::cli) fn paragraph(&mut self, indent: usize, paint: Paint, text: &str) {
        self.wrap(indent, indent, paint, text);
    }

    /// A head, and a text in lines that begin in the column `hang`; where that is 0, two columns
    /// behind the head, and further lines below it.
    pub(in crate::cli) fn item(
        &mut self,
        indent: usize,
        paint: Paint,
        head: &str,
        hang: usize,
        text: &str,
    ) {
        let head = cleaned(head);
        let end = indent + head.chars().count();
        let column = if hang == 0 { end + 2 } else { hang.max(end + 1) };
        if column + MIN_ROOM > WIDTH {
            self.line(indent, paint, &head);
            self.wrap(indent + 2, indent + 2, Paint::Plain, text);
            return;
        }
        self.text.push_str(&" ".repeat(indent));
        self.paint(paint, &head);
        self.text.push_str(&" ".repeat(column - end));
        let hang = if hang == 0 { indent + 2 } else { column };
        self.wrap_from(column, hang, Paint::Plain, text);
    }

    fn wrap(&mut self, indent: usize, hang: usize, paint: Paint, text: &str) {
        self.text.push_str(&" ".repeat(indent));
        self.wrap_from(indent, hang, paint, text);
    }

    /// Continues a line in `column`.
    fn wrap_from(&mut self, column: usize, hang: usize, paint: Paint, text: &str) {
        let text = cleaned(text);
        let mut lines = Vec::new();
        let (mut line, mut room) = (String::new(), WIDTH.saturating_sub(column));
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let needed = word.chars().count() + usize::from(!line.is_empty());
            if line.chars().count() + needed > room && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
                room = WIDTH.saturating_sub(hang);
            }
            if !line.is_empty() {
                line.push(' ');
            }
            for letter in word.chars() {
                if line.chars().count() >= room.max(1) {
                    lines.push(std::mem::take(&mut line));
                    room = WIDTH.saturating_sub(hang);
                }
                line.push(letter);
            }
        }
        lines.push(line);
        for (number, line) in lines.iter().enumerate() {
            if number > 0 {
                self.text.push_str(&" ".repeat(hang));
            }
            self.paint(paint, line);
            self.text.push('\n');
        }
    }

    fn paint(&mut self, paint: Paint, text: &str) {
        match paint.code().filter(|_| self.colour) {
            Some(code) => self.text.push_str(&format!("\x1b[{code}m{text}\x1b[0m")),
            None => self.text.push_str(text),
        }
    }
}

/// A text with less room than this begins on a line of its own.
const MIN_ROOM: usize = 20;

/// The words of a text, without characters that act on a terminal: control characters, invisible
/// ones, and those that change the direction of writing.
fn cleaned(text: &str) -> String {
    let acts = |letter: char| {
        letter.is_control()
            || matches!(letter,
                '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}')
    };
    let text = in_words(text);
    text.chars().map(|letter| if acts(letter) { '?' } else { letter }).collect()
}

/// The text without the numbers that Rust adds to the system's errors: `(os error 13)`.
pub(in crate::cli) fn in_words(text: &str) -> String {
    let mut pieces = text.split(" (os error ");
    let mut words = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.split_once(')') {
            Some((number, rest)) if number.chars().all(|one| one.is_ascii_digit()) => words += rest,
            Some(_) | None => words = words + " (os error " + piece,
        }
    }
    words
}

/// A bar of what is left of a lifetime: `=` preferred, `-` only valid, `.` over.
pub(in crate::cli) fn bar(preferred: u32, valid: u32, whole: u32) -> String {
    let whole = whole.max(1);
    let cells = |seconds: u32| {
        let cells = u64::from(seconds.min(whole)) * u64::from(CELLS);
        usize::try_from(cells.div_ceil(u64::from(whole))).unwrap_or(0)
    };
    let (preferred, valid) = (cells(preferred.min(valid)), cells(valid));
    let all = usize::try_from(CELLS).unwrap_or(0);
    format!(
        "[{}{}{}]",
        "=".repeat(preferred),
        "-".repeat(valid - preferred),
        ".".repeat(all - valid)
    )
}

/// The remaining lifetimes of a prefix or address.
pub(in crate::cli) fn lifetimes(preferred: Option<u32>, valid: Option<u32>) -> String {
    match (preferred, valid) {
        (Some(0), valid) => format!("deprecated, valid {}", lifetime(valid)),
        (preferred, valid) => {
            format!("preferred {}, valid {}", lifetime(preferred), lifetime(valid))
        }
    }
}

/// A lifetime in seconds; none does not end.
pub(in crate::cli) fn lifetime(seconds: Option<u32>) -> String {
    seconds.map_or_else(|| "without end".to_owned(), |seconds| span(f64::from(seconds)))
}

/// Seconds in the two units that matter most.
pub(in crate::cli) fn span(seconds: f64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let span = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let whole = span.as_secs();
    if whole == 0 {
        return match span.as_millis() {
            0 => "0s".to_owned(),
            milliseconds => format!("{milliseconds}ms"),
        };
    }
    let mut left = whole;
    let mut parts = Vec::new();
    for (unit, name) in UNITS {
        let count = left / unit;
        left %= unit;
        if count > 0 {
            parts.push(format!("{count}{name}"));
        }
        // The unit below the first one, where there is anything of it, and nothing finer.
        if parts.len() == 2 || (parts.len() == 1 && count == 0) {
            break;
        }
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_left_out_where_somebody_says_so() {
        let wanted = |name: &'static str, value: &'static str| {
            are_wanted(|asked| (asked == name).then(|| value.into()))
        };
        assert!(wanted("TERM", "xterm") && wanted("NO_COLOR", ""));
        assert!(!wanted("NO_COLOR", "1") && !wanted("TERM", "dumb"));
    }

    #[test]
    fn no_line_is_too_long_and_nothing_is_lost() {
        let mut page = Page::new(false);
        let word = "x".repeat(200);
        page.item(2, Paint::Plain, "head", 13, &format!("some words before {word} and after"));
        page.item(2, Paint::Plain, &"y".repeat(90), 13, "word");
        page.paragraph(4, Paint::Bad, &"lots of words ".repeat(40));
        let text = page.into_text();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert_eq!(text.matches('x').count(), 200);
        assert_eq!(text.matches('y').count(), 90);
        assert_eq!(text.matches("lots").count(), 40);
    }

    #[test]
    fn answers_of_the_kernel_are_in_words() {
        let error = std::io::Error::from_raw_os_error(13);
        let text = format!("a: {error}; b: {error}, (os error x) and so on (os error 1");
        let words =
            "a: Permission denied; b: Permission denied, (os error x) and so on (os error 1";
        assert_eq!(in_words(&text), words);
    }

    #[test]
    fn nothing_acts_on_a_terminal_but_colours_of_the_page() {
        let hostile = "a\u{1b}[2Jb\u{7}c\u{9b}d\ne\u{202e}f\u{200b}g\rh";
        let mut page = Page::new(true);
        page.line(0, Paint::Bad, hostile);
        page.item(2, Paint::Good, hostile, 13, hostile);
        let text = page.into_text();
        let plain = ["\x1b[1;31m", "\x1b[32m", "\x1b[0m"]
            .iter()
            .fold(text.clone(), |text, code| text.replace(code, ""));
        assert!(plain.lines().all(|line| !line.contains(char::is_control)), "{text:?}");
        assert_eq!(plain.matches("a?[2Jb?c?d?e?f?g?h").count(), 3, "{plain}");
    }

    #[test]
    fn spans_have_the_two_units_that_matter() {
        let cases = [
            (0.0, "0s"),
            (0.25, "250ms"),
            (59.9, "59s"),
            (60.0, "1m"),
            (61.0, "1m 1s"),
            (3605.0, "1h"),
            (3660.0, "1h 1m"),
            (90_000.0, "1d 1h"),
            (-1.0, "0s"),
        ];
        for (seconds, text) in cases {
            assert_eq!(span(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn a_bar_is_what_is_left() {
        let count = |bar: &str, letter: char| bar.matches(letter).count();
        for (preferred, valid, whole) in
            [(0, 0, 100), (50, 100, 100), (100, 100, 0), (1, 2, u32::MAX), (u32::MAX, 7, 9)]
        {
            let bar = bar(preferred, valid, whole);
            assert_eq!(bar.len(), 26, "{bar}");
        }
        let half = bar(900, 1800, 3600);
        assert_eq!((count(&half, '='), count(&half, '-'), count(&half, '.')), (6, 6, 12));
    }
}
