//! Proof that a gradient is the slope of its cost.

use dnn_core::{Columns, CoreError, Element, Parameters};
use dnn_layers::Network;

use crate::cost::Objective;
use crate::engine::{Engine, FIRST_DRAWS, Pass, gradients};
use crate::{Cost, Examples, TrainError};

/// How far a gradient is from the slopes of its cost.
#[derive(Debug, Clone, PartialEq)]
pub struct GradientCheck {
    /// `|gradient - slopes| / (|gradient| + |slopes|)` over all parameters, Euclidean norms: about
    /// 1e-9 for a right gradient in `f64` at `epsilon` 1e-5, near 1 for one of the wrong sign.
    pub difference: f64,
    /// The same for each layer on its own, weights and bias together.
    pub layers: Vec<f64>,
    /// Where gradient and slope are furthest apart.
    pub worst: WorstEntry,
    /// How many parameters were checked.
    pub parameters: usize,
}

/// One entry of a gradient, beside the slope of the cost there.
#[derive(Debug, Clone, PartialEq)]
pub struct WorstEntry {
    /// 1 is the first weight layer.
    pub layer: usize,
    /// `weights` or `bias`.
    pub array: &'static str,
    /// Row and column in that array.
    pub index: (usize, usize),
    /// The gradient.
    pub analytic: f64,
    /// The slope, `(J(theta + epsilon) - J(theta - epsilon)) / (2 epsilon)`.
    pub numeric: f64,
}

/// `|a - b| / (|a| + |b|)` with Euclidean norms; 0 if both are 0.
///
/// # Panics
/// If the lengths differ.
pub fn relative_difference(analytic: &[f64], numeric: &[f64]) -> f64 {
    assert_eq!(analytic.len(), numeric.len(), "one slope for every entry of the gradient");
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let apart = norm(&mut analytic.iter().zip(numeric).map(|(a, b)| a - b));
    let sum = norm(&mut analytic.iter().copied()) + norm(&mut numeric.iter().copied());
    if sum == 0.0 { 0.0 } else { apart / sum }
}

/// Compares the gradient that training uses with the slopes of the cost, parameter by parameter; both as
/// [`gradients`](crate::gradients()) has them, with batch normalisation and dropout as in training.
///
/// In `f64` with `epsilon` 1e-5 a right gradient differs by about 1e-9; take 1e-7 as the limit. Far
/// smaller steps drown in rounding, and a `ReLU` whose `Z` lies within a step of 0 has no slope there.
///
/// # Errors
/// [`TrainError`] if the examples or the cost do not fit the network, something is not finite, or
/// `epsilon` is not a finite number above 0 or too small to change a parameter.
///
/// # Examples
/// ```
/// use dnn_core::{Features, Purpose, RandomStream};
/// use dnn_layers::{Activation, InputShape, Network};
/// use dnn_train::{Cost, Examples, check_gradients};
/// use ndarray::array;
///
/// let network = Network::<f64>::builder(InputShape::flat(2))
///     .hidden(&[3], Activation::Tanh)
///     .classes(["a", "b"])
///     .build(&mut RandomStream::new(1, Purpose::Initialization, 0))?;
/// let x = array![[0.5, -1.0], [0.25, 2.0]];
/// let examples = Examples::classes(Features::Real(x.view()), &[0, 1]);
/// let check = check_gradients(&network, &examples, Cost::BinaryCrossEntropy, 1e-5)?;
/// assert!(check.difference < 1e-7, "{check:?}");
/// # Ok::<(), dnn_train::TrainError>(())
/// ```
pub fn check_gradients<T: Element>(
    network: &Network<T>,
    examples: &Examples<'_, T>,
    cost: Cost,
    epsilon: f64,
) -> Result<GradientCheck, TrainError> {
    let (_, gradient) = gradients(network, examples, cost)?;
    compare_gradients(network, examples, cost, epsilon, &gradient)
}

/// As [`check_gradients`], for a gradient of the caller's.
///
/// # Errors
/// As [`check_gradients`], and [`CoreError::Invalid`] if the gradient has another number of layers or
/// other shapes than the network's parameters, or is not finite.
pub fn compare_gradients<T: Element>(
    network: &Network<T>,
    examples: &Examples<'_, T>,
    cost: Cost,
    epsilon: f64,
    gradient: &Parameters<T>,
) -> Result<GradientCheck, TrainError> {
    examples.check(network, cost)?;
    check_epsilon(epsilon)?;
    check_shapes(network.parameters(), gradient)?;
    check_finite(gradient)?;
    let mut slopes = Slopes::new(network.clone(), examples, cost, epsilon);
    let (mut analytic, mut numeric, mut layers) = (Vec::new(), Vec::new(), Vec::new());
    let mut worst: Option<WorstEntry> = None;
    for (l, layer) in gradient.layers.iter().enumerate() {
        let start = analytic.len();
        for (array, values) in [("weights", &layer.weights), ("bias", &layer.bias)] {
            for (index, &entry) in values.indexed_iter() {
                let (entry, slope) = (entry.into(), slopes.at(l, array, index)?);
                analytic.push(entry);
                numeric.push(slope);
                let apart = (entry - slope).abs();
                if worst.as_ref().is_none_or(|w| apart > (w.analytic - w.numeric).abs()) {
                    let layer = l + 1;
                    worst =
                        Some(WorstEntry { layer, array, index, analytic: entry, numeric: slope });
                }
            }
        }
        layers.push(relative_difference(&analytic[start..], &numeric[start..]));
    }
    Ok(GradientCheck {
        difference: relative_difference(&analytic, &numeric),
        layers,
        worst: worst.expect("a network has at least one weight"),
        parameters: analytic.len(),
    })
}

