//! The settings of a run: the one source of them.
//!
//! Made from flags or a TOML file, written to the run folder and into the model as they are, and read back from
//! there. A new setting is a field here, with its default, and the code that uses it.

mod defaults;
mod file;
mod network_line;
mod texts;
mod values;

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};

use dnn_core::Initializer;
use dnn_data::augment::Augmentation;
use dnn_data::picture::{Filter, Fit};
use dnn_layers::Activation;
use dnn_train::{Batch, ClassWeights, GramChoice, Mixing, Monitor, Optimizer, Schedule};
use serde::{Deserialize, Serialize};

pub(crate) use self::network_line::is_completed;
pub use self::network_line::{LineLayer, NetworkLine};
pub use self::texts::Settings;
pub use self::values::{
    BadFilePolicy, PictureSize, ScalingRule, SizeFrom, TimeLimit, TrainingPrecision, TrainingSizes,
    Widths,
};
use self::values::{lossy_path, parse_count, parse_percent, parse_share, text};
use crate::error::{Result, RunError};

/// The settings of a run.
///
/// # Examples
/// ```
/// use dnn_run::RunConfig;
///
/// let config = RunConfig::from_toml("[network]\nhidden = [64, 32]\n\n[training]\nepochs = 5\n")?;
/// assert_eq!(config.hidden().0, [64, 32]);
/// assert_eq!(RunConfig::from_toml(&config.to_toml()?)?, config);
/// let error = RunConfig::from_toml("[training]\nepoch = 5\n").unwrap_err().to_string();
/// assert!(error.starts_with("line 2 (epoch = 5): unknown field `epoch`, expected one of"), "{error}");
/// # Ok::<(), dnn_run::RunError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct RunConfig {
    /// What is trained on, and how pictures become numbers.
    #[cfg_attr(feature = "clap", command(flatten))]
    pub data: DataConfig,
    /// The layers, or the model that training starts from.
    #[cfg_attr(feature = "clap", command(flatten))]
    pub network: NetworkConfig,
    /// How the network is trained, and when that ends.
    #[cfg_attr(feature = "clap", command(flatten))]
    pub training: TrainingConfig,
    /// What is kept of the run while it goes on.
    #[cfg_attr(feature = "clap", command(flatten))]
    pub keeping: KeepingConfig,
}

/// What is trained on, and how pictures become numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct DataConfig {
    /// The data: a folder of pictures, in a folder for each class, in train and test folders with these,
    /// or named like cat.12.jpg; a folder with IDX files named as MNIST's (.gz too) or with CIFAR-10's
    /// batches; a file .npz or .h5 with arrays like `x_train` and `y_train`, or a folder with such files
    /// (labels that are stored as floats are numbers to be found: regression);
    /// or the name of a data set of `dnn fetch --list` that is in datasets or built in [default: digits,
    /// which are built in]
    #[serde(serialize_with = "lossy_path")]
    #[cfg_attr(feature = "clap", arg(value_name = "DATA"))]
    pub path: Option<PathBuf>,
    /// Width and height that every picture file gets in training: `N` for both, or `WxH`; or several, each but the
    /// first from a share of the epochs on, as in 48,64@0.5 [default: that of the model given by --from; else the
    /// pictures' own where it is the same in all and at most 64; else 64]
    #[serde(with = "text::option")]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Data", value_name = "N|WxH"))]
    pub size: Option<TrainingSizes>,
    /// The size that training pictures are kept in, from which `--augment` makes those of `--size` [default: the largest of
    /// the others]
    #[serde(with = "text::option")]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Data", value_name = "N|WxH"))]
    pub keep_size: Option<PictureSize>,
    /// The size in which the network is measured and predicts; another one than in training needs a network
    /// whose last pooling is global [default: the last of --size]
    #[serde(with = "text::option")]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Data", value_name = "N|WxH"))]
    pub evaluate_size: Option<PictureSize>,
    /// Answer by the mean of the logits of a picture and of its mirror, left for right; while training goes on,
    /// the validation part is measured without [default: false, and true for coloured pictures where --network auto
    /// chooses convolutions]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Data", value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, hide_possible_values = true))]
    pub evaluate_flip: Option<bool>,
    /// How pictures of another shape come to it: stretch, pad or crop
    #[serde(with = "text")]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Data", value_name = "FIT"))]
    pub resize: Fit,
    /// How pixels are interpolated: nearest, bilinear, bicubic or lanczos
    #[serde(with = "text")]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Data", value_name = "FILTER"))]
    pub filter: Filter,
    /// How pixels become numbers: unit (0 to 1), standardize (mean 0 and deviation 1 of each channel
    /// of the training part), or auto: standardize for colours, unit for grey
    #[serde(with = "text")]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Data", value_name = "RULE"))]
    pub scaling: ScalingRule,
    /// How training pictures are changed anew in every epoch, as in flip,shift=4,rotate=10; also
    /// crop=SHARE, ratio=X, alternating-flip, brightness=X, contrast=X, saturation=X and cutout=N; or none
    /// [default: none, or what --network auto chooses]
    #[serde(with = "text::option")]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Data", value_name = "CHANGES"))]
    pub augment: Option<Augmentation>,
    /// Which files are used, and how they are read.
    #[cfg_attr(feature = "clap", command(flatten, next_help_heading = "Data"))]
    pub files: FilesConfig,
    /// Share of the data kept for the test, if it has no test part of its own; 0 for none. Which
    /// examples these are does not depend on --seed
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Data", value_name = "SHARE", value_parser = parse_share))]
    pub split: f64,
    /// Share of the training part kept for validation; 0 for none
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Data", value_name = "SHARE", value_parser = parse_share))]
    pub validation: f64,
}

