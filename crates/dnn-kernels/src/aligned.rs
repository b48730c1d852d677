//! Arrays and buffers that begin at a line of the cache, which kernels read fastest.

use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2};

use crate::gram::PANEL;
use crate::kernels::{Kernels, Number};
use crate::path::KernelPath;
use crate::prefetch::CACHE_LINE;

/// Bytes of a page of memory.
const PAGE: usize = 4096;
/// Bytes from which on an array begins at a page: parts of it, as long as a page, then lie in one page each, and not in
/// two, of which a processor remembers only so many addresses.
const LARGE: usize = 16 * PAGE;

/// Zeros that begin at a line of the cache, or at a page if they are many.
pub fn aligned_zeros<T: Number>(shape: (usize, usize)) -> Array2<T> {
    let count = shape.0 * shape.1;
    let boundary = boundary::<T>(count);
    let more = boundary / size_of::<T>();
    let all: Array1<T> = Array1::zeros(count + more);
    let offset = all.as_ptr().align_offset(boundary).min(more);
    let begins_at_a_line = all.slice_move(ndarray::s![offset..offset + count]);
    begins_at_a_line.into_shape_with_order(shape).expect("as many numbers")
}

/// Where so many numbers begin best.
fn boundary<T>(count: usize) -> usize {
    if count * size_of::<T>() < LARGE { CACHE_LINE } else { PAGE }
}

/// The same numbers row after row, from a line of the cache on; without a copy where they lie so already.
pub fn into_aligned<T: Number>(values: Array2<T>) -> Array2<T> {
    let boundary = boundary::<T>(values.len());
    if values.is_standard_layout() && values.as_ptr().align_offset(boundary) == 0 {
        return values;
    }
    let mut aligned = aligned_zeros(values.dim());
    aligned.assign(&values);
    aligned
}

/// The first `count` numbers of `memory` from a line of the cache on; the memory grows where it is too small, and
/// the numbers are whatever was there.
pub fn aligned<T: Copy + Default>(memory: &mut Vec<T>, count: usize) -> &mut [T] {
    let more = CACHE_LINE / size_of::<T>().max(1);
    if memory.len() < count + more {
        memory.resize(count + more, T::default());
    }
    let offset = memory.as_ptr().align_offset(CACHE_LINE).min(more);
    &mut memory[offset..offset + count]
}

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
    use ndarray::{Array2, ShapeBuilder};

    use super::*;
    use crate::test_support::Draws;

    #[test]
    fn what_is_aligned_begins_at_a_line_and_keeps_its_numbers() {
        let values = Draws::new(1).matrix((3, 5));
        let mut by_column = Array2::zeros((3, 5).f());
        by_column.assign(&values);
        for given in [values.clone(), by_column] {
            let made = into_aligned(given);
            assert_eq!(made, values);
            assert!(made.is_standard_layout() && made.as_ptr().align_offset(CACHE_LINE) == 0);
            let at = made.as_ptr();
            assert_eq!(into_aligned(made).as_ptr(), at, "moved for nothing");
        }
        assert_eq!(aligned_zeros::<f64>((0, 4)).dim(), (0, 4));
        // 64 KiB and more begin at a page.
        for made in [aligned_zeros::<f32>((128, 128)), into_aligned(Array2::zeros((1, 1 << 14)))] {
            assert_eq!(made.as_ptr().align_offset(PAGE), 0);
        }
        let mut memory = Vec::new();
        for count in [3, 1000, 5] {
            let numbers = aligned::<f64>(&mut memory, count);
            assert_eq!((numbers.len(), numbers.as_ptr().align_offset(CACHE_LINE)), (count, 0));
        }
    }

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
