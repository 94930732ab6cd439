//! The TOML file, key for key, and its way into [`Config`].

use std::collections::BTreeMap;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::keys::{self, Keys};
use super::table::{File, Table};
use super::value::{self, Wrong};
use super::{
    Advertise, Config, ConfigError, Delegate, Downlink, Engine, Listen, Program, Uplink, rules,
};

mod client;
mod delegations;
mod engine;
mod relay;

/// Default of MinRtrAdvInterval as a part of the maximum, and below nine seconds (RFC 4861 §6.2.1).
const MIN_INTERVAL_PART: f64 = 0.33;
const MOST_MIN_INTERVAL_PART: f64 = 0.75;
const SHORT_INTERVAL: Duration = Duration::from_secs(9);

/// Reads a configuration from the text of a file.
///
/// # Errors
///
/// Every [`ConfigError`] found; one for a syntax error, as many as there are for wrong values.
pub fn parse(name: &str, text: &str) -> Result<Config, Vec<ConfigError>> {
    let file = File::new(name, text);
    let config = match DeTable::parse(text) {
        Ok(root) => {
            let config = read(&Table::root(&file, root.get_ref()));
            let findings = rules::check(&config).into_iter();
            let is_there =
                |finding: &rules::Finding| finding.lacks.iter().any(|kind| file.misses(kind));
            for finding in findings.filter(|finding| !is_there(finding)) {
                let at = position(root.get_ref(), &finding.path);
                file.wrong(at, &finding.path.join("."), finding.wrong);
            }
            config
        }
        Err(error) => {
            let at = error.span().map(|span| span.start);
            let problem = error.message().trim().replace('\n', ", ");
            file.wrong(at, "", Wrong::new(problem, "write TOML: KEY = VALUE, [TABLE.NAME]"));
            Config::default()
        }
    };
    let errors = file.into_errors();
    if errors.is_empty() { Ok(config) } else { Err(errors) }
}

/// Where the last key of `path` that the file has begins.
fn position(root: &DeTable<'_>, path: &[String]) -> Option<usize> {
    let (first, rest) = path.split_first()?;
    let (key, value) = root.get_key_value(first.as_str())?;
    let below = value.get_ref().as_table().and_then(|table| position(table, rest));
    Some(below.unwrap_or_else(|| match value.get_ref() {
        DeValue::Table(_) => key.span().start,
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_) => value.span().start,
    }))
}

fn read(root: &Table<'_>) -> Config {
    let default = Config::default();
    let engine_named = |(name, table): (String, Table<'_>)| {
        let engine = root.part_of(&keys::ENGINE, || engine::engine(&name, &table))?;
        Some((name, engine))
    };
    let engines: BTreeMap<String, Engine> =
        root.tables(&keys::ENGINE).into_iter().filter_map(engine_named).collect();
    let delegations = named(root, &keys::DELEGATION, delegations::delegation);
    let pools = named(root, &keys::POOL, delegations::pool);
    let serves = |name: &String| {
        delegations.values().any(|delegation| delegation.downlink == *name)
            || pools.values().any(|pool| pool.downlink == *name)
    };
    let config = Config {
        duid: root.get("duid", value::duid),
        grace: root.get("grace", value::pause).unwrap_or(default.grace),
        on_stop: root.get("on-stop", value::on_stop).unwrap_or(default.on_stop),
        forward: root.get("forward", value::boolean).unwrap_or(default.forward),
        scheduling: root.get("scheduling", value::scheduling).unwrap_or(default.scheduling),
        uplink_loss_hold: root
            .get("uplink-loss-hold", value::pause)
            .unwrap_or(default.uplink_loss_hold),
        ready_timeout: root.get("ready-timeout", value::pause).unwrap_or(default.ready_timeout),
        metrics: root.inner("metrics").and_then(|table| metrics(&table)),
        is_confined: default.is_confined,
        layout: root.get("layout", value::layout).unwrap_or(default.layout),
        uplinks: uplinks(root, &engines),
        downlinks: root
            .tables(&keys::DOWNLINK)
            .into_iter()
            .map(|(name, table)| {
                let downlink = downlink(&table, serves(&name));
                (name, downlink)
            })
            .collect(),
        statics: named(root, &keys::STATIC, |table| Some(delegations::fixed(table))),
        relays: named(root, &keys::RELAY, |table| Some(relay::relay(table))),
        delegations,
        pools,
        engines,
    };
    root.finish();
    config
}

