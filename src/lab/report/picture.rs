//! The result as a picture (SVG): a lane for each system over the time of the median run, and how
//! long the new prefix takes over the depth of the site.

use std::collections::BTreeMap;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::coord::types::RangedCoordi32;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Report;
use super::Stack;
use super::statistics::{self, Spread, millis};
use super::table::title;
use crate::lab::observe::milestones::{Event, Milestone, Run};
use crate::lab::site::nodes::Node;

const WIDTH: u32 = 960;
const MARGIN: i32 = 20;
/// What stands left of both charts: the names of systems, and milliseconds.
const NAMES: i32 = 90;
/// What stands right of the lanes: when the last mark of each was reached.
const TIMES: i32 = 90;
/// What stands right of the curves: whose they are.
const CURVES: i32 = 210;
/// Where the legend ends, and the room that each run has above its lanes.
const LEGEND: i32 = 106;
const LANES_MARGIN: i32 = 20;
const LANES_TOP: i32 = LEGEND + LANES_MARGIN;
/// Where the slowest stack takes this many times the fastest one's time or more, both can be seen
/// on a logarithmic axis alone.
const LINEAR: f64 = 20.0;
const LANE: i32 = 34;
const SCALE: i32 = 26;
const DEPTH_HEIGHT: i32 = 280;
/// A line below the curves.
const NOTE: i32 = 18;
/// Marks nearer than that would cover each other.
const CLOSE: i32 = 9;
/// They stand on, below and above the lane in turn.
const DODGES: [i32; 3] = [0, 10, -10];
const FONT: &str = "DejaVu Sans, Helvetica, Arial, sans-serif";
const INK: RGBColor = RGBColor(0x1f, 0x29, 0x33);
const FAINT: RGBColor = RGBColor(0xd5, 0xdb, 0xe1);
const STRONG: RGBColor = RGBColor(0x9a, 0xa5, 0xb1);
const MUTED: RGBColor = RGBColor(0x61, 0x6e, 0x7c);
const BLUE: RGBColor = RGBColor(0x25, 0x63, 0xc9);
const GREEN: RGBColor = RGBColor(0x15, 0x80, 0x3d);
const RED: RGBColor = RGBColor(0x9f, 0x3a, 0x38);
const GREY: RGBColor = RGBColor(0x7b, 0x87, 0x94);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// Draws the report.
pub fn render(report: &Report) -> String {
    let mut picture = String::new();
    let lanes = shown(report).map(|_| lanes_height(report)).sum::<i32>();
    let height = LANES_TOP + lanes + DEPTH_HEIGHT + 42 + NOTE * count(report.detailed().count());
    let size = (WIDTH, height.unsigned_abs());
    let area = SVGBackend::with_string(&mut picture, size).into_drawing_area();
    // Writing to a string cannot fail.
    let _ = draw(&area, report);
    drop(area);
    picture
}

fn draw(area: &Area<'_>, report: &Report) -> Drawn {
    area.fill(&WHITE)?;
    text(area, (MARGIN, 25), HPos::Left, INK, 17, &title(report))?;
    if report.runs.is_empty() {
        return Ok(());
    }
    let mut top = 60;
    if let Some(axis) = time_axis(report) {
        let caption = "Median runs: milliseconds from the change at the provider (logarithmic); at \
                       the right, when the last mark was reached";
        text(area, (MARGIN, 51), HPos::Left, MUTED, 12, caption)?;
        draw_legend(area, report)?;
        top = LEGEND;
        for (stack, run) in shown(report) {
            let (_, below) = area.split_vertically(top);
            draw_lanes(&below, report, stack, run, &axis)?;
            top += lanes_height(report);
        }
        top += LANES_TOP - LEGEND;
    }
    let (_, below) = area.split_vertically(top);
    draw_depth(&below, report)?;
    area.present()
}

/// The runs that have lanes.
fn shown(report: &Report) -> impl Iterator<Item = (Stack, &Run)> {
    let median = |(stack, runs)| Some((stack, statistics::median_run(runs)?.1));
    report.detailed().filter_map(median)
}

/// The height of one run's lanes.
fn lanes_height(report: &Report) -> i32 {
    LANE * count(report.options.site.nodes().count()) + SCALE + 30
}

/// What all runs together take; none where nothing converged.
fn time_axis(report: &Report) -> Option<Range<f64>> {
    let times = shown(report).flat_map(|(_, run)| &run.milestones).map(|m| millis(m.after));
    let times: Vec<f64> = times.filter(|time| *time > 0.0).collect();
    let least = times.iter().copied().reduce(f64::min)?;
    let most = times.iter().copied().fold(least, f64::max);
    // Never more than a tenth of an empty decade on the left.
    Some(least * 0.8..most * 1.12)
}

