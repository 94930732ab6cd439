//! Which messages are heard.

use MessageType::*;

use super::*;

fn without(message: &Message, code: fn(&Dhcpv6Option) -> bool) -> Message {
    let options = message.options.iter().filter(|option| !code(option)).cloned().collect();
    Message { options, ..message.clone() }
}

fn is_client(option: &Dhcpv6Option) -> bool {
    matches!(option, Dhcpv6Option::ClientId(_))
}

fn is_server(option: &Dhcpv6Option) -> bool {
    matches!(option, Dhcpv6Option::ServerId(_))
}

/// SRV-04, SRV-05, SRV-06, SRV-07, SRV-33
#[test]
fn malformed_messages_get_no_answer() {
    let foreign = Dhcpv6Option::ServerId(router(9));
    let named = [Dhcpv6Option::ServerId(us()), ia(1, &[])];
    let good = |kind| message(1, kind, &[ia(1, &[])]);
    let with = |kind: MessageType, options: &[Dhcpv6Option]| message(1, kind, options);
    let cases = [
        // what, message, why it is dropped
        ("Solicit of nobody", without(&good(Solicit), is_client), Reject::NoClientId),
        ("Rebind of nobody", without(&good(Rebind), is_client), Reject::NoClientId),
        ("Confirm of nobody", without(&good(Confirm), is_client), Reject::NoClientId),
        ("Request of nobody", without(&good(Request), is_client), Reject::NoClientId),
        ("Renew of nobody", without(&good(Renew), is_client), Reject::NoClientId),
        ("Release of nobody", without(&good(Release), is_client), Reject::NoClientId),
        ("Decline of nobody", without(&good(Decline), is_client), Reject::NoClientId),
        ("Solicit for one", with(Solicit, &named), Reject::ServerId),
        ("Rebind for one", with(Rebind, &named), Reject::ServerId),
        ("Confirm for one", with(Confirm, &named), Reject::ServerId),
        ("Request for nobody", without(&good(Request), is_server), Reject::NoServerId),
        ("Renew for nobody", without(&good(Renew), is_server), Reject::NoServerId),
        ("Release for nobody", without(&good(Release), is_server), Reject::NoServerId),
        ("Decline for nobody", without(&good(Decline), is_server), Reject::NoServerId),
        ("information with IA_PD", good(InformationRequest), Reject::IdentityAssociation),
        (
            "information of another",
            with(InformationRequest, std::slice::from_ref(&foreign)),
            Reject::ForeignServer,
        ),
        ("Advertise", good(Advertise), Reject::UnexpectedType),
        ("Reply", good(Reply), Reject::UnexpectedType),
        ("Reconfigure", good(Reconfigure), Reject::UnexpectedType),
        ("Confirm", good(Confirm), Reject::Silent),
    ];
    let mut world = World::new(SITE, A);
    for (name, message, why) in cases {
        assert_eq!(world.hear_at("lan0", contact(1), &message), Err(why), "{name}");
    }
    for kind in [Request, Renew, Release, Decline] {
        let mut other = without(&good(kind), is_server);
        other.options.push(foreign.clone());
        let answer = world.hear_at("lan0", contact(1), &other);
        assert_eq!(answer, Err(Reject::ForeignServer), "{kind:?}");
    }
    assert!(world.delegating.bindings().is_empty());
    assert_eq!(world.delegating.server().refused_count(), 0);
}

/// SRV-09, SRV-20, SRV-21, SRV-23
#[test]
fn answers_name_both_sides_and_the_transaction_and_no_preference() {
    let mut world = World::new(SITE, A);
    let unknown = Dhcpv6Option::Unknown { code: 999, body: vec![1, 2, 3] };
    let lease = [ia(1, &[]), unknown.clone()];
    for (kind, options) in [
        (Solicit, &lease[..]),
        (Request, &lease),
        (Renew, &lease),
        (Rebind, &lease),
        (Release, &lease),
    ] {
        let answer = world.hear(1, kind, options).unwrap();
        assert_eq!(answer.client_id(), Some(&router(1)), "{kind:?}");
        assert_eq!(answer.server_id(), Some(&us()), "{kind:?}");
        assert_eq!(answer.transaction_id, TransactionId([1, 2, 1]), "{kind:?}");
        assert_eq!(answer.preference(), None, "{kind:?}");
        assert!(!answer.options.contains(&unknown));
    }
    let nobody = without(&message(1, InformationRequest, &[unknown]), is_client);
    let answer = world.hear_at("lan0", contact(1), &nobody).unwrap();
    assert_eq!((answer.client_id(), answer.server_id()), (None, Some(&us())));
}

