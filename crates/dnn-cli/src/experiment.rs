//! What a command line asks for: data, a network, a trainer.

use std::process::ExitCode;

use dnn_core::{CoreError, Element, PixelScaling, Purpose, RandomStream, kernel_path};
use dnn_data::augment::Augmenter;
use dnn_data::picture::Preprocessing;
use dnn_data::{DataError, Dataset, ImageDataset, ImageShape, LoadOptions, LoadReport};
use dnn_layers::{Activation, Head, InputShape, Layer, Network, NetworkBuilder, Provenance};
use dnn_store::Scalar;
use dnn_train::{Augment, Clip, EarlyStopping, TrainError, Trainer};

use crate::args::{Scaling, TrainArguments};
use crate::data;
use crate::failure::Refusal;
use crate::output::note;
use crate::parts::{self, Parts, Plan};
use crate::regression::{TargetScales, refuse_flags_for_classes};
use crate::settings::{self, Settings, learning_rate};

/// This program and its version, as models record it.
pub(crate) const SOFTWARE: &str = concat!("dnn ", env!("CARGO_PKG_VERSION"));

/// The share of the test part, unless the command line or the data says otherwise.
pub(crate) const DEFAULT_SPLIT: f64 = 0.2;

/// Data, loaded and divided.
pub(crate) struct Loaded {
    pub(crate) name: String,
    pub(crate) sha256: String,
    pub(crate) parts: Parts,
    pub(crate) plan: Plan,
    /// What became of each picture file, where there are any.
    pub(crate) report: Option<LoadReport>,
    /// Of a command that succeeds with this data.
    pub(crate) code: ExitCode,
}

impl Loaded {
    /// The data that is asked for.
    pub(crate) fn load(arguments: &TrainArguments) -> anyhow::Result<Self> {
        let source = data::load(arguments.data.as_deref(), &options(arguments))?;
        let (code, data, report) = (source.exit_code(), source.data, source.report);
        if data.train.targets().is_some() {
            refuse_flags_for_classes(arguments)?;
        }
        let (sha256, name) = (parts::fingerprint(&data), data.name.clone());
        if data.test.is_some() && arguments.split.is_some_and(|split| split > 0.0) {
            note(&format!("note: {name} has a test part of its own; --split is not used"));
        }
        let plan = plan(arguments, &data);
        let parts = divide(data, plan)?;
        Ok(Self { name, sha256, parts, plan, report, code })
    }
}

/// A network before its first step, and how it is trained.
pub(crate) struct Experiment<T> {
    pub(crate) network: Network<T>,
    pub(crate) trainer: Trainer,
    pub(crate) settings: Settings,
}

impl<T: Element + Scalar> Experiment<T> {
    pub(crate) fn new(arguments: &TrainArguments, loaded: &Loaded) -> anyhow::Result<Self> {
        let train = &loaded.parts.train;
        let mut network = match &arguments.from {
            None => build::<T>(arguments, train)?,
            Some(path) => start_from(&Network::<T>::load(path)?, arguments, train)?,
        };
        let trainer = trainer::<T>(arguments)?;
        let validation = loaded.parts.validation.as_ref().map_or(0, ImageDataset::len);
        let trainer = Trainer { augment: augment(arguments, train.shape())?, ..trainer };
        trainer.check_memory(&network, train.len(), train.len().max(validation))?;
        let preprocessing = loaded.report.is_some().then(|| preprocessing(arguments));
        let mut settings = settings::of(arguments, loaded.plan, preprocessing);
        if let Some(path) = &arguments.from {
            settings.insert("from".to_owned(), dnn_layers::ModelFile::read(path)?.sha256);
        }
        network.set_provenance(Provenance {
            software: SOFTWARE.to_owned(),
            kernel_path: kernel_path().to_owned(),
            data_sha256: loaded.sha256.clone(),
            seed: arguments.seed,
            settings: settings.clone(),
        });
        Ok(Self { network, trainer, settings })
    }
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
    let asked = match parts.train.targets() {
        Some(targets) => match targets.nrows() {
            1 => "a number to be found from each".to_owned(),
            several => format!("{several} numbers to be found from each"),
        },
        None => format!("{classes} classes"),
    };
    note(&format!("{name}: pictures of {shape}, {asked}; {}", counts.join(", ")));
    Ok(parts)
}

