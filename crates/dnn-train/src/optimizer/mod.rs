//! Rules that turn a gradient into a change of the parameters.
//!
//! The one idea: a rule is a function of one number, its gradient and what is remembered of it; the loops
//! over all numbers, and over threads, are written once (`state.rs`).

mod ada_grad;
mod adam;
mod lbfgs;
mod lines;
mod momentum;
mod muon;
mod network;
mod newton_schulz;
mod rms_prop;
mod state;

use std::fmt;
use std::str::FromStr;

use dnn_core::{CoreError, Element, Parameters};
use dnn_kernels::aligned_zeros;
use ndarray::Array2;

use crate::named_rule::{Rules, Setting};

pub use ada_grad::AdaGrad;
pub use adam::{Adam, AdamW};
pub use lbfgs::Lbfgs;
pub(crate) use lines::{Memory, split_memory};
pub use momentum::Momentum;
pub use muon::Muon;
pub(crate) use muon::MuonSteps;
pub(crate) use network::update_network;
pub use rms_prop::RmsProp;
pub use state::OptimizerState;
pub(crate) use state::{Step, each};

/// How parameters follow their gradient.
///
/// As text it is a name, and settings that are not the defaults: `adam`, `momentum:beta=0.95`,
/// `adamw:weight_decay=0.1,beta2=0.99`.
///
/// # Examples
/// ```
/// use dnn_train::{Momentum, Optimizer};
///
/// let optimizer: Optimizer = "nesterov:beta=0.95".parse()?;
/// let momentum = Momentum { beta: 0.95, nesterov: true, ..Momentum::default() };
/// assert_eq!(optimizer, Optimizer::Momentum(momentum));
/// assert_eq!(optimizer.to_string(), "nesterov:beta=0.95");
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Optimizer {
    /// `theta - learning_rate * dtheta`; with mini-batches also called SGD.
    #[default]
    GradientDescent,
    /// With a direction that lasts.
    Momentum(Momentum),
    /// At rates by the recent size of each gradient.
    RmsProp(RmsProp),
    /// At rates by the sum of each gradient's squares.
    AdaGrad(AdaGrad),
    /// Both: a direction, and rates by size.
    Adam(Adam),
    /// Adam with weights that shrink.
    AdamW(AdamW),
    /// Steps equally long in all directions for the weights of convolutions, and `AdamW` for all else.
    Muon(Muon),
    /// Full-batch steps by remembered curvature, with a line search: only for [`Trainer`](crate::Trainer),
    /// as a step needs the cost at more than one place.
    Lbfgs(Lbfgs),
}

impl Optimizer {
    /// The names of all optimisers.
    pub const NAMES: &'static [&'static str] = <Self as Rules>::NAMES;

    /// Its name, without settings.
    pub fn name(self) -> &'static str {
        Rules::name(self)
    }

    /// A learning rate to begin with.
    ///
    /// # Examples
    /// ```
    /// let adam: dnn_train::Optimizer = "adam".parse()?;
    /// assert_eq!(adam.default_learning_rate(), 0.001);
    /// # Ok::<(), dnn_core::CoreError>(())
    /// ```
    pub fn default_learning_rate(self) -> f64 {
        match self {
            Self::GradientDescent => 0.1,
            // A direction that lasts is up to 1 / (1 - beta) times as long.
            Self::Momentum(_) | Self::AdaGrad(_) => 0.01,
            Self::RmsProp(_) | Self::Adam(_) | Self::AdamW(_) => 0.001,
            Self::Muon(_) => 0.02,
            Self::Lbfgs(_) => 1.0,
        }
    }

    /// What it remembers of each parameter, by the names of the formulas.
    pub fn memory_names(self) -> &'static [&'static str] {
        match self {
            // What L-BFGS remembers grows with its steps.
            Self::GradientDescent | Self::Lbfgs(_) => &[],
            Self::Momentum(_) => &["v"],
            Self::RmsProp(_) | Self::AdaGrad(_) => &["s"],
            // Of the weights of convolutions Muon has no `s`: it stays 0 there.
            Self::Adam(_) | Self::AdamW(_) | Self::Muon(_) => &["v", "s"],
        }
    }

    /// The most arrays that it remembers, each in the shapes of the parameters.
    pub(crate) fn memory_arrays(self) -> usize {
        match self {
            // The pairs, and the place, direction and gradients of a search.
            Self::Lbfgs(it) => it.most_arrays().saturating_add(6),
            _ => self.memory_names().len(),
        }
    }

    /// The state before the first step on such parameters.
    pub fn start<T: Element>(self, parameters: &Parameters<T>) -> OptimizerState<T> {
        self.start_with(|| parameters.arrays().map(|it| aligned_zeros(it.dim())).collect())
    }

    /// The state before the first step on parameters in the shapes of these zeros.
    pub(crate) fn start_with<T>(self, zeros: impl Fn() -> Vec<Array2<T>>) -> OptimizerState<T> {
        let memory = self.memory_names().iter().map(|_| zeros()).collect();
        OptimizerState { steps: 0, memory }
    }
}

