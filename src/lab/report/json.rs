//! The result for programs.
//!
//! The schema is stable: fields may be added, none is renamed or removed without another number in
//! `schema`. Times are milliseconds from the moment when the change is made at the provider (in the
//! scenario `redial`: when the line can carry packets again), to the microsecond.
//!
//! | field | |
//! | --- | --- |
//! | `schema` | 1 |
//! | `scenario`, `hops`, `clients`, `optimistic_clients`, `loss` (0 to 1), `busy`, `fifo`, `max_ms` | what was measured |
//! | `stacks` | names of those that were measured, in order: `native`, `company`, `article`, `floor` |
//! | `runs` | of `native`, in order |
//! | `runs[].converged_ms` | when the last milestone was reached; null where one was not |
//! | `runs[].milestones[]` | `node`, `event`, `ms`, in the order of time |
//! | `runs[].late[]` | `node`, `event`, `ms` (null: not reached) of those later than `max_ms` |
//! | `runs[].packets[]` | what each `node` sent until all had converged, and for 2.2 s at least: `ra_multicast`, `ra_unicast`, `dhcpv6` |
//! | `company_runs`, `article_runs`, `floor_runs` | the same of the other stacks |
//! | `summary.native`, `summary.company`, `summary.article`, `summary.floor` | over runs: `runs`, `converged`, `converged_ms`, `milestones[]` |
//! | `summary.native.converged_ms` | `count`, `min`, `median`, `p90`, `max`; null where no run converged |
//! | `summary.native.milestones[]` | `node`, `event`, and the same figures |
//! | `summary.native.carried[]` | `node` of each router, and the same figures of the time from the provider's advertisement to its own |
//! | `summary.native.since_heard[]` | `node` of each router, `step`, and the same figures of the time from the advertisement that it heard: `addressed`, `asked` (the first Renew, Rebind or Solicit), `solicited`, `delegated`, `downlinked`, `advertised` |
//! | `summary.native.packets[]` | `node`, and of each kind `mean` and `max` over runs |
//! | `summary.times` | by name of each other stack: its last router's median `carried` divided by that of the first of `stacks` |
//! | `summary.times_the_floor` | last router's median `carried` of the agents divided by the floor's; null without |
//!
//! Nodes: `isp`, `outbound`, `backbone`, `wlan`, `lab`, `attic`, `shed`, `client1` … Events:
//! `heard`, `addressed`, `delegated`, `downlinked`, `advertised` of routers (of the provider the
//! last alone); `tentative`, `preferred`, `reachable`, `deprecated` of clients.

use serde_json::{Map, Value, json};

use super::Report;
use super::Stack;
use super::statistics::{self, Spread, millis};
use crate::lab::observe::milestones::Run;
use crate::lab::observe::packets::{self, Packets};
use crate::lab::site::nodes::Node;

const SCHEMA: u32 = 1;

/// Renders the report.
pub fn render(report: &Report) -> String {
    let options = &report.options;
    let hops = options.site.hops;
    let mut summary = Map::new();
    for (stack, runs) in report.all() {
        summary.insert(stack.name().to_owned(), of_stack(runs, hops));
    }
    summary.insert("times".to_owned(), times(report));
    summary.insert("times_the_floor".to_owned(), json!(times_the_floor(report)));
    let mut whole = json!({
        "schema": SCHEMA,
        "scenario": options.scenario.name(),
        "hops": hops,
        "clients": options.site.clients,
        "optimistic_clients": options.optimistic,
        "loss": options.loss,
        "busy": options.busy,
        "fifo": options.fifo,
        "max_ms": millis(options.max),
        "stacks": report.all().map(|(stack, _)| stack.name()).collect::<Vec<&str>>(),
        "runs": runs(report.of(Stack::Native)),
        "summary": summary,
    });
    if let Some(fields) = whole.as_object_mut() {
        for (stack, of) in report.all().filter(|(stack, _)| *stack != Stack::Native) {
            fields.insert(format!("{}_runs", stack.name()), runs(of));
        }
    }
    format!("{whole:#}\n")
}

/// How often the agents took what the floor takes, from the provider's advertisement to that of
/// the last router; none where there is no floor to compare with.
pub fn times_the_floor(report: &Report) -> Option<f64> {
    let (native, floor) = (report.of(Stack::Native), report.of(Stack::Floor));
    statistics::times(floor, native, report.options.site.hops)
}

fn times(report: &Report) -> Value {
    let Some((_, first)) = report.main() else { return Value::Null };
    let of = |(stack, runs): (Stack, &[Run])| {
        (stack.name().to_owned(), json!(statistics::times(first, runs, report.options.site.hops)))
    };
    Value::Object(report.all().skip(1).map(of).collect())
}

fn runs(runs: &[Run]) -> Value {
    let of = |run: &Run| {
        let milestones: Vec<Value> = run
            .milestones
            .iter()
            .map(|m| json!({ "node": m.node.name(), "event": m.event.name(), "ms": millis(m.after) }))
            .collect();
        let late: Vec<Value> = run
            .late
            .iter()
            .map(|late| {
                let ms = late.after.map(millis);
                json!({ "node": late.node.name(), "event": late.event.name(), "ms": ms })
            })
            .collect();
        let converged = run.converged.map(millis);
        json!({
            "converged_ms": converged,
            "milestones": milestones,
            "late": late,
            "packets": packets(run),
        })
    };
    runs.iter().map(of).collect()
}

