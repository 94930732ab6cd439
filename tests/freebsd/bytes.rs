//! The example that writes and reads the backend's octets.

#[path = "../../contrib/freebsd-bytes.rs"]
#[expect(dead_code, reason = "its main reads standard input")]
mod example;

/// What it prints for some lines.
fn printed(lines: &[&str]) -> Vec<String> {
    let mut sequence = 0;
    let text = lines.iter().map(|line| example::take(line, &mut sequence).unwrap());
    text.collect::<String>().lines().map(str::to_owned).collect()
}

#[test]
fn a_step_is_printed_as_the_calls_that_it_takes() {
    let calls = printed(&["set-address em0#2 2001:db8:1::1/64 3600 1800"]);
    let argument = |line: &str, request: &str| {
        line.strip_prefix(&format!("ioctl {request} "))
            .unwrap_or_else(|| panic!("{line}"))
            .to_owned()
    };
    let [first, asked, second] = calls.as_slice() else { panic!("{calls:?}") };
    let first = argument(first, "0x8088691b");
    assert!(first.starts_with("656d3000") && first.len() == 272, "{first}");
    assert_eq!(&first[200..], &format!("{}{}{}", "0".repeat(40), "f".repeat(16), "0".repeat(16)));
    assert_eq!(argument(asked, "0xc1206949").len(), 576);
    let second = argument(second, "0x8088691b");
    assert_eq!(&second[..200], &first[..200]);
    let flags_and_lifetimes = format!("02000000{}100e000008070000", "0".repeat(32));
    assert_eq!(&second[200..256], flags_and_lifetimes);

    let infinite = printed(&["set-address em0#2 2001:db8:1::1/64 infinite infinite"]);
    assert_eq!(infinite.len(), 1, "{infinite:?}");
    let calls = printed(&[
        "# what a router does",
        "",
        "add-route 2001:db8:1::/56 reject",
        "add-route ::/0 via fe80::1%2 until 1800000100",
        "change-route ::/0 via fe80::2%2",
        "remove-route ::/0 via fe80::2%2",
        "remove-address em0#2 2001:db8:1::1",
        "accept-advertisements em0 off",
    ]);
    let kinds = ["write f8000501", "write f8000501", "write f8000503", "write f8000502"];
    let kinds = kinds.into_iter().chain([
        "ioctl 0x81206919 ",
        "ioctl 0xc048696c ",
        "# ",
        "ioctl 0xc0486957 ",
    ]);
    assert_eq!(calls.len(), 8);
    for (call, kind) in calls.iter().zip(kinds) {
        assert!(call.starts_with(kind), "{call}");
    }
}

#[test]
fn messages_are_printed_as_the_backend_decodes_them() {
    let mut calls = printed(&["add-route 2001:db8::/48 via fe80::1%2"]);
    let written = calls.remove(0).replacen("write ", "event ", 1);
    let read = printed(&[&written]);
    let expected = "add index 0 flags 0x8003 pid 0 seq 1 errno 0; destination 2001:db8::; \
                    gateway fe80::1%2; netmask /48";
    assert_eq!(read, [expected]);
    let announced = printed(&["dump 180005110200656d30000000000000000000000000000000"]);
    assert_eq!(announced, ["arrival index 2 name em0"]);
}

#[test]
fn words_that_are_no_step_are_refused_with_an_explanation() {
    let long = "a".repeat(16);
    for line in [
        "fly",
        "add-route ::/0",
        "add-route ::/0 via fe80::1",
        "add-route ::/0 via fe80::1%0",
        "add-route ::/129 reject",
        "add-route ::/0 reject until",
        "add-route ::/0 reject until -1",
        "set-address em0 2001:db8::1/64 1 1",
        "set-address em0#0 2001:db8::1/64 1 1",
        "set-address em0#70000 2001:db8::1/64 1 1",
        "set-address em0#2 2001:db8::1/0 1 1",
        "set-address em0#2 2001:db8::1/129 1 1",
        "set-address em0#2 2001:db8::1/64 1 2",
        "set-address em0#2 2001:db8::1/64 4294967296 1",
        "set-address #2 2001:db8::1/64 1 1",
        &format!("set-address {long}#2 2001:db8::1/64 1 1"),
        "remove-address em0#2 2001:db8::1/64",
        "accept-advertisements em0 perhaps",
        "event",
        "event 0",
        "event zz",
        "event +f",
        "event \u{e9}",
        "event (00*",
        "event (00*x)",
        "event )00",
        "event (00*99999999999)",
        "event 00 00",
        "flags 00",
        "lifetimes (00*289)",
    ] {
        let failure = example::take(line, &mut 0).unwrap_err().to_string();
        assert!(failure.contains(' ') && !failure.contains('\n'), "{line}: {failure}");
    }
}

#[test]
fn octets_that_are_no_message_decode_to_none() {
    let cut = "cut off: 3 octets that are no whole message";
    let version = "version 4: passed over";
    let arrival = "180005110200656d30(00*15)";
    for (hex, lines) in [
        ("ffff05", vec![cut]),
        ("030005", vec![cut]),
        ("(00*3)", vec![cut]),
        ("(00*0)", vec!["cut off: 0 octets that are no whole message"]),
        ("08000401(00*4)", vec![version]),
        ("08000502(00*4)", vec!["other 2"]),
        ("0800052a(00*4)", vec!["other 42"]),
        (&format!("08000401(00*4){arrival}030005"), vec![version, "arrival index 2 name em0", cut]),
    ] {
        assert_eq!(printed(&[&format!("event {hex}")]), lines, "{hex}");
        assert_eq!(printed(&[&format!("dump {hex}")]), lines, "{hex}");
    }
    // A route of IPv4, and socket addresses of lengths that none has.
    let ipv4 = "a80005010200000003000000010000(00*137)1002000007000001(00*8)";
    let of_ipv4 = "add index 2 flags 0x3 pid 0 seq 0 errno 0; destination of family 2";
    assert_eq!(printed(&[&format!("event {ipv4}")]), [of_ipv4]);
    for length in 0..=255 {
        let odd = format!("a80005010200000003000000070000(00*137){length:02x}1c(00*14)");
        assert_eq!(printed(&[&format!("event {odd}")]).len(), 1, "{length}");
    }
}

/// Flags and lifetimes, of which an infinite one has no end.
#[test]
fn results_of_ioctl_are_printed_in_words() {
    let argument = |content: &str| {
        let zeros = 272 - content.len() / 2;
        format!("656d30(00*13){content}(00*{zeros})")
    };
    let flags = printed(&[&format!("flags {}", argument("20010000"))]);
    assert_eq!(flags, ["flags 0x120"]);
    let lifetimes = "150e0000000000000d07000000000000100e000008070000";
    let finite = printed(&[&format!("lifetimes {}", argument(lifetimes))]);
    assert_eq!(
        finite,
        ["valid 3600 s, until 3605 s after boot; preferred 1800 s, until 1805 s after boot"]
    );
    let endless = format!("{}ffffffffffffffff", "0".repeat(32));
    let endless = printed(&[&format!("lifetimes {}", argument(&endless))]);
    assert_eq!(endless, ["valid infinite; preferred infinite"]);
}
