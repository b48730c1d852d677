//! `out += C S`, where the rows of `S` and `out` are contiguous: the gradient of the weights
//! (`dZ X^T`), that of the activations (`dZ^T W`), and, with packed weights, the outputs (`X^T W^T`).
//!
//! Exact zeros of `C`, which `ReLU` leaves many of, are skipped: each row of `C` comes with the list of its
//! non-zero entries. Where zeros are few, a group of rows goes through a dense block in registers instead; which
//! of the two is decided by counting, over groups that follow from the shape.
//!
//! ```text
//! for a panel of columns, up to 8 vectors wide:
//!     for a group of rows of C:
//!         more than 10/16 of the group non-zero:  for all terms, sums[rows] += c * S[term]
//!         else, row by row:                       for its non-zero terms, sums += c * S[term]
//!         out[rows] += sums
//! ```

use ndarray::{ArrayView2, ArrayViewMut2, Axis, NdFloat};

use crate::dispatch::{Kernel, dispatch};
use crate::entry::{CHUNK, Entry, Lists};
use crate::layout::row_stride;
use crate::operands::{DenseRows, SparseRows};
use crate::path::KernelPath;
use crate::prefetch::{CACHE_LINE, prefetch_line};
use crate::simd::Simd;

/// Out of 16: a group of rows with more numbers that are not zero goes through the dense block.
const DENSE_FROM: usize = 10;

/// The formula as it stands.
pub(crate) fn plain<T: NdFloat>(
    left: SparseRows<'_, T>,
    right: ArrayView2<'_, T>,
    mut out: ArrayViewMut2<'_, T>,
) {
    for (row, mut out) in left.values.axis_iter(Axis(0)).zip(out.rows_mut()) {
        for (&c, source) in row.iter().zip(right.rows()).filter(|(c, _)| !c.is_zero()) {
            out.scaled_add(c, &source);
        }
    }
}

/// The same on vectors, for the terms of one chunk with lists, or for all terms without.
///
/// # Panics
/// If shapes do not fit, or rows of the right side or of `out` are not contiguous.
pub(crate) fn by_vectors(
    path: KernelPath,
    left: SparseRows<'_, f32>,
    right: DenseRows<'_, f32>,
    mut out: ArrayViewMut2<'_, f32>,
) {
    let SparseRows { values: coefficients, non_zero } = left;
    let DenseRows { values: source, ahead } = right;
    let ((rows, terms), width) = (coefficients.dim(), source.ncols());
    assert_eq!(source.nrows(), terms, "one row for each term");
    assert_eq!(out.dim(), (rows, width), "outputs of another shape");
    let stride = row_stride(source.dim(), source.strides()).expect("contiguous rows");
    let out_stride = row_stride(out.dim(), out.strides()).expect("contiguous rows");
    let step = |axis: usize, length: usize| {
        // A single number has no next one.
        let stride = if length > 1 { coefficients.strides()[axis] } else { 0 };
        usize::try_from(stride).expect("coefficients in rising order")
    };
    let (row, term) = (step(0, rows), step(1, terms));
    let (counts, entries) =
        non_zero.map_or((std::ptr::null(), std::ptr::null()), |Lists { counts, entries }| {
            assert!(counts.len() == rows && entries.len() == rows * CHUNK, "lists of other rows");
            (counts.as_ptr(), entries.as_ptr())
        });
    let (coefficients, source) = (coefficients.as_ptr(), source.as_ptr());
    let out = out.as_mut_ptr();
    let kernel = SparseProduct {
        coefficients,
        row,
        term,
        rows,
        terms,
        counts,
        entries,
        source,
        stride,
        width,
        out,
        out_stride,
        ahead,
    };
    // SAFETY: the shapes were checked above, and lists name terms of their chunk alone.
    unsafe { dispatch(path, kernel) }
}

