//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand, ValueEnum};
use dnn_core::{Initializer, Precision};
use dnn_data::augment::Augmentation;
use dnn_data::picture::{Decoding, Filter, Fit, Preprocessing};
use dnn_data::{BadFiles, LoadOptions};
use dnn_layers::Activation;
use dnn_train::{Batch, Optimizer, Schedule, Trainer};

const EXIT_CODES: &str = "\
Exit codes:
  0  all went well
  1  something unexpected
  2  the command line or a setting is wrong
  3  the data is wrong
  4  a file or folder cannot be read or written
  5  a model file is damaged
  6  training diverged: a number stopped being finite
  7  all went well, but for bad files that were left out";

const TRAIN_EXAMPLES: &str = "\
Examples:
  dnn train                               the built-in handwritten digits, default settings
  dnn train datasets/mnist --hidden 512   a folder with MNIST's four files
  dnn train photos                        a folder of pictures with a folder for each class
  dnn train photos --augment flip,shift=4 mirrored and moved anew in every epoch
  dnn train photos --bad-files skip       leave out what cannot be read, at most 5 % of it
  dnn train --hidden none                 softmax regression: no hidden layer
  dnn train photos --optimizer adam --batch 64 --schedule cosine
  dnn train --batch full --epochs 500     gradient descent on all examples at once
  dnn train --json | jq .test.accuracy    for programs

With --json: train, validation and test (null if there is no such part), each with cost, accuracy,
baseline and examples; model_sha256, seconds, examples_per_second and run, the run folder.";

const EVALUATE_EXAMPLES: &str = "\
Examples:
  dnn evaluate runs/digits-1/model.dnn                    on the parts of the built-in digits
  dnn evaluate runs/mnist-1/model.dnn datasets/mnist      on a folder";

const PREDICT_EXAMPLES: &str = "\
Examples:
  dnn predict runs/photos-1/model.dnn cat.jpg dog.jpg
  dnn predict runs/photos-1/model.dnn holiday --csv > holiday.csv
  dnn predict runs/photos-1/model.dnn cat.jpg --show seen     writes seen/cat.png
  dnn predict runs/digits-1/model.dnn pictures-idx3-ubyte
  dnn predict runs/digits-1/model.dnn pictures-idx3-ubyte --json | jq '.predictions[].class'";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  dnn doctor photos
  dnn doctor photos --json | jq '.findings[] | select(.kind == \"across-parts\")'

With --json: name, layout, class_names, parts (the count of each class), findings (kind, serious and
every case with its pictures and a detail) and compared.";

/// Train and use deep neural networks that classify pictures, on an ordinary CPU.
#[derive(Debug, Parser)]
#[command(name = "dnn", version, after_help = EXIT_CODES, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train a network, measure it, and keep it in a run folder.
    ///
    /// A run that fails or is interrupted before its last epoch is over leaves its settings and the
    /// history of its epochs in the run folder, but no model.
    #[command(after_help = TRAIN_EXAMPLES, allow_negative_numbers = true)]
    Train(Box<TrainArguments>),
    /// Measure a model on data.
    #[command(after_help = EVALUATE_EXAMPLES)]
    Evaluate(EvaluateArguments),
    /// Classify pictures.
    #[command(after_help = PREDICT_EXAMPLES)]
    Predict(PredictArguments),
    /// Show what a model is made of and where it came from.
    Inspect(InspectArguments),
    /// Fetch a public data set: download, verify, unpack.
    #[command(after_help = dnn_fetch::command::EXAMPLES.replace("PROGRAM", "dnn fetch"))]
    Fetch(dnn_fetch::command::FetchArguments),
    /// Look data over before training: bad files, classes, equal and nearly equal pictures.
    ///
    /// Nothing is changed. The exit code is 3 if something should be seen to before training: a file
    /// that cannot be used, a class that a part lacks, one picture under two labels or in two parts.
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArguments),
}

