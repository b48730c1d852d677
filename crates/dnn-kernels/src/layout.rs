//! How the numbers of an array lie in memory, as far as kernels ask.

use ndarray::ArrayView2;

/// The step from one row to the next of an array whose rows are each contiguous, if they are.
pub(crate) fn row_stride(shape: (usize, usize), strides: &[isize]) -> Option<usize> {
    let (rows, columns) = shape;
    if rows == 0 || columns == 0 {
        return Some(columns);
    }
    let contiguous = columns <= 1 || strides[1] == 1;
    // A single row has no next one.
    let step = if rows <= 1 { Some(columns) } else { usize::try_from(strides[0]).ok() };
    step.filter(|&step| contiguous && step >= columns)
}

/// Whether each row is contiguous, and after the one before: what kernels can read without a copy.
pub fn has_contiguous_rows<T>(values: ArrayView2<'_, T>) -> bool {
    row_stride(values.dim(), values.strides()).is_some()
}