/// Which picture files are used, and how they are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct FilesConfig {
    /// Picture files that cannot be used: stop at the first, skip them, or quarantine (move them to
    /// .quarantine inside the data)
    #[serde(with = "text")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "POLICY"))]
    pub bad_files: BadFilePolicy,
    /// The largest share of bad files to leave out, in percent
    #[cfg_attr(feature = "clap", arg(long, value_name = "PERCENT", value_parser = parse_percent))]
    pub max_bad: f64,
    /// Use damaged JPEG files as far as they go
    #[cfg_attr(feature = "clap", arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, hide_possible_values = true))]
    pub lenient: bool,
    /// Decode the pictures anew, and do not keep them in the cache
    #[cfg_attr(feature = "clap", arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, hide_possible_values = true))]
    pub no_cache: bool,
}

/// The layers, or the model that training starts from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct NetworkConfig {
    /// All layers in one line: `auto` (chosen by the pictures, with all settings here that are not given; see the end of
    /// `dnn train --help`), `dense:256,128` (as `--hidden 256,128`), `conv:16,32,64` (a convolution and
    /// pooling for each width, then a dense layer), `resnet:16,32` (a residual block behind each), or every layer spelled out, as in `conv 16, pool,
    /// conv 32 5x5, pool, flatten, dense 64`; see the end of `dnn train --help`
    #[serde(with = "text::option")]
    #[cfg_attr(
        feature = "clap",
        arg(long, help_heading = "Network", value_name = "LINE", conflicts_with = "hidden")
    )]
    pub network: Option<NetworkLine>,
    /// Widths of the hidden layers, or `none` [default: 256,128 where --network auto chooses no convolutions]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Network", value_name = "WIDTHS"))]
    pub hidden: Option<Widths>,
    /// Activation after each hidden layer and convolution: identity, relu, relu6, leaky-relu or leaky-relu:SLOPE, elu
    /// or elu:SCALE, gelu, silu, hard-swish, softplus, tanh or sigmoid
    #[serde(with = "text")]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Network", value_name = "NAME"))]
    pub activation: Activation,
    /// Normalise what each hidden layer and convolution computes over the batch, before its activation [default: false,
    /// or what --network auto chooses]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Network", value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, hide_possible_values = true))]
    pub batch_norm: Option<bool>,
    /// Share of each hidden layer's numbers that training drops, anew in every step [default: 0.2, and 0 for
    /// lbfgs and lines with convolutions]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Network", value_name = "RATE", value_parser = parse_share))]
    pub dropout: Option<f64>,
    /// First weights: he-normal, he-uniform, xavier-normal, xavier-uniform, lecun-normal,
    /// lecun-uniform, inverse-sqrt, orthogonal, normal:S, uniform:L, constant:C or zeros
    #[serde(with = "text")]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Network", value_name = "RULE"))]
    pub init: Initializer,
    /// Numbers to train in: f32, f64; f32-direct: as f32, but without the fewer multiplications by which 3x3
    /// convolutions are faster; or bf16: as f32, but products of layers in bf16. That needs a processor with
    /// `AVX512_BF16`, and is faster for some networks on AMD's (from Zen 4 on), slower on Intel's
    #[serde(with = "text")]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Network", value_name = "TYPE"))]
    pub precision: TrainingPrecision,
    /// Start from the weights of this model, or that of a run folder, instead of drawn ones; its layers,
    /// dropout and scaling come with it
    #[serde(serialize_with = "lossy_path")]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Network", value_name = "MODEL"))]
    pub from: Option<PathBuf>,
}

