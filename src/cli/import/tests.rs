//! Any file, however broken: an error that names file and line, or a configuration that is valid.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::draft::Hints;
use super::*;
use crate::config::{Config, file};

const FORMATS: [Format; 6] = [
    Format::Article,
    Format::Dhcpcd,
    Format::Radvd,
    Format::Dhcp6s,
    Format::Dhcp6c,
    Format::Rtadvd,
];

fn import(format: Format, text: &[u8], hints: Hints) -> Result<Imported, ConfigError> {
    import_all(&[(format, "file")], &BTreeMap::from([("file", text)]), hints)
}

fn import_all(
    inputs: &[(Format, &str)],
    files: &BTreeMap<&str, &[u8]>,
    hints: Hints,
) -> Result<Imported, ConfigError> {
    let inputs: Vec<(Format, PathBuf)> =
        inputs.iter().map(|(format, file)| (*format, PathBuf::from(file))).collect();
    from_files(&inputs, hints, &mut |path: &Path| {
        let found = path.to_str().and_then(|path| files.get(path));
        found.map(|text| text.to_vec()).ok_or_else(|| io::ErrorKind::NotFound.into())
    })
}

fn config(imported: &Imported) -> Config {
    match file::parse("imported", &imported.configuration) {
        Ok(config) => config,
        Err(errors) => panic!("{errors:?}\n{}", imported.configuration),
    }
}

fn of(format: Format, text: &str) -> Config {
    config(&import(format, text.as_bytes(), Hints::default()).unwrap())
}

fn with(uplink: Option<&str>, downlink: Option<&str>, provider: Option<&str>) -> Hints {
    Hints {
        uplink: uplink.map(str::to_owned),
        downlink: downlink.map(str::to_owned),
        provider: provider.map(|prefix| prefix.parse().unwrap()),
    }
}

/// What is left out of a file, as the summary says it.
fn left_out(format: Format, text: &str, hints: Hints) -> String {
    let imported = import(format, text.as_bytes(), hints).unwrap();
    config(&imported);
    imported.summary
}

