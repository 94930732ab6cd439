//! Where leases are, and the other server that takes over.

use serde_json::{Value, json};

use super::Files;
use crate::config::{HighAvailability, LeaseDatabase, Role};
use crate::net::stable_hash;

/// The subnet of a file of leases, which holds no other.
const ONLY: u32 = 1;
/// Where Debian's PostgreSQL has its socket.
const POSTGRESQL: &str = "/run/postgresql";
/// How often the two servers of a pair ask each other whether they are there, and after what
/// silence one goes on alone, both in milliseconds. After each change of the configuration neither
/// answers before three of the former have passed.
const HEARTBEAT: u32 = 100;
const DEAD_AFTER: u32 = 1000;
/// A lease that the other one has not taken note of by then is given all the same, in milliseconds.
const UPDATED_WITHIN: u32 = 500;

impl Files {
    /// Whether another server may answer in the place of this one.
    pub(super) const fn has_others(&self) -> bool {
        self.database.is_some() || self.pair.is_some()
    }

    /// The subnet of a downlink: in a database there may be those of others.
    pub(super) fn subnet(&self, downlink: &str) -> u32 {
        if self.database.is_none() {
            return ONLY;
        }
        // The program takes numbers from 1 to 4294967294.
        let hash = stable_hash(downlink.as_bytes());
        u32::try_from(hash % u64::from(u32::MAX - 2)).unwrap_or_default() + 1
    }

    /// Where the leases are.
    pub(super) fn leases(&self) -> Value {
        let Some(LeaseDatabase { host, name, user, .. }) = &self.database else {
            let name = self.state.join("leases.csv");
            return json!({"type": "memfile", "persist": true, "name": name});
        };
        let host = host.as_deref().unwrap_or(POSTGRESQL);
        let mut database = json!({
            "type": "postgresql", "name": name, "host": host, "user": user,
            "connect-timeout": 2, "max-reconnect-tries": 1_000_000, "reconnect-wait-time": 1000,
            "on-fail": "serve-retry-continue",
        });
        if let Some(password) = &self.password {
            database["password"] = password.as_str().into();
        }
        database
    }

    /// The hooks, all of them free.
    pub(super) fn hooks(&self) -> Value {
        let mut hooks = vec![json!({"library": self.lease_commands})];
        if let Some(pair) = &self.pair {
            let library = self.lease_commands.with_file_name("libdhcp_ha.so");
            let parameters = json!({"high-availability": [self.pair(pair)]});
            hooks.push(json!({"library": library, "parameters": parameters}));
        }
        hooks.into()
    }

    fn pair(&self, HighAvailability { role, url, partner }: &HighAvailability) -> Value {
        let (own, other) = match role {
            Role::Primary => ("primary", "standby"),
            Role::Standby => ("standby", "primary"),
        };
        // In one database each has the leases of the other already.
        let has_own = self.database.is_none();
        json!({
            "this-server-name": own,
            "mode": "hot-standby",
            "heartbeat-delay": HEARTBEAT,
            "max-response-delay": DEAD_AFTER,
            "max-ack-delay": UPDATED_WITHIN,
            "max-unacked-clients": 0,
            "send-lease-updates": has_own,
            "sync-leases": has_own,
            "multi-threading": {
                "enable-multi-threading": true, "http-dedicated-listener": true,
                "http-listener-threads": 1, "http-client-threads": 1,
            },
            "peers": [
                {"name": own, "url": format!("http://{url}/"), "role": own},
                {"name": other, "url": format!("http://{partner}/"), "role": other},
            ],
        })
    }
}
