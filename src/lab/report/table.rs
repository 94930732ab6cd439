//! The result for people.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use super::Report;
use super::Stack;
use super::json::times_the_floor;
use super::statistics::{self, Spread, millis};
use super::timeline;
use crate::lab::observe::milestones::{Late, Run};
use crate::lab::observe::packets;
use crate::lab::site::nodes::Node;

/// Renders the table, the timeline of the median run, and what was late.
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_report(&mut text, report);
    text
}

fn write_report(text: &mut String, report: &Report) -> std::fmt::Result {
    let Some((stack, runs)) = report.main() else { return Ok(()) };
    writeln!(text, "{}\n", title(report))?;
    write_table(text, report, runs)?;
    write_comparison(text, report)?;
    write_packets(text, runs)?;
    if let Some((position, run)) = statistics::median_run(runs) {
        let whose = if stack == Stack::Floor { " of the floor" } else { "" };
        writeln!(text, "\nTimeline of the median run{whose} (run {}):\n", position + 1)?;
        text.push_str(&timeline::render(run));
    }
    for (stack, runs) in &report.runs {
        write_late(text, *stack, runs, report)?;
    }
    for remark in &report.remarks {
        writeln!(text, "\n{remark}")?;
    }
    if report.is_partial {
        writeln!(text, "\nInterrupted.")?;
    }
    Ok(())
}

/// What was measured, in one line.
pub fn title(report: &Report) -> String {
    let options = &report.options;
    let count = |count: usize, one: &str| {
        if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
    };
    let mut title = format!(
        "Renumbering: {}, {}, {}, {}",
        options.scenario.name(),
        count(options.site.hops, "router"),
        count(
            options.site.clients,
            if options.optimistic { "optimistic client" } else { "client" }
        ),
        count(report.main().map_or(0, |(_, runs)| runs.len()), "run"),
    );
    if options.loss > 0.0 {
        let _ = write!(title, ", {} % loss on each link", round(options.loss * 100.0));
    }
    if options.busy {
        title.push_str(", all cores busy");
    }
    if options.fifo {
        title.push_str(", agents SCHED_FIFO");
    }
    title
}

fn write_table(text: &mut String, report: &Report, runs: &[Run]) -> std::fmt::Result {
    let floor = report.of(Stack::Floor);
    let compare = report.runs.len() > 1 && !floor.is_empty();
    let floors = if compare { statistics::milestones(floor) } else { Default::default() };
    let mut table = Table::new();
    let head = ["system", "milestone (ms)", "min", "median", "p90", "max"];
    table.set_header(head.into_iter().chain(compare.then_some("floor")));
    let mut last = None;
    for ((node, event), spread) in statistics::milestones(runs) {
        let name = if last == Some(node) { String::new() } else { node.name() };
        last = Some(node);
        table.add_row(row(&name, event.title(), Some(spread), floors.get(&(node, event))));
    }
    let floor = statistics::converged(floor).filter(|_| compare);
    table.add_row(row("all", "converged", statistics::converged(runs), floor.as_ref()));
    writeln!(text, "{}", aligned(table, 2))
}

fn row(name: &str, what: &str, spread: Option<Spread>, floor: Option<&Spread>) -> Vec<String> {
    let mut cells = vec![name.to_owned(), what.to_owned()];
    match spread {
        Some(Spread { min, median, p90, max, .. }) => {
            cells.extend([min, median, p90, max].map(|time| format!("{time:.2}")));
        }
        None => cells.extend(["-"; 4].map(str::to_owned)),
    }
    cells.extend(floor.map(|floor| format!("{:.2}", floor.median)));
    cells
}

