//! Text for people.

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
}
