//! Brings a draft to what the reader of the configuration accepts: ties downlinks and delegations
//! to their sources, then leaves out what the reader refuses, with the reader's reason.

use std::collections::BTreeSet;

use super::draft::{Content, Draft, Feed, Id, Item, Kind, LeftOut, Origin, Section, quoted, root};
use super::render::{self, Subject};
use crate::config::{ConfigError, file};

/// Keys without which a table would mean something else than the file that it comes from.
const DECISIVE: [&str; 6] = ["prefix", "from", "downlink", "duid", "iaid", "length"];

/// Makes a draft valid.
///
/// # Errors
///
/// Where nothing is left that an agent could do.
pub(super) fn settle(draft: &mut Draft) -> Result<(), ConfigError> {
    place_asked(draft);
    tie(draft);
    // Each round leaves something out, so there are no more of them than lines.
    while let Err(errors) = file::parse("", &text(draft)) {
        if !prune(draft, &errors) {
            return Err(unusable(&errors));
        }
    }
    Ok(())
}

fn text(draft: &Draft) -> String {
    let lines = render::lines(draft).into_iter();
    lines.map(|(line, _)| line + "\n").collect()
}

/// IAIDs of a file that does not name the uplink belong to the only one.
fn place_asked(draft: &mut Draft) {
    if let Some(name) = draft.hints.uplink.clone() {
        draft.sections.entry((Kind::Uplink, name)).or_default();
    }
    let uplinks = draft.names(Kind::Uplink);
    let asked = std::mem::take(&mut draft.asked);
    let [uplink] = uplinks.as_slice() else {
        if let Some((_, origin)) = asked.first() {
            let why = if uplinks.is_empty() {
                "no file names the uplink: import its dhcpcd.conf or dhcp6c.conf in the same \
                 command, or name it with --uplink"
            } else {
                "there are several uplinks: write `delegate` where these belong"
            };
            let iaids: Vec<String> = asked.iter().map(|(iaid, _)| iaid.to_string()).collect();
            draft.leave_out(origin, format!("IAIDs {}", iaids.join(", ")), why);
        }
        return;
    };
    let id = (Kind::Uplink, uplink.clone());
    let section = draft.sections.get(&id);
    let is_written = section.is_some_and(|section| {
        section.entries.iter().any(|entry| entry.key == "delegate" && !entry.weak)
    });
    let known = if is_written { asked_on(draft, uplink) } else { BTreeSet::new() };
    for (iaid, origin) in asked {
        if !known.contains(&iaid) {
            draft.push(&id, "delegate", format!("{{ iaid = {iaid} }}"), &origin);
        }
    }
}

/// The IAIDs that an uplink asks for.
fn asked_on(draft: &Draft, uplink: &str) -> BTreeSet<u32> {
    let section = draft.sections.get(&(Kind::Uplink, uplink.to_owned()));
    let entries = section.into_iter().flat_map(|section| &section.entries);
    let Some(entry) = entries.into_iter().find(|entry| entry.key == "delegate") else {
        return BTreeSet::from([1]); // the default
    };
    let Content::Many(items) = &entry.content else { return BTreeSet::new() };
    items.iter().filter_map(|item| iaid_of(&item.value)).collect()
}

/// The IAID in `{ iaid = 1, length = 56 }`.
fn iaid_of(item: &str) -> Option<u32> {
    let digits = item.split_once("iaid = ")?.1;
    let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end)?.parse().ok()
}

/// A source in the form of `from`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Source {
    Iaid(String, u32),
    Static(String),
}

impl Source {
    fn text(&self) -> String {
        match self {
            Self::Iaid(uplink, iaid) => format!("{uplink}/{iaid}"),
            Self::Static(name) => name.clone(),
        }
    }
}

