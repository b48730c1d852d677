//! Gram matrices and products with them against their definitions.

use super::{Gram, SparseLeft};
use crate::{Element, Features, PixelScaling, Purpose, RandomStream};
use dnn_kernels::gram::PANEL;
use ndarray::{Array2, ShapeBuilder};
use proptest::prelude::*;

fn bytes(shape: (usize, usize), column_major: bool, seed: u64) -> Array2<u8> {
    let mut stream = RandomStream::new(seed, Purpose::Data, 0);
    Array2::from_shape_simple_fn(shape.set_f(column_major), || {
        u8::try_from(stream.up_to(255)).unwrap()
    })
}

/// The definition.
fn naive(x: &Array2<f64>, y: &Array2<f64>) -> Array2<f64> {
    x.t().dot(y)
}

fn dense<T: Element>(gram: &Gram<T>) -> Array2<f64> {
    Array2::from_shape_fn((gram.rows(), gram.columns()), |(i, j)| gram.at(i, j).into())
}

/// How far apart, as a part of the largest number.
fn apart(found: &Array2<f64>, expected: &Array2<f64>) -> f64 {
    assert_eq!(found.dim(), expected.dim());
    let largest = expected.iter().fold(1e-300, |most, value| value.abs().max(most));
    found.iter().zip(expected).map(|(a, b)| (a - b).abs() / largest).fold(0.0, f64::max)
}

fn scaled(bytes: &Array2<u8>, scaling: PixelScaling) -> Array2<f64> {
    Array2::from_shape_fn(bytes.dim(), |(i, j)| {
        let channel = i % scaling.channels();
        let value = f64::from(bytes[(i, j)]) / 255.0 - scaling.mean()[channel];
        value / scaling.std_dev()[channel]
    })
}

#[test]
fn pixels_are_multiplied_exactly() {
    // A deviation of 1/255 leaves pixels as they are: whole numbers, which the oracle has in 64 bits.
    let scaling = PixelScaling::per_channel(&[0.0], &[1.0 / 255.0]).unwrap();
    let mut bright = bytes((40_000, 5), true, 1);
    bright.column_mut(0).fill(255);
    bright.column_mut(4).fill(255);
    for values in [bytes((1, 1), true, 2), bytes((100, 130), false, 3), bright] {
        let features: Features<'_, f64> = Features::Pixels { values: values.view(), scaling };
        let gram = Gram::of(&features);
        for i in 0..values.ncols() {
            for j in 0..values.ncols() {
                let pairs = values.column(i).into_iter().zip(values.column(j));
                let sum: i64 = pairs.map(|(&a, &b)| i64::from(a) * i64::from(b)).sum();
                assert_eq!(gram.at(i, j), sum as f64, "{i}, {j}");
            }
        }
    }
}

#[test]
fn channels_with_scalings_of_their_own_and_nothing_at_all() {
    for (mean, deviation) in [
        (&[0.0][..], &[1.0][..]),
        (&[0.4, 0.5, 0.6], &[0.25; 3]),
        (&[0.4, 0.5, 0.6], &[0.2, 0.25, 0.3]),
        (&[0.0; 3], &[0.2, 0.25, 0.3]),
    ] {
        let scaling = PixelScaling::per_channel(mean, deviation).unwrap();
        for (n_x, m, m_y) in [(3, 1, 2), (6300, 70, 3), (33, 4, 129), (3, 0, 2), (0, 2, 2)] {
            let (x, y) = (bytes((n_x, m), true, 4), bytes((n_x, m_y), false, 5));
            let left = Features::Pixels { values: x.view(), scaling };
            let right = Features::Pixels { values: y.view(), scaling };
            let (x, y) = (scaled(&x, scaling), scaled(&y, scaling));
            assert!(apart(&dense(&Gram::of(&left)), &naive(&x, &x)) < 1e-13);
            let found = dense(&Gram::between(&left, &right));
            assert!(apart(&found, &naive(&x, &y)) < 1e-13, "{scaling}, {n_x} {m} {m_y}");
            // Pixels beside numbers, and numbers beside each other.
            let numbers = Features::Real(y.view());
            assert!(apart(&dense(&Gram::between(&left, &numbers)), &naive(&x, &y)) < 1e-13);
            assert!(apart(&dense(&Gram::of(&numbers)), &naive(&y, &y)) < 1e-13);
        }
    }
}