/// How the network is trained, and when that ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct TrainingConfig {
    /// How parameters follow their gradient: sgd, momentum, nesterov, rmsprop, adagrad, adam, adamw, muon (for the
    /// weights of convolutions, and adamw for all else) or (for full batches) lbfgs, perhaps with settings of its own:
    /// `momentum:beta=0.95`, `adam:beta1=0.8,epsilon=1e-7`, `adamw:weight_decay=0.1`, `muon:adam_ratio=0.2` [default:
    /// adam, or what --network auto chooses]
    #[serde(with = "text::option")]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Training", value_name = "NAME"))]
    pub optimizer: Option<Optimizer>,
    /// Size of a step [default: 0.1 for sgd, 0.01 for momentum, nesterov and adagrad, 0.02 for muon, 1 for lbfgs,
    /// 0.001 for the others]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Training", value_name = "RATE"))]
    pub learning_rate: Option<f64>,
    /// How the learning rate changes over the run: constant, inverse-time, staircase, step, exponential,
    /// cosine, one-cycle, trapezoid, or plateau, which looks at what `--monitor` names; perhaps with settings of its
    /// own: `step:factor=0.5,every=20`, `exponential:factor=0.98`, `one-cycle:rise=0.2`,
    /// `plateau:patience=5` [default: exponential:factor=0.9, and constant for lbfgs]
    #[serde(with = "text::option")]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Training", value_name = "NAME"))]
    pub schedule: Option<Schedule>,
    /// L2 regularisation: lambda / (2 m) times the sum of all squared weights, m the training examples, is
    /// added to the cost
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Training", value_name = "LAMBDA"))]
    pub l2: f64,
    /// Scale a gradient down to this norm if it is longer
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Training", value_name = "NORM"))]
    pub clip_norm: Option<f64>,
    /// Cut each number of a gradient off at this value and its negative
    #[cfg_attr(
        feature = "clap",
        arg(long, help_heading = "Training", value_name = "VALUE", conflicts_with = "clip_norm")
    )]
    pub clip_value: Option<f64>,
    /// Steps at the beginning over which the learning rate rises to what the schedule says
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Training", value_name = "STEPS"))]
    pub warm_up: u64,
    /// How much the examples of each class count: equal, balanced (every class alike, however many examples
    /// it has), or a number for each, as in `1,2.5`
    #[serde(with = "text")]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Training", value_name = "WEIGHTS"))]
    pub class_weights: ClassWeights,
    /// Share of each class target that goes to all classes alike [default: 0, or what --network auto chooses]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Training", value_name = "SHARE", value_parser = parse_share))]
    pub label_smoothing: Option<f64>,
    /// Mix the training pictures of a step two by two, and their targets with them: mixup (pixel by pixel) or cutmix (a
    /// rectangle of the other picture), perhaps with settings of its own: `mixup:alpha=0.4`, `cutmix:share=1`
    #[serde(with = "text::option")]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Training", value_name = "NAME"))]
    pub mixing: Option<Mixing>,
    /// Begin with filters that whiten the training pictures as the weights of the first convolution, and leave these as
    /// they are
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Training", value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, hide_possible_values = true))]
    pub whitening: bool,
    /// Measure, keep and end with a moving average of the weights, of which this share stays at each step, as in 0.999
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Training", value_name = "SHARE", value_parser = parse_share))]
    pub weight_averaging: Option<f64>,
    /// Passes over the training examples [default: 30, or what --network auto chooses]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Training", value_name = "N", value_parser = parse_count))]
    pub epochs: Option<u64>,
    /// Examples per step, or `full` for all of them [default: 32, and full for lbfgs]
    #[serde(with = "text::option")]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Training", value_name = "N|full"))]
    pub batch: Option<Batch>,
    /// Whether gradient descent on full batches works on the products of the pictures with each other (the dual, or
    /// Gram, form): auto, where that is fewer operations, always or never
    #[serde(with = "text")]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Training", value_name = "CHOICE"))]
    pub gram: GramChoice,
    /// End the run when so many epochs in a row brought no improvement, and keep the best weights: those after
    /// the epoch that was best by `--monitor`
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Stopping", value_name = "EPOCHS"))]
    pub early_stopping: Option<NonZeroU64>,
    /// For `--early-stopping`, an improvement is by more than this over the last improvement; which weights are
    /// kept does not depend on it
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Stopping", value_name = "DELTA"))]
    pub min_delta: f64,
    /// What epochs are compared by: validation-cost, validation-accuracy, cost or accuracy [default:
    /// validation-cost, or cost without a validation part]
    #[serde(with = "text::option")]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Stopping", value_name = "NAME"))]
    pub monitor: Option<Monitor>,
    /// End with the weights of the best epoch; early stopping does so too
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Stopping", value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, hide_possible_values = true))]
    pub restore_best: bool,
    /// Fit a temperature to the validation part after training, and divide the logits by it: probabilities
    /// become as sure as they are right. The fewer validation pictures, the nearer it stays to 1; where all are
    /// answered rightly it is 1
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Training", value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, hide_possible_values = true))]
    pub calibrate: bool,
    /// End the run after so many steps, in the middle of an epoch if need be
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Stopping", value_name = "N"))]
    pub steps: Option<NonZeroU64>,
    /// End the run after this time, as in 90s, 10m or 1h30m; the model tells the step
    #[serde(with = "text::option")]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Stopping", value_name = "TIME"))]
    pub time_limit: Option<TimeLimit>,
    /// Choose the epochs, and with --network auto the network, so that training and the last measurement take about
    /// this time here, by how fast the first steps are; the choice is recorded, and repeated without a clock
    #[serde(with = "text::option")]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Stopping", value_name = "TIME"))]
    pub time_budget: Option<TimeLimit>,
    /// Seed of first weights, shuffling, dropout, augmentation and validation part
    #[serde(with = "text")]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Training", value_name = "N"))]
    pub seed: u64,
}