/// Over a logarithmic axis: routers take milliseconds, duplicate address detection a second.
fn draw_lanes(
    area: &Area<'_>,
    report: &Report,
    stack: Stack,
    run: &Run,
    shown: &Range<f64>,
) -> Drawn {
    let nodes: Vec<Node> = report.options.site.nodes().collect();
    let axis = shown.clone().log_scale().with_key_points(ticks(shown));
    // The first lane is the uppermost.
    let lanes = (1 - count(nodes.len())..0).into_segmented();
    let bottom = LANES_MARGIN + LANE * count(nodes.len()) + SCALE;
    let (chart_area, _) = area.split_vertically(bottom);
    let mut chart = ChartBuilder::on(&chart_area)
        .margin_top(LANES_MARGIN)
        .margin_right(TIMES)
        .x_label_area_size(SCALE)
        .y_label_area_size(MARGIN + NAMES)
        .build_cartesian_2d(axis, lanes)?;
    chart
        .configure_mesh()
        .bold_line_style(FAINT)
        .light_line_style(TRANSPARENT)
        .axis_style(FAINT)
        .x_labels(30)
        .x_label_style(font(MUTED, 11))
        .x_label_formatter(&|time| number(*time))
        .y_label_style(font(INK, 13))
        .y_labels(nodes.len() + 1)
        .y_label_formatter(&|lane| match lane {
            SegmentValue::CenterOf(lane) => {
                let node = usize::try_from(-lane).ok().and_then(|lane| nodes.get(lane));
                node.map_or_else(String::new, |node| node.name())
            }
            SegmentValue::Exact(_) | SegmentValue::Last => String::new(),
        })
        .draw()?;
    // The chart answers in the coordinates of the whole picture.
    let top = area.strip_coord_spec().get_base_pixel().1;
    let at = |milestone: &Milestone| {
        let lane = nodes.iter().position(|node| *node == milestone.node).unwrap_or_default();
        let lane = SegmentValue::CenterOf(-count(lane));
        let (x, y) = chart.backend_coord(&(millis(milestone.after).max(shown.start), lane));
        (x, y - top)
    };
    let right = i32::try_from(WIDTH).unwrap_or(0) - TIMES;
    text(area, (right + 10, LANES_MARGIN - 2), HPos::Left, MUTED, 11, "ms")?;
    if report.detailed().count() > 1 {
        let (ink, name) = look(stack);
        text(area, (MARGIN, LANES_MARGIN - 6), HPos::Left, ink, 13, name)?;
    }
    for node in &nodes {
        let mut own = run.milestones.iter().filter(|milestone| milestone.node == *node);
        let Some(first) = own.next() else { continue };
        let last = own.next_back().unwrap_or(first);
        area.draw(&PathElement::new([at(first), at(last)], STRONG.stroke_width(2)))?;
        let time = format!("{:.2}", millis(last.after));
        text(area, (right + 10, at(last).1), HPos::Left, MUTED, 11, &time)?;
    }
    for (sent, heard) in descents(run) {
        area.draw(&PathElement::new([at(sent), at(heard)], STRONG.stroke_width(1)))?;
    }
    let mut neighbours: BTreeMap<Node, (i32, usize)> = BTreeMap::new();
    for milestone in &run.milestones {
        let (x, y) = at(milestone);
        let (last, turn) = neighbours.get(&milestone.node).copied().unwrap_or((i32::MIN / 2, 0));
        let turn = if x - last < CLOSE { (turn + 1) % DODGES.len() } else { 0 };
        neighbours.insert(milestone.node, (x, turn));
        let dodge = DODGES.get(turn).copied().unwrap_or_default();
        mark(area, milestone.event, (x, y + dodge))?;
    }
    Ok(())
}

/// 1, 2 and 5 of each decade.
fn ticks(shown: &Range<f64>) -> Vec<f64> {
    let decades =
        (-3..=6).flat_map(|decade| [1.0, 2.0, 5.0].map(|step| step * 10_f64.powi(decade)));
    decades.filter(|tick| shown.contains(tick)).collect()
}

/// From each advertisement to where it is heard first.
fn descents(run: &Run) -> impl Iterator<Item = (&Milestone, &Milestone)> {
    let find = |node, event| run.milestones.iter().find(|m| m.node == node && m.event == event);
    let routers = run.milestones.iter().filter_map(|m| match m.node {
        Node::Router(depth) => Some(depth),
        Node::Isp | Node::Client(_) => None,
    });
    let last = routers.max().unwrap_or_default();
    (0..=last).filter_map(move |depth| {
        let node = if depth == 0 { Node::Isp } else { Node::Router(depth) };
        let heard = if depth < last {
            find(Node::Router(depth + 1), Event::Heard)
        } else {
            find(Node::Client(1), Event::Tentative)
        };
        Some((find(node, Event::Advertised)?, heard?))
    })
}

