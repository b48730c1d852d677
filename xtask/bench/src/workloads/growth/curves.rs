//! The curves as a picture: time above, memory below, both axes logarithmic.

use std::fmt::Write;

use super::{Curve, Growth, LARGEST, mebibytes};
use crate::bench::scaled;
use crate::workloads::chart::{FAINT, GRID, INK, OURS, Point, line, open, text};

const PANEL: (f64, f64) = (190.0, 150.0);
const PITCH: (f64, f64) = (264.0, 232.0);
/// A digit of the numbers below an axis is no wider.
const DIGIT: f64 = 6.5;
const LEFT: f64 = 74.0;
const TOP: f64 = 122.0;

/// A point of a curve.
#[derive(Clone, Copy)]
struct Measured {
    size: f64,
    value: f64,
}

/// One panel: points, the line through them, and a line of the expected power.
struct Panel<'c> {
    title: String,
    expected: f64,
    found: Option<f64>,
    points: Vec<Measured>,
    label: &'c dyn Fn(f64) -> String,
}

/// Both panels of every curve.
pub(super) fn draw(growth: &Growth) -> String {
    let columns = growth.curves.len() as f64;
    let mut svg = open(LEFT + columns * PITCH.0, TOP + 2.0 * PITCH.1 - 24.0);
    let bold = "font-size=\"18\" font-weight=\"bold\"";
    svg += &text(Point::new(24.0, 30.0), bold, "How time and memory grow");
    let commit: String = growth.machine.commit.chars().take(10).collect();
    let words = format!(
        "{}, commit {commit}; both axes logarithmic; power: of the {LARGEST} largest sizes; \
         dashed: the expected power through the last point",
        growth.machine.cpu
    );
    svg += &text(Point::new(24.0, 50.0), &format!("fill=\"{FAINT}\""), &words);
    let memory = |bytes: f64| format!("{:.3} MiB", bytes / f64::from(1 << 20));
    let memory = |bytes: f64| short(&memory(bytes));
    let time = |seconds: f64| short(&scaled(1e9 * seconds));
    for (at, curve) in growth.curves.iter().enumerate() {
        let x = LEFT + at as f64 * PITCH.0;
        let panels = panels(curve, &time, &memory);
        for (row, panel) in panels.iter().enumerate() {
            svg += &panel.draw(Point::new(x, TOP + row as f64 * PITCH.1), &curve.name);
        }
        // A line would run into that of the next panel.
        for (row, words) in curve.setting.split(", ").enumerate() {
            let y = TOP - 38.0 + 13.0 * row as f64;
            svg += &text(Point::new(x, y), &format!("fill=\"{FAINT}\" font-size=\"10\""), words);
        }
    }
    svg + "</svg>\n"
}

/// `64.00 ms` as `64 ms`.
fn short(words: &str) -> String {
    let Some((number, unit)) = words.split_once(' ') else { return words.to_owned() };
    let number: f64 = number.parse().unwrap_or(f64::NAN);
    let digits = usize::from(number < 10.0);
    format!("{number:.digits$} {unit}")
}

fn panels<'c>(
    curve: &Curve,
    time: &'c dyn Fn(f64) -> String,
    memory: &'c dyn Fn(f64) -> String,
) -> [Panel<'c>; 2] {
    let measured = |size: usize, value: f64| Measured { size: size as f64, value };
    let seconds = curve.points.iter().map(|point| measured(point.size, point.seconds));
    let known = curve.points.iter().filter_map(|point| Some((point, point.bytes?)));
    let bytes = known.filter(|&(_, bytes)| mebibytes(bytes) > 0.0);
    [
        Panel {
            title: "time".to_owned(),
            expected: curve.expected_time,
            found: curve.time_slope(),
            points: seconds.collect(),
            label: time,
        },
        Panel {
            title: "memory".to_owned(),
            expected: curve.expected_memory,
            found: curve.memory_slope(),
            points: bytes.map(|(point, bytes)| measured(point.size, bytes as f64)).collect(),
            label: memory,
        },
    ]
}

/// A logarithmic axis of this length, which the numbers fill but for a margin.
struct Axis {
    low: f64,
    high: f64,
    length: f64,
}

impl Axis {
    fn new(values: impl Iterator<Item = f64> + Clone, least_span: f64, length: f64) -> Self {
        let (low, high) = (
            values.clone().fold(f64::INFINITY, f64::min).ln(),
            values.fold(f64::NEG_INFINITY, f64::max).ln(),
        );
        // Numbers that hardly differ are not to look as if they did.
        let margin = ((least_span.ln() - (high - low)) / 2.0).max(0.08 * (high - low));
        Self { low: low - margin, high: high + margin, length }
    }

    fn at(&self, value: f64) -> f64 {
        self.length * (value.ln() - self.low) / (self.high - self.low).max(1e-9)
    }
}