#[test]
fn the_same_bits_on_any_threads() {
    let values = bytes((700, 900), true, 6);
    let real = values.mapv(f32::from);
    let pixels = Features::Pixels { values: values.view(), scaling: PixelScaling::default() };
    for features in [pixels, Features::Real(real.view())] {
        let mut stream = RandomStream::new(7, Purpose::Data, 0);
        let dz = Array2::from_shape_simple_fn((3, 900), || f32::from_f64(stream.normal()));
        let run = || {
            let gram = Gram::of(&features);
            let mut a = SparseLeft::new(3, 900);
            a.assign(dz.view());
            let mut out = Array2::zeros((3, 900));
            gram.multiply_into(&a, out.view_mut());
            (gram.numbers, out)
        };
        let on = |threads: usize| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
        };
        let expected = on(1);
        for threads in [2, 3, 4, 8] {
            assert!(on(threads) == expected, "{threads} threads");
        }
    }
}

/// `A` is `(n, m)`, `K` `(m, m_y)`.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    n: usize,
    m: usize,
    m_y: usize,
}

/// `A` with zeros, `K` and what should come of them, of numbers that are what they are in `f32`.
fn problem<T: Element>(sizes: Sizes, seed: u64) -> (Array2<T>, [Array2<T>; 2]) {
    let Sizes { n, m, m_y } = sizes;
    let mut stream = RandomStream::new(seed, Purpose::Data, 0);
    let mut normal = |shape| {
        Array2::from_shape_simple_fn(shape, || T::from_f64((8.0 * stream.normal()).round()))
    };
    let (x, y) = (normal((5, m)), normal((5, m_y)));
    let mut numbers = normal((n, m));
    for (unit, mut row) in numbers.rows_mut().into_iter().enumerate() {
        // Some units are mostly 0, some hardly.
        let least = T::from_f64(4.0 * (unit % 5) as f64 - 8.0);
        row.mapv_inplace(|value| if value < least { T::zero() } else { value });
    }
    (numbers, [x, y])
}

fn products_are_right<T: Element>(sizes: Sizes, seed: u64, close: f64) {
    let (numbers, [x, y]) = problem::<T>(sizes, seed);
    let Sizes { n, m, m_y } = sizes;
    let mut a = SparseLeft::new(n, m);
    // What was there before does not stay.
    a.assign(Array2::<T>::from_elem((n, m), T::one()).view());
    a.assign(numbers.view());
    let wide = |values: &Array2<T>| values.mapv(Into::<f64>::into);
    let (x, y, numbers) = (Features::Real(x.view()), y, wide(&numbers));
    let Features::Real(left) = x else { unreachable!("just made") };
    let left = wide(&left.to_owned());
    let mut out = Array2::from_elem((n, m_y), f64::NAN);
    Gram::between(&x, &Features::Real(y.view())).multiply_into(&a, out.view_mut());
    assert!(apart(&out, &numbers.dot(&naive(&left, &wide(&y)))) < close, "between {sizes:?}");
    for column_major in [false, true] {
        let mut out = Array2::from_elem((n, m).set_f(column_major), f64::NAN);
        Gram::of(&x).multiply_into(&a, out.view_mut());
        assert!(apart(&out, &numbers.dot(&naive(&left, &left))) < close, "of {sizes:?}");
    }
}

#[test]
fn products_with_many_panels() {
    for m in [PANEL, 3 * PANEL + 1, 7 * PANEL, 9 * PANEL - 5] {
        products_are_right::<f32>(Sizes { n: 7, m, m_y: 1 }, 1, 1e-5);
        products_are_right::<f64>(Sizes { n: 7, m, m_y: 1 }, 1, 1e-12);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn products_leave_out_zeros_and_nothing_else(
        n in prop_oneof![0..3_usize, 30..70_usize],
        m in 0..600_usize,
        m_y in 0..150_usize,
        seed in 0..1000_u64,
    ) {
        let sizes = Sizes { n, m, m_y };
        products_are_right::<f32>(sizes, seed, 1e-5);
        products_are_right::<f64>(sizes, seed, 1e-12);
        let (numbers, _) = problem::<f64>(sizes, seed);
        let mut a = SparseLeft::<f64>::new(n, m);
        a.assign(numbers.view());
        prop_assert_eq!(a.listed(), numbers.iter().filter(|&&value| value != 0.0).count());
    }
}
