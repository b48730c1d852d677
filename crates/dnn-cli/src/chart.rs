//! Curves over a logarithmic axis: as text for a terminal, and as SVG.

/// Columns and rows of a curve in text.
const COLUMNS: usize = 64;
const ROWS: usize = 16;

/// The ends of an axis.
#[derive(Clone, Copy)]
struct Range {
    low: f64,
    high: f64,
}

/// The range of some numbers; never empty.
fn range(values: impl Iterator<Item = f64>) -> Range {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low < high { Range { low, high } } else { Range { low: low - 0.5, high: low + 0.5 } }
}

/// Where `value` lies between the ends of a range: 0 to 1.
fn share(value: f64, Range { low, high }: Range) -> f64 {
    ((value - low) / (high - low)).clamp(0.0, 1.0)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to below `places`")]
fn place(share: f64, places: usize) -> usize {
    ((share * (places - 1) as f64).round() as usize).min(places - 1)
}

/// A curve of `(x, y)`, x above 0, in characters; a column is marked where `mark` lies.
pub(crate) fn text(points: &[(f64, f64)], mark: Option<f64>) -> String {
    let (xs, ys) =
        (range(points.iter().map(|(x, _)| x.log10())), range(points.iter().map(|(_, y)| *y)));
    let mut cells = vec![[' '; COLUMNS]; ROWS];
    if let Some(mark) = mark {
        let column = place(share(mark.log10(), xs), COLUMNS);
        for row in &mut cells {
            row[column] = '|';
        }
    }
    for (x, y) in points {
        let row = ROWS - 1 - place(share(*y, ys), ROWS);
        cells[row][place(share(x.log10(), xs), COLUMNS)] = '*';
    }
    let mut text = String::new();
    for (row, cells) in cells.iter().enumerate() {
        let label = match row {
            0 => format!("{:>10.4}", ys.high),
            row if row + 1 == ROWS => format!("{:>10.4}", ys.low),
            _ => " ".repeat(10),
        };
        let line: String = cells.iter().collect();
        text += &format!("{label} |{}\n", line.trim_end());
    }
    let (first, last) =
        (format!("{:.0e}", 10_f64.powf(xs.low)), format!("{:.0e}", 10_f64.powf(xs.high)));
    let gap = " ".repeat(COLUMNS.saturating_sub(first.len() + last.len()));
    text += &format!(
        "{} +{}\n{} {first}{gap}{last}\n",
        " ".repeat(10),
        "-".repeat(COLUMNS),
        " ".repeat(11)
    );
    text
}

/// The same as a drawing, with names for the axes and for what is marked.
pub(crate) fn svg(
    x_name: &str,
    y_name: &str,
    points: &[(f64, f64)],
    marks: &[(f64, &str)],
) -> String {
    const SIZE: (f64, f64) = (720.0, 420.0);
    const EDGE: (f64, f64, f64, f64) = (70.0, 20.0, 20.0, 60.0); // left, right, top, bottom
    let (xs, ys) =
        (range(points.iter().map(|(x, _)| x.log10())), range(points.iter().map(|(_, y)| *y)));
    let across = |x: f64| EDGE.0 + share(x.log10(), xs) * (SIZE.0 - EDGE.0 - EDGE.1);
    let down = |y: f64| SIZE.1 - EDGE.3 - share(y, ys) * (SIZE.1 - EDGE.2 - EDGE.3);
    let (left, right, top, bottom) = (EDGE.0, SIZE.0 - EDGE.1, EDGE.2, SIZE.1 - EDGE.3);
    let mut body = format!(
        "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"black\"/>\n"
    );
    let mut label = |x: f64, y: f64, anchor: &str, text: &str| {
        body +=
            &format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>\n");
    };
    #[expect(clippy::cast_possible_truncation, reason = "exponents of floats are small")]
    let (first, last) = (xs.low.ceil() as i32, xs.high.floor() as i32);
    for power in first..=last {
        label(across(10_f64.powi(power)), bottom + 20.0, "middle", &format!("1e{power}"));
    }
    for step in 0..=4 {
        let y = ys.low + (ys.high - ys.low) * f64::from(step) / 4.0;
        label(left - 8.0, down(y) + 4.0, "end", &format!("{y:.3}"));
    }
    label(f64::midpoint(left, right), SIZE.1 - 15.0, "middle", x_name);
    label(left + 8.0, top + 12.0, "start", y_name);
    for (x, name) in marks {
        label(across(*x) + 5.0, top + 30.0, "start", &format!("{name} {x:.2e}"));
    }
    for (x, _) in marks {
        let x = across(*x);
        body += &format!(
            "<path d=\"M{x:.1} {top}V{bottom}\" stroke=\"#c33\" stroke-dasharray=\"4\"/>\n"
        );
    }
    let curve: Vec<String> =
        points.iter().map(|&(x, y)| format!("{:.1},{:.1}", across(x), down(y))).collect();
    body += &format!(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#26c\" stroke-width=\"2\"/>\n",
        curve.join(" ")
    );
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n{body}</svg>\n",
        SIZE.0, SIZE.1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_has_its_ends_at_its_ends() {
        let points = [(1e-4, 2.0), (1e-2, 1.0), (1.0, 4.0)];
        let text = text(&points, Some(1e-2));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), ROWS + 2);
        assert!(lines[0].starts_with("    4.0000 |") && lines[0].ends_with('*'), "{text}");
        let lowest = lines[ROWS - 1];
        assert!(lowest.starts_with("    1.0000 |"), "{text}");
        assert_eq!(
            lowest.find('*'),
            lines[1].find('|').and_then(|_| lines[1].rfind('|')),
            "{text}"
        );
        assert!(lines[ROWS + 1].contains("1e-4") && lines[ROWS + 1].ends_with("1e0"), "{text}");
        let drawing = svg("x", "y", &points, &[(1e-2, "here")]);
        assert!(drawing.contains("<polyline points=\"70.0,"), "{drawing}");
        assert!(drawing.contains("here 1.00e-2"), "{drawing}");
    }
}
