//! Pictures that are changed a little each time they are looked at.

use std::fmt;
use std::sync::Arc;

use dnn_core::{Columns, Element, Features, PixelScaling, Shape};
use dnn_kernels::{Chunks, for_each_part};
use ndarray::{Array2, ArrayView2, Axis, ShapeBuilder, s};

use crate::mixing::Mixer;
use crate::{Examples, Mixing, Targets, TrainError};

/// The function inside an [`Augment`].
type Change = dyn Fn(u64, usize, &[u8], &mut [u8]) + Send + Sync;

/// A change of the pixels of every training example, made anew in every epoch.
///
/// The function is given the epoch (counted from 1), the example's column, its pixels, and where the
/// changed pixels go: as many bytes, or those of the [size](crate::Trainer::sizes) of the epoch, holding anything. It runs on several threads at once. A run
/// repeats to the bit if it is a function of these alone, as `dnn-data`'s augmentation is of its seed
/// and these. It changes what the steps of a run see, and nothing that is measured afterwards.
///
/// # Examples
/// ```
/// use dnn_train::{Augment, Trainer};
///
/// // Every second epoch sees negatives.
/// let negatives = Augment::new(|epoch, _example, pixels, out| {
///     let flip = if epoch % 2 == 0 { 255 } else { 0 };
///     out.iter_mut().zip(pixels).for_each(|(out, pixel)| *out = pixel ^ flip);
/// });
/// let trainer = Trainer { augment: Some(negatives), ..Trainer::default() };
/// # let _ = trainer;
/// ```
#[derive(Clone)]
pub struct Augment(Arc<Change>);

impl Augment {
    /// The change that `change` makes.
    pub fn new(change: impl Fn(u64, usize, &[u8], &mut [u8]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(change))
    }
}

impl fmt::Debug for Augment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Augment").finish_non_exhaustive()
    }
}

/// Bytes that the changed examples of a batch take.
pub(crate) fn bytes(features: usize, batch: usize) -> u128 {
    features as u128 * batch as u128
}

/// How the pictures of batches are changed.
#[derive(Clone, Copy)]
pub(crate) struct Changes<'r> {
    /// None where pictures are only mixed.
    pub(crate) augment: Option<&'r Augment>,
    pub(crate) mixing: Option<Mixing>,
    /// Of what is drawn for mixing.
    pub(crate) seed: u64,
    /// The most pictures of a batch.
    pub(crate) batch: usize,
    /// That of the changed pictures.
    pub(crate) shape: Shape,
}

/// The changed examples of a batch, in buffers that are allocated once.
pub(crate) struct Augmented<'r, T> {
    /// None where pictures are only mixed.
    change: Option<&'r Change>,
    mixer: Option<Mixer<T>>,
    /// The unchanged pixels, each column in one piece.
    pixels: ArrayView2<'r, u8>,
    scaling: PixelScaling,
    targets: Targets<'r, T>,
    all_weights: Option<&'r [T]>,
    /// Room for a batch: `(n_x, batch)`, column-major.
    changed: Array2<u8>,
    /// The targets of the batch, of the kind there is.
    labels: Vec<u32>,
    values: Array2<T>,
    weights: Vec<T>,
}

impl<'r, T: Element> Augmented<'r, T> {
    /// Room for batches of these examples.
    ///
    /// # Errors
    /// [`TrainError::AugmentInput`] if the examples are not pixels, each in one piece.
    pub(crate) fn new(
        Changes { augment, mixing, seed, batch, shape }: Changes<'r>,
        examples: Examples<'r, T>,
    ) -> Result<Self, TrainError> {
        let Features::Pixels { values: pixels, scaling } = examples.features else {
            return Err(TrainError::AugmentInput { found: "real numbers" });
        };
        if pixels.columns().into_iter().any(|column| column.to_slice().is_none()) {
            return Err(TrainError::AugmentInput { found: "pixels in row-major order" });
        }
        let outputs = match examples.targets {
            Targets::Classes(_) => 0,
            Targets::Values(values) => values.nrows(),
        };
        let features = shape.height * shape.width * shape.channels;
        Ok(Self {
            change: augment.map(|augment| &*augment.0),
            mixer: mixing.map(|mixing| Mixer::new(mixing, seed, shape, batch)),
            pixels,
            scaling,
            targets: examples.targets,
            all_weights: examples.weights,
            changed: Array2::zeros((features, batch).f()),
            labels: Vec::with_capacity(batch),
            values: Array2::zeros((outputs, batch).f()),
            weights: Vec::with_capacity(batch),
        })
    }

    /// Makes the room that for changed pictures of this shape.
    pub(crate) fn resize(&mut self, shape: Shape) {
        let features = shape.height * shape.width * shape.channels;
        self.changed = Array2::zeros((features, self.changed.ncols()).f());
        if let Some(mixer) = &mut self.mixer {
            mixer.resize(shape);
        }
    }

    /// The examples `columns` as `epoch` and `step` see them, in this order.
    pub(crate) fn batch(
        &mut self,
        epoch: u64,
        step: u64,
        columns: Columns<'_>,
    ) -> BatchExamples<'_, T> {
        let (m, width) = (columns.len(), self.changed.nrows());
        let changed = self.changed.as_slice_memory_order_mut().expect("made in one piece");
        let (pixels, change) = (self.pixels, self.change);
        for_each_part(Chunks::of(&mut changed[..m * width], width), &|position, out| {
            let example = columns.at(position);
            let pixels = pixels.index_axis_move(Axis(1), example);
            let pixels = pixels.to_slice().expect("checked when made");
            match change {
                Some(change) => change(epoch, example, pixels, out),
                None => out.copy_from_slice(pixels),
            }
        });
        let own = self.mixer.as_mut().map(|mixer| mixer.mix(step, &mut changed[..m * width]));
        let targets = match self.targets {
            Targets::Classes(labels) => {
                self.labels.clear();
                self.labels.extend((0..m).map(|position| labels[columns.at(position)]));
                Targets::Classes(&self.labels)
            }
            Targets::Values(values) => {
                for (position, mut to) in self.values.columns_mut().into_iter().take(m).enumerate()
                {
                    to.assign(&values.column(columns.at(position)));
                }
                Targets::Values(self.values.slice(s![.., ..m]))
            }
        };
        let values = self.changed.slice(s![.., ..m]);
        let weights = self.all_weights.map(|all| {
            self.weights.clear();
            self.weights.extend((0..m).map(|position| all[columns.at(position)]));
            &self.weights[..]
        });
        let features = Features::Pixels { values, scaling: self.scaling };
        BatchExamples { examples: Examples { features, targets, weights }, own }
    }
}

/// The examples of a batch, and how much of each target is its own.
pub(crate) struct BatchExamples<'b, T> {
    pub(crate) examples: Examples<'b, T>,
    /// The share of its own target; the rest is that of the example as far from the other end. `None` for all.
    pub(crate) own: Option<&'b [T]>,
}
