//! The words of a line, and what is said of one that is wrong.

use std::ops::Range;

use crate::words::{plain, point_at};

/// The most characters of a word that a message repeats.
const MOST_TOLD: usize = 40;

/// The rest of a line, word by word. Commas and parentheses are words of their own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'t> {
    line: &'t str,
    /// Where the rest begins, in bytes.
    at: usize,
}

/// A word and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word<'t> {
    pub(super) text: &'t str,
    /// In bytes of the line.
    pub(super) range: Range<usize>,
}

impl<'t> Words<'t> {
    pub(super) fn of(line: &'t str) -> Self {
        Self { line, at: 0 }
    }

    /// The same line from another place on.
    pub(super) fn from(self, at: usize) -> Self {
        Self { at, ..self }
    }

    fn peek(&self) -> Option<Word<'t>> {
        let rest = self.line.get(self.at..)?;
        let text = rest.trim_start();
        let start = self.at + (rest.len() - text.len());
        let is_mark = |c: char| matches!(c, ',' | '(' | ')');
        let length = match text.chars().next()? {
            c if is_mark(c) => c.len_utf8(),
            _ => text.find(|c: char| c.is_whitespace() || is_mark(c)).unwrap_or(text.len()),
        };
        Some(Word { text: &text[..length], range: start..start + length })
    }

    /// The next word, if there is one.
    pub(super) fn next(&mut self) -> Option<Word<'t>> {
        let word = self.peek()?;
        self.at = word.range.end;
        Some(word)
    }

    /// The next word of this layer: none before a comma or a parenthesis.
    pub(super) fn next_in_layer(&mut self) -> Option<Word<'t>> {
        self.peek().filter(|word| !matches!(word.text, "," | "(" | ")"))?;
        self.next()
    }

    /// Passes over the next word, if it is this one.
    pub(super) fn skip(&mut self, text: &str) -> bool {
        let is_next = self.peek().is_some_and(|word| word.text == text);
        if is_next {
            self.next();
        }
        is_next
    }

    /// Where the next word stands, or the end of the line.
    pub(super) fn next_place(&self) -> Range<usize> {
        self.peek().map_or(self.line.len()..self.line.len(), |word| word.range)
    }
}

/// What is wrong with a line, and where.
#[derive(Debug)]
pub(super) struct LineError {
    pub(super) expected: &'static str,
    pub(super) place: Range<usize>,
    /// What to do next.
    pub(super) advice: String,
}

impl LineError {
    /// The message, and the line with marks under the place.
    pub(super) fn drawn_on(self, line: &str) -> String {
        let word = plain(line.get(self.place.clone()).unwrap_or_default());
        let told: String = word.chars().take(MOST_TOLD).collect();
        let found = match told.len() {
            0 => "the end of the line".to_owned(),
            length if length < word.len() => format!("`{told}…`"),
            _ => format!("`{told}`"),
        };
        format!(
            "expected {}, found {found}{}",
            self.expected,
            point_at(line, self.place, &self.advice)
        )
    }
}

/// A whole number: digits alone.
pub(super) fn number(text: &str) -> Option<usize> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// `3`, which is both, or `3x2`: rows and columns, from 1 to `most`.
pub(super) fn window(text: &str, most: usize) -> Option<[usize; 2]> {
    let (rows, columns) = text.split_once('x').unwrap_or((text, text));
    let within = |text| number(text).filter(|number| (1..=most).contains(number));
    Some([within(rows)?, within(columns)?])
}
