//! What `--network auto` chooses by the pictures: the layers, and how they are trained.
//!
//! Numbers to be found, `f64`, full batches and pictures of fewer than 6 pixels a side get the dense network of the
//! defaults. Others get a convolutional network:
//!
//! | smallest pictures of | layers | changes of the training pictures |
//! |---|---|---|
//! | 40 pixels a side or more | `conv W0 stride 2, conv W1, pool, residual(conv W1, conv W1), conv W2, pool, residual(conv W2, conv W2), conv W3, pool, global-pool` | parts of other ratios; in colour also mirrors and other brightness, contrast and saturation |
//! | 20 pixels a side or more | the same, the first convolution at its full size | shifts; in colour also mirrors, in grey rotation |
//! | 6 pixels a side or more | `conv W0, conv W0, pool, conv W1, conv W1, global-pool` | the same |
//!
//! | width | W0, W1, W2, W3 | rate of Muon | smallest part, of a side | training pictures to be seen |
//! |---|---|---:|---:|---:|
//! | narrow | 16, 32, 64, 128 | 0.025 | 0.67 | |
//! | middle | 24, 48, 96, 192 | 0.02 | 0.63 | 120,000 |
//! | wide | 32, 64, 128, 256 | 0.015 | 0.59 | 220,000 |
//!
//! Without a time budget a run takes a few minutes on two cores: with pictures of 40 pixels a side the network is of middle
//! width, and sees about 150,000 training pictures; with smaller ones it is narrow, and sees 200,000, or of fewer than 20
//! pixels 50,000; in 4 to 100 epochs. With a time budget, it is the widest that sees as many as the table says in that time.
//!
//! Picture files of no small size of their own are trained on at 48x48, from half of the epochs on at 64x64, made of pictures
//! kept at 96x96; the network is measured, and predicts, at 80x80.

use dnn_data::ImageShape;
use dnn_data::augment::Augmentation;
use dnn_train::{Muon, Optimizer, Schedule};

use crate::config::{NetworkLine, PictureSize, RunConfig, SizeFrom, TrainingSizes};
use crate::picture_sizes::Sizes;

/// How large pictures are, by their shorter side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Extent {
    /// Below 6 pixels.
    Tiny,
    /// Below 20 pixels.
    Small,
    /// Below 40 pixels.
    Middle,
    Large,
}

impl Extent {
    fn of(height: usize, width: usize) -> Self {
        match height.min(width) {
            ..6 => Self::Tiny,
            6..20 => Self::Small,
            20..40 => Self::Middle,
            40.. => Self::Large,
        }
    }

    fn of_shape(shape: ImageShape) -> Self {
        Self::of(shape.height, shape.width)
    }

    /// Training pictures that a run without a time budget sees.
    fn seen(self) -> u64 {
        match self {
            Self::Tiny | Self::Small => 50_000,
            Self::Middle => 200_000,
            Self::Large => 150_000,
        }
    }
}

/// The epochs that a run without a time budget has at least and at most.
const EPOCHS: std::ops::RangeInclusive<u64> = 4..=100;

/// How wide a network is, and what goes with that.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Width {
    units: [usize; 4],
    learning_rate: f64,
    crop: f64,
    /// How many training pictures it has to see to be worth its time.
    pub(crate) sees: u64,
}

/// From the narrowest on.
pub(crate) const WIDTHS: [Width; 3] = [
    Width { units: [16, 32, 64, 128], learning_rate: 0.025, crop: 0.67, sees: 0 },
    Width { units: [24, 48, 96, 192], learning_rate: 0.02, crop: 0.63, sees: 120_000 },
    Width { units: [32, 64, 128, 256], learning_rate: 0.015, crop: 0.59, sees: 220_000 },
];

/// The width of a run without a time budget.
pub(crate) fn default_width(shape: ImageShape) -> Width {
    WIDTHS[usize::from(Extent::of_shape(shape) == Extent::Large)]
}

/// Epochs in which about so many of these training pictures are seen.
pub(crate) fn epochs_of(seen: u64, examples: usize) -> u64 {
    seen.div_ceil(examples.max(1) as u64)
}

