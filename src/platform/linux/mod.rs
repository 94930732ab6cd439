//! Linux: netlink for state and events, `/proc/sys` for settings.
