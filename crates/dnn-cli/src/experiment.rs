//! What a command line asks for: data, a network, a trainer.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use dnn_core::{CoreError, Element, PixelScaling, Purpose, RandomStream, Shape, kernel_path};
use dnn_data::augment::Augmenter;
use dnn_data::picture::Preprocessing;
use dnn_data::{DataError, Dataset, ImageDataset, ImageShape, LoadReport};
use dnn_layers::{
    Activation, AnyNetwork, BatchNorm, Dense, Dropout, Head, Layer, Network, NetworkBuilder,
    Provenance,
};
use dnn_store::Scalar;
use dnn_train::{
    Augment, ClassWeights, Clip, EarlyStopping, Monitor, SystemClock, TrainError, Trainer,
};

use crate::args::effect::{self, NOTHING_LEFT_OUT, Needs, no_picture_files};
use crate::args::{Policy, Scaling, TrainArguments};
use crate::data;
use crate::failure::Refusal;
use crate::model::file_of;
use crate::output::{counted, note};
use crate::settings::{self, learning_rate};
use dnn_run::parts::{self, Parts, Plan};
use dnn_run::record::Settings;
use dnn_run::regression::TargetScales;

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
    /// How picture files came to their shape, where there are any.
    preprocessing: Option<Preprocessing>,
    /// Of a command that succeeds with this data.
    pub(crate) code: ExitCode,
}

