//! Columns of one matrix that several data sets share.
//!
//! Parts of a data set are runs of columns side by side, so that dividing it copies no pixels: the
//! columns are put in order where they lie, and each part looks at its own run. A column is one example,
//! contiguous in memory.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array2, ArrayView2, Axis, ShapeBuilder, Slice};

/// A run of the columns of a matrix; clones share the matrix.
#[derive(Clone)]
pub(crate) struct Columns {
    /// Column-major, always.
    matrix: Arc<Array2<u8>>,
    range: Range<usize>,
}

impl Columns {
    /// All columns of a matrix, which is copied only where its columns are not contiguous.
    pub(crate) fn new(matrix: Array2<u8>) -> Self {
        let range = 0..matrix.ncols();
        Self { matrix: Arc::new(column_major(matrix)), range }
    }

    pub(crate) fn view(&self) -> ArrayView2<'_, u8> {
        self.matrix.slice_axis(Axis(1), Slice::from(self.range.clone()))
    }

    /// Takes the columns from the position `first` on out of this run.
    pub(crate) fn split_off(&mut self, first: usize) -> Self {
        let middle = self.range.start + first;
        debug_assert!(middle <= self.range.end, "split within the columns");
        let others = Self { matrix: Arc::clone(&self.matrix), range: middle..self.range.end };
        self.range.end = middle;
        others
    }

    /// Puts the column that was at `order[i]` at `i`, for a permutation `order` of all columns.
    ///
    /// `beside` are runs of other columns of the same matrix. They follow it where the matrix has to be
    /// copied, which it is if anybody else shares it.
    pub(crate) fn reorder(&mut self, order: &[usize], beside: Vec<&mut Self>) {
        let shares = |other: &&mut Self| Arc::ptr_eq(&other.matrix, &self.matrix);
        let mut beside: Vec<&mut Self> = beside.into_iter().filter(shares).collect();
        for other in &mut beside {
            other.matrix = Arc::default();
        }
        let matrix = Arc::make_mut(&mut self.matrix);
        let width = matrix.nrows();
        let bytes = matrix.as_slice_memory_order_mut().expect("columns lie side by side");
        permute(&mut bytes[self.range.start * width..self.range.end * width], width, order);
        for other in beside {
            other.matrix = Arc::clone(&self.matrix);
        }
    }
}

impl PartialEq for Columns {
    fn eq(&self, other: &Self) -> bool {
        self.view() == other.view()
    }
}

impl Eq for Columns {}

/// Permutes columns of `width` bytes in place, cycle after cycle, with one column to spare.
fn permute(bytes: &mut [u8], width: usize, order: &[usize]) {
    debug_assert_eq!(bytes.len(), width * order.len());
    let mut placed = vec![false; order.len()];
    let mut spare = vec![0; width];
    let column = |at: usize| at * width..(at + 1) * width;
    for first in 0..order.len() {
        if placed[first] || order[first] == first {
            continue;
        }
        spare.copy_from_slice(&bytes[column(first)]);
        let mut to = first;
        while order[to] != first {
            placed[to] = true;
            bytes.copy_within(column(order[to]), to * width);
            to = order[to];
        }
        placed[to] = true;
        bytes[column(to)].copy_from_slice(&spare);
    }
}

/// The same matrix with contiguous columns; copies only where they are not so yet.
fn column_major(matrix: Array2<u8>) -> Array2<u8> {
    if matrix.t().is_standard_layout() {
        return matrix;
    }
    let mut copy = Array2::zeros(matrix.raw_dim().f());
    copy.assign(&matrix);
    copy
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Stream;

    fn numbered(width: usize, count: usize) -> Columns {
        let value = |(row, column): (usize, usize)| u8::try_from(row + width * column).unwrap();
        Columns::new(Array2::from_shape_fn((width, count).f(), value))
    }

    #[test]
    fn any_permutation_in_place_is_the_one_by_copies() {
        for seed in 0..200 {
            let count = usize::try_from(seed % 20 + 1).unwrap();
            let width = usize::try_from(seed % 3 + 1).unwrap();
            let mut order: Vec<usize> = (0..count).collect();
            Stream::new(seed, *b"permute\0").shuffle(&mut order);
            let mut columns = numbered(width, count);
            let expected = columns.view().select(Axis(1), &order);
            columns.reorder(&order, Vec::new());
            assert_eq!(columns.view(), expected, "{order:?}");
        }
    }

    #[test]
    fn runs_beside_stay_as_they_are_and_share_the_matrix() {
        let mut first = numbered(2, 6);
        let mut middle = first.split_off(1);
        let mut last = middle.split_off(3);
        let address = first.view().as_ptr();
        drop(first);
        middle.reorder(&[2, 0, 1], vec![&mut last]);
        assert_eq!(middle.view(), ndarray::array![[6, 2, 4], [7, 3, 5]]);
        assert_eq!(last.view(), ndarray::array![[8, 10], [9, 11]]);
        assert!(Arc::ptr_eq(&middle.matrix, &last.matrix));
        assert_eq!(middle.matrix.as_ptr(), address, "nothing was copied");
    }

    #[test]
    fn a_clone_is_not_reordered_with_its_original() {
        let mut columns = numbered(1, 3);
        let clone = columns.clone();
        columns.reorder(&[2, 1, 0], Vec::new());
        assert_eq!(clone.view(), ndarray::array![[0, 1, 2]]);
        assert_eq!(columns.view(), ndarray::array![[2, 1, 0]]);
        assert!(clone != columns && clone == numbered(1, 3));
    }
}
