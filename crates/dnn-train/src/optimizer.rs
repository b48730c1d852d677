//! Rules that turn a gradient into a change of the parameters.

use std::fmt;
use std::str::FromStr;

use dnn_core::{CoreError, Element, LayerParameters, Parameters};
use dnn_layers::LayerParametersMut;
use ndarray::{ArrayView2, ArrayViewMut2, Axis, Zip};
use rayon::iter::IntoParallelIterator;
use rayon::iter::{IndexedParallelIterator, ParallelIterator};

/// Numbers of a parameter that one task updates: enough to be worth a task.
const CHUNK: usize = 1 << 16;

/// How parameters follow their gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Optimizer {
    /// `theta - learning_rate * dtheta`; with mini-batches also called SGD.
    #[default]
    GradientDescent,
}

impl Optimizer {
    /// Every optimiser.
    pub const ALL: [Self; 1] = [Self::GradientDescent];

    /// The new value of a parameter.
    #[inline]
    fn step<T: Element>(self, parameter: T, gradient: T, learning_rate: T) -> T {
        match self {
            Self::GradientDescent => parameter - learning_rate * gradient,
        }
    }

    /// Updates one layer, and says which of its numbers are no longer finite, if any.
    pub(crate) fn update_layer<T: Element>(
        self,
        layer: LayerParametersMut<'_, T>,
        gradient: &LayerParameters<T>,
        learning_rate: T,
    ) -> Option<&'static str> {
        if !self.update(layer.weights, gradient.weights.view(), learning_rate) {
            return Some("the weights");
        }
        (!self.update(layer.bias, gradient.bias.view(), learning_rate)).then_some("the bias")
    }

    /// Updates one array; false if a number stopped being finite.
    fn update<T: Element>(
        self,
        mut parameter: ArrayViewMut2<'_, T>,
        gradient: ArrayView2<'_, T>,
        learning_rate: T,
    ) -> bool {
        let rows = (CHUNK / parameter.ncols().max(1)).max(1);
        parameter
            .axis_chunks_iter_mut(Axis(0), rows)
            .into_par_iter()
            .zip(gradient.axis_chunks_iter(Axis(0), rows).into_par_iter())
            .map(|(parameter, gradient)| {
                let mut finite = true;
                Zip::from(parameter).and(gradient).for_each(|parameter, &gradient| {
                    *parameter = self.step(*parameter, gradient, learning_rate);
                    finite &= parameter.is_finite();
                });
                finite
            })
            .reduce(|| true, |a, b| a && b)
    }
}

/// One step of gradient descent, `theta - learning_rate * dtheta`, on every parameter.
///
/// # Errors
/// [`CoreError::Invalid`] if the learning rate is not a finite number above 0 or there are gradients
/// for another number of layers or a number stops being finite (the layers before it are updated
/// then), [`CoreError::Shape`] if a gradient does not fit its parameter.
///
/// # Examples
/// ```
/// use dnn_core::{LayerParameters, Parameters};
/// use dnn_train::update_parameters;
/// use ndarray::array;
///
/// let layer = |w, b| LayerParameters { weights: array![[w]], bias: array![[b]] };
/// let mut parameters = Parameters { layers: vec![layer(1.0, 0.5)] };
/// let gradients = Parameters { layers: vec![layer(2.0, -1.0)] };
/// update_parameters(&mut parameters, &gradients, 0.25)?;
/// assert_eq!(parameters.layers[0], layer(0.5, 0.75));
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
pub fn update_parameters<T: Element>(
    parameters: &mut Parameters<T>,
    gradients: &Parameters<T>,
    learning_rate: f64,
) -> Result<(), CoreError> {
    check_learning_rate::<T>(learning_rate)?;
    if parameters.layers.len() != gradients.layers.len() {
        return Err(CoreError::Invalid {
            what: "gradients",
            expected: "as many layers as the parameters have",
            found: format!("{} for {}", gradients.layers.len(), parameters.layers.len()),
        });
    }
    for (layer, gradient) in parameters.layers.iter().zip(&gradients.layers) {
        for (what, expected, found) in [
            ("gradient of the weights", layer.weights.dim(), gradient.weights.dim()),
            ("gradient of the bias", layer.bias.dim(), gradient.bias.dim()),
        ] {
            CoreError::expect_shape(what, expected, found)?;
        }
    }
    let pairs = parameters.layers.iter_mut().zip(&gradients.layers);
    for (l, (layer, gradient)) in pairs.enumerate() {
        let layer =
            LayerParametersMut { weights: layer.weights.view_mut(), bias: layer.bias.view_mut() };
        let rate = T::from_f64(learning_rate);
        if let Some(what) = Optimizer::GradientDescent.update_layer(layer, gradient, rate) {
            return Err(CoreError::Invalid {
                what: "updated parameters",
                expected: "finite numbers",
                found: format!("others in {what} of layer {}", l + 1),
            });
        }
    }
    Ok(())
}

