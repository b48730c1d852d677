//! What settings are where nobody gave them.

use std::num::NonZeroUsize;

use dnn_core::Initializer;
use dnn_data::augment::Augmentation;
use dnn_data::picture::{Filter, Fit};
use dnn_layers::Activation;
use dnn_train::{Adam, Batch, ClassWeights, GramChoice, Optimizer, Schedule, Trainer};

use super::network_line::NetworkLine;
use super::values::{BadFilePolicy, ScalingRule, TrainingPrecision, Widths};
use super::{DataConfig, FilesConfig, KeepingConfig, NetworkConfig, RunConfig, TrainingConfig};

/// The widths of hidden layers where nobody says.
const DENSE: [usize; 2] = [256, 128];

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            path: None,
            size: None,
            keep_size: None,
            evaluate_size: None,
            evaluate_flip: None,
            resize: Fit::default(),
            filter: Filter::default(),
            scaling: ScalingRule::default(),
            augment: None,
            files: FilesConfig::default(),
            split: 0.2,
            validation: 0.1,
        }
    }
}

impl Default for FilesConfig {
    fn default() -> Self {
        Self { bad_files: BadFilePolicy::Stop, max_bad: 5.0, lenient: false, no_cache: false }
    }
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            network: None,
            hidden: None,
            activation: Activation::Relu,
            batch_norm: None,
            dropout: None,
            init: Initializer::HeNormal,
            precision: TrainingPrecision::F32,
            from: None,
        }
    }
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            optimizer: None,
            learning_rate: None,
            schedule: None,
            l2: 0.0,
            clip_norm: None,
            clip_value: None,
            warm_up: 0,
            class_weights: ClassWeights::Equal,
            label_smoothing: None,
            mixing: None,
            whitening: false,
            weight_averaging: None,
            epochs: None,
            batch: None,
            gram: GramChoice::Auto,
            early_stopping: None,
            min_delta: 0.0,
            monitor: None,
            restore_best: false,
            calibrate: false,
            steps: None,
            time_limit: None,
            time_budget: None,
            seed: Trainer::default().seed,
        }
    }
}

impl Default for KeepingConfig {
    fn default() -> Self {
        Self {
            checkpoint_every: None,
            keep_last: NonZeroUsize::MIN,
            keep_every: None,
            keep_best: false,
            tensorboard: false,
        }
    }
}

impl RunConfig {
    /// A dense network, and nothing else said.
    pub(super) fn dense() -> Self {
        let mut config = Self::default();
        config.network.hidden = Some(Widths(DENSE.to_vec()));
        config.resolved()
    }

    /// With values for the settings whose defaults follow from others.
    pub fn resolved(&self) -> Self {
        let mut config = self.clone();
        if self.is_automatic() {
            // The rest follows from the pictures.
            config.network.network = Some(NetworkLine::Auto);
            return config;
        }
        config.with_dense_defaults()
    }

    /// With values for all settings that have a default, where nothing is chosen by the pictures.
    pub(crate) fn with_dense_defaults(&self) -> Self {
        let mut config = self.clone();
        if let None | Some(NetworkLine::Auto) = config.network.network {
            config.network.network = None;
            config.network.hidden = Some(self.hidden());
        }
        config.network.batch_norm = Some(self.batch_norm());
        config.data.augment = Some(self.augment());
        config.data.evaluate_flip = Some(self.data.evaluate_flip.unwrap_or(false));
        config.training.optimizer = Some(self.optimizer());
        config.training.label_smoothing = Some(self.label_smoothing());
        config.training.epochs = Some(self.epochs());
        config.network.dropout = Some(self.dropout());
        config.training.learning_rate = Some(self.learning_rate());
        config.training.schedule = Some(self.schedule());
        config.training.batch = Some(self.batch());
        config
    }

    /// The size of a step that was asked for, else the optimiser's default.
    pub fn learning_rate(&self) -> f64 {
        self.training.learning_rate.unwrap_or_else(|| self.optimizer().default_learning_rate())
    }

    /// Whether the layers, and how they are trained, are chosen by the pictures.
    pub fn is_automatic(&self) -> bool {
        let Self { network, training, .. } = self;
        let names_layers = network.hidden.is_some() || network.from.is_some();
        let is_full = training.batch == Some(Batch::Full) || training.gram == GramChoice::Always;
        matches!(network.network, None | Some(NetworkLine::Auto))
            && !(names_layers || is_full || self.is_lbfgs())
            && network.precision != TrainingPrecision::F64
    }

    /// The optimiser that was asked for, else the default.
    pub fn optimizer(&self) -> Optimizer {
        self.training.optimizer.unwrap_or(Optimizer::Adam(Adam::default()))
    }

    /// The passes over the training examples that were asked for, else the default number.
    pub fn epochs(&self) -> u64 {
        self.training.epochs.unwrap_or(30)
    }

    /// The share of label smoothing that was asked for, else none.
    pub fn label_smoothing(&self) -> f64 {
        self.training.label_smoothing.unwrap_or(0.0)
    }

    /// Whether batch normalisation was asked for.
    pub fn batch_norm(&self) -> bool {
        self.network.batch_norm.unwrap_or(false)
    }

    /// The changes of training pictures that were asked for, else none.
    pub fn augment(&self) -> Augmentation {
        self.data.augment.unwrap_or_default()
    }

    /// The schedule that was asked for, else the default.
    pub fn schedule(&self) -> Schedule {
        // Not a function of the run's length: a run that is over can be made longer.
        let default = Schedule::Step { factor: 0.9, every: 1 };
        let default = if self.is_lbfgs() { Schedule::Constant } else { default };
        self.training.schedule.unwrap_or(default)
    }

    /// The widths of the hidden layers that were asked for, else the default; none where a line of layers says what
    /// there is.
    pub fn hidden(&self) -> Widths {
        let by_widths = matches!(self.network.network, None | Some(NetworkLine::Auto));
        let default = || if by_widths { DENSE.to_vec() } else { Vec::new() };
        self.network.hidden.clone().unwrap_or_else(|| Widths(default()))
    }

    /// The share of dropout that was asked for, else the default.
    pub fn dropout(&self) -> f64 {
        let line = &self.network.network;
        let of_hidden = matches!(line, None | Some(NetworkLine::Auto | NetworkLine::Dense(_)));
        let default = if self.is_lbfgs() || !of_hidden { 0.0 } else { 0.2 };
        self.network.dropout.unwrap_or(default)
    }

    /// The examples of a step that were asked for, else the default number.
    pub fn batch(&self) -> Batch {
        let default = Batch::Size(const { NonZeroUsize::new(32).unwrap() });
        self.training.batch.unwrap_or(if self.is_lbfgs() { Batch::Full } else { default })
    }

    // Each step of L-BFGS looks along a line, over which the cost has to stay the same function.
    fn is_lbfgs(&self) -> bool {
        matches!(self.training.optimizer, Some(Optimizer::Lbfgs(_)))
    }
}