fn check_epsilon(epsilon: f64) -> Result<(), CoreError> {
    if epsilon.is_finite() && epsilon > 0.0 {
        return Ok(());
    }
    Err(CoreError::Invalid {
        what: "epsilon",
        expected: "a finite number above 0",
        found: epsilon.to_string(),
    })
}

fn check_shapes<T: Element>(
    parameters: &Parameters<T>,
    gradient: &Parameters<T>,
) -> Result<(), CoreError> {
    let shapes = |of: &Parameters<T>| -> Vec<_> {
        of.layers.iter().map(|layer| (layer.weights.dim(), layer.bias.dim())).collect()
    };
    let (expected, found) = (shapes(parameters), shapes(gradient));
    if expected == found {
        return Ok(());
    }
    Err(CoreError::Invalid {
        what: "gradient",
        expected: "the shapes of the network's parameters",
        found: format!("{found:?} for {expected:?}"),
    })
}

fn check_finite<T: Element>(gradient: &Parameters<T>) -> Result<(), CoreError> {
    for (l, layer) in gradient.layers.iter().enumerate() {
        for (array, values) in [("weights", &layer.weights), ("bias", &layer.bias)] {
            if let Some(entry) = values.iter().find(|entry| !entry.is_finite()) {
                return Err(CoreError::Invalid {
                    what: "gradient",
                    expected: "finite numbers",
                    found: format!("{entry} in the {array} of layer {}", l + 1),
                });
            }
        }
    }
    Ok(())
}

/// Slopes of the mean cost by central differences.
struct Slopes<'e, 'a, T> {
    network: Network<T>,
    examples: &'e Examples<'a, T>,
    cost: Cost,
    engine: Engine<T>,
    epsilon: T,
}

impl<'e, 'a, T: Element> Slopes<'e, 'a, T> {
    fn new(network: Network<T>, examples: &'e Examples<'a, T>, cost: Cost, epsilon: f64) -> Self {
        let engine = Engine::for_slopes(&network, examples.len());
        Self { network, examples, cost, engine, epsilon: T::from_f64(epsilon) }
    }

    fn at(
        &mut self,
        layer: usize,
        array: &'static str,
        index: (usize, usize),
    ) -> Result<f64, TrainError> {
        let value = self.set(layer, array, index, None);
        let (above, below) = (value + self.epsilon, value - self.epsilon);
        // The step that is really taken, after rounding.
        let step: f64 = (above - below).into();
        if step == 0.0 {
            return Err(CoreError::Invalid {
                what: "epsilon",
                expected: "a step that changes every parameter",
                found: format!("{}, too small beside a parameter of {value}", self.epsilon),
            }
            .into());
        }
        self.set(layer, array, index, Some(above));
        let cost_above = self.mean_cost()?;
        self.set(layer, array, index, Some(below));
        let cost_below = self.mean_cost()?;
        self.set(layer, array, index, Some(value));
        Ok((cost_above - cost_below) / step)
    }

    /// The parameter, after setting it if there is something to set.
    fn set(
        &mut self,
        layer: usize,
        array: &'static str,
        index: (usize, usize),
        value: Option<T>,
    ) -> T {
        let layer = self.network.layers_mut().nth(layer).expect("the gradient has the same layers");
        let mut values = if array == "weights" { layer.weights } else { layer.bias };
        let entry = &mut values[index];
        if let Some(value) = value {
            *entry = value;
        }
        *entry
    }

    /// As training has it, with the same draws each time.
    fn mean_cost(&mut self) -> Result<f64, TrainError> {
        let Self { network, examples, cost, engine, .. } = self;
        let columns = Columns::Run { start: 0, len: examples.len() };
        let (objective, draws) = (Objective::plain(*cost), Some(FIRST_DRAWS));
        let tally = engine
            .forward(Pass { network, objective, examples, columns, product: None, draws })
            .map_err(|found| found.among(0..examples.len()))?;
        Ok(tally.mean_cost())
    }
}