fn metrics(table: &Table<'_>) -> Option<Listen> {
    let remedy = "write where: listen = \"[::1]:9560\"";
    let listen = table.need("listen", remedy, value::listen);
    table.finish();
    listen
}

/// The tables of a kind, by name.
fn named<T>(
    root: &Table<'_>,
    kind: &Keys,
    read: impl Fn(&Table<'_>) -> Option<T>,
) -> BTreeMap<String, T> {
    let tables = root.tables(kind).into_iter();
    tables.filter_map(|(name, table)| Some((name, read(&table)?))).collect()
}

/// Uplinks, and the interfaces on which this machine is a host.
fn uplinks(root: &Table<'_>, engines: &BTreeMap<String, Engine>) -> BTreeMap<String, Uplink> {
    let mut uplinks = named(root, &keys::UPLINK, |table| Some(uplink(table, engines)));
    for (name, table) in root.tables(&keys::CLIENT) {
        let client = client::client(&table);
        if uplinks.insert(name.clone(), client).is_some() {
            let problem = format!("{name} is an uplink too");
            let remedy = "leave it out here or there: a machine is router or host on a link";
            table.unwanted(Wrong::new(problem, remedy));
        }
    }
    uplinks
}

/// An uplink. What the program that requests its prefixes does as well is left to it.
fn uplink(table: &Table<'_>, engines: &BTreeMap<String, Engine>) -> Uplink {
    let requester = table.get("requester", value::engine).flatten();
    let program = requester.as_ref().and_then(|name| {
        engines.get(name).map(|engine| engine.program).or_else(|| Program::named(name))
    });
    let default = program.map_or_else(Uplink::default, Uplink::requested_by);
    let is = |key, otherwise| table.get(key, value::boolean).unwrap_or(otherwise);
    let uplink = Uplink {
        requester,
        address: table.get("address", value::address_mode).unwrap_or(default.address),
        routers: table.list("routers", value::router).unwrap_or(default.routers),
        delegate: table.part_of(&keys::UPLINK, || delegate(table)).unwrap_or(default.delegate),
        request_address: is("request-address", default.request_address),
        default_route: is("default-route", default.default_route),
        rapid_commit: is("rapid-commit", default.rapid_commit),
        reconfigure: is("reconfigure", default.reconfigure),
        solicit_on_reconnect: table
            .get("on-reconnect", value::on_reconnect)
            .unwrap_or(default.solicit_on_reconnect),
        verify_omission: is("verify-omission", default.verify_omission),
        strict: is("strict", default.strict),
        shortest_prefix: table
            .get("shortest-prefix", value::octet(1..=64))
            .unwrap_or(default.shortest_prefix),
        probe: table.get("probe", value::address),
        client: None,
    };
    table.finish();
    uplink
}

fn delegate(table: &Table<'_>) -> Option<Vec<Delegate>> {
    let mut all: Vec<Delegate> = Vec::new();
    for asked in table.list_of_tables("delegate")? {
        let iaid = asked.get("iaid", value::iaid);
        let length = asked.get("length", value::octet(1..=64));
        let has_iaid = asked.has("iaid");
        asked.finish();
        let Some(iaid) = iaid else {
            if !has_iaid {
                table.wrong("delegate", Wrong::new("an item has no IAID", "write { iaid = 1 }"));
            }
            continue;
        };
        if all.iter().any(|other| other.iaid == iaid) {
            let problem = format!("IAID {iaid} is there twice");
            table.wrong("delegate", Wrong::new(problem, "give each item an IAID of its own"));
        }
        all.push(Delegate { iaid, length });
    }
    Some(all)
}

/// A downlink; `serves` says that something is delegated on it.
fn downlink(table: &Table<'_>, serves: bool) -> Downlink {
    let default = Downlink::default();
    let downlink = Downlink {
        subnet: table.get("subnet", value::place),
        from: table.get("from", value::source),
        address: table.get("address", value::interface_id).unwrap_or(default.address),
        priority: priority(table),
        rapid_commit: table.get("rapid-commit", value::boolean).unwrap_or(default.rapid_commit),
        relays: table.get("relays", value::relay_sources).unwrap_or(default.relays),
        advertise: advertise(table, serves),
        advertiser: table.get("advertiser", value::engine).flatten(),
        delegator: table.get("delegator", value::engine).flatten(),
    };
    table.finish();
    downlink
}

fn priority(table: &Table<'_>) -> i32 {
    let range = i64::from(i32::MIN)..=i64::from(i32::MAX);
    let priority = table.get("priority", value::number(range));
    priority.and_then(|priority| i32::try_from(priority).ok()).unwrap_or_default()
}

fn advertise(table: &Table<'_>, serves: bool) -> Advertise {
    let default = Advertise::default();
    let is = |key, otherwise| table.get(key, value::boolean).unwrap_or(otherwise);
    let seconds = |key, range| table.get(key, value::whole_seconds(range));
    let short =
        |key, most| table.get(key, value::duration(Duration::ZERO..=most)).unwrap_or_default();
    let (max_interval, min_interval) = intervals(table);
    let advertise = Advertise {
        enabled: is("advertise", default.enabled),
        max_interval,
        min_interval,
        min_delay: table
            .get(
                "min-delay-between-ras",
                value::duration(Duration::from_millis(30)..=Duration::from_secs(3)),
            )
            .unwrap_or(default.min_delay),
        router_lifetime: seconds("router-lifetime", 0..=65_535)
            .unwrap_or_else(|| default.router_lifetime.max(max_interval)),
        preference: table.get("preference", value::preference).unwrap_or(default.preference),
        managed: is("managed", default.managed),
        // A host that does not know the P flag requests a prefix where the O flag says that there
        // is DHCPv6 (RFC 9762 §5).
        other: table.get("other", value::boolean).or_else(|| serves.then_some(true)),
        on_link: is("on-link", default.on_link),
        autonomous: is("autonomous", default.autonomous),
        preferred_limit: limit(table, "preferred-lifetime").unwrap_or(default.preferred_limit),
        valid_limit: limit(table, "valid-lifetime").unwrap_or(default.valid_limit),
        shorten: is("shorten-lifetimes", default.shorten),
        hop_limit: table.get("hop-limit", value::octet(0..=255)).unwrap_or(default.hop_limit),
        reachable_time: short("reachable-time", Duration::from_secs(3600)),
        retrans_timer: short("retrans-timer", Duration::from_secs(3600)),
        mtu: table
            .get("mtu", value::number(1280..=i64::from(u32::MAX)))
            .and_then(|mtu| u32::try_from(mtu).ok()),
        rdnss: table.list("rdnss", value::resolver).unwrap_or(default.rdnss),
        dnssl: table.list("dnssl", value::search_list).unwrap_or(default.dnssl),
        routes: table.list("routes", value::prefix).unwrap_or(default.routes),
        pref64: table.get("pref64", value::nat64_prefix),
        captive_portal: table.get("captive-portal", value::uri),
        unicast_answers: is("unicast-answers", default.unicast_answers),
        unicast_copies: is("unicast-copies", default.unicast_copies),
    };
    relations(table, &advertise);
    advertise
}

/// MaxRtrAdvInterval, and MinRtrAdvInterval, which is derived from it by default.
fn intervals(table: &Table<'_>) -> (Duration, Duration) {
    let range = Duration::from_secs(4)..=Duration::from_secs(1800);
    let most = table
        .get("max-interval", value::duration(range))
        .unwrap_or_else(|| Advertise::default().max_interval);
    let part = if most < SHORT_INTERVAL { MOST_MIN_INTERVAL_PART } else { MIN_INTERVAL_PART };
    let ceiling = most.mul_f64(MOST_MIN_INTERVAL_PART);
    let least = table
        .get("min-interval", value::duration(Duration::from_secs(3)..=ceiling))
        .unwrap_or_else(|| most.mul_f64(part));
    (most, least.max(Duration::from_secs(3)))
}

fn relations(table: &Table<'_>, advertise: &Advertise) {
    let Advertise { router_lifetime, max_interval, preferred_limit, valid_limit, .. } = advertise;
    if !router_lifetime.is_zero() && router_lifetime < max_interval {
        let least = humantime::format_duration(*max_interval);
        table.wrong(
            "router-lifetime",
            Wrong::new(
                format!("is shorter than max-interval, {least}"),
                format!("write \"0s\", or \"{least}\" or more"),
            ),
        );
    }
    lifetimes(table, *preferred_limit, *valid_limit);
}

/// A lifetime that is not for ever.
fn limit(table: &Table<'_>, key: &'static str) -> Option<Duration> {
    table.get(key, value::whole_seconds(1..=u64::from(u32::MAX) - 1))
}

/// What is preferred is valid.
fn lifetimes(table: &Table<'_>, preferred: Duration, valid: Duration) {
    if preferred > valid {
        let valid = humantime::format_duration(valid);
        table.wrong(
            "preferred-lifetime",
            Wrong::new(
                format!("is longer than valid-lifetime, {valid}"),
                "shorten it, or lengthen valid-lifetime",
            ),
        );
    }
}
