//! The file that USR1 makes the agent write, in the form of rtsold(8), as programs and people read
//! that.

use std::fmt::Write as _;
use std::path::Path;

use tracing::error;

use crate::core::status::{Status, UplinkStatus};

/// Writes the file.
pub(super) fn write(file: &Path, status: &Status) {
    if let Err(error) = std::fs::write(file, render(status)) {
        error!("{} cannot be written: {error}", file.display());
    }
}

fn render(status: &Status) -> String {
    let mut text = String::new();
    for (name, uplink) in &status.uplinks {
        render_interface(&mut text, name, uplink);
    }
    text
}

fn render_interface(text: &mut String, name: &str, uplink: &UplinkStatus) {
    let solicitation = &uplink.solicitation;
    let flag = |is_on| if is_on { "on" } else { "off" };
    let state = match solicitation.next {
        _ if !uplink.attached => "DOWN",
        None => "IDLE",
        Some(_) if solicitation.sent == 0 => "DELAY",
        Some(_) => "PROBE",
    };
    let timer = match (solicitation.next, solicitation.interval) {
        (None, _) => "no timer".to_owned(),
        (Some(next), interval) => {
            let interval = interval.unwrap_or(next);
            let (seconds, micros) = (interval.trunc(), (interval.fract() * 1e6).trunc());
            format!("timer: interval={seconds}:{micros}, expire={}", span(Some(next)))
        }
    };
    // The kernel reports changes of links, so that nothing is probed periodically.
    let lines = [
        "probe interval: infinity".to_owned(),
        "no probe timer".to_owned(),
        format!("interface status: {}", if uplink.attached { "active" } else { "inactive" }),
        format!("managed config: {}", flag(uplink.routers.iter().any(|router| router.managed))),
        format!("other config: {}", flag(uplink.routers.iter().any(|router| router.other))),
        format!("rtsold status: {state}"),
        "carrier detection: available".to_owned(),
        format!("probes: {}, dadcount = 0", solicitation.sent),
        timer,
        format!("number of valid RAs: {}", solicitation.advertisements),
    ];
    // Writing to a string cannot fail.
    let _ = writeln!(text, "Interface {name}");
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
    for router in &uplink.routers {
        let _ = writeln!(text, "   RA from {}", router.address);
        for (server, left) in &router.resolvers {
            let zone =
                if server.is_unicast_link_local() { format!("%{name}") } else { String::new() };
            let left = span(left.map(f64::from));
            let _ = writeln!(text, "    option: RDNSS: {server}{zone} (expire: {left})");
        }
        for (domain, left) in &router.search {
            let left = span(left.map(f64::from));
            let _ = writeln!(text, "    option: DNSSL: {domain} (expire: {left})");
        }
        text.push('\n');
    }
}

/// A time to go, from its largest unit that is not zero; infinite where there is none.
fn span(seconds: Option<f64>) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "d"), (3600, "h"), (60, "m")];
    let Some(seconds) = seconds else { return "infinity".to_owned() };
    let mut left = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    let mut text = String::new();
    for (unit, name) in UNITS {
        if !text.is_empty() || left >= unit {
            let _ = write!(text, "{}{name}", left / unit);
        }
        left %= unit;
    }
    text + &format!("{left}s")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::status::{RouterStatus, SolicitationStatus};
    use crate::wire::ndp_option::Preference;

    fn uplink() -> UplinkStatus {
        UplinkStatus {
            renewal: None,
            attached: true,
            routers: Vec::new(),
            addresses: Vec::new(),
            server: None,
            state: String::new(),
            leases: Vec::new(),
            passed_on: Vec::new(),
            solicitation: SolicitationStatus::default(),
            registration: None,
            lack: None,
        }
    }

    fn rendered(uplink: &UplinkStatus) -> String {
        let mut text = String::new();
        render_interface(&mut text, "eth0", uplink);
        text
    }

    #[test]
    fn the_state_of_an_interface_is_written_as_by_rtsold() {
        let router = RouterStatus {
            address: "fe80::1".parse().unwrap(),
            lifetime: Some(1800),
            preference: Preference::Medium,
            managed: true,
            other: false,
            prefixes: Vec::new(),
            resolvers: vec![
                ("2001:db8::53".parse().unwrap(), Some(90_061)),
                ("fe80::53".parse().unwrap(), None),
            ],
            search: vec![("example.org".to_owned(), Some(3600))],
        };
        let solicitation = SolicitationStatus { advertisements: 2, ..Default::default() };
        let text = rendered(&UplinkStatus { routers: vec![router], solicitation, ..uplink() });
        let expected = "Interface eth0\n  probe interval: infinity\n  no probe timer\n  \
                        interface status: active\n  managed config: on\n  other config: off\n  \
                        rtsold status: IDLE\n  carrier detection: available\n  \
                        probes: 0, dadcount = 0\n  no timer\n  number of valid RAs: 2\n   \
                        RA from fe80::1\n    option: RDNSS: 2001:db8::53 (expire: 1d1h1m1s)\n    \
                        option: RDNSS: fe80::53%eth0 (expire: infinity)\n    \
                        option: DNSSL: example.org (expire: 1h0m0s)\n\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_state_follows_from_what_was_sent() {
        let with = |attached, sent, next| {
            let interval = (sent > 0).then_some(4.25);
            let solicitation = SolicitationStatus { sent, next, interval, advertisements: 0 };
            rendered(&UplinkStatus { attached, solicitation, ..uplink() })
        };
        assert!(with(true, 0, Some(0.5)).contains("rtsold status: DELAY\n"));
        let probing = with(true, 2, Some(3.5));
        assert!(probing.contains("rtsold status: PROBE\n"), "{probing}");
        assert!(
            probing.contains("probes: 2, dadcount = 0\n  timer: interval=4:250000, expire=3s\n")
        );
        assert!(with(false, 0, None).contains("rtsold status: DOWN\n"));
    }
}
