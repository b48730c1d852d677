//! The kernels against what their instructions are said to do, and the instructions against that.

use proptest::prelude::*;

use super::instructions::{Kernel, Pairs};
use super::layout::{Rows, join_neighbours, join_rows};
use super::rounding::round;
use super::*;
use crate::products::Products;
use crate::test_support::{Draws, cases, panics};

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
            join_rows(instructions, Rows { from: &from, rows, width, step }, &mut to, to_step);
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
