//! Routes of the fake kernel: every path to a destination beside the others.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use renumberd::core::kernel::system::RouteTarget;
use renumberd::net::IfIndex;
use renumberd::platform::freebsd::abi;
use renumberd::platform::freebsd::errno::Errno;
use renumberd::platform::freebsd::route_message::{Message, Route, messages};

use super::{Fake, LO0, octets};

/// A path to a destination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::freebsd) struct Path {
    pub(in crate::freebsd) destination: Ipv6Net,
    /// None: it leads to a link.
    pub(in crate::freebsd) gateway: Option<Ipv6Addr>,
    pub(in crate::freebsd) interface: IfIndex,
    /// RTF_*.
    pub(in crate::freebsd) flags: u32,
    /// In seconds since 1970.
    pub(in crate::freebsd) end: Option<u64>,
    /// An end that was in the past when it was given is never acted on.
    pub(in crate::freebsd) expires: bool,
}

impl Fake {
    /// A message that a process has written.
    pub(in crate::freebsd) fn request(&mut self, octets: &[u8], pid: u32) -> Result<(), Errno> {
        let Some(Message::Route(route)) = messages(octets).next() else {
            panic!("the backend wrote what is no request")
        };
        let destination = route.destination().ok_or(Errno::INVAL)?;
        if route.kind == abi::DELETE {
            return self.delete(destination, &route, pid);
        }
        let path = self.path(destination, &route)?;
        if self.prefixes.iter().any(|((_, prefix), has)| *prefix == destination && has.has_route) {
            return Err(Errno::EXIST);
        }
        match route.kind {
            abi::ADD => self.add(path, &route, pid),
            abi::CHANGE => self.change(path, &route, pid),
            other => panic!("the backend asked for {other}"),
        }
    }

    /// The path that a request describes: a link-local gateway needs its link.
    fn path(&self, destination: Ipv6Net, route: &Route) -> Result<Path, Errno> {
        let end = route.end;
        let expires = end.is_some_and(|end| end > self.wall().as_secs());
        let flags = route.flags | abi::UP;
        match route.target().ok_or(Errno::INVAL)? {
            RouteTarget::Unreachable => {
                let gateway = Some(Ipv6Addr::LOCALHOST);
                Ok(Path { destination, gateway, interface: LO0, flags, end, expires })
            }
            RouteTarget::Gateway(interface, router) => {
                if !self.interfaces.contains_key(&interface) {
                    return Err(Errno::NETUNREACH);
                }
                Ok(Path { destination, gateway: Some(router), interface, flags, end, expires })
            }
            RouteTarget::OnLink(interface) => {
                Ok(Path { destination, gateway: None, interface, flags, end, expires })
            }
        }
    }

    fn places(&self, destination: Ipv6Net) -> Vec<usize> {
        let found = self.paths.iter().enumerate();
        found.filter(|(_, path)| path.destination == destination).map(|(at, _)| at).collect()
    }

    fn add(&mut self, path: Path, route: &Route, pid: u32) -> Result<(), Errno> {
        let places = self.places(path.destination);
        let is_same = |at: &usize| {
            let known = &self.paths[*at];
            (known.gateway, known.interface) == (path.gateway, path.interface)
        };
        if places.iter().any(is_same) || (!places.is_empty() && !self.multipath) {
            return Err(Errno::EXIST);
        }
        // A message about a second path has the flags of the first.
        let flags = places.first().map_or(path.flags, |at| self.paths[*at].flags);
        self.report(octets::route(abi::ADD, &path, flags | abi::DONE, pid, route.sequence));
        self.paths.push(path);
        Ok(())
    }

    fn change(&mut self, path: Path, route: &Route, pid: u32) -> Result<(), Errno> {
        let places = self.places(path.destination);
        let [at] = places.as_slice() else {
            return Err(if places.is_empty() { Errno::SRCH } else { Errno::INVAL });
        };
        let was_reject = self.paths[*at].flags & abi::REJECT != 0;
        if path.flags & abi::REJECT != 0 && !was_reject {
            return Err(Errno::NETUNREACH);
        }
        self.report(octets::route(abi::CHANGE, &path, path.flags | abi::DONE, pid, route.sequence));
        self.paths[*at] = path;
        Ok(())
    }

    fn delete(&mut self, destination: Ipv6Net, route: &Route, pid: u32) -> Result<(), Errno> {
        if self.prefixes.keys().any(|(_, prefix)| *prefix == destination) {
            return Err(Errno::ADDRINUSE);
        }
        let wanted = self.path(destination, route).ok();
        let places = self.places(destination);
        let is_it = |at: &&usize| {
            let path = &self.paths[**at];
            wanted.as_ref().map_or(places.len() == 1, |wanted| {
                (path.gateway, path.interface) == (wanted.gateway, wanted.interface)
            })
        };
        let at = *places.iter().find(is_it).ok_or(Errno::SRCH)?;
        let gone = self.paths.remove(at);
        // Of two paths the message shows the one that is left.
        let left = self.paths.iter().find(|path| path.destination == destination).cloned();
        let (shown, up) = left.map_or_else(|| (gone, 0), |left| (left, abi::UP));
        let flags = shown.flags & !abi::UP | up | abi::DONE;
        self.report(octets::route(abi::DELETE, &shown, flags, pid, route.sequence));
        Ok(())
    }

    /// Routes that have ended.
    pub(super) fn end_routes(&mut self) {
        let wall = self.wall().as_secs();
        let (ended, left) = std::mem::take(&mut self.paths)
            .into_iter()
            .partition(|path| path.expires && path.end.is_some_and(|end| end <= wall));
        self.paths = left;
        let ended: Vec<Path> = ended;
        for path in ended {
            let flags = path.flags & !abi::UP | abi::DONE;
            self.report(octets::route(abi::DELETE, &path, flags, 0, 0));
        }
    }

    /// A default route that the kernel has learnt: without our mark, and set by nobody.
    pub(super) fn learn_default(&mut self, interface: IfIndex, router: Ipv6Addr) {
        let path = Path {
            destination: Ipv6Net::default(),
            gateway: Some(router),
            interface,
            flags: abi::UP | abi::GATEWAY,
            end: None,
            expires: false,
        };
        self.report(octets::route(abi::ADD, &path, path.flags | abi::DONE, 0, 0));
        self.paths.push(path);
    }

    /// All paths, one message each.
    pub(super) fn dump_routes(&self) -> Vec<u8> {
        let mut dump = Vec::new();
        for path in &self.paths {
            dump.extend(octets::route(abi::GET, path, path.flags, 0, 0));
        }
        for ((index, prefix), has) in &self.prefixes {
            if has.has_route {
                dump.extend(octets::prefix(abi::GET, *index, *prefix));
            }
        }
        dump
    }
}
