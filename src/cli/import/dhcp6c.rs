//! KAME's dhcp6c.conf(5): what is asked for on which interface, and which interfaces get a part.

use std::net::Ipv6Addr;
use std::rc::Rc;

use super::blocks::{self, Statement};
use super::dhcp6s::delegated;
use super::draft::{Content, Draft, Entry, Feed, Id, Kind, quoted, root};
use super::{Loader, wrong};
use crate::config::ConfigError;

/// The length of a subnet's number where nothing says more, in bits.
const SLA_LENGTH: u8 = 16;

/// Reads the file into `draft`.
pub(super) fn import(
    draft: &mut Draft,
    file: &Rc<str>,
    text: &str,
    loader: &mut Loader<'_>,
) -> Result<(), ConfigError> {
    let statements = blocks::read(file, text, loader)?;
    for statement in &statements {
        match statement.word(0) {
            "interface" => interface(draft, statement, &statements)?,
            "id-assoc" => {}
            "profile" => {
                let why = "a profile is chosen on dhcp6c's command line: write it as an interface";
                draft.leave_out(&statement.origin, statement.text(), why);
            }
            "authentication" | "keyinfo" => {
                let why = "delayed authentication was withdrawn from DHCPv6 (RFC 9915)";
                draft.leave_out(&statement.origin, statement.text(), why);
            }
            _ => unknown(draft, statement),
        }
    }
    let used = used(&statements);
    for statement in statements.iter().filter(|one| one.word(0) == "id-assoc") {
        let (kind, iaid) = association(statement)?;
        if kind == "pd" && !used.contains(&iaid) {
            let why = "no interface sends this IA_PD";
            draft.leave_out(&statement.origin, statement.text(), why);
        }
    }
    Ok(())
}

fn unknown(draft: &mut Draft, statement: &Statement) {
    draft.leave_out(&statement.origin, statement.text(), "no statement that has a key here");
}

/// What interfaces send as IA_PDs.
fn used(statements: &[Statement]) -> Vec<u32> {
    let interfaces = statements.iter().filter(|one| one.word(0) == "interface");
    let parts = interfaces.flat_map(|one| &one.block).filter(|part| part.word(0) == "send");
    parts.flat_map(sent).filter(|(name, _)| *name == "ia-pd").map(|(_, iaid)| iaid).collect()
}

/// The options of a `send` statement, each with the number behind it, or 0.
fn sent(part: &Statement) -> Vec<(&str, u32)> {
    let words: Vec<&str> = part.words.iter().skip(1).map(|word| word.text.as_str()).collect();
    let number = |position: usize| words.get(position).and_then(|word| word.parse().ok());
    let options = words.iter().enumerate().filter(|(_, word)| word.parse::<u32>().is_err());
    options.map(|(position, word)| (*word, number(position + 1).unwrap_or(0))).collect()
}

/// `id-assoc TYPE [ID]`
fn association(statement: &Statement) -> Result<(&str, u32), ConfigError> {
    let expected = "`id-assoc pd [IAID] { … };` or `id-assoc na [IAID] { … };`";
    let kind = statement.need(1, expected)?;
    let iaid = match statement.word(2) {
        "" => 0,
        text => text.parse().map_err(|_| {
            wrong(&statement.origin, format!("`{}` has no IAID", statement.text()), expected)
        })?,
    };
    Ok((kind, iaid))
}

fn interface(
    draft: &mut Draft,
    statement: &Statement,
    all: &[Statement],
) -> Result<(), ConfigError> {
    draft.check_room(&statement.origin)?;
    let name = statement.need(1, "`interface NAME {`")?.to_owned();
    let id = (Kind::Uplink, name);
    draft.table(&id, &statement.origin);
    let hint = format!(
        "duid = \"00:04:…\" # {}: dhcp6c keeps its DUID in /var/db/dhcp6c_duid or \
         /var/lib/dhcpv6/dhcp6c_duid; write it here where the provider knows this router by it",
        statement.origin
    );
    draft.hint(&root(), &statement.origin, hint);
    for part in &statement.block {
        match part.word(0) {
            "send" => send(draft, &id, part, all)?,
            "request" => {
                let why = "what routers and hosts can use is asked for anyway";
                draft.leave_out(&part.origin, part.text(), why);
            }
            "script" => draft.leave_out(&part.origin, part.text(), "hooks have no key yet"),
            "information-only" => {}
            _ => unknown(draft, part),
        }
    }
    if let Some(section) = draft.sections.get_mut(&id)
        && section.entries.iter().all(|entry| entry.key != "delegate")
    {
        let content = Content::Many(Vec::new());
        section.entries.push(Entry { key: "delegate", content, weak: true });
    }
    let hint = "requester = \"dhcp6c\" # keeps dhcp6c; request-address is then left out";
    draft.hint(&id, &statement.origin, hint.to_owned());
    Ok(())
}

