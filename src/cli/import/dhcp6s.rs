//! KAME's dhcp6s.conf(5): which router is delegated what.

use std::rc::Rc;

use ipnet::Ipv6Net;

use super::blocks::{self, Statement};
use super::draft::{Content, Draft, Kind, Origin, excerpt, quoted};
use super::prefixes::{self, Lifetime};
use super::{Loader, wrong};
use crate::config::ConfigError;
use crate::wire::dhcpv6_option::Duid;

/// The interface where nothing names it.
const PLACEHOLDER: &str = "INTERFACE";

/// Reads the file into `draft`.
pub(super) fn import(
    draft: &mut Draft,
    file: &Rc<str>,
    text: &str,
    loader: &mut Loader<'_>,
) -> Result<(), ConfigError> {
    let statements = blocks::read(file, text, loader)?;
    let links = links(draft, file, &statements)?;
    let known = placed(draft);
    for statement in &statements {
        match statement.word(0) {
            "interface" => {}
            "option" => option(draft, &links, statement)?,
            "host" => host(draft, &links, &known, statement)?,
            "pool" | "keyinfo" | "authentication" | "ctl-allow" => {
                let why = match statement.word(0) {
                    "pool" => "addresses are not given by DHCPv6: hosts form them",
                    _ => "delayed authentication was withdrawn from DHCPv6 (RFC 9915)",
                };
                draft.leave_out(&statement.origin, statement.text(), why);
            }
            _ => unknown(draft, statement),
        }
    }
    Ok(())
}

fn unknown(draft: &mut Draft, statement: &Statement) {
    draft.leave_out(&statement.origin, statement.text(), "no statement that has a key here");
}

/// The interfaces that the file is about: those that it names, or the one that is known otherwise.
fn links(
    draft: &mut Draft,
    file: &Rc<str>,
    statements: &[Statement],
) -> Result<Vec<String>, ConfigError> {
    let mut links = Vec::new();
    for statement in statements.iter().filter(|statement| statement.word(0) == "interface") {
        draft.check_room(&statement.origin)?;
        let name = statement.need(1, "`interface NAME {`")?.to_owned();
        interface(draft, &name, statement);
        links.push(name);
    }
    if links.is_empty() {
        // Its command line names it.
        let origin = Origin { file: Rc::clone(file), line: 1 };
        let known = draft.names(Kind::Downlink);
        let known = match (draft.hints.downlink.clone(), known.as_slice()) {
            (Some(name), _) => Some(name),
            (None, [only]) => Some(only.clone()),
            (None, []) => {
                let why = "dhcp6s has it on its command line: write it in the place of INTERFACE, \
                           or name it with --downlink";
                draft.leave_out(&origin, "the interface", why);
                Some(PLACEHOLDER.to_owned())
            }
            (None, _) => None,
        };
        if let Some(name) = known {
            hints(draft, &name, &origin);
            links.push(name);
        }
    }
    Ok(links)
}

fn hints(draft: &mut Draft, name: &str, origin: &Origin) {
    let id = (Kind::Downlink, name.to_owned());
    let hint = "delegator = \"dhcp6s\" # keeps dhcp6s; each [delegation] on the link then needs \
                duid, iaid and next-hop";
    draft.hint(&id, origin, hint.to_owned());
}

fn interface(draft: &mut Draft, name: &str, statement: &Statement) {
    hints(draft, name, &statement.origin);
    let id = (Kind::Downlink, name.to_owned());
    for part in &statement.block {
        match (part.word(0), part.word(1)) {
            ("allow", "rapid-commit") => {
                draft.set(&id, "rapid-commit", "true".to_owned(), &part.origin);
            }
            ("address-pool", _) => {
                let why = "addresses are not given by DHCPv6: hosts form them";
                draft.leave_out(&part.origin, part.text(), why);
            }
            ("preference", _) => {
                let why = "one server on a link needs no preference";
                draft.leave_out(&part.origin, part.text(), why);
            }
            _ => unknown(draft, part),
        }
    }
}

/// `option NAME VALUE…`, for all interfaces.
fn option(draft: &mut Draft, links: &[String], statement: &Statement) -> Result<(), ConfigError> {
    let name = statement.need(1, "the name of an option")?;
    let key = match name {
        "domain-name-servers" => "rdnss",
        "domain-name" => "dnssl",
        _ => {
            let why = "what the provider says of it is passed on";
            draft.leave_out(&statement.origin, statement.text(), why);
            return Ok(());
        }
    };
    statement.need(2, "a value behind the option's name")?;
    for link in links {
        let id = (Kind::Downlink, link.clone());
        for word in statement.words.iter().skip(2) {
            draft.push(&id, key, quoted(&word.text), &word.origin);
        }
    }
    if links.is_empty() {
        let why = "nothing names the interface: do so with --downlink";
        draft.leave_out(&statement.origin, statement.text(), why);
    }
    Ok(())
}

