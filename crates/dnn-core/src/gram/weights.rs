//! Between weights and their dual form: products with examples that are added up in `f64`, whatever the numbers
//! are, since they are computed once and built upon for a whole run.
//!
//! ```text
//! W X:          for 256 examples: for a block of features: out += the product, in the numbers' precision
//! a W + S X^T:  for a block of features: for 256 examples: total += the product, in the numbers' precision
//! ```

use dnn_kernels::for_each_part;
use ndarray::{Array2, ArrayView2, Axis, ShapeBuilder, s};

use crate::products::feature_blocks;
use crate::{Columns, Element, FEATURE_BLOCK, Features, multiply};

/// Examples that are summed at a time in their own precision.
const TILE: usize = 256;

impl<T: Element> Features<'_, T> {
    /// `W X`, parallel over examples; blocks of features are added up in `f64`.
    ///
    /// # Shapes
    /// | `W` | `X` | result |
    /// |---|---|---|
    /// | `(n, n_x)` | `(n_x, m)` | `(n, m)` |
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn product_in_f64(&self, weights: ArrayView2<'_, T>) -> Array2<f64> {
        assert_eq!(weights.ncols(), self.width(), "weights take another number of features");
        let mut out = Array2::zeros((weights.nrows(), self.len()));
        let tiles = out.axis_chunks_iter_mut(Axis(1), TILE);
        for_each_part(tiles, &|index, mut out| {
            let columns = Columns::Run { start: index * TILE, len: out.ncols() };
            let (mut part, mut scratch) = (Array2::zeros(out.dim().f()), Vec::new());
            for rows in feature_blocks(self.width()) {
                let block = self.block(rows.clone(), columns, &mut scratch);
                let weights = weights.slice(s![.., rows]);
                multiply(T::one(), weights, block, T::zero(), part.view_mut());
                out.zip_mut_with(&part, |out, &part| *out += part.into());
            }
        });
        out
    }

    /// The weights `a W + S X^T` that a share `a` of the weights `W` and the dual weights `S` stand for, parallel over
    /// features; blocks of examples are added up in `f64`.
    ///
    /// # Shapes
    /// | `W` | `S` | `X` | result |
    /// |---|---|---|---|
    /// | `(n, n_x)` | `(n, m)` | `(n_x, m)` | `(n, n_x)` |
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn weights_of_dual(
        &self,
        a: f64,
        weights: ArrayView2<'_, T>,
        sums: ArrayView2<'_, f64>,
    ) -> Array2<T> {
        assert_eq!(weights.dim(), (sums.nrows(), self.width()), "weights of other shape");
        assert_eq!(sums.ncols(), self.len(), "a number for each example");
        let mut left = Array2::zeros(sums.dim().f());
        left.zip_mut_with(&sums, |to, &sum| *to = T::from_f64(sum));
        let mut out = weights.to_owned();
        let blocks = out.axis_chunks_iter_mut(Axis(1), FEATURE_BLOCK);
        for_each_part(blocks, &|index, mut out| {
            let rows = index * FEATURE_BLOCK..index * FEATURE_BLOCK + out.ncols();
            let mut total = out.mapv(|weight| a * weight.into());
            let (mut part, mut scratch) = (Array2::zeros(out.dim()), Vec::new());
            for start in (0..self.len()).step_by(TILE) {
                let columns = Columns::Run { start, len: TILE.min(self.len() - start) };
                let block = self.block(rows.clone(), columns, &mut scratch);
                let left = left.slice(s![.., start..start + columns.len()]);
                multiply(T::one(), left, block.reversed_axes(), T::zero(), part.view_mut());
                total.zip_mut_with(&part, |total, &part| *total += part.into());
            }
            out.zip_mut_with(&total, |out, &total| *out = T::from_f64(total));
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PixelScaling, Purpose, RandomStream};

    #[test]
    fn products_equal_the_definition_across_all_blocks() {
        for (n, n_x, m) in [(1, 1, 1), (3, 600, 300), (2, 0, 3), (2, 5, 0)] {
            let mut stream = RandomStream::new(9, Purpose::Data, 0);
            let pixels = Array2::from_shape_simple_fn((n_x, m).f(), || {
                u8::try_from(stream.up_to(255)).unwrap()
            });
            let x = pixels.mapv(|pixel| f64::from(pixel) / 255.0);
            let weights = Array2::from_shape_simple_fn((n, n_x), || stream.normal());
            let sums = Array2::from_shape_simple_fn((n, m), || stream.normal());
            let scaling = PixelScaling::default();
            let of_pixels = Features::Pixels { values: pixels.view(), scaling };
            for features in [of_pixels, Features::Real(x.view())] {
                let apart = features.product_in_f64(weights.view()) - weights.dot(&x);
                assert!(apart.iter().all(|apart| apart.abs() < 1e-11));
                let found = features.weights_of_dual(0.5, weights.view(), sums.view());
                let apart = found - (&weights * 0.5 + sums.dot(&x.t()));
                assert!(apart.iter().all(|apart| apart.abs() < 1e-11));
            }
        }
    }
}
