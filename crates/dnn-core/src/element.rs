//! The two number types that networks are made of.

use std::any::Any;
use std::fmt;
use std::str::FromStr;

use dnn_kernels::Number;
use serde::{Deserialize, Serialize};

use crate::CoreError;

/// A floating-point type that networks compute in: `f32` trains, `f64` checks.
///
/// Its kernels are those of [`Number`]. Sealed: the set of types is part of the file formats.
pub trait Element: Number {
    /// Which of the two this is.
    const PRECISION: Precision;

    /// The nearest value to `value`.
    fn from_f64(value: f64) -> Self;

    /// The error function, `2/sqrt(pi) * integral of exp(-t^2) from 0 to self`.
    fn erf(self) -> Self;
}

impl Element for f32 {
    const PRECISION: Precision = Precision::F32;

    #[expect(clippy::cast_possible_truncation, reason = "rounding to the nearest f32 is the job")]
    fn from_f64(value: f64) -> Self {
        value as Self
    }

    fn erf(self) -> Self {
        libm::erff(self)
    }
}

impl Element for f64 {
    const PRECISION: Precision = Precision::F64;

    fn from_f64(value: f64) -> Self {
        value
    }

    fn erf(self) -> Self {
        libm::erf(self)
    }
}

/// A generic function for each of the two types, in a `static`: so the crate that has it compiles both, and those above
/// compile neither of them again.
///
/// # Examples
/// ```
/// use dnn_core::{BothPrecisions, Element};
///
/// type Sum<T> = fn(&[T]) -> T;
/// static SUM: BothPrecisions<Sum<f32>, Sum<f64>> = BothPrecisions { f32: sum, f64: sum };
///
/// fn sum<T: Element>(values: &[T]) -> T {
///     values.iter().fold(T::zero(), |sum, &value| sum + value)
/// }
///
/// fn mean<T: Element>(values: &[T]) -> T {
///     SUM.of::<Sum<T>>()(values) / T::from_f64(values.len() as f64)
/// }
///
/// assert_eq!(mean(&[1.0_f32, 2.0]), 1.5);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct BothPrecisions<S, D> {
    /// That of 32-bit floats.
    pub f32: S,
    /// That of 64-bit floats.
    pub f64: D,
}

impl<S: Copy + 'static, D: Copy + 'static> BothPrecisions<S, D> {
    /// The one of this type.
    ///
    /// # Panics
    /// If neither is.
    pub fn of<F: Copy + 'static>(&self) -> F {
        let (single, double): (&dyn Any, &dyn Any) = (&self.f32, &self.f64);
        let found = single.downcast_ref().or_else(|| double.downcast_ref());
        *found.expect("the function for one of the two types")
    }
}

/// The name of an [`Element`] at run time, as the program's `--precision` and model files use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// 64-bit floats.
    F64,
}

impl Precision {
    /// Bytes of one number.
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        })
    }
}

impl FromStr for Precision {
    type Err = CoreError;

    fn from_str(name: &str) -> Result<Self, CoreError> {
        match name {
            "f32" => Ok(Self::F32),
            "f64" => Ok(Self::F64),
            _ => Err(CoreError::UnknownName {
                kind: "precision",
                found: name.to_owned(),
                expected: "f32, f64".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precision_names_round_trip_and_unknown_ones_say_what_exists() {
        for precision in [Precision::F32, Precision::F64] {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
        let error = "f16".parse::<Precision>().unwrap_err();
        assert_eq!(error.to_string(), "unknown precision `f16`; expected one of f32, f64");
    }

    #[test]
    fn erf_has_its_textbook_values() {
        // Abramowitz and Stegun, table 7.1.
        assert!((Element::erf(0.5_f64) - 0.520_499_877_813_046_5).abs() < 1e-15);
        assert!((Element::erf(1.0_f32) - 0.842_700_8).abs() < 1e-6);
    }
}
