//! The arguments of `dnn train`.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use dnn_core::{Initializer, Precision};
use dnn_data::augment::Augmentation;
use dnn_data::picture::{Filter, Fit};
use dnn_layers::Activation;
use dnn_train::{Batch, ClassWeights, GramChoice, Monitor, Optimizer, Schedule, Trainer};

use super::{PictureArguments, Threads};

pub(super) const EXAMPLES: &str = "\
Examples:
  dnn train                               the built-in handwritten digits, default settings
  dnn train mnist --hidden 512            what dnn fetch mnist has put into datasets
  dnn train photos                        a folder of pictures with a folder for each class
  dnn train photos --augment flip,shift=4 mirrored and moved anew in every epoch
  dnn train photos --bad-files skip       leave out what cannot be read, at most 5 % of it
  dnn train photos --early-stopping 10 --dropout 0.3 --class-weights balanced
  dnn train photos --find-lr              which learning rate to choose
  dnn train photos --time-limit 10m       the best of ten minutes
  dnn train --resume runs/photos-1        go on with a run that was interrupted
  dnn train --resume runs/photos-1 --epochs 100       or make it longer
  dnn train photos --from runs/photos-1/model.dnn     start from another model's weights
  dnn train --hidden none                 softmax regression: no hidden layer
  dnn train --optimizer sgd --batch full --epochs 500      gradient descent on all examples at once
  dnn train --json | jq .test.accuracy    for programs

With --json: train, validation and test (null if there is no such part), each with cost, accuracy,
baseline and examples; model_sha256, seconds, examples_per_second and run, the run folder; steps and
epochs made, ended_by (epochs, early-stopping, steps or time-limit), and best_epoch, after which the
weights are, where the best ones were kept (else null). Where numbers are to be found: r2 and
mean_absolute_error in place of accuracy, and as baseline the cost of always answering with their mean;
the costs of the history are shares of the variance of the training part's numbers.";

// The parts of the help.
const DATA: &str = "Data";
const NETWORK: &str = "Network";
const TRAINING: &str = "Training";
const STOPPING: &str = "Stopping";
const RUN_FOLDER: &str = "Run folder";

