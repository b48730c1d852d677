//! The data of a run, loaded and divided.

use std::path::Path;

use dnn_data::picture::Preprocessing;
use dnn_data::{Dataset, ImageDataset, ImageShape, LoadOptions, LoadReport};
use dnn_train::{ClassWeights, Monitor};

use crate::config::{PictureSize, RunConfig};
use crate::error::{Result, RunError};
use crate::model::{self, with_network};
use crate::observer::{Observer, Silent};
use crate::parts::{self, Parts, SplitPlan};
use crate::picture_sizes::Sizes;
use crate::recipe::{self, Width};
use crate::source::{self, Source};
use crate::words::counted;

/// The sides that pictures get where nobody says and they have no small size of their own.
const DEFAULT_SIDE: usize = 64;

/// Data, loaded and divided.
#[derive(Debug)]
pub struct Loaded {
    /// Its name.
    pub name: String,
    /// SHA-256 of all of it, in hexadecimal.
    pub sha256: String,
    /// What became of each picture file, where there are any.
    pub report: Option<LoadReport>,
    /// Whether it has a test part of its own.
    pub has_test: bool,
    /// Whether it has a validation part of its own.
    pub has_validation: bool,
    pub(crate) parts: Parts,
    /// How picture files came to the network's shape, where there are any.
    pub(crate) preprocessing: Option<Preprocessing>,
    /// The sizes of these, where there are any.
    pub(crate) sizes: Option<Sizes>,
    split: SplitPlan,
}

impl Loaded {
    /// The data that a configuration asks for.
    ///
    /// # Errors
    /// [`RunError::Load`] for data that cannot be read, [`RunError::Data`] and [`RunError::Usage`] for such that
    /// does not go with the settings.
    pub fn load(config: &RunConfig, observer: &mut dyn Observer) -> Result<Self> {
        let ChosenSizes { sizes, reason } = choose_sizes(config, observer)?;
        let preprocessing = |PictureSize { width, height }| {
            let shape = ImageShape { height, width, channels: 3 };
            Preprocessing { shape, fit: config.data.resize, filter: config.data.filter }
        };
        let path = config.data.path.as_deref();
        let options = |size| source::options(&config.data.files, preprocessing(size));
        let Source { data, report } = Source::load(path, &options(sizes.evaluate), observer)?;
        if data.train.targets().is_some() {
            refuse_settings_for_classes(config)?;
        }
        if let (Some(reason), true) = (reason, report.is_some()) {
            observer.note(&format!("note: pictures get {sizes}, {reason}; --size gives another"));
        }
        let (sha256, name) = (parts::fingerprint(&data), data.name.clone());
        let (has_test, has_validation) = (data.test.is_some(), data.validation.is_some());
        let split = split_plan(config, &data);
        let mut parts = divide(data, split, observer)?;
        if report.is_some() && sizes.keep != sizes.evaluate {
            parts.kept = Some(load_kept(path, &options(sizes.keep), split, &parts)?);
        }
        if config.training.calibrate && parts.validation.is_none() {
            let message = "--calibrate needs a validation part; give it a share with --validation";
            return Err(RunError::Usage(message.to_owned()));
        }
        let preprocessing = report.is_some().then(|| preprocessing(sizes.evaluate));
        let sizes = report.is_some().then_some(sizes);
        Ok(Self {
            name,
            sha256,
            report,
            has_test,
            has_validation,
            parts,
            preprocessing,
            sizes,
            split,
        })
    }

    /// Whether it was made of picture files.
    pub fn has_pictures(&self) -> bool {
        self.report.is_some()
    }

    /// How many bad files were left out.
    pub fn left_out(&self) -> usize {
        self.report.as_ref().map_or(0, |report| report.bad.len())
    }

    /// The names of the classes; none where numbers are to be found.
    pub fn class_names(&self) -> &[String] {
        self.parts.train.class_names()
    }

    /// The configuration with values for all that nobody gave, as they go with this data: what a run on it records.
    pub(crate) fn settle(&self, config: &RunConfig) -> RunConfig {
        self.settle_at(config, recipe::default_width(self.smallest_shape()))
    }

    /// Whether these pictures choose the layers, which are convolutions then, and may be of several widths.
    pub fn chooses_layers(&self, config: &RunConfig) -> bool {
        let has_classes = self.parts.train.targets().is_none();
        recipe::is_convolutional(config, self.smallest_shape(), has_classes)
    }

    /// The shape of the smallest pictures that a network for this data sees.
    fn smallest_shape(&self) -> ImageShape {
        let own = self.parts.train.shape();
        let sizes = self.sizes.iter().flat_map(|sizes| sizes.train.each());
        let shapes =
            sizes.map(|it| ImageShape { height: it.size.height, width: it.size.width, ..own });
        shapes.chain([own]).min_by_key(|shape| shape.height.min(shape.width)).unwrap_or(own)
    }

    /// The same with a network of this width, where the pictures choose.
    pub(crate) fn settle_at(&self, config: &RunConfig, width: Width) -> RunConfig {
        let train = self.parts.training();
        let config = if self.chooses_layers(config) {
            recipe::convolutional(config, self.smallest_shape(), train.len(), width)
        } else {
            config.clone()
        };
        let mut config = config.with_dense_defaults();
        config.data.split = self.split.split;
        config.data.validation = self.split.validation;
        let sizes = self.sizes.as_ref();
        config.data.size = sizes.map(|sizes| sizes.train.clone());
        config.data.keep_size = sizes.map(|sizes| sizes.keep);
        config.data.evaluate_size = sizes.map(|sizes| sizes.evaluate);
        config
    }
}

