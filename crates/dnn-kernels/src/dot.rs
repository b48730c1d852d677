//! `Z = scale W X + b` by dot products of rows of weights with examples, each contiguous.
//!
//! The fastest way where there are few units or few examples: neither side is packed. Weights of a chunk of
//! features stay near the processor while all examples go by; bytes become numbers once a chunk, for all units.
//!
//! ```text
//! for 128 units at a time, and as many examples as their sums fit beside:
//!     for 1024 features at a time:
//!         for a group of examples, as numbers:
//!             for 4 units: add the products of the chunk to a vector of sums for each pair
//!     out = scale (sum of the lanes) + b
//! ```
//!
//! The layout of the loops follows Goto and van de Geijn, "Anatomy of high-performance matrix multiplication"
//! (2008), without the packing.

use std::mem::MaybeUninit;

use ndarray::{ArrayViewMut2, Axis, NdFloat, s};

use crate::dispatch::{Kernel, dispatch};
use crate::layout::row_stride;
use crate::operands::Linear;
use crate::parallel::join;
use crate::path::KernelPath;
use crate::prefetch::prefetch;
use crate::simd::{Input, MOST_LANES, Simd};

/// Rows of weights in a block; with a single example, twice as many.
const ROWS: usize = 4;
/// The most examples that any instruction set keeps in registers at a time.
const MOST_EXAMPLES: usize = 6;
/// Features of a chunk: so many of a group of examples fit into the first cache beside those of a block of
/// rows.
const FEATURES: usize = 1024;
/// Room for the numbers of a group of examples, each a little apart from a multiple of a page.
const APART: usize = FEATURES + 16;
const NUMBERS: usize = MOST_EXAMPLES * APART;
/// Units and examples whose sums are kept from chunk to chunk: more examples where there are fewer units.
const UNITS: usize = 128;
const SUMS: usize = UNITS * 8 * MOST_EXAMPLES;
const EXAMPLES: usize = 32 * MOST_EXAMPLES;
/// Weights from which on a product with one example is worth other threads.
const WORTH_THREADS: usize = 1 << 17;

/// The formula as it stands.
pub(crate) fn plain<'x, T: NdFloat, E: Copy + Into<T> + 'x>(
    map: Linear<'_, T>,
    example: &impl Fn(usize) -> &'x [E],
    mut out: ArrayViewMut2<'_, T>,
) {
    for ((unit, j), z) in out.indexed_iter_mut() {
        let pairs = map.weights.row(unit).into_iter().zip(example(j));
        let sum = pairs.fold(T::zero(), |sum, (&w, &x)| sum + w * x.into());
        *z = map.scale * sum + map.bias.map_or(T::zero(), |bias| bias[unit]);
    }
}

