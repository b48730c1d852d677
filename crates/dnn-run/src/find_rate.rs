//! Which learning rate to choose.

use dnn_core::{Element, Precision};
use dnn_store::Scalar;
use dnn_train::{RateSweep, find_learning_rate};

use crate::config::RunConfig;
use crate::error::Result;
use crate::experiment::Experiment;
use crate::loaded::Loaded;
use crate::observer::{Clock, Observer};
use crate::parts;
use crate::regression::TargetScales;

/// Steps of a sweep.
const STEPS: u64 = 150;

/// Trains for a short time at rising learning rates, and says which to choose.
///
/// # Errors
/// What is wrong with the settings on this data.
pub fn find_rate(
    config: &RunConfig,
    loaded: &Loaded,
    observer: &mut dyn Observer,
    clock: &dyn Clock,
) -> Result<RateSweep> {
    let config = &loaded.settle(config);
    match config.network.precision.of_numbers() {
        Precision::F32 => find::<f32>(config, loaded, observer, clock),
        Precision::F64 => find::<f64>(config, loaded, observer, clock),
    }
}

fn find<T: Element + Scalar>(
    config: &RunConfig,
    loaded: &Loaded,
    observer: &mut dyn Observer,
    clock: &dyn Clock,
) -> Result<RateSweep> {
    let experiment = Experiment::<T>::new(config, loaded, observer, clock)?;
    let train = loaded.parts.training();
    let targets = TargetScales::of(train).and_then(|scales| scales.standardized(train));
    let training = parts::examples(&experiment.network, train, targets.as_ref());
    Ok(find_learning_rate(&experiment.trainer, &experiment.network, &training, STEPS)?)
}
