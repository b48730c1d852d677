//! Kernels against the formula, over geometries of all kinds.

use ndarray::{Array1, Array2};
use proptest::prelude::*;

use super::*;
use crate::test_support::{Draws, cases};

mod bf16;

/// The number of a picture at a place that may lie outside of it.
fn at(geometry: &Geometry, x: &[f64], row: isize, column: isize, channel: usize) -> f64 {
    let [rows, columns, channels] = geometry.input;
    let (Ok(row), Ok(column)) = (usize::try_from(row), usize::try_from(column)) else { return 0.0 };
    if row >= rows || column >= columns {
        0.0
    } else {
        x[(row * columns + column) * channels + channel]
    }
}

/// Calls `visit` for every product of the convolution: the index of the output, the unit, the tap of the weights,
/// and where the input lies.
fn visit(geometry: &Geometry, mut visit: impl FnMut(usize, usize, usize, [isize; 2], usize)) {
    let [rows, columns, units] = geometry.output;
    let inputs = geometry.input[2] / geometry.groups;
    let of_group = units / geometry.groups;
    for row in 0..rows {
        for column in 0..columns {
            for unit in 0..units {
                let mut tap = 0;
                for i in 0..geometry.kernel[0] {
                    for j in 0..geometry.kernel[1] {
                        for input in 0..inputs {
                            let place = |at: usize, stride: usize, tap: usize, before: usize| {
                                (at * stride + tap).cast_signed() - before.cast_signed()
                            };
                            let [above, left] = geometry.before;
                            let [down, right] = geometry.stride;
                            let from = [place(row, down, i, above), place(column, right, j, left)];
                            let channel = unit / of_group * inputs + input;
                            visit(
                                (row * columns + column) * units + unit,
                                unit,
                                tap,
                                from,
                                channel,
                            );
                            tap += 1;
                        }
                    }
                }
            }
        }
    }
}

/// Numbers of a convolution, and what the formula makes of them.
struct Case {
    x: Vec<f64>,
    dz: Vec<f64>,
    weights: Array2<f64>,
    bias: Array1<f64>,
    out: Vec<f64>,
    dx: Vec<f64>,
    dw: Array2<f64>,
}

/// Forward and both gradients of some numbers, each made what `of` says, as sums over [`visit`].
fn case(geometry: &Geometry, seed: u64, of: impl Fn(f32) -> f32) -> Case {
    let mut draws = Draws::new(seed);
    let mut numbers =
        |count: usize| Array1::from_shape_simple_fn(count, || f64::from(of(draws.number())));
    let (x, dz) =
        (numbers(geometry.numbers_in()).to_vec(), numbers(geometry.numbers_out()).to_vec());
    let (rows, columns) = geometry.weights();
    let weights = numbers(rows * columns).into_shape_with_order((rows, columns)).unwrap();
    let bias = numbers(rows);
    let mut out: Vec<f64> = (0..dz.len()).map(|index| bias[index % rows]).collect();
    let (mut dx, mut dw) = (vec![0.0; x.len()], Array2::zeros((rows, columns)));
    let [height, width, channels] = geometry.input;
    visit(geometry, |to, unit, tap, [row, column], channel| {
        let number = at(geometry, &x, row, column, channel);
        out[to] += weights[(unit, tap)] * number;
        dw[(unit, tap)] += dz[to] * number;
        let inside = row >= 0 && column >= 0;
        let [row, column] = [row, column].map(isize::unsigned_abs);
        if inside && row < height && column < width {
            dx[(row * width + column) * channels + channel] += weights[(unit, tap)] * dz[to];
        }
    });
    Case { x, dz, weights, bias, out, dx, dw }
}

/// Room for weights in the numbers that products are made in.
fn weights_for<T: Number>(convolution: &Convolution<T>) -> ConvolutionWeights<T> {
    let mut weights = ConvolutionWeights::default();
    weights.products = convolution.products;
    weights.pairs = convolution.pairs.as_ref().map(ConvolutionPairs::room);
    weights
}