/// Writes `from` for each table that not all sources feed.
fn tie(draft: &mut Draft) {
    let uplinks = draft.names(Kind::Uplink);
    let delegated: BTreeSet<Source> = uplinks
        .iter()
        .flat_map(|uplink| {
            let asked = asked_on(draft, uplink).into_iter();
            asked.map(move |iaid| Source::Iaid(uplink.clone(), iaid))
        })
        .collect();
    let fixed = draft.names(Kind::Static).into_iter().map(Source::Static);
    let mut all: BTreeSet<Source> = delegated.iter().cloned().chain(fixed).collect();
    let fed: Vec<Id> = draft.sections.keys().filter(|id| is_fed(id)).cloned().collect();
    let is_without_uplink = uplinks.is_empty() && !all.is_empty();
    let delegated = if is_without_uplink && fed.iter().any(|id| is_delegated(draft, id)) {
        let stand_in = BTreeSet::from([stand_in(draft)]);
        all.extend(stand_in.iter().cloned());
        stand_in
    } else {
        delegated
    };
    for id in fed {
        let feeds = draft.sections.get(&id).map(|section| section.feeds.clone());
        let mut feeds = feeds.unwrap_or_default();
        if feeds.is_empty() {
            let origin = draft.sections.get(&id).and_then(|section| section.origins.first());
            feeds.extend(origin.map(|origin| (Feed::Delegated, origin.clone())));
        }
        tie_one(draft, &id, &feeds, &delegated, &all);
    }
}

fn is_fed((kind, _): &Id) -> bool {
    matches!(kind, Kind::Downlink | Kind::Delegation)
}

/// Whether something that feeds a table is delegated on an uplink.
fn is_delegated(draft: &Draft, id: &Id) -> bool {
    draft.sections.get(id).is_some_and(|section| {
        let is_static = |feed: &Feed| matches!(feed, Feed::Static(_));
        section.feeds.is_empty() || section.feeds.iter().any(|(feed, _)| !is_static(feed))
    })
}

/// A static prefix without a value in the place of an uplink that no file names: without it, links
/// of that uplink would take from the static prefixes of others.
fn stand_in(draft: &mut Draft) -> Source {
    let name = draft.free_name(Kind::Static, "provider");
    let hints = vec![format!(
        "No file names the uplink. --uplink names it; until then `renumberd prefix {name}=PREFIX` \
         sets its prefix."
    )];
    draft.sections.insert((Kind::Static, name.clone()), Section { hints, ..Section::default() });
    Source::Static(name)
}

fn tie_one(
    draft: &mut Draft,
    id: &Id,
    feeds: &[(Feed, Origin)],
    delegated: &BTreeSet<Source>,
    all: &BTreeSet<Source>,
) {
    let of_feed = |feed: &Feed| -> BTreeSet<Source> {
        match feed {
            Feed::Delegated => delegated.clone(),
            Feed::Iaid(uplink, number) => {
                let is_meant = |source: &&Source| match source {
                    Source::Iaid(name, iaid) => {
                        iaid == number && uplink.as_ref().is_none_or(|uplink| uplink == name)
                    }
                    Source::Static(_) => true,
                };
                delegated.iter().filter(is_meant).cloned().collect()
            }
            Feed::Static(name) => BTreeSet::from([Source::Static(name.clone())]),
        }
    };
    let sources: BTreeSet<Source> = feeds.iter().flat_map(|(feed, _)| of_feed(feed)).collect();
    if sources == *all {
        return;
    }
    // A table takes from all sources, from one, or from all of one uplink.
    for (position, (feed, origin)) in feeds.iter().enumerate() {
        let found = of_feed(feed);
        let Some(from) = from(&found, all) else { continue };
        draft.set(id, "from", quoted(&from), origin);
        for (feed, origin) in feeds.iter().skip(position + 1) {
            let left: Vec<String> = of_feed(feed).difference(&found).map(Source::text).collect();
            if !left.is_empty() {
                let what = format!("{}.{} from {}", id.0.key(), id.1, left.join(", "));
                let why = "a table takes from one source or from all of them";
                draft.leave_out(origin, what, why);
            }
        }
        return;
    }
    let origin = feeds.first().map(|(_, origin)| origin.clone());
    let what = format!("[{}.{}]", id.0.key(), id.1);
    let why = "no uplink asks for the prefix that it comes from";
    draft.left_out.push(LeftOut { origin, what, why: why.to_owned() });
    draft.sections.remove(id);
}

