//! `[relay.INTERFACE]`

use crate::config::Relay;
use crate::config::table::Table;
use crate::config::value;

pub(super) fn relay(table: &Table<'_>) -> Relay {
    let default = Relay::default();
    let relay = Relay {
        servers: table.list("servers", value::server).unwrap_or(default.servers),
        uplink: table.get("uplink", value::interface),
    };
    table.finish();
    relay
}