/// SRV-10, SRV-27
#[test]
fn lifetimes_and_times_that_a_router_asks_for_do_not_count() {
    let mut world = World::new(SITE, A);
    let answer = world.hear(1, Request, &[ia(1, &["::/48"])]).unwrap();
    assert_eq!(prefixes_of(&answer, 1).unwrap(), [(net("2001:db8:a00:10::/60"), 2700, 5400)]);
    let ia = answer.ia_pds().next().unwrap();
    assert_eq!((ia.t1, ia.t2), (Lifetime::Finite(840), Lifetime::Finite(2160)));
}

/// SRV-11
#[test]
fn duids_are_octets_of_any_kind() {
    let mut world = World::new(POOL, A);
    for octets in [&[0xff, 0xff, 1][..], &[7; 130]] {
        let duid = Duid::new(octets).unwrap();
        let mut request = message(1, Request, &[ia(1, &[])]);
        request.options[0] = Dhcpv6Option::ClientId(duid);
        assert!(prefixes_of(&world.hear_at("lan0", contact(1), &request).unwrap(), 1).is_ok());
    }
    assert_eq!(world.delegating.bindings().len(), 2);
    world.check();
}

/// SRV-34, SRV-35
#[test]
fn information_is_what_was_asked_for() {
    let mut world = World::new(SITE, A);
    let server: Ipv6Addr = "2001:db8::53".parse().unwrap();
    let portal = ServiceOption::captive_portal("https://portal.example/");
    let services = portal.into_iter().collect();
    let search = vec!["example.org".to_owned()];
    let options = HostOptions { servers: vec![server], search, services };
    world.delegating.set_host_options(BTreeMap::from([("lan0".to_owned(), options)]));
    let asked = |codes: &[u16]| Dhcpv6Option::OptionRequest(codes.to_vec());
    let all = [code::DNS_SERVERS, code::DOMAIN_SEARCH, code::INFORMATION_REFRESH_TIME];
    let answer = world.hear(1, InformationRequest, &[asked(&all)]).unwrap();
    assert_eq!(answer.kind, Reply);
    assert_eq!(answer.dns_servers(), Some(&[server][..]));
    assert_eq!(answer.domain_search().map(<[String]>::len), Some(1));
    assert!(answer.information_refresh_time().unwrap() >= 600);
    assert_eq!((answer.ia_pds().count(), answer.ia_nas().count()), (0, 0));
    let portal = Dhcpv6Option::Unknown { code: 103, body: b"https://portal.example/".to_vec() };
    assert!(!answer.options.contains(&portal), "nobody asked for it");
    let answer = world.hear(1, InformationRequest, &[asked(&[103])]).unwrap();
    assert!(answer.options.contains(&portal));
    let answer = world.hear(1, InformationRequest, &[asked(&[code::DOMAIN_SEARCH])]).unwrap();
    assert_eq!((answer.dns_servers(), answer.information_refresh_time()), (None, None));
    let answer = world.hear(1, Request, &[ia(1, &[]), asked(&all)]).unwrap();
    assert_eq!(answer.information_refresh_time(), None, "only where it belongs");
    assert!(answer.dns_servers().is_some());
}

/// Before it is known what is delegated to us no router gets an answer about what it has, and
/// nothing is forgotten.
#[test]
fn nothing_is_advertised_before_the_lease_is_known() {
    let mut world = World::new(SITE, A);
    world.ask(1, Request, &[]).unwrap();
    world.known = false;
    world.restart();
    for kind in [Request, Renew, Rebind, Release] {
        assert_eq!(world.hear(1, kind, &[ia(1, &[])]), Err(Reject::Silent), "{kind:?}");
    }
    assert_eq!(world.ask(1, Solicit, &[]), Err(StatusCode::NoPrefixAvail));
    world.run_for(secs(20));
    assert_eq!(world.notifications(), []);
    world.known = true;
    world.settle();
    assert_eq!(world.routes(), ["2001:db8:a00:10::/60"]);
    world.check();
}
