//! How an uplink can send.

use std::net::Ipv6Addr;

use crate::core::kernel::system::System;
use crate::net::IfIndex;

/// How packets leave through an uplink that can send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::core) struct Attachment {
    /// The kernel's number.
    pub index: IfIndex,
    /// Source address of all packets.
    pub link_local: Ipv6Addr,
    /// For the source link-layer address option.
    pub link_layer_address: Option<Vec<u8>>,
    /// Device MTU.
    pub mtu: u32,
    /// Groups can be reached.
    pub multicast: bool,
    /// One peer only.
    pub point_to_point: bool,
    /// How many times its carrier has come up: each time it may be another link.
    pub carrier_ups: u32,
}

impl Attachment {
    /// How `name` can send, if it can.
    pub(in crate::core) fn find(system: &System, name: &str) -> Option<Self> {
        let link = system.link(name).filter(|link| link.running)?;
        Some(Self {
            index: link.index,
            link_local: system.link_local(link.index)?,
            link_layer_address: link.link_layer_address.clone(),
            mtu: link.mtu,
            multicast: link.multicast,
            point_to_point: link.point_to_point,
            carrier_ups: link.carrier_ups,
        })
    }
}
