//! Whether examples can be learned from, or measured, with a network and a cost.

use dnn_core::{CoreError, Element};
use dnn_layers::{Head, Network};
use ndarray::ArrayView2;

use crate::examples::class_count;
use crate::{Cost, Examples, Targets, TrainError};

impl<T: Element> Examples<'_, T> {
    /// Checks everything that a pass over these examples relies on.
    pub(crate) fn check(&self, network: &Network<T>, cost: Cost) -> Result<(), TrainError> {
        network.check(&self.features)?;
        self.check_targets(network, cost)
    }

    /// The same without the inputs, which something makes the network's own.
    pub(crate) fn check_targets(&self, network: &Network<T>, cost: Cost) -> Result<(), TrainError> {
        cost.check_head(network.head())?;
        let (m, outputs) = (self.len(), network.outputs());
        if m == 0 {
            return Err(TrainError::NoExamples);
        }
        if self.targets.len() != m {
            return Err(TrainError::TargetCount { expected: m, found: self.targets.len() });
        }
        self.check_weights()?;
        match self.targets {
            Targets::Classes(_) if network.head() == Head::Identity && outputs == 1 => {
                Err(TrainError::ClassTargets)
            }
            Targets::Classes(labels) => {
                let classes = class_count(outputs);
                match labels.iter().position(|&label| label as usize >= classes) {
                    Some(example) => {
                        Err(TrainError::Label { example, label: labels[example], classes })
                    }
                    None => Ok(()),
                }
            }
            Targets::Values(values) if values.nrows() == outputs => check_values(values, cost),
            Targets::Values(values) => Err(CoreError::Shape {
                what: "targets",
                expected: [outputs, m].into(),
                found: values.shape().into(),
            }
            .into()),
        }
    }

    fn check_weights(&self) -> Result<(), TrainError> {
        let Some(weights) = self.weights else { return Ok(()) };
        let invalid = |expected, found| {
            Err(CoreError::Invalid { what: "weights of the examples", expected, found }.into())
        };
        if weights.len() != self.len() {
            return invalid("one per example", format!("{} for {}", weights.len(), self.len()));
        }
        let fits = |weight: &T| weight.is_finite() && *weight >= T::zero();
        if let Some(example) = weights.iter().position(|weight| !fits(weight)) {
            let found = format!("{} for example {example}", weights[example]);
            return invalid("finite numbers of at least 0", found);
        }
        if weights.iter().all(|weight| *weight == T::zero()) {
            return invalid("one above 0", "none".to_owned());
        }
        Ok(())
    }
}

fn check_values<T: Element>(values: ArrayView2<'_, T>, cost: Cost) -> Result<(), TrainError> {
    let (expected, fits): (_, fn(f64) -> bool) = match cost {
        Cost::MeanSquaredError => ("finite", f64::is_finite),
        _ => ("between 0 and 1", |value| (0.0..=1.0).contains(&value)),
    };
    for ((output, example), &value) in values.indexed_iter() {
        let found = value.into();
        if !fits(found) {
            return Err(TrainError::TargetValue { example, output, expected, found });
        }
    }
    Ok(())
}
