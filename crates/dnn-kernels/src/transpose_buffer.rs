//! Memory on the stack for blocks with rows and columns exchanged.

use ndarray::{ArrayView2, ArrayViewMut2};

use crate::gram::PANEL;
use crate::kernels::{Kernels, Number};
use crate::path::KernelPath;

/// Memory on the stack for a transposed block of up to [`PANEL`] times [`PANEL`] numbers.
#[derive(Debug)]
#[repr(align(64))]
pub struct TransposeBuffer<T>([[T; PANEL]; PANEL]);

impl<T: Number> TransposeBuffer<T> {
    /// Memory for one block after the other.
    #[expect(
        clippy::new_without_default,
        reason = "64 KiB and more on the stack are worth a visible call"
    )]
    pub fn new() -> Self {
        Self([[T::zero(); PANEL]; PANEL])
    }

    /// `values` with rows and columns exchanged.
    ///
    /// # Panics
    /// If there are more numbers than [`PANEL`] times [`PANEL`], or rows are not contiguous.
    pub fn transpose(&mut self, path: KernelPath, values: ArrayView2<'_, T>) -> ArrayView2<'_, T> {
        let (rows, columns) = values.dim();
        let numbers = &mut self.0.as_flattened_mut()[..rows * columns];
        let mut out = ArrayViewMut2::from_shape((columns, rows), numbers).expect("as many numbers");
        T::Kernels::transpose(path, values, out.view_mut());
        ArrayView2::from_shape((columns, rows), numbers).expect("as many numbers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Draws;

    #[test]
    fn a_buffer_is_used_for_one_block_after_the_other() {
        let mut buffer = TransposeBuffer::new();
        let largest = if cfg!(miri) { 20 } else { PANEL };
        for shape in [(largest, PANEL), (3, 70), (0, 4), (17, 1)] {
            let values = Draws::new(2).matrix(shape);
            assert_eq!(buffer.transpose(KernelPath::best(), values.view()), values.t());
        }
    }
}
