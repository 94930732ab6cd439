//! `renumberd import` with files as sites have them: what becomes of each, and that the result is
//! valid.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::path::Path;
use std::process::{Command, Output};

use renumberd::config::file::parse;
use renumberd::config::{AddressMode, Config, InterfaceId, Resolver};

fn import(arguments: &[&str]) -> Output {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import");
    let mut command = Command::new(env!("CARGO_BIN_EXE_renumberd"));
    command.current_dir(files).arg("import").args(arguments).output().unwrap()
}

/// The configuration as text, and what it says.
fn imported(arguments: &[&str]) -> (String, Config) {
    let output = import(arguments);
    let (text, errors) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    let (text, errors) = (text.unwrap(), errors.unwrap());
    assert!(output.status.success(), "{errors}");
    assert!(errors.starts_with("imported "), "{errors}");
    // What was left out is said at the end of the one and in the other.
    for line in errors.lines().skip(1) {
        assert!(text.contains(&format!("#   {}", line.trim())), "{line}");
    }
    match parse("imported", &text) {
        Ok(config) => (text, config),
        Err(errors) => panic!("{errors:?}\n{text}"),
    }
}

const ARTICLE: [&str; 4] = ["article", "dhcpcd.enter-hook", "dhcpcd.conf", "outbound-dhcpcd.conf"];

#[test]
fn the_article_s_outbound_router_is_imported() {
    let (text, config) = imported(&ARTICLE);
    let tun0 = &config.uplinks["tun0"];
    assert_eq!((tun0.address, tun0.delegate.len()), (AddressMode::Kernel, 1));
    let vtnet0 = &config.downlinks["vtnet0"];
    assert_eq!(vtnet0.subnet.unwrap().to_string(), "0xff/64");
    assert!(vtnet0.advertise.enabled);
    let vtnet1 = &config.downlinks["vtnet1"];
    assert_eq!(vtnet1.subnet.unwrap().to_string(), "0x1/64");
    assert!(!vtnet1.advertise.enabled);
    // As in the article's log: the first /60 is e0, beside the /64 fe.
    let places: Vec<(&str, String, u32)> = config
        .delegations
        .iter()
        .map(|(name, one)| (name.as_str(), one.place.unwrap().to_string(), one.iaid.unwrap().0))
        .collect();
    let expected = [("backbone-1", "-2/60", 1), ("backbone-2", "-3/60", 2), ("wlanr", "-2/64", 1)];
    assert_eq!(places, expected.map(|(name, place, iaid)| (name, place.to_owned(), iaid)));
    for one in config.delegations.values() {
        assert_eq!(one.next_hop, Some("fe80::2".parse().unwrap()));
    }
    assert_eq!(config.delegations["wlanr"].lifetimes.valid.as_secs(), 7200);
    // Table names are kept as comments, and so is how to keep the programs of before.
    for kept in ["TBL_DGET=ip6dgd", "SLA_MAX=8", "control port 5547", "# requester = \"dhcpcd\""] {
        assert!(text.contains(kept), "{kept}\n{text}");
    }
}

/// Every line that says something says whence it comes.
#[test]
fn each_line_names_its_origin() {
    let (text, _) = imported(&ARTICLE);
    for line in text.lines().filter(|line| line.contains(" = ") && !line.starts_with('#')) {
        let is_named =
            line.contains("# dhcpcd.enter-hook:") || line.contains("# outbound-dhcpcd.conf:");
        assert!(is_named || line.ends_with("= ["), "{line}");
    }
    assert!(
        text.contains("iaid = 2                            # dhcpcd.enter-hook:26\n"),
        "{text}"
    );
}

/// The commented lines that keep another program are right when they are uncommented.
#[test]
fn the_programs_of_before_can_be_kept() {
    let (text, _) = imported(&ARTICLE);
    let text = text.replace("# delegator", "delegator").replace("# advertiser", "advertiser");
    let text = text.replace("# requester", "requester");
    let config = parse("kept", &text).unwrap();
    assert_eq!(config.engines_in_use().count(), 3);
    assert_eq!(config.uplinks["tun0"].address, AddressMode::Kernel);
}

