//! A network before its first step, and how it is trained.

use dnn_core::{CoreError, Element, PixelScaling, Purpose, RandomStream, Shape, kernel_path_of};
use dnn_data::augment::Augmenter;
use dnn_data::{DataError, ImageDataset, ImageShape, ImageSize};
use dnn_layers::{Head, ModelFile, Network, NetworkBuilder, Provenance};
use dnn_store::Scalar;
use dnn_train::{Augment, Clip, EarlyStopping, TrainError, Trainer, TrainingSize};

use crate::config::{PictureSize, RunConfig, ScalingRule, SizeFrom, TrainingSizes};
use crate::error::{Result, RunError};
use crate::layers::Layout;
use crate::loaded::Loaded;
use crate::model::file_of;
use crate::observer::{Clock, Observer};
use crate::provenance;
use crate::record::SOFTWARE;
use crate::regression::TargetScales;

/// A network before its first step, and how it is trained.
pub(crate) struct Experiment<T> {
    pub(crate) network: Network<T>,
    pub(crate) trainer: Trainer,
    /// Where the network comes from, as its model will record it.
    pub(crate) provenance: Provenance,
    /// SHA-256 of the model that training starts from.
    pub(crate) from_sha256: Option<String>,
}

impl<T: Element + Scalar> Experiment<T> {
    /// What this configuration asks for, on this data.
    pub(crate) fn new(
        config: &RunConfig,
        loaded: &Loaded,
        observer: &mut dyn Observer,
        clock: &dyn Clock,
    ) -> Result<Self> {
        let train = &loaded.parts.train;
        let (mut network, from_sha256) = match &config.network.from {
            None => (build::<T>(config, train)?, None),
            Some(path) => {
                let path = file_of(path, observer)?;
                let model = Network::<T>::load(&path)?;
                let network = start_from(&model, config, loaded, observer)?;
                (network, Some(ModelFile::read(&path)?.sha256))
            }
        };
        let trainer = trainer::<T>(config)?;
        let validation = loaded.parts.validation.as_ref().map_or(0, ImageDataset::len);
        network.set_mirrored(config.data.evaluate_flip.unwrap_or(false));
        let sizes = sizes(loaded);
        let augment = augment(config, loaded, &sizes)?;
        let trainer = Trainer { augment, sizes, clock: clock.of_steps(), ..trainer };
        trainer.check_network(&network, train.len())?;
        trainer.check_memory(&network, train.len(), train.len().max(validation))?;
        let provenance = Provenance {
            software: SOFTWARE.to_owned(),
            kernel_path: kernel_path_of(trainer.products).to_owned(),
            data_sha256: loaded.sha256.clone(),
            seed: config.training.seed,
            settings: provenance::settings(
                &loaded.settle(config),
                loaded.preprocessing,
                from_sha256.as_deref(),
            ),
        };
        network.set_provenance(provenance.clone());
        Ok(Self { network, trainer, provenance, from_sha256 })
    }
}

/// The trainer that was asked for; its settings are checked.
pub(crate) fn trainer<T: Element>(config: &RunConfig) -> Result<Trainer, TrainError> {
    let training = &config.training;
    let norm = training.clip_norm.map(Clip::Norm);
    let stopping = |patience: std::num::NonZeroU64| EarlyStopping {
        patience: patience.get(),
        min_delta: training.min_delta,
    };
    let trainer = Trainer {
        optimizer: config.optimizer(),
        learning_rate: config.learning_rate(),
        schedule: config.schedule(),
        warm_up: training.warm_up,
        l2: training.l2,
        clip: norm.or(training.clip_value.map(Clip::Value)).unwrap_or_default(),
        class_weights: training.class_weights.clone(),
        label_smoothing: config.label_smoothing(),
        mixing: training.mixing,
        whitening: training.whitening,
        averaging: training.weight_averaging,
        monitor: training.monitor,
        gram: training.gram,
        products: config.network.precision.products(),
        early_stopping: training.early_stopping.map(stopping),
        restore_best: training.restore_best,
        batch: config.batch(),
        epochs: config.epochs(),
        seed: training.seed,
        ..Trainer::default()
    };
    trainer.check::<T>()?;
    Ok(trainer)
}

/// The sizes of the training pictures, where they are not all that of the network.
fn sizes(loaded: &Loaded) -> Vec<TrainingSize> {
    let Some(sizes) = &loaded.sizes else { return Vec::new() };
    let channels = loaded.parts.train.shape().channels;
    let size = |&SizeFrom { size: PictureSize { width, height }, from }| TrainingSize {
        shape: Shape::picture(height, width, channels),
        from,
    };
    let own = TrainingSizes::always(sizes.evaluate);
    if loaded.parts.kept.is_none() && sizes.train == own {
        return Vec::new();
    }
    sizes.train.each().iter().map(size).collect()
}

