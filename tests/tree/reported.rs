//! What a delegating router reports of those whom it delegates to.

use std::time::Duration;

use renumberd::core::event::{Event, Requester};
use renumberd::core::input::Input;
use renumberd::core::kernel::system::{KernelEvent, Link};
use renumberd::wire::dhcpv6::MessageType::Release;

use super::lan::{LAN, duid, ia, message};
use super::takeover::{VICTIM, bound};

/// What a requesting router is given and gives back is reported, with who it is.
#[test]
fn delegations_that_begin_and_end_are_reported() {
    let mut lan = bound();
    let (interface, prefix) = ("lan".to_owned(), "2001:db8:0:100::/56".parse().unwrap());
    let names = vec!["one".to_owned()];
    let requester = Requester { duid: duid(1), names, is_configured: true };
    let given = Event::DelegationGiven { interface, prefix, requester };
    assert!(lan.events.contains(&given), "{:?}", lan.events);
    lan.events.clear();
    // Whoever the configuration names is reported also where no fault is looked for.
    lan.net.nodes[0].core.set_reports_debug(false);
    lan.hear(VICTIM, message(Release, &duid(1), &[ia(1, &[prefix])]));
    let ended = lan.events.iter().find_map(|event| match event {
        Event::DelegationEnded { prefix, requester, .. } => Some((*prefix, &requester.duid)),
        _ => None,
    });
    assert_eq!(ended, Some((prefix, &duid(1))));
}

/// A link without a carrier takes routes away, and nothing from whom they lead to.
#[test]
fn a_link_that_comes_and_goes_ends_no_delegation() {
    let mut lan = bound();
    let before = lan.routes();
    lan.events.clear();
    for running in [false, true] {
        let link = Link { running, ..lan.system().links[&LAN].clone() };
        lan.kernel().change_silently(KernelEvent::Link(link.clone()));
        lan.give(Input::Kernel(vec![KernelEvent::Link(link)]));
        lan.run_for(Duration::from_secs(1));
    }
    assert_eq!(lan.routes(), before);
    let is_delegation = |event: &&Event| event.kind().0.starts_with("delegation");
    assert_eq!(lan.events.iter().find(is_delegation), None);
}
