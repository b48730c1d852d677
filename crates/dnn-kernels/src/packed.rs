//! Weights laid out for many examples at a time.
//!
//! ```text
//! once:  W^T, so that a vector holds the weights of one input for some units
//! then, for 256 inputs at a time:
//!     write these inputs of all examples as rows of numbers
//!     sums += inputs W^T, without inputs that are 0 if most are
//! out = sums + b
//! ```

use std::ops::Range;

use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, Zip, s};

use crate::aligned::{aligned, aligned_zeros};
use crate::entry::CHUNK;
use crate::kernels::{Kernels, Number};
use crate::non_zero::{NonZeroIndex, is_sparse, multiply_dense};
use crate::parallel::{Pairs, for_each_part};
use crate::path::KernelPath;

/// The weights of a layer, the weights of each input side by side, so that a vector holds those of some
/// units; made once for many examples.
#[derive(Debug, Clone)]
pub struct PackedWeights<T> {
    /// `W^T`, `(inputs, units)`, with units up to a multiple of [`SQUARE`].
    transposed: Array2<T>,
    units: usize,
}

/// Memory for [`PackedWeights::linear_into`], used again from call to call.
#[derive(Debug, Clone, Default)]
pub struct PackedScratch<T> {
    inputs: Vec<T>,
    sums: Vec<T>,
    index: NonZeroIndex<T>,
}

/// Inputs that are made ready at a time.
const INPUTS: usize = 4 * CHUNK;
/// Units of packed weights are filled up to a multiple of this.
const SQUARE: usize = 16;
/// Inputs that a task takes over.
const PART: usize = 64;

impl<T: Number> PackedWeights<T> {
    /// Room for the weights of `units` units of so many inputs.
    pub fn new(units: usize, inputs: usize) -> Self {
        let transposed = aligned_zeros((inputs, units.next_multiple_of(SQUARE)));
        Self { transposed, units }
    }

    /// Numbers that such weights take.
    pub fn numbers(units: usize, inputs: usize) -> u128 {
        inputs as u128 * units.next_multiple_of(SQUARE) as u128
    }

    /// How many inputs each unit has.
    pub fn inputs(&self) -> usize {
        self.transposed.nrows()
    }

    /// Takes over `weights`, `(units, inputs)`; in parallel over inputs.
    ///
    /// # Panics
    /// If the shapes do not fit, or rows of `weights` are not each contiguous.
    pub fn fill(&mut self, weights: ArrayView2<'_, T>) {
        assert_eq!(weights.dim(), (self.units, self.inputs()), "weights of another shape");
        let mut all = self.transposed.slice_mut(s![.., ..self.units]);
        let first = all.axis_chunks_iter_mut(Axis(0), PART);
        let parts = Pairs { first, second: weights.axis_chunks_iter(Axis(1), PART) };
        for_each_part(parts, &|_, (part, weights)| {
            T::Kernels::transpose(KernelPath::best(), weights, part);
        });
    }

    /// `out = W X + b`, where `write(inputs, to)` writes these inputs of all examples, one example in each row.
    ///
    /// # Shapes
    /// | `to` | `bias` | `out` |
    /// |---|---|---|
    /// | `(examples, inputs)` | `units` | `(units, examples)` |
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn linear_into(
        &self,
        write: impl Fn(Range<usize>, ArrayViewMut2<'_, T>),
        bias: ArrayView1<'_, T>,
        scratch: &mut PackedScratch<T>,
        out: ArrayViewMut2<'_, T>,
    ) {
        let (all, m, path) = (self.inputs(), out.ncols(), KernelPath::best());
        let PackedScratch { inputs, sums, index } = scratch;
        let padded = self.transposed.ncols();
        let sums = aligned(sums, m * padded);
        let mut sums = ArrayViewMut2::from_shape((m, padded), sums).expect("made so large");
        sums.fill(T::zero());
        for first in (0..all).step_by(INPUTS) {
            let part = first..all.min(first + INPUTS);
            let x = aligned(inputs, m * part.len());
            let mut x = ArrayViewMut2::from_shape((m, part.len()), x).expect("made so large");
            write(part.clone(), x.view_mut());
            let weights = self.transposed.slice(s![part, ..]);
            if is_sparse(path, x.view()) {
                index.fill(x.view());
                index.multiply_sparse(path, x.view(), weights, sums.view_mut());
            } else {
                multiply_dense(path, x.view(), weights, sums.view_mut());
            }
        }
        let mut by_example = out.reversed_axes();
        for (mut example, sums) in by_example.axis_iter_mut(Axis(0)).zip(sums.rows()) {
            let sums = sums.slice(s![..self.units]);
            Zip::from(&mut example).and(sums).and(bias).for_each(|z, &sum, &bias| *z = sum + bias);
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, ShapeBuilder};

    use super::*;
    use crate::dot::plain;
    use crate::operands::Linear;
    use crate::test_support::{Draws, assert_close, under_miri, wide};

    /// Sizes of a product, and how many of four inputs are zero.
    struct Case {
        units: usize,
        inputs: usize,
        m: usize,
        zeros: u64,
    }

    fn check(case: &Case) {
        let &Case { units, inputs, m, zeros } = case;
        let mut draws = Draws::new(1);
        let weights = draws.matrix((units, inputs));
        let bias: Array1<f32> = draws.matrix((1, units)).row(0).to_owned();
        let mut x = draws.matrix((m, inputs));
        x.map_inplace(|x| {
            if draws.up_to(3) < zeros {
                *x = 0.0;
            }
        });
        let (wide_weights, wide_bias) = (wide(weights.view()), bias.mapv(f64::from));
        let (wide_x, view) = (wide(x.view()), wide_weights.view());
        let map = Linear { weights: view, scale: 1.0, bias: Some(wide_bias.view()) };
        let mut expected = Array2::zeros((units, m));
        plain(map, &|j| wide_x.row(j).to_slice().unwrap(), expected.view_mut());

        let mut packed = PackedWeights::new(units, inputs);
        packed.fill(weights.view());
        let (mut scratch, mut found) = (PackedScratch::default(), Array2::zeros((units, m).f()));
        for _ in 0..2 {
            let write =
                |inputs, mut to: ArrayViewMut2<'_, f32>| to.assign(&x.slice(s![.., inputs]));
            packed.linear_into(write, bias.view(), &mut scratch, found.view_mut());
            assert_close(found.view(), &expected, 30.0, &format!("{units} {inputs} {m}"));
        }

        let mut packed = PackedWeights::new(units, inputs);
        packed.fill(wide_weights.view());
        let write =
            |inputs, mut to: ArrayViewMut2<'_, f64>| to.assign(&wide_x.slice(s![.., inputs]));
        let mut found = Array2::zeros((units, m).f());
        packed.linear_into(
            write,
            wide_bias.view(),
            &mut PackedScratch::default(),
            found.view_mut(),
        );
        assert!((found - expected).iter().all(|apart| apart.abs() < 1e-10), "without vectors");
    }

    #[test]
    fn packed_weights_give_what_the_formula_gives() {
        let sizes = [(1, 1, 1), (20, 300, 7), (33, 129, 40), (100, 7, 1), (3, 0, 2)];
        for ((units, inputs, m), zeros) in sizes.into_iter().zip([0, 0, 3, 0, 0]) {
            check(&Case { units, inputs: under_miri(50, inputs), m, zeros });
        }
    }
}
