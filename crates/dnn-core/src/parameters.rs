//! What a network learns, and the shape its gradient has.

use dnn_kernels::aligned_zeros;
use ndarray::Array2;

use crate::{CoreError, Element};

/// The weights and the bias of one layer.
///
/// # Shapes
/// | | shape |
/// |---|---|
/// | `weights` | `(n, n_prev)` |
/// | `bias` | `(n, 1)` |
#[derive(Debug, Clone, PartialEq)]
pub struct LayerParameters<T> {
    /// One row per unit.
    pub weights: Array2<T>,
    /// One number per unit, as a column.
    pub bias: Array2<T>,
}

impl<T: Element> LayerParameters<T> {
    /// Zeros in the shapes of `self`.
    pub fn zeros_like(&self) -> Self {
        Self {
            weights: aligned_zeros(self.weights.dim()),
            bias: Array2::zeros(self.bias.raw_dim()),
        }
    }

    /// How many numbers these are.
    pub fn count(&self) -> usize {
        self.weights.len() + self.bias.len()
    }
}

/// The parameters of a network, or their gradient, layer by layer: a gradient has the type and the
/// shape of its parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters<T> {
    /// `layers[0]` holds `W1` and `b1`.
    pub layers: Vec<LayerParameters<T>>,
}

impl<T: Element> Parameters<T> {
    /// Zeros in the shapes of `self`.
    pub fn zeros_like(&self) -> Self {
        Self { layers: self.layers.iter().map(LayerParameters::zeros_like).collect() }
    }

    /// How many numbers these are.
    pub fn count(&self) -> usize {
        self.layers.iter().map(LayerParameters::count).sum()
    }

    /// All arrays: `W1, b1, W2, b2, …`.
    pub fn arrays(&self) -> impl Iterator<Item = &Array2<T>> {
        self.layers.iter().flat_map(|layer| [&layer.weights, &layer.bias])
    }

    /// The same, to be changed in place.
    pub fn arrays_mut(&mut self) -> impl Iterator<Item = &mut Array2<T>> {
        self.layers.iter_mut().flat_map(|layer| [&mut layer.weights, &mut layer.bias])
    }

    /// The widths of the layers, input first: `[n_x, n_1, …, n_L]`.
    ///
    /// # Errors
    /// [`CoreError::TooFewWidths`] without a layer, [`CoreError::Shape`] if a bias does not fit its
    /// weights or a layer does not take what the one before it gives.
    pub fn widths(&self) -> Result<Vec<usize>, CoreError> {
        let first = self.layers.first().ok_or(CoreError::TooFewWidths { found: 0 })?;
        let mut widths = vec![first.weights.ncols()];
        for layer in &self.layers {
            let (units, inputs) = layer.weights.dim();
            let expected_inputs = widths[widths.len() - 1];
            CoreError::expect_shape("weights", (units, expected_inputs), (units, inputs))?;
            CoreError::expect_shape("bias", (units, 1), layer.bias.dim())?;
            widths.push(units);
        }
        Ok(widths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(units: usize, inputs: usize) -> LayerParameters<f32> {
        LayerParameters { weights: Array2::zeros((units, inputs)), bias: Array2::zeros((units, 1)) }
    }

    #[test]
    fn widths_chain_or_the_layer_that_does_not_fit_is_named() {
        let mut parameters = Parameters { layers: vec![layer(4, 2), layer(1, 4)] };
        assert_eq!(parameters.widths(), Ok(vec![2, 4, 1]));
        assert_eq!(parameters.count(), 4 * 2 + 4 + 4 + 1);
        parameters.layers[1] = layer(1, 3);
        let error = parameters.widths().unwrap_err().to_string();
        assert_eq!(error, "weights: expected shape (1, 4), found (1, 3)");
        parameters.layers[0].bias = Array2::zeros((1, 4));
        let error = parameters.widths().unwrap_err().to_string();
        assert_eq!(error, "bias: expected shape (4, 1), found (1, 4)");
        parameters.layers.clear();
        assert_eq!(parameters.widths(), Err(CoreError::TooFewWidths { found: 0 }));
    }
}
