//! `dnn train`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use dnn_core::{CoreError, Element, PixelScaling, Precision, Purpose, RandomStream, kernel_path};
use dnn_data::augment::Augmenter;
use dnn_data::picture::Preprocessing;
use dnn_data::{DataError, Dataset, ImageDataset, ImageShape, LoadOptions};
use dnn_layers::{InputShape, Network, Provenance};
use dnn_store::Scalar;
use dnn_train::{Augment, Clip, Evaluation, Event, Schedule, TrainError, Trainer, Warning};
use serde::Serialize;
use serde_json::json;

use crate::args::{Scaling, TrainArguments};
use crate::data;
use crate::failure::Refusal;
use crate::output::{self, note};
use crate::parts::{self, Parts, Plan};
use crate::progress::Progress;
use crate::run_folder::RunFolder;

/// This program and its version, as models record it.
pub(crate) const SOFTWARE: &str = concat!("dnn ", env!("CARGO_PKG_VERSION"));

/// The share of the test part, unless the command line or the data says otherwise.
const DEFAULT_SPLIT: f64 = 0.2;

/// The settings that a model's numbers follow from, with the data, seed and kernels.
#[derive(Debug, Serialize)]
struct Settings {
    hidden: String,
    activation: String,
    init: String,
    optimizer: String,
    learning_rate: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warm_up: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    l2: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clip: Option<String>,
    epochs: String,
    batch: String,
    split: String,
    validation: String,
    precision: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    augment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preprocessing: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scaling: Option<String>,
}

impl Settings {
    fn new<T: Element>(
        arguments: &TrainArguments,
        plan: Plan,
        network: &Network<T>,
        preprocessing: Option<Preprocessing>,
    ) -> Self {
        let scaling = network.scaling();
        let widths: Vec<String> = arguments.hidden.0.iter().map(usize::to_string).collect();
        Self {
            hidden: if widths.is_empty() { "none".to_owned() } else { widths.join(",") },
            activation: arguments.activation.to_string(),
            init: arguments.init.to_string(),
            optimizer: arguments.optimizer.to_string(),
            learning_rate: learning_rate(arguments).to_string(),
            schedule: (arguments.schedule != Schedule::Constant)
                .then(|| arguments.schedule.to_string()),
            warm_up: (arguments.warm_up > 0).then(|| arguments.warm_up.to_string()),
            l2: (arguments.l2 > 0.0).then(|| arguments.l2.to_string()),
            clip: match clip(arguments) {
                Clip::Norm(limit) => Some(format!("norm {limit}")),
                Clip::Value(limit) => Some(format!("value {limit}")),
                _ => None,
            },
            epochs: arguments.epochs.to_string(),
            batch: arguments.batch.to_string(),
            split: plan.split.to_string(),
            validation: plan.validation.to_string(),
            precision: arguments.precision.to_string(),
            augment: (!arguments.augment.is_none()).then(|| arguments.augment.to_string()),
            preprocessing: preprocessing.map(|preprocessing| preprocessing.to_string()),
            scaling: (scaling != PixelScaling::default()).then(|| scaling.to_string()),
        }
    }

    /// The settings by name, as provenance keeps them.
    fn by_name(&self) -> anyhow::Result<BTreeMap<String, String>> {
        Ok(serde_json::from_value(serde_json::to_value(self)?)?)
    }
}

/// `config.json`: all that was chosen for a run.
#[derive(Debug, Serialize)]
struct Config<'a> {
    software: &'static str,
    kernel_path: &'static str,
    data: &'a str,
    data_sha256: &'a str,
    seed: u64,
    threads: usize,
    settings: &'a Settings,
}

pub(crate) fn run(arguments: &TrainArguments) -> anyhow::Result<ExitCode> {
    if cfg!(debug_assertions) {
        note("warning: this is a debug build; cargo run --release is several times faster");
    }
    match arguments.precision {
        Precision::F32 => train::<f32>(arguments),
        Precision::F64 => train::<f64>(arguments),
    }
}