#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
pub(crate) struct TrainArguments {
    /// The data: a folder of pictures, in a folder for each class, in train and test folders with these,
    /// or named like cat.12.jpg; a folder with IDX files named as MNIST's (.gz too) or with CIFAR-10's
    /// batches; a file .npz or .h5 with arrays like `x_train` and `y_train`, or a folder with such files
    /// (labels that are stored as floats are numbers to be found: regression);
    /// or the name of a data set of `dnn fetch --list` that is in datasets or built in [default: digits,
    /// which are built in]
    pub(crate) data: Option<PathBuf>,
    /// Width and height that every picture file gets: `N` for both, or `WxH` [default: that of the model
    /// given by --from; else the pictures' own where it is the same in all and at most 64; else 64]
    #[arg(long, help_heading = DATA, value_name = "N|WxH", value_parser = parse_size)]
    pub(crate) size: Option<(usize, usize)>,
    /// How pictures of another shape come to it: stretch, pad or crop
    #[arg(long, help_heading = DATA, value_name = "FIT", default_value = "stretch")]
    pub(crate) resize: Fit,
    /// How pixels are interpolated: nearest, bilinear, bicubic or lanczos
    #[arg(long, help_heading = DATA, value_name = "FILTER", default_value = "bilinear")]
    pub(crate) filter: Filter,
    /// How pixels become numbers: unit (0 to 1), standardize (mean 0 and deviation 1 of each channel
    /// of the training part), or auto: standardize for colours, unit for grey
    #[arg(long, help_heading = DATA, value_name = "RULE", default_value = "auto")]
    pub(crate) scaling: Scaling,
    /// How training pictures are changed anew in every epoch, as in flip,shift=4,rotate=10; also
    /// crop=SHARE, brightness=X, contrast=X, saturation=X and cutout=N; or none
    #[arg(long, help_heading = DATA, value_name = "CHANGES", default_value = "none")]
    pub(crate) augment: Augmentation,
    #[command(flatten, next_help_heading = DATA)]
    pub(crate) pictures: PictureArguments,
    /// Widths of the hidden layers, or `none`
    #[arg(long, help_heading = NETWORK, value_name = "WIDTHS", default_value = "256,128", value_parser = parse_widths)]
    pub(crate) hidden: Widths,
    /// Activation of the hidden layers: identity, relu, leaky-relu or leaky-relu:SLOPE, elu or
    /// elu:SCALE, gelu, silu, softplus, tanh or sigmoid
    #[arg(long, help_heading = NETWORK, value_name = "NAME", default_value = "relu")]
    pub(crate) activation: Activation,
    /// Normalise what each hidden layer computes over the batch, before its activation
    #[arg(long, help_heading = NETWORK)]
    pub(crate) batch_norm: bool,
    /// Share of each hidden layer's numbers that training drops, anew in every step [default: 0.2, and 0 for
    /// lbfgs]
    #[arg(long, help_heading = NETWORK, value_name = "RATE", value_parser = parse_share)]
    pub(crate) dropout: Option<f64>,
    /// First weights: he-normal, he-uniform, xavier-normal, xavier-uniform, lecun-normal,
    /// lecun-uniform, inverse-sqrt, orthogonal, normal:S, uniform:L, constant:C or zeros
    #[arg(long, help_heading = NETWORK, value_name = "RULE", default_value = "he-normal")]
    pub(crate) init: Initializer,
    /// How parameters follow their gradient: sgd, momentum, nesterov, rmsprop, adagrad, adam, adamw
    /// or (for full batches) lbfgs, perhaps with settings of its own: `momentum:beta=0.95`, `adam:beta1=0.8,epsilon=1e-7`,
    /// `adamw:weight_decay=0.1`
    #[arg(long, help_heading = TRAINING, value_name = "NAME", default_value = "adam")]
    pub(crate) optimizer: Optimizer,
    /// Size of a step [default: 0.1 for sgd, 0.01 for momentum, nesterov and adagrad, 1 for lbfgs, 0.001 for
    /// the others]
    #[arg(long, help_heading = TRAINING, value_name = "RATE")]
    pub(crate) learning_rate: Option<f64>,
    /// How the learning rate changes over the run: constant, inverse-time, staircase, step, exponential,
    /// cosine, one-cycle, or plateau, which looks at what `--monitor` names; perhaps with settings of its
    /// own: `step:factor=0.5,every=20`, `exponential:factor=0.98`, `one-cycle:rise=0.2`,
    /// `plateau:patience=5` [default: exponential:factor=0.9, and constant for lbfgs]
    #[arg(long, help_heading = TRAINING, value_name = "NAME")]
    pub(crate) schedule: Option<Schedule>,
    /// L2 regularisation: lambda / (2 m) times the sum of all squared weights, m the training examples, is
    /// added to the cost
    #[arg(long, help_heading = TRAINING, value_name = "LAMBDA", default_value_t = 0.0)]
    pub(crate) l2: f64,
    /// Scale a gradient down to this norm if it is longer
    #[arg(long, help_heading = TRAINING, value_name = "NORM")]
    pub(crate) clip_norm: Option<f64>,
    /// Cut each number of a gradient off at this value and its negative
    #[arg(long, help_heading = TRAINING, value_name = "VALUE", conflicts_with = "clip_norm")]
    pub(crate) clip_value: Option<f64>,
    /// Steps at the beginning over which the learning rate rises to what the schedule says
    #[arg(long, help_heading = TRAINING, value_name = "STEPS", default_value_t = 0)]
    pub(crate) warm_up: u64,
    /// How much the examples of each class count: equal, balanced (every class alike, however many examples
    /// it has), or a number for each, as in `1,2.5`
    #[arg(long, help_heading = TRAINING, value_name = "WEIGHTS", default_value_t = ClassWeights::default())]
    pub(crate) class_weights: ClassWeights,
    /// Share of each class target that goes to all classes alike
    #[arg(long, help_heading = TRAINING, value_name = "SHARE", default_value_t = 0.0, value_parser = parse_share)]
    pub(crate) label_smoothing: f64,
    /// Passes over the training examples
    #[arg(long, help_heading = TRAINING, value_name = "N", default_value = "30", value_parser = parse_epochs)]
    pub(crate) epochs: u64,
    /// Examples per step, or `full` for all of them [default: 32, and full for lbfgs]
    #[arg(long, help_heading = TRAINING, value_name = "N|full")]
    pub(crate) batch: Option<Batch>,
    /// Whether gradient descent on full batches works on the products of the pictures with each other: auto,
    /// where that is fewer operations, always or never
    #[arg(long, help_heading = TRAINING, value_name = "CHOICE", default_value_t = GramChoice::default())]
    pub(crate) gram: GramChoice,
    /// End the run when so many epochs in a row brought no improvement, and keep the best weights: those after
    /// the epoch that was best by `--monitor`
    #[arg(long, help_heading = STOPPING, value_name = "EPOCHS")]
    pub(crate) early_stopping: Option<NonZeroU64>,
    /// For `--early-stopping`, an improvement is by more than this over the last improvement; which weights are
    /// kept does not depend on it
    #[arg(long, help_heading = STOPPING, value_name = "DELTA", default_value_t = 0.0, requires = "early_stopping")]
    pub(crate) min_delta: f64,
    /// What epochs are compared by: validation-cost, validation-accuracy, cost or accuracy [default:
    /// validation-cost, or cost without a validation part]
    #[arg(long, help_heading = STOPPING, value_name = "NAME")]
    pub(crate) monitor: Option<Monitor>,
    /// End with the weights of the best epoch; early stopping does so too
    #[arg(long, help_heading = STOPPING)]
    pub(crate) restore_best: bool,
    /// Fit a temperature to the validation part after training, and divide the logits by it: probabilities
    /// become as sure as they are right. The fewer validation pictures, the nearer it stays to 1; where all are
    /// answered rightly it is 1
    #[arg(long, help_heading = TRAINING)]
    pub(crate) calibrate: bool,
    /// End the run after so many steps, in the middle of an epoch if need be
    #[arg(long, help_heading = STOPPING, value_name = "N")]
    pub(crate) steps: Option<NonZeroU64>,
    /// End the run after this time, as in 90s, 10m or 1h30m; the model tells the step
    #[arg(long, help_heading = STOPPING, value_name = "TIME", value_parser = parse_time)]
    pub(crate) time_limit: Option<Duration>,
    /// Share of the data kept for the test, if it has no test part of its own; 0 for none. Which
    /// examples these are does not depend on --seed [default: 0.2]
    #[arg(long, help_heading = DATA, value_name = "SHARE", value_parser = parse_share)]
    pub(crate) split: Option<f64>,
    /// Share of the training part kept for validation; 0 for none
    #[arg(long, help_heading = DATA, value_name = "SHARE", default_value = "0.1", value_parser = parse_share)]
    pub(crate) validation: f64,
    /// Seed of first weights, shuffling, dropout, augmentation and validation part
    #[arg(long, help_heading = TRAINING, value_name = "N", default_value_t = Trainer::default().seed)]
    pub(crate) seed: u64,
    /// Numbers to compute in: f32 or f64
    #[arg(long, help_heading = NETWORK, value_name = "TYPE", default_value = "f32")]
    pub(crate) precision: Precision,
    #[command(flatten)]
    pub(crate) threads: Threads,
    /// The run folder to make; one in which a run was only begun is taken, too [default: runs/NAME-1, -2,
    /// …]; with --find-lr the drawing, if it ends in .svg
    #[arg(long, help_heading = RUN_FOLDER, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Go on with the run in this folder, to the same model as if it had never ended. More `--epochs` extend
    /// it; other settings or data are refused
    #[arg(long, help_heading = RUN_FOLDER, value_name = "RUN", conflicts_with_all = ["out", "from", "find_lr"])]
    pub(crate) resume: Option<PathBuf>,
    /// Start from the weights of this model, or that of a run folder, instead of drawn ones; its layers,
    /// dropout and scaling come with it
    #[arg(long, help_heading = NETWORK, value_name = "MODEL")]
    pub(crate) from: Option<PathBuf>,
    /// Save the run every so many steps [default: once a minute; at its end always]
    #[arg(long, help_heading = RUN_FOLDER, value_name = "STEPS")]
    pub(crate) checkpoint_every: Option<NonZeroU64>,
    /// How many of the latest checkpoints to keep
    #[arg(long, help_heading = RUN_FOLDER, value_name = "N", default_value = "1")]
    pub(crate) keep_last: NonZeroUsize,
    /// Also save, and keep for good, the run at every step that is a multiple of this
    #[arg(long, help_heading = RUN_FOLDER, value_name = "STEPS")]
    pub(crate) keep_every: Option<NonZeroU64>,
    /// Keep the model after the best epoch as best.dnn, all the time
    #[arg(long, help_heading = RUN_FOLDER)]
    pub(crate) keep_best: bool,
    /// Also write the history as events for TensorBoard
    #[arg(long, help_heading = RUN_FOLDER)]
    pub(crate) tensorboard: bool,
    /// Train for a short time at rising learning rates, say which to choose, and leave no run folder; with
    /// `--out` also a drawing
    #[arg(long, help_heading = TRAINING)]
    pub(crate) find_lr: bool,
    /// Do not say how far training or a search has come
    #[arg(long)]
    pub(crate) quiet: bool,
    /// Write one JSON object to standard output instead of a summary
    #[arg(long)]
    pub(crate) json: bool,
    /// The names of the flags that the user gave, which have to have an effect.
    #[arg(skip)]
    pub(crate) given: Vec<String>,
}

