//! Every kernel against its definition, on every path that this processor has.

use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, ShapeBuilder, s};
use proptest::prelude::*;

use super::*;
use crate::{Purpose, RandomStream};

fn normal(shape: (usize, usize), stream: &mut RandomStream) -> Array2<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "made-up data")]
    Array2::from_shape_simple_fn(shape, || stream.normal() as f32)
}

/// `a b`, summed in `f64`.
fn naive(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Array2<f64> {
    Array2::from_shape_fn((a.nrows(), b.ncols()), |(i, j)| {
        (0..a.ncols()).map(|k| f64::from(a[(i, k)]) * f64::from(b[(k, j)])).sum()
    })
}

/// Equal up to the rounding of sums of so many terms of such sizes.
#[track_caller]
fn assert_close(found: ArrayView2<'_, f32>, expected: &Array2<f64>, size: f64, what: &str) {
    assert_eq!(found.dim(), expected.dim());
    for (index, &expected) in expected.indexed_iter() {
        let apart = (f64::from(found[index]) - expected).abs();
        assert!(apart <= 1e-5 * (1.0 + size), "{what}: {apart:e} at {index:?}");
    }
}

/// A view of this matrix inside of a larger array of NaN, at an odd place and stride.
fn amid(values: &Array2<f32>) -> Array2<f32> {
    let (rows, columns) = values.dim();
    let mut all = Array2::from_elem((rows + 2, columns + 3), f32::NAN);
    all.slice_mut(s![1..=rows, 1..=columns]).assign(values);
    all
}

fn inner(all: &Array2<f32>) -> ArrayView2<'_, f32> {
    let (rows, columns) = all.dim();
    all.slice(s![1..rows - 1, 1..columns - 2])
}

fn inner_mut(all: &mut Array2<f32>) -> ArrayViewMut2<'_, f32> {
    let (rows, columns) = all.dim();
    all.slice_mut(s![1..rows - 1, 1..columns - 2])
}

/// Nothing but the inner part was written.
fn assert_untouched(all: &Array2<f32>) {
    let (rows, columns) = all.dim();
    for ((i, j), value) in all.indexed_iter() {
        let inside = (1..rows - 1).contains(&i) && (1..columns - 2).contains(&j);
        assert!(inside || value.is_nan(), "written at {i}, {j}");
    }
}

/// `dot` of these shapes, of numbers and of bytes, against the definition.
#[track_caller]
fn check_dot(
    (units, features, m): (usize, usize, usize),
    seed: u64,
    with_bias: bool,
    clamps: bool,
) {
    let size = 30.0 + features as f64 / 10.0;
    let mut stream = RandomStream::new(seed, Purpose::Data, 0);
    let weights = amid(&normal((units, features), &mut stream));
    let bias: Array1<f32> = normal((1, units), &mut stream).row(0).to_owned();
    let numbers = normal((m, features), &mut stream);
    let bytes = Array2::from_shape_simple_fn((m, features + 1), || {
        u8::try_from(stream.up_to(255)).unwrap()
    });
    let bytes = bytes.slice(s![.., 1..]);
    let floor = if clamps { 0.0 } else { f32::NEG_INFINITY };
    let expect = |x: ArrayView2<'_, f32>, scale: f64| {
        let mut z = naive(inner(&weights), x.reversed_axes()).mapv(|z| scale * z);
        for (mut row, &bias) in z.rows_mut().into_iter().zip(&bias) {
            row += if with_bias { f64::from(bias) } else { 0.0 };
        }
        z.mapv(|z| z.max(floor.into()))
    };
    for path in KernelPath::all() {
        let epilogue = |scale| Epilogue { scale, bias: with_bias.then(|| bias.view()), floor };
        let mut all = amid(&Array2::zeros((m, units)));
        let out = inner_mut(&mut all).reversed_axes();
        let rows = |j: usize| numbers.row(j).to_slice().unwrap();
        dot(path, inner(&weights), rows, epilogue(0.5), out);
        let expected = expect(numbers.view(), 0.5);
        let what = format!("numbers on {path}");
        assert_close(inner(&all).reversed_axes(), &expected, size, &what);
        assert_untouched(&all);
        let out = inner_mut(&mut all).reversed_axes();
        let rows = |j: usize| bytes.row(j).to_slice().unwrap();
        dot(path, inner(&weights), rows, epilogue(1.0 / 255.0), out);
        let expected = expect(bytes.mapv(f32::from).view(), 1.0 / 255.0);
        assert_close(inner(&all).reversed_axes(), &expected, size, &format!("bytes on {path}"));
        assert_untouched(&all);
    }
}

