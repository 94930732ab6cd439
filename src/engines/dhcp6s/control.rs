//! The control port of dhcp6s: one signed command per connection, on the loopback.
//!
//! `dhcp6ctl` would do the same, but succeeds even if the command fails. The program sends no
//! answer, but closes the connection when it has carried out a command: the agent waits for that,
//! so that it notices a program which hangs.

use std::io;
use std::net::Ipv6Addr;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::wire::dhcpv6_option::{Duid, Iaid};

/// A program that has not carried out a command within this time is taken to hang.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// The key that signs commands.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 16]);

/// A command to the program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Read the file anew; bindings stay as they are.
    Reload,
    /// Forget the binding of an IA_PD.
    Remove(Duid, Iaid),
}

const RELOAD: u16 = 1;
const REMOVE: u16 = 2;
const BINDING: u32 = 1;
const BINDING_IA: u32 = 2;
const IA_PD: u32 = 3;
/// Command, length, version, a reserved field, and the time.
const HEADER: usize = 12;
const DIGEST: usize = 16;

impl Key {
    /// A key made of these octets, which cannot be guessed.
    pub const fn new(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// The contents of its file, for the program and `dhcp6ctl`.
    pub fn file(&self) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for chunk in self.0.chunks(3) {
            let octet = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
            let bits = octet(0) << 16 | octet(1) << 8 | octet(2);
            let digits = [18, 12, 6, 0].map(|shift| DIGITS[(bits >> shift & 0x3f) as usize]);
            let used = digits.iter().take(chunk.len() + 1).map(|digit| char::from(*digit));
            text.extend(used.chain("==".chars().take(3 - chunk.len())));
        }
        text + "\n"
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Command {
    /// The command as it is sent, signed; `seconds` since 1970 may differ from the program's clock
    /// by a few minutes.
    pub fn encode(&self, key: &Key, seconds: u32) -> Vec<u8> {
        let (command, body) = match self {
            Self::Reload => (RELOAD, Vec::new()),
            Self::Remove(duid, iaid) => {
                let length = u32::try_from(duid.octets().len()).unwrap_or(u32::MAX);
                let words = [BINDING, BINDING_IA, 0, IA_PD, iaid.0, length];
                (REMOVE, [&words.map(u32::to_be_bytes).concat()[..], duid.octets()].concat())
            }
        };
        let length = u16::try_from(DIGEST + body.len()).unwrap_or(u16::MAX);
        let head = [command, length, 0, 0].map(u16::to_be_bytes).concat();
        let mut octets = [&head[..], &seconds.to_be_bytes(), &[0; DIGEST], &body].concat();
        let Ok(mut hmac) = Hmac::<Md5>::new_from_slice(&key.0) else { return octets };
        hmac.update(&octets);
        octets[HEADER..HEADER + DIGEST].copy_from_slice(&hmac.finalize().into_bytes());
        octets
    }

    /// Makes the program that listens at `port` of the loopback carry out the command.
    ///
    /// # Errors
    ///
    /// The system's error where no program listens; [`io::ErrorKind::TimedOut`] where the program
    /// hangs for [`PATIENCE`].
    pub async fn send(&self, port: u16, key: &Key, seconds: u32) -> io::Result<()> {
        exchange(port, &self.encode(key, seconds)).await
    }
}

/// Asks whether the program listens and answers.
///
/// # Errors
///
/// Those of [`Command::send`].
pub async fn probe(port: u16) -> io::Result<()> {
    exchange(port, &[]).await
}

async fn exchange(port: u16, octets: &[u8]) -> io::Result<()> {
    let exchange = async {
        let mut stream = TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await?;
        stream.write_all(octets).await?;
        // After the end of the input it closes a connection without a command.
        stream.shutdown().await?;
        let mut answer = [0; 64];
        while stream.read(&mut answer).await? > 0 {}
        Ok(())
    };
    timeout(PATIENCE, exchange).await?
}
