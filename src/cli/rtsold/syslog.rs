//! The log of a daemon goes to syslogd(8) (RFC 3164 §4.1).

use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use crate::platform::paths::SYSLOG;

/// The facility of system daemons, where its severities begin.
const DAEMON: u8 = 3 << 3;
const ERROR: u8 = 3;
const WARNING: u8 = 4;
const INFO: u8 = 6;
const DEBUG: u8 = 7;

/// Makes a datagram of each line.
#[derive(Debug)]
pub(super) struct Syslog {
    socket: Option<UnixDatagram>,
    program: &'static str,
}

impl Syslog {
    pub(super) fn new(program: &'static str) -> Self {
        let socket = UnixDatagram::unbound().ok();
        // A log that is not read does not hold the program up.
        let socket = socket.filter(|socket| socket.set_nonblocking(true).is_ok());
        Self { socket, program }
    }

    fn line(&self, severity: u8) -> Line<'_> {
        Line { syslog: self, severity }
    }
}

/// A line of a severity.
#[derive(Debug)]
pub(super) struct Line<'a> {
    syslog: &'a Syslog,
    severity: u8,
}

impl<'a> MakeWriter<'a> for Syslog {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        self.line(INFO)
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line<'a> {
        self.line(match *metadata.level() {
            Level::ERROR => ERROR,
            Level::WARN => WARNING,
            Level::INFO => INFO,
            Level::DEBUG | Level::TRACE => DEBUG,
        })
    }
}

impl Write for Line<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let Syslog { socket, program } = self.syslog;
        let priority = DAEMON | self.severity;
        let line = String::from_utf8_lossy(text);
        let line = format!("<{priority}>{program}[{}]: {}", std::process::id(), line.trim());
        // syslogd may be restarted, or not be there: there is nobody else to report that to.
        let _ = socket.as_ref().map(|socket| socket.send_to(line.as_bytes(), SYSLOG));
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
