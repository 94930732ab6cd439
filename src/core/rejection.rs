//! The reasons for which messages are dropped, in words for operators: a sentence for each kind of
//! message and each reason that is counted.

/// Neighbor discovery.
const NEIGHBOR_DISCOVERY: &[&str] = &["ra", "rs", "na"];
/// All kinds that are decoded: messages, and options in them, which are left out one by one.
const DECODED: &[&str] = &[
    "ra",
    "ra-option",
    "rs",
    "rs-option",
    "na",
    "dhcpv6",
    "dhcpv6-option",
    "dhcpv6-server",
    "dhcpv6-server-option",
    "relay",
    "relay-option",
];

/// Kinds of messages, a reason, and its meaning for a message of these kinds.
type Meaning = (&'static [&'static str], &'static str, &'static str);

/// All of them: `ra`, `rs` and `na` are advertisements and solicitations, `dhcpv6` comes to an uplink,
/// `dhcpv6-server` to a downlink, `relay` to the relay agent, `delegated` is a prefix or address in a
/// message.
pub const MEANINGS: &[Meaning] = &[
    (NEIGHBOR_DISCOVERY, "hop-limit", "another router has forwarded it, so it is not of this link"),
    (NEIGHBOR_DISCOVERY, "fragmented", "it came in fragments, which RFC 6980 forbids"),
    (&["ra"], "source", "it did not come from a link-local address"),
    (
        &["ra"],
        "unlisted-router",
        "it came from a router that `routers` of the uplink does not list",
    ),
    (&["ra"], "on-downlink", "another router advertises on a downlink; it is not believed"),
    (
        &["ra", "dhcpv6", "dhcpv6-server"],
        "own",
        "this machine has sent it: two of its links are bridged, or an address is used twice",
    ),
    (&["rs"], "source-link-layer", "it names a link-layer address and comes from no address"),
    (&["na"], "solicited", "it says that it was solicited, and was sent to all"),
    (&["dhcpv6"], "multicast", "it was sent to a group, and servers answer to one node"),
    (&["dhcpv6"], "source", "it came from an address that no server can have"),
    (
        &["dhcpv6"],
        "unregistered-address",
        "it acknowledges an address that was not to be registered",
    ),
    (
        &["dhcpv6"],
        "unexpected-type",
        "it is no message for a requesting router, or a program requests the lease here",
    ),
    (
        &["dhcpv6"],
        "transaction-id",
        "it answers nothing that is still asked: it came late or twice, or was guessed",
    ),
    (&["dhcpv6"], "no-server-id", "it does not name its server"),
    (&["dhcpv6"], "client-id", "it is for another client, or does not say for which"),
    (&["dhcpv6"], "not-rapid", "it gives a lease that was only to be offered"),
    (
        &["dhcpv6"],
        "authentication",
        "a Reconfigure message without the key that its server has given; nothing is asked anew",
    ),
    (&["dhcpv6"], "replay", "a Reconfigure message that has been sent before"),
    (
        &["dhcpv6"],
        "reconfigure-message",
        "a Reconfigure message that does not say what is to be asked, or asks for what it cannot",
    ),
    (
        &["dhcpv6"],
        "useless",
        "the server's answer holds nothing that was asked for, or only refusals of it; `prefix-\
         unavailable` or `prefix-refused` says so where that lasts",
    ),
    (&["delegated"], "too-short", "a prefix that is shorter than shortest-prefix of the uplink"),
    (&["delegated"], "too-long", "a prefix longer than a /64, or no single address"),
    (&["delegated"], "special", "a prefix or address that nobody can be given"),
    (&["delegated"], "overlap", "a prefix that overlaps one that is in use already"),
    (&["delegated"], "lifetimes", "a preferred lifetime that exceeds the valid lifetime"),
    (&["dhcpv6-server"], "source", "it did not come from a neighbor on that link"),
    (
        &["dhcpv6-server"],
        "foreign-relay",
        "it came by way of a relay agent that `relays` of the downlink does not allow",
    ),
    (&["dhcpv6-server"], "relay-options", "relay agents say more than an answer can say again"),
    (
        &["dhcpv6-server", "relay"],
        "unicast",
        "it was sent to this machine alone, which clients do not do",
    ),
    (
        &["dhcpv6-server"],
        "unknown-neighbor",
        "nobody answers at its address, while the pool is crowded",
    ),
    (
        &["dhcpv6-server"],
        "held-elsewhere",
        "it asks for what another router has, which still answers; see `delegation-contested`",
    ),
    (&["dhcpv6-server"], "unexpected-type", "it is no message for a server"),
    (&["dhcpv6-server"], "no-client-id", "it does not say which client sends it"),
    (&["dhcpv6-server"], "server-id", "it names a server, where it is meant for all"),
    (&["dhcpv6-server"], "no-server-id", "it does not name the server that it is meant for"),
    (&["dhcpv6-server"], "foreign-server", "it is meant for another server"),
    (
        &["dhcpv6-server"],
        "identity-association",
        "it asks for addresses or prefixes in a message that cannot",
    ),
    (
        &["dhcpv6-server"],
        "silent",
        "there is nothing to say to it: for instance, nothing is delegated here to its sender",
    ),
    (&["relay"], "interface", "nothing is relayed from that interface"),
    (&["relay"], "short", "it is too short to be a message"),
    (&["relay"], "source", "it came from no address, or from this machine"),
    (&["relay"], "server-message", "it came from a client's link, and only servers send such"),
    (&["relay"], "hop-count", "too many relay agents have handed it on"),
    (&["relay"], "no-way", "no interface leads to any of the servers now"),
    (&["relay"], "stranger", "it is an answer that none of the servers has sent"),
    (&["relay"], "empty", "it is an answer without a message in it"),
    (&["relay"], "link", "it is an answer for a link that nothing is relayed from"),
    (&["relay"], "peer", "it is an answer for an address that no neighbor can have"),
    (&["relay"], "detached", "it is an answer for a link that is down"),
    (
        &["relay-lease"],
        "no-room",
        "it was relayed, and there was no room to remember what it delegates; see \
         `relay-table-full`",
    ),
    (DECODED, "truncated", "it is cut short"),
    (DECODED, "trailing", "it goes on behind its end"),
    (DECODED, "zero-length-option", "it has an option of length zero"),
    (DECODED, "type", "it is no message of a type that is known here"),
    (DECODED, "code", "its ICMPv6 code is not zero"),
    (DECODED, "target", "it is about a group, which has no neighbor"),
    (DECODED, "option-length", "an option has a length that it cannot have"),
    (DECODED, "prefix-length", "a prefix has a length that it cannot have"),
    (DECODED, "reserved-value", "an option has a value that is reserved"),
    (DECODED, "missing-option", "it lacks an option that it cannot be without"),
    (DECODED, "relay-depth", "there are too many relay messages in each other"),
    (DECODED, "duid-length", "a DUID is too short or too long"),
    (DECODED, "domain-name", "a domain name is malformed"),
    (DECODED, "text", "a text is malformed"),
];

