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
fn what_was_read_is_printed_as_the_backend_understands_it() {
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
fn what_is_no_step_is_refused_with_a_word_about_it() {
    for line in
        ["fly", "add-route ::/0", "set-address em0 2001:db8::1/64 1 1", "event 0", "event zz"]
    {
        assert!(example::take(line, &mut 0).is_err(), "{line}");
    }
}