/// How pixels become numbers.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Scaling {
    Auto,
    Unit,
    Standardize,
}

/// Widths of hidden layers; a type of its own, because clap gives a plain list another meaning.
#[derive(Debug, Clone)]
pub(crate) struct Widths(pub(crate) Vec<usize>);

fn parse_widths(text: &str) -> Result<Widths, String> {
    if text == "none" {
        return Ok(Widths(Vec::new()));
    }
    let width = |part: &str| {
        part.trim().parse().ok().filter(|&width| width > 0).ok_or_else(|| {
            format!("expected whole numbers of at least 1 like 20,7,5, or none; found `{part}`")
        })
    };
    text.split(',').map(width).collect::<Result<_, _>>().map(Widths)
}

fn parse_size(text: &str) -> Result<(usize, usize), String> {
    let sides = text.split_once('x').unwrap_or((text, text));
    let side = |text: &str| text.parse().ok().filter(|side| (1..=1 << 14).contains(side));
    side(sides.0).zip(side(sides.1)).ok_or_else(|| {
        format!("expected sides of 1 to 16384 pixels like 64 or 96x64, found `{text}`")
    })
}

fn parse_epochs(text: &str) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|&epochs| epochs > 0)
        .ok_or_else(|| format!("expected a whole number of at least 1, found `{text}`"))
}