fn train<T: Element + Scalar>(arguments: &TrainArguments) -> anyhow::Result<ExitCode> {
    let trainer = trainer::<T>(arguments)?;
    let threads = arguments.threads.start()?;
    let source = data::load(arguments.data.as_deref(), &options(arguments))?;
    let (code, data, report) = (source.exit_code(), source.data, source.report);
    let data_sha256 = parts::fingerprint(&data);
    let name = data.name.clone();
    if data.test.is_some() && arguments.split.is_some() {
        note(&format!("note: {} has a test part of its own; --split is not used", data.name));
    }
    let plan = plan(arguments, &data);
    let parts = divide(data, plan)?;
    let mut network = build::<T>(arguments, &parts.train)?;
    let trainer = Trainer { augment: augment(arguments, parts.train.shape())?, ..trainer };
    trainer.check_memory(&network, parts.train.len(), parts.train.len())?;
    let folder = RunFolder::create(arguments.out.as_deref(), &name)?;
    let preprocessing = report.is_some().then(|| preprocessing(arguments));
    let settings = Settings::new(arguments, plan, &network, preprocessing);
    if let Some(report) = &report {
        folder.write_report(report)?;
    }
    if let Some(table) = parts.table() {
        folder.write_split(&table)?;
    }
    folder.write_config(&Config {
        software: SOFTWARE,
        kernel_path: kernel_path(),
        data: &name,
        data_sha256: &data_sha256,
        seed: arguments.seed,
        threads,
        settings: &settings,
    })?;

    let seconds = fit(&trainer, &mut network, &parts, &folder)?;

    network.set_provenance(Provenance {
        software: SOFTWARE.to_owned(),
        kernel_path: kernel_path().to_owned(),
        data_sha256,
        seed: arguments.seed,
        settings: settings.by_name()?,
    });
    let bytes = network.to_bytes()?;
    dnn_store::commit(&folder.model(), &bytes)?;
    // After saving: whatever the measuring meets, the training is not lost.
    let measured = parts::measure(&network, parts.each())
        .with_context(|| format!("{} is saved, but", folder.model().display()))?;
    let trained = parts.train.len() as f64 * arguments.epochs as f64;
    let outcome = Outcome {
        measured: &measured,
        model_sha256: dnn_store::sha256_hex(&bytes),
        seconds,
        examples_per_second: trained / seconds,
        threads,
        folder: &folder,
    };
    outcome.print(arguments.json)?;
    Ok(code)
}

/// The rate that was asked for, else the optimiser's usual one.
fn learning_rate(arguments: &TrainArguments) -> f64 {
    arguments.learning_rate.unwrap_or_else(|| arguments.optimizer.usual_learning_rate())
}

/// What becomes of gradients that are too large.
fn clip(arguments: &TrainArguments) -> Clip {
    let norm = arguments.clip_norm.map(Clip::Norm);
    norm.or(arguments.clip_value.map(Clip::Value)).unwrap_or_default()
}

/// How pictures come to the shape that was asked for.
fn preprocessing(arguments: &TrainArguments) -> Preprocessing {
    let (width, height) = arguments.size;
    let shape = ImageShape { height, width, channels: 3 };
    Preprocessing { shape, fit: arguments.resize, filter: arguments.filter }
}

fn options(arguments: &TrainArguments) -> LoadOptions {
    arguments.pictures.options(preprocessing(arguments))
}

/// The changes of the training pictures that were asked for.
fn augment(arguments: &TrainArguments, shape: ImageShape) -> Result<Option<Augment>, DataError> {
    if arguments.augment.is_none() {
        return Ok(None);
    }
    let augmenter = Augmenter::new(&arguments.augment, arguments.seed, shape)?;
    let change = move |epoch, example, pixels: &[u8], out: &mut [u8]| {
        augmenter.apply(epoch, example, pixels, out);
    };
    Ok(Some(Augment::new(change)))
}

/// The scaling that was asked for, with the statistics of the training part.
fn scaling(rule: Scaling, train: &ImageDataset) -> Result<PixelScaling, CoreError> {
    let channels = train.shape().channels;
    let standardize = match rule {
        Scaling::Auto => channels > 1,
        Scaling::Unit => false,
        Scaling::Standardize => true,
    };
    if !standardize {
        return Ok(PixelScaling::default());
    }
    let statistics = train.channel_statistics();
    // A channel that is the same everywhere tells nothing; any deviation but 0 will do.
    let deviation = |found: f64| if found > 0.0 { found } else { 1.0 };
    let means: Vec<f64> = statistics.iter().map(|one| one.mean / 255.0).collect();
    let deviations: Vec<f64> =
        statistics.iter().map(|one| deviation(one.deviation / 255.0)).collect();
    PixelScaling::per_channel(&means, &deviations)
}

/// How `data` is divided; a test part of its own is used as it is.
fn plan(arguments: &TrainArguments, data: &Dataset) -> Plan {
    let split = if data.test.is_some() { 0.0 } else { arguments.split.unwrap_or(DEFAULT_SPLIT) };
    let validation = if data.validation.is_some() { 0.0 } else { arguments.validation };
    Plan { split, validation, seed: arguments.seed }
}

