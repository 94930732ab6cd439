//! `[client.INTERFACE]`

use super::*;

#[test]
fn every_key_of_a_client_is_read() {
    let config = config(
        r#"
        [client.eth0]
        force = true
        random-delay = true
        mend = false
        optimistic-dad = false
        resolver = "/opt/resolvconf"
        resolver-per-router = true
        networks = "/opt/networks"
        networks-command = ["/opt/bin/true", "reload"]
        managed-script = "/opt/managed"
        other-script = "/opt/other"
        always-script = "/opt/always"
        register-addresses = false
        delegate = true
        routers = ["fe80::1"]
        verify-omission = false
        "#,
    );
    let uplink = &config.uplinks["eth0"];
    assert_eq!(uplink.routers, ["fe80::1".parse::<Ipv6Addr>().unwrap()]);
    assert!(!uplink.verify_omission);
    assert_eq!(uplink.address, AddressMode::Kernel);
    assert_eq!(uplink.delegate, [Delegate { iaid: Iaid(1), length: None }]);
    let client = Client {
        force: true,
        random_delay: true,
        mend: false,
        optimistic_dad: false,
        resolver: ResolverTarget::Program("/opt/resolvconf".to_owned()),
        resolver_per_router: true,
        networks: Some("/opt/networks".to_owned()),
        networks_command: vec!["/opt/bin/true".to_owned(), "reload".to_owned()],
        scripts: Scripts {
            managed: Some("/opt/managed".to_owned()),
            other: Some("/opt/other".to_owned()),
            always: Some("/opt/always".to_owned()),
        },
        register_addresses: false,
        delegate: true,
    };
    assert_eq!(uplink.client, Some(client));
}

#[test]
fn entries_by_router_are_for_resolvconf() {
    for resolver in ["auto", "resolved", "none", "file:/opt/resolv.conf"] {
        let text =
            format!("[client.eth0]\nresolver = \"{resolver}\"\nresolver-per-router = true\n");
        let errors = errors(&text);
        assert!(errors.contains("client.eth0.resolver-per-router"), "{errors:?}");
        assert!(errors.contains("add resolver = \"resolvconf\""), "{errors:?}");
    }
    let config = config("[client.eth0]\nresolver = \"resolvconf\"\nresolver-per-router = true\n");
    assert!(config.uplinks["eth0"].client.as_ref().unwrap().resolver_per_router);
}

#[test]
fn a_host_asks_for_no_prefix_unless_it_is_to() {
    let config = config("[client.eth0]\n");
    assert_eq!(config.uplinks["eth0"].delegate, []);
    assert_eq!(config.uplinks["eth0"].client, Some(Client::default()));
}

#[test]
fn an_interface_is_uplink_or_client() {
    let errors = errors("[uplink.eth0]\n[client.eth0]\n");
    assert!(errors.contains("client.eth0"), "{errors:?}");
    assert!(errors.contains("is an uplink too"), "{errors:?}");
}

#[test]
fn a_file_is_for_one_thing() {
    let one = "[client.eth0]\nresolver = \"file:/opt/a\"\n";
    assert!(config(one).uplinks.contains_key("eth0"));
    let errors = errors(&format!("{one}[client.eth1]\nnetworks = \"/opt/a\"\n"));
    assert!(errors.contains("/opt/a is to hold the networks of eth1 as well"), "{errors:?}");
}
