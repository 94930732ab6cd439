//! dhcpcd.conf(5): which interface leads to the provider, what is asked for there, and which
//! interfaces get a part of it.

use std::net::Ipv6Addr;
use std::rc::Rc;

use super::draft::{Content, Draft, Entry, Feed, Kind, Origin, excerpt, quoted, root};
use super::wrong;
use crate::config::ConfigError;

/// Options and why they have no key.
const WITHOUT_KEY: [(&str, &str); 14] = [
    (
        "static",
        "addresses that others configure are left alone: configure it with the system's network settings",
    ),
    ("ia_ta", "temporary addresses by DHCPv6 are not asked for"),
    ("metric", "routes of different uplinks have no metric of their own"),
    ("nohook", "renumberd touches neither resolv.conf nor the host's name"),
    ("require", "what has to be in a message is checked anyway"),
    ("allowinterfaces", "renumberd touches only the interfaces that are named here"),
    ("denyinterfaces", "renumberd touches only the interfaces that are named here"),
    ("ipv6only", "renumberd does IPv6 alone"),
    ("ipv4only", "renumberd does IPv6 alone"),
    ("noipv4", "renumberd does IPv6 alone"),
    ("noipv4ll", "renumberd does IPv6 alone"),
    ("script", "hooks have no key yet"),
    ("env", "hooks have no key yet"),
    (
        "authtoken",
        "delayed authentication was withdrawn from DHCPv6 (RFC 9915); Reconfigure keys are exchanged without it",
    ),
];

/// What belongs to one interface, or to all.
#[derive(Default)]
struct Block {
    options: Vec<Line>,
}

#[derive(Clone)]
struct Line {
    words: Vec<String>,
    origin: Origin,
}

impl Line {
    fn word(&self, position: usize) -> &str {
        self.words.get(position).map_or("", String::as_str)
    }

    fn text(&self) -> String {
        self.words.join(" ")
    }
}

impl Block {
    fn has(&self, name: &str) -> bool {
        self.options.iter().any(|line| line.word(0) == name)
    }

    /// The last of two options that contradict each other.
    fn last_of(&self, names: [&str; 2]) -> Option<&Line> {
        self.options.iter().rev().find(|line| names.contains(&line.word(0)))
    }
}

/// Reads the file into `draft`.
pub(super) fn import(draft: &mut Draft, file: &Rc<str>, text: &str) -> Result<(), ConfigError> {
    let mut global = Block::default();
    let mut interfaces: Vec<(Line, Block)> = Vec::new();
    let mut foreign: Option<Line> = None;
    for line in lines(file, text)? {
        match line.word(0) {
            "interface" => {
                if line.words.len() < 2 {
                    let expected = "its name, for instance `interface tun0`";
                    return Err(wrong(&line.origin, "`interface` names none", expected));
                }
                foreign = None;
                interfaces.push((line, Block::default()));
            }
            "profile" | "ssid" => {
                let why = "only what holds for an interface at all times is imported";
                draft.leave_out(&line.origin, line.text(), why);
                foreign = Some(line);
            }
            _ if foreign.is_some() => {}
            _ => match interfaces.last_mut() {
                Some((_, block)) => block.options.push(line),
                None => global.options.push(line),
            },
        }
    }
    of_all(draft, &global)?;
    for (line, block) in &interfaces {
        for name in line.words.iter().skip(1) {
            draft.check_room(&line.origin)?;
            interface(draft, &global, name, line, block)?;
        }
    }
    Ok(())
}

/// Logical lines, cut into words. A comment begins a line or follows a blank.
fn lines(file: &Rc<str>, text: &str) -> Result<Vec<Line>, ConfigError> {
    let mut all = Vec::new();
    let mut numbered = text.lines().enumerate();
    while let Some((number, first)) = numbered.next() {
        let origin = Origin { file: Rc::clone(file), line: number + 1 };
        let mut whole = first.to_owned();
        while whole.ends_with('\\') {
            whole.pop();
            match numbered.next() {
                Some((_, next)) => whole.push_str(next),
                None => break,
            }
        }
        let words = words(&whole, &origin)?;
        if !words.is_empty() {
            all.push(Line { words, origin });
        }
    }
    Ok(all)
}

