//! Prefixes that a file names: those of the provider become places, others static prefixes; and
//! their lifetimes.

use std::time::Duration;

use ipnet::Ipv6Net;

use super::draft::{Content, Draft, Feed, Id, Kind, Origin, duration, quoted};

/// A lifetime as the file has it, with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    /// Seconds; none for an infinite one.
    pub(super) seconds: Option<u64>,
    pub(super) origin: Origin,
}

impl Lifetime {
    /// The longest that is finite on the wire, in seconds (RFC 4861 §4.6.2).
    const LONGEST: u64 = 0xffff_fffe;

    pub(super) const fn is_zero(&self) -> bool {
        matches!(self.seconds, Some(0))
    }

    fn finite(&self) -> Option<u64> {
        self.seconds.filter(|seconds| (1..=Self::LONGEST).contains(seconds))
    }
}

/// Makes `prefix` feed a table, whose key `place` says where in its source it lies: the provider's
/// prefix if that contains it, else a static prefix of its own.
pub(super) fn feed(
    draft: &mut Draft,
    id: &Id,
    place: &'static str,
    prefix: Ipv6Net,
    origin: &Origin,
) {
    if let Some(whole) = draft.hints.provider.filter(|whole| whole.contains(&prefix)) {
        let note = format!("{prefix} of {whole}");
        draft.set_with(id, place, quoted(&within(whole, prefix)), origin, note);
        draft.feed(id, Feed::Delegated, origin);
        return;
    }
    let name = fixed(draft, &id.1, prefix, origin);
    if place == "prefix" || prefix.prefix_len() != 64 {
        draft.set(id, place, quoted(&format!("0x0/{}", prefix.prefix_len())), origin);
    }
    draft.feed(id, Feed::Static(name), origin);
}

/// The static prefix that is `prefix`, by its name.
fn fixed(draft: &mut Draft, wanted: &str, prefix: Ipv6Net, origin: &Origin) -> String {
    let value = quoted(&prefix.to_string());
    let known = draft.sections.iter().find(|((kind, _), section)| {
        let is_it =
            |content: &Content| matches!(content, Content::One(item) if item.value == value);
        *kind == Kind::Static
            && section.entries.iter().any(|entry| entry.key == "prefix" && is_it(&entry.content))
    });
    if let Some(((_, name), _)) = known {
        return name.clone();
    }
    let name = draft.free_name(Kind::Static, wanted);
    draft.set(&(Kind::Static, name.clone()), "prefix", value, origin);
    name
}

/// `NUMBER/LENGTH` of a prefix in the one that contains it.
fn within(whole: Ipv6Net, prefix: Ipv6Net) -> String {
    let offset = u128::from(prefix.network()) - u128::from(whole.network());
    let bits = u32::from(128 - prefix.prefix_len());
    format!("{:#x}/{}", offset.checked_shr(bits).unwrap_or(0), prefix.prefix_len())
}

/// Writes the lifetimes of a table. One that the file leaves out is the program's default.
pub(super) fn lifetimes(
    draft: &mut Draft,
    id: &Id,
    preferred: Option<&Lifetime>,
    valid: Option<&Lifetime>,
    (program, default_preferred, default_valid): (&str, u64, u64),
) {
    let Some(origin) = preferred.or(valid).map(|one| &one.origin) else { return };
    let infinite = |one: &&Lifetime| one.seconds.is_none();
    if let Some(infinite) = [preferred, valid].into_iter().flatten().find(infinite) {
        let why = "lifetimes here are finite: they end with the lease";
        draft.leave_out(&infinite.origin, "an infinite lifetime", why);
    }
    let seconds = |one: Option<&Lifetime>, default| one.map_or(Some(default), Lifetime::finite);
    let Some(valid_for) = seconds(valid, default_valid) else { return };
    let Some(preferred_for) = seconds(preferred, default_preferred) else { return };
    let values = [
        ("preferred-lifetime", preferred, preferred_for.min(valid_for)),
        ("valid-lifetime", valid, valid_for),
    ];
    for (key, given, seconds) in values {
        let value = duration(Duration::from_secs(seconds));
        match given {
            Some(given) => draft.set(id, key, value, &given.origin),
            None => draft.set_with(id, key, value, origin, format!("{program}'s default")),
        }
    }
}
