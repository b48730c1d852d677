//! The kernels against what their instructions are said to do, and the instructions against that.

use ndarray::{Array1, Array2, ShapeBuilder, s};
use proptest::prelude::*;

use super::instructions::{Kernel, Pairs};
use super::layout::{Rows, join_neighbours, join_rows};
use super::rounding::round;
use super::*;
use crate::dot::plain;
use crate::operands::Linear;
use crate::products::Products;
use crate::test_support::{
    Draws, amid, assert_close, assert_untouched, cases, inner, inner_mut, panics, wide,
};

/// The instructions of this processor, and their definition.
fn all() -> impl Iterator<Item = Instructions> {
    let hardware = Products::Bf16.exist().then_some(Instructions::Avx512Bf16);
    if hardware.is_none() {
        dnn_testing::skipped("the instructions AVX512_BF16");
    }
    hardware.into_iter().chain([Instructions::Plain])
}

/// Bits of all kinds: any, and those of common sizes.
fn bits(draws: &mut Draws) -> u32 {
    let any = u32::try_from(draws.up_to(u64::from(u32::MAX))).unwrap();
    match draws.up_to(3) {
        0 => any,
        1 => any & 0x807f_ffff,
        2 => any | 0x7f80_0000,
        _ => draws.number().to_bits(),
    }
}

