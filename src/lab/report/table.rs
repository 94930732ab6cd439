//! The result for people.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use super::Report;
use super::Stack;
use super::json::times_the_floor;
use super::statistics::{self, Spread, Step, millis};
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
    if report.runs.is_empty() {
        return Ok(());
    }
    writeln!(text, "{}\n", title(report))?;
    write_table(text, report)?;
    write_comparison(text, report)?;
    write_steps(text, report)?;
    for (stack, runs) in report.detailed() {
        write_packets(text, &whose(report, stack), runs)?;
    }
    for (stack, runs) in report.detailed() {
        if let Some((position, run)) = statistics::median_run(runs) {
            let whose = whose(report, stack);
            writeln!(text, "\nTimeline of the median run{whose} (run {}):\n", position + 1)?;
            text.push_str(&timeline::render(run));
        }
    }
    for (stack, runs) in report.all() {
        write_late(text, stack, runs, report)?;
    }
    for remark in &report.remarks {
        writeln!(text, "\n{remark}")?;
    }
    if report.is_partial {
        writeln!(text, "\nInterrupted.")?;
    }
    Ok(())
}

/// The programs of the runs, where it is not the agents alone.
fn whose(report: &Report, stack: Stack) -> String {
    if report.detailed().count() == 1 && stack == Stack::Native {
        String::new()
    } else {
        format!(" of {}", stack.name())
    }
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

/// The first stack in detail; of the others the median, and how often it is that of the first.
fn write_table(text: &mut String, report: &Report) -> std::fmt::Result {
    let Some((_, runs)) = report.main() else { return Ok(()) };
    let others: Vec<(Stack, &[Run])> = report.all().skip(1).collect();
    let mut table = Table::new();
    let mut head = vec!["system", "milestone (ms)", "min", "median", "p90", "max"];
    for (stack, _) in &others {
        head.push(stack.name());
        head.extend((*stack != Stack::Floor).then_some("times"));
    }
    table.set_header(head);
    let mut last = None;
    let milestones: Vec<_> =
        others.iter().map(|(stack, runs)| (*stack, statistics::milestones(runs))).collect();
    for ((node, event), spread) in statistics::milestones(runs) {
        let name = if last == Some(node) { String::new() } else { node.name() };
        last = Some(node);
        let others = milestones.iter().map(|(stack, of)| (*stack, of.get(&(node, event)).copied()));
        table.add_row(row(&name, event.title(), Some(spread), others));
    }
    let converged = others.iter().map(|(stack, runs)| (*stack, statistics::converged(runs)));
    table.add_row(row("all", "converged", statistics::converged(runs), converged));
    writeln!(text, "{}", aligned(table, 2))
}

fn row(
    name: &str,
    what: &str,
    spread: Option<Spread>,
    others: impl Iterator<Item = (Stack, Option<Spread>)>,
) -> Vec<String> {
    let mut cells = vec![name.to_owned(), what.to_owned()];
    match spread {
        Some(Spread { min, median, p90, max, .. }) => {
            cells.extend([min, median, p90, max].map(|time| format!("{time:.2}")));
        }
        None => cells.extend(["-"; 4].map(str::to_owned)),
    }
    for (stack, other) in others {
        cells.push(other.map_or_else(|| "-".to_owned(), |other| format!("{:.2}", other.median)));
        if stack != Stack::Floor {
            let times =
                spread.zip(other).and_then(|(own, of)| statistics::ratio(of.median, own.median));
            cells.push(many(times));
        }
    }
    cells
}

/// How often something is something else.
fn many(times: Option<f64>) -> String {
    match times {
        None => "-".to_owned(),
        Some(times) if times >= 100.0 => format!("{times:.0}"),
        Some(times) => format!("{times:.1}"),
    }
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
    let Some((first, runs)) = report.main() else { return Ok(()) };
    let hops = report.options.site.hops;
    let mut table = Table::new();
    let head = ["", "min", "median", "p90", "max", "a router"].map(str::to_owned);
    let is_compared = report.runs.len() > 1;
    table
        .set_header(head.into_iter().chain(is_compared.then(|| format!("times {}", first.name()))));
    for (stack, of) in report.all() {
        let Some(Spread { min, median, p90, max, .. }) = statistics::carried(of, hops) else {
            continue;
        };
        let each = median / f64::from(u32::try_from(hops).unwrap_or(1));
        let figures = [min, median, p90, max, each].map(|time| format!("{time:.2}"));
        let times = is_compared.then(|| many(statistics::times(runs, of, hops)));
        table.add_row(std::iter::once(stack.name().to_owned()).chain(figures).chain(times));
    }
    if table.row_count() > 0 {
        let last = Node::Router(hops).name();
        writeln!(text, "\nFrom the provider's RA to {last}'s RA (ms):\n{}", aligned(table, 1))?;
    }
    if let Some(times) = times_the_floor(report) {
        writeln!(text, "{times:.1} times the floor")?;
    }
    Ok(())
}

/// What each router's time goes to, where programs wait for each other.
fn write_steps(text: &mut String, report: &Report) -> std::fmt::Result {
    let mut table = Table::new();
    table.set_header(["", ""].into_iter().chain(Step::ALL.map(Step::title)));
    for (stack, runs) in report.detailed() {
        let mut name = stack.name();
        for depth in 1..=report.options.site.hops {
            let steps = statistics::steps(runs, depth);
            if steps.is_empty() {
                continue;
            }
            let cell = |step| match steps.get(&step) {
                Some(Spread { median, .. }) => format!("{median:.2}"),
                None => "-".to_owned(),
            };
            let names = [std::mem::take(&mut name).to_owned(), Node::Router(depth).name()];
            table.add_row(names.into_iter().chain(Step::ALL.map(cell)));
        }
    }
    if table.row_count() > 0 {
        writeln!(
            text,
            "\nFrom the RA that a router hears, in the median (ms):\n{}",
            aligned(table, 2)
        )?;
    }
    Ok(())
}

/// What a change costs, by sender.
fn write_packets(text: &mut String, whose: &str, runs: &[Run]) -> std::fmt::Result {
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
    writeln!(
        text,
        "\nPackets sent in a change{whose}, in the mean (and at most):\n{}",
        aligned(table, 1)
    )
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

From the provider's RA to outbound's RA (ms):
           min  median   p90   max  a router  times native
native    0.40    0.45  0.60  0.60      0.45           1.0
floor     0.20    0.20  0.20  0.20      0.20           0.4
2.2 times the floor

From the RA that a router hears, in the median (ms):
                    uplink address  DHCPv6 begins  Solicit  delegated prefix  downlink address  RA sent
native  outbound                 -              -        -              0.06                 -     0.45

Packets sent in a change, in the mean (and at most):
       RAs to all  RAs to one    DHCPv6
isp      1.00 (1)    0.00 (0)  2.00 (2)

Timeline of the median run (run 1):
";
        assert!(text.starts_with(expected), "{text}");
        let end = "\
Late (25s at most): native run 3 did not converge
  client1   first echo reply: not seen

native run 3: all processes run; client1 logged last:

";
        assert!(text.ends_with(end), "{text}");
    }
}
