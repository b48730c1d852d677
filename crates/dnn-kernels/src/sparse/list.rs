//! Lists of the entries of each row that are not zero.
//!
//! ```text
//! for each row: for each term: write (term, value) at the end of the list; count it if value != 0
//! ```
//!
//! Written always and counted where wanted, so that there is no branch to guess; AVX-512 compresses 16 at once.

use ndarray::{ArrayView2, NdFloat};

use crate::dispatch::{Kernel, dispatch};
use crate::entry::{CHUNK, Entry, ListsMut};
use crate::layout::row_stride;
use crate::path::KernelPath;
use crate::simd::Simd;

/// The formula as it stands.
pub(crate) fn plain<T: NdFloat>(values: ArrayView2<'_, T>, lists: ListsMut<'_, T>) {
    lists.check(values.nrows(), values.ncols());
    let lists = lists.counts.iter_mut().zip(lists.entries.chunks_exact_mut(CHUNK));
    for (row, (count, list)) in values.rows().into_iter().zip(lists) {
        let non_zero = (0..).zip(row).filter(|(_, value)| !value.is_zero());
        let non_zero = non_zero.map(|(term, &value)| Entry { term, value });
        let written = list.iter_mut().zip(non_zero).map(|(to, entry)| *to = entry).count();
        *count = u32::try_from(written).expect("at most a chunk");
    }
}

/// The same on vectors, where rows are contiguous.
pub(crate) fn by_vectors(path: KernelPath, values: ArrayView2<'_, f32>, lists: ListsMut<'_, f32>) {
    let Some(stride) = row_stride(values.dim(), values.strides()) else {
        return plain(values, lists);
    };
    let (rows, terms) = values.dim();
    lists.check(rows, terms);
    let (counts, entries) = (lists.counts.as_mut_ptr(), lists.entries.as_mut_ptr());
    let kernel = ListNonZero { from: values.as_ptr(), stride, rows, terms, counts, entries };
    // SAFETY: the shapes were checked above.
    unsafe { dispatch(path, kernel) }
}

/// Lists what is not zero in each of some rows of up to [`CHUNK`] numbers.
///
/// # Safety
/// `from` has to point to `rows` rows of `terms` numbers, `stride` apart, `counts` to a place for each row, and
/// `entries` to [`CHUNK`] places for each.
struct ListNonZero {
    from: *const f32,
    stride: usize,
    rows: usize,
    terms: usize,
    counts: *mut u32,
    entries: *mut Entry<f32>,
}

impl Kernel for ListNonZero {
    type Output = ();

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "places in a chunk")]
    unsafe fn run<S: Simd>(self) {
        for row in 0..self.rows {
            let (mut count, mut term) = (0, 0);
            // SAFETY: the row, its count and its places exist; no more are listed than terms are seen, so
            // that a vector of entries has room where one of terms has.
            unsafe {
                let from = self.from.add(row * self.stride);
                let entries = self.entries.add(row * CHUNK);
                while term + S::LANES <= self.terms {
                    count += S::list_non_zero(from.add(term), term as u32, entries.add(count));
                    term += S::LANES;
                }
                while term < self.terms {
                    let value = *from.add(term);
                    entries.add(count).write(Entry { term: term as u32, value });
                    count += usize::from(value != 0.0);
                    term += 1;
                }
                *self.counts.add(row) = count as u32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, ShapeBuilder, array};
    use proptest::prelude::*;

    use super::*;
    use crate::test_support::{Draws, cases, panics};

    /// The list of each row, as terms and values.
    fn lists_of<T: NdFloat + Default>(
        rows: usize,
        list: impl FnOnce(ListsMut<'_, T>),
    ) -> Vec<Vec<(u32, T)>> {
        let (mut counts, mut entries) = (vec![7; rows], vec![Entry::default(); rows * CHUNK]);
        list(ListsMut { counts: &mut counts, entries: &mut entries });
        let used = |(&count, list): (&u32, &[Entry<T>])| {
            list[..count as usize].iter().map(|entry| (entry.term, entry.value)).collect()
        };
        counts.iter().zip(entries.chunks(CHUNK)).map(used).collect()
    }

    #[test]
    fn the_plain_formula_names_terms_that_are_not_zero() {
        let values = array![[0.0, 2.0, -0.0, f64::NAN], [0.0; 4]];
        let lists = lists_of(2, |lists| plain(values.view(), lists));
        assert!(lists[1].is_empty());
        assert_eq!(lists[0][0], (1, 2.0));
        assert!(lists[0].len() == 2 && lists[0][1].0 == 3 && lists[0][1].1.is_nan());
    }

    proptest! {
        #![proptest_config(cases(96))]

        #[test]
        fn lists_are_the_same_on_every_path(
            rows in 0..5_usize,
            terms in 0..=CHUNK,
            seed in 0..1000_u64,
            zeros in 0..=4_u64,
            by_column: bool,
        ) {
            let mut draws = Draws::new(seed);
            let mut values = Array2::zeros((rows, terms).set_f(by_column));
            values.assign(&draws.matrix((rows, terms)));
            values.map_inplace(|c| match draws.up_to(3) {
                0 if zeros > 0 => *c = -0.0,
                draw if draw < zeros => *c = 0.0,
                _ => {}
            });
            let expected = lists_of(rows, |lists| plain(values.view(), lists));
            for path in KernelPath::all() {
                let found = lists_of(rows, |lists| by_vectors(path, values.view(), lists));
                prop_assert_eq!(&found, &expected, "{}", path);
            }
        }
    }

    #[test]
    fn more_terms_than_a_list_takes_are_refused() {
        let values = Array2::<f32>::zeros((2, CHUNK + 1));
        assert!(panics(|| drop(lists_of(2, |lists| by_vectors(
            KernelPath::best(),
            values.view(),
            lists
        )))));
        let values = Array2::<f32>::zeros((3, CHUNK));
        assert!(panics(|| drop(lists_of(2, |lists| by_vectors(
            KernelPath::best(),
            values.view(),
            lists
        )))));
    }
}