#[test]
fn the_article_alone_works_without_an_uplink_or_is_given_one() {
    let (text, config) = imported(&["article", "dhcpcd.enter-hook"]);
    assert!(config.uplinks.is_empty());
    assert!(text.contains("no file names the uplink"), "{text}");
    assert_eq!(config.downlinks["vtnet0"].subnet.unwrap().to_string(), "-1/64");
    let (text, config) = imported(&["--uplink", "tun0", "article", "dhcpcd.enter-hook"]);
    assert_eq!(config.uplinks["tun0"].delegate.len(), 1);
    assert!(text.contains("    { iaid = 1 },                   # dhcpcd.enter-hook:4\n"), "{text}");
}

#[test]
fn a_backbone_router_s_dhcpcd_conf_is_imported() {
    let (text, config) = imported(&["dhcpcd.conf", "backbone-dhcpcd.conf"]);
    assert_eq!(
        config.duid.unwrap().to_string(),
        "00:04:e4:79:62:c7:2e:bc:81:de:49:7a:00:e0:cd:f4:15:4b"
    );
    assert_eq!(config.uplinks.len(), 1, "em0 is for IPv4 alone");
    let tap0 = &config.uplinks["tap0"];
    assert_eq!(tap0.address, AddressMode::Stable);
    assert!(!tap0.default_route && tap0.request_address);
    let asked: Vec<_> = tap0.delegate.iter().map(|one| (one.iaid.0, one.length)).collect();
    assert_eq!(asked, [(1, Some(60)), (2, None)]);
    let links: Vec<(&str, String, String)> = config
        .downlinks
        .iter()
        .map(|(name, link)| {
            let from = link.from.as_ref().unwrap().to_string();
            (name.as_str(), link.subnet.unwrap().to_string(), from)
        })
        .collect();
    let expected =
        [("jail0", "0x0/64", "tap0/2"), ("lan0", "0x0/64", "tap0/1"), ("wl0", "0x1/64", "tap0/1")];
    let expected = expected.map(|(name, place, from)| (name, place.to_owned(), from.to_owned()));
    assert_eq!(links, expected);
    assert!(text.contains("backbone-dhcpcd.conf:20: static ip6_address=fd00::101/120: "), "{text}");
    assert!(!text.contains("never0"), "{text}");
}

#[test]
fn a_radvd_conf_is_imported() {
    let (text, config) = imported(&["--uplink", "tun0", "radvd.conf", "radvd.conf"]);
    let lan0 = &config.downlinks["lan0"];
    let said = &lan0.advertise;
    assert!(said.enabled && said.other == Some(true));
    assert_eq!((said.max_interval.as_secs(), said.min_interval.as_secs()), (100, 30));
    assert_eq!((said.mtu, said.reachable_time.as_secs()), (Some(1480), 30));
    assert_eq!((said.preferred_limit.as_secs(), said.valid_limit.as_secs()), (1800, 3600));
    let servers =
        ["2001:db8::53", "2001:db8::54"].map(|one| Resolver::Address(one.parse().unwrap()));
    assert_eq!(said.rdnss, servers);
    assert_eq!(said.dnssl.len(), 2);
    assert_eq!(said.routes, ["2001:db8:aaaa::/48".parse().unwrap()]);
    assert_eq!(said.pref64, Some("64:ff9b::/96".parse().unwrap()));
    assert_eq!(lan0.from.as_ref().unwrap().to_string(), "tun0/1");
    let lan7 = &config.downlinks["lan0.7"];
    assert_eq!(lan7.from.as_ref().unwrap().to_string(), "lan0.7");
    assert_eq!(config.statics["lan0.7"].prefix, Some("fd00:7::/64".parse().unwrap()));
    assert!(!config.downlinks["quiet0"].advertise.enabled);
    assert!(text.contains("prefix fd00:70::/64: it is withdrawn or deprecated"), "{text}");
}

