//! The sizes that pictures have in a run.

use std::fmt;

use crate::config::{PictureSize, SizeFrom, TrainingSizes};

/// The sizes of pictures.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sizes {
    /// Those that are trained on.
    pub(crate) train: TrainingSizes,
    /// That of the training pictures of which these are made.
    pub(crate) keep: PictureSize,
    /// That of the network.
    pub(crate) evaluate: PictureSize,
}

impl Sizes {
    /// The same for everything.
    pub(crate) fn all(size: PictureSize) -> Self {
        Self { train: TrainingSizes::always(size), keep: size, evaluate: size }
    }
}

impl fmt::Display for Sizes {
    /// As in `48x48 in training, from 0.5 of the epochs on 64x64, made of 96x96, and 80x80 in prediction`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { train, keep, evaluate } = self;
        if *self == Self::all(*evaluate) {
            return write!(f, "{evaluate}");
        }
        for (index, SizeFrom { size, from }) in train.each().iter().enumerate() {
            match index {
                0 => write!(f, "{size} in training")?,
                _ => write!(f, ", from {from} of the epochs on {size}")?,
            }
        }
        write!(f, ", made of {keep}, and {evaluate} in prediction")
    }
}