#[test]
fn an_error_names_file_line_and_what_was_expected() {
    let dist = |line: &str| format!("DIST='\ndefault\n interface a\n duid 00:04:01\n{line}\n'\n");
    let cases: &[(Format, &str, &str)] = &[
        (Format::Article, "IAIDs=1\n", "file:1: nothing in the file sets DIST"),
        (Format::Article, "IAIDs='1\n\n", "file:1: the value of IAIDs begins with a quote"),
        (Format::Article, &dist("wrong 1"), "file:5: `wrong` is no field of DIST"),
        (Format::Article, &dist("host"), "file:5: `host` stands alone"),
        (Format::Article, &dist("host x\n iaid y"), "file:6: `y` is no number that iaid can have"),
        (Format::Article, &dist("host x\n prefixlen 65"), "file:6: 65 is no length"),
        (Format::Article, "DIST='host x'", "file:1: host x has no interface"),
        (Format::Dhcpcd, "interface\n", "file:1: `interface` names none"),
        (Format::Dhcpcd, "\nia_pd 1 a/0\n", "file:2: `ia_pd` stands before the first interface"),
        (Format::Dhcpcd, "interface a\nia_pd 1 b/x\n", "file:2: `x` is no SLA in `b/x`"),
        (Format::Dhcpcd, "interface a\nia_pd 1/::/99 b\n", "file:2: `::/99` is no prefix"),
        (Format::Dhcpcd, "interface a\nia_pd toolong b\n", "file:2: `toolong` is no IAID"),
        (Format::Dhcpcd, "duid 1:2:3:zz\n", "file:1: `1:2:3:zz` is no DUID"),
        (Format::Dhcpcd, "script \"a\n", "file:1: a quotation is not closed"),
        (Format::Radvd, "interface a {\nAdvSendAdvert on;\n", "file:2: the file ends within"),
        (Format::Radvd, "interface a {\nAdvSendAdvert on\n};\n", "file:2: `on` does not end"),
        (Format::Radvd, "interface a { AdvSendAdvert maybe; };", "file:1: `AdvSendAdvert maybe`"),
        (Format::Radvd, "interface a { AdvLinkMTU x; };", "file:1: `AdvLinkMTU x` has no number"),
        (Format::Radvd, "interface a { prefix 1::2::3/64; };", "file:1: `1::2::3/64` is no prefix"),
        (Format::Radvd, "AdvSendAdvert on;", "file:1: `AdvSendAdvert on` stands outside"),
        (Format::Radvd, "};", "file:1: a `}` closes nothing"),
        (Format::Radvd, "{ };", "file:1: a block has no words"),
        (Format::Dhcp6s, "host a { prefix ::/60 1; };", "file:1: host a has no duid"),
        (Format::Dhcp6s, "host a { duid xyz; };", "file:1: `xyz` is no DUID"),
        (
            Format::Dhcp6s,
            "interface a { };\nhost a { duid 00:01:02; prefix b 1; };",
            "file:2: `b` is",
        ),
        (Format::Dhcp6s, "include \"b\";", "file:1: b cannot be read"),
        (Format::Dhcp6s, "include \"file\";", "file:1: 8 files include each other"),
        (Format::Dhcp6c, "interface a { send ia-pd 0; };\nid-assoc pd x { };", "file:2: `id-assoc"),
        (
            Format::Dhcp6c,
            "interface a { send ia-pd; };\nid-assoc pd {\nprefix-interface b { sla-id x; }; };",
            "file:3: `sla-id x` has no number",
        ),
        (Format::Rtadvd, ":mtu#0:\n", "file:1: an entry has no name"),
        (Format::Rtadvd, "a:\\\n:mtu#x:\n", "file:2: `mtu#x` has no number"),
        (Format::Rtadvd, "a:\\\n:addr=\"2001::\n", "file:2: a quotation is not closed"),
        (Format::Rtadvd, "a:\\\n :tc=b:\n", "file:2: no entry is called `b`"),
        (Format::Rtadvd, "a:tc=a:\n", "file:1: more than 32 entries are referred to"),
        (Format::Rtadvd, "a:raflags=\"x\":\n", "file:1: `x` has a flag that is unknown"),
        (Format::Rtadvd, "a:addr=\"1::\":prefixlen#129:\n", "file:1: `1::` is no prefix"),
    ];
    for (format, text, expected) in cases {
        let error = import(*format, text.as_bytes(), Hints::default()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text:?}\n{error}");
        assert!(error.contains("\n  remedy: expected "), "{error}");
    }
}

#[test]
fn a_file_that_names_no_interface_is_an_error() {
    for format in [Format::Dhcpcd, Format::Radvd, Format::Dhcp6c, Format::Rtadvd] {
        let error = import(format, b"# nothing\n", Hints::default()).unwrap_err().to_string();
        assert!(error.contains("name one with --uplink or --downlink"), "{error}");
        let config = config(&import(format, b"", with(Some("tun0"), None, None)).unwrap());
        assert!(config.uplinks.contains_key("tun0"));
    }
}

/// dhcp6s has its interface on its command line.
#[test]
fn an_interface_that_no_file_can_name_has_a_place_to_be_written() {
    let hosts = "host x { duid 00:01:02; prefix 2001:db8:1::/48 infinity; };\n";
    assert_eq!(of(Format::Dhcp6s, hosts).delegations["x"].downlink, "INTERFACE");
    let summary = left_out(Format::Dhcp6s, hosts, Hints::default());
    assert!(summary.contains("in the place of INTERFACE"), "{summary}");
    let hints = with(None, Some("lan0"), None);
    let found = config(&import(Format::Dhcp6s, hosts.as_bytes(), hints).unwrap());
    assert_eq!(found.delegations["x"].downlink, "lan0");
}