fn words(line: &str, origin: &Origin) -> Result<Vec<String>, ConfigError> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '#' || (first == ';' && words.is_empty()) {
            break;
        }
        let (word, behind) = if first == '"' {
            let inner = rest.get(1..).unwrap_or_default();
            let Some((word, behind)) = inner.split_once('"') else {
                let problem = "a quotation is not closed on its line";
                return Err(wrong(origin, problem, "a double quote at its end"));
            };
            (word, behind)
        } else {
            rest.split_once(char::is_whitespace).unwrap_or((rest, ""))
        };
        words.push(word.to_owned());
        rest = behind.trim_start();
    }
    Ok(words)
}

/// Options before the first interface that hold for the agent as a whole.
fn of_all(draft: &mut Draft, global: &Block) -> Result<(), ConfigError> {
    for line in &global.options {
        match line.word(0) {
            "duid" => duid(draft, line)?,
            "persistent" => draft.set(&root(), "on-stop", quoted("keep"), &line.origin),
            "ia_pd" | "ia_na" => {
                let problem = format!("`{}` stands before the first interface", line.word(0));
                let expected = "it in the block of the uplink, below `interface NAME`";
                return Err(wrong(&line.origin, problem, expected));
            }
            // Read where they are used.
            "noipv6rs" | "ipv6rs" | "slaac" | "option" | "nogateway" | "gateway" | "iaid" => {}
            _ => left_out(draft, line),
        }
    }
    Ok(())
}

fn duid(draft: &mut Draft, line: &Line) -> Result<(), ConfigError> {
    let value = line.word(1);
    if matches!(value, "" | "ll" | "llt" | "lt" | "uuid") {
        let hint = format!(
            "duid = \"00:04:…\" # {}: dhcpcd keeps its DUID in /var/db/dhcpcd/duid or \
             /var/lib/dhcpcd/duid; write it here where the provider knows this router by it",
            line.origin
        );
        draft.hint(&root(), &line.origin, hint);
        return Ok(());
    }
    if value.parse::<crate::wire::dhcpv6_option::Duid>().is_err() {
        let problem = format!("`{}` is no DUID", excerpt(value));
        let expected = "ll, llt, uuid, or octets as in 00:04:e4:79";
        return Err(wrong(&line.origin, problem, expected));
    }
    draft.set(&root(), "duid", quoted(&value.to_lowercase()), &line.origin);
    Ok(())
}

fn left_out(draft: &mut Draft, line: &Line) {
    let known = WITHOUT_KEY.iter().find(|(name, _)| *name == line.word(0));
    let why = known.map_or("renumberd has nothing like it, or does not need it", |(_, why)| *why);
    draft.leave_out(&line.origin, line.text(), why);
}

fn interface(
    draft: &mut Draft,
    global: &Block,
    name: &str,
    line: &Line,
    block: &Block,
) -> Result<(), ConfigError> {
    let solicits = block.last_of(["ipv6rs", "noipv6rs"]);
    let is_uplink =
        ["ia_pd", "ia_na", "ia_ta", "dhcp6", "inform6"].iter().any(|one| block.has(one))
            || solicits.is_some_and(|line| line.word(0) == "ipv6rs");
    if !is_uplink {
        let why = "nothing in its block makes it an uplink: no ia_pd, ia_na or ipv6rs";
        draft.leave_out(&line.origin, format!("interface {name}"), why);
        return Ok(());
    }
    let id = (Kind::Uplink, name.to_owned());
    draft.table(&id, &line.origin);
    let by_kernel = address(draft, &id, global, block);
    for line in &block.options {
        match line.word(0) {
            "ia_pd" => delegate(draft, name, line, block, global)?,
            "ia_na" => draft.set(&id, "request-address", "true".to_owned(), &line.origin),
            "persistent" => draft.set(&root(), "on-stop", quoted("keep"), &line.origin),
            "duid" => duid(draft, line)?,
            "noipv6rs" | "ipv6rs" | "slaac" | "option" | "nogateway" | "gateway" | "iaid" => {}
            _ => left_out(draft, line),
        }
    }
    if !block.has("ia_pd")
        && let Some(section) = draft.sections.get_mut(&id)
        && section.entries.iter().all(|entry| entry.key != "delegate")
    {
        let content = Content::Many(Vec::new());
        section.entries.push(Entry { key: "delegate", content, weak: true });
    }
    options(draft, &id, global, block);
    let hint = if by_kernel {
        "requester = \"dhcpcd\" # keeps dhcpcd; request-address and default-route are then left out"
    } else {
        "requester = \"dhcpcd\" # keeps dhcpcd; address, request-address and default-route are then \
         left out"
    };
    draft.hint(&id, &line.origin, hint.to_owned());
    Ok(())
}

