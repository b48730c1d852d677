//! What each of some filters sees of a picture, as one SVG file: a row for each filter, with the filter, `Z`, `A` and
//! `P` as squares, blue below 0 and orange above.

use std::fmt::{Result as Written, Write};

use ndarray::ArrayView2;

/// The side of every grid in pixels, and what lies around it.
const SIDE: usize = 144;
const LEFT: usize = 170;
const TOP: usize = 150;
const STEP: [usize; 2] = [SIDE + 30, SIDE + 30];
/// Where the scale of colours begins, right of `LEFT`, and the side of one of its squares.
const BAR: usize = 62;
const SWATCH: usize = 14;

/// Red, green and blue of the lowest number, of 0, and of the highest one.
const BELOW: [f64; 3] = [30.0, 100.0, 190.0];
const ZERO: [f64; 3] = [247.0, 247.0, 247.0];
const ABOVE: [f64; 3] = [225.0, 105.0, 10.0];

/// A filter and what it makes of the picture.
pub(crate) struct Seen<'a> {
    pub(crate) name: &'static str,
    /// What it answers to.
    pub(crate) answers: &'static str,
    pub(crate) filter: ArrayView2<'a, f64>,
    pub(crate) z: ArrayView2<'a, f64>,
    pub(crate) a: ArrayView2<'a, f64>,
    pub(crate) p: ArrayView2<'a, f64>,
}

/// The picture beside the first row, and a row for each filter.
pub(crate) fn svg(
    picture: ArrayView2<'_, f64>,
    rows: &[Seen<'_>],
) -> Result<String, std::fmt::Error> {
    let (width, height) = (LEFT + 5 * STEP[0], TOP + rows.len() * STEP[1] + 10);
    let mut out = String::new();
    writeln!(
        out,
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' \
         height='{height}' font-family='sans-serif' font-size='13' fill='#222'>\n\
         <rect width='{width}' height='{height}' fill='#fff'/>"
    )?;
    legend(&mut out)?;
    let heads = [
        "X: the picture",
        "W: the filter",
        "Z: sum(window * W)",
        "A = max(Z, 0)",
        "P: maxima of 2 x 2",
    ];
    for (column, head) in heads.into_iter().enumerate() {
        let x = LEFT + column * STEP[0];
        writeln!(out, "<text x='{x}' y='{}' font-weight='bold'>{head}</text>", TOP - 14)?;
    }
    for (row, seen) in rows.iter().enumerate() {
        let y = TOP + row * STEP[1];
        writeln!(out, "<text x='12' y='{}' font-weight='bold'>{}</text>", y + 66, seen.name)?;
        writeln!(out, "<text x='12' y='{}' font-size='11'>{}</text>", y + 84, seen.answers)?;
        // Z, A and P are on one scale, so that they can be compared.
        let largest = of_largest(seen.z);
        let grids = [
            (picture, of_largest(picture)),
            (seen.filter, of_largest(seen.filter)),
            (seen.z, largest),
            (seen.a, largest),
            (seen.p, largest),
        ];
        for (column, (numbers, largest)) in grids.into_iter().enumerate() {
            grid(&mut out, [LEFT + column * STEP[0], y], numbers, largest)?;
        }
    }
    writeln!(out, "</svg>")?;
    Ok(out)
}

/// What a row, a column and a colour are, above the squares.
fn legend(out: &mut String) -> Written {
    let lines = [
        ("Row", LEFT, "a filter: its name, what it answers to, and what it makes of the picture"),
        (
            "Column",
            LEFT,
            "a step: the picture X, the filter W, what it gives, Z, the ReLU of that, A, and its pooling, P",
        ),
        ("Colour", LEFT, "below 0"),
        (
            "",
            LEFT + BAR + 9 * SWATCH + 12,
            "above 0; white is 0, and the stronger the colour, the further from 0",
        ),
        (
            "",
            LEFT,
            "X and W have a scale each; Z, A and P of a row share one, so that they can be compared",
        ),
    ];
    for ((what, x, text), y) in lines.into_iter().zip([26, 48, 70, 70, 92]) {
        writeln!(
            out,
            "<text x='12' y='{y}' font-weight='bold'>{what}</text><text x='{x}' y='{y}'>{text}</text>"
        )?;
    }
    for step in 0..9 {
        let x = LEFT + BAR + step * SWATCH;
        let [red, green, blue] = color(step as f64 / 4.0 - 1.0);
        writeln!(
            out,
            "<rect x='{x}' y='59' width='{SWATCH}' height='{SWATCH}' fill='rgb({red:.0},{green:.0},{blue:.0})' \
             stroke='#ccc' stroke-width='0.5'/>"
        )?;
    }
    Ok(())
}

/// The largest size of a number.
fn of_largest(numbers: ArrayView2<'_, f64>) -> f64 {
    numbers.iter().fold(f64::MIN_POSITIVE, |largest, number| largest.max(number.abs()))
}

/// Numbers as squares; each says its number where the mouse is.
fn grid(out: &mut String, at: [usize; 2], numbers: ArrayView2<'_, f64>, largest: f64) -> Written {
    let cell = SIDE as f64 / numbers.ncols() as f64;
    for ((row, column), &number) in numbers.indexed_iter() {
        let (x, y) = (at[0] as f64 + column as f64 * cell, at[1] as f64 + row as f64 * cell);
        let [red, green, blue] = color(number / largest);
        writeln!(
            out,
            "<rect x='{x:.1}' y='{y:.1}' width='{cell:.1}' height='{cell:.1}' fill='rgb({red:.0},{green:.0},{blue:.0})' \
             stroke='#ccc' stroke-width='0.5'><title>{:.3}</title></rect>",
            number + 0.0
        )?;
    }
    Ok(())
}

/// The color of a number from -1 to 1.
fn color(number: f64) -> [f64; 3] {
    let far = if number < 0.0 { BELOW } else { ABOVE };
    [0, 1, 2].map(|it| ZERO[it] + (far[it] - ZERO[it]) * number.abs())
}
