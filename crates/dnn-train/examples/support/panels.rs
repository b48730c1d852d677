//! A row of pictures of the plane: what networks say about every point of it, as one SVG file.

use std::error::Error;
use std::fmt::{Result as Written, Write};

use dnn_core::Features;
use dnn_layers::Network;
use ndarray::{Array2, ShapeBuilder};

/// Both coordinates are drawn from minus this to this.
const REACH: f64 = 1.4;
/// Cells along each side of a panel, and the side of a cell in pixels.
const CELLS: usize = 150;
const CELL: usize = 2;
const SIDE: usize = CELLS * CELL;
const MIDDLE: usize = SIDE / 2;
/// From one panel to the next, and around all of them.
const STEP: usize = SIDE + 36;
const LEFT: usize = 52;
const TOP: usize = 62;
/// Shades between the two classes.
const SHADES: usize = 20;
/// Red, green and blue of class 0, of doubt, and of class 1: everybody can tell blue from orange.
const SURE_0: [f64; 3] = [90.0, 150.0, 205.0];
const DOUBT: [f64; 3] = [250.0, 250.0, 250.0];
const SURE_1: [f64; 3] = [250.0, 165.0, 70.0];
/// Fill of the points of each class.
const POINTS: [&str; 2] = ["#08519c", "#b34700"];

/// One network's picture.
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) network: Network<f64>,
}

/// The panels side by side, all with the same points `(2, m)` and labels.
pub(crate) fn svg(
    panels: &[Panel],
    points: &Array2<f64>,
    labels: &[u32],
) -> Result<String, Box<dyn Error>> {
    let (width, height) = (LEFT + panels.len() * STEP - 16, TOP + SIDE + 100);
    let mut out = String::new();
    writeln!(
        out,
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' \
         height='{height}' font-family='sans-serif' font-size='13' fill='#222'>\n\
         <rect width='{width}' height='{height}' fill='#fff'/>"
    )?;
    for (index, panel) in panels.iter().enumerate() {
        let left = LEFT + index * STEP;
        writeln!(out, "<g transform='translate({left}, {TOP})'>")?;
        background(&mut out, &panel.network)?;
        for (point, &label) in points.columns().into_iter().zip(labels) {
            mark(&mut out, label as usize, pixels(point[0]), pixels(-point[1]))?;
        }
        axes(&mut out, panel, index == 0)?;
        writeln!(out, "</g>")?;
    }
    legend(&mut out, width / 2, TOP + SIDE + 70)?;
    writeln!(out, "</svg>")?;
    Ok(out)
}

/// The colour of shade `shade` of `0..=SHADES`.
fn colour(shade: usize) -> String {
    let p = shade as f64 / SHADES as f64;
    let (end, weight) = if p < 0.5 { (SURE_0, 1.0 - 2.0 * p) } else { (SURE_1, 2.0 * p - 1.0) };
    let [r, g, b] = [0, 1, 2].map(|i| DOUBT[i] + weight * (end[i] - DOUBT[i]));
    format!("rgb({r:.0},{g:.0},{b:.0})")
}

/// The probability of class 1 in the middle of every cell, row by row from the top, and the line
/// where it passes 0.5.
fn background(out: &mut String, network: &Network<f64>) -> Result<(), Box<dyn Error>> {
    let middle = |cell: usize| ((cell as f64 + 0.5) / CELLS as f64 * 2.0 - 1.0) * REACH;
    let grid = Array2::from_shape_fn((2, CELLS * CELLS).f(), |(coordinate, cell)| {
        if coordinate == 0 { middle(cell % CELLS) } else { -middle(cell / CELLS) }
    });
    let probabilities = network.predict_probabilities(&Features::Real(grid.view()))?;
    let at = |x: usize, y: usize| probabilities[(1, y * CELLS + x)];
    let reaches = |p: f64, shade: usize| p * SHADES as f64 >= shade as f64 - 0.5;
    let shade = |x, y| (1..=SHADES).filter(|&s| reaches(at(x, y), s)).count();
    writeln!(out, "<g shape-rendering='crispEdges'>")?;
    for y in 0..CELLS {
        let shades: Vec<usize> = (0..CELLS).map(|x| shade(x, y)).collect();
        let (mut left, top) = (0, y * CELL);
        for run in shades.chunk_by(|a, b| a == b) {
            let (width, fill) = (run.len() * CELL, colour(run[0]));
            writeln!(
                out,
                "<rect x='{left}' y='{top}' width='{width}' height='{CELL}' fill='{fill}'/>"
            )?;
            left += width;
        }
    }
    write!(out, "</g>\n<path stroke='#222' stroke-width='1.5' d='")?;
    let sure = |x, y| at(x, y) > 0.5;
    for (x, y) in (0..CELLS).flat_map(|x| (0..CELLS).map(move |y| (x, y))) {
        let (left, top) = (x * CELL, y * CELL);
        if x > 0 && sure(x, y) != sure(x - 1, y) {
            write!(out, "M{left} {top}v{CELL}")?;
        }
        if y > 0 && sure(x, y) != sure(x, y - 1) {
            write!(out, "M{left} {top}h{CELL}")?;
        }
    }
    Ok(writeln!(out, "'/>")?)
}