fn send(
    draft: &mut Draft,
    id: &Id,
    part: &Statement,
    all: &[Statement],
) -> Result<(), ConfigError> {
    let at = &part.origin;
    for (option, number) in sent(part) {
        match option {
            "ia-pd" => ask(draft, id, part, number, all)?,
            "ia-na" => draft.set(id, "request-address", "true".to_owned(), at),
            "rapid-commit" => draft.set(id, "rapid-commit", "true".to_owned(), at),
            other => {
                let why = "an option that is sent only where the protocol needs it";
                draft.leave_out(at, format!("send {other}"), why);
            }
        }
    }
    Ok(())
}

/// An IA_PD, with what its `id-assoc` says.
fn ask(
    draft: &mut Draft,
    id: &Id,
    part: &Statement,
    iaid: u32,
    all: &[Statement],
) -> Result<(), ConfigError> {
    let mut length = None;
    for statement in all.iter().filter(|one| one.word(0) == "id-assoc") {
        if association(statement)? != ("pd", iaid) {
            continue;
        }
        for inner in &statement.block {
            match inner.word(0) {
                "prefix" => length = hinted_length(draft, inner)?.or(length),
                "prefix-interface" => prefix_interface(draft, id, iaid, inner)?,
                _ => unknown(draft, inner),
            }
        }
    }
    let length = length.map(|length| format!(", length = {length}")).unwrap_or_default();
    draft.push(id, "delegate", format!("{{ iaid = {iaid}{length} }}"), &part.origin);
    Ok(())
}

fn hinted_length(draft: &mut Draft, part: &Statement) -> Result<Option<u8>, ConfigError> {
    let (prefix, _) = delegated(part)?;
    if !prefix.network().is_unspecified() {
        let why = "a length is asked for, not a certain prefix; one that is held is kept";
        draft.leave_out(&part.origin, part.text(), why);
    }
    Ok(Some(prefix.prefix_len()).filter(|length| (1..=64).contains(length)))
}

/// `prefix-interface NAME { sla-id N; sla-len N; ifid N; };`
fn prefix_interface(
    draft: &mut Draft,
    uplink: &Id,
    iaid: u32,
    statement: &Statement,
) -> Result<(), ConfigError> {
    draft.check_room(&statement.origin)?;
    let name = statement.need(1, "`prefix-interface NAME {`")?.to_owned();
    let id = (Kind::Downlink, name);
    draft.table(&id, &statement.origin);
    draft.feed(&id, Feed::Iaid(Some(uplink.1.clone()), iaid), &statement.origin);
    let mut sla = (0, &statement.origin);
    for part in &statement.block {
        let number = || -> Result<u64, ConfigError> {
            let expected = "a decimal number behind it";
            part.need(1, expected)?.parse().map_err(|_| {
                wrong(&part.origin, format!("`{}` has no number", part.text()), expected)
            })
        };
        match part.word(0) {
            "sla-id" => sla = (number()?, &part.origin),
            "sla-len" => sla_length(draft, &id.1, part, number()?),
            "ifid" => match number()? {
                0 => unknown(draft, part),
                id_of => {
                    let address = Ipv6Addr::from(u128::from(id_of)).to_string();
                    draft.set(&id, "address", quoted(&address), &part.origin);
                }
            },
            "ifid-random" => {
                let why = "a router's address on a downlink is fixed";
                draft.leave_out(&part.origin, part.text(), why);
            }
            _ => unknown(draft, part),
        }
    }
    draft.set(&id, "subnet", quoted(&format!("{:#x}/64", sla.0)), sla.1);
    Ok(())
}

/// With the length of the delegated prefix it makes 64, or else hosts could not use it.
fn sla_length(draft: &mut Draft, name: &str, part: &Statement, length: u64) {
    if length > 64 {
        let why = format!("subnets are /64, so at most 64 bits; {SLA_LENGTH} is dhcp6c's default");
        draft.leave_out(&part.origin, format!("{} of {name}", part.text()), why);
    }
}
