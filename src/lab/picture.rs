//! The result as a picture (SVG): a lane for each system over the time of the median run, and how
//! long the new prefix takes over the depth of the site.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Report;
use super::milestones::{Event, Run};
use super::site::Node;
use super::stage::Stack;
use super::statistics::{self, Spread, millis};
use super::table::title;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 110.0;
const RIGHT: f64 = 40.0;
const LANES_TOP: f64 = 118.0;
const LANE: f64 = 34.0;
const DEPTH_HEIGHT: f64 = 260.0;
const CLOSE: f64 = 9.0;
const DODGES: [f64; 3] = [0.0, 9.5, -9.5];
const INK: &str = "#1f2933";
const FAINT: &str = "#d5dbe1";
const MUTED: &str = "#616e7c";

/// Draws the report.
pub fn render(report: &Report) -> String {
    let mut body = String::new();
    // Writing to a string cannot fail.
    let height = draw(&mut body, report).unwrap_or(LANES_TOP);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
    )
}

fn draw(body: &mut String, report: &Report) -> Result<f64, std::fmt::Error> {
    text(body, (LEFT - 90.0, 30.0), "start", INK, 17, &title(report))?;
    let Some((_, runs)) = report.main() else { return Ok(LANES_TOP) };
    let mut bottom = 60.0;
    if let Some((_, run)) = statistics::median_run(runs) {
        bottom = draw_lanes(body, report, run)?;
    }
    draw_depth(body, report, runs, bottom + 44.0)
}

/// Times on a logarithmic axis: routers take milliseconds, duplicate address detection a second.
struct Axis {
    first: f64,
    last: f64,
}

impl Axis {
    fn over(times: impl Iterator<Item = f64>) -> Self {
        let (mut least, mut most) = (f64::MAX, f64::MIN);
        for time in times.filter(|time| *time > 0.0) {
            (least, most) = (least.min(time), most.max(time));
        }
        if least > most {
            (least, most) = (0.1, 10.0);
        }
        // Never more than a tenth of an empty decade on the left.
        Self { first: least.log10() - 0.1, last: most.log10() + 0.05 }
    }

