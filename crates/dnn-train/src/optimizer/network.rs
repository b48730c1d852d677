//! One step on all arrays of a network, once the whole gradient is known.

use dnn_core::Element;
use dnn_layers::Network;
use ndarray::Array2;

use super::{MuonSteps, Optimizer, OptimizerState};
use crate::engine::NotFinite;

/// Updates every array that has a gradient.
pub(crate) fn update_network<T: Element>(
    optimizer: Optimizer,
    rate: f64,
    network: &mut Network<T>,
    gradient: &[Array2<T>],
    state: &mut OptimizerState<T>,
    mut muon: Option<&mut MuonSteps<T>>,
) -> Result<(), NotFinite> {
    state.steps += 1;
    let step = state.step(optimizer, rate);
    let arrays = network.tensors_mut().iter_mut().zip(gradient).zip(state.arrays_mut());
    for (index, ((tensor, gradient), memory)) in arrays.enumerate() {
        if gradient.is_empty() {
            continue;
        }
        let (layer, spec) = (tensor.layer(), *tensor.spec());
        let (values, gradient) = (tensor.values_mut(), gradient.view());
        let finite = match &mut muon {
            Some(muon) if muon.takes(index) => {
                let [velocity, _] = memory;
                muon.update(values, gradient, velocity, rate)
            }
            _ => step.update(values, gradient, memory, spec.decays),
        };
        if !finite {
            return Err(NotFinite { what: spec.name, layer });
        }
    }
    Ok(())
}