/// All of it by kernels of a number type, against the formula.
fn check_on<T: Number>(
    geometry: &Geometry,
    case: &Case,
    mut convolution: Convolution<T>,
    narrow: impl Fn(f64) -> T,
    apart: f64,
) {
    let own = |values: &[f64]| values.iter().map(|&value| narrow(value)).collect::<Vec<T>>();
    let (x, dz) = (own(&case.x), own(&case.dz));
    let (weights, bias) = (case.weights.mapv(&narrow), case.bias.mapv(&narrow));
    let close = |found: &[T], expected: &[f64], what: &str| {
        assert_eq!(found.len(), expected.len());
        for (index, (&found, &expected)) in found.iter().zip(expected).enumerate() {
            let found: f64 = found.into();
            let limit = apart * (1.0 + expected.abs());
            assert!((found - expected).abs() <= limit, "{what}: {found} for {expected} at {index}");
        }
    };
    let mut packed = weights_for(&convolution);
    let mut out = vec![T::nan(); dz.len()];
    packed.pack(geometry, weights.view());
    let epilogue = Epilogue { bias: Some(bias.view()), ..Epilogue::default() };
    convolution.forward(geometry, &packed, &x, epilogue, &mut out);
    close(&out, &case.out, "forward");
    let epilogue = Epilogue { relu: true, ..epilogue };
    convolution.forward(geometry, &packed, &x, epilogue, &mut out);
    let above_0: Vec<f64> = case.out.iter().map(|out| out.max(0.0)).collect();
    close(&out, &above_0, "forward, ReLU");
    forward_in_bands(geometry, &packed, &x, epilogue, &out, &mut convolution);
    let mut dx = vec![T::nan(); x.len()];
    packed.pack_exchanged(geometry, weights.view());
    convolution.input_gradient(geometry, &packed, &dz, &mut dx);
    close(&dx, &case.dx, "gradient of the input");
    let mut dw = Array2::from_elem(weights.dim(), T::nan());
    let mut sums = vec![T::nan(); convolution.gradient_sums(geometry)];
    convolution.add_gradient(geometry, &x, &dz, &mut sums, true);
    convolution.store_gradient(geometry, &sums, T::one(), dw.view_mut());
    close(dw.as_slice().unwrap(), case.dw.as_slice().unwrap(), "gradient of the weights");
    // The same picture again: half of twice as much.
    convolution.add_gradient(geometry, &x, &dz, &mut sums, false);
    convolution.store_gradient(geometry, &sums, narrow(0.5), dw.view_mut());
    close(dw.as_slice().unwrap(), case.dw.as_slice().unwrap(), "gradient of the weights");
}

/// The same bits however many threads share the picture; the largest of each 2 x 2 where there are such.
fn forward_in_bands<T: Number>(
    geometry: &Geometry,
    packed: &ConvolutionWeights<T>,
    x: &[T],
    epilogue: Epilogue<'_, T>,
    expected: &[T],
    convolution: &mut Convolution<T>,
) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let [rows, columns, units] = geometry.output;
    let has_maximum = convolution.pairs.is_none() && (rows | columns).is_multiple_of(2);
    for threads in [1, 3] {
        convolution.set_threads(threads);
        let mut forward = |epilogue: Epilogue<'_, T>, len: usize| {
            let mut out = vec![T::nan(); len];
            pool.install(|| convolution.forward(geometry, packed, x, epilogue, &mut out));
            out
        };
        assert_eq!(forward(epilogue, expected.len()), expected, "{threads} threads");
        if !has_maximum {
            continue;
        }
        let epilogue = Epilogue { maximum: true, ..epilogue };
        let found = forward(epilogue, expected.len() / 4);
        for (index, &found) in found.iter().enumerate() {
            let (place, unit) = (index / units, index % units);
            let (row, column) = (2 * (place / (columns / 2)), 2 * (place % (columns / 2)));
            let at = |row: usize, column: usize| expected[(row * columns + column) * units + unit];
            let of_four =
                [(row, column), (row, column + 1), (row + 1, column), (row + 1, column + 1)];
            let largest = of_four.map(|(row, column)| at(row, column));
            let largest = largest.into_iter().fold(T::neg_infinity(), T::max);
            assert_eq!(found, largest, "{threads} threads, number {index}");
        }
    }
    convolution.set_threads(1);
}

/// `f32` by vectors on every path, `f64` by the plain form.
fn check(geometry: &Geometry, seed: u64) {
    let case = case(geometry, seed, |number| number);
    for path in KernelPath::all() {
        for products in [Products::Full, Products::Direct] {
            let convolution = Convolution { path, products, ..Convolution::default() };
            check_on(geometry, &case, convolution, narrow, 2e-4);
        }
    }
    check_on(geometry, &case, Convolution::default(), |value| value, 1e-10);
    bf16::check(geometry, seed);
}

#[expect(clippy::cast_possible_truncation, reason = "the numbers are made for f32")]
fn narrow(value: f64) -> f32 {
    value as f32
}

proptest! {
    #![proptest_config(cases(192))]

    #[test]
    fn convolutions_are_what_the_formula_says(
        size in (1_usize..9, 1_usize..15),
        kernel in (1_usize..6, 1_usize..6),
        stride in (1_usize..4, 1_usize..4),
        before in (0_usize..3, 0_usize..3),
        groups in 1_usize..4,
        per_group in (1_usize..5, 1_usize..40),
        depthwise in any::<bool>(),
        more in (0_usize..2, 0_usize..2),
        seed in any::<u64>(),
    ) {
        let (inputs, units) = if depthwise { (1, 1) } else { per_group };
        let groups = if depthwise { per_group.1 } else { groups };
        let places = |size: usize, kernel: usize, stride: usize, before: usize, more: usize| {
            (size + before).saturating_sub(kernel) / stride + 1 + more
        };
        let geometry = Geometry {
            input: [size.0, size.1, inputs * groups],
            output: [
                places(size.0, kernel.0, stride.0, before.0, more.0),
                places(size.1, kernel.1, stride.1, before.1, more.1),
                units * groups,
            ],
            kernel: [kernel.0, kernel.1],
            stride: [stride.0, stride.1],
            before: [before.0, before.1],
            groups,
        };
        check(&geometry, seed);
    }

    #[test]
    fn convolutions_by_tiles_are_what_the_formula_says(
        input in (3_usize..12, 3_usize..12),
        before in (0_usize..3, 0_usize..3),
        after in (0_usize..3, 0_usize..3),
        channels in 16_usize..40,
        units in 16_usize..40,
        seed in any::<u64>(),
    ) {
        let geometry = Geometry {
            input: [input.0, input.1, channels],
            output: [input.0 + before.0 + after.0 - 2, input.1 + before.1 + after.1 - 2, units],
            kernel: [3, 3],
            stride: [1, 1],
            before: [before.0, before.1],
            groups: 1,
        };
        check(&geometry, seed);
    }
}