/// The layers that were asked for.
fn layers(arguments: &TrainArguments) -> Vec<Layer> {
    let (mut layers, rate) = (Vec::new(), settings::dropout(arguments));
    for &units in &arguments.hidden.0 {
        if arguments.batch_norm {
            layers.push(Layer::Dense { units, activation: Activation::Identity });
            layers.push(Layer::batch_norm(arguments.activation));
        } else {
            layers.push(Layer::Dense { units, activation: arguments.activation });
        }
        if rate > 0.0 {
            layers.push(Layer::Dropout { rate });
        }
    }
    layers
}

fn build<T: Element>(
    arguments: &TrainArguments,
    train: &ImageDataset,
) -> anyhow::Result<Network<T>> {
    let shape = train.shape();
    let input = InputShape::picture(shape.height, shape.width, shape.channels);
    let mut stream = RandomStream::new(arguments.seed, Purpose::Initialization, 0);
    let builder = Network::<T>::builder(input);
    let builder = (layers(arguments).into_iter()).fold(builder, NetworkBuilder::layer);
    let network = answers(builder, train)
        .initializer(arguments.init)
        .scaling(scaling(arguments.scaling, train)?)
        .build(&mut stream)?;
    Ok(network)
}

/// The outputs that the data asks for.
fn answers<T: Element>(builder: NetworkBuilder<T>, train: &ImageDataset) -> NetworkBuilder<T> {
    match train.targets() {
        Some(targets) => builder.outputs(targets.nrows(), Head::Identity),
        None => builder.classes(train.class_names()),
    }
}

/// A network with the weights of `model`; for other classes with a new last layer.
fn start_from<T: Element>(
    model: &Network<T>,
    arguments: &TrainArguments,
    train: &ImageDataset,
) -> anyhow::Result<Network<T>> {
    let (shape, input) = (train.shape(), model.input());
    if (shape.height, shape.width, shape.channels) != (input.height, input.width, input.channels) {
        let (height, width, channels) = (input.height, input.width, input.channels);
        let message = format!(
            "the model to start from is for pictures of {height}x{width}x{channels}, the data has \
             {shape}; pictures can be brought to its size with --size {width}x{height}"
        );
        return Err(Refusal::Usage(message).into());
    }
    let mut stream = RandomStream::new(arguments.seed, Purpose::Initialization, 0);
    let builder = Network::<T>::builder(input).scaling(model.scaling());
    let builder = model.hidden().iter().copied().fold(builder, NetworkBuilder::layer);
    let mut network = answers(builder, train).build(&mut stream)?;
    let gives = |network: &Network<T>| (network.head(), network.outputs());
    let same_answers = model.classes() == train.class_names() && gives(model) == gives(&network);
    if !same_answers {
        note("note: the model has other classes: its last layer starts anew");
    }
    let kept = network.parameters().layers.len() - usize::from(!same_answers);
    for (mut to, from) in network.layers_mut().zip(&model.parameters().layers).take(kept) {
        to.weights.assign(&from.weights);
        to.bias.assign(&from.bias);
    }
    network.statistics_mut().clone_from_slice(model.statistics());
    if let Some(scales) = TargetScales::of(train).filter(|_| same_answers) {
        scales.enter(&mut network)?;
    }
    Ok(network)
}

/// The run that was asked for; its settings are checked.
pub(crate) fn trainer<T: Element>(arguments: &TrainArguments) -> Result<Trainer, TrainError> {
    let norm = arguments.clip_norm.map(Clip::Norm);
    let stopping = |patience: std::num::NonZeroU64| EarlyStopping {
        patience: patience.get(),
        min_delta: arguments.min_delta,
    };
    let trainer = Trainer {
        optimizer: arguments.optimizer,
        learning_rate: learning_rate(arguments),
        schedule: settings::schedule(arguments),
        warm_up: arguments.warm_up,
        l2: arguments.l2,
        clip: norm.or(arguments.clip_value.map(Clip::Value)).unwrap_or_default(),
        class_weights: arguments.class_weights.clone(),
        label_smoothing: arguments.label_smoothing,
        monitor: arguments.monitor,
        gram: arguments.gram,
        early_stopping: arguments.early_stopping.map(stopping),
        restore_best: arguments.restore_best,
        batch: settings::batch(arguments),
        epochs: arguments.epochs,
        seed: arguments.seed,
        ..Trainer::default()
    };
    trainer.check::<T>()?;
    Ok(trainer)
}