fn draw_legend(area: &Area<'_>, report: &Report) -> Drawn {
    let is_seen = |event: &Event| {
        shown(report).any(|(_, run)| run.milestones.iter().any(|m| m.event == *event))
    };
    for (position, event) in Event::ALL.into_iter().filter(is_seen).enumerate() {
        let (x, y) = (28 + count(position % 5) * 182, 78 + count(position / 5) * 19);
        mark(area, event, (x, y))?;
        text(area, (x + 11, y), HPos::Left, INK, 11, event.title())?;
    }
    Ok(())
}

/// Over depth: from the provider's advertisement to each router's.
fn draw_depth(area: &Area<'_>, report: &Report) -> Drawn {
    let hops = report.options.site.hops;
    let lines: Vec<Line> = report
        .all()
        .map(|(stack, runs)| {
            let at = |depth| Some((count(depth), statistics::carried(runs, depth)?));
            (stack, (1..=hops).filter_map(at).collect())
        })
        .collect();
    let spreads = || lines.iter().flat_map(|(_, line)| line.iter().map(|(_, spread)| spread));
    let most = spreads().map(|spread| spread.p90).fold(0.0, f64::max);
    // Reconfigure messages can be ahead of the provider's advertisement: that is no time at all.
    let times = spreads().flat_map(|spread| [spread.min, spread.median, spread.p90]);
    let least = times.filter(|time| *time > 0.0).fold(most, f64::min);
    let last = |(_, line): &Line| Some(line.last()?.1.median);
    let slowest = lines.iter().filter_map(last).fold(0.0, f64::max);
    let is_linear = lines.iter().filter_map(last).all(|median| slowest <= median * LINEAR);
    let axis = if is_linear { "" } else { ", logarithmic" };
    let caption = format!(
        "Convergence over depth: provider's advertisement to each router's own, milliseconds{axis} \
         (median; band: fastest to 90th percentile)"
    );
    text(area, (MARGIN, 12), HPos::Left, MUTED, 12, &caption)?;
    let (chart_area, _) = area.split_vertically(DEPTH_HEIGHT);
    let mut chart = ChartBuilder::on(&chart_area);
    chart
        .margin_top(34)
        .margin_right(CURVES)
        .x_label_area_size(SCALE)
        .y_label_area_size(MARGIN + NAMES);
    if is_linear {
        let axis = 0.0..if most > 0.0 { most * 1.05 } else { 1.0 };
        draw_curves(
            area,
            chart.build_cartesian_2d(0..count(hops), axis)?,
            &lines,
            Start::Provider,
        )?;
    } else {
        let shown = least * 0.8..most * 1.12;
        let axis = shown.clone().log_scale().with_key_points(ticks(&shown));
        draw_curves(
            area,
            chart.build_cartesian_2d(0..count(hops), axis)?,
            &lines,
            Start::First(shown.start),
        )?;
    }
    for (position, (stack, runs)) in report.detailed().enumerate() {
        let Some(Spread { median, p90, .. }) = statistics::converged(runs) else { continue };
        let (ink, name) = look(stack);
        let whose =
            if report.detailed().count() > 1 { format!("{name}: all") } else { "All".to_owned() };
        let note = format!(
            "{whose} clients reached from beyond the provider, old addresses deprecated: \
             {median:.2} ms in the median, {p90:.2} ms at the 90th percentile"
        );
        let at = (MARGIN, DEPTH_HEIGHT + 22 + count(position) * NOTE);
        text(area, at, HPos::Left, ink, 12, &note)?;
    }
    Ok(())
}

/// Where curves begin.
#[derive(Clone, Copy)]
enum Start {
    /// At the provider, at zero.
    Provider,
    /// At the first router, as a logarithmic axis has no zero: nothing lies below this.
    First(f64),
}

/// A stack's times at each depth.
type Line = (Stack, Vec<(i32, Spread)>);