#[test]
fn an_rtadvd_conf_is_imported() {
    let (text, config) = imported(&["--uplink", "tun0", "rtadvd.conf", "rtadvd.conf"]);
    for name in ["lan0", "lan1"] {
        let said = &config.downlinks[name].advertise;
        assert_eq!((said.max_interval.as_secs(), said.min_interval.as_secs()), (60, 20));
        assert_eq!((said.preferred_limit.as_secs(), said.valid_limit.as_secs()), (1800, 3600));
        assert_eq!((said.router_lifetime.as_secs(), said.hop_limit), (1800, 64));
        assert_eq!((said.other, said.rdnss.len()), (Some(true), 2));
        assert_eq!(said.routes, ["2001:db8:aaaa::/48".parse().unwrap()]);
    }
    let wl0 = &config.downlinks["wl0"];
    assert_eq!(wl0.from.as_ref().unwrap().to_string(), "wl0");
    assert_eq!(config.statics["wl0"].prefix, Some("fd00:9::/64".parse().unwrap()));
    assert_eq!(wl0.advertise.pref64, Some("64:ff9b::/96".parse().unwrap()));
    assert_eq!(wl0.advertise.router_lifetime.as_secs(), 2700, "rltime@ takes back the other's");
    assert!(text.contains("router-lifetime = \"30m\"             # rtadvd.conf:3\n"), "{text}");
}

#[test]
fn a_dhcp6c_conf_with_an_include_is_imported() {
    let (text, config) = imported(&["dhcp6c.conf", "dhcp6c.conf"]);
    let asked: Vec<_> =
        config.uplinks["tun0"].delegate.iter().map(|one| (one.iaid.0, one.length)).collect();
    assert_eq!(asked, [(0, Some(56))]);
    let vtnet0 = &config.downlinks["vtnet0"];
    assert_eq!(
        (vtnet0.subnet.unwrap().to_string().as_str(), vtnet0.address),
        ("0xff/64", InterfaceId(1))
    );
    assert_eq!(config.downlinks["lan0"].subnet.unwrap().to_string(), "0x1/64");
    assert!(text.contains("# more/dhcp6c-pd.conf:3"), "{text}");
}

#[test]
fn a_dhcp6s_conf_with_an_include_is_imported() {
    let provider = ["--uplink", "tun0", "--prefix", "2001:db8:12:c300::/56"];
    let file = ["dhcp6s.conf", "dhcp6s.conf"];
    let (_, config) = imported(&[&provider[..], &file[..]].concat());
    let places = ["backbone-1", "backbone-2"].map(|name| &config.delegations[name]);
    assert_eq!(places.map(|one| one.place.unwrap().to_string()), ["0xe/60", "0xd/60"]);
    assert_eq!(places.map(|one| one.lifetimes.valid.as_secs()), [14_400, 28_800]);
    assert_eq!(config.delegations["kame"].from.as_ref().unwrap().to_string(), "kame");
    // Without the provider's prefix each is static.
    let (_, config) = imported(&file);
    assert_eq!(config.statics["backbone-1"].prefix, Some("2001:db8:12:c3e0::/60".parse().unwrap()));
    // What the article's script has written follows the script.
    let (text, config) = imported(&[&ARTICLE[..], &file[..]].concat());
    assert_eq!(config.delegations["backbone-1"].place.unwrap().to_string(), "-2/60");
    assert!(text.contains("which this one was written from"), "{text}");
}

#[test]
fn a_file_that_cannot_be_imported_ends_with_exit_code_2() {
    for arguments in [
        &["article", "radvd.conf"][..],
        &["sendmail.cf", "radvd.conf"],
        &["radvd.conf", "missing.conf"],
        &["radvd.conf", "radvd.conf", "dhcpcd.conf"],
    ] {
        let output = import(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
        assert!(!output.stderr.is_empty());
    }
}