#[test]
fn numbers_are_rounded_to_the_nearest_and_ties_to_even() {
    let mut draws = Draws::new(1);
    for _ in 0..if cfg!(miri) { 100 } else { 100_000 } {
        let value = f32::from_bits(bits(&mut draws));
        let found = from_bf16(to_bf16(value));
        assert_eq!(found.is_sign_negative(), value.is_sign_negative());
        if value.is_nan() {
            assert!(found.is_nan());
        } else if value.is_subnormal() {
            assert_eq!(found, 0.0);
        } else {
            // The two neighbours in bf16; in f64 the step beyond the largest one is a number, too.
            let below = value.to_bits() & 0xffff_0000;
            let step = f64::from(f32::from_bits(below & 0x7f80_0000)) / 128.0;
            let (below, value) = (f64::from(f32::from_bits(below)), f64::from(value));
            let up = (value.abs() - below.abs()) / step;
            let odd = to_bf16(f32::from_bits(value_bits(below))) & 1 == 1;
            let expected =
                if up > 0.5 || (up == 0.5 && odd) { below.abs() + step } else { below.abs() };
            let largest = f64::from(from_bf16(0x7f7f));
            let expected = if expected > largest { f64::INFINITY } else { expected };
            assert!(
                f64::from(found).abs() == expected || value.is_infinite(),
                "{value:e}: {found:e}"
            );
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the number was an f32")]
fn value_bits(value: f64) -> u32 {
    (value as f32).to_bits()
}

#[test]
fn instructions_round_as_the_function_does() {
    let mut draws = Draws::new(2);
    let values: Vec<f32> = (0..if cfg!(miri) { 50 } else { 10_001 })
        .map(|_| f32::from_bits(bits(&mut draws)))
        .collect();
    for instructions in all() {
        let mut found = vec![0; values.len()];
        round(instructions, &values, &mut found);
        for (&value, found) in values.iter().zip(found) {
            assert_eq!(found, to_bf16(value), "{:x}", value.to_bits());
        }
    }
    assert!(panics(|| round(Instructions::Plain, &values, &mut [0; 3])));
}

/// One step of the instruction in all lanes.
struct Step {
    sum: [f32; 16],
    a: [u32; 16],
    b: [u32; 16],
}

impl Kernel for Step {
    type Output = [f32; 16];

    #[inline(always)]
    unsafe fn run<S: Pairs>(self) -> [f32; 16] {
        let mut out = [0.0; 16];
        // SAFETY: there are 16 of each.
        unsafe {
            let [a, b] = [self.a, self.b].map(|pairs| S::load_pairs(pairs.as_ptr()));
            S::store(out.as_mut_ptr(), S::multiply_add(S::load(self.sum.as_ptr()), a, b));
        }
        out
    }
}

#[test]
fn a_step_of_the_instruction_is_two_products_each_rounded_once() {
    let mut draws = Draws::new(3);
    for _ in 0..if cfg!(miri) { 10 } else { 5_000 } {
        let mut pair = |_| bits(&mut draws);
        let (a, b) = (std::array::from_fn(&mut pair), std::array::from_fn(&mut pair));
        let sum = std::array::from_fn(|lane| f32::from_bits(pair(lane)));
        let [plain, other] = [Instructions::Plain, all().next().expect("at least one")]
            // SAFETY: a step has no pointers.
            .map(|instructions| unsafe { instructions.run(Step { sum, a, b }) });
        for lane in 0..16 {
            let (plain, other) = (plain[lane], other[lane]);
            let same = plain.to_bits() == other.to_bits() || (plain.is_nan() && other.is_nan());
            assert!(same, "{plain:e} {other:e}: {:x} {:x} {:e}", a[lane], b[lane], sum[lane]);
        }
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn rows_and_neighbours_become_pairs(
        rows in 0_usize..7, width in 0_usize..40, more in 0_usize..5, seed in any::<u64>(),
    ) {
        let mut draws = Draws::new(seed);
        let step = width + more;
        let from: Vec<f32> = (0..rows * step).map(|_| draws.number()).collect();
        let to_step = width.next_multiple_of(16);
        for instructions in all() {
            let mut to = vec![u32::MAX; rows.div_ceil(2) * to_step];
            join_rows(instructions, Rows { from: &from, count: rows, width, step }, &mut to, to_step);
            for (at, &pair) in to.iter().enumerate() {
                let (row, column) = (at / to_step, at % to_step);
                let of = |row: usize| {
                    let is_there = row < rows && column < width;
                    if is_there { u32::from(to_bf16(from[row * step + column])) } else { 0 }
                };
                prop_assert_eq!(pair, of(2 * row) | of(2 * row + 1) << 16);
            }
            let numbers: Vec<u16> = from.iter().map(|&value| to_bf16(value)).collect();
            let mut to = vec![0; numbers.len().saturating_sub(more)];
            join_neighbours(instructions, &numbers, more.min(numbers.len()), &mut to);
            for (at, &pair) in to.iter().enumerate() {
                prop_assert_eq!(pair, u32::from(numbers[at]) | u32::from(numbers[at + more]) << 16);
            }
        }
    }
}

/// Both sides of a product with these instructions.
fn sides(instructions: Instructions) -> (RoundedRows, PairedRows) {
    (RoundedRows::with(instructions), PairedRows::with(instructions))
}

/// The numbers of a matrix as bf16 has them.
fn rounded(values: &Array2<f32>) -> Array2<f64> {
    values.mapv(|value| f64::from(from_bf16(to_bf16(value))))
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn products_of_matrices_are_those_of_rounded_numbers(
        rows in 0_usize..30, terms in 0_usize..60, width in 0_usize..70, seed in any::<u64>(),
    ) {
        let mut draws = Draws::new(seed);
        let (left, right) = (draws.matrix((rows + 1, terms + 5)), draws.matrix((terms, width)));
        let part = left.slice(s![1.., 2..2 + terms]).to_owned();
        let expected = 1.0 + rounded(&part).dot(&rounded(&right));
        let mut bits = None;
        for instructions in all() {
            let (mut rows_of, mut pairs) = sides(instructions);
            // What was there before leaves no trace.
            rows_of.fill(draws.matrix((3, 90)).view());
            pairs.fill(draws.matrix((9, 90)).view());
            rows_of.fill(left.view());
            pairs.fill(inner(&amid(&right)));
            let mut out = amid(&Array2::ones((rows, width)));
            multiply(rows_of.part(1..rows + 1, 2..2 + terms), &pairs, inner_mut(&mut out));
            assert_close(inner(&out), &expected, 60.0, "a product");
            assert_untouched(&out);
            let found = inner(&out).mapv(f32::to_bits);
            prop_assert_eq!(bits.get_or_insert_with(|| found.clone()), &found);
        }
    }

    #[test]
    fn linear_maps_are_those_of_rounded_numbers(
        units in 0_usize..60, inputs in prop_oneof![0_usize..40, 500_usize..530], m in 0_usize..40,
        seed in any::<u64>(),
    ) {
        let mut draws = Draws::new(seed);
        let (weights, x) = (draws.matrix((units, inputs)), draws.matrix((m, inputs)));
        let bias: Array1<f32> = draws.matrix((1, units)).row(0).to_owned();
        let (rounded_weights, rounded_x) = (rounded(&weights), rounded(&x));
        let wide_bias = wide(bias.view().insert_axis(ndarray::Axis(0)));
        let map = Linear {
            weights: rounded_weights.view(), scale: 1.0, bias: Some(wide_bias.row(0)),
        };
        let mut expected = Array2::zeros((units, m));
        plain(map, &|j| rounded_x.row(j).to_slice().unwrap(), expected.view_mut());
        for instructions in all() {
            let mut pairs = PairedRows::with(instructions);
            let write = |inputs, mut to: ndarray::ArrayViewMut2<'_, f32>| {
                to.assign(&x.slice(s![.., inputs]));
            };
            pairs.fill_turned((inputs, m), &mut TurnScratch::default(), write);
            let mut scratch = LinearScratch::with(instructions);
            let mut out = Array2::from_elem((units, m).f(), f32::NAN);
            for _ in 0..2 {
                linear(weights.view(), bias.view(), &pairs, &mut scratch, out.view_mut());
                assert_close(out.view(), &expected, 600.0, "a linear map");
            }
        }
    }
}

#[test]
fn matrices_that_do_not_fit_are_refused() {
    let (mut rows, mut pairs) = sides(Instructions::Plain);
    rows.fill(Array2::<f32>::zeros((2, 6)).view());
    pairs.fill(Array2::<f32>::zeros((4, 3)).view());
    let mut out = Array2::<f32>::zeros((2, 3));
    assert!(panics(|| {
        rows.part(0..3, 0..4);
    }));
    assert!(panics(|| {
        rows.part(0..2, 1..5);
    }));
    assert!(panics(|| multiply(rows.part(0..2, 0..6), &pairs, out.view_mut())));
    assert!(panics(|| multiply(rows.part(0..1, 0..4), &pairs, out.view_mut())));
    multiply(rows.part(0..2, 0..4), &pairs, out.view_mut());
    assert!(panics(
        || PairedRows::with(Instructions::Plain).fill(Array2::<f64>::zeros((2, 2)).view())
    ));
}
