//! The top of the file, relay agents and other programs.

use super::{Form, Key, Keys, Kind, key};

/// See [`Keys::about`].
pub const TOP: Keys = Keys {
    table: "",
    name: "",
    about: "Keys of the whole machine stand before the first table.",
    keys: &[
        key(
            "duid",
            Kind::Text(Form::Octets),
            "made from the machine's identity, and kept",
            r#""00:03:00:01:02:00:5e:00:53:01""#,
            "The DUID that other routers know this machine by.",
        ),
        key(
            "grace",
            Kind::Duration,
            r#""30s""#,
            r#""2m""#,
            "How long addresses and routes of a withdrawn or expired prefix stay, deprecated.",
        ),
        key(
            "on-stop",
            Kind::Choice(&["keep", "remove"]),
            r#""keep""#,
            r#""remove""#,
            "What stopping leaves: addresses and routes with their lifetimes, or nothing, with all settings restored.",
        ),
        key(
            "forward",
            Kind::Boolean,
            "false",
            "true",
            "Switches forwarding of IPv6 on for the whole machine; what it was before comes back as other settings do (`on-stop`). Interfaces that are no uplinks do not follow router advertisements then, unless their accept_ra is 2.",
        ),
        key(
            "scheduling",
            Kind::Choice(&["normal", "fifo"]),
            r#""normal""#,
            r#""fifo""#,
            "With `fifo` the agent reacts before all other programs that are not real-time, also on a busy machine. It is read at the start alone.",
        ),
        key(
            "ready-timeout",
            Kind::Duration,
            r#""30s""#,
            r#""10s""#,
            "A service manager takes the agent for started after so long at the latest, whatever its uplinks lack.",
        ),
        key(
            "uplink-loss-hold",
            Kind::Duration,
            r#""1s""#,
            r#""5s""#,
            "How long the loss of the last default router is not advertised.",
        ),
        key(
            "layout",
            Kind::Choice(&["scattered", "descending"]),
            r#""scattered""#,
            r#""descending""#,
            "Automatic places: each from where its name decides, so that additions move only what collides; or from the high end without gaps, the smallest first.",
        ),
        key(
            "metrics",
            Kind::Table(METRICS),
            "off",
            r#"{ listen = "[::1]:9560" }"#,
            "Metrics in the OpenMetrics format are served by HTTP at /metrics, to everybody who can connect there. It can be written as a table, `[metrics]`.",
        ),
    ],
};

const METRICS: &[Key] = &[key(
    "listen",
    Kind::Text(Form::Listen),
    "required",
    r#""[::1]:9560""#,
    "Where: an address with a port, or the whole path of a socket, which is made.",
)];

/// See [`Keys::about`].
pub const RELAY: Keys = Keys {
    table: "relay",
    name: "INTERFACE",
    about: "A link whose requesting routers are served elsewhere: what they send is relayed, and what they are given is routed to them.",
    keys: &[
        key(
            "servers",
            Kind::Texts(Form::Address),
            r#"["ff05::1:3"]"#,
            r#"["2001:db8::547"]"#,
            "Addresses of DHCPv6 servers. Where all of them are routed, answers of others are not believed.",
        ),
        key(
            "uplink",
            Kind::Text(Form::Interface),
            "the only uplink",
            r#""tap0""#,
            "The interface that leads to ff05::1:3, or to a server with a link-local address.",
        ),
    ],
};

/// See [`Keys::about`].
pub const ENGINE: Keys = Keys {
    table: "engine",
    name: "NAME",
    about: "Another program in a built-in's place, where its kind alone does not say enough.",
    keys: &[
        key(
            "kind",
            Kind::Choice(&[
                "dhcpcd", "dhcp6c", "networkd", "command", "radvd", "rtadvd", "dhcp6s", "kea",
            ]),
            "NAME",
            r#""command""#,
            "Which program it is: the first four ask for prefixes, `radvd` and `rtadvd` advertise, `dhcp6s` and `kea` delegate.",
        ),
        key(
            "program",
            Kind::Text(Form::File),
            "its usual name",
            r#""/usr/sbin/radvd""#,
            "The program's file.",
        ),
        key(
            "renew",
            Kind::Texts(Form::Word),
            "the program's own way",
            r#"["networkctl", "reconfigure", "tap0"]"#,
            "The command that has the lease renewed.",
        ),
        key(
            "on-change",
            Kind::Choice(&["renew", "restart"]),
            r#""renew""#,
            r#""restart""#,
            "With `restart` dhcp6c is ended and started again, for providers that do not route what a renewal brings.",
        ),
        key(
            "lease-database",
            Kind::Table(LEASE_DATABASE),
            "a file",
            r#"{ name = "kea", user = "kea" }"#,
            "Kea has its leases in this PostgreSQL database.",
        ),
        key(
            "high-availability",
            Kind::Table(HIGH_AVAILABILITY),
            "none",
            r#"{ role = "primary", url = "http://[fd00::1]:8001/", partner = "http://[fd00::2]:8001/" }"#,
            "Another Kea, on another machine, takes over when this one is dead: hot standby.",
        ),
    ],
};

const LEASE_DATABASE: &[Key] = &[
    key("name", Kind::Text(Form::Name), "required", r#""kea""#, "The database."),
    key("user", Kind::Text(Form::Name), "required", r#""kea""#, "Who opens it."),
    key(
        "host",
        Kind::Text(Form::Name),
        "the usual socket",
        r#""database.example""#,
        "The directory of its socket, or a host.",
    ),
    key(
        "password-file",
        Kind::Text(Form::File),
        "none",
        r#""/usr/local/kea-password""#,
        "The file with the password of `user`, where one is needed.",
    ),
];

const HIGH_AVAILABILITY: &[Key] = &[
    key(
        "role",
        Kind::Choice(&["primary", "standby"]),
        "required",
        r#""primary""#,
        "Which of the two this one is: the primary answers while it is there.",
    ),
    key(
        "url",
        Kind::Text(Form::Http),
        "required",
        r#""http://[fd00::1]:8001/""#,
        "Where the other one reaches this one.",
    ),
    key(
        "partner",
        Kind::Text(Form::Http),
        "required",
        r#""http://[fd00::2]:8001/""#,
        "Where the other one is.",
    ),
];

/// Keys that several tables have.
pub(super) const fn priority(meaning: &'static str) -> Key {
    key("priority", Kind::Number(i32::MIN as i64, i32::MAX as i64), "0", "10", meaning)
}

/// Keys that several tables have.
pub(super) const fn lifetime(
    name: &'static str,
    default: &'static str,
    example: &'static str,
    meaning: &'static str,
) -> Key {
    key(name, Kind::Duration, default, example, meaning)
}
