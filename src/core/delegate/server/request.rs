//! What a message from a requesting router must be like (RFC 9915 §16).

use crate::wire::dhcpv6::{Message, MessageType};
use crate::wire::dhcpv6_option::{Dhcpv6Option, Duid};

/// Why a message that decodes is dropped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reject {
    /// Not a message for a server.
    UnexpectedType,
    /// Without Client Identifier.
    NoClientId,
    /// With a Server Identifier where none belongs.
    ServerId,
    /// Without Server Identifier where one belongs.
    NoServerId,
    /// For another server.
    ForeignServer,
    /// An identity association where none belongs.
    IdentityAssociation,
    /// It gets no answer.
    Silent,
}

impl Reject {
    /// A short stable name, used as the label of a counter.
    pub const fn label(self) -> &'static str {
        match self {
            Self::UnexpectedType => "unexpected-type",
            Self::NoClientId => "no-client-id",
            Self::ServerId => "server-id",
            Self::NoServerId => "no-server-id",
            Self::ForeignServer => "foreign-server",
            Self::IdentityAssociation => "identity-association",
            Self::Silent => "silent",
        }
    }
}

/// Checks `message` for the server `us`; the client's DUID, which an Information-request may lack.
pub(super) fn check<'a>(message: &'a Message, us: &Duid) -> Result<Option<&'a Duid>, Reject> {
    let client = message.client_id();
    let server = message.server_id();
    match message.kind {
        MessageType::Solicit | MessageType::Confirm | MessageType::Rebind => {
            if server.is_some() {
                return Err(Reject::ServerId);
            }
        }
        MessageType::Request | MessageType::Renew | MessageType::Decline | MessageType::Release => {
            match server {
                None => return Err(Reject::NoServerId),
                Some(server) if server != us => return Err(Reject::ForeignServer),
                Some(_) => {}
            }
        }
        MessageType::InformationRequest => {
            if server.is_some_and(|server| server != us) {
                return Err(Reject::ForeignServer);
            }
            let is_ia = |option: &Dhcpv6Option| {
                matches!(option, Dhcpv6Option::IaNa(_) | Dhcpv6Option::IaPd(_))
            };
            if message.options.iter().any(is_ia) {
                return Err(Reject::IdentityAssociation);
            }
            return Ok(client);
        }
        MessageType::Advertise | MessageType::Reply | MessageType::Reconfigure => {
            return Err(Reject::UnexpectedType);
        }
    }
    client.map(Some).ok_or(Reject::NoClientId)
}