/// The first `names` columns hold words, the others numbers.
fn aligned(mut table: Table, names: usize) -> String {
    table.load_style(presets::NOTHING);
    for (position, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if position >= names {
            column.set_padding((2, 0)).set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// How fast prefixes are carried, without what clients take.
fn write_comparison(text: &mut String, report: &Report) -> std::fmt::Result {
    let hops = report.options.site.hops;
    let last = Node::Router(hops).name();
    let carried: Vec<(Stack, Spread)> = report
        .runs
        .iter()
        .filter_map(|(stack, runs)| Some((*stack, statistics::carried(runs, hops)?)))
        .collect();
    if !carried.is_empty() {
        writeln!(text, "\nFrom the provider's RA to {last}'s RA, in the median:")?;
    }
    for (stack, Spread { median, .. }) in carried {
        let each = median / f64::from(u32::try_from(hops).unwrap_or(1));
        writeln!(text, "  {:10}{median:>7.2} ms, {each:.2} ms a router", stack.name())?;
    }
    if let Some(times) = times_the_floor(report) {
        writeln!(text, "  {times:.1} times the floor")?;
    }
    Ok(())
}

/// What a change costs, by who sent it.
fn write_packets(text: &mut String, runs: &[Run]) -> std::fmt::Result {
    let summary = packets::summary(runs);
    if summary.is_empty() {
        return Ok(());
    }
    let mut table = Table::new();
    table.set_header(["", "RAs to all", "RAs to one", "DHCPv6"]);
    for (node, kinds) in summary {
        let kinds = kinds.into_iter().map(|(_, mean, max)| format!("{mean:.2} ({max})"));
        table.add_row(std::iter::once(node.name()).chain(kinds));
    }
    writeln!(text, "\nPackets sent in a change, in the mean (and at most):\n{}", aligned(table, 1))
}

fn write_late(text: &mut String, stack: Stack, runs: &[Run], report: &Report) -> std::fmt::Result {
    for (position, run) in runs.iter().enumerate().filter(|(_, run)| !run.late.is_empty()) {
        let max = humantime::format_duration(report.options.max);
        let took = match run.converged {
            Some(took) => format!("converged after {:.2} ms", millis(took)),
            None => "did not converge".to_owned(),
        };
        writeln!(text, "\nLate ({max} at most): {} run {} {took}", stack.name(), position + 1)?;
        let mut nodes: Vec<Node> = run.late.iter().map(|late| late.node).collect();
        nodes.dedup();
        for node in nodes {
            let late: Vec<String> =
                run.late.iter().filter(|late| late.node == node).map(lateness).collect();
            writeln!(text, "  {:10}{}", node.name(), late.join(", "))?;
        }
    }
    Ok(())
}

fn lateness(late: &Late) -> String {
    match late.after {
        Some(after) => format!("{} at {:.2} ms", late.event.title(), millis(after)),
        None => format!("{}: not seen", late.event.title()),
    }
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn a_newcomer_reads_how_fast_it_was_and_what_was_late() {
        let text = render(&testing::report());
        let expected = "\
Renumbering: flash, 1 router, 1 client, 3 runs

system    milestone (ms)             min  median   p90   max  floor
isp       RA sent                   0.10    0.10  0.10  0.10   0.10
outbound  new RA heard              0.10    0.10  0.10  0.10   0.10
          delegated prefix          0.16    0.16  0.16  0.16   0.16
          RA sent                   0.50    0.55  0.70  0.70   0.30
client1   new address, tentative    0.55    0.60  0.75  0.75   0.35
          first echo reply          0.56    0.58  0.61  0.61   0.36
all       converged                 0.56    0.58  0.61  0.61   0.36

From the provider's RA to outbound's RA, in the median:
  native       0.45 ms, 0.45 ms a router
  floor        0.20 ms, 0.20 ms a router
  2.2 times the floor

Packets sent in a change, in the mean (and at most):
       RAs to all  RAs to one    DHCPv6
isp      1.00 (1)    0.00 (0)  2.00 (2)

Timeline of the median run (run 1):
";
        assert!(text.starts_with(expected), "{text}");
        let end = "\
Late (25s at most): native run 3 did not converge
  client1   first echo reply: not seen

run 3: all processes run; client1 logged last:

";
        assert!(text.ends_with(end), "{text}");
    }
}