#[test]
fn dot_goes_on_from_chunk_to_chunk() {
    for shape in [(130, 2060, 51), (5, 1024, 2), (3, 3072, 1), (129, 1025, 7)] {
        check_dot(shape, 1, true, false);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn dot_is_the_product_on_every_path(
        (units, features, m) in (0..14_usize, prop_oneof![0..40_usize, 120..140_usize, 1020..1030_usize], 0..15_usize),
        (seed, with_bias, clamps) in (0..1000_u64, any::<bool>(), any::<bool>()),
    ) {
        check_dot((units, features, m), seed, with_bias, clamps);
    }

    #[test]
    fn combine_is_the_product_with_any_share_of_zeros_on_every_path(
        (rows, terms, width) in (0..14_usize, prop_oneof![0..9_usize, 120..140_usize, 250..260_usize], 0..150_usize),
        (seed, zeros, by_column) in (0..1000_u64, 0..=4_u32, any::<bool>()),
    ) {
        let mut stream = RandomStream::new(seed, Purpose::Data, 0);
        let mut coefficients = Array2::zeros((rows, terms).set_f(by_column));
        coefficients.assign(&normal((rows, terms), &mut stream));
        coefficients.map_inplace(|c| if stream.up_to(3) < zeros { *c = 0.0 });
        let source = amid(&normal((terms, width), &mut stream));
        let expected = naive(coefficients.view(), inner(&source)).mapv(|sum| sum + 1.0);
        let mut lists = Terms::default();
        // What was listed before leaves no trace.
        lists.list(normal((3, 300), &mut stream).view());
        lists.list(coefficients.view());
        for path in KernelPath::all() {
            let mut all = amid(&Array2::ones((rows, width)));
            lists.combine(path, coefficients.view(), inner(&source), inner_mut(&mut all));
            assert_close(inner(&all), &expected, 30.0, &format!("{path}"));
            assert_untouched(&all);
            let mut all = amid(&Array2::ones((rows, width)));
            combine_dense(path, coefficients.view(), inner(&source), inner_mut(&mut all));
            assert_close(inner(&all), &expected, 30.0, &format!("dense on {path}"));
            assert_untouched(&all);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn lists_name_what_is_not_zero_on_every_path(
        (rows, terms) in (0..5_usize, 0..=CHUNK),
        (seed, zeros, by_column) in (0..1000_u64, 0..=4_u32, any::<bool>()),
    ) {
        let mut stream = RandomStream::new(seed, Purpose::Data, 0);
        let mut values = Array2::zeros((rows, terms).set_f(by_column));
        values.assign(&normal((rows, terms), &mut stream));
        values.map_inplace(|c| match stream.up_to(3) {
            0 if zeros > 0 => *c = -0.0,
            draw if draw < zeros => *c = 0.0,
            _ => {}
        });
        for path in KernelPath::all() {
            let (mut counts, mut entries) = (vec![7; rows], vec![Entry::default(); rows * CHUNK]);
            list(path, values.view(), (&mut counts, &mut entries));
            let lists = counts.iter().zip(entries.chunks(CHUNK));
            for (row, (&count, list)) in values.rows().into_iter().zip(lists) {
                let listed = list[..count as usize].iter().map(|it| (it.term, it.value));
                let alive = (0..).zip(row.iter().copied()).filter(|&(_, value)| value != 0.0);
                prop_assert!(listed.eq(alive), "{}", path);
            }
        }
    }

    #[test]
    fn a_transpose_is_one_on_every_path(rows in 0..40_usize, columns in 0..40_usize, seed in 0..1000_u64) {
        let mut stream = RandomStream::new(seed, Purpose::Data, 0);
        let values = normal((rows, columns), &mut stream);
        for path in KernelPath::all() {
            let mut all = amid(&Array2::ones((columns, rows)));
            transpose(path, inner(&amid(&values)), inner_mut(&mut all));
            prop_assert_eq!(inner(&all), values.t(), "{}", path);
            assert_untouched(&all);
        }
    }

    #[test]
    fn what_is_made_chunk_by_chunk_is_listed_as_a_whole(
        (rows, terms) in (prop_oneof![0..5_usize, 100..110_usize], prop_oneof![0..5_usize, 190..260_usize]),
        seed in 0..1000_u64,
    ) {
        let mut stream = RandomStream::new(seed, Purpose::Data, 0);
        let mut values = normal((rows, terms), &mut stream);
        values.map_inplace(|c| if stream.up_to(1) == 0 { *c = 0.0 });
        let mut made = Array2::zeros((rows, terms));
        let (mut lists, mut whole) = (Terms::default(), Terms::default());
        lists.list_made(made.view_mut(), |first, mut part| {
            let end = first + part.ncols();
            part.assign(&values.slice(s![.., first..end]));
        });
        whole.list(values.view());
        prop_assert_eq!(&made, &values);
        let source = normal((terms, 3), &mut stream);
        let out = |lists: &Terms| {
            let mut out = Array2::zeros((rows, 3));
            lists.combine(KernelPath::best(), values.view(), source.view(), out.view_mut());
            out
        };
        prop_assert_eq!(out(&lists), out(&whole));
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
            let epilogue = Epilogue { scale: 1.0, bias: None, floor: 0.0 };
            let example = |j: usize| x.row(j).to_slice().unwrap();
            dot(path, weights.view(), example, epilogue, out.view_mut());
            assert!(out.column(0).iter().all(|&z| z == 20.0));
            assert!(out.column(1).iter().all(|z| !z.is_finite()), "{path}");
            let mut lists = Terms::default();
            lists.list(x.view());
            let mut out = Array2::zeros((2, 5));
            lists.combine(path, x.view(), Array2::ones((20, 5)).view(), out.view_mut());
            assert!(out.row(0).iter().all(|&z| z == 20.0));
            assert!(out.row(1).iter().all(|z| !z.is_finite()), "{path}");
        }
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let refuses = |work: &dyn Fn()| {
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err());
    };
    let path = KernelPath::best();
    let weights = Array2::<f32>::zeros((2, 3));
    let epilogue = Epilogue { scale: 1.0, bias: None, floor: 0.0 };
    let short = [0.0_f32; 2];
    refuses(&|| {
        let mut out = Array2::zeros((2, 1).f());
        dot(path, weights.view(), |_| &short[..], epilogue, out.view_mut());
    });
    let mut lists = Terms::default();
    lists.list(weights.view());
    for (rows, terms, width) in [(3, 3, 4), (2, 4, 4), (2, 3, 5)] {
        let other = Array2::<f32>::zeros((rows, terms));
        refuses(&|| {
            let mut out = Array2::zeros((2, 4));
            lists.combine(path, other.view(), Array2::zeros((3, width)).view(), out.view_mut());
        });
    }
}
