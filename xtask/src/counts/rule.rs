//! A rule, and the places that it is about.

use std::fmt;
use std::path::PathBuf;

/// Something that is counted by place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What is counted.
    pub name: String,
    /// How many there may be; `None` where the number is only of interest.
    pub limit: Option<usize>,
    /// Where it was found.
    pub places: Vec<Place>,
}

impl Rule {
    /// Whether no more was found than there may be.
    pub fn holds(&self) -> bool {
        self.limit.is_none_or(|limit| self.places.len() <= limit)
    }
}

/// A place in a source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, from the root of the workspace.
    pub path: PathBuf,
    /// The line, from 1 on.
    pub line: usize,
    /// What is there.
    pub note: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)?;
        if self.note.is_empty() { Ok(()) } else { write!(f, ": {}", self.note) }
    }
}
