//! What the FreeBSD backend would write, and what it understands, octet by octet: for whoever has a
//! FreeBSD kernel to try that with. It runs on any system, and makes no system call about the network.
//!
//! ```text
//! cargo run --example freebsd-bytes < steps
//! ```
//!
//! Each line of the input is a step, and each system call that it takes is a line of the output:
//!
//! | step | what it is |
//! | --- | --- |
//! | `set-address em0#2 2001:db8:1::1/64 3600 1800` | an address on the interface em0 with number 2, with valid and preferred lifetime in seconds or `infinite` |
//! | `remove-address em0#2 2001:db8:1::1` | removes it |
//! | `add-route 2001:db8:1::/56 reject` | a route whose packets are answered by an error |
//! | `add-route ::/0 via fe80::1%2` | a route to a router on the link of interface 2 |
//! | `add-route 2001:db8::/48 via fe80::1%2 until 1800000100` | the same with an end, in seconds since 1970 |
//! | `change-route …` | the same in the place of the route that is there |
//! | `remove-route 2001:db8:1::/56 reject` | removes a route; the gateway is always named |
//! | `accept-advertisements em0 on` | has the kernel follow router advertisements there, or not (`off`) |
//! | `event HEX` | what a routing socket has read: prints the messages in it, one a line |
//! | `dump HEX` | what sysctl(3) has read (NET_RT_DUMP, NET_RT_FLAGS, NET_RT_IFLIST): prints the same |
//! | `flags HEX`, `lifetimes HEX` | what ioctl(2) has left behind: prints what it says |
//!
//! HEX has two digits for each octet, and `(00*N)` stands for N zeros in it. Of what is no message of
//! version 5 a line says so; a message of a kind that the backend does not use is `other KIND`, and a
//! socket address that is none of IPv6 and of no interface is `of family N`.
//!
//! `ioctl REQUEST HEX` is ioctl(2) on a datagram socket of IPv6 with this argument, `write HEX` a
//! write(2) to a routing socket. An address is set in two calls: the first has infinite lifetimes, so
//! that the route to the link stays, and the second, here with the flag of an address whose duplicate
//! address detection is under way, has its own. Empty lines and lines that begin with `#` are passed
//! over. What is no step, or one that a FreeBSD kernel would refuse or misunderstand, is named with its
//! line on standard error; the other lines are printed all the same, and the exit code is 1.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, Write as _};
use std::net::Ipv6Addr;
use std::process::ExitCode;

