//! What the tests of this crate share: made-up numbers from a seed, arrays inside of larger ones, and how near a sum
//! has to be to what it should be.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, s};

/// Made-up numbers: `SplitMix64` of Steele, Lea and Flood (2014), which Miri interprets fast enough.
pub(crate) struct Draws(u64);

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A number from 0 to `most`.
    pub(crate) fn up_to(&mut self, most: u64) -> u64 {
        self.next() % (most + 1)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[7]
    }

    /// A number from -2 to 2.
    pub(crate) fn number(&mut self) -> f32 {
        let bits = u16::try_from(self.next() >> 48).expect("16 bits");
        f32::from(bits) / 16384.0 - 2.0
    }

    pub(crate) fn matrix(&mut self, shape: (usize, usize)) -> Array2<f32> {
        Array2::from_shape_simple_fn(shape, || self.number())
    }
}

/// In `f64`, in which the plain formulas are the oracle.
pub(crate) fn wide(values: ArrayView2<'_, f32>) -> Array2<f64> {
    values.mapv(f64::from)
}

/// Equal up to the rounding of sums of so many terms of such sizes.
#[track_caller]
pub(crate) fn assert_close(
    found: ArrayView2<'_, f32>,
    expected: &Array2<f64>,
    size: f64,
    what: &str,
) {
    assert_eq!(found.dim(), expected.dim());
    for (index, &expected) in expected.indexed_iter() {
        let apart = (f64::from(found[index]) - expected).abs();
        assert!(apart <= 1e-5 * (1.0 + size), "{what}: {apart:e} at {index:?}");
    }
}

/// A larger array of NaN with these values inside, at an odd place and stride.
pub(crate) fn amid(values: &Array2<f32>) -> Array2<f32> {
    let (rows, columns) = values.dim();
    let mut all = Array2::from_elem((rows + 2, columns + 3), f32::NAN);
    inner_mut(&mut all).assign(values);
    all
}

/// The values of [`amid`].
pub(crate) fn inner(all: &Array2<f32>) -> ArrayView2<'_, f32> {
    let (rows, columns) = all.dim();
    all.slice(s![1..rows - 1, 1..columns - 2])
}

pub(crate) fn inner_mut(all: &mut Array2<f32>) -> ArrayViewMut2<'_, f32> {
    let (rows, columns) = all.dim();
    all.slice_mut(s![1..rows - 1, 1..columns - 2])
}

/// Nothing but the inner part was written.
#[track_caller]
pub(crate) fn assert_untouched(all: &Array2<f32>) {
    let (rows, columns) = all.dim();
    for ((i, j), value) in all.indexed_iter() {
        let inside = (1..rows - 1).contains(&i) && (1..columns - 2).contains(&j);
        assert!(inside || value.is_nan(), "written at {i}, {j}");
    }
}

/// A size of a test, or under Miri, which is slow, what is left of it over a smaller one.
pub(crate) fn under_miri(most: usize, size: usize) -> usize {
    if cfg!(miri) { size % most } else { size }
}

/// Cases of a property test; under Miri a few.
pub(crate) fn cases(count: u32) -> proptest::test_runner::Config {
    let count = if cfg!(miri) { 4 } else { count };
    proptest::test_runner::Config {
        failure_persistence: None,
        ..proptest::test_runner::Config::with_cases(count)
    }
}

/// Whether `work` panics, as on shapes that do not fit.
pub(crate) fn panics(work: impl FnOnce()) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err()
}