#[test]
fn common_convolutions_are_what_the_formula_says() {
    for (size, channels, units, kernel, stride, before, groups) in [
        (16, 3, 16, 3, 1, 1, 1),
        (13, 16, 32, 3, 1, 1, 1),
        // Several bands, the last one shorter.
        (40, 16, 32, 3, 1, 1, 1),
        (12, 16, 48, 3, 2, 1, 1),
        // By tiles of 2 x 2: parts of vectors, sides that are odd, no border and a wide one.
        (12, 24, 40, 3, 1, 1, 1),
        (7, 16, 16, 3, 1, 1, 1),
        (14, 17, 19, 3, 1, 0, 1),
        (9, 20, 36, 3, 1, 2, 1),
        (48, 24, 48, 3, 1, 1, 1),
        (9, 32, 33, 1, 1, 0, 1),
        (11, 24, 24, 3, 1, 1, 24),
        (11, 24, 24, 5, 2, 2, 24),
        (15, 3, 8, 11, 4, 2, 1),
    ] {
        let places = (size + 2 * before - kernel) / stride + 1;
        let geometry = Geometry {
            input: [size, size, channels],
            output: [places, places, units],
            kernel: [kernel; 2],
            stride: [stride; 2],
            before: [before; 2],
            groups,
        };
        check(&geometry, 1);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let geometry = Geometry {
        input: [4, 4, 2],
        output: [4, 4, 3],
        kernel: [3, 3],
        stride: [1, 1],
        before: [1, 1],
        groups: 1,
    };
    let mut convolution = Convolution::<f32>::default();
    let mut packed = ConvolutionWeights::default();
    let refused = |work: &mut dyn FnMut()| crate::test_support::panics(work);
    assert!(refused(&mut || packed.pack(&geometry, Array2::zeros((3, 17)).view())));
    packed.pack(&geometry, Array2::zeros((3, 18)).view());
    let mut forward = |geometry: &Geometry, inputs: usize, outputs: usize| {
        let (x, mut out) = (vec![0.0; inputs], vec![0.0; outputs]);
        refused(&mut || convolution.forward(geometry, &packed, &x, Epilogue::default(), &mut out))
    };
    assert!(forward(&geometry, 31, 48));
    assert!(forward(&geometry, 32, 47));
    // A maximum of 2 x 2 of three rows, and one with as many numbers as there are before it.
    let three = Geometry { input: [3, 4, 2], output: [3, 4, 3], ..geometry };
    for geometry in [three, geometry] {
        let mut packed = ConvolutionWeights::default();
        packed.pack(&geometry, Array2::zeros((3, 18)).view());
        let mut out = vec![0.0; geometry.numbers_out()];
        let x = vec![0.0; geometry.numbers_in()];
        let epilogue = Epilogue { maximum: true, ..Epilogue::default() };
        let mut convolution = Convolution::<f32>::default();
        assert!(refused(&mut || convolution.forward(&geometry, &packed, &x, epilogue, &mut out)));
    }
    // What was packed for something else.
    let wider = Geometry { before: [0, 1], ..geometry };
    assert!(forward(&wider, 32, 48));
    assert!(!forward(&geometry, 32, 48));
    let mut back = |packed: &ConvolutionWeights<f32>| {
        let (dz, mut dx) = ([0.0; 48], [0.0; 32]);
        refused(&mut || convolution.input_gradient(&geometry, packed, &dz, &mut dx))
    };
    assert!(back(&packed));
    packed.pack_exchanged(&geometry, Array2::zeros((3, 18)).view());
    assert!(!back(&packed));
    let sums = convolution.gradient_sums(&geometry);
    let mut sum = |sums: usize| {
        let (x, dz, mut sums) = ([0.0; 32], [0.0; 48], vec![0.0; sums]);
        refused(&mut || convolution.add_gradient(&geometry, &x, &dz, &mut sums, true))
    };
    assert!(sum(sums - 1) && !sum(sums));
    let still = Geometry { stride: [0, 1], ..geometry };
    assert!(refused(&mut || packed.pack(&still, Array2::zeros((3, 18)).view())));
}