use renumberd::core::kernel::system::RouteTarget;
use renumberd::net::IfIndex;
use renumberd::platform::freebsd::abi::{self, Request};
use renumberd::platform::freebsd::ioctl::{self, AddressToSet, InterfaceInfo, Lifetimes};
use renumberd::platform::freebsd::route_message::{self, messages};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let (mut sequence, mut out, mut code) = (0, io::stdout().lock(), ExitCode::SUCCESS);
    let mut input = io::stdin().lock();
    let mut octets = Vec::new();
    for number in 1_u64.. {
        octets.clear();
        match input.read_until(b'\n', &mut octets) {
            Ok(0) => break,
            Ok(_) => {}
            Err(failure) => {
                eprintln!("standard input: {failure}");
                return ExitCode::FAILURE;
            }
        }
        match take(&String::from_utf8_lossy(&octets), &mut sequence) {
            Ok(text) => {
                if out.write_all(text.as_bytes()).is_err() {
                    // Nobody reads any more.
                    return ExitCode::FAILURE;
                }
            }
            Err(failure) => {
                eprintln!("line {number}: {failure}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// What one line leads to, as lines.
pub(crate) fn take(line: &str, sequence: &mut u32) -> Result<String, Failure> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut next = || {
        *sequence += 1;
        *sequence
    };
    match words.as_slice() {
        [] => Ok(String::new()),
        [first, ..] if first.starts_with('#') => Ok(String::new()),
        ["set-address", interface, address, valid, preferred] => {
            set_address(interface, address, valid, preferred)
        }
        ["remove-address", interface, address] => {
            let (name, index) = named(interface)?;
            let argument = ioctl::address(name, index, address.parse()?);
            Ok(call(abi::REMOVE_ADDRESS, &argument))
        }
        ["accept-advertisements", name, switch @ ("on" | "off")] => {
            let name = checked(name)?;
            let question = InterfaceInfo::question(name);
            let asked = call(abi::INTERFACE_INFO, &question);
            let flags = if *switch == "on" { abi::ACCEPT_ADVERTISEMENTS } else { 0 };
            let set = InterfaceInfo::new(question).with_flags(flags).into_argument();
            Ok(asked
                + "# the flags that were read, with this bit as follows\n"
                + &call(abi::SET_INTERFACE_FLAGS, &set))
        }
        [step @ ("add-route" | "change-route" | "remove-route"), destination, behind @ ..] => {
            let destination = destination.parse()?;
            let (target, end) = path(behind)?;
            let message = match *step {
                "add-route" => route_message::add(destination, target, end, next()),
                "change-route" => route_message::change(destination, target, end, next()),
                _ => route_message::delete(destination, target, next()),
            };
            Ok(format!("write {}\n", hex(&message)))
        }
        ["event" | "dump", digits] => Ok(in_words(&octets(digits)?)),
        ["flags", digits] => {
            let argument = left_behind(digits)?;
            Ok(format!("flags {:#x}\n", ioctl::flags(&argument)))
        }
        ["lifetimes", digits] => {
            let found = ioctl::lifetimes(&left_behind(digits)?);
            let one = |lifetime, end| match lifetime {
                abi::INFINITE => "infinite".to_owned(),
                seconds => format!("{seconds} s, until {end} s after boot"),
            };
            let valid = one(found.set.valid, found.valid_until);
            let preferred = one(found.set.preferred, found.preferred_until);
            Ok(format!("valid {valid}; preferred {preferred}\n"))
        }
        _ => {
            let first = words.first().copied().unwrap_or_default();
            let text = format!("{first:?} is no step, or has too many or too few words behind it");
            Err((text + "; see the head of contrib/freebsd-bytes.rs").into())
        }
    }
}

/// The messages in what was read, one a line, and what is none.
fn in_words(octets: &[u8]) -> String {
    let (mut text, mut rest) = (String::new(), octets);
    while let [low, high, version, ..] = rest {
        let length = usize::from(u16::from_le_bytes([*low, *high]));
        let Some(message) = rest.get(..length).filter(|message| message.len() >= 4) else { break };
        // Writing to a string does not fail.
        let _ = match messages(message).next() {
            Some(message) => writeln!(text, "{message}"),
            None => writeln!(text, "version {version}: passed over"),
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    if !rest.is_empty() || octets.is_empty() {
        let _ = writeln!(text, "cut off: {} octets that are no whole message", rest.len());
    }
    text
}

/// What ioctl(2) left behind of a request about an address.
fn left_behind(digits: &str) -> Result<Vec<u8>, Failure> {
    let octets = octets(digits)?;
    if octets.len() != abi::ADDRESS_REQUEST {
        let text = format!("{} octets, and not {}", octets.len(), abi::ADDRESS_REQUEST);
        return Err(text.into());
    }
    Ok(octets)
}

fn set_address(
    interface: &str,
    address: &str,
    valid: &str,
    preferred: &str,
) -> Result<String, Failure> {
    let (name, index) = named(interface)?;
    let (host, length) = address.split_once('/').ok_or("an address needs its prefix length")?;
    let (address, prefix_len): (Ipv6Addr, u8) = (host.parse()?, length.parse()?);
    if !(1..=128).contains(&prefix_len) {
        return Err("a prefix length is 1 to 128: 0 would make a default route".into());
    }
    let lifetimes = Lifetimes { preferred: seconds(preferred)?, valid: seconds(valid)? };
    if lifetimes.preferred > lifetimes.valid {
        return Err(
            "the preferred lifetime is above the valid one, which the kernel refuses".into()
        );
    }
    let set = |flags, lifetimes| {
        let set = AddressToSet { name, interface: index, address, prefix_len, flags, lifetimes };
        call(abi::SET_ADDRESS, &ioctl::set_address(set))
    };
    let first = set(0, Lifetimes::INFINITE);
    if lifetimes == Lifetimes::INFINITE {
        return Ok(first);
    }
    let asked = call(abi::ADDRESS_FLAGS, &ioctl::address(name, index, address));
    Ok(first + &asked + &set(abi::TENTATIVE, lifetimes))
}

/// `em0#2`: name and number of an interface.
fn named(text: &str) -> Result<(&str, IfIndex), Failure> {
    let (name, index) = text.split_once('#').ok_or("write the interface as em0#2")?;
    Ok((checked(name)?, numbered(index)?))
}

/// A name that fits where the kernel has it.
fn checked(name: &str) -> Result<&str, Failure> {
    if name.is_empty() || name.len() >= abi::NAME || name.contains('\0') {
        return Err(format!("{name:?}: names of interfaces have 1 to 15 octets").into());
    }
    Ok(name)
}

/// The number of an interface: the kernel has 16 bits for it in messages.
fn numbered(text: &str) -> Result<IfIndex, Failure> {
    match text.parse::<u16>() {
        Ok(index @ 1..) => Ok(IfIndex(index.into())),
        Ok(0) | Err(_) => Err(format!("{text:?}: interfaces have numbers from 1 to 65535").into()),
    }
}

fn path(words: &[&str]) -> Result<(RouteTarget, Option<u64>), Failure> {
    let (target, behind) = match words {
        ["reject", behind @ ..] => (RouteTarget::Unreachable, behind),
        ["via", router, behind @ ..] => {
            let (router, link): (Ipv6Addr, IfIndex) = match router.split_once('%') {
                Some((router, link)) => (router.parse()?, numbered(link)?),
                None => (router.parse()?, IfIndex(0)),
            };
            if router.is_unicast_link_local() && link.0 == 0 {
                return Err("a link-local router needs its link, as in fe80::1%2".into());
            }
            (RouteTarget::Gateway(link, router), behind)
        }
        _ => return Err("a route needs `reject` or `via ROUTER%LINK`".into()),
    };
    match behind {
        [] => Ok((target, None)),
        ["until", seconds] => Ok((target, Some(seconds.parse()?))),
        _ => Err("behind a route there is only `until SECONDS`".into()),
    }
}

fn seconds(text: &str) -> Result<u32, Failure> {
    Ok(if text == "infinite" { abi::INFINITE } else { text.parse()? })
}

fn call(request: Request, argument: &[u8]) -> String {
    format!("ioctl {request:#x} {}\n", hex(argument))
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The octets of hexadecimal digits; `(00*N)` stands for N zeros.
fn octets(text: &str) -> Result<Vec<u8>, Failure> {
    const MOST: usize = 1 << 20;
    let mut octets = Vec::new();
    for (index, part) in text.split('(').enumerate() {
        let digits = match part.split_once(')') {
            Some((zeros, digits)) if index > 0 => {
                let count = zeros.strip_prefix("00*").ok_or("zeros are written as (00*12)")?;
                let count: usize = count.parse()?;
                if octets.len().saturating_add(count) > MOST {
                    return Err("there are more than 1 MiB".into());
                }
                octets.resize(octets.len() + count, 0);
                digits
            }
            None if index == 0 => part,
            Some(_) | None => return Err("zeros are written as (00*12)".into()),
        };
        if !digits.len().is_multiple_of(2) || !digits.bytes().all(|one| one.is_ascii_hexdigit()) {
            return Err("octets have two hexadecimal digits each".into());
        }
        for pair in digits.as_bytes().chunks(2) {
            octets.push(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
        }
    }
    Ok(octets)
}
