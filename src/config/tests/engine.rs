//! Programs in a built-in's place.

use super::*;

#[test]
fn a_program_is_named_by_itself_or_by_its_table() {
    let config = config(
        r#"
        [uplink.tap0]
        requester = "dhcpcd"
        [uplink.tap1]
        requester = "modem"
        [downlink.lan0]
        advertiser = "radvd"
        delegator = "built-in"
        [engine.modem]
        kind = "command"
        renew = ["modem", "renew"]
        [engine.radvd]
        program = "/opt/sbin/radvd"
        "#,
    );
    let [tap0, tap1] = ["tap0", "tap1"].map(|name| &config.uplinks[name]);
    // dhcpcd makes addresses and default routes by itself, a command may do anything.
    assert_eq!((tap0.address, tap0.default_route), (AddressMode::None, false));
    assert_eq!((tap1.address, tap1.default_route), (AddressMode::Stable, true));
    assert!(!tap0.request_address && !tap1.request_address);
    let program = |name| config.engine(name).unwrap().program;
    assert_eq!((program("dhcpcd"), program("modem")), (Program::Dhcpcd, Program::Command));
    assert_eq!(config.engine("radvd").unwrap().path.as_deref(), Some("/opt/sbin/radvd"));
    assert_eq!(config.downlinks["lan0"].delegator, None);
    let in_use: Vec<_> = config.engines_in_use().collect();
    assert_eq!(
        in_use,
        [
            (Job::Requester, "tap0", "dhcpcd"),
            (Job::Requester, "tap1", "modem"),
            (Job::Advertiser, "lan0", "radvd"),
        ]
    );
}

/// As with dhcpcd's `noipv6rs`.
#[test]
fn a_program_may_leave_the_uplink_s_address_to_the_kernel() {
    let config = config("[uplink.a]\nrequester = \"dhcpcd\"\naddress = \"kernel\"\n");
    assert_eq!(config.uplinks["a"].address, AddressMode::Kernel);
}

#[test]
fn two_owners_of_one_thing_are_refused() {
    let cases = [
        ("[uplink.a]\nrequester = \"radvd\"", "radvd is no requester"),
        ("[uplink.a]\nrequester = \"modem\"", "there is no engine modem"),
        (
            "[uplink.a]\nrequester = \"dhcpcd\"\naddress = \"::2\"",
            "dhcpcd makes the addresses of a",
        ),
        (
            "[uplink.a]\nrequester = \"networkd\"\ndefault-route = true",
            "networkd owns the default route of a",
        ),
        (
            "[uplink.a]\nrequester = \"dhcp6c\"\nrequest-address = true",
            "dhcp6c asks for the addresses of a",
        ),
        ("[downlink.a]\n[engine.radvd]\nrenew = [\"a\"]", "radvd has no lease to renew"),
        ("[downlink.a]\n[engine.b]\nkind = \"command\"", "not known how the lease is renewed"),
        ("[downlink.a]\n[engine.b]", "engine.b.kind"),
        ("[downlink.a]\n[engine.dhcpcd]\non-change = \"restart\"", "only dhcp6c is"),
        (
            "[downlink.a]\ndelegator = \"dhcp6s\"\n[pool.b]\ndownlink = \"a\"",
            "dhcp6s has no pools of prefixes",
        ),
        (
            "[downlink.a]\ndelegator = \"dhcp6s\"\n[downlink.b]\n[pool.c]\ndownlink = \"b\"",
            "UDP port 547 belongs to the delegator of a",
        ),
        (
            "[downlink.a]\ndelegator = \"kea\"\n[relay.c]",
            "UDP port 547 belongs to the delegator of a",
        ),
        ("[downlink.a]\n[engine.kea]\nlease-database = \"kea\"", "is no table"),
        ("[downlink.a]\n[engine.kea]\nlease-database = { name = \"kea\" }", "database.user"),
        (
            "[downlink.a]\n[engine.dhcp6s]\nlease-database = { name = \"a\", user = \"a\" }",
            "dhcp6s has none, only kea does",
        ),
        (
            "[downlink.a]\n[engine.kea]\nhigh-availability = { role = \"both\" }",
            "availability.role",
        ),
        (
            "[downlink.a]\n[engine.kea]\nhigh-availability = { role = \"standby\", \
             url = \"http://[fd00::1]:1/\", partner = \"http://[fd00::1]:1/\" }",
            "the two servers are one",
        ),
        (
            "[downlink.a]\ndelegator = \"kea\"\n[downlink.b]\ndelegator = \"kea\"\n[engine.kea]\n\
             high-availability = { role = \"standby\", \
             url = \"http://[fd00::1]:1/\", partner = \"http://[fd00::2]:1/\" }",
            "each downlink has a server of its own",
        ),
        (
            "[downlink.a]\ndelegator = \"kea\"\n[delegation.b]\ndownlink = \"a\"\n\
             duid = \"00:03:00:01:02:00:5e:00:53:01\"",
            "kea does not say by way of which address b is reached",
        ),
        (
            "[downlink.a]\ndelegator = \"dhcp6s\"\n[delegation.b]\ndownlink = \"a\"\n\
             next-hop = \"fe80::2\"\nduid = \"00:03:00:01:02:00:5e:00:53:01\"",
            "dhcp6s gives a prefix to one IA_PD",
        ),
        (
            "[downlink.a]\ndelegator = \"dhcp6s\"\n[delegation.b]\ndownlink = \"a\"\n\
             iaid = 1\nnext-hop = \"fe80::2\"\nlink-layer = \"02:00:5e:00:53:01\"",
            "dhcp6s knows routers by their DUID",
        ),
    ];
    for (text, problem) in cases {
        let found = errors(text);
        assert!(found.contains(problem), "{text}\n{found}");
    }
}

#[test]
fn kea_has_its_leases_in_a_database_and_a_partner() {
    let config = config(
        r#"
        [downlink.lan0]
        delegator = "kea"
        [engine.kea]
        lease-database = { name = "leases", user = "kea", password-file = "/kea/password" }
        high-availability = { role = "standby", url = "http://[fd00::2]:8001/", partner = "http://192.0.2.1:80" }
        "#,
    );
    let engine = config.engine("kea").unwrap();
    let database = engine.lease_database.unwrap();
    assert_eq!((database.host, database.name.as_str()), (None, "leases"));
    assert_eq!(database.password_file.as_deref(), Some("/kea/password"));
    let pair = engine.high_availability.unwrap();
    assert_eq!((pair.role, pair.url.port(), pair.partner.port()), (Role::Standby, 8001, 80));
}