/// The sizes and, where none was asked for, why these.
struct ChosenSizes {
    sizes: Sizes,
    reason: Option<&'static str>,
}

fn choose_sizes(config: &RunConfig, observer: &mut dyn Observer) -> Result<ChosenSizes> {
    let data = &config.data;
    let (default, reason) = match &data.size {
        Some(train) => (recipe::sizes_around(config, train.clone()), None),
        None => default_sizes(config, observer)?,
    };
    let Sizes { train, keep, evaluate } = default;
    let evaluate = data.evaluate_size.unwrap_or(evaluate);
    let keep = data.keep_size.unwrap_or_else(|| keep.larger(evaluate));
    Ok(ChosenSizes { sizes: Sizes { train, keep, evaluate }, reason })
}

fn default_sizes(
    config: &RunConfig,
    observer: &mut dyn Observer,
) -> Result<(Sizes, Option<&'static str>)> {
    if let Some(path) = &config.network.from {
        let model = model::load(path, observer)?;
        let input = with_network!(&model.network, network => network.input());
        let size = PictureSize { width: input.width, height: input.height };
        return Ok((Sizes::all(size), Some("as the model to start from has them")));
    }
    // What is wrong with the folder is said by its loading.
    let own = |path: &Path| dnn_data::own_size(path, DEFAULT_SIDE).ok().flatten();
    if let Some(dnn_data::ImageSize { width, height }) = config.data.path.as_deref().and_then(own) {
        return Ok((Sizes::all(PictureSize { width, height }), Some("which is their own size")));
    }
    let reason = "since they have no common size up to 64x64";
    Ok((recipe::sizes(config, PictureSize::square(DEFAULT_SIDE)), Some(reason)))
}

/// The training pictures in another size; their division is the same, since it goes by classes.
fn load_kept(
    path: Option<&Path>,
    options: &LoadOptions,
    split: SplitPlan,
    parts: &Parts,
) -> Result<ImageDataset> {
    let Source { data, .. } = Source::load(path, options, &mut Silent)?;
    let kept = Parts::divide(data, split)?.train;
    let names = |part: &ImageDataset| {
        let files = part.files().unwrap_or_default();
        files.iter().map(|file| (file.path.clone(), file.sha256_hex())).collect::<Vec<_>>()
    };
    if names(&kept) != names(&parts.train) {
        let message = "the pictures changed while they were read; expected the same files twice: start again when \
                       nobody writes to the folder";
        return Err(RunError::Data(message.to_owned()));
    }
    Ok(kept)
}

/// How `data` is divided; parts of its own are used as they are.
fn split_plan(config: &RunConfig, data: &Dataset) -> SplitPlan {
    let split = if data.test.is_some() { 0.0 } else { config.data.split };
    let validation = if data.validation.is_some() { 0.0 } else { config.data.validation };
    SplitPlan { split, validation, seed: config.training.seed }
}

fn divide(data: Dataset, split: SplitPlan, observer: &mut dyn Observer) -> Result<Parts> {
    let (name, shape) = (data.name.clone(), data.train.shape());
    let parts = Parts::divide(data, split)?;
    let counts: Vec<String> =
        parts.each().map(|(name, part)| format!("{} {name}", part.len())).collect();
    let classes = parts.train.class_names().len();
    let with_examples: Vec<&String> = (parts.train.class_names().iter())
        .zip(parts.train.class_counts())
        .filter_map(|(name, count)| (count > 0).then_some(name))
        .collect();
    if let [only] = with_examples[..] {
        let message = format!("{name}: expected examples of at least 2 classes, found only {only}");
        return Err(RunError::Data(message));
    }
    if with_examples.len() < classes {
        let without = counted(classes - with_examples.len(), "class has", "classes have");
        observer.note(&format!("warning: {without} no training examples, of {classes}"));
    }
    let asked = match parts.train.targets() {
        Some(targets) => match targets.nrows() {
            1 => "a number to be found from each".to_owned(),
            several => format!("{several} numbers to be found from each"),
        },
        None => counted(classes, "class", "classes"),
    };
    observer.note(&format!("{name}: pictures of {shape}, {asked}; {}", counts.join(", ")));
    Ok(parts)
}

/// Refuses what makes sense for classes alone.
fn refuse_settings_for_classes(config: &RunConfig) -> Result<()> {
    let training = &config.training;
    let monitors_accuracy =
        matches!(training.monitor, Some(Monitor::Accuracy | Monitor::ValidationAccuracy));
    let flags = [
        ("--calibrate", training.calibrate),
        ("--class-weights", training.class_weights != ClassWeights::Equal),
        ("--label-smoothing", config.label_smoothing() > 0.0),
        ("--monitor with an accuracy", monitors_accuracy),
    ];
    match flags.into_iter().find(|&(_, given)| given) {
        Some((flag, _)) => Err(RunError::Usage(format!(
            "{flag} is for classes, but the data has numbers to be found: its targets are stored as floats \
             (classes are whole numbers, stored as integers)"
        ))),
        None => Ok(()),
    }
}