/// From a coordinate to pixels from the panel's left edge.
fn pixels(coordinate: f64) -> f64 {
    MIDDLE as f64 * (1.0 + coordinate / REACH)
}

/// A circle for class 0, a square for class 1.
fn mark(out: &mut String, label: usize, x: f64, y: f64) -> Written {
    let look = format!("fill='{}' stroke='#fff' stroke-width='0.7'", POINTS[label]);
    if label == 0 {
        return writeln!(out, "<circle cx='{x:.1}' cy='{y:.1}' r='3.2' {look}/>");
    }
    let (x, y) = (x - 2.8, y - 2.8);
    writeln!(out, "<rect x='{x:.1}' y='{y:.1}' width='5.6' height='5.6' {look}/>")
}

fn axes(out: &mut String, panel: &Panel, first: bool) -> Written {
    let Panel { title, subtitle, .. } = panel;
    writeln!(
        out,
        "<rect width='{SIDE}' height='{SIDE}' fill='none' stroke='#222'/>\n\
         <g text-anchor='middle'>\n\
         <text x='{MIDDLE}' y='-32' font-size='16' font-weight='bold'>{title}</text>\n\
         <text x='{MIDDLE}' y='-12'>{subtitle}</text>"
    )?;
    for (tick, name) in [(-1.0, "\u{2212}1"), (0.0, "0"), (1.0, "1")] {
        let (x, y) = (pixels(tick), SIDE + 19);
        writeln!(out, "<path d='M{x:.1} {SIDE}v5' stroke='#222'/>")?;
        writeln!(out, "<text x='{x:.1}' y='{y}'>{name}</text>")?;
        if first {
            let (y, foot) = (pixels(-tick), pixels(-tick) + 4.5);
            writeln!(out, "<path d='M0 {y:.1}h-5' stroke='#222'/>")?;
            writeln!(out, "<text x='-9' y='{foot:.1}' text-anchor='end'>{name}</text>")?;
        }
    }
    writeln!(out, "<text x='{MIDDLE}' y='{}'>x1</text>", SIDE + 36)?;
    if first {
        writeln!(out, "<text transform='translate(-32, {MIDDLE}) rotate(-90)'>x2</text>")?;
    }
    writeln!(out, "</g>")
}

/// The marks of the points, and the colours from one class to the other.
fn legend(out: &mut String, middle: usize, top: usize) -> Written {
    writeln!(out, "<g transform='translate({}, {top})'>", middle - 410)?;
    mark(out, 0, 0.0, 0.0)?;
    writeln!(out, "<text x='10' y='4.5'>outer circle, class 0</text>")?;
    mark(out, 1, 170.0, 0.0)?;
    writeln!(out, "<text x='180' y='4.5'>inner circle, class 1</text>")?;
    writeln!(
        out,
        "<path d='M340 0h24' stroke='#222' stroke-width='1.5'/>\n\
         <text x='370' y='4.5'>boundary</text>\n\
         <text x='610' y='4.5' text-anchor='end'>probability of class 1: 0</text>"
    )?;
    for shade in 0..=SHADES {
        let (x, fill) = (618 + shade * 9, colour(shade));
        writeln!(out, "<rect x='{x}' y='-7' width='9' height='14' fill='{fill}'/>")?;
    }
    writeln!(out, "<text x='815' y='4.5'>1</text>\n</g>")
}
