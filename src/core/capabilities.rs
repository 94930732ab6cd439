//! What kernels do differently, as far as it matters to what is asked of them.

/// The metric of all routes where routes have none, so that what is asked for equals what is there.
pub const ONLY_METRIC: u32 = 248;

/// What the kernel of this machine can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capabilities {
    /// Several routes to one destination stand beside each other and the best metric is used.
    /// Elsewhere they would share the traffic: one of them is asked for.
    pub routes_have_metrics: bool,
    /// The kernel keeps the end of an unreachable route and removes it then. Elsewhere such a route
    /// is asked for without an end: one that is wanted would be a difference for ever.
    pub unreachable_routes_end: bool,
    /// The kernel makes the route to a link with an address of it, and takes it away with the last
    /// one; a route that is set beside leads to no neighbor. Elsewhere such a route is asked for.
    pub addresses_bring_link_routes: bool,
}
