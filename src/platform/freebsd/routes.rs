//! Routes: one path to each destination, as FreeBSD has no metrics and would spread packets over
//! several.

use ipnet::Ipv6Net;

use super::abi;
use super::errno::Errno;
use super::kernel::Kernel;
use super::route_message;
use super::system_calls::SystemCalls;
use super::table::{Clock, Table};
use crate::core::kernel::system::{KernelRoute, RouteTarget, same_end};
use crate::time::Instant;

impl<C: SystemCalls> Kernel<C> {
    /// Puts a route in the place of what leads to its destination, if that is ours or was learnt by
    /// the kernel where it follows advertisements no more. Beside another's path it would share the
    /// packets with it: there it is refused.
    pub(super) fn put_route(
        &mut self,
        now: Instant,
        table: &mut Table,
        route: &KernelRoute,
    ) -> Result<(), Errno> {
        if matches!(route.target, RouteTarget::OnLink(_)) {
            // The kernel makes the route to a link with an address; any other leads nowhere.
            return Err(Errno::INVAL);
        }
        let wall = self.calls.wall_clock();
        let end = Clock { now, wall }.end(route.until);
        let (destination, target) = (route.destination, route.target);
        let paths = table.paths(destination).to_vec();
        if !paths.iter().all(|path| path.is_ours() || self.is_orphan(path.is_learnt(), path.target))
        {
            return Err(Errno::EXIST);
        }
        match paths.as_slice() {
            [] => self.write(|seq| route_message::add(destination, target, end, seq))?,
            [path]
                if path.target == Some(target)
                    && path.is_ours()
                    && same_end(path.until, route.until) => {}
            // Of one kind it is replaced without a gap; a reject route in place of another is
            // refused, as none can be changed into one.
            [path] if is_changeable(path.target, target) => {
                self.write(|seq| route_message::change(destination, target, end, seq))?;
                table.forget(destination, path.target);
            }
            paths => {
                for path in paths {
                    self.delete_path(destination, path.target)?;
                    table.forget(destination, path.target);
                }
                self.write(|seq| route_message::add(destination, target, end, seq))?;
            }
        }
        table.put(route);
        Ok(())
    }

    /// Removes a route with our mark. That it is not there, or another's in its place, is no error.
    pub(super) fn remove_route(
        &mut self,
        table: &mut Table,
        route: &KernelRoute,
    ) -> Result<(), Errno> {
        let target = Some(route.target);
        let mut paths = table.paths(route.destination).iter();
        if paths.any(|path| path.is_ours() && path.target == target) {
            self.delete_path(route.destination, target)?;
            table.forget(route.destination, target);
        }
        Ok(())
    }

    /// Removes a path, by its gateway. That it is not there is no error.
    pub(super) fn delete_path(
        &mut self,
        destination: Ipv6Net,
        target: Option<RouteTarget>,
    ) -> Result<(), Errno> {
        let Some(target) = target else { return Ok(()) };
        match self.write(|sequence| route_message::delete(destination, target, sequence)) {
            Err(Errno::SRCH) => Ok(()),
            result => result,
        }
    }

    /// Whether a learnt path is left over: the kernel does not follow advertisements on its link.
    fn is_orphan(&mut self, is_learnt: bool, target: Option<RouteTarget>) -> bool {
        let interface = target.and_then(RouteTarget::interface).filter(|_| is_learnt);
        let Some(interface) = interface else { return false };
        let Ok(name) = self.name(interface) else { return false };
        let info = self.interface_info(&name);
        info.is_ok_and(|info| info.flags() & abi::ACCEPT_ADVERTISEMENTS == 0)
    }

    fn write(&mut self, message: impl FnOnce(u32) -> Vec<u8>) -> Result<(), Errno> {
        self.sequence = self.sequence.wrapping_add(1);
        self.calls.write(&message(self.sequence))
    }
}

/// Whether FreeBSD changes a path to `before` into one to `after`: a gateway into a reject route it
/// does not.
const fn is_changeable(before: Option<RouteTarget>, after: RouteTarget) -> bool {
    match (before, after) {
        (Some(_), RouteTarget::Gateway(..)) => true,
        (Some(RouteTarget::Unreachable), RouteTarget::Unreachable) => true,
        (_, RouteTarget::OnLink(_) | RouteTarget::Unreachable) | (None, _) => false,
    }
}
