//! `[client.INTERFACE]`

use super::uplink::{ROUTERS, VERIFY_OMISSION};
use super::{Form, Keys, Kind, key};

/// See [`Keys::about`].
pub const CLIENT: Keys = Keys {
    table: "client",
    name: "INTERFACE",
    about: "An interface on which this machine is a host: the kernel makes addresses and routes of what routers advertise, and the agent solicits, watches and mends.",
    keys: &[
        key(
            "mend",
            Kind::Boolean,
            "true",
            "false",
            "Deprecate addresses of prefixes that no router advertises any more, and drop default routers that are gone, instead of waiting for their lifetimes to end.",
        ),
        key(
            "optimistic-dad",
            Kind::Boolean,
            "true",
            "false",
            "Have the kernel use an address while it looks for duplicates of it (RFC 4429), so that connections leave from the new prefix a second or two sooner; Linux, and only where it does not forward.",
        ),
        key(
            "force",
            Kind::Boolean,
            "false",
            "true",
            "Make the kernel follow router advertisements there where it does not (accept_ra 0), as rtsold's option -F does; without it another program is taken to follow them, and the agent stays out. What it was before comes back as other settings do (`on-stop`).",
        ),
        key(
            "random-delay",
            Kind::Boolean,
            "false",
            "true",
            "Wait up to a second before the first solicitation (RFC 4861 §6.3.7), where many hosts come up at a time.",
        ),
        ROUTERS,
        VERIFY_OMISSION,
        key(
            "resolver",
            Kind::Text(Form::Name),
            r#""auto""#,
            r#""file:/run/renumberd/resolv.conf""#,
            "Who is handed DNS servers and search domains: `resolved` (systemd-resolved), `resolvconf`, a program such as `/sbin/resolvconf` that is run as rtsold runs it, `file:/path` in the form of resolv.conf, `none`; `auto` is systemd-resolved where it runs, else resolvconf where it is installed; where neither is there, that is reported.",
        ),
        key(
            "resolver-per-router",
            Kind::Boolean,
            "false",
            "true",
            "resolvconf holds one entry for each router, such as `eth0:slaac:[fe80::1%eth0]`, as with rtsold's option -u, in the place of one for the interface; only with `resolver = \"resolvconf\"` or a program.",
        ),
        key(
            "networks",
            Kind::Text(Form::File),
            "none",
            r#""/opt/site/networks""#,
            "A file that is kept at the prefixes of the local networks, one a line.",
        ),
        key(
            "networks-command",
            Kind::Texts(Form::Word),
            "none",
            r#"["nft", "-f", "/opt/site/nftables.conf"]"#,
            "A command that is run whenever that file has changed.",
        ),
        key(
            "managed-script",
            Kind::Text(Form::File),
            "none",
            r#""/usr/local/sbin/managed""#,
            "The program of rtsold's option -M: an advertisement has the M flag.",
        ),
        key(
            "other-script",
            Kind::Text(Form::File),
            "none",
            r#""/usr/local/sbin/other""#,
            "The program of rtsold's option -O: an advertisement has the O flag.",
        ),
        key(
            "always-script",
            Kind::Text(Form::File),
            "none",
            r#""/usr/local/sbin/always""#,
            "The program of rtsold's option -A: an advertisement came.",
        ),
        key(
            "register-addresses",
            Kind::Boolean,
            "true",
            "false",
            "Register the addresses with the DHCPv6 server where that offers it (RFC 9686), so that the operator of the network knows who has which; not beside `managed-script` or `other-script`, whose program is the DHCPv6 client.",
        ),
        key(
            "delegate",
            Kind::Boolean,
            "false",
            "true",
            "Ask for a prefix of its own where a router sets the P flag (RFC 9762), for containers and virtual machines.",
        ),
    ],
};
