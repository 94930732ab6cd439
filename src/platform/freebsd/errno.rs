//! FreeBSD's error numbers (errno(2)), which are others than those of Linux.

use crate::core::kernel::object::Refusal;

/// An error number of FreeBSD.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Errno(pub i32);

impl Errno {
    /// EPERM.
    pub const PERM: Self = Self(1);
    /// ESRCH: there is no such route.
    pub const SRCH: Self = Self(3);
    /// ENXIO: there is no such interface.
    pub const NXIO: Self = Self(6);
    /// ENOMEM: what was to be read has grown.
    pub const NOMEM: Self = Self(12);
    /// EACCES.
    pub const ACCES: Self = Self(13);
    /// EEXIST.
    pub const EXIST: Self = Self(17);
    /// EINVAL.
    pub const INVAL: Self = Self(22);
    /// EADDRINUSE: the route is the kernel's own.
    pub const ADDRINUSE: Self = Self(48);
    /// EADDRNOTAVAIL: there is no such address.
    pub const ADDRNOTAVAIL: Self = Self(49);
    /// ENETUNREACH: the gateway of a route is not to be reached.
    pub const NETUNREACH: Self = Self(51);
    /// ENOBUFS.
    pub const NOBUFS: Self = Self(55);

    /// What the core has to know of it.
    pub const fn refusal(self) -> Refusal {
        match self {
            Self::EXIST => Refusal::Exists,
            Self::ADDRNOTAVAIL | Self::SRCH | Self::NXIO => Refusal::NotThere,
            Self::NOBUFS | Self::NOMEM => Refusal::NoBuffer,
            Self::PERM | Self::ACCES => Refusal::NotPermitted,
            Self(number) => Refusal::Other { number, text: self.text() },
        }
    }

    /// What FreeBSD says of it, where the backend meets it.
    const fn text(self) -> &'static str {
        match self {
            Self::INVAL => "Invalid argument",
            Self::ADDRINUSE => "Address already in use",
            Self::NETUNREACH => "Network is unreachable",
            Self(_) => "",
        }
    }

    /// Whether it says that an address, a route or the interface is not there.
    pub const fn is_absence(self) -> bool {
        matches!(self, Self::ADDRNOTAVAIL | Self::SRCH | Self::NXIO)
    }
}
