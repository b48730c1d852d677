//! Which examples of a set a product is for.

use std::ops::Range;

/// Some examples of a set, by column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Columns<'a> {
    /// `len` columns from `start` on.
    Run {
        /// The first column.
        start: usize,
        /// How many.
        len: usize,
    },
    /// These columns, in this order.
    Listed(&'a [usize]),
}

impl Columns<'_> {
    /// How many columns.
    pub fn len(&self) -> usize {
        match self {
            Self::Run { len, .. } => *len,
            Self::Listed(columns) => columns.len(),
        }
    }

    /// Whether there is no column.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `position`-th column.
    ///
    /// # Panics
    /// If there are not that many.
    pub fn at(&self, position: usize) -> usize {
        match self {
            Self::Run { start, len } => {
                assert!(position < *len, "column {position} of {len}");
                start + position
            }
            Self::Listed(columns) => columns[position],
        }
    }

    /// The columns at `positions`.
    ///
    /// # Panics
    /// If there are not that many.
    pub fn part(&self, positions: Range<usize>) -> Self {
        match self {
            Self::Run { start, len } => {
                assert!(positions.end <= *len, "columns {positions:?} of {len}");
                Self::Run { start: start + positions.start, len: positions.len() }
            }
            Self::Listed(columns) => Self::Listed(&columns[positions]),
        }
    }
}
