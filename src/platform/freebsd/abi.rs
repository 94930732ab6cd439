//! Numbers and layouts of FreeBSD's interfaces, as its headers define them.
//!
//! The same for FreeBSD 12.3 to 15 on 64-bit little-endian machines. For the FreeBSD target the
//! compiler compares them with what the `libc` crate knows; the rest was read off the headers.

/// A request of ioctl(2).
pub type Request = u64;

/// SIOCAIFADDR_IN6 (netinet6/in6_var.h): adds an address, or sets its flags and lifetimes.
pub const SET_ADDRESS: Request = 0x8088_691b;
/// SIOCDIFADDR_IN6: removes an address.
pub const REMOVE_ADDRESS: Request = 0x8120_6919;
/// SIOCGIFAFLAG_IN6: the flags of an address.
pub const ADDRESS_FLAGS: Request = 0xc120_6949;
/// SIOCGIFALIFETIME_IN6: the lifetimes of an address.
pub const ADDRESS_LIFETIMES: Request = 0xc120_6951;
/// SIOCGIFINFO_IN6: what neighbor discovery knows of an interface.
pub const INTERFACE_INFO: Request = 0xc048_696c;
/// SIOCSIFINFO_IN6: sets that, the flags to exactly what is given.
pub const SET_INTERFACE_INFO: Request = 0xc048_696d;
/// SIOCSIFINFO_FLAGS: sets the flags alone, to exactly what is given.
pub const SET_INTERFACE_FLAGS: Request = 0xc048_6957;

/// Octets of `struct in6_aliasreq`.
pub const ALIAS_REQUEST: usize = 136;
/// Octets of `struct in6_ifreq`.
pub const ADDRESS_REQUEST: usize = 288;
/// Octets of `struct in6_ndireq`.
pub const INFO_REQUEST: usize = 72;
/// Octets of an interface's name with its final zero (IFNAMSIZ).
pub const NAME: usize = 16;

/// RTM_VERSION: the version of all messages of routing sockets.
pub const VERSION: u8 = 5;
/// RTM_ADD.
pub const ADD: u8 = 1;
/// RTM_DELETE.
pub const DELETE: u8 = 2;
/// RTM_CHANGE.
pub const CHANGE: u8 = 3;
/// RTM_GET.
pub const GET: u8 = 4;
/// RTM_NEWADDR.
pub const NEW_ADDRESS: u8 = 12;
/// RTM_DELADDR.
pub const ADDRESS_GONE: u8 = 13;
/// RTM_IFINFO.
pub const INTERFACE: u8 = 14;
/// RTM_NEWMADDR.
pub const NEW_GROUP: u8 = 15;
/// RTM_IFANNOUNCE.
pub const ANNOUNCE: u8 = 17;

/// Octets of `struct rt_msghdr`.
pub const ROUTE_HEADER: usize = 152;
/// Octets of `struct if_msghdr`.
pub const INTERFACE_HEADER: usize = 168;
/// Octets of `struct ifa_msghdr`.
pub const ADDRESS_HEADER: usize = 20;
/// Octets of `struct ifma_msghdr`.
pub const GROUP_HEADER: usize = 16;
/// Octets of `struct if_announcemsghdr`.
pub const ANNOUNCE_HEADER: usize = 24;

/// Where `struct rt_msghdr` has `rtm_inits`, the metrics that count.
pub const INITS: usize = 32;
/// Where `struct rt_msghdr` has `rtm_rmx.rmx_expire`, an absolute wall clock time in seconds.
pub const EXPIRE: usize = 64;
/// Where `struct if_msghdr` has `ifm_data.ifi_epoch`, when the interface was attached.
pub const EPOCH: usize = 144;
/// RTV_EXPIRE: `rmx_expire` counts.
pub const INITS_EXPIRE: u64 = 4;

/// RTF_UP.
pub const UP: u32 = 0x1;
/// RTF_GATEWAY.
pub const GATEWAY: u32 = 0x2;
/// RTF_HOST: to one address.
pub const HOST: u32 = 0x4;
/// RTF_REJECT: packets are answered by an ICMPv6 error.
pub const REJECT: u32 = 0x8;
/// RTF_DONE: the message was confirmed.
pub const DONE: u32 = 0x40;
/// RTF_LLDATA, of old RTF_LLINFO: an entry of the neighbor cache.
pub const NEIGHBOR: u32 = 0x400;
/// RTF_STATIC: set by hand.
pub const STATIC: u32 = 0x800;
/// RTF_BLACKHOLE: packets are dropped.
pub const BLACKHOLE: u32 = 0x1000;
/// RTF_PROTO1: our owner mark.
pub const OURS: u32 = 0x8000;
/// RTF_PINNED: the kernel's own.
pub const PINNED: u32 = 0x0010_0000;

/// Positions of socket addresses in a message (RTAX_*): the bit of the same number in `addrs` says
/// that one is there.
pub mod position {
    /// RTAX_DST.
    pub const DESTINATION: usize = 0;
    /// RTAX_GATEWAY.
    pub const GATEWAY: usize = 1;
    /// RTAX_NETMASK.
    pub const NETMASK: usize = 2;
    /// RTAX_IFP.
    pub const INTERFACE: usize = 4;
    /// RTAX_IFA.
    pub const ADDRESS: usize = 5;
    /// RTAX_MAX.
    pub const COUNT: usize = 8;
}

