//! The output of a running program: logged at a limited rate, its last lines kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::{Instant, sleep};
use tracing::debug;

/// The most octets of a line that are kept.
const MAX_LINE: usize = 512;
/// The number of lines that are kept, for the report of how the program has ended.
const KEPT_LINES: usize = 4;
/// The most lines that are logged in each span of time.
const LOGGED_LINES: u32 = 50;
const SPAN: Duration = Duration::from_secs(10);
/// After reading this number of octets the reader pauses: a program that prints without end waits.
const QUOTA: usize = 64 * 1024;
const PAUSE: Duration = Duration::from_millis(50);

/// The last lines of a program's output.
#[derive(Clone, Debug, Default)]
pub(super) struct LastLines(Arc<Mutex<VecDeque<String>>>);

impl LastLines {
    /// All that are kept, in one line.
    pub(super) fn joined(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("; ")
    }

    fn add(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

/// Reads the output of the program called `name` on one stream, until it ends. It is read even
/// where it is not logged, or a program that prints a lot would wait for its reader for ever.
pub(super) async fn follow(name: String, mut stream: impl AsyncRead + Unpin, lines: LastLines) {
    let mut limit = Limit::new();
    let (mut line, mut buffer, mut read) = (Vec::new(), [0; 4096], 0);
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        for &octet in buffer.iter().take(count) {
            if octet != b'\n' {
                if line.len() < MAX_LINE {
                    line.push(octet);
                }
                continue;
            }
            let text = readable(&line);
            line.clear();
            if limit.takes_one() {
                debug!(engine = name, "{text}");
            }
            lines.add(text);
        }
        // A program that floods has its turn like all others.
        tokio::task::yield_now().await;
        read += count;
        if read >= QUOTA {
            read = 0;
            sleep(PAUSE).await;
        }
    }
    if !line.is_empty() {
        lines.add(readable(&line));
    }
}

/// The text of a line, without characters that could affect the terminal of a person who reads the
/// log.
fn readable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    text.trim_end().chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// A number of lines for each span of time.
struct Limit {
    begun: Instant,
    count: u32,
}

impl Limit {
    fn new() -> Self {
        Self { begun: Instant::now(), count: 0 }
    }

    fn takes_one(&mut self) -> bool {
        let now = Instant::now();
        if now - self.begun >= SPAN {
            *self = Self { begun: now, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count <= LOGGED_LINES
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[test]
    fn the_last_lines_are_kept_short_and_harmless() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let lines = LastLines::default();
        let long = "x".repeat(10_000);
        let printed = format!("1\n2\n3\n4\n\x1b[31mred\n{long}\nlast");
        runtime.block_on(follow("test".to_owned(), printed.as_bytes(), lines.clone()));
        let short = "x".repeat(MAX_LINE);
        assert_eq!(lines.joined(), format!("4; ?[31mred; {short}; last"));
    }

    /// BKE-18
    #[test]
    fn a_program_that_prints_without_end_is_read_at_a_bounded_pace() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut printed = 0;
        runtime.block_on(async {
            let (mut program, stream) = tokio::io::duplex(4096);
            let print = async {
                while program.write_all(&[b'\n'; 4096]).await.is_ok() {
                    printed += 4096;
                }
            };
            let read = follow("test".to_owned(), stream, LastLines::default());
            let limit = PAUSE * 10;
            let _ = tokio::time::timeout(limit, async { tokio::join!(print, read) }).await;
        });
        assert!((QUOTA..=QUOTA * 12).contains(&printed), "{printed}");
    }
}
