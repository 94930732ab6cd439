//! The report as a page for people.

use super::report::{Advertised, Offered, Report, RequestedPrefixes, Router, Server};
use crate::cli::page::{Page, Paint, lifetime, lifetimes};

/// The column in which values begin.
const VALUES: usize = 14;

/// Renders it.
pub(super) fn render(report: &Report, colour: bool) -> String {
    let mut page = Page::new(colour);
    let masked = if report.masked { ", addresses and names masked" } else { "" };
    page.line(0, Paint::Title, &format!("survey of {}{masked}", report.interface));
    for router in &report.routers {
        write_router(&mut page, router);
    }
    for server in &report.servers {
        write_server(&mut page, server, report.hint);
    }
    if let Some(why) = &report.not_asked {
        page.gap();
        page.line(0, Paint::Warn, why);
    }
    if let Some(requested) = &report.requested {
        write_requested(&mut page, requested);
    }
    page.gap();
    if report.oddities.is_empty() {
        page.line(0, Paint::Good, "nothing odd was found");
    } else {
        page.line(0, Paint::Warn, "odd");
    }
    for oddity in &report.oddities {
        page.line(2, Paint::Warn, format!("{} {}", oddity.name, oddity.subject).trim_end());
        page.paragraph(4, Paint::Plain, &oddity.text);
    }
    page.into_text()
}

fn write_router(page: &mut Page, router: &Router) {
    page.title(&format!("router {}", router.address));
    let default = match router.lifetime {
        0 => "not a default router".to_owned(),
        seconds => format!("default router for {}", lifetime(Some(seconds.into()))),
    };
    let flags = match (router.managed, router.other) {
        (true, _) => ", M: addresses by DHCPv6",
        (false, true) => ", O: configuration by DHCPv6",
        (false, false) => "",
    };
    let text = format!(
        "after {} ms, {} advertisements; {default}{flags}",
        router.first_after_ms, router.advertisements
    );
    page.item(2, Paint::Plain, "heard", VALUES, &text);
    for prefix in &router.prefixes {
        let Advertised { prefix, on_link, autonomous, delegation_preferred, preferred, valid } =
            prefix;
        let flag = |is: bool, name| if is { name } else { "" };
        let flags = [flag(*on_link, "L"), flag(*autonomous, "A"), flag(*delegation_preferred, "P")]
            .concat();
        let text = format!("{prefix} ({flags}), {}", lifetimes(*preferred, *valid));
        page.item(2, Paint::Good, "prefix", VALUES, &text);
    }
    let lists = [
        ("resolvers", joined(&router.resolvers)),
        ("search", joined(&router.search)),
        ("routes", joined(&router.routes)),
        ("NAT64", router.pref64.map(|prefix| prefix.to_string()).unwrap_or_default()),
        ("portal", router.captive_portal.clone().unwrap_or_default()),
        ("MTU", router.mtu.map(|mtu| mtu.to_string()).unwrap_or_default()),
        ("other options", joined(&router.other_options)),
    ];
    write_lists(page, &lists);
}

fn write_server(page: &mut Page, server: &Server, hint: Option<u8>) {
    page.title(&format!("DHCPv6 server {}", server.address));
    page.item(2, Paint::Plain, "DUID", VALUES, &server.duid);
    let text = format!("after {} ms, preference {}", server.first_after_ms, server.preference);
    page.item(2, Paint::Plain, "answered", VALUES, &text);
    for offered in &server.prefixes {
        page.item(2, Paint::Good, "offers", VALUES, &in_words(offered));
    }
    if let Some(status) = &server.status {
        page.item(2, Paint::Bad, "says", VALUES, status);
    }
    let time = |seconds: Option<u32>| match seconds {
        Some(0) => "left to the client".to_owned(),
        seconds => lifetime(seconds),
    };
    let times = format!("T1 {}, T2 {}", time(server.t1), time(server.t2));
    page.item(2, Paint::Plain, "times", VALUES, &times);
    let reconfigure = if server.reconfigure { "it may be sent" } else { "not offered" };
    page.item(2, Paint::Plain, "Reconfigure", VALUES, reconfigure);
    if let Some(hint) = hint {
        let text = match &server.hinted {
            None => format!("/{hint}: no answer"),
            Some(given) if given.contains(&hint) => format!("/{hint} is followed"),
            Some(given) => {
                let given: Vec<String> = given.iter().map(|length| format!("/{length}")).collect();
                format!("/{hint} is not followed: {}", joined(&given))
            }
        };
        page.item(2, Paint::Plain, "hint", VALUES, &text);
    }
    let lists = [
        ("resolvers", joined(&server.resolvers)),
        ("search", joined(&server.search)),
        ("SOL_MAX_RT", server.sol_max_rt.map(|time| time.to_string()).unwrap_or_default()),
        ("other options", joined(&server.other_options)),
    ];
    write_lists(page, &lists);
}

fn write_requested(page: &mut Page, requested: &RequestedPrefixes) {
    page.title("requested");
    if !requested.answered {
        page.item(2, Paint::Bad, "answer", VALUES, "none");
    }
    for prefix in &requested.prefixes {
        page.item(2, Paint::Good, "given", VALUES, &in_words(prefix));
    }
    if let Some(status) = &requested.status {
        page.item(2, Paint::Bad, "says", VALUES, status);
    }
    let (paint, text) = match requested.released {
        Some(true) => (Paint::Plain, "the server has confirmed it"),
        Some(false) => (Paint::Warn, "the server has not confirmed it"),
        None => (Paint::Plain, "nothing was released"),
    };
    page.item(2, paint, "release", VALUES, text);
}

fn in_words(offered: &Offered) -> String {
    let exclude = offered.exclude.map(|part| format!(" without {part}")).unwrap_or_default();
    format!("{}{exclude}, {}", offered.prefix, lifetimes(offered.preferred, offered.valid))
}

fn write_lists(page: &mut Page, lists: &[(&str, String)]) {
    for (name, text) in lists.iter().filter(|(_, text)| !text.is_empty()) {
        page.item(2, Paint::Plain, name, VALUES, text);
    }
}

fn joined<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
