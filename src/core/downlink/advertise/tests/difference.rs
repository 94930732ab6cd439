use super::*;

/// RA-TX-07, CHG-01, 15 rows 1, 6
#[test]
fn differences_of_content_are_these() {
    let old = || Content {
        routes: [(net("2001:db8::/56"), (Preference::Medium, at(2_000_000)))].into(),
        resolvers: ["2001:db8::1", "2001:db8::2"]
            .map(|server| (server.parse().unwrap(), at(2_000_000)))
            .into(),
        search: vec![("example.org".to_owned(), at(2_000_000))],
        ..ending(A, 100_000, 200_000)
    };
    let changed = |change: fn(&mut Content)| {
        let mut content = old();
        change(&mut content);
        content
    };
    let ends =
        |preferred, valid| Content { prefixes: ending(A, preferred, valid).prefixes, ..old() };
    let cases = [
        // name,                    what comes,                                         differs
        ("the same again", old(), false),
        ("refreshed", ends(300_000, 400_000), false),
        ("shorter, but never said", ends(50_000, 60_000), false),
        ("shorter by jitter", ends(1100 + 2698, 1100 + 5398), false),
        ("preferred below said", ends(1100 + 1000, 200_000), true),
        ("valid below said", ends(100_000, 1100 + 1000), true),
        ("deprecated", ends(1100, 200_000), true),
        ("valid end passed", ends(1100, 1100), true),
        ("a prefix more", changed(|c| c.prefixes.extend(content(&[B]).prefixes)), true),
        ("no prefix", changed(|c| c.prefixes.clear()), true),
        ("no default router", changed(|c| c.default_router = false), true),
        ("a route gone", changed(|c| c.routes.clear()), true),
        (
            "a route preferred",
            changed(|c| c.routes.values_mut().for_each(|r| r.0 = Preference::High)),
            true,
        ),
        (
            "a resolver gone",
            changed(|c| {
                c.resolvers.pop();
            }),
            true,
        ),
        ("resolvers in other order", changed(|c| c.resolvers.reverse()), false),
        ("a domain gone", changed(|c| c.search.clear()), true),
        ("a domain over", changed(|c| c.search[0].1 = at(1100)), true),
        (
            "a link-local prefix",
            changed(|c| c.prefixes.extend(content(&["fe80::/64"]).prefixes)),
            false,
        ),
        (
            "bits beyond the length",
            Content { prefixes: ending("2001:db8:a::1/64", 100_000, 200_000).prefixes, ..old() },
            false,
        ),
    ];
    for (name, new, differs) in cases {
        let mut world = World::saying(old());
        world.run_until(1100);
        let before = world.sent.len();
        assert_eq!(world.set(new), differs, "{name}");
        assert_eq!(world.sent.len() - before, usize::from(differs), "{name}: at once");
        assert_eq!(world.run(40).len(), if differs { 2 } else { 0 }, "{name}: soon after");
    }
}

/// 15 row 6: the shortened end is advertised once, not with each refresh that comes later.
#[test]
fn a_shortened_lease_is_advertised_once() {
    let mut world = World::saying(ending(A, 100_000, 200_000));
    world.run_until(1100);
    assert!(world.set(ending(A, 1500, 1700)));
    assert_eq!(world.last().prefix(A), Some((400, 600)));
    world.run_until(1200);
    assert!(!world.set(ending(A, 1500, 1700)));
    assert!(!world.set(ending(A, 1499, 1699)), "jitter");
    assert!(!world.set(ending(A, 1600, 1800)), "refreshed");

    let mut world = World::saying(ending(A, 100_000, 200_000));
    world.run_until(1001);
    assert!(world.set(ending(A, 1500, 1700)));
    assert!(!world.set(ending(A, 1501, 1701)), "refreshed before it could be said");
    assert_eq!(world.run(1).len(), 0, "RA-TX-09");
    assert_eq!(world.run(1).len(), 1);
}

/// 15 row 20: an end that passes by itself has passed on the hosts too.
#[test]
fn an_end_that_passes_by_itself_is_no_difference() {
    let mut world = World::saying(ending(A, 1500, 1600));
    world.run_until(1550);
    assert!(!world.set(ending(A, 1500, 1600)), "deprecated since");
    assert!(!world.set(ending(A, 1000, 1600)), "longer since");
    assert!(world.set(ending(A, 1580, 1600)), "preferred again");
    world.run_until(1700);
    assert!(!world.set(Content { default_router: true, ..Content::default() }), "over since");
}

#[test]
fn the_first_content_differs_from_silence() {
    let mut world = World::new(Default::default());
    assert!(!world.set(Content::default()));
    assert_eq!(world.sent.len(), 1, "a router without prefixes advertises too");
    assert!(world.set(content(&[A])));
    let mut restarted = World::restarted(Default::default(), [(net(A), at(5000))].into());
    assert!(restarted.set(Content::default()), "there is a prefix to withdraw");
}