/// How the uplink's address is made; whether by the kernel.
fn address(draft: &mut Draft, id: &(Kind, String), global: &Block, block: &Block) -> bool {
    let both = ["ipv6rs", "noipv6rs"];
    let solicits = block.last_of(both).or_else(|| global.last_of(both));
    if let Some(line) = solicits.filter(|line| line.word(0) == "noipv6rs") {
        let note = "dhcpcd leaves advertisements to the kernel".to_owned();
        draft.set_with(id, "address", quoted("kernel"), &line.origin, note);
        return true;
    }
    let slaac = block.last_of(["slaac", "slaac"]).or_else(|| global.last_of(["slaac", "slaac"]));
    let Some(line) = slaac else { return false };
    match line.word(1) {
        "hwaddr" => draft.set(id, "address", quoted("eui64"), &line.origin),
        "private" => draft.set(id, "address", quoted("stable"), &line.origin),
        "token" => draft.set(id, "address", quoted(line.word(2)), &line.origin),
        _ => left_out(draft, line),
    }
    if line.words.iter().any(|word| word.starts_with("temp")) {
        draft.leave_out(&line.origin, line.text(), "routers have no temporary addresses");
    }
    false
}

/// Options of messages, and routes.
fn options(draft: &mut Draft, id: &(Kind, String), global: &Block, block: &Block) {
    for line in global.options.iter().chain(&block.options) {
        if line.word(0) != "option" {
            continue;
        }
        for option in line.words.iter().skip(1).flat_map(|word| word.split(',')) {
            match option {
                "rapid_commit" | "dhcp6_rapid_commit" => {
                    draft.set(id, "rapid-commit", "true".to_owned(), &line.origin);
                }
                "dhcp6_reconfigure_accept" => {
                    draft.set(id, "reconfigure", "true".to_owned(), &line.origin);
                }
                "" => {}
                other => {
                    let what = format!("option {other}");
                    let why = "what routers and hosts can use is asked for anyway";
                    draft.leave_out(&line.origin, what, why);
                }
            }
        }
    }
    let both = ["gateway", "nogateway"];
    let gateway = block.last_of(both).or_else(|| global.last_of(both));
    if let Some(line) = gateway.filter(|line| line.word(0) == "nogateway") {
        draft.set(id, "default-route", "false".to_owned(), &line.origin);
    }
}

/// `ia_pd [IAID [/PREFIX/LENGTH] [INTERFACE[/SLA[/LENGTH[/SUFFIX]]]]…]`
fn delegate(
    draft: &mut Draft,
    uplink: &str,
    line: &Line,
    block: &Block,
    global: &Block,
) -> Result<(), ConfigError> {
    let id = (Kind::Uplink, uplink.to_owned());
    let first = line.word(1);
    let (own, hint) =
        first.split_once('/').map_or((first, None), |(iaid, hint)| (iaid, Some(hint)));
    let iaid = if own.is_empty() {
        let default = block.last_of(["iaid", "iaid"]).or_else(|| global.last_of(["iaid", "iaid"]));
        default.map_or(Ok(None), |line| iaid_of(line.word(1), &line.origin).map(Some))?
    } else {
        Some(iaid_of(own, &line.origin)?)
    };
    if iaid.is_none() {
        let why = "dhcpcd makes its IAID from the interface; 1 is written here, write dhcpcd's where \
                   the provider is to know the lease again";
        draft.leave_out(&line.origin, "ia_pd without an IAID", why);
    }
    let iaid = iaid.unwrap_or(1);
    let length = hint.map(|hint| hinted_length(draft, hint, line)).transpose()?;
    let length = length.map(|length| format!(", length = {length}")).unwrap_or_default();
    draft.push(&id, "delegate", format!("{{ iaid = {iaid}{length} }}"), &line.origin);
    if line.words.len() < 3 {
        let what = format!("{}: a part for every other interface", line.text());
        let why = "renumberd serves only interfaces that are named: write [downlink.INTERFACE]";
        draft.leave_out(&line.origin, what, why);
    }
    for word in line.words.iter().skip(2).filter(|word| *word != "-") {
        draft.check_room(&line.origin)?;
        downlink(draft, uplink, iaid, word, line)?;
    }
    Ok(())
}