#[derive(Debug, Args)]
pub(crate) struct TrainArguments {
    /// The data: a folder of pictures, in a folder for each class, in train and test folders with these,
    /// or named like cat.12.jpg; a folder with IDX files named as MNIST's (.gz too) or with CIFAR-10's
    /// batches; a file .npz or .h5 with arrays like `x_train` and `y_train`, or a folder with such files
    /// [default: the built-in digits]
    pub(crate) data: Option<PathBuf>,
    /// Width and height that every picture gets: `N` for both, or `WxH`
    #[arg(long, value_name = "N|WxH", default_value = "64", value_parser = parse_size)]
    pub(crate) size: (usize, usize),
    /// How pictures of another shape come to it: stretch, pad or crop
    #[arg(long, value_name = "FIT", default_value = "stretch")]
    pub(crate) resize: Fit,
    /// How pixels are interpolated: nearest, bilinear, bicubic or lanczos
    #[arg(long, value_name = "FILTER", default_value = "bilinear")]
    pub(crate) filter: Filter,
    /// How pixels become numbers: unit (0 to 1), standardize (mean 0 and deviation 1 of each channel
    /// of the training part), or auto: standardize for colours, unit for grey
    #[arg(long, value_name = "RULE", default_value = "auto")]
    pub(crate) scaling: Scaling,
    /// How training pictures are changed anew in every epoch, as in flip,shift=4,rotate=10; also
    /// crop=SHARE, brightness=X, contrast=X, saturation=X and cutout=N; or none
    #[arg(long, value_name = "CHANGES", default_value = "none")]
    pub(crate) augment: Augmentation,
    #[command(flatten)]
    pub(crate) pictures: PictureArguments,
    /// Widths of the hidden layers, or `none`
    #[arg(long, value_name = "WIDTHS", default_value = "256,128", value_parser = parse_widths)]
    pub(crate) hidden: Widths,
    /// Activation of the hidden layers: identity, relu, leaky-relu or leaky-relu:SLOPE, elu or
    /// elu:SCALE, gelu, silu, softplus, tanh or sigmoid
    #[arg(long, value_name = "NAME", default_value = "relu")]
    pub(crate) activation: Activation,
    /// First weights: he-normal, he-uniform, xavier-normal, xavier-uniform, lecun-normal,
    /// lecun-uniform, inverse-sqrt, orthogonal, normal:S, uniform:L, constant:C or zeros
    #[arg(long, value_name = "RULE", default_value = "he-normal")]
    pub(crate) init: Initializer,
    /// How parameters follow their gradient: sgd, momentum, nesterov, rmsprop, adagrad, adam or adamw,
    /// perhaps with settings of its own: `momentum:beta=0.95`, `adam:beta1=0.8,epsilon=1e-7`,
    /// `adamw:weight_decay=0.1`
    #[arg(long, value_name = "NAME", default_value_t = Optimizer::default())]
    pub(crate) optimizer: Optimizer,
    /// Size of a step [default: 0.1 for sgd, 0.01 for momentum, nesterov and adagrad, 0.001 for the
    /// others]
    #[arg(long, value_name = "RATE")]
    pub(crate) learning_rate: Option<f64>,
    /// How the learning rate changes over the run: constant, inverse-time, staircase, step, exponential,
    /// cosine or one-cycle, perhaps with settings of its own: `step:factor=0.5,every=20`,
    /// `exponential:factor=0.98`, `one-cycle:rise=0.2`
    #[arg(long, value_name = "NAME", default_value_t = Schedule::default())]
    pub(crate) schedule: Schedule,
    /// L2 regularisation: lambda / (2 m) times the sum of all squared weights, m the training examples, is
    /// added to the cost
    #[arg(long, value_name = "LAMBDA", default_value_t = 0.0)]
    pub(crate) l2: f64,
    /// Scale a gradient down to this norm if it is longer
    #[arg(long, value_name = "NORM")]
    pub(crate) clip_norm: Option<f64>,
    /// Cut each number of a gradient off at this value and its negative
    #[arg(long, value_name = "VALUE", conflicts_with = "clip_norm")]
    pub(crate) clip_value: Option<f64>,
    /// Steps at the beginning over which the learning rate rises to what the schedule says
    #[arg(long, value_name = "STEPS", default_value_t = 0)]
    pub(crate) warm_up: u64,
    /// Passes over the training examples
    #[arg(long, value_name = "N", default_value_t = Trainer::default().epochs)]
    pub(crate) epochs: u64,
    /// Examples per step, or `full` for all of them
    #[arg(long, value_name = "N|full", default_value_t = Trainer::default().batch)]
    pub(crate) batch: Batch,
    /// Share of the data kept for the test, if it has no test part of its own; 0 for none. Which
    /// examples these are does not depend on --seed [default: 0.2]
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub(crate) split: Option<f64>,
    /// Share of the training part kept for validation; 0 for none
    #[arg(long, value_name = "SHARE", default_value = "0.1", value_parser = parse_share)]
    pub(crate) validation: f64,
    /// Seed of first weights, shuffling and validation part
    #[arg(long, value_name = "N", default_value_t = Trainer::default().seed)]
    pub(crate) seed: u64,
    /// Numbers to compute in: f32 or f64
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    pub(crate) precision: Precision,
    #[command(flatten)]
    pub(crate) threads: Threads,
    /// The run folder to make [default: runs/NAME-1, -2, …]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Write one JSON object to standard output instead of a summary
    #[arg(long)]
    pub(crate) json: bool,
}

