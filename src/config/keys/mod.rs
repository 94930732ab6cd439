//! Every key of the configuration file, with what its value is, its default and its meaning.
//!
//! The reader takes from here which keys a table knows; the manual and the schema are made of it. A
//! test reads each example through the reader, and holds the keys of both to be the same.

mod delegation;
mod downlink;
mod host;
mod machine;
mod uplink;

use std::fmt;

/// A table of the file.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// Its name; empty for the top of the file.
    pub table: &'static str,
    /// What stands for the second part of its name, such as `INTERFACE`; empty for the top.
    pub name: &'static str,
    /// What it is about, in a sentence.
    pub about: &'static str,
    /// Its keys, in the order in which a reader wants them.
    pub keys: &'static [Key],
}

/// A key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// What holds without it, as it would be written, or in words.
    pub default: &'static str,
    /// A value as it would be written.
    pub example: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

/// What a value is.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A whole number between two.
    Number(i64, i64),
    /// A time with units, such as `"1h 30m"` or `"300ms"`.
    Duration,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A text of this form.
    Text(Form),
    /// A list of texts of this form.
    Texts(Form),
    /// One of these texts, or a list of texts of this form.
    ChoiceOrTexts(&'static [&'static str], Form),
    /// A table in braces, with these keys.
    Table(&'static [Key]),
    /// A list of tables in braces, with these keys.
    Tables(&'static [Key]),
}

/// The form of a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// An IPv6 address.
    Address,
    /// An IPv6 prefix.
    Prefix,
    /// An address or a prefix.
    AddressOrPrefix,
    /// A place in a delegated prefix, such as `0x3/64` or `-1/64`.
    Place,
    /// The name of an interface.
    Interface,
    /// A name, or one of the words that the meaning lists.
    Name,
    /// Octets in hexadecimal, with colons between them.
    Octets,
    /// The whole path of a file.
    File,
    /// A word of a command.
    Word,
    /// A domain name, or one of the words that the meaning lists.
    Domain,
    /// A URI.
    Uri,
    /// An address with a port, spoken to by HTTP.
    Http,
    /// An address with a port, or the whole path of a socket.
    Listen,
}

pub use delegation::{DELEGATION, POOL, STATIC};
pub use downlink::DOWNLINK;
pub use host::CLIENT;
pub use machine::{ENGINE, RELAY, TOP};
pub use uplink::UPLINK;

/// All tables: the top of the file first.
pub const ALL: [Keys; 9] = [TOP, UPLINK, CLIENT, DOWNLINK, DELEGATION, POOL, STATIC, RELAY, ENGINE];

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("true or false"),
            Self::Number(least, most) => write!(f, "a number from {least} to {most}"),
            Self::Duration => f.write_str("a duration"),
            Self::Choice(choices) => write_choices(f, choices),
            Self::Text(form) => write!(f, "{form}"),
            Self::Texts(form) => write!(f, "a list, each item {form}"),
            Self::ChoiceOrTexts(choices, form) => {
                write_choices(f, choices)?;
                write!(f, ", or a list, each item {form}")
            }
            Self::Table(_) => f.write_str("a table in braces with these keys"),
            Self::Tables(_) => f.write_str("a list of tables in braces with these keys"),
        }
    }
}

fn write_choices(f: &mut fmt::Formatter<'_>, choices: &[&str]) -> fmt::Result {
    for (position, choice) in choices.iter().enumerate() {
        let between = match position {
            0 => "",
            _ if position + 1 == choices.len() => " or ",
            _ => ", ",
        };
        write!(f, "{between}\"{choice}\"")?;
    }
    Ok(())
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "an IPv6 address",
            Self::Prefix => "an IPv6 prefix",
            Self::AddressOrPrefix => "an IPv6 address or prefix",
            Self::Place => "a place in a prefix",
            Self::Interface => "the name of an interface",
            Self::Name => "a text",
            Self::Octets => "octets in hexadecimal with colons",
            Self::File => "the whole path of a file",
            Self::Word => "a word",
            Self::Domain => "a domain name",
            Self::Uri => "a URI",
            Self::Listen => "an address with a port, or the whole path of a socket",
            Self::Http => "an address with a port, such as http://[fd00::1]:8001/",
        })
    }
}

const fn key(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    example: &'static str,
    meaning: &'static str,
) -> Key {
    Key { name, kind, default, example, meaning }
}
