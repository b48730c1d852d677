//! How a run like a recorded one goes about its work.

use dnn_core::Element;
use dnn_layers::{AnyNetwork, Network};
use dnn_store::Scalar;
use dnn_train::{GramPlan, Plan};
use serde::Serialize;

use crate::config::RunConfig;
use crate::error::Result;
use crate::experiment::trainer;
use crate::model::with_network;
use crate::provenance::config_of;

/// How a run like a recorded one goes about its work.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedRun {
    /// How many training pictures.
    pub pictures: usize,
    /// What a step is cut into.
    #[serde(flatten)]
    pub plan: Plan,
    /// The form of the first layer.
    pub gram: GramPlan,
}

/// How a run like the one that a model came from goes about its work on so many pictures.
///
/// # Errors
/// [`RunError::Usage`](crate::RunError::Usage) for settings that this version does not know.
pub fn plan_run(network: &AnyNetwork, pictures: usize) -> Result<PlannedRun> {
    with_network!(network, network => plan(network, pictures))
}

fn plan<T: Element + Scalar>(network: &Network<T>, pictures: usize) -> Result<PlannedRun> {
    let config = match network.provenance() {
        Some(provenance) => config_of(provenance)?,
        None => RunConfig::default(),
    };
    let trainer = trainer::<T>(&config)?;
    let plan = trainer.plan_for_pictures(network, pictures);
    Ok(PlannedRun { pictures, plan, gram: trainer.gram_plan(network, pictures, 0)? })
}
