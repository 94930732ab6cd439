//! `[client.INTERFACE]`

use crate::config::table::Table;
use crate::config::value;
use crate::config::{AddressMode, Client, Delegate, Scripts, Uplink};
use crate::wire::dhcpv6_option::Iaid;

/// The uplink of a host: the kernel makes its addresses and routes.
pub(super) fn client(table: &Table<'_>) -> Uplink {
    let default = Client::default();
    let is = |key, otherwise| table.get(key, value::boolean).unwrap_or(otherwise);
    let client = Client {
        force: is("force", default.force),
        random_delay: is("random-delay", default.random_delay),
        mend: is("mend", default.mend),
        optimistic_dad: is("optimistic-dad", default.optimistic_dad),
        resolver: table.get("resolver", value::resolver_target).unwrap_or(default.resolver),
        resolver_per_router: is("resolver-per-router", default.resolver_per_router),
        networks: table.get("networks", value::file),
        networks_command: table.list("networks-command", value::argument).unwrap_or_default(),
        scripts: Scripts {
            managed: table.get("managed-script", value::file),
            other: table.get("other-script", value::file),
            always: table.get("always-script", value::file),
        },
        register_addresses: is("register-addresses", default.register_addresses),
        delegate: is("delegate", default.delegate),
    };
    let uplink = Uplink {
        routers: table.list("routers", value::router).unwrap_or_default(),
        verify_omission: is("verify-omission", true),
        ..Uplink::of(client)
    };
    table.finish();
    uplink
}

impl Uplink {
    /// The uplink of a host.
    pub fn of(client: Client) -> Self {
        let asked = client.delegate.then_some(Delegate { iaid: Iaid(1), length: None });
        Self {
            address: AddressMode::Kernel,
            default_route: false,
            request_address: false,
            delegate: asked.into_iter().collect(),
            client: Some(client),
            ..Self::default()
        }
    }
}