fn packets(run: &Run) -> Value {
    let of = |(node, packets): (&Node, &Packets)| {
        let mut fields = Map::new();
        fields.insert("node".to_owned(), json!(node.name()));
        fields.extend(packets.kinds().map(|(kind, count)| (kind.to_owned(), json!(count))));
        Value::Object(fields)
    };
    run.packets.iter().map(of).collect()
}

fn packets_of_all(runs: &[Run]) -> Value {
    let of = |(node, kinds): (Node, Vec<(&str, f64, usize)>)| {
        let mut fields = Map::new();
        fields.insert("node".to_owned(), json!(node.name()));
        for (kind, mean, max) in kinds {
            fields.insert(kind.to_owned(), json!({ "mean": mean, "max": max }));
        }
        Value::Object(fields)
    };
    packets::summary(runs).into_iter().map(of).collect()
}

fn of_stack(runs: &[Run], hops: usize) -> Value {
    let milestones: Vec<Value> = statistics::milestones(runs)
        .into_iter()
        .map(|((node, event), spread)| {
            figures(&[("node", node.name()), ("event", event.name().to_owned())], spread)
        })
        .collect();
    let carried: Vec<Value> = (1..=hops)
        .filter_map(|depth| {
            let spread = statistics::carried(runs, depth)?;
            Some(figures(&[("node", Node::Router(depth).name())], spread))
        })
        .collect();
    let since_heard: Vec<Value> = (1..=hops)
        .flat_map(|depth| {
            let node = Node::Router(depth).name();
            statistics::steps(runs, depth).into_iter().map(move |(step, spread)| {
                figures(&[("node", node.clone()), ("step", step.name().to_owned())], spread)
            })
        })
        .collect();
    json!({
        "runs": runs.len(),
        "converged": runs.iter().filter(|run| run.converged.is_some()).count(),
        "converged_ms": statistics::converged(runs),
        "milestones": milestones,
        "carried": carried,
        "since_heard": since_heard,
        "packets": packets_of_all(runs),
    })
}

fn figures(names: &[(&str, String)], spread: Spread) -> Value {
    let mut value = json!(spread);
    if let Some(fields) = value.as_object_mut() {
        for (key, name) in names {
            fields.insert((*key).to_owned(), json!(name));
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn the_schema_is_what_programs_rely_on() {
        let result: Value = serde_json::from_str(&render(&testing::report())).unwrap();
        let keys: Vec<&str> = result.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = [
            "busy",
            "clients",
            "fifo",
            "floor_runs",
            "hops",
            "loss",
            "max_ms",
            "optimistic_clients",
            "runs",
            "scenario",
            "schema",
            "stacks",
            "summary",
        ];
        assert_eq!(keys, expected);
        assert_eq!((&result["schema"], &result["max_ms"]), (&json!(1), &json!(25_000.0)));
        assert_eq!(
            result["runs"][0],
            json!({
                "converged_ms": 0.56,
                "milestones": [
                    { "node": "isp", "event": "advertised", "ms": 0.1 },
                    { "node": "outbound", "event": "heard", "ms": 0.105 },
                    { "node": "outbound", "event": "delegated", "ms": 0.16 },
                    { "node": "outbound", "event": "advertised", "ms": 0.5 },
                    { "node": "client1", "event": "tentative", "ms": 0.55 },
                    { "node": "client1", "event": "reachable", "ms": 0.56 },
                ],
                "late": [],
                "packets": [{ "node": "isp", "ra_multicast": 1, "ra_unicast": 0, "dhcpv6": 2 }],
            })
        );
        assert_eq!(result["runs"][2]["converged_ms"], Value::Null);
        assert_eq!(
            result["runs"][2]["late"],
            json!([{ "node": "client1", "event": "reachable", "ms": null }])
        );
        let native = &result["summary"]["native"];
        assert_eq!((&native["runs"], &native["converged"]), (&json!(3), &json!(2)));
        assert_eq!(
            native["converged_ms"],
            json!({ "count": 2, "min": 0.56, "median": 0.585, "p90": 0.61, "max": 0.61 })
        );
        assert_eq!(
            native["carried"],
            json!([{
                "node": "outbound", "count": 3, "min": 0.4, "median": 0.45, "p90": 0.6, "max": 0.6
            }])
        );
        assert_eq!(
            native["packets"],
            json!([{
                "node": "isp",
                "ra_multicast": { "mean": 1.0, "max": 1 },
                "ra_unicast": { "mean": 0.0, "max": 0 },
                "dhcpv6": { "mean": 2.0, "max": 2 },
            }])
        );
        assert_eq!(native["since_heard"][0]["step"], "delegated");
        assert_eq!(native["since_heard"][0]["median"], 0.055);
        assert_eq!(result["summary"]["times_the_floor"], json!(2.25));
        assert_eq!(result["summary"]["times"], json!({ "floor": 0.44 }));
        assert_eq!(result["stacks"], json!(["native", "floor"]));
        assert_eq!(result["floor_runs"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn without_a_floor_there_is_no_comparison_with_it() {
        let mut report = testing::report();
        report.runs.truncate(1);
        let result: Value = serde_json::from_str(&render(&report)).unwrap();
        assert_eq!(result.get("floor_runs"), None);
        assert_eq!(result["summary"]["times_the_floor"], Value::Null);
    }
}
