//! Muon for the weights of convolutions, and `AdamW` for all else.

use dnn_core::Element;
use dnn_layers::{Initial, Layer, Network, Tensor};
use ndarray::{ArrayView2, ArrayViewMut2};

use super::newton_schulz::NewtonSchulz;
use super::state::each;
use super::{AdamW, Momentum, Optimizer, Shape, Step};
use crate::Adam;
use crate::named_rule::Setting;
use crate::regularization::{scale_by, sum_of_squares};

/// Steps that are equally long in all directions for the weights of convolutions, and [`AdamW`] for every other array.
///
/// The weights of a convolution are a matrix `W` of `units` rows; those of groups, too, are one matrix. With its
/// gradient `dW`, the update is
///
/// ```text
/// V = beta V + dW
/// O = newton_schulz(dW + beta V)         singular values near 1, steps times
/// W = W - learning_rate O
/// W = W sqrt(units) / |W|                the norm that all steps leave it with
/// ```
/// where `newton_schulz` divides by the Frobenius norm (and 1e-7) and goes from `X` to
/// `3.4445 X - 4.775 (X X^T) X + 2.0315 (X X^T)^2 X`.
///
/// All other arrays follow [`AdamW`] at the rate `learning_rate * adam_ratio`, so that a schedule scales both. There
/// weights decay as [`ParameterSpec::decays`](dnn_layers::ParameterSpec::decays) says, those of dense layers and no
/// biases: in a network of convolutions with one dense layer, those of the head alone. The weights of a convolution do
/// not decay, as their norm is given.
///
/// Because of that norm, a network whose convolutions were not trained so begins as another one, unless each is
/// followed by a batch normalisation. Only a [`Trainer`](crate::Trainer) knows which weights are a convolution's:
/// for [`update_parameters_with`](crate::update_parameters_with) all arrays follow `AdamW`.
///
/// # References
/// Jordan and others (2024), Muon: an optimizer for hidden layers in neural networks. Its authors' program for CIFAR-10
/// sets the norm before the step; here it is set after it, so that the network at rest has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Muon {
    /// How much of the direction stays, 0 to below 1; Nesterov's momentum.
    pub beta: f64,
    /// Steps of the iteration, at least 1.
    pub steps: u64,
    /// The rate of all other arrays as a share of the learning rate, above 0.
    pub adam_ratio: f64,
    /// The step of all other arrays.
    pub adam: AdamW,
}

impl Default for Muon {
    /// `beta` 0.9, 3 steps, a tenth of the rate for `AdamW` with `beta1` 0.9, `beta2` 0.99 and a weight decay of 0.05.
    fn default() -> Self {
        let adam = Adam { beta2: 0.99, ..Adam::default() };
        let adam = AdamW { adam, weight_decay: 0.05 };
        Self { beta: 0.9, steps: 3, adam_ratio: 0.1, adam }
    }
}

impl Muon {
    pub(super) fn settings(&mut self) -> Vec<Setting<'_>> {
        let mut settings = vec![
            Setting::share("beta", &mut self.beta),
            Setting::count("steps", &mut self.steps),
            Setting::above_0("adam_ratio", &mut self.adam_ratio),
        ];
        settings.extend(self.adam.settings());
        settings
    }

    /// The step of what is not a convolution's weights.
    pub(super) fn others(self, rate: f64, t: u64) -> Step {
        Step { optimizer: Optimizer::AdamW(self.adam), rate: rate * self.adam_ratio, t }
    }
}

/// Which arrays of a network follow Muon, and the memory for their steps.
pub(crate) struct MuonSteps<T> {
    rule: Muon,
    /// For each array of the network, whether it does.
    takes: Vec<bool>,
    iteration: NewtonSchulz<T>,
}

impl<T: Element> MuonSteps<T> {
    /// For runs on this network, if they are by Muon.
    pub(crate) fn new(optimizer: Optimizer, network: &Network<T>) -> Option<Self> {
        let Optimizer::Muon(rule) = optimizer else { return None };
        let takes = network.tensors().iter().map(|tensor| is_matrix(network, tensor)).collect();
        Some(Self { rule, takes, iteration: NewtonSchulz::new(shapes(network)) })
    }

    /// How many numbers it has memory for.
    pub(crate) fn numbers(optimizer: Optimizer, network: &Network<T>) -> u128 {
        match optimizer {
            Optimizer::Muon(_) => NewtonSchulz::<T>::numbers(shapes(network)),
            _ => 0,
        }
    }

    /// Whether this array of the network, by its position, follows Muon.
    pub(super) fn takes(&self, tensor: usize) -> bool {
        self.takes[tensor]
    }

