//! Kernels against the formula, over geometries of all kinds.

use ndarray::{Array1, Array2};
use proptest::prelude::*;

use super::*;
use crate::test_support::{Draws, cases};

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

fn close(found: &[f32], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len());
    for (index, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let apart = (f64::from(found) - expected).abs();
        assert!(
            apart <= 2e-4 * (1.0 + expected.abs()),
            "{what}: {found} for {expected} at {index}"
        );
    }
}

/// Forward and both gradients of some numbers against sums over [`visit`]; `f32` by vectors, `f64` by the plain form.
fn check(geometry: &Geometry, seed: u64) {
    let mut draws = Draws::new(seed);
    let mut numbers = |count: usize| Array1::from_shape_simple_fn(count, || draws.number());
    let (x, dz) = (numbers(geometry.numbers_in()), numbers(geometry.numbers_out()));
    let (rows, columns) = geometry.weights();
    let weights = numbers(rows * columns).into_shape_with_order((rows, columns)).unwrap();
    let bias = numbers(rows);
    let wide = |values: &Array1<f32>| values.mapv(f64::from).to_vec();
    let (x64, dz64, bias64, weights64) =
        (wide(&x), wide(&dz), bias.mapv(f64::from), weights.mapv(f64::from));

    let mut out: Vec<f64> = (0..dz.len()).map(|index| bias64[index % rows]).collect();
    let mut dx = vec![0.0; x.len()];
    let mut dw = Array2::zeros((rows, columns));
    let [_, width, channels] = geometry.input;
    visit(geometry, |to, unit, tap, [row, column], channel| {
        let x = at(geometry, &x64, row, column, channel);
        out[to] += weights64[(unit, tap)] * x;
        dw[(unit, tap)] += dz64[to] * x;
        let inside = row >= 0 && column >= 0;
        let from = [row, column].map(isize::unsigned_abs);
        if inside && from[0] < geometry.input[0] && from[1] < width {
            dx[(from[0] * width + from[1]) * channels + channel] +=
                weights64[(unit, tap)] * dz64[to];
        }
    });

    for path in KernelPath::all() {
        let (mut found, mut found_dx) = (vec![f32::NAN; out.len()], vec![f32::NAN; dx.len()]);
        let mut convolution = Convolution { path, ..Convolution::default() };
        convolution.pack(geometry, weights.view());
        convolution.forward(geometry, x.as_slice().unwrap(), Some(bias.view()), &mut found);
        close(&found, &out, "forward");
        convolution.pack_exchanged(geometry, weights.view());
        convolution.input_gradient(geometry, dz.as_slice().unwrap(), &mut found_dx);
        close(&found_dx, &dx, "gradient of the input");
        let mut found_dw = Array2::zeros((rows, columns));
        convolution.start_gradient(geometry);
        convolution.add_gradient(geometry, x.as_slice().unwrap(), dz.as_slice().unwrap());
        convolution.finish_gradient(geometry, found_dw.view_mut());
        close(found_dw.as_slice().unwrap(), dw.as_slice().unwrap(), "gradient of the weights");
    }

    let mut plain = Convolution::<f64>::default();
    let (mut found, mut found_dx) = (vec![f64::NAN; out.len()], vec![f64::NAN; dx.len()]);
    plain.pack(geometry, weights64.view());
    plain.forward(geometry, &x64, Some(bias64.view()), &mut found);
    plain.pack_exchanged(geometry, weights64.view());
    plain.input_gradient(geometry, &dz64, &mut found_dx);
    plain.start_gradient(geometry);
    plain.add_gradient(geometry, &x64, &dz64);
    let mut found_dw = Array2::zeros((rows, columns));
    plain.finish_gradient(geometry, found_dw.view_mut());
    let near = |a: &[f64], b: &[f64]| {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-10 * (1.0 + b.abs()))
    };
    assert!(near(&found, &out), "plain forward");
    assert!(near(&found_dx, &dx), "plain gradient of the input");
    assert!(
        near(found_dw.as_slice().unwrap(), dw.as_slice().unwrap()),
        "plain gradient of the weights"
    );
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
}

#[test]
fn common_convolutions_are_what_the_formula_says() {
    for (size, channels, units, kernel, stride, before, groups) in [
        (16, 3, 16, 3, 1, 1, 1),
        (13, 16, 32, 3, 1, 1, 1),
        (12, 16, 48, 3, 2, 1, 1),
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
    let refused = |work: &mut dyn FnMut()| crate::test_support::panics(work);
    assert!(refused(&mut || convolution.pack(&geometry, Array2::zeros((3, 17)).view())));
    convolution.pack(&geometry, Array2::zeros((3, 18)).view());
    assert!(refused(&mut || convolution.forward(&geometry, &[0.0; 31], None, &mut [0.0; 48])));
    assert!(refused(&mut || convolution.forward(&geometry, &[0.0; 32], None, &mut [0.0; 47])));
    let still = Geometry { stride: [0, 1], ..geometry };
    assert!(refused(&mut || convolution.pack(&still, Array2::zeros((3, 18)).view())));
}
