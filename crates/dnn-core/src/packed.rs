//! Weights laid out for many examples at a time.

use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, Zip, s};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use crate::kernels::{
    self, CHUNK, KernelPath, Terms, aligned, aligned_zeros, combine_dense, is_sparse, transpose,
};
use crate::{Columns, Element, Features};

/// The weights of a layer, the weights of each input side by side, so that a vector holds those of some
/// units; made once for many examples.
#[derive(Debug, Clone)]
pub struct PackedWeights<T> {
    /// `W^T`, `(inputs, units)`; each row begins a little apart from the end of the one before.
    transposed: Array2<T>,
    units: usize,
}

/// Memory for [`PackedWeights::linear_into`], used again from call to call.
#[derive(Debug, Clone, Default)]
pub struct PackedScratch<T> {
    inputs: Vec<T>,
    sums: Vec<T>,
    lists: Terms,
}

/// Inputs that are made ready at a time.
const INPUTS: usize = 4 * CHUNK;
/// Units of packed weights are filled up to a multiple of this.
const SQUARE: usize = 16;
/// Inputs that a task takes over.
const PART: usize = 64;

impl<T: Element> PackedWeights<T> {
    /// Room for the weights of `units` units of so many inputs; `None` if there are no kernels for them.
    pub fn new(units: usize, inputs: usize) -> Option<Self> {
        kernels::exist_for::<T>().then(|| Self {
            transposed: aligned_zeros((inputs, units.next_multiple_of(SQUARE))),
            units,
        })
    }

    /// Numbers that such weights take.
    pub fn numbers(units: usize, inputs: usize) -> u128 {
        inputs as u128 * units.next_multiple_of(SQUARE) as u128
    }

    /// Takes over `weights`, `(units, inputs)`; in parallel over inputs.
    ///
    /// # Panics
    /// If the shapes do not fit, or rows of `weights` are not each in one piece.
    pub fn fill(&mut self, weights: ArrayView2<'_, T>) {
        assert_eq!(
            weights.dim(),
            (self.units, self.transposed.nrows()),
            "weights of another shape"
        );
        let all = self.transposed.slice_mut(s![.., ..self.units]);
        let (Some(weights), Some(mut all)) = (T::as_f32(weights), T::as_f32_mut(all)) else {
            unreachable!("made for f32 alone")
        };
        let parts = all.axis_chunks_iter_mut(Axis(0), PART).into_par_iter();
        let parts = parts.zip(weights.axis_chunks_iter(Axis(1), PART));
        parts.for_each(|(part, weights)| transpose(KernelPath::best(), weights, part));
    }

    /// `out = W X + b` for the examples `columns` of `x`.
    ///
    /// # Shapes
    /// | `x` | `bias` | `out` |
    /// |---|---|---|
    /// | `(inputs, m)` | `units` | `(units, columns)` |
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn linear_into(
        &self,
        x: &Features<'_, T>,
        columns: Columns<'_>,
        bias: ArrayView1<'_, T>,
        scratch: &mut PackedScratch<T>,
        out: ArrayViewMut2<'_, T>,
    ) {
        let (inputs, m) = (self.transposed.nrows(), columns.len());
        assert_eq!(x.width(), inputs, "weights take another number of features");
        let path = KernelPath::best();
        let PackedScratch { inputs: numbers, sums, lists } = scratch;
        let padded = self.transposed.ncols();
        let sums = aligned(sums, m * padded);
        let mut sums = ArrayViewMut2::from_shape((m, padded), sums).expect("made so large");
        sums.fill(T::zero());
        for first in (0..inputs).step_by(INPUTS) {
            let rows = first..inputs.min(first + INPUTS);
            let numbers = aligned(numbers, m * rows.len());
            let mut numbers =
                ArrayViewMut2::from_shape((m, rows.len()), numbers).expect("made so large");
            x.write_examples(rows.clone(), columns, numbers.view_mut());
            let weights = self.transposed.slice(s![rows, ..]);
            let arrays = (T::as_f32(numbers.view()), T::as_f32(weights));
            let (Some(numbers), Some(weights)) = arrays else { unreachable!("made for f32 alone") };
            let out = T::as_f32_mut(sums.view_mut()).expect("made for f32 alone");
            if is_sparse(path, numbers) {
                lists.list(numbers);
                lists.combine(path, numbers, weights, out);
            } else {
                combine_dense(path, numbers, weights, out);
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
    use super::*;
    use crate::{Purpose, RandomStream};
    use ndarray::{Array1, ShapeBuilder};

    #[test]
    fn packed_weights_give_what_others_give() {
        let mut stream = RandomStream::new(1, Purpose::Data, 0);
        assert!(PackedWeights::<f64>::new(1, 1).is_none());
        for (units, inputs, m, zeros) in
            [(1, 1, 1, 0), (20, 300, 7, 0), (33, 129, 40, 200), (100, 7, 1, 0), (3, 0, 2, 0)]
        {
            #[expect(clippy::cast_possible_truncation, reason = "made-up data")]
            let mut normal = |shape| Array2::from_shape_simple_fn(shape, || stream.normal() as f32);
            let weights = normal((units, inputs));
            let bias: Array1<f32> = normal((1, units)).row(0).to_owned();
            let mut draws = RandomStream::new(2, Purpose::Data, 0);
            let pixels = Array2::from_shape_simple_fn((inputs, m).f(), || {
                u8::try_from(draws.up_to(255).saturating_sub(zeros)).unwrap()
            });
            let scaling = crate::PixelScaling::default();
            let x = Features::Pixels { values: pixels.view(), scaling };
            let mut packed = PackedWeights::new(units, inputs).unwrap();
            packed.fill(weights.view());
            let (mut scratch, mut found) =
                (PackedScratch::default(), Array2::zeros((units, m).f()));
            let order: Vec<usize> = (0..m).rev().collect();
            let columns = Columns::Listed(&order);
            packed.linear_into(&x, columns, bias.view(), &mut scratch, found.view_mut());
            let mut expected = Array2::zeros((units, m).f());
            x.linear_into(
                weights.view(),
                bias.view(),
                columns,
                &mut Vec::new(),
                expected.view_mut(),
            );
            let apart = (&found - &expected).fold(0.0_f32, |a, d| a.max(d.abs()));
            assert!(apart < 1e-4, "{units} {inputs} {m}: {apart:e}");
        }
    }
}