impl Rules for Optimizer {
    const KIND: &'static str = "optimiser";
    const KIND_OF_SETTING: &'static str = "setting of the optimiser";
    const NAMES: &'static [&'static str] =
        &["sgd", "momentum", "nesterov", "rmsprop", "adagrad", "adam", "adamw", "muon", "lbfgs"];

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "sgd" | "gradient-descent" => Self::GradientDescent,
            "momentum" => Self::Momentum(Momentum::default()),
            "nesterov" => Self::Momentum(Momentum { nesterov: true, ..Momentum::default() }),
            "rmsprop" => Self::RmsProp(RmsProp::default()),
            "adagrad" => Self::AdaGrad(AdaGrad::default()),
            "adam" => Self::Adam(Adam::default()),
            "adamw" => Self::AdamW(AdamW::default()),
            "muon" => Self::Muon(Muon::default()),
            "lbfgs" => Self::Lbfgs(Lbfgs::default()),
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::GradientDescent => "sgd",
            Self::Momentum(Momentum { nesterov: false, .. }) => "momentum",
            Self::Momentum(Momentum { nesterov: true, .. }) => "nesterov",
            Self::RmsProp(_) => "rmsprop",
            Self::AdaGrad(_) => "adagrad",
            Self::Adam(_) => "adam",
            Self::AdamW(_) => "adamw",
            Self::Muon(_) => "muon",
            Self::Lbfgs(_) => "lbfgs",
        }
    }

    fn settings(&mut self) -> Vec<Setting<'_>> {
        match self {
            Self::GradientDescent => Vec::new(),
            Self::Momentum(it) => it.settings(),
            Self::RmsProp(it) => it.settings(),
            Self::AdaGrad(it) => it.settings(),
            Self::Adam(it) => it.settings(),
            Self::AdamW(it) => it.settings(),
            Self::Muon(it) => it.settings(),
            Self::Lbfgs(it) => it.settings(),
        }
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
    let mut state = OptimizerState { steps: 0, memory: Vec::new() };
    let optimizer = Optimizer::GradientDescent;
    update_parameters_with(optimizer, &mut state, parameters, gradients, learning_rate)
}

/// One step of any optimiser on every parameter; `state` begins with [`Optimizer::start`].
///
/// # Errors
/// Those of [`update_parameters`]; [`CoreError::Invalid`] also for a setting of the optimiser that is
/// out of its range, or a state that is another optimiser's.
///
/// # Examples
/// ```
/// use dnn_core::{LayerParameters, Parameters};
/// use dnn_train::{Momentum, Optimizer, update_parameters_with};
/// use ndarray::array;
///
/// let layer = |w, b| LayerParameters { weights: array![[w]], bias: array![[b]] };
/// let mut parameters = Parameters { layers: vec![layer(1.0, 0.5)] };
/// let gradients = Parameters { layers: vec![layer(2.0, -1.0)] };
/// let momentum = Optimizer::Momentum(Momentum { beta: 0.5, ..Momentum::default() });
/// let mut state = momentum.start(&parameters);
/// for _ in 0..2 {
///     update_parameters_with(momentum, &mut state, &mut parameters, &gradients, 0.25)?;
/// }
/// // v is 2, then 0.5 * 2 + 2 = 3: 1 - 0.25 * 2 - 0.25 * 3.
/// assert_eq!(parameters.layers[0].weights, array![[-0.25]]);
/// assert_eq!(state.memory[0][0], array![[3.0]]);
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
pub fn update_parameters_with<T: Element>(
    optimizer: Optimizer,
    state: &mut OptimizerState<T>,
    parameters: &mut Parameters<T>,
    gradients: &Parameters<T>,
    learning_rate: f64,
) -> Result<(), CoreError> {
    check_learning_rate::<T>(learning_rate)?;
    optimizer.check::<T>()?;
    if let Optimizer::Lbfgs(_) = optimizer {
        return Err(CoreError::Invalid {
            what: "optimiser",
            expected: "one whose step needs one gradient",
            found: "lbfgs, which only a trainer runs".to_owned(),
        });
    }
    let shapes: Vec<Shape> = parameters.arrays().map(Array2::dim).collect();
    check_fit("gradients", shapes.iter().copied(), gradients.arrays())?;
    state.check(optimizer, shapes.iter().copied())?;
    state.steps += 1;
    let step = state.step(optimizer, learning_rate);
    let pairs = parameters.arrays_mut().zip(gradients.arrays()).zip(state.arrays_mut());
    for (index, ((parameter, gradient), memory)) in pairs.enumerate() {
        let is_weights = index % 2 == 0;
        if !step.update(parameter.view_mut(), gradient.view(), memory, is_weights) {
            let name = if is_weights { "weights" } else { "bias" };
            return Err(CoreError::Invalid {
                what: "updated parameters",
                expected: "finite numbers",
                found: format!("others in the {name} of layer {}", index / 2 + 1),
            });
        }
    }
    Ok(())
}