    fn x(&self, time: f64) -> f64 {
        let part = (time.max(1e-3).log10() - self.first) / (self.last - self.first);
        LEFT + part.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    /// 1, 2 and 5 of each decade.
    fn ticks(&self) -> Vec<(f64, bool)> {
        let decades = (-3..=6).flat_map(|decade| {
            [1.0, 2.0, 5.0].map(|step: f64| (step * 10_f64.powi(decade), step < 1.5))
        });
        decades.filter(|(at, _)| (self.first..=self.last).contains(&at.log10())).collect()
    }
}

fn draw_lanes(body: &mut String, report: &Report, run: &Run) -> Result<f64, std::fmt::Error> {
    let axis = Axis::over(run.milestones.iter().map(|milestone| millis(milestone.after)));
    let nodes: Vec<Node> = report.options.site.nodes().collect();
    let bottom = LANES_TOP + LANE * count(nodes.len());
    let caption = "Median run: milliseconds from the change at the provider (logarithmic)";
    text(body, (LEFT - 90.0, 56.0), "start", MUTED, 12, caption)?;
    draw_legend(body, report)?;
    for (at, is_decade) in axis.ticks() {
        let (x, ink) = (axis.x(at), if is_decade { "#b8c2cc" } else { FAINT });
        line(body, (x, LANES_TOP), (x, bottom), ink, 1.0)?;
        text(body, (x, bottom + 16.0), "middle", MUTED, 11, &number(at))?;
    }
    text(body, (WIDTH - RIGHT + 8.0, bottom + 16.0), "start", MUTED, 11, "ms")?;
    for (position, node) in nodes.iter().enumerate() {
        let y = LANES_TOP + LANE * (count(position) + 0.5);
        line(body, (LEFT, y + LANE / 2.0), (WIDTH - RIGHT, y + LANE / 2.0), FAINT, 1.0)?;
        text(body, (LEFT - 12.0, y + 4.0), "end", INK, 13, &node.name())?;
        let times: Vec<f64> = run
            .milestones
            .iter()
            .filter(|milestone| milestone.node == *node)
            .map(|milestone| axis.x(millis(milestone.after)))
            .collect();
        if let (Some(first), Some(last)) = (times.first(), times.last()) {
            line(body, (*first, y), (*last, y), "#9aa5b1", 2.0)?;
        }
    }
    draw_descent(body, run, &axis)?;
    let mut neighbours: BTreeMap<Node, (f64, usize)> = BTreeMap::new();
    for milestone in &run.milestones {
        let lane = nodes.iter().position(|node| *node == milestone.node).unwrap_or_default();
        let x = axis.x(millis(milestone.after));
        // Marks that would cover each other stand on, below and above the lane in turn.
        let (last, turn) = neighbours.get(&milestone.node).copied().unwrap_or((f64::MIN, 0));
        let turn = if x - last < CLOSE { (turn + 1) % DODGES.len() } else { 0 };
        neighbours.insert(milestone.node, (x, turn));
        let dodge = DODGES.get(turn).copied().unwrap_or_default();
        let at = (x, LANES_TOP + LANE * (count(lane) + 0.5) + dodge);
        let tip = format!(
            "{} {}: {} ms, {}",
            milestone.node.name(),
            milestone.event.title(),
            millis(milestone.after),
            milestone.subject
        );
        mark(body, milestone.event, at, &tip)?;
    }
    Ok(bottom + 20.0)
}

/// From each advertisement to where it is heard first.
fn draw_descent(body: &mut String, run: &Run, axis: &Axis) -> std::fmt::Result {
    let find = |node, event| {
        let mut all = run.milestones.iter();
        all.find(|m| m.node == node && m.event == event).map(|m| axis.x(millis(m.after)))
    };
    let lane = |position: usize| LANES_TOP + LANE * (count(position) + 0.5);
    let routers = run.milestones.iter().filter_map(|m| match m.node {
        Node::Router(depth) => Some(depth),
        Node::Isp | Node::Client(_) => None,
    });
    let last = routers.max().unwrap_or_default();
    for depth in 0..=last {
        let node = if depth == 0 { Node::Isp } else { Node::Router(depth) };
        let heard = if depth < last {
            find(Node::Router(depth + 1), Event::Heard)
        } else {
            find(Node::Client(1), Event::Tentative)
        };
        if let (Some(sent), Some(heard)) = (find(node, Event::Advertised), heard) {
            line(body, (sent, lane(depth)), (heard, lane(depth + 1)), "#9aa5b1", 1.0)?;
        }
    }
    Ok(())
}

fn draw_legend(body: &mut String, report: &Report) -> std::fmt::Result {
    let runs = report.main().map_or(&[][..], |(_, runs)| runs);
    let seen = statistics::milestones(runs);
    let is_seen = |event: &Event| seen.keys().any(|(_, of)| of == event);
    for (position, event) in Event::ALL.into_iter().filter(is_seen).enumerate() {
        let (column, row) = (count(position % 5), count(position / 5));
        let at = (LEFT - 82.0 + column * 182.0, 78.0 + row * 19.0);
        mark(body, event, at, event.title())?;
        text(body, (at.0 + 11.0, at.1 + 4.0), "start", INK, 11, event.title())?;
    }
    Ok(())
}

/// Over depth: from the provider's advertisement to each router's.
fn draw_depth(
    body: &mut String,
    report: &Report,
    runs: &[Run],
    top: f64,
) -> Result<f64, std::fmt::Error> {
    let hops = report.options.site.hops;
    let stacks: Vec<(Stack, Vec<(usize, Spread)>)> = report
        .runs
        .iter()
        .map(|(stack, runs)| {
            let at = |depth| Some((depth, statistics::carried(runs, depth)?));
            (*stack, (1..=hops).filter_map(at).collect())
        })
        .collect();
    let caption = "Convergence over depth: provider's advertisement to each router's own, \
                   milliseconds (median; band: fastest to 90th percentile)";
    text(body, (LEFT - 90.0, top), "start", MUTED, 12, caption)?;
    let all = stacks.iter().flat_map(|(_, line)| line).map(|(_, spread)| spread.p90);
    let most = nice(all.fold(0.0, f64::max));
    let (upper, lower) = (top + 28.0, top + DEPTH_HEIGHT);
    let y = |time: f64| lower - (time / most).min(1.0) * (lower - upper);
    let step = (WIDTH - LEFT - RIGHT - 170.0) / count(hops.max(1));
    let x = |depth: usize| LEFT + step * count(depth);
    for part in 0..=4_u8 {
        let value = most * f64::from(part) / 4.0;
        line(body, (LEFT, y(value)), (x(hops), y(value)), FAINT, 1.0)?;
        text(body, (LEFT - 12.0, y(value) + 4.0), "end", MUTED, 11, &number(value))?;
    }
    for depth in 0..=hops {
        let node = if depth == 0 { Node::Isp } else { Node::Router(depth) };
        text(body, (x(depth), lower + 18.0), "middle", INK, 12, &node.name())?;
    }
    for (stack, points) in &stacks {
        let ink = match stack {
            Stack::Native => "#2563c9",
            Stack::Floor => "#7b8794",
        };
        draw_series(body, points, ink, &x, &y)?;
        if let Some((depth, spread)) = points.last() {
            let name = match stack {
                Stack::Native => "renumberd",
                Stack::Floor => "the floor",
            };
            let label = format!("{name} {:.2} ms", spread.median);
            text(body, (x(*depth) + 12.0, y(spread.median) + 4.0), "start", ink, 12, &label)?;
        }
    }
    if let Some(Spread { median, p90, .. }) = statistics::converged(runs) {
        let note = format!(
            "All clients reached from beyond the provider, old addresses deprecated: \
             {median:.2} ms in the median, {p90:.2} ms at the 90th percentile"
        );
        text(body, (LEFT - 90.0, lower + 46.0), "start", INK, 12, &note)?;
    }
    Ok(lower + 64.0)
}

fn draw_series(
    body: &mut String,
    points: &[(usize, Spread)],
    ink: &str,
    x: &dyn Fn(usize) -> f64,
    y: &dyn Fn(f64) -> f64,
) -> std::fmt::Result {
    let origin = format!("{:.1},{:.1} ", x(0), y(0.0));
    let along = |of: fn(&Spread) -> f64| {
        points.iter().map(move |(depth, spread)| format!("{:.1},{:.1} ", x(*depth), y(of(spread))))
    };
    let upper: String = along(|spread| spread.p90).collect();
    let lower: String = along(|spread| spread.min).rev().collect();
    let middle: String = along(|spread| spread.median).collect();
    writeln!(body, "<polygon points=\"{origin}{upper}{lower}\" fill=\"{ink}\" opacity=\"0.15\"/>")?;
    writeln!(
        body,
        "<polyline points=\"{origin}{middle}\" fill=\"none\" stroke=\"{ink}\" stroke-width=\"2\"/>"
    )?;
    for (depth, spread) in points {
        let (x, y) = (x(*depth), y(spread.median));
        writeln!(body, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{ink}\"/>")?;
    }
    Ok(())
}

/// Each kind of milestone has a form and a colour, to be told apart without the colour too.
fn mark(body: &mut String, event: Event, (x, y): (f64, f64), tip: &str) -> std::fmt::Result {
    let circle = format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"");
    let square = |ink: &str| {
        format!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"9\" height=\"9\" fill=\"{ink}\"",
            x - 4.5,
            y - 4.5
        )
    };
    let triangle = |ink: &str, tip: f64| {
        format!(
            "<polygon points=\"{:.1},{:.1} {:.1},{:.1} {x:.1},{:.1}\" fill=\"{ink}\"",
            x - 5.5,
            y - tip,
            x + 5.5,
            y - tip,
            y + tip
        )
    };
    let shape = match event {
        Event::Heard => format!("{circle} fill=\"white\" stroke=\"#2563c9\" stroke-width=\"2\""),
        Event::Addressed => square("#8fb4ea"),
        Event::Delegated => format!("{circle} fill=\"#d97706\""),
        Event::Downlinked => square("#f2c078"),
        Event::Advertised => triangle("#2563c9", 5.0),
        Event::Tentative => {
            format!("{circle} fill=\"white\" stroke=\"#15803d\" stroke-width=\"2\"")
        }
        Event::Preferred => square("#86c79b"),
        Event::Reachable => format!("{circle} fill=\"#15803d\""),
        Event::Deprecated => triangle("#9f3a38", -5.0),
    };
    let name = if shape.starts_with("<c") {
        "circle"
    } else if shape.starts_with("<r") {
        "rect"
    } else {
        "polygon"
    };
    writeln!(body, "{shape}><title>{}</title></{name}>", escape(tip))
}