/// IN6_IFF_ANYCAST.
pub const ANYCAST: u32 = 0x1;
/// IN6_IFF_TENTATIVE.
pub const TENTATIVE: u32 = 0x2;
/// IN6_IFF_DUPLICATED.
pub const DUPLICATED: u32 = 0x4;
/// IN6_IFF_NODAD.
pub const NO_DETECTION: u32 = 0x20;
/// IN6_IFF_AUTOCONF: the kernel made it of a router advertisement.
pub const AUTOCONF: u32 = 0x40;
/// IN6_IFF_TEMPORARY: the kernel made it beside another (RFC 8981).
pub const TEMPORARY: u32 = 0x80;
/// IN6_IFF_PREFER_SOURCE.
pub const PREFER_SOURCE: u32 = 0x100;

/// ND6_INFINITE_LIFETIME.
pub const INFINITE: u32 = u32::MAX;
/// ND6_IFF_ACCEPT_RTADV: the kernel follows router advertisements.
pub const ACCEPT_ADVERTISEMENTS: u32 = 0x2;
/// ND6_IFF_IFDISABLED: the interface takes no part in IPv6.
pub const DISABLED: u32 = 0x8;

/// IFF_UP.
pub const INTERFACE_UP: u32 = 0x1;
/// IFF_POINTOPOINT.
pub const POINT_TO_POINT: u32 = 0x10;
/// IFF_DRV_RUNNING.
pub const RUNNING: u32 = 0x40;
/// IFF_MULTICAST.
pub const MULTICAST: u32 = 0x8000;
/// LINK_STATE_DOWN.
pub const LINK_DOWN: u8 = 1;
/// IFT_ETHER.
pub const ETHERNET: u8 = 6;
/// IFAN_ARRIVAL.
pub const ARRIVAL: u16 = 0;

/// AF_INET6.
pub const INET6: u8 = 28;
/// AF_LINK.
pub const LINK: u8 = 18;
/// Octets of `struct sockaddr_in6`.
pub const SOCKADDR_IN6: usize = 28;
/// Octets of the `struct sockaddr_dl` that leads to a link as a gateway.
pub const SOCKADDR_DL_SHORT: usize = 16;

const CTL_NET: i32 = 4;
const PF_ROUTE: i32 = 17;
const NET_RT_DUMP: i32 = 1;
const NET_RT_FLAGS: i32 = 2;
const NET_RT_IFLIST: i32 = 3;

/// The name of a variable of sysctl(3).
pub type Name = [i32; 6];

/// All IPv6 routes, one message for each path.
pub const ROUTES: Name = [CTL_NET, PF_ROUTE, 0, INET6 as i32, NET_RT_DUMP, 0];
/// All entries of the neighbor cache.
pub const NEIGHBORS: Name = [CTL_NET, PF_ROUTE, 0, INET6 as i32, NET_RT_FLAGS, NEIGHBOR as i32];

/// An interface and its IPv6 addresses; all interfaces for index 0.
pub const fn interfaces(index: u32) -> Name {
    [CTL_NET, PF_ROUTE, 0, INET6 as i32, NET_RT_IFLIST, index.cast_signed()]
}

/// What FreeBSD's libc knows by the same names.
#[cfg(target_os = "freebsd")]
mod assertions {
    use std::mem::{offset_of, size_of};

    const _: () = assert!(cfg!(target_endian = "little") && size_of::<usize>() == 8);
    const _: () = assert!(size_of::<libc::in6_ifreq>() == super::ADDRESS_REQUEST);
    const _: () = assert!(size_of::<libc::rt_msghdr>() == super::ROUTE_HEADER);
    const _: () = assert!(size_of::<libc::if_msghdr>() == super::INTERFACE_HEADER);
    const _: () = assert!(size_of::<libc::ifa_msghdr>() == super::ADDRESS_HEADER);
    const _: () = assert!(size_of::<libc::if_announcemsghdr>() == super::ANNOUNCE_HEADER);
    const _: () = assert!(size_of::<libc::sockaddr_in6>() == super::SOCKADDR_IN6);
    const _: () = assert!(libc::IFNAMSIZ == super::NAME);
    const _: () = assert!(offset_of!(libc::rt_msghdr, rtm_inits) == super::INITS);
    const _: () = assert!(
        offset_of!(libc::rt_msghdr, rtm_rmx) + offset_of!(libc::rt_metrics, rmx_expire)
            == super::EXPIRE
    );
    const _: () = assert!(
        offset_of!(libc::if_msghdr, ifm_data) + offset_of!(libc::if_data, __ifi_epoch)
            == super::EPOCH
    );
    const _: () = assert!(libc::SIOCGIFAFLAG_IN6 == super::ADDRESS_FLAGS);
    const _: () = assert!(libc::RTM_VERSION == super::VERSION as i32);
    const _: () = assert!(libc::RTM_ADD == super::ADD as i32);
    const _: () = assert!(libc::RTM_IFANNOUNCE == super::ANNOUNCE as i32);
    const _: () = assert!(libc::RTF_PROTO1 == super::OURS as i32);
    const _: () = assert!(libc::RTF_PINNED == super::PINNED as i32);
    const _: () = assert!(libc::RTAX_IFP as usize == super::position::INTERFACE);
    const _: () = assert!(libc::RTAX_MAX as usize == super::position::COUNT);
    const _: () = assert!(libc::IN6_IFF_AUTOCONF as u32 == super::AUTOCONF);
    const _: () = assert!(libc::AF_INET6 == super::INET6 as i32);
    const _: () = assert!(libc::NET_RT_IFLIST == super::NET_RT_IFLIST);
    const _: () = assert!(libc::NET_RT_DUMP == super::NET_RT_DUMP);
}
