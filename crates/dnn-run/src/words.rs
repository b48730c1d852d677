//! Text for people.

use std::ops::Range;

/// `text` with its control characters written out, so that a name can do nothing to a terminal or a table.
pub fn plain(text: &str) -> String {
    let escape = |c: char| {
        if c.is_control() { c.escape_default().to_string() } else { c.to_string() }
    };
    text.chars().map(escape).collect()
}

/// `1 file`, `2 files`: a number with the form of the word that goes with it.
pub fn counted(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// What the lines of a drawing in a message begin with: those of [`point_at`].
const DRAWN: [&str; 2] = ["  | ", "  = "];

/// The most characters of a line that are drawn before, in and behind the part that is pointed at.
const MOST_DRAWN: usize = 40;

/// A line with marks under a part of it, and what to do about that: to be put behind a message.
///
/// `part` is in bytes; what lies outside of the line is left out.
///
/// ```
/// let drawing = dnn_run::words::point_at("conv 16, pol", 9..12, "write pool");
/// assert_eq!(drawing, "\n  | conv 16, pol\n  |          ^^^\n  = write pool");
/// ```
pub fn point_at(line: &str, part: Range<usize>, advice: &str) -> String {
    let [before, inside, after] = [0..part.start, part.start..part.end, part.end..line.len()]
        .map(|range| plain(line.get(range).unwrap_or_default()).chars().collect::<Vec<char>>());
    let skipped = before.len().saturating_sub(MOST_DRAWN);
    let mut drawn: String = if skipped > 0 { "…" } else { "" }.to_owned();
    drawn.extend(&before[skipped..]);
    let marks = inside.len().clamp(1, MOST_DRAWN);
    let under = format!("{}{}", " ".repeat(drawn.chars().count()), "^".repeat(marks));
    let rest: Vec<char> = inside.into_iter().chain(after).collect();
    let shown = rest.len().min(marks + MOST_DRAWN);
    drawn.extend(&rest[..shown]);
    drawn += if shown < rest.len() { "…" } else { "" };
    let [line, advised] = DRAWN;
    format!("\n{line}{drawn}\n{line}{under}\n{advised}{advice}")
}

/// As [`plain`], but for the ends of lines before a [drawing](point_at), which stay.
pub fn plain_message(text: &str) -> String {
    joined(text, &plain("\n"))
}

/// A message in one line, but for a [drawing](point_at) in it.
pub(crate) fn in_one_line(text: &str) -> String {
    joined(text, "; ")
}

fn joined(text: &str, between: &str) -> String {
    let mut whole = String::new();
    for (number, line) in text.split('\n').enumerate() {
        let is_drawn = DRAWN.iter().any(|start| line.starts_with(start));
        whole += if number == 0 {
            ""
        } else if is_drawn {
            "\n"
        } else {
            between
        };
        whole += &plain(line);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_a_number_of_its_own() {
        let told = [0, 1, 2].map(|count| counted(count, "file is", "files are"));
        assert_eq!(told, ["0 files are", "1 file is", "2 files are"]);
    }

    #[test]
    fn control_characters_are_written_out() {
        assert_eq!(plain("a\u{1b}[2J\tb"), "a\\u{1b}[2J\\tb");
    }

    #[test]
    fn a_part_of_a_line_is_pointed_at_however_long_the_line_is() {
        let long = format!("{}here{}", "é".repeat(100), "b".repeat(100));
        let drawing = point_at(&long, 200..204, "look");
        let lines: Vec<&str> = drawing.lines().collect();
        assert_eq!(lines[1], format!("  | …{}here{}…", "é".repeat(40), "b".repeat(40)));
        assert_eq!(lines[2], format!("  | {}^^^^", " ".repeat(41)));
        assert!(point_at("a\tb", 2..3, "x").contains("| a\\tb\n  |    ^\n"));
        // The end of a line, and places that are none.
        assert!(point_at("ab", 2..2, "x").contains("| ab\n  |   ^\n"));
        for part in [1..2, 5..9, 9..9] {
            assert!(point_at("éa", part, "x").ends_with("  = x"));
        }
    }

    #[test]
    fn the_lines_of_a_drawing_stay_in_a_message_and_no_others() {
        let drawing = point_at("pol", 0..3, "write pool");
        let message = format!("a\nname{drawing}");
        assert_eq!(plain_message(&message), format!("a\\nname{drawing}"));
        assert_eq!(in_one_line(&message), format!("a; name{drawing}"));
    }
}
