//! A table as Markdown.

use std::fmt::Write;

/// A Markdown table, aligned also as plain text: the first `left` columns to the left, for names, the
/// others to the right, for numbers. The first row is the header.
pub(crate) fn markdown_table<const N: usize>(rows: &[[String; N]], left: usize) -> String {
    let width = |column: usize| {
        let widths = rows.iter().map(|row: &[String; N]| row[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let padded = if column < left {
                format!("| {cell:<width$} ")
            } else {
                format!("| {cell:>width$} ")
            };
            text.push_str(&padded);
        }
        text.push_str("|\n");
        if index == 0 {
            for (column, width) in widths.into_iter().enumerate() {
                let end = if column < left { '-' } else { ':' };
                let rule = "-".repeat(width + 1);
                write!(text, "|{rule}{end}").expect("a string takes any text");
            }
            text.push_str("|\n");
        }
    }
    text
}