/// `host NAME { duid …; prefix …; };`
fn host(
    draft: &mut Draft,
    links: &[String],
    known: &[String],
    statement: &Statement,
) -> Result<(), ConfigError> {
    let name = statement.need(1, "`host NAME {`")?.to_owned();
    let at = &statement.origin;
    let Some(duid) = statement.block.iter().find(|part| part.word(0) == "duid") else {
        let problem = format!("host {} has no duid", excerpt(&name));
        return Err(wrong(at, problem, "`duid 00:01:…;` in its block"));
    };
    let value = duid.need(1, "octets as in 00:01:00:01:aa:bb")?.to_lowercase();
    if value.parse::<Duid>().is_err() {
        let problem = format!("`{}` is no DUID", excerpt(&value));
        return Err(wrong(&duid.origin, problem, "octets as in 00:01:00:01:aa:bb"));
    }
    let several = statement.block.iter().filter(|part| part.word(0) == "prefix").count() > 1;
    let mut number = 0;
    for part in &statement.block {
        match part.word(0) {
            "duid" => {}
            "prefix" => {
                if known.contains(&quoted(&value)) {
                    let why = "another file says where its prefix lies, which this one was \
                               written from";
                    draft.leave_out(&part.origin, part.text(), why);
                    continue;
                }
                number += 1;
                let name = if several { format!("{name}-{number}") } else { name.clone() };
                let [link] = links else {
                    let why = if links.is_empty() {
                        "nothing names the interface: do so with --downlink"
                    } else {
                        "the file has several interfaces, and the router asks on one of them: \
                         write its [delegation.NAME]"
                    };
                    draft.leave_out(&part.origin, format!("host {name}"), why);
                    continue;
                };
                delegation(draft, &name, link, (&value, &duid.origin), part)?;
            }
            "address" => {
                let why = "addresses are not given by DHCPv6: hosts form them";
                draft.leave_out(&part.origin, part.text(), why);
            }
            "delayedkey" => {
                let why = "delayed authentication was withdrawn from DHCPv6 (RFC 9915)";
                draft.leave_out(&part.origin, part.text(), why);
            }
            _ => unknown(draft, part),
        }
    }
    Ok(())
}

fn delegation(
    draft: &mut Draft,
    name: &str,
    link: &str,
    (duid, duid_at): (&str, &Origin),
    part: &Statement,
) -> Result<(), ConfigError> {
    let at = &part.origin;
    draft.check_room(at)?;
    let (prefix, [preferred, valid]) = delegated(part)?;
    let id = (Kind::Delegation, draft.free_name(Kind::Delegation, name));
    draft.table(&id, at);
    draft.set(&id, "downlink", quoted(link), at);
    draft.set(&id, "duid", quoted(duid), duid_at);
    prefixes::feed(draft, &id, "prefix", prefix, at);
    prefixes::lifetimes(draft, &id, Some(&preferred), Some(&valid), ("dhcp6s", 0, 0));
    Ok(())
}

/// The DUIDs of routers whose places the article's script gives, which writes dhcp6s.conf.
fn placed(draft: &Draft) -> Vec<String> {
    let delegations = draft.sections.iter().filter(|((kind, _), _)| *kind == Kind::Delegation);
    let entries = delegations.flat_map(|(_, section)| &section.entries);
    let duids = entries.filter(|entry| entry.key == "duid");
    let values = duids.filter_map(|entry| match &entry.content {
        Content::One(item) => Some(item.value.to_lowercase()),
        Content::Many(_) => None,
    });
    values.collect()
}

/// `prefix PREFIX PREFERRED [VALID];`, which dhcp6c.conf has too.
pub(super) fn delegated(part: &Statement) -> Result<(Ipv6Net, [Lifetime; 2]), ConfigError> {
    let expected = "`prefix PREFIX/LENGTH SECONDS [SECONDS];`, or infinity for the seconds";
    let text = part.need(1, expected)?;
    let prefix: Ipv6Net = text
        .parse()
        .map_err(|_| wrong(&part.origin, format!("`{}` is no prefix", excerpt(text)), expected))?;
    let lifetime = |text: &str| {
        let seconds = match text {
            "infinity" => Ok(None),
            text => text.parse().map(Some),
        };
        let problem = || format!("`{}` is no lifetime", excerpt(text));
        let seconds = seconds.map_err(|_| wrong(&part.origin, problem(), expected))?;
        Ok(Lifetime { seconds, origin: part.origin.clone() })
    };
    let preferred = lifetime(part.need(2, expected)?)?;
    let valid = match part.word(3) {
        "" => preferred.clone(),
        text => lifetime(text)?,
    };
    Ok((prefix.trunc(), [preferred, valid]))
}
