//! What holds for all that is read and written, whatever the octets.

mod any;

use proptest::collection::vec;
use proptest::prelude::*;

use super::DecodeError;
use super::dhcpv6::{Message, digest_range};
use super::dhcpv6_option::{Authentication, Dhcpv6Option, Status};
use super::dhcpv6_relay::{RelayMessage, RelayOption, Relayed};
use super::domain::{decode_names, encode_names};
use super::ndp::{RouterAdvertisement, RouterSolicitation};
use super::ndp_option::NdpOption;

proptest! {
    #[test]
    fn an_advertisement_survives_the_wire(advertisement in any::advertisement()) {
        let octets = advertisement.encode();
        prop_assert_eq!(octets.len() % 8, 0);
        prop_assert_eq!(RouterAdvertisement::decode(&octets), Ok(advertisement));
    }

    #[test]
    fn a_solicitation_survives_the_wire(options in vec(any::ndp_option(), 0..4)) {
        let solicitation = RouterSolicitation { options };
        let octets = solicitation.encode();
        prop_assert_eq!(RouterSolicitation::decode(&octets), Ok(solicitation));
    }

    #[test]
    fn a_message_survives_the_wire(message in any::message()) {
        prop_assert_eq!(Message::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn a_relay_message_survives_the_wire(message in any::relay_message()) {
        prop_assert_eq!(RelayMessage::decode(&message.encode()), Ok(message));
    }

    /// SEC-07.
    #[test]
    fn no_changed_relay_message_makes_a_decoder_panic(
        octets in any::mutated(any::nested_relay_message().prop_map(|sent| sent.encode())),
    ) {
        decode_all(&octets);
    }

    #[test]
    fn names_survive_the_wire(names in vec(any::name(), 0..5)) {
        let octets = encode_names(&names).unwrap();
        prop_assert_eq!(decode_names(&octets), Ok(names));
    }

    /// A digest is found in exactly the messages whose first authentication option holds one.
    #[test]
    fn a_digest_range_names_the_digest(
        mut message in any::message(),
        digest: [u8; 16],
        at in 0..6_usize,
    ) {
        message.options.retain(|option| !matches!(option, Dhcpv6Option::Authentication(_)));
        prop_assert_eq!(digest_range(&message.encode()), None);
        let authentication = Authentication {
            protocol: 3,
            algorithm: 1,
            replay_detection: 0,
            replay: 1,
            information: [&[2], &digest[..]].concat(),
        };
        let at = at.min(message.options.len());
        message.options.insert(at, Dhcpv6Option::Authentication(authentication));
        let octets = message.encode();
        prop_assert_eq!(&octets[digest_range(&octets).unwrap()], &digest[..]);
    }

    /// SEC-07.
    #[test]
    fn no_octets_make_a_decoder_panic(octets in vec(any::<u8>(), 0..600)) {
        decode_all(&octets);
        // Behind a good header more of them get as far as the options.
        for header in [&[134, 0, 0, 0][..], &[133, 0, 0, 0, 0, 0, 0, 0], &[7, 0, 0, 0], &RELAY_FORWARD] {
            decode_all(&[header, &octets].concat());
        }
    }

    /// SEC-07.
    #[test]
    fn no_changed_advertisement_makes_a_decoder_panic(
        octets in any::mutated(any::advertisement().prop_map(|sent| sent.encode())),
    ) {
        decode_all(&octets);
    }

    /// SEC-07.
    #[test]
    fn no_changed_message_makes_a_decoder_panic(
        octets in any::mutated(any::message().prop_map(|sent| sent.encode())),
    ) {
        decode_all(&octets);
    }

    /// SEC-14: whatever the octets, no text that comes out can end a line or run a command.
    #[test]
    fn text_from_the_network_is_safe(octets in vec(any::<u8>(), 0..80)) {
        for name in decode_names(&octets).into_iter().flatten() {
            prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.\\".contains(c)));
        }
        let length = u16::try_from(octets.len() + 2).unwrap().to_be_bytes();
        let status = [&[7, 0, 0, 0, 0, 13], &length[..], &[0, 6], &octets].concat();
        let message = Message::decode(&status).unwrap();
        prop_assert!(!message.status().unwrap().text.contains(char::is_control));
    }
}

/// A Relay-forward before its options.
const RELAY_FORWARD: [u8; 34] = {
    let mut octets = [0; 34];
    octets[0] = 12;
    octets
};

/// Decodes the octets as everything, and holds what comes out to what goes for all of it.
fn decode_all(octets: &[u8]) {
    if let Ok(advertisement) = RouterAdvertisement::decode(octets) {
        assert_bounded(octets, advertisement.options.iter().map(ndp_footprint).sum());
        if !has_malformed(&advertisement.options) {
            assert_eq!(RouterAdvertisement::decode(&advertisement.encode()), Ok(advertisement));
        }
    }
    if let Ok(solicitation) = RouterSolicitation::decode(octets) {
        assert_bounded(octets, solicitation.options.iter().map(ndp_footprint).sum());
        if !has_malformed(&solicitation.options) {
            assert_eq!(RouterSolicitation::decode(&solicitation.encode()), Ok(solicitation));
        }
    }
    let range = digest_range(octets);
    if let Ok(message) = Message::decode(octets) {
        assert_bounded(octets, message.options.iter().map(dhcpv6_footprint).sum());
        let digest = message.authentication().and_then(|found| found.reconfigure_digest());
        assert_eq!(range.map(|range| &octets[range]), digest.as_ref().map(|digest| &digest[..]));
        if message.malformed().count() == 0 {
            assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
    }
    if let Ok(message) = RelayMessage::decode(octets) {
        assert_bounded(octets, message.options.iter().map(relay_footprint).sum());
        if message.malformed().count() == 0 {
            assert_eq!(RelayMessage::decode(&message.encode()), Ok(message));
        }
    }
    if let Ok(relayed) = Relayed::decode(octets) {
        let levels = relayed.levels.iter().flat_map(|level| &level.options);
        let options: usize = levels.map(relay_footprint).sum();
        let levels = size_of_val(relayed.levels.as_slice());
        assert_bounded(octets, options + levels + relayed.octets.len());
        assert_eq!(RelayMessage::decode(&relayed.wrap(&[7, 0, 0, 0])).map(|_| ()), Ok(()));
    }
    if let Ok(names) = decode_names(octets) {
        assert_bounded(octets, names.iter().map(|name| text_footprint(name)).sum());
        assert_eq!(encode_names(&names).and_then(|octets| decode_names(&octets)), Ok(names));
    }
}

fn has_malformed(options: &[NdpOption]) -> bool {
    options.iter().any(|option| matches!(option, NdpOption::Malformed { .. }))
}

/// What is allocated is a small multiple of what came in, however that is made up.
fn assert_bounded(octets: &[u8], footprint: usize) {
    let bound = octets.len() * 32;
    assert!(footprint <= bound, "{footprint} octets for {octets:02x?}");
}

fn text_footprint(text: &str) -> usize {
    size_of::<String>() + text.len()
}

fn ndp_footprint(option: &NdpOption) -> usize {
    let heap = match option {
        NdpOption::SourceLinkLayer(body)
        | NdpOption::FlagsExtension(body)
        | NdpOption::Unknown { body, .. } => body.len(),
        NdpOption::Rdnss { servers, .. } => size_of_val(servers.as_slice()),
        NdpOption::Dnssl { names, .. } => names.iter().map(|name| text_footprint(name)).sum(),
        NdpOption::CaptivePortal(uri) => uri.len(),
        NdpOption::Prefix(_)
        | NdpOption::Mtu(_)
        | NdpOption::Route(_)
        | NdpOption::Pref64(_)
        | NdpOption::Malformed { .. } => 0,
    };
    size_of::<NdpOption>() + heap
}

fn status_footprint(status: Option<&Status>) -> usize {
    status.map_or(0, |status| status.text.len())
}

fn dhcpv6_footprint(option: &Dhcpv6Option) -> usize {
    let heap = match option {
        Dhcpv6Option::ClientId(duid) | Dhcpv6Option::ServerId(duid) => duid.octets().len(),
        Dhcpv6Option::IaNa(ia) => {
            let leases = ia.addresses.iter().map(|lease| status_footprint(lease.status.as_ref()));
            let heap: usize = leases.sum();
            size_of_val(ia.addresses.as_slice()) + heap + status_footprint(ia.status.as_ref())
        }
        Dhcpv6Option::IaPd(ia) => {
            let leases = ia.prefixes.iter().map(|lease| status_footprint(lease.status.as_ref()));
            let heap: usize = leases.sum();
            size_of_val(ia.prefixes.as_slice()) + heap + status_footprint(ia.status.as_ref())
        }
        Dhcpv6Option::OptionRequest(codes) => size_of_val(codes.as_slice()),
        Dhcpv6Option::Authentication(authentication) => authentication.information.len(),
        Dhcpv6Option::Status(status) => status.text.len(),
        Dhcpv6Option::DnsServers(servers) => size_of_val(servers.as_slice()),
        Dhcpv6Option::DomainSearch(names) => names.iter().map(|name| text_footprint(name)).sum(),
        Dhcpv6Option::Unknown { body, .. } => body.len(),
        Dhcpv6Option::Preference(_)
        | Dhcpv6Option::ElapsedTime(_)
        | Dhcpv6Option::RapidCommit
        | Dhcpv6Option::ReconfigureMessage(_)
        | Dhcpv6Option::ReconfigureAccept
        | Dhcpv6Option::InformationRefreshTime(_)
        | Dhcpv6Option::SolMaxRt(_)
        | Dhcpv6Option::InfMaxRt(_)
        | Dhcpv6Option::Malformed { .. } => 0,
    };
    size_of::<Dhcpv6Option>() + heap
}

fn relay_footprint(option: &RelayOption) -> usize {
    let heap = match option {
        RelayOption::RelayMessage(octets)
        | RelayOption::InterfaceId(octets)
        | RelayOption::ClientLinkLayer { address: octets, .. }
        | RelayOption::Unknown { body: octets, .. } => octets.len(),
        RelayOption::SourcePort(_) | RelayOption::Malformed(_) => 0,
    };
    size_of::<RelayOption>() + heap
}

/// The inputs that give the most for the least: empty options, empty lists, shortest names.
#[test]
fn the_greediest_inputs_stay_within_the_bound() {
    let repeat = |header: &[u8], unit: &[u8]| [header, &unit.repeat(15_000 / unit.len())].concat();
    decode_all(&repeat(&[7, 0, 0, 0], &[0, 14, 0, 0]));
    decode_all(&repeat(&[7, 0, 0, 0], &[255, 255, 0, 0]));
    decode_all(&repeat(&[7, 0, 0, 0], &[0, 13, 0, 3, 0, 0, 0xff]));
    decode_all(&repeat(&RELAY_FORWARD, &[0, 18, 0, 0]));
    decode_all(&repeat(&RELAY_FORWARD, &[0, 9, 0, 0]));
    decode_all(&repeat(&[1, b'a', 0], &[1, b'.', 0]));
    let advertisement = [&[134][..], &[0; 15]].concat();
    decode_all(&repeat(&advertisement, &[5, 1, 0, 0, 0, 0, 0, 0]));
    decode_all(&repeat(&advertisement, &[0, 1, 0, 0, 0, 0, 0, 0]));
}

/// A counter's label says what went wrong, and never with what value.
#[test]
fn labels_are_stable() {
    assert_eq!(DecodeError::OptionLength(25).label(), DecodeError::OptionLength(26).label());
    assert_eq!(DecodeError::ReservedValue(24).label(), "reserved-value");
}
