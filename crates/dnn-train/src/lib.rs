//! Learning: costs, the backward pass, gradient checks, optimisers, and the trainer.
//!
//! The one idea: how a step is cut into tasks depends on the shapes of its arrays alone, never on threads. Tiles of examples run forward and
//! backward on their own, then each block of a gradient is summed over the tiles in one fixed
//! order, so that a run gives the same bits on any number of threads.
//!
//! | you want to | use |
//! |---|---|
//! | take the backward pass one step at a time | [`linear_backward`], [`linear_activation_backward`], [`model_backward`], [`update_parameters`], [`update_parameters_with`] |
//! | take a convolution or a pooling back one step at a time | [`conv_backward`], [`pool_backward`] |
//! | repeat the course's own functions | [`course`] |
//! | train a network | [`Trainer::fit`] |
//! | save a run and go on with it | [`Event::State`], [`Checkpoint`], [`Trainer::resume`] |
//! | see how the engine goes about it | [`Trainer::plan`] |
//! | see whether a full-batch run works on weights or on the Gram matrix of its examples | [`Trainer::gram_plan`] |
//! | measure it | [`evaluate`], [`metrics()`] |
//! | prove a gradient | [`check_gradients`] |
//! | see which places of a picture speak for a class | [`explain`] |
//!
//! What it leaves out on purpose: reading data, printing, clocks. A trainer reports [`Event`]s;
//! what becomes of them is the caller's choice.

mod augment;
mod averaging;
mod backward;
mod check;
mod checkpoint;
mod class_weights;
mod convolution_memory;
mod cost;
pub mod course;
mod dropout;
mod engine;
mod error;
mod evaluation;
mod event;
mod examples;
pub mod explain;
mod fit;
mod gradient_check;
mod gram;
mod history;
mod lbfgs;
mod metrics;
mod mixing;
mod named_rule;
mod optimizer;
mod plan;
mod rate_finder;
mod regression;
mod regularization;
mod run;
mod schedule;
mod sizes;
mod stopping;
mod tally;
mod temperature;
mod threads;
mod totals;
mod trainer;
mod whitening;

pub use augment::Augment;
pub use backward::{
    ConvGradients, LinearGradients, ModelGradients, conv_backward, create_mask_from_window,
    distribute_value, linear_activation_backward, linear_backward, model_backward, pool_backward,
    relu_backward, sigmoid_backward,
};
pub use dnn_kernels::Products;

pub use checkpoint::{Checkpoint, Snapshot};
pub use class_weights::ClassWeights;
pub use cost::Cost;
pub use dropout::{DropoutMasks, apply_dropout};
pub use engine::gradients;
pub use error::TrainError;
pub use evaluation::evaluate;
pub use event::{Event, unobserved};
pub use examples::{Examples, Targets};
pub use gradient_check::{
    GradientCheck, WorstEntry, check_gradients, compare_gradients, relative_difference,
};
pub use gram::{GramChoice, GramOperations, GramPlan};
pub use history::{BestEpoch, EpochRecord, History, Warning};
pub use metrics::{Average, ClassMetrics, Metrics, ReliabilityBin, metrics};
pub use mixing::Mixing;
pub use optimizer::{
    AdaGrad, Adam, AdamW, Lbfgs, Momentum, Muon, Optimizer, OptimizerState, RmsProp,
    update_parameters, update_parameters_with,
};
pub use plan::{LayerPlan, Plan};
pub use rate_finder::{RatePoint, RateSweep, find_learning_rate};
pub use regression::{LabelSets, Regression};
pub use regularization::{add_l2, clip_by_norm, clip_by_value, l2_cost};
pub use schedule::{Moment, Schedule};
pub use sizes::TrainingSize;
pub use stopping::{EarlyStopping, Monitor};
pub use tally::{Classification, Evaluation};
pub use temperature::fit_temperature;
pub use threads::{StepClock, SystemClock};
pub use trainer::{Batch, BatchOrder, Clip, Trainer};
pub use whitening::whitening_filters;

/// Compiles what is generic for both precisions as a part of this crate: a debug build then does not compile it
/// again in every program that trains.
#[doc(hidden)]
pub fn both_precisions() {
    fn of<T: dnn_core::Element + dnn_store::Scalar>() {
        use std::hint::black_box;
        black_box(Trainer::fit::<T> as fn(_, _, _, _, _) -> _);
        black_box(Trainer::resume::<T> as fn(_, _, _, _, _, _) -> _);
        black_box(evaluate::<T> as fn(_, _, _) -> _);
        black_box(gradients::<T> as fn(_, _, _) -> _);
        black_box(check_gradients::<T> as fn(_, _, _, _) -> _);
        black_box(Checkpoint::<T>::from_bytes as fn(_) -> _);
    }
    of::<f32>();
    of::<f64>();
}

/// The example of this crate's README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
