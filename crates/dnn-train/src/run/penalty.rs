//! What L2 and clipping do to a gradient.

use dnn_core::Element;
use dnn_layers::{Network, Tensor};
use dnn_store::Scalar;

use super::Run;
use crate::Clip;
use crate::backward::share_of_weight;
use crate::checkpoint::RunState;
use crate::engine::{Engine, NotFinite, Rule};
use crate::gram::{DualStep, GramWork};
use crate::optimizer::Step;
use crate::regularization::{
    add_l2_to, clip_array, clip_layers_by_norm, l2_cost_of, l2_cost_of_squares,
};

impl<T: Element + Scalar> Run<'_, '_, '_, T> {
    /// L2 and clipping where parameters follow their gradient block by block.
    pub(super) fn rule(&self, step: Step) -> Rule<T> {
        let clip = match self.trainer.clip {
            Clip::Value(limit) => Some(T::from_f64(limit)),
            Clip::Never | Clip::Norm(_) => None,
        };
        Rule { step, l2: T::from_f64(self.trainer.l2 / self.weight), clip }
    }

    /// L2 and clipping for the gradient that the engine has stored, and the step of a first layer in the dual form;
    /// gives what L2 adds to the cost.
    pub(super) fn prepare_gradient(
        &self,
        network: &Network<T>,
        engine: &mut Engine<T>,
        gram: Option<&mut GramWork<T>>,
        state: &mut RunState<T>,
        rate: f64,
    ) -> Result<f64, NotFinite> {
        let (trainer, optimizer) = (self.trainer, self.trainer.optimizer);
        let mut form = gram.zip(state.gram.as_mut());
        let squares = form.as_ref().map(|(work, state)| work.sum_of_squares(state));
        let penalty = self.regularize(network, engine, squares);
        match trainer.clip {
            Clip::Never => {}
            Clip::Value(limit) => {
                engine.gradient_mut().iter_mut().for_each(|array| clip_array(array, limit));
            }
            Clip::Norm(limit) => {
                let layers = (0..network.layers().len()).map(|l| network.tensor_range(l));
                clip_layers_by_norm(engine.gradient_mut(), layers, limit);
            }
        }
        if let Some((work, state)) = &mut form {
            let share = share_of_weight(engine.tally().weight());
            let layer = network.first_layer();
            let dual = DualStep { layer, share, l2: trainer.l2 / self.weight, optimizer, rate };
            work.step(state, engine, dual).map_err(|what| NotFinite { what, layer })?;
        }
        Ok(penalty)
    }

    /// Adds L2 to the gradient, and gives what it adds to the cost. Normalisation is left out, and the first
    /// layer where the sum of its weights' squares is given: there only the cost is counted.
    pub(super) fn regularize(
        &self,
        network: &Network<T>,
        engine: &mut Engine<T>,
        first: Option<f64>,
    ) -> f64 {
        let l2 = self.trainer.l2;
        if l2 == 0.0 {
            return 0.0;
        }
        for (gradient, tensor) in engine.gradient_mut().iter_mut().zip(network.tensors()) {
            if counts_in_l2(network, tensor, first) {
                add_l2_to(gradient.view_mut(), tensor.values(), l2, self.weight);
            }
        }
        self.penalty(network, first)
    }

    /// What L2 adds to the cost; the sum of the squares of the first layer's weights may be given.
    pub(super) fn penalty(&self, network: &Network<T>, first: Option<f64>) -> f64 {
        let l2 = self.trainer.l2;
        if l2 == 0.0 {
            return 0.0;
        }
        let weights = network.tensors().iter().filter(|it| counts_in_l2(network, it, first));
        let first = first.map_or(0.0, |squares| l2_cost_of_squares(squares, l2, self.weight));
        first + l2_cost_of(weights.map(Tensor::values), l2, self.weight)
    }
}

/// Whether L2 looks at an array: at weights that decay and are trained, but not at the first ones where the sum of
/// their squares is known.
fn counts_in_l2<T: Element>(network: &Network<T>, array: &Tensor<T>, first: Option<f64>) -> bool {
    let is_known = first.is_some() && array.layer() == network.first_layer();
    array.spec().decays && array.is_trained() && !is_known
}
