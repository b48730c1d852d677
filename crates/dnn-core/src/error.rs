//! The errors of this crate.

use thiserror::Error;

/// What can be wrong with a call into this crate.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum CoreError {
    /// A layer was given no units.
    #[error("layer {layer} has width 0; expected at least 1 unit")]
    ZeroWidth {
        /// 0 is the input, 1 the first weight layer.
        layer: usize,
    },
    /// Fewer widths than a network needs.
    #[error("expected at least 2 layer widths (input and output), found {found}")]
    TooFewWidths {
        /// How many widths were given.
        found: usize,
    },
    /// An array does not fit the others.
    #[error("{what}: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// Which array.
        what: &'static str,
        /// The shape that would fit.
        expected: (usize, usize),
        /// The shape that was given.
        found: (usize, usize),
    },
    /// An input value is NaN or infinite.
    #[error("{what} holds {value} in row {row}, column {column}; expected finite numbers")]
    NotFinite {
        /// Which array.
        what: &'static str,
        /// First row, in column order, with such a value.
        row: usize,
        /// Its column.
        column: usize,
        /// The value, as text.
        value: String,
    },
    /// A setting is outside its range.
    #[error("{what}: expected {expected}, found {found}")]
    Invalid {
        /// Which setting.
        what: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it was.
        found: String,
    },
    /// A name that stands for nothing.
    #[error("unknown {kind} `{found}`; expected one of {expected}")]
    UnknownName {
        /// What sort of thing was named.
        kind: &'static str,
        /// The name that was given.
        found: String,
        /// The names that exist.
        expected: String,
    },
    /// The memory for an array cannot be had.
    #[error("a {rows} x {columns} weight matrix does not fit in memory ({needed} bytes)")]
    TooLarge {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        columns: usize,
        /// Bytes asked for.
        needed: u128,
    },
}

impl CoreError {
    /// [`CoreError::Shape`] unless the shapes agree.
    ///
    /// # Errors
    /// That one.
    pub fn expect_shape(
        what: &'static str,
        expected: (usize, usize),
        found: (usize, usize),
    ) -> Result<(), Self> {
        if expected == found { Ok(()) } else { Err(Self::Shape { what, expected, found }) }
    }

    /// [`CoreError::Shape`] unless two shapes of four axes agree. It has the half that differs, the first two axes or
    /// the last two, by the name of that half.
    ///
    /// # Errors
    /// That one.
    pub fn expect_shape_4(
        what: [&'static str; 2],
        expected: [usize; 4],
        found: [usize; 4],
    ) -> Result<(), Self> {
        Self::expect_shape(what[0], (expected[0], expected[1]), (found[0], found[1]))?;
        Self::expect_shape(what[1], (expected[2], expected[3]), (found[2], found[3]))
    }

    /// [`CoreError::Invalid`] if there are no examples.
    ///
    /// # Errors
    /// That one.
    pub fn expect_examples(m: usize) -> Result<(), Self> {
        if m > 0 {
            return Ok(());
        }
        Err(Self::Invalid { what: "examples", expected: "at least 1", found: "0".to_owned() })
    }
}
