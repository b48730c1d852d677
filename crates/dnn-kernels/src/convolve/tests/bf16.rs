//! The same in bf16: against the formula for numbers that are rounded before, and the instructions against what they are
//! said to do.

use super::*;
use crate::bf16::{Instructions, from_bf16, to_bf16};

/// A convolution with products in bf16.
fn with(instructions: Instructions) -> Convolution<f32> {
    let pairs = Some(ConvolutionPairs::with(instructions));
    Convolution { pairs, products: Products::Bf16, ..Convolution::default() }
}

/// The bits of all that it computes.
fn outcome(geometry: &Geometry, case: &Case, mut convolution: Convolution<f32>) -> Vec<u32> {
    let own = |values: &[f64]| values.iter().map(|&value| narrow(value)).collect::<Vec<f32>>();
    let (x, dz, weights) = (own(&case.x), own(&case.dz), case.weights.mapv(narrow));
    let (mut out, mut dx, mut dw) = (dz.clone(), x.clone(), weights.clone());
    let mut packed = weights_for(&convolution);
    packed.pack(geometry, weights.view());
    convolution.forward(geometry, &packed, &x, Epilogue::default(), &mut out);
    packed.pack_exchanged(geometry, weights.view());
    convolution.input_gradient(geometry, &packed, &dz, &mut dx);
    let mut sums = vec![f32::NAN; convolution.gradient_sums(geometry)];
    // Twice: sums go on from picture to picture.
    convolution.add_gradient(geometry, &x, &dz, &mut sums, true);
    convolution.add_gradient(geometry, &x, &dz, &mut sums, false);
    convolution.store_gradient(geometry, &sums, 1.0, dw.view_mut());
    out.iter().chain(&dx).chain(&dw).map(|value| value.to_bits()).collect()
}

pub(super) fn check(geometry: &Geometry, seed: u64) {
    let rough = case(geometry, seed, |number| number);
    let given = if geometry.taps().is_depthwise {
        rough
    } else {
        // The kernels round what was not rounded before; biases are left as they are.
        let rounded = case(geometry, seed, |number| from_bf16(to_bf16(number)));
        Case { x: rough.x, dz: rough.dz, weights: rough.weights, ..rounded }
    };
    check_on(geometry, &given, with(Instructions::Plain), narrow, 2e-4);
    if !Products::Bf16.exist() {
        return dnn_testing::skipped("the instructions AVX512_BF16");
    }
    let [plain, other] = [Instructions::Plain, Instructions::Avx512Bf16]
        .map(|instructions| outcome(geometry, &given, with(instructions)));
    assert_eq!(plain, other);
}

#[test]
fn products_are_those_of_bf16_where_they_are_asked_for() {
    // 1 + 1/256 is no number of bf16: it becomes 1.
    let geometry = Geometry {
        input: [1, 1, 1],
        output: [1, 1, 1],
        kernel: [1, 1],
        stride: [1, 1],
        before: [0, 0],
        groups: 1,
    };
    let mut convolution = Convolution::<f32>::default();
    let mut out = [0.0];
    let x = 1.0 + 1.0 / 256.0;
    let mut run = |convolution: &mut Convolution<f32>| {
        let mut packed = weights_for(convolution);
        packed.pack(&geometry, ndarray::array![[1.0]].view());
        convolution.forward(&geometry, &packed, &[x], Epilogue::default(), &mut out);
        out[0]
    };
    assert_eq!(run(&mut convolution), x);
    assert_eq!(run(&mut with(Instructions::Plain)), 1.0);
    if Products::Bf16.exist() {
        convolution.set_products(Products::Bf16);
        assert_eq!(run(&mut convolution), 1.0);
        convolution.set_products(Products::Full);
        assert_eq!(run(&mut convolution), x);
    } else {
        let refused = || convolution.set_products(Products::Bf16);
        assert!(crate::test_support::panics(refused));
    }
    let wide = || Convolution::<f64>::default().set_products(Products::Bf16);
    assert!(crate::test_support::panics(wide), "products in bf16 are for f32");
}