fn line(
    body: &mut String,
    from: (f64, f64),
    to: (f64, f64),
    ink: &str,
    width: f64,
) -> std::fmt::Result {
    let ((x1, y1), (x2, y2)) = (from, to);
    writeln!(
        body,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{ink}\" \
         stroke-width=\"{width}\"/>"
    )
}

fn text(
    body: &mut String,
    (x, y): (f64, f64),
    anchor: &str,
    ink: &str,
    size: u8,
    content: &str,
) -> std::fmt::Result {
    writeln!(
        body,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{ink}\" \
         font-size=\"{size}\">{}</text>",
        escape(content)
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Without zeros at the end.
fn number(value: f64) -> String {
    ((value * 1000.0).round() / 1000.0).to_string()
}

/// The next number that four lines divide well.
fn nice(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let decade = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0, 10.0].map(|step| step * decade);
    steps.into_iter().find(|step| *step >= value).unwrap_or(value)
}

#[expect(clippy::cast_precision_loss, reason = "lanes and columns are few")]
const fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn every_system_has_a_lane_and_every_element_an_end() {
        let picture = render(&testing::report());
        for name in ["isp", "outbound", "client1", "renumberd 0.45 ms", "the floor 0.20 ms"] {
            assert!(picture.contains(&format!(">{name}</text>")), "{name}");
        }
        let opened = picture.matches('<').count() - picture.matches("</").count();
        let closed = picture.matches("/>").count() + picture.matches("</").count();
        assert_eq!(opened, closed);
        assert!(!picture.contains("NaN") && !picture.contains("inf"));
    }

    #[test]
    fn what_did_not_converge_can_be_drawn() {
        let mut report = testing::report();
        for (_, runs) in &mut report.runs {
            for run in runs {
                (run.converged, run.milestones) = (None, Vec::new());
            }
        }
        assert!(render(&report).ends_with("</svg>\n"));
    }

    #[test]
    fn axes_end_at_numbers_that_four_lines_divide() {
        for (value, expected) in [(0.0, 1.0), (0.07, 0.08), (1.0, 1.0), (7.8, 8.0), (10.3, 12.0)] {
            assert!((nice(value) - expected).abs() < 1e-9, "{value}: {}", nice(value));
        }
    }
}