fn divide(data: Dataset, plan: Plan) -> anyhow::Result<Parts> {
    let (name, shape) = (data.name.clone(), data.train.shape());
    let parts = Parts::divide(data, plan)?;
    let counts: Vec<String> =
        parts.each().map(|(name, part)| format!("{} {name}", part.len())).collect();
    let classes = parts.train.class_names().len();
    let with_examples: Vec<&String> = (parts.train.class_names().iter())
        .zip(parts.train.class_counts())
        .filter_map(|(name, count)| (count > 0).then_some(name))
        .collect();
    if let [only] = with_examples[..] {
        let message = format!("{name}: expected examples of at least 2 classes, found only {only}");
        return Err(Refusal::Data(message).into());
    }
    if with_examples.len() < classes {
        let without = classes - with_examples.len();
        note(&format!("warning: {without} of the {classes} classes have no training examples"));
    }
    note(&format!("{name}: pictures of {shape}, {classes} classes; {}", counts.join(", ")));
    Ok(parts)
}

fn build<T: Element>(
    arguments: &TrainArguments,
    train: &ImageDataset,
) -> anyhow::Result<Network<T>> {
    let shape = train.shape();
    let input = InputShape::picture(shape.height, shape.width, shape.channels);
    let mut stream = RandomStream::new(arguments.seed, Purpose::Initialization, 0);
    let network = Network::<T>::builder(input)
        .hidden(&arguments.hidden.0, arguments.activation)
        .classes(train.class_names())
        .initializer(arguments.init)
        .scaling(scaling(arguments.scaling, train)?)
        .build(&mut stream)?;
    Ok(network)
}

/// The run that was asked for.
fn trainer<T: Element>(arguments: &TrainArguments) -> Result<Trainer, TrainError> {
    let trainer = Trainer {
        optimizer: arguments.optimizer,
        learning_rate: learning_rate(arguments),
        schedule: arguments.schedule,
        warm_up: arguments.warm_up,
        l2: arguments.l2,
        clip: clip(arguments),
        batch: arguments.batch,
        epochs: arguments.epochs,
        seed: arguments.seed,
        ..Trainer::default()
    };
    trainer.check::<T>()?;
    Ok(trainer)
}

/// Trains, and gives the seconds it took.
fn fit<T: Element>(
    trainer: &Trainer,
    network: &mut Network<T>,
    parts: &Parts,
    folder: &RunFolder,
) -> anyhow::Result<f64> {
    let mut history = folder.start_history()?;
    let progress = Progress::new(trainer.epochs);
    let mut unwritten = None;
    let training = parts::examples(network, &parts.train);
    let validation = parts.validation.as_ref().map(|part| parts::examples(network, part));
    let classes = parts.train.class_names();
    let start = Instant::now();
    let outcome = trainer.fit(network, &training, validation.as_ref(), &mut |event| {
        match event {
            Event::Epoch(record) => {
                progress.epoch(record);
                if let Err(error) = history.append(record) {
                    unwritten = Some(error);
                    return ControlFlow::Break(());
                }
            }
            Event::Warning(warning) => progress.note(&warning_text(warning, classes)),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    let seconds = start.elapsed().as_secs_f64();
    progress.finish();
    if outcome.is_err() || unwritten.is_some() {
        note(&format!("no model was saved; {} keeps the history", folder.path().display()));
    }
    outcome?;
    unwritten.map_or(Ok(seconds), Err)
}

/// A warning, with the name of the class that it gives by number.
fn warning_text(warning: &Warning, classes: &[String]) -> String {
    match warning {
        Warning::SingleClass { class, .. } => {
            format!("warning: {warning} (class {class} is `{}`)", classes[*class])
        }
        _ => format!("warning: {warning}"),
    }
}

/// What a run has come to.
struct Outcome<'a> {
    measured: &'a [(&'static str, Evaluation)],
    model_sha256: String,
    seconds: f64,
    examples_per_second: f64,
    threads: usize,
    folder: &'a RunFolder,
}

impl Outcome<'_> {
    fn print(&self, as_json: bool) -> anyhow::Result<()> {
        if as_json {
            let part = |wanted: &str| {
                let found = self.measured.iter().find(|(name, _)| *name == wanted);
                found.map(|(_, evaluation)| output::evaluation_json(evaluation))
            };
            return output::print_json(&json!({
                "train": part("train"),
                "validation": part("validation"),
                "test": part("test"),
                "model_sha256": self.model_sha256,
                "seconds": self.seconds,
                "examples_per_second": self.examples_per_second,
                "run": self.folder.path().display().to_string(),
            }));
        }
        let table =
            output::evaluation_table(self.measured.iter().map(|(name, part)| (*name, part)));
        let text = format!(
            "{table}\ntime     {:.2} s on {} threads, {:.0} examples/s\nmodel    {}\nsha256   {}\n",
            self.seconds,
            self.threads,
            self.examples_per_second,
            self.folder.model().display(),
            self.model_sha256
        );
        output::print(&text)
    }
}