/// `out += C S`; with lists for up to [`CHUNK`] terms.
///
/// # Safety
/// `coefficients` has to point to `rows` by `terms` numbers, `row` and `term` apart; `counts` to a number
/// for each row, or to nothing if zeros are few, and `entries` to so many entries of each row, rows [`CHUNK`] apart, all of terms that
/// exist; `source` to `terms` rows of `width` numbers, `stride` apart, and `out` to `rows` of them,
/// `out_stride` apart.
struct SparseProduct<'a> {
    coefficients: *const f32,
    row: usize,
    term: usize,
    rows: usize,
    terms: usize,
    counts: *const u32,
    entries: *const Entry<f32>,
    source: *const f32,
    stride: usize,
    width: usize,
    out: *mut f32,
    out_stride: usize,
    /// What is read next: of it a part is prefetched with each row, as long as the row takes.
    ahead: &'a [f32],
}

impl Kernel for SparseProduct<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let mut first = 0;
        // SAFETY: the columns from `first` on, as many as each call takes, exist.
        unsafe {
            while first + 8 * S::LANES <= self.width {
                self.panel::<S, 8, false>(first, 0);
                first += 8 * S::LANES;
            }
            while first + 4 * S::LANES <= self.width {
                self.panel::<S, 4, false>(first, 0);
                first += 4 * S::LANES;
            }
            while first + 3 * S::LANES <= self.width {
                self.panel::<S, 3, false>(first, 0);
                first += 3 * S::LANES;
            }
            while first + 2 * S::LANES <= self.width {
                self.panel::<S, 2, false>(first, 0);
                first += 2 * S::LANES;
            }
            while first + S::LANES <= self.width {
                self.panel::<S, 1, false>(first, 0);
                first += S::LANES;
            }
            if first < self.width {
                self.panel::<S, 1, true>(first, self.width - first);
            }
        }
    }
}

/// What is to be prefetched while there is work, counted in terms.
struct Ahead {
    next: *const u8,
    lines: usize,
    work: usize,
}

impl Ahead {
    /// What is to be prefetched beside a part of the work.
    #[inline(always)]
    fn share(&mut self, work: usize) -> Self {
        let lines = match self.lines {
            0 => 0,
            lines => (lines * work).div_ceil(self.work.max(1)).min(lines),
        };
        let share = Self { next: self.next, lines, work };
        self.next = self.next.wrapping_add(lines * CACHE_LINE);
        self.lines -= lines;
        self.work = self.work.saturating_sub(work);
        share
    }

    #[inline(always)]
    fn prefetch(&mut self) {
        if self.lines > 0 {
            prefetch_line(self.next);
            self.next = self.next.wrapping_add(CACHE_LINE);
            self.lines -= 1;
        }
    }

    #[inline(always)]
    fn prefetch_all(&mut self) {
        while self.lines > 0 {
            self.prefetch();
        }
    }
}