/// What is kept of a run while it goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct KeepingConfig {
    /// Save the run every so many steps [default: once a minute; at its end always]
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Run folder", value_name = "STEPS"))]
    pub checkpoint_every: Option<NonZeroU64>,
    /// How many of the latest checkpoints to keep
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Run folder", value_name = "N"))]
    pub keep_last: NonZeroUsize,
    /// Also save, and keep for good, the run at every step that is a multiple of this
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Run folder", value_name = "STEPS"))]
    pub keep_every: Option<NonZeroU64>,
    /// Keep the model after the best epoch as best.dnn, all the time
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Run folder", value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, hide_possible_values = true))]
    pub keep_best: bool,
    /// Also write the history as events for TensorBoard
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Run folder", value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, hide_possible_values = true))]
    pub tensorboard: bool,
}

/// The settings of the network that a model to start from brings with it.
const OF_THE_NETWORK: [&str; 7] =
    ["network", "hidden", "activation", "init", "batch_norm", "dropout", "scaling"];

/// The settings of the data that say where and how it lies there, or that the preprocessing says.
const NOT_OF_THE_MODEL: [&str; 11] = [
    "path",
    "size",
    "keep_size",
    "evaluate_size",
    "resize",
    "filter",
    "bad_files",
    "max_bad",
    "lenient",
    "no_cache",
    "from",
];

/// Texts of values that ask for nothing. Where such a one is the default, a model says nothing of it; so these
/// defaults stay.
const OFF: [&str; 5] = ["false", "0", "none", "equal", "auto"];