/// Rows and columns of an array.
pub(crate) type Shape = (usize, usize);

/// Accepts arrays of these shapes.
fn check_fit<'f, T: Element>(
    what: &'static str,
    expected: impl Iterator<Item = Shape>,
    found: impl Iterator<Item = &'f Array2<T>>,
) -> Result<(), CoreError> {
    let (mut expected, mut found) = (expected.fuse(), found.fuse());
    loop {
        match (expected.next(), found.next()) {
            (None, None) => return Ok(()),
            (Some(expected), Some(found)) => {
                CoreError::expect_shape(what, expected, found.dim())?;
            }
            (expected, _) => {
                return Err(CoreError::Invalid {
                    what,
                    expected: "as many arrays as the parameters have",
                    found: if expected.is_some() { "fewer" } else { "more" }.to_owned(),
                });
            }
        }
    }
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
        self.write(f)
    }
}

impl FromStr for Optimizer {
    type Err = CoreError;

    fn from_str(text: &str) -> Result<Self, CoreError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use dnn_core::LayerParameters;
    use ndarray::Array2;

    use super::*;

    #[test]
    fn large_arrays_are_updated_whole() {
        // More rows than one task takes.
        let parameter = Array2::from_elem((700, 300), 1.0_f32);
        let gradient = Array2::from_shape_fn((700, 300), |(i, j)| (i * 300 + j) as f32);
        let of = |weights: Array2<f32>| {
            let bias = Array2::zeros((weights.nrows(), 1));
            Parameters { layers: vec![LayerParameters { weights, bias }] }
        };
        let mut parameters = of(parameter);
        let gradients = of(gradient);
        update_parameters(&mut parameters, &gradients, 0.5).unwrap();
        let expected = gradients.layers[0].weights.mapv(|g| 1.0 - 0.5 * g);
        assert_eq!(parameters.layers[0].weights, expected);
        let far = of(Array2::from_elem((700, 300), f32::MAX));
        assert!(update_parameters(&mut parameters, &far, 4.0).is_err());
    }

    #[test]
    fn every_optimiser_is_listed() {
        dnn_core::assert_lists_every_variant!(
            Optimizer::NAMES.iter().map(|name| name.parse().unwrap()),
            Optimizer::GradientDescent,
            Optimizer::Momentum(Momentum { nesterov: false, .. }),
            Optimizer::Momentum(Momentum { nesterov: true, .. }),
            Optimizer::RmsProp(_),
            Optimizer::AdaGrad(_),
            Optimizer::Adam(_),
            Optimizer::AdamW(_),
            Optimizer::Muon(_),
            Optimizer::Lbfgs(_),
        );
    }

    #[test]
    fn optimisers_are_their_text() {
        for &name in Optimizer::NAMES {
            let optimizer: Optimizer = name.parse().unwrap();
            assert_eq!((optimizer.to_string(), optimizer.name()), (name.to_owned(), name));
        }
        for text in
            ["adam:beta1=0.5,epsilon=1e-7", "momentum:dampening=0.9", "muon:steps=5,adam_ratio=0.2"]
        {
            let optimizer: Optimizer = text.parse().unwrap();
            assert_eq!(optimizer.to_string(), text);
        }
        for (text, message) in [
            (
                "sdg",
                "unknown optimiser `sdg`; expected one of sgd, momentum, nesterov, rmsprop, adagrad, adam, adamw, muon, lbfgs",
            ),
            (
                "adam:beta=1",
                "unknown setting of the optimiser `beta`; expected one of beta1, beta2, epsilon",
            ),
            ("sgd:x=1", "unknown setting of the optimiser `x`; expected one of none"),
            ("adam:beta1", "beta1: expected a number, found "),
            ("adam:beta1=1", "beta1: expected a number from 0 and below 1, found 1.0"),
            ("adam:epsilon=0", "epsilon: expected a finite number above 0, found 0.0"),
            ("muon:steps=0", "steps: expected a whole number of at least 1, found 0"),
            ("muon:adam_ratio=0", "adam_ratio: expected a finite number above 0, found 0.0"),
            ("momentum:dampening=2", "dampening: expected a number from 0 to 1, found 2.0"),
            (
                "adamw:weight_decay=NaN",
                "weight_decay: expected a finite number of at least 0, found NaN",
            ),
        ] {
            assert_eq!(text.parse::<Optimizer>().unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn bad_calls_say_expected_and_found() {
        // A share that is 1 only as an f32.
        let adam: Optimizer = "adam:beta2=0.9999999999".parse().unwrap();
        let message = adam.check::<f32>().unwrap_err().to_string();
        assert!(message.ends_with("found 0.9999999999, which is 1 in f32"), "{message}");
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
        assert!(
            update(&of(vec![3, 1]), 0.1)
                .ends_with("expected as many arrays as the parameters have, found more")
        );
        assert_eq!(update(&of(vec![4]), 0.1), "gradients: expected shape (3, 2), found (4, 2)");
    }
}
