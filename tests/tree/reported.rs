//! What a delegating router reports of those whom it delegates to.

use renumberd::core::event::{Event, Requester};
use renumberd::wire::dhcpv6::MessageType::Release;

use super::lan::{duid, ia, message};
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
    lan.hear(VICTIM, message(Release, &duid(1), &[ia(1, &[prefix])]));
    let ended = lan.events.iter().find_map(|event| match event {
        Event::DelegationEnded { prefix, requester, .. } => Some((*prefix, &requester.duid)),
        _ => None,
    });
    assert_eq!(ended, Some((prefix, &duid(1))));
}