impl Panel<'_> {
    fn draw(&self, corner: Point, size: &str) -> String {
        let Point { x, y } = corner;
        let found = self.found.map_or_else(String::new, |slope| format!(", power {slope:.2}"));
        let title = format!("{}{found} (expected {:.0})", self.title, self.expected);
        let mut svg = text(Point::new(x, y - 8.0), "font-weight=\"bold\"", &title);
        writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"none\" \
             stroke=\"{GRID}\"/>",
            PANEL.0, PANEL.1
        )
        .expect("a string takes any text");
        if self.points.is_empty() {
            return svg;
        }
        let across = Axis::new(self.points.iter().map(|point| point.size), 2.0, PANEL.0);
        let up = Axis::new(self.points.iter().map(|point| point.value), 4.0, PANEL.1);
        let at = |point: Measured| {
            Point::new(x + across.at(point.size), y + PANEL.1 - up.at(point.value))
        };
        svg += &self.axes(corner, &at);
        let name = format!("text-anchor=\"middle\" fill=\"{FAINT}\"");
        svg += &text(Point::new(x + PANEL.0 / 2.0, y + PANEL.1 + 32.0), &name, size);
        svg += &self.expected_line(y, &at);
        for pair in self.points.windows(2) {
            let stroke = format!("stroke=\"{OURS}\" stroke-width=\"1.5\"");
            svg += &line(at(pair[0]), at(pair[1]), &stroke);
        }
        for &point in &self.points {
            let Point { x: px, y: py } = at(point);
            writeln!(svg, "<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"3.5\" fill=\"{OURS}\"/>")
                .expect("a string takes any text");
        }
        svg
    }

    /// The numbers at the axes: sizes below, as many as there is room for from the largest on; the smallest
    /// and largest value to the left.
    fn axes(&self, corner: Point, at: &impl Fn(Measured) -> Point) -> String {
        let Point { x, y } = corner;
        let mut svg = String::new();
        let mut room = f64::INFINITY;
        for &point in self.points.iter().rev() {
            let (px, words) = (at(point).x, point.size.to_string());
            let half = DIGIT * words.len() as f64 / 2.0;
            if px + half > room {
                continue;
            }
            room = px - half - DIGIT;
            let extra = format!("text-anchor=\"middle\" font-size=\"10\" fill=\"{INK}\"");
            svg += &text(Point::new(px, y + PANEL.1 + 15.0), &extra, &words);
        }
        let by_value = |a: &&Measured, b: &&Measured| a.value.total_cmp(&b.value);
        let ends = [self.points.iter().min_by(by_value), self.points.iter().max_by(by_value)];
        let mut before = f64::INFINITY;
        for &point in ends.into_iter().flatten() {
            let py = at(point).y;
            if (before - py).abs() < 12.0 {
                continue;
            }
            before = py;
            svg += &line(
                Point::new(x, py),
                Point::new(x + PANEL.0, py),
                &format!("stroke=\"{GRID}\""),
            );
            let extra = "text-anchor=\"end\" font-size=\"10\"";
            svg += &text(Point::new(x - 5.0, py + 3.5), extra, &(self.label)(point.value));
        }
        svg
    }

    /// The part inside the panel, which begins at `top`, of the line of the expected power through the last point.
    fn expected_line(&self, top: f64, at: &impl Fn(Measured) -> Point) -> String {
        let (Some(&first), Some(&last)) = (self.points.first(), self.points.last()) else {
            return String::new();
        };
        let value = |size: f64| last.value * (size / last.size).powf(self.expected);
        // Cut where it leaves the panel: straight in logarithms, so it leaves once.
        let (start, end) = (at(Measured { value: value(first.size), ..first }), at(last));
        let limit = start.y.clamp(top, top + PANEL.1);
        let share = if start.y == end.y { 0.0 } else { (limit - start.y) / (end.y - start.y) };
        let from = Point::new(start.x + (end.x - start.x) * share, limit);
        line(from, end, &format!("stroke=\"{FAINT}\" stroke-dasharray=\"5 4\""))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::growth;
    use super::*;

    #[test]
    fn every_point_and_both_powers_are_drawn() {
        let svg = draw(&growth());
        // Four sizes in both panels, and one time.
        assert_eq!(svg.matches("<circle").count(), 9);
        assert!(svg.contains("time, power 2.00 (expected 2)"), "{svg}");
        assert!(svg.contains("memory, power 1.00 (expected 1)"), "{svg}");
        assert!(svg.contains("stroke-dasharray"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn sizes_without_room_go_unnamed_but_not_the_largest() {
        let mut found = growth();
        for point in &mut found.curves[0].points {
            point.size *= 100_000_000;
        }
        let svg = draw(&found);
        // 190 wide, and 4 sizes of 9 digits of 6.5 each, with a blank between.
        let drawn = |size: &str| svg.matches(&format!(">{size}<")).count();
        assert_eq!([drawn("800000000"), drawn("400000000"), drawn("200000000")], [2, 0, 2]);
    }

    #[test]
    fn labels_are_short() {
        assert_eq!(short("64.00 ms"), "64 ms");
        assert_eq!(short("1.234 µs"), "1.2 µs");
    }
}