/// [`by_vectors`], which with one example and many weights shares the units out among the threads of a pool, if
/// this is one of them; of more examples the caller makes tasks.
pub(crate) fn shared_out<'x, E: Example + 'x>(
    path: KernelPath,
    map: Linear<'_, f32>,
    example: &(impl Fn(usize) -> &'x [E] + Sync),
    out: ArrayViewMut2<'_, f32>,
) {
    let Linear { weights, scale, bias } = map;
    let worthwhile =
        out.ncols() == 1 && weights.len() >= WORTH_THREADS && weights.nrows() >= 2 * ROWS;
    if !worthwhile || rayon::current_thread_index().is_none() {
        return by_vectors(path, map, example, out);
    }
    let middle = (weights.nrows() / 2).next_multiple_of(ROWS);
    let (upper, lower) = weights.split_at(Axis(0), middle);
    let (upper_out, lower_out) = out.split_at(Axis(0), middle);
    let bias = bias.map(|bias| bias.split_at(Axis(0), middle));
    let upper = Linear { weights: upper, scale, bias: bias.map(|(upper, _)| upper) };
    let lower = Linear { weights: lower, scale, bias: bias.map(|(_, lower)| lower) };
    join(
        || shared_out(path, upper, example, upper_out),
        || shared_out(path, lower, example, lower_out),
    );
}

/// `out = scale W X + b` on one thread.
///
/// # Panics
/// If the rows of the weights or the columns of `out` are not each contiguous, or shapes do not fit.
pub(crate) fn by_vectors<'x, E: Example + 'x>(
    path: KernelPath,
    map: Linear<'_, f32>,
    example: &impl Fn(usize) -> &'x [E],
    out: ArrayViewMut2<'_, f32>,
) {
    if out.ncols() > 1 {
        return in_buffer(path, map, example, out);
    }
    // Of a single example there is nothing to keep near: one chunk, whose sums stay in registers.
    in_chunks(path, map, example, out, Chunks { features: usize::MAX, room: Room::none() });
}

/// The same for several examples. Never a part of its caller: where that is called by itself, as [`shared_out`] is,
/// a few buffers would be more than the stack of a thread.
#[inline(never)]
fn in_buffer<'x, E: Example + 'x>(
    path: KernelPath,
    map: Linear<'_, f32>,
    example: &impl Fn(usize) -> &'x [E],
    out: ArrayViewMut2<'_, f32>,
) {
    let mut buffer = StackBuffer::new();
    in_chunks(path, map, example, out, Chunks { features: FEATURES, room: buffer.room() });
}

/// How many features are taken at a time, and the memory for what is kept from chunk to chunk.
struct Chunks {
    features: usize,
    room: Room,
}

fn in_chunks<'x, E: Example + 'x>(
    path: KernelPath,
    map: Linear<'_, f32>,
    example: &impl Fn(usize) -> &'x [E],
    mut out: ArrayViewMut2<'_, f32>,
    chunks: Chunks,
) {
    let Linear { weights, scale, bias } = map;
    let ((units, features), m) = (weights.dim(), out.ncols());
    assert_eq!(out.nrows(), units, "one row of outputs for each unit");
    let row = row_stride(weights.dim(), weights.strides()).expect("weights of contiguous rows");
    let by_example = out.view().reversed_axes();
    let column = row_stride(by_example.dim(), by_example.strides());
    let column = column.expect("outputs of contiguous columns");
    let bias = bias.map(|bias| {
        assert_eq!(bias.len(), units, "one bias for each unit");
        bias.to_slice().expect("a contiguous bias").as_ptr()
    });
    let at_a_time = SUMS / units.clamp(1, UNITS) / MOST_EXAMPLES * MOST_EXAMPLES;
    let at_a_time = at_a_time.min(EXAMPLES);
    let Room { numbers, sums } = chunks.room;
    for first in (0..units).step_by(UNITS) {
        let some = weights.slice(s![first..units.min(first + UNITS), ..]);
        for start in (0..m).step_by(at_a_time) {
            let mut examples = [std::ptr::null(); EXAMPLES];
            let examples = &mut examples[..at_a_time.min(m - start)];
            for (j, pointer) in examples.iter_mut().enumerate() {
                let x = example(start + j);
                assert_eq!(x.len(), features, "examples of as many features as the weights take");
                *pointer = x.as_ptr();
            }
            let columns = s![first.., start..start + examples.len()];
            let product = Dot {
                weights: some.as_ptr(),
                row,
                units: some.nrows(),
                features,
                examples,
                is_first: true,
                is_last: true,
                sums,
                numbers,
                scale,
                bias: bias.map(|bias| bias.wrapping_add(first)),
                out: out.slice_mut(columns).as_mut_ptr(),
                column,
            };
            let chunk = features.clamp(1, chunks.features);
            // SAFETY: the shapes were checked above; `out` is the first of as many columns as examples, from the
            // unit `first` on, of which there is a bias, too; the room is for as many units and examples, or there is
            // one example, in one chunk.
            unsafe { E::run(path, product, chunk) };
        }
    }
}

/// What examples are made of. Its kernel is compiled here, and not again by every crate that is generic in how
/// examples are found.
pub(crate) trait Example: Input + Sync {
    /// [`run_chunks`] of this type.
    ///
    /// # Safety
    /// As of [`run_chunks`].
    unsafe fn run(path: KernelPath, product: Dot<'_, Self>, chunk: usize);
}

impl Example for f32 {
    unsafe fn run(path: KernelPath, product: Dot<'_, Self>, chunk: usize) {
        // SAFETY: the caller's promises are passed on.
        unsafe { run_chunks(path, product, chunk) }
    }
}

impl Example for u8 {
    unsafe fn run(path: KernelPath, product: Dot<'_, Self>, chunk: usize) {
        // SAFETY: the caller's promises are passed on.
        unsafe { run_chunks(path, product, chunk) }
    }
}

/// Runs a product over so many features at a time, of which there are at most [`EXAMPLES`] examples.
///
/// # Safety
/// What [`Dot`] asks for holds for the product over all features.
unsafe fn run_chunks<E: Input>(path: KernelPath, product: Dot<'_, E>, chunk: usize) {
    // The sum over no features is a chunk, too.
    for first in (0..product.features.max(1)).step_by(chunk) {
        let end = product.features.min(first + chunk);
        let mut examples = [std::ptr::null(); EXAMPLES];
        let examples = &mut examples[..product.examples.len()];
        for (at, example) in examples.iter_mut().zip(product.examples) {
            *at = example.wrapping_add(first);
        }
        let part = Dot {
            weights: product.weights.wrapping_add(first),
            features: end - first,
            examples,
            is_first: first == 0,
            is_last: end == product.features,
            ..product
        };
        // SAFETY: as the caller says; the chunk is one of the features.
        unsafe { dispatch(path, part) };
    }
}

/// What [`Dot`] works in: it is used again at once, and stays near the processor.
#[repr(align(64))]
struct StackBuffer {
    numbers: [MaybeUninit<f32>; NUMBERS],
    sums: [MaybeUninit<f32>; SUMS * MOST_LANES],
}

impl StackBuffer {
    #[expect(clippy::large_stack_arrays, reason = "near the processor, without an allocation")]
    fn new() -> Self {
        Self {
            numbers: [MaybeUninit::uninit(); NUMBERS],
            sums: [MaybeUninit::uninit(); SUMS * MOST_LANES],
        }
    }

    fn room(&mut self) -> Room {
        Room { numbers: self.numbers.as_mut_ptr().cast(), sums: self.sums.as_mut_ptr().cast() }
    }
}

/// Where in a [`StackBuffer`] what is.
#[derive(Clone, Copy)]
struct Room {
    numbers: *mut f32,
    sums: *mut f32,
}

impl Room {
    /// For a single example in one chunk, which needs none.
    fn none() -> Self {
        Self { numbers: std::ptr::null_mut(), sums: std::ptr::null_mut() }
    }
}

/// `out = scale W X + b` for a chunk of features: sums go on from chunk to
/// chunk in `sums`.
///
/// # Safety
/// `weights` has to point to `units` rows of `features` numbers, `row` apart, each of `examples` to
/// `features` of `E`, `bias` to `units` numbers, and `out` to room for as many numbers for each example,
/// `column` apart. Unless this chunk is first and last, `sums` has to point to [`MOST_LANES`] numbers for
/// each example and unit; with more than one example, `numbers` has to point to [`NUMBERS`], and there are at
/// most [`FEATURES`] features.
#[derive(Clone, Copy)]
pub(crate) struct Dot<'a, E> {
    weights: *const f32,
    row: usize,
    units: usize,
    features: usize,
    examples: &'a [*const E],
    is_first: bool,
    is_last: bool,
    sums: *mut f32,
    numbers: *mut f32,
    scale: f32,
    bias: Option<*const f32>,
    out: *mut f32,
    column: usize,
}

impl<E: Input> Kernel for Dot<'_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let mut start = 0;
        while start < self.examples.len() {
            let count = (self.examples.len() - start).min(S::EXAMPLES);
            // SAFETY: the examples `start..start + count` exist.
            unsafe {
                match count {
                    6 => self.group::<S, 6>(start),
                    5 => self.group::<S, 5>(start),
                    4 => self.group::<S, 4>(start),
                    3 => self.group::<S, 3>(start),
                    2 => self.group::<S, 2>(start),
                    // Bytes that one block of rows reads alone become numbers in registers.
                    _ => {
                        let example = [*self.examples.get_unchecked(start)];
                        self.rows::<S, E, { 2 * ROWS }, 1>(start, example);
                    }
                }
            }
            start += count;
        }
    }
}

