//! Layers, networks and their forward pass; model files.
//!
//! The one idea: a [`Network`] is checked once, when it is built or loaded: its layers fit one another, its
//! classes fit its head (the function that it ends in), its scaling fits its pictures. Nothing inside needs to
//! check again. It carries all that is needed to classify a picture: input shape, pixel scaling,
//! class names, and where it came from.
//!
//! | you want to | use |
//! |---|---|
//! | take the forward pass one step at a time | [`linear_forward`], [`linear_activation_forward`], [`model_forward`] |
//! | take a convolution or a pooling one step at a time | [`zero_pad`], [`conv_single_step`], [`conv_forward`], [`pool_forward`], [`identity_block`] |
//! | build a network | [`Network::builder`] |
//! | choose its layers | [`Layer`] and its kinds: [`Dense`], [`BatchNorm`], [`Activation`], [`Dropout`], [`Flatten`] |
//! | see or set its named arrays | [`Network::tensors`], [`Network::tensor`], [`Tensor`] |
//! | classify | [`Network::predict`], [`Network::predict_probabilities`] |
//! | classify again and again | [`Predictor`] |
//! | look at it | [`Network::summary`] |
//! | keep it | [`Network::save`], [`Network::load`], [`Network::to_bytes`], [`Network::from_bytes`], [`ModelFile`] |
//!
//! What it leaves out on purpose: costs and everything that learns (`dnn-train`), and reading
//! pictures (`dnn-data`).

mod architecture;
mod buffers_for;
mod builder;
mod caches;
mod convolution_steps;
mod error;
mod forward;
mod head;
mod identity_block;
mod layer;
mod mirror;
mod model_file;
mod network;
mod packed_convolutions;
mod predictor;
mod preprocessing;
mod provenance;
mod summary;
mod tensor;

pub use builder::NetworkBuilder;
pub use caches::ForwardCaches;
pub use convolution_steps::{
    ConvCache, ConvSettings, MAX_STEP_NUMBERS, PoolCache, PoolMode, PoolSettings, conv_forward,
    conv_output_size, conv_single_step, pool_forward, zero_pad,
};
pub use error::NetworkError;
pub use forward::{LayerCache, linear_activation_forward, linear_forward, model_forward};
pub use head::{Head, most_probable};
pub use identity_block::{ConvBatchNorm, identity_block};
pub use layer::*;
pub use model_file::{AnyNetwork, ModelFile};
pub use network::{ForwardInputs, Network, OutputScale};
pub use packed_convolutions::PackedConvolutions;
pub use predictor::Predictor;
pub use preprocessing::Preprocessing;
pub use provenance::Provenance;
pub use summary::Summary;
pub use tensor::{Initial, ParameterSpec, Tensor};

/// The example of this crate's README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
