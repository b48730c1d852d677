//! Layers, networks and their forward pass; model files.
//!
//! The one idea: a [`Network`] cannot be wrong. Its widths chain, its classes fit its head, and its
//! scaling fits its pictures from the moment it is built or loaded, so that nothing inside needs to
//! check again. It carries all that is needed to classify a picture: input shape, pixel scaling,
//! class names, and where it came from.
//!
//! | you want to | use |
//! |---|---|
//! | take the forward pass one step at a time | [`linear_forward`], [`linear_activation_forward`], [`model_forward`] |
//! | build a network | [`Network::builder`] |
//! | classify | [`Network::predict`], [`Network::predict_probabilities`] |
//! | classify again and again | [`Network::predictor`] |
//! | look at it | [`Network::summary`] |
//! | keep it | [`Network::save`], [`Network::load`], [`Network::to_bytes`], [`Network::from_bytes`], [`ModelFile`] |
//!
//! What it leaves out on purpose: costs and everything that learns (`dnn-train`), and reading
//! pictures (`dnn-data`).

mod activation;
mod architecture;
mod builder;
mod error;
mod forward;
mod head;
mod model_file;
mod network;
mod predictor;
mod provenance;
mod statistics;
mod summary;

pub use activation::Activation;
pub use architecture::{InputShape, Layer, Normalization, Stage};
pub use builder::NetworkBuilder;
pub use error::NetworkError;
pub use forward::{
    ForwardCaches, LayerCache, LinearBy, linear_activation_forward, linear_forward, model_forward,
};
pub use head::Head;
pub use model_file::{AnyNetwork, ModelFile};
pub use network::{LayerParametersMut, Network, most_probable};
pub use predictor::Predictor;
pub use provenance::Provenance;
pub use statistics::BatchStatistics;
pub use summary::Summary;