fn parse_share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|share| (0.0..1.0).contains(share)).ok_or_else(|| {
        format!("expected a number from 0 up to but not including 1, found `{text}`")
    })
}

/// Seconds, or a number of hours, minutes and seconds.
fn parse_time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("expected a time like 90s, 10m or 1h30m, found `{text}`");
    let (mut seconds, mut digits) = (0_u64, String::new());
    let unit_or_nothing = |digits: &str, unit: u64| {
        digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit))
    };
    for c in text.chars() {
        let unit = match c {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => {
                digits.push(c);
                continue;
            }
        };
        let part = unit_or_nothing(&digits, unit).ok_or_else(wrong)?;
        seconds = seconds.checked_add(part).ok_or_else(wrong)?;
        digits.clear();
    }
    if !digits.is_empty() {
        let part = unit_or_nothing(&digits, 1).ok_or_else(wrong)?;
        seconds = seconds.checked_add(part).ok_or_else(wrong)?;
    }
    if seconds == 0 { Err(wrong()) } else { Ok(Duration::from_secs(seconds)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_hours_minutes_and_seconds() {
        for (text, seconds) in
            [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("2h5s", 7205)]
        {
            assert_eq!(parse_time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "0", "m", "1d", "-5s", "99999999999999999999s", "6000000000000000h"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }
}
