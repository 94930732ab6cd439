//! What subordinate routers get, and prefixes that are not delegated to us.

use super::machine::{lifetime, priority};
use super::{Form, Key, Keys, Kind, key};

/// See [`Keys::about`].
pub const DELEGATION: Keys = Keys {
    table: "delegation",
    name: "NAME",
    about: "What a subordinate router gets of each prefix; several for one router are several prefixes.",
    keys: &[
        key(
            "downlink",
            Kind::Text(Form::Interface),
            "required",
            r#""lan0""#,
            "The interface on which it asks.",
        ),
        key(
            "duid",
            Kind::Text(Form::Octets),
            "none: then link-layer is required",
            r#""00:03:00:01:02:00:5e:00:53:01""#,
            "Who it is, by its DUID.",
        ),
        key(
            "link-layer",
            Kind::Text(Form::Octets),
            "none: then duid is required",
            r#""02:00:5e:00:53:01""#,
            "Who it is, by its link-layer address.",
        ),
        key(
            "iaid",
            Kind::Number(0, u32::MAX as i64),
            "any",
            "1",
            "Only for its IA_PD of this number.",
        ),
        key(
            "prefix",
            Kind::Text(Form::Place),
            "any place of `length`",
            r#""0x1/62""#,
            "Its place: `0x1/62` counted from the low end, `-1/60` from the high end.",
        ),
        key(
            "length",
            Kind::Number(1, 64),
            "64",
            "62",
            "The length of an automatic place, in place of `prefix`.",
        ),
        FROM,
        priority(
            "Who goes first where a prefix is too small for all who take from it; then by name.",
        ),
        key(
            "next-hop",
            Kind::Text(Form::Address),
            "whence it asks",
            r#""fe80::2""#,
            "Where its packets go: a neighbour on the downlink.",
        ),
        RENEW_EVERY,
        PREFERRED,
        VALID,
    ],
};

/// See [`Keys::about`].
pub const POOL: Keys = Keys {
    table: "pool",
    name: "NAME",
    about: "What other requesting routers get.",
    keys: &[
        key(
            "downlink",
            Kind::Text(Form::Interface),
            "required",
            r#""lan0""#,
            "The interface on which they ask.",
        ),
        key(
            "link",
            Kind::Text(Form::Prefix),
            "any",
            r#""2001:db8:1::/48""#,
            "Only through relay agents whose link-address lies in this prefix.",
        ),
        key(
            "prefix",
            Kind::Text(Form::Place),
            "any place of `size`",
            r#""0x1/60""#,
            "The pool's place.",
        ),
        key(
            "size",
            Kind::Number(1, 64),
            "60",
            "58",
            "The length of an automatic place of the pool, in place of `prefix`.",
        ),
        key("length", Kind::Number(1, 64), "64", "62", "The length of what each router gets."),
        key(
            "per-router",
            Kind::Number(1, 1024),
            "8",
            "2",
            "How many prefixes one router can have (RFC 8987).",
        ),
        key(
            "per-neighbour",
            Kind::Number(1, 65_536),
            "32",
            "8",
            "How many prefixes one neighbour can have, whatever DUIDs it comes with; never more than a quarter of the pool, which is also what all behind a relay agent can have unless `relays` names it.",
        ),
        RENEW_EVERY,
        FROM,
        priority(
            "Who goes first where a prefix is too small for all who take from it; then by name.",
        ),
        PREFERRED,
        VALID,
    ],
};

/// See [`Keys::about`].
pub const STATIC: Keys = Keys {
    table: "static",
    name: "NAME",
    about: "A prefix that nobody delegates, carved like the others.",
    keys: &[
        key(
            "prefix",
            Kind::Text(Form::Prefix),
            "none: it is set later over the control socket",
            r#""2001:db8:1200::/48""#,
            "The prefix.",
        ),
        lifetime("preferred-lifetime", "for ever", r#""1h""#, "From the start, or from being set."),
        lifetime("valid-lifetime", "for ever", r#""2h""#, "From the start, or from being set."),
    ],
};

pub(super) const FROM: Key = key(
    "from",
    Kind::Text(Form::Name),
    "all",
    r#""tap0/1""#,
    "Only from this delegation: an uplink such as `tap0`, `tap0/1` with its IAID, or the name of a static prefix.",
);

const RENEW_EVERY: Key = key(
    "renew-every",
    Kind::Duration,
    "as lifetimes say",
    r#""1m""#,
    "A router renews so often, at least every 5 s, unless it accepts Reconfigure, and so follows a change in that time although nothing else reaches it.",
);

pub(super) const PREFERRED: Key = lifetime(
    "preferred-lifetime",
    r#""45m""#,
    r#""30m""#,
    "At most, and never longer than the lease (RFC 9096).",
);

pub(super) const VALID: Key = lifetime(
    "valid-lifetime",
    r#""90m""#,
    r#""1h""#,
    "At most, and never longer than the lease (RFC 9096).",
);
