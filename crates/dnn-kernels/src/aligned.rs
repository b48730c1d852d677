//! Arrays and buffers that begin at a line of the cache, which kernels read fastest.

use ndarray::{Array1, Array2, NdFloat};

use crate::prefetch::CACHE_LINE;

/// Bytes of a page of memory.
const PAGE: usize = 4096;
/// Bytes from which on an array begins at a page: parts of it, as long as a page, then lie in one page each, and not in
/// two, of which a processor remembers only so many addresses.
const LARGE: usize = 16 * PAGE;

/// Zeros that begin at a line of the cache, or at a page if they are many.
pub fn aligned_zeros<T: NdFloat>(shape: (usize, usize)) -> Array2<T> {
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
pub fn into_aligned<T: NdFloat>(values: Array2<T>) -> Array2<T> {
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

/// The same numbers of memory that [`aligned`] grew to at least as many.
pub(crate) fn aligned_already<T>(memory: &[T], count: usize) -> &[T] {
    if count == 0 {
        return &[];
    }
    let more = CACHE_LINE / size_of::<T>().max(1);
    let offset = memory.as_ptr().align_offset(CACHE_LINE).min(more);
    &memory[offset..offset + count]
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
            let at = numbers.as_ptr();
            assert_eq!(aligned_already(&memory, count).as_ptr(), at);
        }
    }
}
