//! What is made ready of a step's weights before the tiles run: chosen by shape.
//!
//! Where the first layer's weights are many and the examples few, not every tile reads all of them: `Z` of
//! all examples is made at once, in parallel over units. Where most inputs are exactly 0, as around drawn
//! digits, weights that lie input by input let the tiles leave these out.

use std::ops::Range;

use dnn_core::{Columns, Element, Features};
use dnn_kernels::{Kernels, PackedWeights};
use dnn_layers::{LinearBy, Network};
use ndarray::{Array2, Axis, ShapeBuilder, s};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

/// Weights from which on tiles do not each read them, and batches up to which that is so.
const MANY_WEIGHTS: usize = 1 << 21;
const FEW_EXAMPLES: usize = 512;
/// Units of a task then.
const UNITS: usize = 32;
/// The share of zeros from which on they are left out, and the examples and units that it takes to be worth
/// laying out weights for.
const ZEROS: f64 = 0.6;
const EXAMPLES: usize = 64;
const LEAST_UNITS: usize = 24;

/// How a dense layer comes to its `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// By the weights as they are.
    InPlace,
    /// In parallel over units, before the tiles.
    ByUnits,
    /// By weights that are laid out input by input for each step, without inputs that are 0.
    WithoutZeros,
}

/// How layer `l`, with so many units and inputs, comes to its `Z` in steps on `batch` examples with this share
/// of zeros.
pub(crate) fn way<T: Element>(
    l: usize,
    (units, inputs): (usize, usize),
    batch: usize,
    zeros: f64,
) -> Way {
    if !T::Kernels::VECTOR {
        return Way::InPlace;
    }
    if l == 0 && zeros >= ZEROS && batch >= EXAMPLES && units >= LEAST_UNITS {
        return Way::WithoutZeros;
    }
    if l == 0 && units * inputs > MANY_WEIGHTS && batch <= FEW_EXAMPLES {
        return Way::ByUnits;
    }
    Way::InPlace
}

/// The most numbers that [`Inputs`] take for layers of these shapes.
pub(super) fn numbers<T: Element>(
    layers: impl Iterator<Item = (usize, usize)>,
    batch: usize,
) -> u128 {
    let of = |(l, (units, inputs)), zeros| match way::<T>(l, (units, inputs), batch, zeros) {
        Way::InPlace => 0,
        Way::ByUnits => units as u128 * batch as u128,
        Way::WithoutZeros => PackedWeights::<T>::numbers(units, inputs),
    };
    let of = |layer| of(layer, 0.0).max(of(layer, 1.0));
    layers.enumerate().map(of).sum()
}

/// What is ready for the tiles of a step.
pub(super) struct Inputs<T> {
    /// `Z` of the first layer for the batch, or nothing.
    given: Array2<T>,
    is_given: bool,
    /// The first layer's weights, laid out input by input.
    packed: Option<PackedWeights<T>>,
}

impl<T: Element> Inputs<T> {
    /// For tiles that take the weights as they are.
    pub(super) fn in_place() -> Self {
        Self { given: Array2::zeros((0, 0)), is_given: false, packed: None }
    }

    /// For steps on up to `batch` examples like these.
    pub(super) fn new(network: &Network<T>, batch: usize, x: &Features<'_, T>) -> Self {
        let mut made = Self::in_place();
        let (units, inputs) = network.parameters().layers[0].weights.dim();
        match way::<T>(0, (units, inputs), batch, x.share_of_zeros()) {
            Way::InPlace => {}
            Way::ByUnits => made.given = Array2::zeros((units, batch).f()),
            Way::WithoutZeros => made.packed = Some(PackedWeights::new(units, inputs)),
        }
        made
    }

    /// Makes all ready for a step on the examples `columns`.
    pub(super) fn prepare(
        &mut self,
        network: &Network<T>,
        x: &Features<'_, T>,
        columns: Columns<'_>,
    ) {
        if let Some(packed) = &mut self.packed {
            packed.fill(network.parameters().layers[0].weights.view());
        }
        self.is_given = !self.given.is_empty() && x.is_in_place();
        if self.is_given {
            let layer = &network.parameters().layers[0];
            let mut given = self.given.slice_mut(s![.., ..columns.len()]);
            let outs = given.axis_chunks_iter_mut(Axis(0), UNITS).into_par_iter();
            let weights = layer.weights.axis_chunks_iter(Axis(0), UNITS).into_par_iter();
            let biases = layer.bias.axis_chunks_iter(Axis(0), UNITS).into_par_iter();
            outs.zip(weights).zip(biases).for_each(|((out, weights), bias)| {
                x.linear_into(weights, bias.column(0), columns, &mut Vec::new(), out);
            });
        }
    }

    /// Where layer `l` finds its `Z` for the examples at `positions` of the batch.
    pub(super) fn of_layer(&self, l: usize, positions: Range<usize>) -> LinearBy<'_, T> {
        if l == 0 && self.is_given {
            return LinearBy::Given(self.given.slice(s![.., positions]));
        }
        match &self.packed {
            Some(packed) if l == 0 => LinearBy::Packed(packed),
            _ => LinearBy::Weights,
        }
    }
}
