//! A small world in virtual time, for tests and for the fuzzer: the core as it is, on fake kernels,
//! with links, hosts and a provider around it.
//!
//! It is pure as the core is: no clock, no socket, no chance but a seed. The same calls give the
//! same course.
//!
//! | room | holds |
//! | --- | --- |
//! | [`kernel`] | the fake kernel: takes steps as Linux does, refuses, has events |
//! | [`node`] | one agent on its machine: core, kernel, memory; killed and started again |
//! | [`host`] | a host that configures itself |
//! | [`provider`] | the router above, with its DHCPv6 server |
//! | [`network`] | links, what travels on them, and the queue of all that is to happen |
//!
//! A provider, one router below it, and one host below that; then the provider changes its prefix:
//!
//! ```
//! use std::time::Duration;
//!
//! use renumberd::config::Config;
//! use renumberd::core::memory::Memory;
//! use renumberd::net::IfIndex;
//! use renumberd::sim::host::Host;
//! use renumberd::sim::kernel::{Kernel, link};
//! use renumberd::sim::network::{Network, Station};
//! use renumberd::sim::node::Node;
//! use renumberd::sim::provider::{Provider, advertisement, prefix_option};
//! use renumberd::time::Instant;
//! use renumberd::wire::dhcpv6_option::Duid;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut network = Network::new(Instant::from_secs(1000));
//! let (above, below) = (network.add_segment(), network.add_segment());
//!
//! let mut provider = Provider::new("2001:db8:a000::/56".parse()?);
//! let on_link = prefix_option("2001:db8:ffff::/64".parse()?, 7200, 3600);
//! provider.advertisement = Some(advertisement(vec![on_link]));
//! let provider = network.add_provider(above, provider);
//!
//! let mut kernel = Kernel::default();
//! kernel.attach(link(IfIndex(2), "up"), "fe80::2".parse()?);
//! kernel.attach(link(IfIndex(3), "lan"), "fe80::3".parse()?);
//! let config = Config::from_args(&["up".to_owned()], &["lan".to_owned()]);
//! let config = config.map_err(|errors| format!("{errors:?}"))?;
//! let (memory, duid) = (Memory::default(), Duid::from_uuid([0x52; 16]));
//! let router = network.add_node(Node::new(config, memory, duid, kernel, network.now));
//! network.attach(above, Station::Node(router), IfIndex(2));
//! network.attach(below, Station::Node(router), IfIndex(3));
//! let host = network.add_host(below, Host::new("fe80::c".parse()?));
//!
//! network.run_for(Duration::from_secs(60));
//! let before = network.hosts[host].preferred(network.now);
//! assert!(before[0].starts_with("2001:db8:a000:"), "{before:?}");
//!
//! network.providers[provider].renumber("2001:db8:b000::/56".parse()?);
//! let on_link = prefix_option("2001:db8:eeee::/64".parse()?, 7200, 3600);
//! network.providers[provider].advertisement = Some(advertisement(vec![on_link]));
//! network.advertise(provider);
//! network.run_for(Duration::from_secs(10));
//! let after = network.hosts[host].preferred(network.now);
//! assert!(after.len() == 1 && after[0].starts_with("2001:db8:b000:"), "{after:?}");
//! # Ok(())
//! # }
//! ```

pub mod host;
pub mod kernel;
pub mod network;
pub mod node;
pub mod provider;
