//! Pictures of numbers, as SVG.

use std::fmt::Write;

use super::report::{Report, Row};
use crate::bench::scaled;

/// Times ours at the right end of the bars; longer ones are cut there.
const MOST: f64 = 8.0;
const WIDTH: f64 = 920.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 690.0;
const BAR: f64 = 15.0;
const STEP: f64 = 21.0;
const HEAD: f64 = 30.0;
const GAP: f64 = 20.0;

pub(super) const INK: &str = "#1f2933";
pub(super) const FAINT: &str = "#6b7785";
pub(super) const GRID: &str = "#dfe4ea";
pub(super) const OURS: &str = "#c2410c";
const PEERS: &str = "#7c93b2";

/// A text with what SVG reads as its own replaced.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The beginning of an SVG file with a white ground.
pub(super) fn open(width: f64, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         width=\"{width:.0}\" height=\"{height:.0}\" \
         font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\" fill=\"{INK}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    )
}

/// A place in a picture, from its upper left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

impl Point {
    pub(super) const fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }
}

/// One line of text.
pub(super) fn text(at: Point, extra: &str, words: &str) -> String {
    let Point { x, y } = at;
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" {extra}>{}</text>\n", escaped(words))
}

/// A straight line.
pub(super) fn line(from: Point, to: Point, extra: &str) -> String {
    format!(
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" {extra}/>\n",
        from.x, from.y, to.x, to.y
    )
}

fn place(ratio: f64) -> f64 {
    LEFT + (RIGHT - LEFT) * ratio.clamp(0.0, MOST) / MOST
}

/// A bar for each program: how many times as long as ours it took.
pub(super) fn ratios(report: &Report) -> String {
    let rows: usize = report.sections.iter().map(|section| section.rows.len()).sum();
    let groups = report.sections.len() as f64;
    let top = 74.0;
    let bottom = top + groups * (HEAD + GAP) + rows as f64 * STEP;
    let mut svg = open(WIDTH, bottom + 46.0);
    svg += &text(
        Point::new(24.0, 30.0),
        "font-size=\"18\" font-weight=\"bold\"",
        "Time, as a multiple of dnn's",
    );
    svg += &text(Point::new(24.0, 50.0), &format!("fill=\"{FAINT}\""), &subtitle(report));
    let mut y = top;
    for section in &report.sections {
        svg += &text(Point::new(24.0, y + 14.0), "font-weight=\"bold\"", &section.name);
        svg += &text(Point::new(LEFT, y + 14.0), &format!("fill=\"{FAINT}\""), &section.title);
        y += HEAD - 6.0;
        let end = y + section.rows.len() as f64 * STEP;
        for step in 0..=4 {
            let x = place(f64::from(2 * step));
            svg += &line(Point::new(x, y), Point::new(x, end), &format!("stroke=\"{GRID}\""));
        }
        for row in &section.rows {
            svg += &bar(row, y);
            y += STEP;
        }
        // Where every bar would end if all were as fast as ours.
        let x = place(1.0);
        let dashed = format!("stroke=\"{OURS}\" stroke-dasharray=\"3 3\"");
        svg += &line(
            Point::new(x, end - STEP * section.rows.len() as f64),
            Point::new(x, end),
            &dashed,
        );
        y += GAP + 6.0;
    }
    for step in 0..=4 {
        let words = format!("{}", 2 * step);
        let extra = format!("text-anchor=\"middle\" fill=\"{FAINT}\"");
        svg += &text(Point::new(place(f64::from(2 * step)), bottom + 8.0), &extra, &words);
    }
    let words = format!(
        "Bars end at {MOST:.0}; the thin line is from quartile to quartile. * steps measured and multiplied"
    );
    svg += &text(
        Point::new(24.0, bottom + 32.0),
        &format!("fill=\"{FAINT}\" font-size=\"11\""),
        &words,
    );
    svg + "</svg>\n"
}

fn subtitle(report: &Report) -> String {
    let quick = if report.quick { "; a quick run, which says nothing of speed" } else { "" };
    let machine = &report.machine;
    let commit: String = machine.commit.chars().take(10).collect();
    format!("{}, {} threads, commit {commit}{quick}", machine.cpu, report.threads)
}

/// The bar of one program, its name before it, its time and ratio behind.
fn bar(row: &Row, y: f64) -> String {
    let (middle, end) = (y + STEP / 2.0, place(row.ratio.median));
    let colour = if row.ours { OURS } else { PEERS };
    let weight = if row.ours { " font-weight=\"bold\"" } else { "" };
    let mut svg = text(
        Point::new(LEFT - 8.0, middle + 4.0),
        &format!("text-anchor=\"end\"{weight}"),
        &row.who,
    );
    let (top, width) = (middle - BAR / 2.0, (end - LEFT).max(1.0));
    writeln!(
        svg,
        "<rect x=\"{LEFT:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{BAR:.1}\" \
         fill=\"{colour}\"/>"
    )
    .expect("a string takes any text");
    let (low, high) = (place(row.ratio.lower), place(row.ratio.upper));
    if high - low > 1.0 {
        svg +=
            &line(Point::new(low, middle), Point::new(high, middle), &format!("stroke=\"{INK}\""));
    }
    if row.ratio.median > MOST {
        // Two strokes of white: the bar goes on.
        for shift in [14.0, 20.0] {
            let from = Point::new(end - shift, top + BAR + 1.0);
            let to = Point::new(end - shift + 5.0, top - 1.0);
            svg += &line(from, to, "stroke=\"white\" stroke-width=\"2.5\"");
        }
    }
    let star = if row.extrapolated { " *" } else { "" };
    let time = scaled(1e9 * row.time.median);
    let words = if row.ours { time } else { format!("{time}{star}   {:.2}x", row.ratio.median) };
    svg + &text(
        Point::new(end.max(high).max(place(1.0)) + 8.0, middle + 4.0),
        &format!("fill=\"{INK}\"{weight}"),
        &words,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::report::tests::report;

    #[test]
    fn bars_are_as_long_as_the_ratios_and_cut_at_the_end() {
        let mut found = report();
        found.sections[1].rows[1].ratio.median = 99.0;
        found.sections[1].rows[1].who = "a <b> & c".to_owned();
        let svg = ratios(&found);
        // 2.5 of 8 over 540 from the left: 168.75, rounded to a tenth.
        assert!(svg.contains("width=\"168.8\""), "{svg}");
        assert!(svg.contains("width=\"540.0\""), "{svg}");
        assert!(svg.contains("99.00x") && svg.contains("a &lt;b&gt; &amp; c"), "{svg}");
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
        assert_eq!(svg.matches("stroke-width=\"2.5\"").count(), 2);
        assert!(svg.contains("says nothing of speed"));
    }
}