impl<E: Input> Dot<'_, E> {
    /// All units of the `X` examples from `start` on.
    ///
    /// # Safety
    /// They exist.
    #[inline(always)]
    unsafe fn group<S: Simd, const X: usize>(&self, start: usize) {
        // SAFETY: there is room for as many numbers of the most examples.
        unsafe {
            let mut x = [std::ptr::null(); X];
            for j in 0..X {
                let from = *self.examples.get_unchecked(start + j);
                x[j] = E::numbers::<S>(from, self.features, self.numbers.add(j * APART));
            }
            // They lie far apart, and a processor's own guess goes on where one ends.
            for &next in self.examples.iter().skip(start + X).take(X) {
                prefetch(std::slice::from_raw_parts(next, self.features));
            }
            self.rows::<S, f32, ROWS, X>(start, x);
        }
    }

    /// All units of the examples that lie at `x`, which are those from `start` on.
    ///
    /// # Safety
    /// They exist.
    #[inline(always)]
    unsafe fn rows<S: Simd, N: Input, const R: usize, const X: usize>(
        &self,
        start: usize,
        x: [*const N; X],
    ) {
        let mut unit = 0;
        // SAFETY: all units that are asked for exist.
        unsafe {
            while unit + R <= self.units {
                self.block::<S, N, R, X>(unit, start, x);
                unit += R;
            }
            while unit + 2 <= self.units {
                self.block::<S, N, 2, X>(unit, start, x);
                unit += 2;
            }
            if unit < self.units {
                self.block::<S, N, 1, X>(unit, start, x);
            }
        }
    }

    /// `R` units of `X` examples.
    ///
    /// # Safety
    /// They exist.
    #[inline(always)]
    unsafe fn block<S: Simd, N: Input, const R: usize, const X: usize>(
        &self,
        unit: usize,
        start: usize,
        from: [*const N; X],
    ) {
        // SAFETY: the rows, the examples and the places exist, and reads stay within `features`.
        unsafe {
            let weights = self.weights.add(unit * self.row);
            let mut sums = [[S::splat(0.0); X]; R];
            let mut x = [S::splat(0.0); X];
            let whole = self.features - self.features % S::LANES;
            let mut feature = 0;
            while feature < whole {
                for j in 0..X {
                    x[j] = N::load::<S>(from[j].add(feature));
                }
                for i in 0..R {
                    let w = S::load(weights.add(i * self.row + feature));
                    for j in 0..X {
                        sums[i][j] = S::multiply_add(w, x[j], sums[i][j]);
                    }
                }
                feature += S::LANES;
            }
            let rest = self.features - whole;
            if rest > 0 {
                for j in 0..X {
                    x[j] = N::load_part::<S>(from[j].add(whole), rest);
                }
                for i in 0..R {
                    let w = S::load_part(weights.add(i * self.row + whole), rest);
                    for j in 0..X {
                        sums[i][j] = S::multiply_add(w, x[j], sums[i][j]);
                    }
                }
            }
            // A copy: what has branches would keep the sums of the loop above out of registers.
            let mut done = [[S::splat(0.0); X]; R];
            for i in 0..R {
                for j in 0..X {
                    done[i][j] = sums[i][j];
                }
            }
            for i in 0..R {
                for j in 0..X {
                    self.keep::<S>(unit + i, start + j, done[i][j]);
                }
            }
        }
    }

    /// Adds a sum to what there is, or writes what all comes to.
    ///
    /// # Safety
    /// The unit and the example exist.
    #[inline(always)]
    unsafe fn keep<S: Simd>(&self, unit: usize, example: usize, mut sum: S::V) {
        let place = (example * self.units + unit) * MOST_LANES;
        // SAFETY: as the caller says; there is a place unless this chunk is first and last.
        unsafe {
            if !self.is_first {
                sum = S::add(S::load(self.sums.add(place)), sum);
            }
            if self.is_last {
                self.put(unit, example, S::sum(sum));
            } else {
                S::store(self.sums.add(place), sum);
            }
        }
    }

    /// Writes what a sum comes to.
    ///
    /// # Safety
    /// The unit and the example exist.
    #[inline(always)]
    unsafe fn put(&self, unit: usize, example: usize, sum: f32) {
        // SAFETY: as the caller says.
        unsafe {
            let bias = self.bias.map_or(0.0, |bias| *bias.add(unit));
            *self.out.add(example * self.column + unit) = self.scale * sum + bias;
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2, ArrayView2, ShapeBuilder, array};
    use proptest::prelude::*;

    use super::*;
    use crate::test_support::{
        Draws, amid, assert_close, assert_untouched, cases, inner, inner_mut, panics, under_miri,
        wide,
    };

    #[test]
    fn the_plain_formula_is_the_formula() {
        // 0.5 (2 * 3 + 1 * 4) + 1 = 6, 0.5 (0 * 3 - 1 * 4) - 1 = -3; of the bytes 7 and 255 others.
        let (weights, bias) = (array![[2.0, 1.0], [0.0, -1.0]], array![1.0, -1.0]);
        let map = Linear { weights: weights.view(), scale: 0.5, bias: Some(bias.view()) };
        let mut out = Array2::zeros((2, 1));
        plain(map, &|_| &[3.0, 4.0][..], out.view_mut());
        assert_eq!(out, array![[6.0], [-3.0]]);
        plain(Linear { bias: None, ..map }, &|_| &[7_u8, 255][..], out.view_mut());
        assert_eq!(out, array![[134.5], [-127.5]]);
    }

    /// Sizes of a product.
    #[derive(Debug, Clone, Copy)]
    struct Sizes {
        units: usize,
        features: usize,
        m: usize,
    }

    /// Products of these sizes, of numbers and of bytes, on every path against the plain formula.
    #[track_caller]
    fn check(sizes: Sizes, seed: u64, with_bias: bool) {
        let Sizes { units, features, m } = sizes;
        let size = 30.0 + features as f64 / 10.0;
        let mut draws = Draws::new(seed);
        let weights = amid(&draws.matrix((units, features)));
        let bias: Array1<f32> = draws.matrix((1, units)).row(0).to_owned();
        let numbers = draws.matrix((m, features));
        let bytes = Array2::from_shape_simple_fn((m, features + 1), || draws.byte());
        let bytes = bytes.slice(s![.., 1..]);
        let (wide_weights, wide_bias) = (wide(inner(&weights)), bias.mapv(f64::from));
        let expected = |x: ArrayView2<'_, f32>, scale| {
            let bias = with_bias.then(|| wide_bias.view());
            let (x, map) = (wide(x), Linear { weights: wide_weights.view(), scale, bias });
            let mut out = Array2::zeros((units, m));
            plain(map, &|j| x.row(j).to_slice().unwrap(), out.view_mut());
            out
        };
        let of_numbers = expected(numbers.view(), 0.5);
        let of_bytes = expected(bytes.mapv(f32::from).view(), 0.25);
        for path in KernelPath::all() {
            let bias = with_bias.then(|| bias.view());
            let map = |scale| Linear { weights: inner(&weights), scale, bias };
            let mut all = amid(&Array2::zeros((m, units)));
            let out = inner_mut(&mut all).reversed_axes();
            by_vectors(path, map(0.5), &|j| numbers.row(j).to_slice().unwrap(), out);
            let what = format!("numbers on {path}, {sizes:?}");
            assert_close(inner(&all).reversed_axes(), &of_numbers, size, &what);
            assert_untouched(&all);
            let out = inner_mut(&mut all).reversed_axes();
            by_vectors(path, map(0.25), &|j| bytes.row(j).to_slice().unwrap(), out);
            let what = format!("bytes on {path}, {sizes:?}");
            assert_close(inner(&all).reversed_axes(), &of_bytes, 64.0 * size, &what);
            assert_untouched(&all);
        }
    }

    #[test]
    fn sums_go_on_from_chunk_to_chunk() {
        let all = [(130, 2060, 51), (5, 1024, 2), (3, 3072, 1), (129, 1025, 7)];
        let all = if cfg!(miri) { &all[1..3] } else { &all[..] };
        for &(units, features, m) in all {
            check(Sizes { units, features, m }, 1, true);
        }
    }

    proptest! {
        #![proptest_config(cases(96))]

        #[test]
        fn products_equal_the_formula_on_every_path(
            units in 0..14_usize,
            features in prop_oneof![0..40_usize, 120..140_usize, 1020..1030_usize],
            m in 0..15_usize,
            seed in 0..1000_u64,
            with_bias: bool,
        ) {
            let features = under_miri(40, features);
            check(Sizes { units, features, m }, seed, with_bias);
        }
    }

    #[test]
    fn what_is_not_finite_stays_so() {
        for path in KernelPath::all() {
            for bad in [f32::NAN, f32::INFINITY] {
                let weights = Array2::from_elem((3, 20), 1.0);
                let mut x = Array2::from_elem((2, 20), 1.0);
                x[(1, 19)] = bad;
                let mut out = Array2::zeros((3, 2).f());
                let map = Linear { weights: weights.view(), scale: 1.0, bias: None };
                by_vectors(path, map, &|j| x.row(j).to_slice().unwrap(), out.view_mut());
                assert!(out.column(0).iter().all(|&z| z == 20.0));
                assert!(out.column(1).iter().all(|z| !z.is_finite()), "{path}");
            }
        }
    }

    #[test]
    fn a_single_example_takes_little_of_the_stacks_of_a_pool() {
        // A buffer for many examples would be larger than these.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).stack_size(96 << 10);
        let pool = pool.build().unwrap();
        let (units, features) = (100, 12_288);
        let weights = Array2::<f32>::ones((units, features));
        let x = vec![1_u8; features];
        let map = Linear { weights: weights.view(), scale: 0.5, bias: None };
        assert!(weights.len() >= 2 * WORTH_THREADS);
        let mut out = Array2::zeros((units, 1).f());
        for path in KernelPath::all() {
            out.fill(0.0);
            pool.install(|| shared_out(path, map, &|_| &x[..], out.view_mut()));
            assert!(out.iter().all(|&z| z == 6144.0), "{path}");
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let weights = Array2::<f32>::zeros((2, 3));
        let map = Linear { weights: weights.view(), scale: 1.0, bias: None };
        for (features, units) in [(2, 2), (3, 3)] {
            let x = vec![0.0_f32; features];
            let mut out = Array2::zeros((units, 1).f());
            assert!(panics(|| by_vectors(KernelPath::best(), map, &|_| &x[..], out.view_mut())));
        }
    }
}
