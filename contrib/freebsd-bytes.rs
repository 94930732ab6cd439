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
//! | `event HEX` | what a routing socket has read: prints the messages in it |
//! | `dump HEX` | what sysctl(3) has read: prints the messages in it |
//! | `flags HEX`, `lifetimes HEX` | what ioctl(2) has left behind: prints what it says |
//!
//! `ioctl REQUEST HEX` is ioctl(2) on a datagram socket of IPv6 with this argument, `write HEX` a
//! write(2) to a routing socket. An address is set in two calls: the first has infinite lifetimes, so
//! that the route to the link stays, and the second, here with the flag of an address whose duplicate
//! address detection is under way, has its own. Empty lines and lines that begin with `#` are passed
//! over.

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
    let (mut sequence, mut out) = (0, io::stdout().lock());
    for (number, line) in io::stdin().lock().lines().enumerate() {
        let taken = line.map_err(Failure::from).and_then(|line| take(&line, &mut sequence));
        let written = taken.and_then(|text| Ok(out.write_all(text.as_bytes())?));
        if let Err(failure) = written {
            eprintln!("line {}: {failure}", number + 1);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
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
        ["event" | "dump", digits] => {
            let octets = octets(digits)?;
            Ok(messages(&octets).fold(String::new(), |mut text, message| {
                let _ = writeln!(text, "{message}");
                text
            }))
        }
        ["flags", digits] => Ok(format!("flags {:#x}\n", ioctl::flags(&octets(digits)?))),
        ["lifetimes", digits] => Ok(format!("{:?}\n", ioctl::lifetimes(&octets(digits)?))),
        _ => Err(format!("{line}: no such step; see the head of contrib/freebsd-bytes.rs").into()),
    }
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
    let lifetimes = Lifetimes { preferred: seconds(preferred)?, valid: seconds(valid)? };
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
    Ok((name, IfIndex(index.parse()?)))
}

fn path(words: &[&str]) -> Result<(RouteTarget, Option<u64>), Failure> {
    let (target, behind) = match words {
        ["reject", behind @ ..] => (RouteTarget::Unreachable, behind),
        ["via", router, behind @ ..] => {
            let (router, link) = router.split_once('%').unwrap_or((router, "0"));
            (RouteTarget::Gateway(IfIndex(link.parse()?), router.parse()?), behind)
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

fn octets(digits: &str) -> Result<Vec<u8>, Failure> {
    if !digits.len().is_multiple_of(2) {
        return Err("octets have two digits each".into());
    }
    let pairs = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?));
    pairs.collect()
}