/// The meaning of `reason` for messages of this kind.
pub fn meaning(kind: &str, reason: &str) -> Option<&'static str> {
    let of = |(kinds, of, _): &&Meaning| *of == reason && kinds.contains(&kind);
    MEANINGS.iter().find(of).map(|(.., meaning)| *meaning)
}

/// The meaning of a counter, named as in [`status`](super::status::Status::counters).
pub fn meaning_of(counter: &str) -> Option<&'static str> {
    let kind_of = |reason: &str| counter.strip_suffix(reason)?.strip_suffix('-');
    let of =
        |(kinds, reason, _): &&Meaning| kind_of(reason).is_some_and(|kind| kinds.contains(&kind));
    MEANINGS.iter().find(of).map(|(.., meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::wire::DecodeError;

    #[test]
    fn each_counter_has_one_meaning_by_either_name() {
        let mut names = BTreeSet::new();
        for (kinds, reason, text) in MEANINGS {
            for kind in *kinds {
                let counter = format!("{kind}-{reason}");
                assert_eq!(meaning(kind, reason), Some(*text), "{counter}");
                assert_eq!(meaning_of(&counter), Some(*text), "{counter}");
                assert!(names.insert(counter), "{kind} {reason}");
            }
        }
        assert_eq!(meaning_of("of-another-version"), None);
    }

    /// Whatever a neighbor sends that does not decode.
    #[test]
    fn each_error_of_decoding_has_a_meaning() {
        for error in [
            DecodeError::Truncated,
            DecodeError::Trailing,
            DecodeError::ZeroLength,
            DecodeError::Type(0),
            DecodeError::Code(0),
            DecodeError::Target,
            DecodeError::OptionLength(0),
            DecodeError::PrefixLength(0),
            DecodeError::ReservedValue(0),
            DecodeError::MissingOption(0),
            DecodeError::Depth,
            DecodeError::DuidLength,
            DecodeError::DomainName,
            DecodeError::Text,
        ] {
            for kind in DECODED {
                assert!(meaning(kind, error.label()).is_some(), "{kind} {error}");
            }
        }
    }
}