impl SparseProduct<'_> {
    /// What is prefetched, if anything is.
    ///
    /// # Safety
    /// The counts exist.
    #[inline(always)]
    unsafe fn ahead<S: Simd>(&self, wanted: bool) -> Ahead {
        let lines = if wanted { size_of_val(self.ahead) / CACHE_LINE } else { 0 };
        let mut work = 0;
        let mut row = 0;
        while lines > 0 && row < self.rows {
            let group = (self.rows - row).min(S::ROWS);
            // SAFETY: as the caller says.
            work += unsafe { self.work_of(row, group) }.0;
            row += group;
        }
        Ahead { next: self.ahead.as_ptr().cast(), lines, work }
    }

    /// Terms that a group of rows goes through, and whether by the dense block.
    ///
    /// # Safety
    /// The counts exist.
    #[inline(always)]
    unsafe fn work_of(&self, row: usize, group: usize) -> (usize, bool) {
        let all = group * self.terms;
        if self.counts.is_null() {
            return (all, true);
        }
        // SAFETY: as the caller says.
        let non_zero: usize =
            unsafe { (row..row + group).map(|row| *self.counts.add(row) as usize).sum() };
        if 16 * non_zero > DENSE_FROM * all { (all, true) } else { (non_zero, false) }
    }

    /// All rows of `V` vectors of columns from `first` on; if `PART`, of `count` columns alone.
    ///
    /// # Safety
    /// They exist.
    #[inline(always)]
    unsafe fn panel<S: Simd, const V: usize, const PART: bool>(&self, first: usize, count: usize) {
        let mut row = 0;
        // SAFETY: the counts exist, and so do all rows of each group.
        unsafe {
            let mut ahead = self.ahead::<S>(first == 0);
            while row < self.rows {
                let group = (self.rows - row).min(S::ROWS);
                let (work, is_dense) = self.work_of(row, group);
                if is_dense && V == 8 {
                    // More would not stay in registers.
                    let (left, right) = (ahead.share(work / 2), ahead.share(work - work / 2));
                    self.dense::<S, 4, PART>(row, group, first, count, left);
                    self.dense::<S, 4, PART>(row, group, first + 4 * S::LANES, count, right);
                } else if is_dense {
                    self.dense::<S, V, PART>(row, group, first, count, ahead.share(work));
                } else {
                    for row in row..row + group {
                        ahead.share(*self.counts.add(row) as usize).prefetch_all();
                        if V == 8 {
                            self.sparse_wide::<S>(row, first);
                        } else {
                            self.sparse::<S, V, PART>(row, first, count);
                        }
                    }
                }
                row += group;
            }
        }
    }

    /// `group` rows of `V` vectors, through blocks of up to 6 rows.
    ///
    /// # Safety
    /// As of [`panel`](Self::panel), and `group` rows from `row` on.
    #[inline(always)]
    unsafe fn dense<S: Simd, const V: usize, const PART: bool>(
        &self,
        mut row: usize,
        mut group: usize,
        first: usize,
        count: usize,
        mut ahead: Ahead,
    ) {
        while group > 0 {
            // SAFETY: as many rows exist as each block takes.
            let done = unsafe {
                match group {
                    6.. => {
                        self.block::<S, 6, V, PART>(row, first, count, &mut ahead);
                        6
                    }
                    4 | 5 => {
                        self.block::<S, 4, V, PART>(row, first, count, &mut ahead);
                        4
                    }
                    3 => {
                        self.block::<S, 3, V, PART>(row, first, count, &mut ahead);
                        3
                    }
                    2 => {
                        self.block::<S, 2, V, PART>(row, first, count, &mut ahead);
                        2
                    }
                    _ => {
                        self.block::<S, 1, V, PART>(row, first, count, &mut ahead);
                        1
                    }
                }
            };
            row += done;
            group -= done;
        }
        ahead.prefetch_all();
    }

    /// `R` rows of `V` vectors, kept in registers over all terms.
    ///
    /// # Safety
    /// As of [`panel`](Self::panel), and `R` rows from `row` on.
    #[inline(always)]
    unsafe fn block<S: Simd, const R: usize, const V: usize, const PART: bool>(
        &self,
        row: usize,
        first: usize,
        count: usize,
        ahead: &mut Ahead,
    ) {
        // SAFETY: the caller has these rows and columns, and each term is one of `terms`.
        unsafe {
            let mut sums = [[S::splat(0.0); V]; R];
            let mut s = [S::splat(0.0); V];
            let coefficients = self.coefficients.add(row * self.row);
            let source = self.source.add(first);
            for term in 0..self.terms {
                ahead.prefetch();
                let from = source.add(term * self.stride);
                for v in 0..V {
                    s[v] = load::<S, PART>(from.add(v * S::LANES), count);
                }
                for r in 0..R {
                    let c = S::splat(*coefficients.add(r * self.row + term * self.term));
                    for v in 0..V {
                        sums[r][v] = S::multiply_add(c, s[v], sums[r][v]);
                    }
                }
            }
            for r in 0..R {
                self.add::<S, V, PART>(row + r, first, count, sums[r]);
            }
        }
    }

    /// One row of 8 vectors, by the list of its non-zero entries.
    ///
    /// # Safety
    /// As of [`panel`](Self::panel), and the row exists.
    #[inline(always)]
    unsafe fn sparse_wide<S: Simd>(&self, row: usize, first: usize) {
        // SAFETY: the caller has this row and these columns, and each entry is of a term that exists.
        unsafe {
            let non_zero = *self.counts.add(row) as usize;
            if non_zero == 0 {
                return;
            }
            let entries = self.entries.add(row * CHUNK);
            let source = self.source.add(first);
            let mut sums = [S::splat(0.0); 8];
            for entry in 0..non_zero {
                let Entry { term, value } = *entries.add(entry);
                let c = S::splat(value);
                let from = source.add(term as usize * self.stride);
                for v in 0..8 {
                    sums[v] = S::multiply_add(c, S::load(from.add(v * S::LANES)), sums[v]);
                }
            }
            self.add::<S, 8, false>(row, first, 0, sums);
        }
    }

    /// One row of `V` vectors, by the list of its non-zero entries, two terms at a time.
    ///
    /// # Safety
    /// As of [`panel`](Self::panel), and the row exists.
    #[inline(always)]
    unsafe fn sparse<S: Simd, const V: usize, const PART: bool>(
        &self,
        row: usize,
        first: usize,
        count: usize,
    ) {
        // SAFETY: the caller has this row and these columns, and each entry is of a term that exists.
        unsafe {
            let non_zero = *self.counts.add(row) as usize;
            if non_zero == 0 {
                return;
            }
            let entries = self.entries.add(row * CHUNK);
            let source = self.source.add(first);
            let (mut even, mut odd) = ([S::splat(0.0); V], [S::splat(0.0); V]);
            let mut entry = 0;
            while entry + 2 <= non_zero {
                let (a, b) = (*entries.add(entry), *entries.add(entry + 1));
                let (c, d) = (S::splat(a.value), S::splat(b.value));
                let from = source.add(a.term as usize * self.stride);
                for v in 0..V {
                    let s = load::<S, PART>(from.add(v * S::LANES), count);
                    even[v] = S::multiply_add(c, s, even[v]);
                }
                let from = source.add(b.term as usize * self.stride);
                for v in 0..V {
                    let s = load::<S, PART>(from.add(v * S::LANES), count);
                    odd[v] = S::multiply_add(d, s, odd[v]);
                }
                entry += 2;
            }
            if entry < non_zero {
                let a = *entries.add(entry);
                let c = S::splat(a.value);
                let from = source.add(a.term as usize * self.stride);
                for v in 0..V {
                    let s = load::<S, PART>(from.add(v * S::LANES), count);
                    even[v] = S::multiply_add(c, s, even[v]);
                }
            }
            for v in 0..V {
                even[v] = S::add(even[v], odd[v]);
            }
            self.add::<S, V, PART>(row, first, count, even);
        }
    }

    /// Adds sums to a row.
    ///
    /// # Safety
    /// As of [`panel`](Self::panel), and the row exists.
    #[inline(always)]
    unsafe fn add<S: Simd, const V: usize, const PART: bool>(
        &self,
        row: usize,
        first: usize,
        count: usize,
        sums: [S::V; V],
    ) {
        // SAFETY: the caller has this row and these columns.
        unsafe {
            let out = self.out.add(row * self.out_stride + first);
            for v in 0..V {
                let place = out.add(v * S::LANES);
                let sum = S::add(load::<S, PART>(place, count), sums[v]);
                if PART {
                    S::store_part(place, sum, count);
                } else {
                    S::store(place, sum);
                }
            }
        }
    }
}

/// # Safety
/// As of [`Simd::load`], or with `PART` as of [`Simd::load_part`].
#[inline(always)]
unsafe fn load<S: Simd, const PART: bool>(from: *const f32, count: usize) -> S::V {
    // SAFETY: the caller's promises are passed on.
    unsafe { if PART { S::load_part(from, count) } else { S::load(from) } }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn the_plain_formula_is_the_formula_and_skips_zeros() {
        // 1 + 2 * 3 + 0 * NaN, and 1 - 1 * 4 + 0 * NaN.
        let (c, source) = (array![[2.0, 0.0]], array![[3.0, -2.0], [f64::NAN, f64::NAN]]);
        let mut out = Array2::ones((1, 2));
        plain(SparseRows { values: c.view(), non_zero: None }, source.view(), out.view_mut());
        assert_eq!(out, array![[7.0, -3.0]]);
    }
}