/// `sources` as one `from` has them.
fn from(sources: &BTreeSet<Source>, all: &BTreeSet<Source>) -> Option<String> {
    let mut found = sources.iter();
    match (found.next(), found.next()) {
        (Some(one), None) => Some(one.text()),
        (Some(Source::Iaid(uplink, _)), Some(_)) => {
            let is_of =
                |source: &&Source| matches!(source, Source::Iaid(name, _) if name == uplink);
            let whole: BTreeSet<Source> = all.iter().filter(is_of).cloned().collect();
            (whole == *sources).then(|| uplink.clone())
        }
        (None | Some(Source::Static(_)), _) => None,
    }
}

/// Leaves out what the reader refuses; false where that is nothing of the draft.
fn prune(draft: &mut Draft, errors: &[ConfigError]) -> bool {
    let subjects: Vec<Subject> =
        render::lines(draft).into_iter().map(|(_, subject)| subject).collect();
    let mut refused: Vec<(Subject, &ConfigError)> = errors
        .iter()
        .filter_map(|error| Some((subjects.get(error.line?.checked_sub(1)?)?.clone(), error)))
        .filter(|(subject, _)| *subject != Subject::Nothing)
        .collect();
    // From the last to the first, so that the positions of items hold.
    refused.reverse();
    refused.dedup_by(|(one, _), (other, _)| one == other);
    let mut is_less = false;
    for (subject, error) in refused {
        is_less |= remove(draft, &subject, error);
    }
    is_less
}

fn remove(draft: &mut Draft, subject: &Subject, error: &ConfigError) -> bool {
    let why = format!("{}; {}", error.problem, error.remedy);
    match subject {
        Subject::Nothing => false,
        Subject::Table(id) => remove_table(draft, id, why),
        Subject::Key(id, key) => {
            let changes_all = matches!(id.0, Kind::Static | Kind::Delegation)
                || (id.0 == Kind::Downlink && *key == "from");
            if changes_all && DECISIVE.contains(key) {
                return remove_table(draft, id, format!("{key}: {why}"));
            }
            let Some(section) = draft.sections.get_mut(id) else { return false };
            let position = section.entries.iter().position(|entry| entry.key == *key);
            let Some(position) = position else { return false };
            let entry = section.entries.remove(position);
            let items = match entry.content {
                Content::One(item) => vec![item],
                Content::Many(items) => items,
            };
            items.into_iter().for_each(|item| left_out(draft, id, key, item, &why));
            true
        }
        Subject::Item(id, key, position) => {
            let entries = draft.sections.get_mut(id).map(|section| &mut section.entries);
            let entry = entries.and_then(|all| all.iter_mut().find(|entry| entry.key == *key));
            let Some(Content::Many(items)) = entry.map(|entry| &mut entry.content) else {
                return false;
            };
            if *position >= items.len() {
                return false;
            }
            let item = items.remove(*position);
            if items.is_empty()
                && let Some(section) = draft.sections.get_mut(id)
            {
                section.entries.retain(|entry| entry.key != *key);
            }
            left_out(draft, id, key, item, &why);
            true
        }
    }
}

fn left_out(draft: &mut Draft, id: &Id, key: &str, item: Item, why: &str) {
    let table = if *id == root() { String::new() } else { format!("{}.{}.", id.0.key(), id.1) };
    let what = format!("{table}{key} = {}", item.value);
    let origin = item.origins.into_iter().next();
    draft.left_out.push(LeftOut { origin, what, why: why.to_owned() });
}

fn remove_table(draft: &mut Draft, id: &Id, why: String) -> bool {
    let Some(section) = draft.sections.remove(id) else { return false };
    let what = format!("[{}.{}]", id.0.key(), id.1);
    let origin = section.origins.into_iter().next();
    draft.left_out.push(LeftOut { origin, what, why });
    true
}

/// The error where nothing is left.
fn unusable(errors: &[ConfigError]) -> ConfigError {
    let first = errors.first();
    ConfigError {
        file: "import".to_owned(),
        line: None,
        key: String::new(),
        problem: match first {
            Some(error) if error.line.is_some() => error.problem.clone(),
            Some(_) | None => {
                "the files name no interface that leads to the provider or to hosts".to_owned()
            }
        },
        remedy: "import the file that does, or name one with --uplink or --downlink".to_owned(),
    }
}