impl RunConfig {
    /// Every setting that has a value, by name.
    pub fn settings(&self) -> Settings {
        texts::of(self)
    }

    /// The configuration of these settings, with the defaults for the others.
    ///
    /// # Errors
    /// [`RunError::Usage`] for a name or a value that is none.
    pub fn from_settings(settings: &Settings) -> Result<Self> {
        texts::read(settings).map_err(RunError::Usage)
    }

    /// This configuration with other values of some settings.
    ///
    /// # Errors
    /// As [`from_settings`](Self::from_settings).
    pub fn with<'s>(&self, changes: impl IntoIterator<Item = (&'s str, &'s str)>) -> Result<Self> {
        let mut settings = self.settings();
        settings.extend(changes.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())));
        Self::from_settings(&settings)
    }

    /// The settings that a model's numbers follow from, beside the data and the seed: nothing of places, and
    /// nothing that is off.
    pub fn settings_of_model(&self) -> Settings {
        let mut settings = texts::of(&self.data);
        settings.extend(texts::of(&self.network));
        settings.extend(texts::of(&self.training));
        let defaults = Self::dense().settings();
        settings.retain(|name, text| {
            let is_off = OFF.contains(&text.as_str()) && defaults.get(name) == Some(text);
            let from_model = self.network.from.is_some() && OF_THE_NETWORK.contains(&name.as_str());
            let elsewhere = ["seed", "time_limit"].contains(&name.as_str());
            !is_off && !from_model && !elsewhere && !NOT_OF_THE_MODEL.contains(&name.as_str())
        });
        settings
    }

    /// Checks what the types of the settings leave open, and that they go together.
    ///
    /// # Errors
    /// [`RunError::Usage`] with the first setting that is wrong, and how it could be.
    pub fn check(&self) -> Result<()> {
        let Self { data, network, training, .. } = self;
        let share = |value: f64| parse_share(&value.to_string());
        let percent = parse_percent(&data.files.max_bad.to_string());
        let epochs = parse_count(&self.epochs().to_string()).map(|_| 0.0);
        for (name, checked) in [
            ("split", share(data.split)),
            ("validation", share(data.validation)),
            ("max_bad", percent),
            ("dropout", share(network.dropout.unwrap_or(0.0))),
            ("label_smoothing", share(self.label_smoothing())),
            ("weight_averaging", share(training.weight_averaging.unwrap_or(0.0))),
            ("epochs", epochs),
        ] {
            checked.map_err(|reason| RunError::Usage(format!("{name}: {reason}")))?;
        }
        for path in [&data.path, &network.from].into_iter().flatten() {
            check_path(path)?;
        }
        network.check()?;
        let usage = |message: &str| Err(RunError::Usage(message.to_owned()));
        if training.clip_norm.is_some() && training.clip_value.is_some() {
            return usage("clip_norm cannot be used with clip_value; leave one of the two out");
        }
        if training.min_delta > 0.0 && training.early_stopping.is_none() {
            return usage(
                "min_delta is for early stopping; give early_stopping a number of epochs",
            );
        }
        Ok(())
    }
}

impl NetworkConfig {
    /// Checks that a line of layers stands alone, and that there is a layer for whatever it names.
    fn check(&self) -> Result<()> {
        let Some(line) = self.network.as_ref().filter(|_| self.from.is_none()) else {
            return Ok(());
        };
        let usage = |message: &str| Err(RunError::Usage(message.to_owned()));
        if self.hidden.is_some() && *line != NetworkLine::Auto {
            return usage(
                "network cannot be used with hidden: each says what all layers are; leave one of the two out",
            );
        }
        if line.is_spelled_out() && self.dropout > Some(0.0) {
            return usage(
                "dropout cannot be used where the network line spells every layer out; say it in the line, as in \
                 `dense 64, dropout 0.3`",
            );
        }
        Ok(())
    }
}

/// Refuses a path that no record could hold.
pub(crate) fn check_path(path: &Path) -> Result<()> {
    if path.to_str().is_some() {
        return Ok(());
    }
    Err(RunError::Usage(format!("expected a path in UTF-8, found {}", path.display())))
}
