//! Pictures of figures, as SVG: bars by server, or a line by connections.

use std::fmt::Write as _;

use crate::report::{Measured, Row, short};

const WIDTH: f64 = 720.0;
const LABEL_WIDTH: f64 = 250.0;
const BAR_HEIGHT: f64 = 22.0;
const BAR_GAP: f64 = 8.0;
const TOP: f64 = 44.0;
const PLOT_HEIGHT: f64 = 240.0;

const USER: &str = "#1f6f8b";
const SYSTEM: &str = "#99a8b2";
const INK: &str = "#24292f";

pub(crate) fn draw(measured: &Measured) -> String {
    match measured.rows.iter().any(|row| row.connections.is_some()) {
        true => line(measured),
        false => bars(measured),
    }
}

/// Every row a bar; where it is CPU time, the darker part was spent in user space.
fn bars(measured: &Measured) -> String {
    let most = measured.rows.iter().map(|row| row.all());
    let most = most.fold(f64::MIN_POSITIVE, f64::max);
    let scale = (WIDTH - LABEL_WIDTH - 90.0) / most;
    let height = TOP + measured.rows.len() as f64 * (BAR_HEIGHT + BAR_GAP) + 10.0;
    let mut svg = begin(measured, height);
    for (index, row) in measured.rows.iter().enumerate() {
        let y = TOP + index as f64 * (BAR_HEIGHT + BAR_GAP);
        bar(&mut svg, row, y, scale);
    }
    svg + "</svg>\n"
}

fn bar(svg: &mut String, row: &Row, y: f64, scale: f64) {
    let (all, user) = (row.all(), row.user());
    let name = match row.kind {
        Some(kind) => format!("{}, {kind}", row.contender),
        None => row.contender.to_owned(),
    };
    let middle = y + BAR_HEIGHT * 0.7;
    text(svg, LABEL_WIDTH - 8.0, middle, "end", &name);
    let color = if row.user.is_empty() { USER } else { SYSTEM };
    rect(svg, LABEL_WIDTH, y, all * scale, color);
    rect(svg, LABEL_WIDTH, y, user * scale, USER);
    let value = match row.user.is_empty() {
        true => short(all),
        false => format!("{} ({})", short(all), short(user)),
    };
    text(
        svg,
        LABEL_WIDTH + all * scale + 6.0,
        middle,
        "start",
        &value,
    );
}

/// The cost by connections, both axes as powers of ten where they span many.
fn line(measured: &Measured) -> String {
    let mut rows: Vec<&Row> = measured.rows.iter().collect();
    rows.sort_by_key(|row| row.connections);
    let left = 60.0;
    let most = rows.iter().map(|row| row.all());
    let most = most.fold(f64::MIN_POSITIVE, f64::max) * 1.15;
    let (first, last) = (exponent(rows[0]), exponent(rows[rows.len() - 1]));
    let x = |row: &Row| left + (exponent(row) - first) / (last - first) * (WIDTH - left - 60.0);
    let y = |value: f64| TOP + PLOT_HEIGHT * (1.0 - value / most);

    let mut svg = begin(measured, TOP + PLOT_HEIGHT + 40.0);
    let base = y(0.0);
    let _ = writeln!(
        svg,
        r#"<path d="M{left} {TOP}V{base:.1}H{:.1}" fill="none" stroke="{INK}"/>"#,
        WIDTH - 40.0
    );
    for (values, color) in [(Row::all as fn(&Row) -> f64, SYSTEM), (Row::user, USER)] {
        let points = rows
            .iter()
            .map(|row| format!("{:.1},{:.1}", x(row), y(values(row))));
        let points: Vec<String> = points.collect();
        let _ = writeln!(
            svg,
            r#"<polyline points="{}" fill="none" stroke="{color}" stroke-width="2"/>"#,
            points.join(" ")
        );
    }
    for row in rows {
        let (all, user) = (row.all(), row.user());
        text(&mut svg, x(row), y(all) - 8.0, "middle", &short(all));
        text(&mut svg, x(row), y(user) - 8.0, "middle", &short(user));
        let count = row.connections.unwrap_or_default();
        text(&mut svg, x(row), base + 18.0, "middle", &count.to_string());
    }
    svg + "</svg>\n"
}

fn exponent(row: &Row) -> f64 {
    (row.connections.unwrap_or_default() as f64).log10()
}

fn begin(measured: &Measured, height: f64) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    text(&mut svg, 10.0, 18.0, "start", measured.title);
    let has_user = measured.rows.iter().any(|row| !row.user.is_empty());
    let unit = match has_user {
        true => format!("{} (dark: of it in user space)", measured.unit),
        false => measured.unit.to_owned(),
    };
    text(&mut svg, 10.0, 34.0, "start", &unit);
    svg
}

fn rect(svg: &mut String, x: f64, y: f64, width: f64, color: &str) {
    let _ = writeln!(
        svg,
        r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{BAR_HEIGHT}" fill="{color}"/>"#
    );
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        svg,
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="{INK}">{text}</text>"#
    );
}