/// A number, or up to four octets of text.
fn iaid_of(text: &str, origin: &Origin) -> Result<u32, ConfigError> {
    let number = text
        .strip_prefix("0x")
        .map_or_else(|| text.parse().ok(), |digits| u32::from_str_radix(digits, 16).ok());
    let octets = || {
        let mut octets = [0; 4];
        octets.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        (!text.is_empty()).then(|| u32::from_be_bytes(octets))
    };
    number.or_else(octets).ok_or_else(|| {
        let problem = format!("`{}` is no IAID", excerpt(text));
        wrong(origin, problem, "a number, or up to four letters")
    })
}

/// The length in `::/56`.
fn hinted_length(draft: &mut Draft, hint: &str, line: &Line) -> Result<u8, ConfigError> {
    let parts = hint.split_once('/');
    let found = parts.and_then(|(prefix, length)| {
        Some((prefix.parse::<Ipv6Addr>().ok()?, length.parse::<u8>().ok()?))
    });
    let Some((prefix, length)) = found.filter(|(_, length)| (1..=64).contains(length)) else {
        let problem = format!("`{}` is no prefix to ask for", excerpt(hint));
        return Err(wrong(&line.origin, problem, "IAID/PREFIX/LENGTH, for instance 1/::/56"));
    };
    if !prefix.is_unspecified() {
        let why = "a length is asked for, not a certain prefix; one that is held is kept";
        draft.leave_out(&line.origin, hint, why);
    }
    Ok(length)
}

/// `INTERFACE[/SLA[/LENGTH[/SUFFIX]]]`
fn downlink(
    draft: &mut Draft,
    uplink: &str,
    iaid: u32,
    word: &str,
    line: &Line,
) -> Result<(), ConfigError> {
    let expected = "INTERFACE/SLA/LENGTH/SUFFIX, for instance vtnet0/255/64/1";
    let mut parts = word.split('/');
    let name = parts.next().unwrap_or_default();
    let mut number = |field: &str| -> Result<Option<u64>, ConfigError> {
        let Some(part) = parts.next().filter(|part| !part.is_empty()) else { return Ok(None) };
        part.parse().map(Some).map_err(|_| {
            let problem = format!("`{}` is no {field} in `{}`", excerpt(part), excerpt(word));
            wrong(&line.origin, problem, expected)
        })
    };
    let (sla, length, suffix) = (number("SLA")?, number("prefix length")?, number("suffix")?);
    if name.is_empty() || parts.next().is_some() {
        let problem = format!("`{}` names no part of a prefix", excerpt(word));
        return Err(wrong(&line.origin, problem, expected));
    }
    let id = (Kind::Downlink, name.to_owned());
    draft.table(&id, &line.origin);
    let at = &line.origin;
    match sla {
        Some(sla) => {
            draft.set(&id, "subnet", quoted(&format!("{sla:#x}/{}", length.unwrap_or(64))), at);
        }
        None => {
            let what = format!("the place of {name}");
            let why =
                "dhcpcd counts it by the interface's index; renumberd chooses one by its name";
            draft.leave_out(at, what, why);
        }
    }
    match suffix {
        Some(0) => {
            let what = format!("suffix 0 of {name}");
            draft.leave_out(
                at,
                what,
                "addresses of downlinks are not made from hardware addresses",
            );
        }
        Some(suffix) => {
            draft.set(&id, "address", quoted(&Ipv6Addr::from(u128::from(suffix)).to_string()), at);
        }
        None => {}
    }
    draft.feed(&id, Feed::Iaid(Some(uplink.to_owned()), iaid), at);
    Ok(())
}