/// The changes of the training pictures that were asked for, or that give them their sizes.
pub(crate) fn augment(
    config: &RunConfig,
    loaded: &Loaded,
    sizes: &[TrainingSize],
) -> Result<Option<Augment>, DataError> {
    let (augmentation, seed) = (config.augment(), config.training.seed);
    if augmentation.is_none() && sizes.is_empty() {
        return Ok(None);
    }
    let kept = Augmenter::new(&augmentation, seed, loaded.parts.training().shape())?;
    let augmenters = if sizes.is_empty() {
        vec![kept]
    } else {
        let giving = |size: &TrainingSize| {
            kept.clone().giving(ImageSize { width: size.shape.width, height: size.shape.height })
        };
        sizes.iter().map(giving).collect::<Result<_, _>>()?
    };
    let (sizes, epochs) = (sizes.to_vec(), config.epochs());
    Ok(Some(Augment::new(move |epoch, example, pixels, out| {
        let now = TrainingSize::of_epoch(&sizes, epoch, epochs);
        augmenters[now].apply(epoch, example, pixels, out);
    })))
}

/// The scaling that was asked for, with the statistics of the training part.
fn scaling(rule: ScalingRule, train: &ImageDataset) -> Result<PixelScaling, CoreError> {
    let channels = train.shape().channels;
    let standardize = match rule {
        ScalingRule::Auto => channels > 1,
        ScalingRule::Unit => false,
        ScalingRule::Standardize => true,
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

fn build<T: Element>(config: &RunConfig, train: &ImageDataset) -> Result<Network<T>> {
    let shape = train.shape();
    let input = Shape::picture(shape.height, shape.width, shape.channels);
    let mut stream = RandomStream::new(config.training.seed, Purpose::Initialization, 0);
    let builder = Network::<T>::builder(input);
    let layout = Layout::of(config, input)?;
    let builder = layout.layers.iter().cloned().fold(builder, NetworkBuilder::layer);
    answers(builder, train)
        .initializer(config.network.init)
        .scaling(scaling(config.data.scaling, train)?)
        .build(&mut stream)
        .map_err(|error| layout.explain(error))
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
    config: &RunConfig,
    loaded: &Loaded,
    observer: &mut dyn Observer,
) -> Result<Network<T>> {
    let train = &loaded.parts.train;
    let input = input_of(model, train.shape(), loaded.has_pictures())?;
    let mut stream = RandomStream::new(config.training.seed, Purpose::Initialization, 0);
    let builder = Network::<T>::builder(input).scaling(model.scaling());
    // The last layer comes with the answers.
    let hidden = model.layers().split_last().map_or(&[][..], |(_, hidden)| hidden);
    let builder = hidden.iter().cloned().fold(builder, NetworkBuilder::layer);
    let mut network = answers(builder, train).build(&mut stream)?;
    let gives = |network: &Network<T>| (network.head(), network.outputs());
    let same_answers = model.classes() == train.class_names() && gives(model) == gives(&network);
    if !same_answers {
        observer.note("note: the model has other classes: its last layer starts anew");
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

/// The input that a model to start from can have for pictures of this shape: its own one, or, where all that its weights see
/// of it is the channels, that of the pictures.
fn input_of<T: Element>(model: &Network<T>, shape: ImageShape, pictures: bool) -> Result<Shape> {
    let Shape { height, width, channels } = model.input();
    let own = Shape::picture(shape.height, shape.width, shape.channels);
    let takes = |input| model.clone().set_input(input).is_ok();
    // Twice as high as well: a dense layer takes whatever has as many numbers, in any order.
    let takes_all = || takes(own) && takes(Shape { height: 2 * own.height, ..own });
    if own == model.input() || takes_all() {
        return Ok(own);
    }
    // Picture files always have three channels, and get the model's size if no other is asked for.
    let advice = if pictures && channels == shape.channels {
        format!("leave --size out, or give --size {width}x{height}")
    } else if pictures {
        "picture files have 3 channels: start from a model of picture files, or leave --from out"
            .to_owned()
    } else {
        "pictures in arrays are taken as they are: bring the arrays to the model's shape, or leave --from \
         out"
            .to_owned()
    };
    Err(RunError::Usage(format!(
        "the model to start from is for pictures of {height}x{width}x{channels}, the data has {shape}; \
         {advice}"
    )))
}