/// A curve for each stack.
fn draw_curves<'a, Y>(
    area: &Area<'a>,
    mut chart: ChartContext<'_, SVGBackend<'a>, Cartesian2d<RangedCoordi32, Y>>,
    lines: &[Line],
    start: Start,
) -> Drawn
where
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let name = |depth: &i32| match usize::try_from(*depth) {
        Ok(0) | Err(_) => Node::Isp.name(),
        Ok(depth) => Node::Router(depth).name(),
    };
    let hops = lines.iter().map(|(_, points)| points.len()).max().unwrap_or_default();
    chart
        .configure_mesh()
        .bold_line_style(FAINT)
        .light_line_style(TRANSPARENT)
        .axis_style(FAINT)
        .disable_x_mesh()
        .x_labels(hops + 1)
        .x_label_style(font(INK, 12))
        .x_label_formatter(&name)
        .y_labels(6)
        .y_label_style(font(MUTED, 11))
        .y_label_formatter(&|time| number(*time))
        .draw()?;
    for (stack, points) in lines {
        let (ink, name) = look(*stack);
        let (origin, least) = match start {
            Start::Provider => (Some((0, 0.0)), 0.0),
            Start::First(least) => (None, least),
        };
        let along = |of: fn(&Spread) -> f64| {
            points.iter().map(move |(x, spread)| (*x, of(spread).max(least)))
        };
        let upper = origin.into_iter().chain(along(|spread| spread.p90));
        let band: Vec<(i32, f64)> = upper.chain(along(|spread| spread.min).rev()).collect();
        chart.draw_series([Polygon::new(band, ink.mix(0.15))])?;
        let middle = origin.into_iter().chain(along(|spread| spread.median));
        chart.draw_series(LineSeries::new(middle, ink.stroke_width(2)))?;
        chart.draw_series(
            along(|spread| spread.median).map(|at| Circle::new(at, 4, ink.filled())),
        )?;
        if let Some((depth, spread)) = points.last() {
            let (x, y) = chart.backend_coord(&(*depth, spread.median.max(least)));
            let top = area.strip_coord_spec().get_base_pixel().1;
            let label = format!("{name} {:.2} ms", spread.median);
            text(area, (x + 12, y - top), HPos::Left, ink, 12, &label)?;
        }
    }
    Ok(())
}

/// A stack's colour, and what it is called there.
const fn look(stack: Stack) -> (RGBColor, &'static str) {
    match stack {
        Stack::Native => (BLUE, "renumberd"),
        Stack::Company => (GREEN, "in company"),
        Stack::Article => (RED, "the article"),
        Stack::Floor => (GREY, "the floor"),
    }
}

/// Each kind of milestone has a form and a colour, to be distinguished without the colour too.
fn mark(area: &Area<'_>, event: Event, (x, y): (i32, i32)) -> Drawn {
    let disc = |radius: i32, ink: RGBColor| area.draw(&Circle::new((x, y), radius, ink.filled()));
    let ring = |ink| disc(6, ink).and_then(|()| disc(4, WHITE));
    let square =
        |ink: RGBColor| area.draw(&Rectangle::new([(x - 4, y - 4), (x + 5, y + 5)], ink.filled()));
    let triangle = |ink: RGBColor, tip: i32| {
        area.draw(&Polygon::new([(x - 5, y - tip), (x + 5, y - tip), (x, y + tip)], ink.filled()))
    };
    match event {
        Event::Heard => ring(BLUE),
        Event::Addressed => square(RGBColor(0x8f, 0xb4, 0xea)),
        Event::Delegated => disc(5, RGBColor(0xd9, 0x77, 0x06)),
        Event::Downlinked => square(RGBColor(0xf2, 0xc0, 0x78)),
        Event::Advertised => triangle(BLUE, 5),
        Event::Tentative => ring(GREEN),
        Event::Preferred => square(RGBColor(0x86, 0xc7, 0x9b)),
        Event::Reachable => disc(5, GREEN),
        Event::Deprecated => triangle(RED, -5),
    }
}

/// Text with its middle at the height of `at`, in pixels of height.
fn text(area: &Area<'_>, at: (i32, i32), from: HPos, ink: RGBColor, size: u8, what: &str) -> Drawn {
    area.draw(&Text::new(what, at, font(ink, size).pos(Pos::new(from, VPos::Center))))
}

/// The library's sizes are of a line, not of its letters.
fn font(ink: RGBColor, size: u8) -> TextStyle<'static> {
    (FONT, f64::from(size) * 1.24).into_font().color(&ink)
}

/// Without zeros at the end.
fn number(value: f64) -> String {
    ((value * 1000.0).round() / 1000.0).to_string()
}

/// Lanes and columns are few.
fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn every_system_has_a_lane_and_every_element_an_end() {
        let picture = render(&testing::report());
        // The last is when the last mark of the client was reached.
        for text in [
            "isp",
            "outbound",
            "client1",
            "RA sent",
            "renumberd 0.45 ms",
            "the floor 0.20 ms",
            "0.56",
        ] {
            assert!(picture.contains(&format!(">\n{text}\n</text>")), "{text}");
        }
        let opened = picture.matches('<').count() - picture.matches("</").count();
        let closed = picture.matches("/>").count() + picture.matches("</").count();
        assert_eq!(opened, closed);
        assert!(!picture.contains("NaN") && !picture.contains("inf"));
    }

    #[test]
    fn runs_that_did_not_converge_can_be_drawn() {
        let mut report = testing::report();
        for (_, runs) in &mut report.runs {
            for run in runs {
                (run.converged, run.milestones) = (None, Vec::new());
            }
        }
        assert!(render(&report).ends_with("</svg>\n"));
    }
}