/// What holds wherever picture files are read.
#[derive(Debug, Args)]
pub(crate) struct PictureArguments {
    /// Picture files that cannot be used: stop at the first, skip them, or quarantine (move them to
    /// .quarantine inside the data)
    #[arg(long, value_name = "POLICY", default_value = "stop")]
    bad_files: Policy,
    /// The largest share of bad files to put up with, in percent
    #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = parse_percent)]
    max_bad: f64,
    /// Use damaged JPEG files as far as they go
    #[arg(long)]
    lenient: bool,
    /// Decode the pictures anew, and do not keep them in the cache
    #[arg(long)]
    no_cache: bool,
}

impl PictureArguments {
    /// How pictures are loaded to have this preprocessing.
    pub(crate) fn options(&self, preprocessing: Preprocessing) -> LoadOptions {
        LoadOptions {
            decoding: Decoding { lenient: self.lenient, ..Decoding::default() },
            bad_files: match self.bad_files {
                Policy::Stop => BadFiles::Stop,
                Policy::Skip => BadFiles::Skip,
                Policy::Quarantine => BadFiles::Quarantine,
            },
            max_bad: self.max_bad / 100.0,
            cache: if self.no_cache { None } else { dnn_data::cache_folder() },
            ..LoadOptions::new(preprocessing)
        }
    }
}

/// What becomes of files that cannot be used.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Policy {
    Stop,
    Skip,
    Quarantine,
}

/// How pixels become numbers.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Scaling {
    Auto,
    Unit,
    Standardize,
}

#[derive(Debug, Args)]
pub(crate) struct Threads {
    /// Threads to run on; the result is the same for any number [default: one per core]
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    threads: Option<NonZeroUsize>,
}

impl Threads {
    /// Starts the program's one thread pool, and says how many threads it has.
    pub(crate) fn start(&self) -> anyhow::Result<usize> {
        let threads = self.threads.map_or(0, NonZeroUsize::get);
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()
            .with_context(|| format!("cannot start {threads} threads; try fewer with --threads"))?;
        Ok(rayon::current_num_threads())
    }
}

#[derive(Debug, Args)]
pub(crate) struct EvaluateArguments {
    /// The model file
    pub(crate) model: PathBuf,
    /// The folder with the data [default: the built-in digits, if the model was trained on them]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) pictures: PictureArguments,
    #[command(flatten)]
    pub(crate) threads: Threads,
    /// Also say, for each part and class: precision, recall, F1 and ROC AUC; log loss, Brier score,
    /// calibration, and which class was called which
    #[arg(long)]
    pub(crate) metrics: bool,
    /// Write one JSON object to standard output instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PredictArguments {
    /// The model file
    pub(crate) model: PathBuf,
    /// Picture files, folders of them, or IDX files (.gz too)
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Leave out files that cannot be used, instead of stopping at the first
    #[arg(long)]
    pub(crate) skip_bad: bool,
    /// Also write what the network sees of each picture file, as PNG, into this folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) show: Option<PathBuf>,
    /// Write comma-separated values to standard output instead of a table
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
    #[command(flatten)]
    pub(crate) threads: Threads,
    /// Write one JSON object to standard output instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    /// The model file
    pub(crate) model: PathBuf,
    /// Write one JSON object to standard output instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// The folder with the data, as for train
    pub(crate) data: PathBuf,
    /// Take damaged JPEG files for usable as far as they go
    #[arg(long)]
    pub(crate) lenient: bool,
    /// Cases to show of each finding, at most
    #[arg(long, value_name = "N", default_value = "3")]
    pub(crate) rows: usize,
    #[command(flatten)]
    pub(crate) threads: Threads,
    /// Write one JSON object with everything to standard output instead of text
    #[arg(long)]
    pub(crate) json: bool,
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

fn parse_percent(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|percent| (0.0..=100.0).contains(percent))
        .ok_or_else(|| format!("expected a number from 0 to 100, found `{text}`"))
}

fn parse_share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|share| (0.0..1.0).contains(share)).ok_or_else(|| {
        format!("expected a number from 0 up to but not including 1, found `{text}`")
    })
}

fn parse_threads(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .ok()
        .filter(|threads: &NonZeroUsize| threads.get() <= 1024)
        .ok_or_else(|| format!("expected a whole number from 1 to 1024, found `{text}`"))
}