#[test]
fn settings_that_the_reader_refuses_are_left_out_with_its_reason() {
    let radvd = "interface a {\nAdvSendAdvert on;\nAdvLinkMTU 100;\nMaxRtrAdvInterval 0.5;\n\
                 RDNSS ::1 2001:db8::53 ff02::1;\nroute ::/0 { };\n};\n";
    let summary = left_out(Format::Radvd, radvd, Hints::default());
    for expected in ["file:3: downlink.a.mtu = 100: ", "file:4: downlink.a.max-interval", "ff02::1"]
    {
        assert!(summary.contains(expected), "{expected}\n{summary}");
    }
    let hosts = "interface a { };\nhost x { duid 00:01:02; prefix 2001:db8::/72 60; };\n";
    let summary = left_out(Format::Dhcp6s, hosts, Hints::default());
    // A delegation without its prefix would be one of any other.
    assert!(of(Format::Dhcp6s, hosts).delegations.is_empty(), "{summary}");
    assert!(summary.contains("no room for a /64"), "{summary}");
}

#[test]
fn links_take_from_the_sources_that_their_file_names() {
    let both = "interface a { AdvSendAdvert on; prefix ::/64 { }; };\n\
                interface b { AdvSendAdvert on; prefix fd00:7::/64 { }; };\n";
    let found =
        config(&import(Format::Radvd, both.as_bytes(), with(Some("u"), None, None)).unwrap());
    assert_eq!(found.downlinks["a"].from.as_ref().unwrap().to_string(), "u/1");
    assert_eq!(found.downlinks["b"].from.as_ref().unwrap().to_string(), "b");
    // Without the uplink's name the first would take what is the other's.
    let found = of(Format::Radvd, both);
    assert_eq!(found.downlinks["a"].from.as_ref().unwrap().to_string(), "provider");
    assert_eq!(found.statics["provider"].prefix, None);
    // One link takes both.
    let one = "interface a { AdvSendAdvert on; prefix ::/64 { }; prefix fd00:7::/64 { }; };\n";
    let found =
        config(&import(Format::Radvd, one.as_bytes(), with(Some("u"), None, None)).unwrap());
    assert_eq!(found.downlinks["a"].from, None);
    assert_eq!(found.statics["a"].prefix, Some("fd00:7::/64".parse().unwrap()));
}

#[test]
fn prefixes_of_the_provider_become_places() {
    let hosts = "host x { duid 00:01:02; prefix 2001:db8:12:c3e0::/60 14400; };\n\
                 host y { duid 00:01:03; prefix 2001:db8:ffff::/48 14400; };\n";
    let hints = with(Some("tun0"), Some("vtnet0"), Some("2001:db8:12:c300::/56"));
    let found = config(&import(Format::Dhcp6s, hosts.as_bytes(), hints).unwrap());
    assert_eq!(found.delegations["x"].place.unwrap().to_string(), "0xe/60");
    assert_eq!(found.delegations["x"].from.as_ref().unwrap().to_string(), "tun0/1");
    assert_eq!(found.delegations["y"].from.as_ref().unwrap().to_string(), "y");
    assert_eq!(found.statics["y"].prefix, Some("2001:db8:ffff::/48".parse().unwrap()));
}

#[test]
fn the_fourth_prefix_of_a_length_lies_where_there_is_room() {
    let hosts: String =
        (1..=5).map(|number| format!("host h{number}\n duid 00:04:0{number}\n")).collect();
    let dist = format!("DIST='default\n interface a\n prefixlen 62\n{hosts}'\n");
    let found = of(Format::Article, &dist);
    let places: Vec<Option<String>> =
        found.delegations.values().map(|one| one.place.map(|place| place.to_string())).collect();
    let fixed = |place: &str| Some(place.to_owned());
    assert_eq!(places, [fixed("-2/62"), fixed("-3/62"), fixed("-4/62"), None, None]);
    assert!(found.delegations.values().all(|one| one.place.is_some() || one.length == 62));
}