/// Accepts a number that is finite and above 0 in `T`.
pub(crate) fn check_learning_rate<T: Element>(learning_rate: f64) -> Result<(), CoreError> {
    let rounded = T::from_f64(learning_rate);
    if rounded.is_finite() && rounded > T::zero() {
        return Ok(());
    }
    Err(CoreError::Invalid {
        what: "learning rate",
        expected: "a finite number above 0",
        found: if learning_rate.is_finite() && learning_rate > 0.0 {
            format!("{learning_rate:e}, which is {rounded} in {}", T::PRECISION)
        } else {
            learning_rate.to_string()
        },
    })
}

impl fmt::Display for Optimizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::GradientDescent => "sgd",
        })
    }
}

impl FromStr for Optimizer {
    type Err = CoreError;

    fn from_str(name: &str) -> Result<Self, CoreError> {
        match name {
            "sgd" | "gradient-descent" => Ok(Self::GradientDescent),
            _ => Err(CoreError::UnknownName {
                kind: "optimiser",
                found: name.to_owned(),
                expected: "sgd".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn large_arrays_are_updated_whole() {
        // More rows than one task takes.
        let mut parameter = Array2::from_elem((700, 300), 1.0_f32);
        let gradient = Array2::from_shape_fn((700, 300), |(i, j)| (i * 300 + j) as f32);
        let finite = Optimizer::GradientDescent.update(parameter.view_mut(), gradient.view(), 0.5);
        assert!(finite);
        assert_eq!(parameter, gradient.mapv(|g| 1.0 - 0.5 * g));
        let far = Array2::from_elem((700, 300), f32::MAX);
        assert!(!Optimizer::GradientDescent.update(parameter.view_mut(), far.view(), 4.0));
    }

    #[test]
    fn names_round_trip_and_bad_calls_say_expected_and_found() {
        for optimizer in Optimizer::ALL {
            assert_eq!(optimizer.to_string().parse(), Ok(optimizer));
        }
        let error = "sdg".parse::<Optimizer>().unwrap_err().to_string();
        assert_eq!(error, "unknown optimiser `sdg`; expected one of sgd");
        let layer = |units| LayerParameters::<f64> {
            weights: Array2::zeros((units, 2)),
            bias: Array2::zeros((units, 1)),
        };
        let of =
            |layers: Vec<usize>| Parameters { layers: layers.into_iter().map(layer).collect() };
        let update = |gradients: &Parameters<f64>, rate| {
            update_parameters(&mut of(vec![3]), gradients, rate).unwrap_err().to_string()
        };
        assert_eq!(
            update(&of(vec![3]), f64::NAN),
            "learning rate: expected a finite number above 0, found NaN"
        );
        let mut huge = of(vec![3]);
        huge.layers[0].bias[(1, 0)] = f64::MAX;
        assert_eq!(
            update(&huge, 10.0),
            "updated parameters: expected finite numbers, found others in the bias of layer 1"
        );
        assert!(update(&of(vec![3, 1]), 0.1).ends_with("found 2 for 1"));
        assert_eq!(
            update(&of(vec![4]), 0.1),
            "gradient of the weights: expected shape (3, 2), found (4, 2)"
        );
    }
}