/// The sizes of pictures that have no small size of their own.
pub(crate) fn sizes(config: &RunConfig, side: PictureSize) -> Sizes {
    if !config.is_automatic() {
        return Sizes::all(side);
    }
    let small = scaled(side, 3, 4);
    let begun = [SizeFrom { size: small, from: 0.0 }, SizeFrom { size: side, from: 0.5 }];
    sizes_around(config, TrainingSizes::new(begun.to_vec()))
}

/// The sizes that go with those of training: a network that pools all of a picture sees more in a larger one, and
/// parts of pictures are taken from such that have something to spare.
pub(crate) fn sizes_around(config: &RunConfig, train: TrainingSizes) -> Sizes {
    let last = train.last();
    if config.is_automatic() && Extent::of(last.height, last.width) == Extent::Large {
        return Sizes { train, keep: scaled(last, 3, 2), evaluate: scaled(last, 5, 4) };
    }
    let keep = train.each().iter().map(|it| it.size).fold(last, PictureSize::larger);
    Sizes { train, keep, evaluate: last }
}

/// A multiple of a size.
fn scaled(PictureSize { width, height }: PictureSize, by: usize, of: usize) -> PictureSize {
    PictureSize { width: width * by / of, height: height * by / of }
}

/// Whether these pictures get a convolutional network.
pub(crate) fn is_convolutional(config: &RunConfig, shape: ImageShape, has_classes: bool) -> bool {
    config.is_automatic() && has_classes && Extent::of_shape(shape) > Extent::Tiny
}

/// The settings with values for those that nobody gave, for a convolutional network of this width.
pub(crate) fn convolutional(
    config: &RunConfig,
    shape: ImageShape,
    examples: usize,
    width: Width,
) -> RunConfig {
    let mut config = config.clone();
    let network = &mut config.network;
    let dropout = network.dropout.take().filter(|&share| share > 0.0);
    network.network = Some(line(shape, width, dropout));
    network.batch_norm.get_or_insert(true);
    let data = &mut config.data;
    data.augment.get_or_insert(augmentation(shape, width));
    data.evaluate_flip.get_or_insert(shape.channels == 3);
    let training = &mut config.training;
    let muon = Optimizer::Muon(Muon { adam_ratio: 0.12, ..Muon::default() });
    let optimizer = *training.optimizer.get_or_insert(muon);
    if let Optimizer::Muon(_) = optimizer {
        training.learning_rate.get_or_insert(width.learning_rate);
    }
    training.schedule.get_or_insert(Schedule::OneCycle { rise: 0.1, start: 0.04, end: 1e-4 });
    training.label_smoothing.get_or_insert(0.05);
    let epochs =
        epochs_of(Extent::of_shape(shape).seen(), examples).clamp(*EPOCHS.start(), *EPOCHS.end());
    training.epochs.get_or_insert(epochs);
    config
}

/// The layers, perhaps with dropout before the last.
fn line(shape: ImageShape, width: Width, dropout: Option<f64>) -> NetworkLine {
    let [w0, w1, w2, w3] = width.units;
    let extent = Extent::of_shape(shape);
    let first = if extent == Extent::Large { " stride 2" } else { "" };
    let residual = format!(
        "conv {w0}{first}, conv {w1}, pool, residual(conv {w1}, conv {w1}), conv {w2}, pool, \
         residual(conv {w2}, conv {w2}), conv {w3}, pool, global-pool"
    );
    let plain = format!("conv {w0}, conv {w0}, pool, conv {w1}, conv {w1}, global-pool");
    let line = if extent <= Extent::Small { plain } else { residual };
    let line = dropout.map_or(line.clone(), |share| format!("{line}, dropout {share}"));
    line.parse().expect("a line of known layers")
}

