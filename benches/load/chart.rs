//! Pictures of figures, as SVG, light or dark as whoever looks at them likes: bars by server, or
//! lines by connections.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::report::{Measured, Row, mean, median, short};

const WIDTH: f64 = 820.0;
const TOP: f64 = 52.0;
const BAR_HEIGHT: f64 = 22.0;
const BAR_GAP: f64 = 8.0;
/// Beside the longest bar: its value, and of it in user space.
const VALUE_WIDTH: f64 = 100.0;
const PLOT_HEIGHT: f64 = 240.0;
/// Wide enough for a character of any common sans-serif font of 12 px, on average.
const CHARACTER_WIDTH: f64 = 6.9;

/// The picture has its own ground, so that it can be read on a page of either kind.
const STYLE: &str = "<style>
.ground { fill: #ffffff } text { fill: #24292f } .axis { stroke: #57606a }
.user { fill: #1f6f8b; stroke: #1f6f8b } .all { fill: #a9b7c0; stroke: #a9b7c0 }
@media (prefers-color-scheme: dark) {
.ground { fill: #0d1117 } text { fill: #e6edf3 } .axis { stroke: #8b949e }
.user { fill: #4fb3d4; stroke: #4fb3d4 } .all { fill: #6b7884; stroke: #6b7884 }
}
.line { fill: none; stroke-width: 2 } .bar { stroke: none }
</style>
";

pub(crate) fn draw(measured: &Measured) -> String {
    match measured.rows.iter().any(|row| row.connections.is_some()) {
        true => lines(measured),
        false => bars(measured),
    }
}

/// Every row a bar; where it is CPU time, the stronger part was spent in user space.
fn bars(measured: &Measured) -> String {
    let label = |row: &Row| match &row.kind {
        Some(kind) => format!("{}, {kind}", row.contender),
        None => row.contender.clone(),
    };
    let longest = measured.rows.iter().map(|row| label(row).chars().count());
    let left = 20.0 + CHARACTER_WIDTH * longest.max().unwrap_or_default() as f64;
    let most = measured.rows.iter().map(Row::all);
    let scale = (WIDTH - left - VALUE_WIDTH) / most.fold(f64::MIN_POSITIVE, f64::max);
    let height = TOP + measured.rows.len() as f64 * (BAR_HEIGHT + BAR_GAP) + 10.0;
    let mut svg = begin(measured, height);
    for (index, row) in measured.rows.iter().enumerate() {
        let y = TOP + index as f64 * (BAR_HEIGHT + BAR_GAP);
        let middle = y + BAR_HEIGHT * 0.7;
        let (all, user) = (row.all(), row.user());
        text(&mut svg, left - 8.0, middle, "end", &label(row));
        let value = match row.user.is_empty() {
            true => {
                bar(&mut svg, left, y, all * scale, "user");
                short(all)
            }
            false => {
                bar(&mut svg, left, y, all * scale, "all");
                bar(&mut svg, left, y, user * scale, "user");
                format!("{} ({})", short(all), short(user))
            }
        };
        text(&mut svg, left + all * scale + 6.0, middle, "start", &value);
    }
    svg + "</svg>\n"
}

/// The cost by connections, which go by powers of ten. Rows of as many connections are one point.
fn lines(measured: &Measured) -> String {
    let mut rounds: BTreeMap<usize, [Vec<f64>; 2]> = BTreeMap::new();
    for row in &measured.rows {
        let [all, user] = rounds.entry(row.connections.unwrap_or(1)).or_default();
        all.extend(&row.all);
        user.extend(&row.user);
    }
    let points: Vec<(usize, [f64; 2])> = rounds
        .iter()
        .map(|(count, [all, user])| (*count, [median(all), mean(user)]))
        .collect();
    let most = points.iter().map(|(_, [all, _])| *all);
    let most = most.fold(f64::MIN_POSITIVE, f64::max) * 1.15;
    let power = |count: usize| (count as f64).log10();
    let (first, last) = (power(points[0].0), power(points[points.len() - 1].0));
    let (left, right) = (40.0, WIDTH - 30.0);
    let x = |count| left + (power(count) - first) / (last - first) * (right - left);
    let y = |value: f64| TOP + PLOT_HEIGHT * (1.0 - value / most);

    let base = y(0.0);
    let mut svg = begin(measured, base + 46.0);
    let _ = writeln!(
        svg,
        r#"<path class="line axis" d="M{:.1} {base:.1}H{:.1}"/>"#,
        left - 20.0,
        right + 20.0
    );
    for (index, class) in ["all", "user"].into_iter().enumerate() {
        let at = |(count, values): &(usize, [f64; 2])| (x(*count), y(values[index]));
        let line = points.iter().map(at).map(|(x, y)| format!("{x:.1},{y:.1}"));
        let line: Vec<String> = line.collect();
        let line = line.join(" ");
        let _ = writeln!(svg, r#"<polyline class="line {class}" points="{line}"/>"#);
        for point in &points {
            let (x, y) = at(point);
            let _ = writeln!(
                svg,
                r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="3"/>"#
            );
            text(&mut svg, x, y - 9.0, "middle", &short(point.1[index]));
        }
    }
    for (count, _) in &points {
        text(&mut svg, x(*count), base + 18.0, "middle", &round(*count));
    }
    text(
        &mut svg,
        f64::midpoint(left, right),
        base + 36.0,
        "middle",
        "connections",
    );
    svg + "</svg>\n"
}

/// A number of connections in few characters.
fn round(count: usize) -> String {
    match count.is_multiple_of(1_000) {
        true => format!("{}k", count / 1_000),
        false => count.to_string(),
    }
}

fn begin(measured: &Measured, height: f64) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         {STYLE}<rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n"
    );
    text(&mut svg, 12.0, 20.0, "start", &measured.title);
    let has_user = measured.rows.iter().any(|row| !row.user.is_empty());
    let unit = match has_user {
        true => format!("{} (blue: of it in user space)", measured.unit),
        false => measured.unit.clone(),
    };
    text(&mut svg, 12.0, 37.0, "start", &unit);
    svg
}

fn bar(svg: &mut String, x: f64, y: f64, width: f64, class: &str) {
    let _ = writeln!(
        svg,
        r#"<rect class="bar {class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{BAR_HEIGHT}"/>"#
    );
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        svg,
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#
    );
}
