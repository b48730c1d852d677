//! The course of a run, drawn: cost and accuracy of each epoch, as SVG, and as a line of blocks for a terminal.

mod axis;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use dnn_train::{EpochRecord, Evaluation};

use self::axis::{Axis, ticks};

/// A drawing's size, and the edges of a panel in it: left, right, top, bottom.
const HEIGHT: f64 = 360.0;
const PANEL: f64 = 440.0;
const EDGES: [f64; 4] = [62.0, 18.0, 52.0, 46.0];

/// Epochs up to which each has a point of its own.
const FEW: usize = 40;

/// Light and dark pages alike; blue and orange are told apart by everybody, and validation is dashed besides.
const STYLE: &str = "<style>
:root{color-scheme:light dark}
.page{fill:#fff}.ink{fill:#222}.soft{fill:#555}.grid{stroke:#ddd}.axis{stroke:#555;fill:none}.best{stroke:#888}
.train{stroke:#1f6fd1;color:#1f6fd1}.validation{stroke:#d95f02;color:#d95f02}
path{fill:none;stroke-width:2}.grid,.axis,.best{stroke-width:1}circle{fill:currentColor;stroke:none}
@media(prefers-color-scheme:dark){.page{fill:#16181d}.ink{fill:#e8e8e8}.soft{fill:#aaa}.grid{stroke:#33363d}
.axis{stroke:#aaa}.best{stroke:#999}.train{stroke:#6aa9ff;color:#6aa9ff}.validation{stroke:#ff9d4d;color:#ff9d4d}}
</style>
";

/// How every drawing begins.
const MADE_HERE: &str = "<!-- curves of a run, by dnn -->\n";

/// One number of each epoch.
struct Curve {
    name: &'static str,
    points: Vec<Point>,
}

#[derive(Clone, Copy)]
struct Point {
    epoch: f64,
    value: f64,
}

/// Curves over the same axes.
struct Panel {
    title: &'static str,
    digits: usize,
    /// Whether the curves fall: there is room for words at the top then, else at the bottom.
    falls: bool,
    curves: Vec<Curve>,
}

impl Curve {
    fn of(
        name: &'static str,
        records: &[EpochRecord],
        of: impl Fn(&EpochRecord) -> Option<f64>,
    ) -> Self {
        let point = |record: &EpochRecord| {
            let value = of(record).filter(|value| value.is_finite())?;
            Some(Point { epoch: record.epoch as f64, value })
        };
        Self { name, points: records.iter().filter_map(point).collect() }
    }
}

/// Cost and, where there are classes, accuracy.
fn panels(records: &[EpochRecord]) -> Vec<Panel> {
    let validation = |record: &EpochRecord| record.validation.as_ref().map(|part| part.cost);
    let percent = |share: f64| 100.0 * share;
    let cost = [
        Curve::of("train", records, |record| Some(record.cost)),
        Curve::of("validation", records, validation),
    ];
    let accuracy = [
        Curve::of("train", records, |record| record.accuracy.map(percent)),
        Curve::of("validation", records, |record| {
            record.validation.as_ref().and_then(Evaluation::accuracy).map(percent)
        }),
    ];
    let panel = |title, digits, falls, curves: [Curve; 2]| {
        let curves = curves.into_iter().filter(|curve| !curve.points.is_empty()).collect();
        Panel { title, digits, falls, curves }
    };
    let all = [panel("cost", 4, true, cost), panel("accuracy, %", 1, false, accuracy)];
    all.into_iter().filter(|panel| !panel.curves.is_empty()).collect()
}

/// Whether a file begins as drawings of this kind do.
pub(crate) fn are_in(file: &Path) -> bool {
    let mut start = [0; MADE_HERE.len()];
    let mut read = || File::open(file).and_then(|mut file| file.read_exact(&mut start));
    read().is_ok() && start == *MADE_HERE.as_bytes()
}

/// The epochs of a run as a drawing: a panel each for cost and accuracy, of the training and the validation part, with
/// the best epoch marked.
pub(crate) fn svg(records: &[EpochRecord]) -> String {
    let panels = panels(records);
    let best = records.iter().rfind(|record| record.best).map(|record| record.epoch as f64);
    let width = PANEL * panels.len().max(1) as f64;
    let mut text = format!(
        "{MADE_HERE}<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{HEIGHT}\" \
         viewBox=\"0 0 {width} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n{STYLE}\
         <rect class=\"page\" width=\"100%\" height=\"100%\"/>\n"
    );
    for (place, panel) in panels.iter().enumerate() {
        text += &drawn(panel, PANEL * place as f64, best);
    }
    if panels.is_empty() {
        text += "<text class=\"soft\" x=\"20\" y=\"40\">no epoch is over yet</text>\n";
    }
    text + "</svg>\n"
}

fn label(class: &str, anchor: &str, [x, y]: [f64; 2], text: &str) -> String {
    format!(
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>\n"
    )
}

fn drawn(panel: &Panel, offset: f64, best: Option<f64>) -> String {
    let all = || panel.curves.iter().flat_map(|curve| &curve.points);
    let [left, right] = [offset + EDGES[0], offset + PANEL - EDGES[1]];
    let [top, bottom] = [EDGES[2], HEIGHT - EDGES[3]];
    let x = Axis::of(all().map(|point| point.epoch), [left, right]);
    let y = Axis::of(all().map(|point| point.value), [bottom, top]);
    let mut text = label("ink", "start", [left, 22.0], panel.title);
    for tick in ticks(&y, 5, 0.0) {
        let at = y.at(tick.value);
        text += &format!("<path class=\"grid\" d=\"M{left:.1} {at:.1}H{right:.1}\"/>\n");
        text += &label("soft", "end", [left - 7.0, at + 4.0], &tick.text);
    }
    for tick in ticks(&x, 7, 1.0) {
        text += &label("soft", "middle", [x.at(tick.value), bottom + 18.0], &tick.text);
    }
    text += &label("soft", "middle", [f64::midpoint(left, right), bottom + 36.0], "epoch");
    text += &format!("<path class=\"axis\" d=\"M{left:.1} {top:.1}V{bottom:.1}H{right:.1}\"/>\n");
    if let Some(best) = best {
        let at = x.at(best);
        text += &format!(
            "<path class=\"best\" stroke-dasharray=\"2 3\" d=\"M{at:.1} {top:.1}V{bottom:.1}\"/>\n"
        );
        let anchor = if at > f64::midpoint(left, right) { "end" } else { "start" };
        let beside = if anchor == "end" { at - 5.0 } else { at + 5.0 };
        let down = if panel.falls { top + 12.0 } else { bottom - 7.0 };
        text += &label("soft", anchor, [beside, down], &format!("best: epoch {best}"));
    }
    for (place, curve) in panel.curves.iter().enumerate() {
        text += &line(curve, &x, &y);
        text += &legend(panel, curve, [left + 160.0 * place as f64, 40.0]);
    }
    text
}

/// The dashes of a curve.
fn dashes(curve: &Curve) -> &'static str {
    if curve.name == "validation" { " stroke-dasharray=\"7 3\"" } else { "" }
}

fn line(curve: &Curve, x: &Axis, y: &Axis) -> String {
    let places: Vec<[f64; 2]> =
        curve.points.iter().map(|point| [x.at(point.epoch), y.at(point.value)]).collect();
    let steps: Vec<String> = places.iter().map(|[x, y]| format!("{x:.1} {y:.1}")).collect();
    let (name, dashes) = (curve.name, dashes(curve));
    let mut text = format!("<path class=\"{name}\"{dashes} d=\"M{}\"/>\n", steps.join("L"));
    if places.len() <= FEW {
        for [x, y] in places {
            text += &format!("<circle class=\"{name}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"/>\n");
        }
    }
    text
}

/// The curve's look, name and last number.
fn legend(panel: &Panel, curve: &Curve, [x, y]: [f64; 2]) -> String {
    let last = curve.points.last().map_or(0.0, |point| point.value);
    let said = format!("{} {last:.*}", curve.name, panel.digits);
    let (name, dashes, to) = (curve.name, dashes(curve), x + 24.0);
    let line = format!("<path class=\"{name}\"{dashes} d=\"M{x:.1} {:.1}H{to:.1}\"/>\n", y - 4.0);
    line + &label("ink", "start", [to + 6.0, y], &said)
}

/// Blocks of eight heights.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Cost and accuracy, with their first and last numbers, in so many columns; nothing before there are two epochs.
pub(crate) fn blocks(records: &[EpochRecord], columns: usize) -> String {
    let panels = panels(records);
    let each = (columns / panels.len().max(1)).saturating_sub(4);
    let one = |panel: &Panel| {
        // That of the validation part, where there is one.
        let curve = panel.curves.last().filter(|curve| curve.points.len() > 1)?;
        let values: Vec<f64> = curve.points.iter().map(|point| point.value).collect();
        let [first, last] = [values.first(), values.last()].map(|it| it.copied().unwrap_or(0.0));
        let (name, digits) = (panel.title.trim_end_matches(", %"), panel.digits);
        let (head, tail) =
            (format!("{name} ({}) {first:.digits$} ", curve.name), format!(" {last:.digits$}"));
        let width = each.saturating_sub(head.len() + tail.len());
        Some(format!("{head}{}{tail}", heights(&values, width)))
    };
    panels.iter().filter_map(one).collect::<Vec<String>>().join("    ")
}

/// The means of equal parts of the numbers, as heights between the smallest and the largest number.
fn heights(values: &[f64], width: usize) -> String {
    let width = width.min(values.len());
    let means: Vec<f64> = (0..width)
        .map(|place| &values[place * values.len() / width..(place + 1) * values.len() / width])
        .map(|part| part.iter().sum::<f64>() / part.len() as f64)
        .collect();
    let axis = Axis::of(means.iter().copied(), [0.0, (BLOCKS.len() - 1) as f64]);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 7")]
    let block = |&mean: &f64| BLOCKS[(axis.at(mean).round() as usize).min(BLOCKS.len() - 1)];
    means.iter().map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Epochs of these costs and accuracies; the validation part has cost 1 more, and the best epoch is the last but one.
    fn records(numbers: &[(f64, Option<f64>)]) -> Vec<EpochRecord> {
        let record = |(place, &(cost, accuracy)): (usize, &(f64, Option<f64>))| EpochRecord {
            epoch: place as u64 + 1,
            step: place as u64 + 1,
            learning_rate: 0.1,
            cost,
            accuracy,
            single_class: None,
            validation: None,
            best: place + 2 == numbers.len(),
        };
        numbers.iter().enumerate().map(record).collect()
    }

    #[test]
    fn a_drawing_has_a_panel_for_each_kind_of_number() {
        let both = svg(&records(&[(2.0, Some(0.5)), (1.0, Some(0.75)), (0.5, Some(0.9))]));
        assert!(both.contains("width=\"880\""), "{both}");
        // From the left edge to the right one, from the top to the bottom.
        assert!(both.contains("d=\"M62.0 52.0L242.0 226.7L422.0 314.0\""), "{both}");
        assert!(both.contains(">train 0.5000<") && both.contains(">train 90.0<"), "{both}");
        assert_eq!(both.matches(">best: epoch 2<").count(), 2);
        // Numbers are to be found: no accuracy. What is not finite has no place.
        let cost = svg(&records(&[(2.0, None), (f64::NAN, None), (1.0, None)]));
        assert!(cost.contains("width=\"440\"") && !cost.contains("accuracy"), "{cost}");
        assert_eq!(cost.matches("<circle").count(), 2);
        assert!(svg(&[]).contains("no epoch is over yet"));
        assert!(svg(&records(&[(1.0, None)])).contains("<circle"));
    }

    #[test]
    fn blocks_are_as_high_as_the_numbers() {
        assert_eq!(heights(&[0.0, 7.0, 3.0], 10), "▁█▄");
        assert_eq!(heights(&[0.0, 2.0, 7.0, 9.0], 2), "▁█");
        assert_eq!(heights(&[1.0, 2.0], 0), "");
        let told = blocks(&records(&[(2.0, Some(0.5)), (0.5, Some(0.9))]), 120);
        assert_eq!(told, "cost (train) 2.0000 █▁ 0.5000    accuracy (train) 50.0 ▁█ 90.0");
        assert_eq!(blocks(&records(&[(2.0, None)]), 120), "");
        let many: Vec<(f64, Option<f64>)> = (0..500).map(|it| (f64::from(it), Some(0.5))).collect();
        assert!(blocks(&records(&many), 100).chars().count() <= 100);
    }
}