    /// One step of the weights of a convolution; false if a number stopped being finite.
    pub(super) fn update(
        &mut self,
        mut weights: ArrayViewMut2<'_, T>,
        gradient: ArrayView2<'_, T>,
        velocity: Option<ArrayViewMut2<'_, T>>,
        rate: f64,
    ) -> bool {
        let shape = weights.dim();
        let momentum = Momentum { beta: self.rule.beta, nesterov: true, ..Momentum::default() };
        // From zeros, a step at a rate of -1 ends at the direction itself.
        let along = Step { optimizer: Optimizer::Momentum(momentum), rate: -1.0, t: 1 };
        if !along.update(self.iteration.zeros(shape), gradient, [velocity, None], false) {
            return false;
        }
        let Some(update) = self.iteration.run(shape, self.rule.steps) else { return false };
        let rate = T::from_f64(rate);
        each(weights.view_mut(), update, |weight, update| weight - rate * update)
            && set_norm(weights)
    }
}

/// Whether an array is the weights of a convolution.
fn is_matrix<T: Element>(network: &Network<T>, tensor: &Tensor<T>) -> bool {
    let is_convolution = matches!(network.layers()[tensor.layer()], Layer::Conv2d(_));
    is_convolution && tensor.spec().initial == Initial::Drawn
}

/// The shapes of what is trained by Muon.
fn shapes<T: Element>(network: &Network<T>) -> impl Iterator<Item = Shape> {
    let of = |it: &&Tensor<T>| is_matrix(network, it) && it.is_trained();
    network.tensors().iter().filter(of).map(|tensor| tensor.values().dim())
}

/// Scales weights to a norm of the root of their rows; weights of 0 stay. False if the norm is not finite.
fn set_norm<T: Element>(weights: ArrayViewMut2<'_, T>) -> bool {
    let norm = sum_of_squares(weights.view()).sqrt();
    let scale = T::from_f64((weights.nrows() as f64).sqrt() / norm);
    if scale.is_finite() {
        scale_by(weights, scale);
    }
    norm.is_finite()
}

#[cfg(test)]
mod tests {
    use dnn_core::{Purpose, RandomStream, Shape};
    use dnn_layers::Conv2d;
    use ndarray::{Array2, array};

    use super::*;

    fn network() -> Network<f32> {
        Network::<f32>::builder(Shape::picture(4, 4, 2))
            .layer(Conv2d::same(3, 3))
            .layer(dnn_layers::Flatten {})
            .classes(["a", "b"])
            .build(&mut RandomStream::new(1, Purpose::Initialization, 0))
            .unwrap()
    }

    #[test]
    fn weights_of_convolutions_are_taken_and_nothing_else() {
        let mut network = network();
        let muon = Optimizer::Muon(Muon::default());
        let taken = |network: &Network<f32>| {
            let steps = MuonSteps::new(muon, network).unwrap();
            let named = network.tensors().iter().zip(steps.takes);
            named.filter(|it| it.1).map(|it| it.0.name().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(taken(&network), ["conv1.weights"]);
        assert_eq!(MuonSteps::numbers(muon, &network), 2 * (3 * 18 + 9));
        assert!(MuonSteps::new(Optimizer::Adam(Adam::default()), &network).is_none());
        assert_eq!(MuonSteps::numbers(Optimizer::GradientDescent, &network), 0);
        // Nothing is done to what is frozen: there is no memory for it.
        network.set_frozen("conv1.", true);
        assert_eq!(MuonSteps::numbers(muon, &network), 0);
    }

    #[test]
    fn numbers_that_are_not_finite_are_told() {
        let mut steps = MuonSteps::new(Optimizer::Muon(Muon::default()), &network()).unwrap();
        let mut update = |weight: f32, gradient: f32, rate: f64| {
            let mut weights = Array2::from_elem((3, 18), weight);
            let gradient = Array2::from_elem((3, 18), gradient);
            let mut velocity = Array2::from_elem((3, 18), gradient[(0, 0)]);
            let velocity = Some(velocity.view_mut());
            (steps.update(weights.view_mut(), gradient.view(), velocity, rate), weights)
        };
        assert!(update(1.0, 1.0, 0.1).0);
        // The direction is out of range, not the gradient.
        assert!(!update(1.0, f32::MAX, 0.1).0);
        assert!(!update(1.0, f32::NAN, 0.1).0);
        assert!(!update(1.0, 1.0, 1e39).0);
        // Without a gradient the norm alone is set, and there is none of 0.
        let (finite, weights) = update(0.5, 0.0, 0.1);
        let norm = sum_of_squares(weights.view()).sqrt();
        assert!(finite && (norm - 3.0_f64.sqrt()).abs() < 1e-6, "{norm}");
        assert_eq!(update(0.0, 0.0, 0.1), (true, Array2::zeros((3, 18))));
        let mut least = array![[f32::MIN_POSITIVE / 4.0]];
        assert!(set_norm(least.view_mut()) && least[(0, 0)].is_finite(), "{least}");
    }
}