#[test]
fn files_in_other_encodings_are_read() {
    let text = b"# ggfs. alte l\xf6schen\ninterface tun0\n ipv6rs\n ia_pd 1 lan0/0\n";
    let config = config(&import(Format::Dhcpcd, text, Hints::default()).unwrap());
    assert!(config.downlinks.contains_key("lan0"));
}

#[test]
fn files_that_make_too_much_are_refused() {
    let many: String = (0..2000).map(|number| format!("interface i{number} {{ }};\n")).collect();
    let error = import(Format::Radvd, many.as_bytes(), Hints::default()).unwrap_err().to_string();
    assert!(error.starts_with("file:1001: "), "{error}");
    let long = vec![b'#'; MOST_OCTETS + 1];
    let error = import(Format::Radvd, &long, Hints::default()).unwrap_err().to_string();
    assert!(error.contains("octets together"), "{error}");
}

/// Words of all formats, so that random files say something.
fn word() -> impl Strategy<Value = String> {
    let words = [
        "interface",
        "lan0",
        "tun0",
        "prefix",
        "::/64",
        "2001:db8::/64",
        "fd00::/48",
        "infinity",
        "{",
        "}",
        ";",
        "};",
        "\n",
        "\n\t",
        "#",
        "\"",
        "'",
        "DIST='",
        "'\n",
        "default",
        "host",
        "backbone",
        "iaid",
        "1",
        "0",
        "64",
        "60",
        "duid",
        "00:04:e4:79",
        "ia_pd",
        "1/::/56",
        "lan0/255/64/1",
        "wl0/0",
        "noipv6rs",
        "ipv6rs",
        "slaac",
        "hwaddr",
        "AdvSendAdvert",
        "on",
        "MaxRtrAdvInterval",
        "AdvValidLifetime",
        "RDNSS",
        "DNSSL",
        "example.org",
        "route",
        "send",
        "ia-pd",
        "id-assoc",
        "pd",
        "prefix-interface",
        "sla-id",
        "sla-len",
        "ifid",
        "option",
        "domain-name-servers",
        "include",
        "\"file\"",
        "lan0:\\\n",
        ":addr=\"2001:db8::\":",
        "prefixlen#64:",
        "mtu#1500:",
        "tc=default:",
        "default:\\\n",
        "vltime#3600:",
        "raflags=\"mo\":",
        "time",
        "route",
        "fe80::2%lan0",
        "prefixlen",
        "from_iaid",
        "IAIDs=\"1 2\"",
        "DO_NPTV6=lan0",
        "DELEG_lan0=1/1/64/1",
        "persistent",
        "allow",
        "rapid-commit",
        "é",
        "-1",
        "4294967296",
    ];
    prop_oneof![
        8 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => "[ -~]{0,12}",
    ]
}

proptest! {
    #[test]
    fn any_octets_give_an_error_or_a_valid_configuration(
        text in proptest::collection::vec(any::<u8>(), 0..400),
        format in proptest::sample::select(FORMATS.to_vec()),
    ) {
        if let Ok(imported) = import(format, &text, with(Some("tun0"), Some("lan0"), None)) {
            config(&imported);
        }
    }

    #[test]
    fn any_words_give_an_error_or_a_valid_configuration(
        words in proptest::collection::vec(word(), 0..80),
        formats in proptest::collection::vec(proptest::sample::select(FORMATS.to_vec()), 1..3),
        uplink in proptest::option::of(Just("tun0")),
        downlink in proptest::option::of(Just("lan0")),
        provider in proptest::option::of(Just("2001:db8::/56")),
    ) {
        let text = words.join(" ");
        let inputs: Vec<(Format, &str)> = formats.iter().map(|format| (*format, "file")).collect();
        let files = BTreeMap::from([("file", text.as_bytes())]);
        if let Ok(imported) = import_all(&inputs, &files, with(uplink, downlink, provider)) {
            config(&imported);
        }
    }
}
