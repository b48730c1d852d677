//! Tensors on their way into a container and out of one.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

use crate::{DType, StoreError};

mod sealed {
    /// What a value type has to offer to this crate alone.
    pub trait Sealed: Copy {
        fn wrap(values: &[Self]) -> super::Values<'_>;
        fn read(bytes: &[u8]) -> impl Iterator<Item = Self>;
    }
}

/// A type of values that a container can hold: `u8`, `f32` or `f64`.
pub trait Scalar: sealed::Sealed {
    /// The type's name in the file.
    const DTYPE: DType;
}

macro_rules! scalar {
    ($type:ty, $variant:ident) => {
        impl Scalar for $type {
            const DTYPE: DType = DType::$variant;
        }

        impl sealed::Sealed for $type {
            fn wrap(values: &[Self]) -> Values<'_> {
                Values::$variant(values)
            }

            fn read(bytes: &[u8]) -> impl Iterator<Item = Self> {
                let (values, _) = bytes.as_chunks();
                values.iter().map(|value| Self::from_le_bytes(*value))
            }
        }
    };
}

scalar!(u8, U8);
scalar!(f32, F32);
scalar!(f64, F64);

/// The values of a tensor that is to be written, in storage order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Values<'a> {
    /// Bytes.
    U8(&'a [u8]),
    /// Single precision.
    F32(&'a [f32]),
    /// Double precision.
    F64(&'a [f64]),
}

impl<'a> Values<'a> {
    /// Values of a type that the caller is generic over.
    ///
    /// # Examples
    /// ```
    /// use dnn_store::{DType, Values};
    /// assert_eq!(Values::new(&[1.0_f32, 2.0]).dtype(), DType::F32);
    /// ```
    pub fn new<T: Scalar>(values: &'a [T]) -> Self {
        T::wrap(values)
    }

    /// The type of the values.
    pub fn dtype(&self) -> DType {
        match self {
            Self::U8(_) => DType::U8,
            Self::F32(_) => DType::F32,
            Self::F64(_) => DType::F64,
        }
    }

    /// How many values there are.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Appends the values, little endian.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::U8(values) => out.extend_from_slice(values),
            Self::F32(values) => {
                values.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes()));
            }
            Self::F64(values) => {
                values.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes()));
            }
        }
    }
}

/// A tensor that is to be written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tensor<'a> {
    /// Its name, unique in the container.
    pub name: &'a str,
    /// The lengths of its axes, none of them zero; no axes make a single value.
    pub dims: &'a [usize],
    /// Its values, as many as the product of `dims`.
    pub values: Values<'a>,
}

/// A tensor of a decoded container: a checked view of the file's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTensor<'a> {
    pub(crate) name: String,
    pub(crate) dtype: DType,
    pub(crate) dims: Vec<usize>,
    pub(crate) bytes: &'a [u8],
}

impl<'a> StoredTensor<'a> {
    /// The tensor's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type of its values.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The lengths of its axes.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Its values as they lie in the file, little endian; for `u8`, the values themselves.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// A copy of its values.
    ///
    /// # Errors
    /// [`StoreError::WrongType`] if the values are not of type `T`.
    pub fn to_vec<T: Scalar>(&self) -> Result<Vec<T>, StoreError> {
        self.check_type::<T>()?;
        Ok(T::read(self.bytes).collect())
    }

    /// Copies its values to `out`.
    ///
    /// # Errors
    /// [`StoreError::WrongType`] if the values are not of type `T`.
    ///
    /// # Panics
    /// If `out` is for another number of values.
    pub fn copy_to<T: Scalar>(&self, out: &mut [T]) -> Result<(), StoreError> {
        self.check_type::<T>()?;
        assert_eq!(size_of_val(out), self.bytes.len(), "a place for each value");
        out.iter_mut().zip(T::read(self.bytes)).for_each(|(out, value)| *out = value);
        Ok(())
    }

    fn check_type<T: Scalar>(&self) -> Result<(), StoreError> {
        if self.dtype == T::DTYPE {
            return Ok(());
        }
        let (tensor, expected, found) = (self.name.clone(), T::DTYPE, self.dtype);
        Err(StoreError::WrongType { tensor, expected, found })
    }
}

/// Refuses NaN and infinities in the bytes of a tensor.
pub(crate) fn check_finite(name: &str, dtype: DType, bytes: &[u8]) -> Result<(), StoreError> {
    let singles = || <f32 as sealed::Sealed>::read(bytes);
    let doubles = || <f64 as sealed::Sealed>::read(bytes);
    let wide = || singles().map(f64::from);
    // All of them without a branch for each, as it is nearly always; then which one.
    let bad = match dtype {
        DType::F32 if !singles().fold(true, |all, value| all & value.is_finite()) => {
            wide().enumerate().find(|(_, value)| !value.is_finite())
        }
        DType::F64 if !doubles().fold(true, |all, value| all & value.is_finite()) => {
            doubles().enumerate().find(|(_, value)| !value.is_finite())
        }
        DType::U8 | DType::F32 | DType::F64 => None,
    };
    match bad {
        None => Ok(()),
        Some((index, value)) => Err(StoreError::NotFinite { tensor: name.into(), index, value }),
    }
}
