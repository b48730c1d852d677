//! Proof that a gradient is the slope of its cost.

use dnn_core::{Columns, CoreError, Element};
use dnn_layers::Network;
use ndarray::Array2;

use crate::cost::Objective;
use crate::engine::{Engine, FIRST_DRAWS, StepContext, gradients};
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
    /// The name of its array in the network, as `dense1.weights`.
    pub tensor: String,
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
/// use dnn_core::{Features, Purpose, RandomStream, Shape};
/// use dnn_layers::{Activation, Network};
/// use dnn_train::{Cost, Examples, check_gradients};
/// use ndarray::array;
///
/// let network = Network::<f64>::builder(Shape::flat(2))
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
    gradient: &[Array2<T>],
) -> Result<GradientCheck, TrainError> {
    examples.check(network, cost)?;
    check_epsilon(epsilon)?;
    check_shapes(network, gradient)?;
    check_finite(network, gradient)?;
    let mut slopes = Slopes::new(network.clone(), examples, cost, epsilon);
    let (mut analytic, mut numeric, mut layers) = (Vec::new(), Vec::new(), Vec::new());
    let mut worst: Option<WorstEntry> = None;
    for layer in 0..network.layers().len() {
        let start = analytic.len();
        for position in network.tensor_range(layer) {
            let tensor = || network.tensors()[position].name().to_owned();
            for (index, &entry) in gradient[position].indexed_iter() {
                let (entry, slope) = (entry.into(), slopes.at(position, index)?);
                analytic.push(entry);
                numeric.push(slope);
                let apart = (entry - slope).abs();
                if worst.as_ref().is_none_or(|w| apart > (w.analytic - w.numeric).abs()) {
                    let tensor = tensor();
                    worst = Some(WorstEntry { tensor, index, analytic: entry, numeric: slope });
                }
            }
        }
        if analytic.len() > start {
            layers.push(relative_difference(&analytic[start..], &numeric[start..]));
        }
    }
    let Some(worst) = worst else { return Err(nothing_trained().into()) };
    Ok(GradientCheck {
        difference: relative_difference(&analytic, &numeric),
        layers,
        worst,
        parameters: analytic.len(),
    })
}

fn nothing_trained() -> CoreError {
    CoreError::Invalid {
        what: "network",
        expected: "an array that is trained",
        found: "frozen ones alone".to_owned(),
    }
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

fn check_shapes<T: Element>(network: &Network<T>, gradient: &[Array2<T>]) -> Result<(), CoreError> {
    let expected: Vec<_> = network.zeros().iter().map(Array2::dim).collect();
    let found: Vec<_> = gradient.iter().map(Array2::dim).collect();
    if expected == found {
        return Ok(());
    }
    Err(CoreError::Invalid {
        what: "gradient",
        expected: "the shapes of the network's arrays that are trained",
        found: format!("{found:?} for {expected:?}"),
    })
}

fn check_finite<T: Element>(network: &Network<T>, gradient: &[Array2<T>]) -> Result<(), CoreError> {
    for (tensor, values) in network.tensors().iter().zip(gradient) {
        if let Some(entry) = values.iter().find(|entry| !entry.is_finite()) {
            return Err(CoreError::Invalid {
                what: "gradient",
                expected: "finite numbers",
                found: format!("{entry} in {}", tensor.name()),
            });
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

    /// The slope of the mean cost along one number of an array, which is left as it was.
    fn at(&mut self, tensor: usize, index: (usize, usize)) -> Result<f64, TrainError> {
        let value = *self.entry(tensor, index);
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
        *self.entry(tensor, index) = above;
        let cost_above = self.mean_cost()?;
        *self.entry(tensor, index) = below;
        let cost_below = self.mean_cost()?;
        *self.entry(tensor, index) = value;
        Ok((cost_above - cost_below) / step)
    }

    fn entry(&mut self, tensor: usize, index: (usize, usize)) -> &mut T {
        self.network.tensors_mut()[tensor].entry_mut(index)
    }

    /// As training has it, with the same draws each time.
    fn mean_cost(&mut self) -> Result<f64, TrainError> {
        let Self { network, examples, cost, engine, .. } = self;
        let columns = Columns::Run { start: 0, len: examples.len() };
        let (objective, draws) = (Objective::plain(*cost), Some(FIRST_DRAWS));
        let tally = engine
            .forward(StepContext { network, objective, examples, columns, product: None, draws })
            .map_err(|found| found.among(network, 0..examples.len()))?;
        Ok(tally.mean_cost())
    }
}
