//! `[uplink.INTERFACE]`

use super::{Form, Key, Keys, Kind, key};

/// See [`Keys::about`].
pub const UPLINK: Keys = Keys {
    table: "uplink",
    name: "INTERFACE",
    about: "An interface towards the provider: advertisements are heard there, prefixes asked for.",
    keys: &[
        key(
            "requester",
            Kind::Text(Form::Name),
            r#""built-in""#,
            r#""dhcpcd""#,
            "Who asks for prefixes: `built-in`, or another program by the name of its kind or of an `[engine.NAME]`.",
        ),
        key(
            "address",
            Kind::Text(Form::Name),
            r#""stable""#,
            r#""::2""#,
            "Its address in each prefix: an interface identifier such as `::2`, `eui64`, `stable` (RFC 7217), `kernel` (the kernel's, accept_ra 2), `none`.",
        ),
        key(
            "delegate",
            Kind::Tables(DELEGATE),
            "[{ iaid = 1 }]",
            "[{ iaid = 1, length = 56 }, { iaid = 2 }]",
            "Prefixes to ask for; an empty list for none.",
        ),
        ROUTERS,
        key(
            "request-address",
            Kind::Boolean,
            "true; false where another program asks for prefixes",
            "false",
            "Ask for an address (IA_NA) where routers set the M flag.",
        ),
        key(
            "default-route",
            Kind::Boolean,
            "true; false where another program owns the interface",
            "false",
            "Install default routes.",
        ),
        key("rapid-commit", Kind::Boolean, "true", "false", "Offer Rapid Commit."),
        key(
            "reconfigure",
            Kind::Boolean,
            "true",
            "false",
            "Let servers send Reconfigure (RFC 9915 §20.4).",
        ),
        key(
            "on-reconnect",
            Kind::Choice(&["rebind", "solicit"]),
            r#""rebind""#,
            r#""solicit""#,
            "What begins a connection: `solicit` is for providers that forget what they gave.",
        ),
        VERIFY_OMISSION,
        key(
            "strict",
            Kind::Boolean,
            "false",
            "true",
            "Keep a delegated prefix to its end when another takes its place unmentioned.",
        ),
        key(
            "shortest-prefix",
            Kind::Number(1, 64),
            "20",
            "32",
            "Refuse delegated prefixes that are shorter, in bits: they would cover networks of others, and cut off from them.",
        ),
        key(
            "probe",
            Kind::Text(Form::Address),
            "none",
            r#""2001:db8:ffff::1""#,
            "An address to echo from each new prefix, to see whether that is routed.",
        ),
    ],
};

const DELEGATE: &[Key] = &[
    key("iaid", Kind::Number(0, u32::MAX as i64), "required", "1", "The number of the IA_PD."),
    key("length", Kind::Number(1, 64), "none", "56", "The length to hint at, in bits."),
];

pub(super) const ROUTERS: Key = key(
    "routers",
    Kind::Texts(Form::Address),
    "all",
    r#"["fe80::1"]"#,
    "Believe only these routers, by their link-local addresses.",
);

pub(super) const VERIFY_OMISSION: Key = key(
    "verify-omission",
    Kind::Boolean,
    "true",
    "false",
    "Ask a router that advertises a new prefix and omits another whether it has withdrawn that.",
);
