//! The errors of this crate.

use ndarray::{Dimension, IntoDimension};
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
    #[error("{what}: expected shape {}, found {}", as_text(.expected), as_text(.found))]
    Shape {
        /// Which array.
        what: &'static str,
        /// The shape that would fit, a number for each axis.
        expected: Box<[usize]>,
        /// The shape that was given.
        found: Box<[usize]>,
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
    /// [`CoreError::Shape`] unless the shapes, of as many axes, agree.
    ///
    /// # Errors
    /// That one.
    ///
    /// # Examples
    /// ```
    /// use dnn_core::CoreError;
    ///
    /// let error = CoreError::expect_shape("X", [1, 4, 4, 3], [1, 4, 4, 1]).unwrap_err();
    /// assert_eq!(error.to_string(), "X: expected shape (1, 4, 4, 3), found (1, 4, 4, 1)");
    /// ```
    pub fn expect_shape<S: IntoDimension>(
        what: &'static str,
        expected: S,
        found: S,
    ) -> Result<(), Self> {
        let (expected, found) = (expected.into_dimension(), found.into_dimension());
        if expected == found {
            return Ok(());
        }
        let numbers = |shape: S::Dim| shape.slice().into();
        Err(Self::Shape { what, expected: numbers(expected), found: numbers(found) })
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

/// `(2, 3)`.
fn as_text(shape: &[usize]) -> String {
    let numbers: Vec<String> = shape.iter().map(ToString::to_string).collect();
    format!("({})", numbers.join(", "))
}
