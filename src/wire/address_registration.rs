//! The messages by which a host registers an address that it has formed itself (RFC 9686).

use std::net::Ipv6Addr;

use super::DecodeError;
use super::cursor::Cursor;
use super::dhcpv6::TransactionId;
use super::dhcpv6_option::codec::{CLIENT_ID, IA_ADDRESS, push_option, take_option};
use super::dhcpv6_option::{Duid, IaAddress};
use crate::time::Lifetime;

/// The type of an ADDR-REG-INFORM message (RFC 9686 §4.2).
pub const INFORM: u8 = 36;
/// The type of an ADDR-REG-REPLY message (RFC 9686 §4.3).
pub const REPLY: u8 = 37;

/// An ADDR-REG-INFORM message: a host registers an address, from that address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inform {
    /// The transaction id.
    pub transaction_id: TransactionId,
    /// The host.
    pub client: Duid,
    /// The address.
    pub address: Ipv6Addr,
    /// What is left of its preferred lifetime.
    pub preferred: Lifetime,
    /// What is left of its valid lifetime.
    pub valid: Lifetime,
}

impl Inform {
    /// Encodes the message.
    pub fn encode(&self) -> Vec<u8> {
        let Self { address, preferred, valid, .. } = *self;
        let mut octets = vec![INFORM];
        octets.extend(self.transaction_id.0);
        push_option(&mut octets, CLIENT_ID, self.client.octets());
        let address = IaAddress { address, preferred, valid, status: None };
        push_option(&mut octets, IA_ADDRESS, &address.encode());
        octets
    }
}

/// An ADDR-REG-REPLY message: a server has taken in a registration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Acknowledgement {
    /// The transaction id of the registration.
    pub transaction_id: TransactionId,
    /// The address.
    pub address: Ipv6Addr,
}

impl Acknowledgement {
    /// Decodes the payload of a UDP datagram. Options behind the first IA Address option do not count.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the type is another one, or no IA Address option can be read.
    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        let mut rest = Cursor::new(octets);
        let kind = rest.u8()?;
        if kind != REPLY {
            return Err(DecodeError::Type(kind));
        }
        let transaction_id = TransactionId(rest.array()?);
        while let Some((code, body)) = take_option(&mut rest).map_err(|unread| unread.error)? {
            if code == IA_ADDRESS {
                let IaAddress { address, .. } = IaAddress::decode(body)?;
                return Ok(Self { transaction_id, address });
            }
        }
        Err(DecodeError::MissingOption(IA_ADDRESS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::testing::hex;

    const ADDRESS: &str = "0005 0018 20010db8000000000000000000000007 00000e10 00001c20";

    #[test]
    fn a_registration_is_written() {
        let inform = Inform {
            transaction_id: TransactionId([1, 2, 3]),
            client: Duid::new(&[0, 3, 0, 1, 2]).unwrap(),
            address: "2001:db8::7".parse().unwrap(),
            preferred: Lifetime::Finite(3600),
            valid: Lifetime::Finite(7200),
        };
        let expected = hex(&format!("24 010203 | \n 0001 0005 0003000102 {ADDRESS}"));
        assert_eq!(inform.encode(), expected);
    }

    #[test]
    fn an_acknowledgement_is_read_and_every_part_of_one_is_an_error() {
        let octets = hex(&format!("25 010203 0001 0005 0003000102 {ADDRESS}"));
        let expected = Acknowledgement {
            transaction_id: TransactionId([1, 2, 3]),
            address: "2001:db8::7".parse().unwrap(),
        };
        assert_eq!(Acknowledgement::decode(&octets), Ok(expected));
        for length in 0..octets.len() {
            assert!(Acknowledgement::decode(&octets[..length]).is_err(), "{length}");
        }
        let other = hex("07 010203");
        assert_eq!(Acknowledgement::decode(&other), Err(DecodeError::Type(7)));
    }
}
