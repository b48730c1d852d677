//! What dropout keeps: drawn from the seed, or given.

use std::fmt;
use std::sync::Arc;

use dnn_core::{Element, Purpose, RandomStream};
use dnn_layers::Network;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Zip, s};

/// The function inside a [`DropoutMasks`].
type Given = dyn Fn(u64, usize, ArrayViewMut2<'_, bool>) + Send + Sync;

/// What each dropout keeps in each step, in place of the trainer's own draws.
///
/// The function is given the step (counted from 1), the layer with parameters that is dropped from (counted
/// from 1) and a mask to fill: `(n, m)`, or `(channels, m)` for dropout by channel, for the examples of the step in their
/// order, `true` for what stays.
#[derive(Clone)]
pub struct DropoutMasks(Arc<Given>);

impl DropoutMasks {
    /// The masks that `given` fills.
    ///
    /// # Examples
    /// ```
    /// use dnn_train::{DropoutMasks, Trainer};
    ///
    /// // Every second unit, always.
    /// let masks = DropoutMasks::new(|_step, _layer, mut keep| {
    ///     keep.indexed_iter_mut().for_each(|((unit, _), keep)| *keep = unit % 2 == 0);
    /// });
    /// let trainer = Trainer { dropout_masks: Some(masks), ..Trainer::default() };
    /// # let _ = trainer;
    /// ```
    pub fn new(
        given: impl Fn(u64, usize, ArrayViewMut2<'_, bool>) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(given))
    }
}

impl fmt::Debug for DropoutMasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DropoutMasks").finish_non_exhaustive()
    }
}

/// Multiplies what a mask keeps by `1 / keep_prob` and sets the rest to 0: both the forward and the
/// backward step of dropout.
///
/// # Shapes
/// Both are `(n, m)`.
///
/// # Panics
/// If the shapes differ.
///
/// # Examples
/// ```
/// use dnn_train::apply_dropout;
/// use ndarray::array;
///
/// let mut a = array![[1.0, 2.0], [3.0, 4.0]];
/// apply_dropout(a.view_mut(), array![[true, false], [true, true]].view(), 0.5);
/// assert_eq!(a, array![[2.0, 0.0], [6.0, 8.0]]);
/// ```
pub fn apply_dropout<T: Element>(
    values: ArrayViewMut2<'_, T>,
    mask: ArrayView2<'_, bool>,
    keep_prob: f64,
) {
    let scale = T::one() / T::from_f64(keep_prob);
    Zip::from(values).and(mask).for_each(|value, &keep| {
        *value = if keep { *value * scale } else { T::zero() };
    });
}

/// Which draws of dropout a pass makes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draws<'a> {
    pub(crate) seed: u64,
    /// Counted from 1.
    pub(crate) step: u64,
    pub(crate) given: Option<&'a DropoutMasks>,
}

/// The masks of a pass.
pub(crate) enum Masks<'a> {
    /// Random words, of which every example has `stride`, and each layer its part of them.
    Drawn { draws: Draws<'a>, offsets: &'a [u64], stride: u64 },
    /// For each layer, of the whole batch.
    Given(&'a [Array2<bool>]),
}

/// The masks of one layer.
#[expect(
    clippy::large_enum_variant,
    reason = "it lives on the stack of one pass; a box would be an allocation"
)]
pub(crate) enum LayerMasks<'a> {
    Drawn { stream: RandomStream, limit: u32, offset: u64, stride: u64 },
    Given(&'a Array2<bool>),
}

impl Masks<'_> {
    pub(crate) fn of_layer(&self, l: usize, rate: f64) -> LayerMasks<'_> {
        match *self {
            Self::Drawn { draws: Draws { seed, step, .. }, offsets, stride } => {
                let stream = RandomStream::new(seed, Purpose::Dropout, step);
                // As many of 2^32 words as the rate says, rounded down.
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "below 2^32"
                )]
                let limit = (rate * 4_294_967_296.0) as u32;
                LayerMasks::Drawn { stream, limit, offset: offsets[l], stride }
            }
            Self::Given(masks) => LayerMasks::Given(&masks[l]),
        }
    }
}

impl LayerMasks<'_> {
    /// What stays of the example at `position` in the batch.
    pub(crate) fn fill(&mut self, position: usize, keep: &mut [bool]) {
        match self {
            Self::Drawn { stream, limit, offset, stride } => {
                stream.seek(*stride * position as u64 + *offset);
                for keep in keep {
                    *keep = stream.word() >= *limit;
                }
            }
            Self::Given(mask) => {
                keep.iter_mut().zip(mask.column(position)).for_each(|(to, keep)| *to = *keep);
            }
        }
    }
}

/// Where the words of each layer lie among those of an example, and how many these are.
pub(crate) struct MaskPlan {
    offsets: Vec<u64>,
    stride: u64,
    given: Vec<Array2<bool>>,
}

impl MaskPlan {
    /// For batches of up to `batch` examples.
    pub(crate) fn new<T: Element>(network: &Network<T>) -> Self {
        let mut stride = 0;
        let offsets = (0..network.layers().len())
            .map(|l| {
                let offset = stride;
                stride += dropped_units(network, l) as u64;
                offset
            })
            .collect();
        Self { offsets, stride, given: Vec::new() }
    }

    /// The masks of a pass over `m` examples.
    pub(crate) fn masks<'a, T: Element>(
        &'a mut self,
        network: &Network<T>,
        draws: Draws<'a>,
        m: usize,
    ) -> Masks<'a> {
        let Some(given) = draws.given else {
            return Masks::Drawn { draws, offsets: &self.offsets, stride: self.stride };
        };
        self.given.resize(network.layers().len(), Array2::default((0, 0)));
        let mut dropped_from = 0;
        for (l, mask) in self.given.iter_mut().enumerate() {
            dropped_from += usize::from(!network.layer_tensors(l).is_empty());
            let units = dropped_units(network, l);
            if units > 0 {
                if mask.ncols() < m {
                    *mask = Array2::default((units, m));
                }
                (given.0)(draws.step, dropped_from, mask.slice_mut(s![.., ..m]));
            }
        }
        Masks::Given(&self.given)
    }
}

/// Numbers per example that a layer draws for.
fn dropped_units<T: Element>(network: &Network<T>, layer: usize) -> usize {
    network.layers()[layer].drawn(network.layer_input(layer))
}