fn augmentation(shape: ImageShape, width: Width) -> Augmentation {
    let in_colour = shape.channels == 3;
    let plain = Augmentation { flip: in_colour, ..Augmentation::default() };
    let extent = Extent::of_shape(shape);
    if extent < Extent::Large {
        let shift = match (extent, in_colour) {
            (Extent::Middle, true) => 4,
            (Extent::Middle, false) => 2,
            _ => 1,
        };
        return Augmentation { shift, rotate: if in_colour { 0.0 } else { 10.0 }, ..plain };
    }
    let colours = if in_colour { 0.25 } else { 0.0 };
    Augmentation {
        crop: width.crop,
        ratio: 1.33,
        brightness: colours,
        contrast: colours,
        saturation: colours,
        ..plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHOTO: ImageShape = ImageShape { height: 80, width: 80, channels: 3 };

    #[test]
    fn what_was_given_stays_and_the_rest_is_chosen_by_the_pictures() {
        let chosen = |text: &str, shape, examples| {
            let config = RunConfig::from_toml(text).unwrap();
            assert!(is_convolutional(&config, shape, true), "{text}");
            convolutional(&config, shape, examples, default_width(shape))
        };
        let config = chosen("", PHOTO, 5402);
        assert!(
            config
                .network
                .network
                .as_ref()
                .unwrap()
                .to_string()
                .starts_with("conv 24 stride 2, conv 48,")
        );
        assert_eq!(
            (config.epochs(), config.label_smoothing(), config.batch_norm()),
            (28, 0.05, true)
        );
        assert_eq!((config.learning_rate(), config.data.evaluate_flip), (0.02, Some(true)));
        assert_eq!(
            config.augment().to_string(),
            "flip,crop=0.63,ratio=1.33,brightness=0.25,contrast=0.25,saturation=0.25"
        );
        // Settled once, it is settled.
        assert!(!config.is_automatic());
        assert_eq!(chosen("", PHOTO, 60).epochs(), 100);
        assert_eq!(chosen("", PHOTO, 50_000).epochs(), 4);
        let config = chosen(
            "[training]\nepochs = 3\noptimizer = \"adam\"\n[data]\naugment = \"none\"\n[network]\nbatch_norm = false",
            ImageShape { height: 28, width: 28, channels: 1 },
            60_000,
        );
        assert!(
            config.network.network.as_ref().unwrap().to_string().starts_with("conv 16, conv 32,")
        );
        assert_eq!((config.epochs(), config.learning_rate()), (3, 0.001));
        assert!(config.augment().is_none() && !config.batch_norm());
        assert_eq!(config.data.evaluate_flip, Some(false));
        let dropping = chosen("[network]\ndropout = 0.3", PHOTO, 9);
        assert!(
            dropping.network.network.unwrap().to_string().ends_with("global-pool, dropout 0.3")
        );
        let digits = chosen("", ImageShape { height: 28, width: 28, channels: 1 }, 60_000);
        assert_eq!(digits.augment().to_string(), "shift=2,rotate=10");
        let small = chosen("", ImageShape { height: 8, width: 8, channels: 1 }, 1293);
        let line = "conv 16, conv 16, pool, conv 32, conv 32, global-pool";
        assert_eq!(small.network.network.as_ref().unwrap().to_string(), line);
        assert_eq!(
            (small.epochs(), small.augment().to_string()),
            (39, "shift=1,rotate=10".to_owned())
        );
    }

    #[test]
    fn whoever_says_what_the_network_is_gets_that() {
        for text in [
            "[network]\nhidden = [9]",
            "[network]\nnetwork = \"conv:9\"",
            "[network]\nfrom = \"m.dnn\"",
            "[network]\nprecision = \"f64\"",
            "[training]\noptimizer = \"lbfgs\"",
            "[training]\nbatch = \"full\"",
            "[training]\ngram = \"always\"",
        ] {
            let config = RunConfig::from_toml(text).unwrap();
            assert!(!is_convolutional(&config, PHOTO, true), "{text}");
        }
        let (auto, tiny) = (RunConfig::default(), ImageShape { height: 5, ..PHOTO });
        assert!(!is_convolutional(&auto, tiny, true) && !is_convolutional(&auto, PHOTO, false));
        let named = RunConfig::from_toml("[network]\nnetwork = \"auto\"").unwrap();
        assert!(is_convolutional(&named, PHOTO, true));
    }
}