impl Loaded {
    /// The data that is asked for.
    pub(crate) fn load(arguments: &TrainArguments) -> anyhow::Result<Self> {
        let path = arguments.data.as_deref();
        let (size, reason) = size(arguments)?;
        let preprocessing = preprocessing(arguments, size);
        let source = data::load(path, &arguments.pictures.options(preprocessing))?;
        let (code, data, report) = (source.exit_code(), source.data, source.report);
        if data.train.targets().is_some() {
            refuse_flags_for_classes(arguments)?;
        }
        if let (Some(reason), true) = (reason, report.is_some()) {
            note(&format!(
                "note: pictures get {}x{}, {reason}; --size gives another",
                size.0, size.1
            ));
        }
        check_data_flags(arguments, &data, report.is_some())?;
        let (sha256, name) = (parts::fingerprint(&data), data.name.clone());
        let plan = plan(arguments, &data);
        let parts = divide(data, plan)?;
        if arguments.calibrate && parts.validation.is_none() {
            let message = "--calibrate needs a validation part; give it a share with --validation";
            return Err(Refusal::Usage(message.to_owned()).into());
        }
        let preprocessing = report.is_some().then_some(preprocessing);
        Ok(Self { name, sha256, parts, plan, report, preprocessing, code })
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
            Some(path) => {
                let model = Network::<T>::load(file_of(path)?)?;
                let pictures = loaded.report.is_some();
                start_from(&model, arguments, train, pictures)?
            }
        };
        let trainer = trainer::<T>(arguments)?;
        let validation = loaded.parts.validation.as_ref().map_or(0, ImageDataset::len);
        let trainer = Trainer { augment: augment(arguments, train.shape())?, ..trainer };
        trainer.check_memory(&network, train.len(), train.len().max(validation))?;
        let mut settings = settings::of(arguments, loaded.plan, loaded.preprocessing);
        if let Some(path) = &arguments.from {
            let model = dnn_layers::ModelFile::read(file_of(path)?)?;
            settings.insert("from".to_owned(), model.sha256);
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

/// Refuses flags that have no effect, as far as the command line alone tells.
pub(crate) fn check_flags(arguments: &TrainArguments) -> Result<(), Refusal> {
    let no_hidden = arguments.hidden.0.is_empty();
    effect::refuse_idle("train", &arguments.given, |name, needs| match needs {
        Needs::NewNetwork | Needs::HiddenLayers if arguments.from.is_some() => {
            let reason = "the model given by --from brings its own network and scaling";
            Some(reason.to_owned())
        }
        // No dropout is what there is without layers that could drop anything.
        Needs::HiddenLayers
            if no_hidden && (name != "dropout" || arguments.dropout > Some(0.0)) =>
        {
            Some("there is no hidden layer (--hidden none)".to_owned())
        }
        Needs::WholeRun if arguments.find_lr => {
            Some("--find-lr trains for a short time only, at rates of its own".to_owned())
        }
        Needs::LeavingOut if matches!(arguments.pictures.bad_files, Policy::Stop) => {
            Some(NOTHING_LEFT_OUT.to_owned())
        }
        Needs::PictureFiles if arguments.data.is_none() => no_picture_files(None, false),
        _ => None,
    })
}

/// Refuses flags that have no effect on this data.
fn check_data_flags(
    arguments: &TrainArguments,
    data: &Dataset,
    pictures: bool,
) -> Result<(), Refusal> {
    let path = arguments.data.as_deref();
    // A share of 0 is what a part of its own leaves of a split.
    let own = |there: bool, share: f64, part: &str| {
        (there && share > 0.0).then(|| format!("{} has a {part} part of its own", data.name))
    };
    effect::refuse_idle("train", &arguments.given, |_, needs| match needs {
        Needs::PictureFiles | Needs::LeavingOut => no_picture_files(path, pictures),
        Needs::NoTestPart => own(data.test.is_some(), arguments.split.unwrap_or(0.0), "test"),
        Needs::NoValidationPart => {
            own(data.validation.is_some(), arguments.validation, "validation")
        }
        _ => None,
    })
}

/// The sides that pictures get where nobody says and they have no small size of their own.
const USUAL_SIZE: usize = 64;

/// Width and height that picture files get and, where they were not asked for, why these.
fn size(arguments: &TrainArguments) -> anyhow::Result<((usize, usize), Option<&'static str>)> {
    if let Some(size) = arguments.size {
        return Ok((size, None));
    }
    if let Some(path) = &arguments.from {
        let input = input_of(&file_of(path)?)?;
        return Ok(((input.width, input.height), Some("as the model to start from has them")));
    }
    // What is wrong with the folder is said by its loading.
    let own = |path: &Path| dnn_data::own_size(path, USUAL_SIZE).ok().flatten();
    Ok(match arguments.data.as_deref().and_then(own) {
        Some(size) => (size, Some("which is their own size")),
        None => ((USUAL_SIZE, USUAL_SIZE), Some("since they have no common size up to that")),
    })
}

fn input_of(model: &Path) -> anyhow::Result<Shape> {
    Ok(match dnn_layers::ModelFile::read(model)?.network {
        AnyNetwork::F32(network) => network.input(),
        AnyNetwork::F64(network) => network.input(),
    })
}

/// How pictures come to this width and height.
fn preprocessing(arguments: &TrainArguments, (width, height): (usize, usize)) -> Preprocessing {
    let shape = ImageShape { height, width, channels: 3 };
    Preprocessing { shape, fit: arguments.resize, filter: arguments.filter }
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
        let without = counted(classes - with_examples.len(), "class has", "classes have");
        note(&format!("warning: {without} no training examples, of {classes}"));
    }
    let asked = match parts.train.targets() {
        Some(targets) => match targets.nrows() {
            1 => "a number to be found from each".to_owned(),
            several => format!("{several} numbers to be found from each"),
        },
        None => counted(classes, "class", "classes"),
    };
    note(&format!("{name}: pictures of {shape}, {asked}; {}", counts.join(", ")));
    Ok(parts)
}

/// The layers that were asked for.
fn layers(arguments: &TrainArguments) -> Vec<Layer> {
    let (mut layers, rate): (Vec<Layer>, _) = (Vec::new(), settings::dropout(arguments));
    for &units in &arguments.hidden.0 {
        layers.push(Dense { units }.into());
        if arguments.batch_norm {
            layers.push(BatchNorm::default().into());
        }
        if arguments.activation != Activation::Identity {
            layers.push(arguments.activation.into());
        }
        if rate > 0.0 {
            layers.push(Dropout { rate }.into());
        }
    }
    layers
}

fn build<T: Element>(
    arguments: &TrainArguments,
    train: &ImageDataset,
) -> anyhow::Result<Network<T>> {
    let shape = train.shape();
    let input = Shape::picture(shape.height, shape.width, shape.channels);
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
    pictures: bool,
) -> anyhow::Result<Network<T>> {
    let (shape, input) = (train.shape(), model.input());
    if (shape.height, shape.width, shape.channels) != (input.height, input.width, input.channels) {
        let (height, width, channels) = (input.height, input.width, input.channels);
        // Picture files always have three channels, and get the model's size if no other is asked for.
        let advice = if pictures && channels == shape.channels {
            format!("leave --size out, or give --size {width}x{height}")
        } else if pictures {
            "picture files have 3 channels: start from a model of picture files, or leave --from out".to_owned()
        } else {
            "pictures in arrays are taken as they are: bring the arrays to the model's shape, or leave \
             --from out"
                .to_owned()
        };
        let message = format!(
            "the model to start from is for pictures of {height}x{width}x{channels}, the data has \
             {shape}; {advice}"
        );
        return Err(Refusal::Usage(message).into());
    }
    let mut stream = RandomStream::new(arguments.seed, Purpose::Initialization, 0);
    let builder = Network::<T>::builder(input).scaling(model.scaling());
    // The last layer comes with the answers.
    let hidden = model.layers().split_last().map_or(&[][..], |(_, hidden)| hidden);
    let builder = hidden.iter().cloned().fold(builder, NetworkBuilder::layer);
    let mut network = answers(builder, train).build(&mut stream)?;
    let gives = |network: &Network<T>| (network.head(), network.outputs());
    let same_answers = model.classes() == train.class_names() && gives(model) == gives(&network);
    if !same_answers {
        note("note: the model has other classes: its last layer starts anew");
    }
    let last = network.layers().len() - 1;
    for (to, from) in network.tensors_mut().iter_mut().zip(model.tensors()) {
        if same_answers || to.layer() < last {
            to.values_mut().assign(&from.values());
        }
    }
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
        clock: Some(Arc::new(SystemClock::start())),
        ..Trainer::default()
    };
    trainer.check::<T>()?;
    Ok(trainer)
}

/// Refuses what makes sense for classes alone.
fn refuse_flags_for_classes(arguments: &TrainArguments) -> Result<(), Refusal> {
    let monitors_accuracy =
        matches!(arguments.monitor, Some(Monitor::Accuracy | Monitor::ValidationAccuracy));
    let flags = [
        ("--calibrate", arguments.calibrate),
        ("--class-weights", arguments.class_weights != ClassWeights::Equal),
        ("--label-smoothing", arguments.label_smoothing > 0.0),
        ("--monitor with an accuracy", monitors_accuracy),
    ];
    match flags.into_iter().find(|&(_, given)| given) {
        Some((flag, _)) => Err(Refusal::Usage(format!(
            "{flag} is for classes, but the data has numbers to be found: its targets are stored as floats (classes \
             are whole numbers, stored as integers)"
        ))),
        None => Ok(()),
    }
}
