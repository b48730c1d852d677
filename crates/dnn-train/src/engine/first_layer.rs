//! What is made ready of the first layer before the tiles of a step run: chosen by shape.
//!
//! Where its weights are many and the examples few, not every tile reads all of them: `Z` of
//! all examples is made at once, in parallel over units. Where most inputs are exactly 0, as around drawn
//! digits, weights that lie input by input let the tiles leave these out.

use std::ops::Range;

use dnn_core::{Columns, Element, Features};
use dnn_kernels::bf16::{self, LinearScratch, PairedRows, TurnScratch};
use dnn_kernels::{PackedWeights, Pairs, Products, for_each_part};
use dnn_layers::{DenseBy, Network};
use ndarray::iter::AxisChunksIter;
use ndarray::{Array2, ArrayView2, Axis, Ix2, ShapeBuilder, s};

use super::plan::{FirstLayerBy, begins_dense, first_layer_by, first_weights};

/// Units of a task, where `Z` is made in parallel over units.
const UNITS: usize = 32;

/// What is ready for the tiles of a step.
pub(super) struct FirstLayer<T> {
    layer: usize,
    /// `Z` of the layer for the batch, or nothing.
    output: Array2<T>,
    has_output: bool,
    /// Its weights, laid out input by input.
    packed: Option<PackedWeights<T>>,
    /// For products in bf16.
    pairs: Option<FirstPairs<T>>,
}

/// The inputs of the batch as pairs, and what parts of the units are multiplied with them in.
#[derive(Default)]
struct FirstPairs<T> {
    inputs: PairedRows,
    turned: TurnScratch<T>,
    parts: Vec<LinearScratch<T>>,
}

impl<T: Element> FirstLayer<T> {
    /// For tiles that take the weights as they are.
    pub(super) fn by_weights() -> Self {
        let output = Array2::zeros((0, 0));
        Self { layer: 0, output, has_output: false, packed: None, pairs: None }
    }

    /// For steps on up to `batch` examples like these.
    pub(super) fn new(
        network: &Network<T>,
        batch: usize,
        x: &Features<'_, T>,
        products: Products,
    ) -> Self {
        let mut made = Self { layer: network.first_layer(), ..Self::by_weights() };
        if !begins_dense(network) {
            return made;
        }
        let weights @ (units, inputs) = first_weights(network);
        // Zeros are not left out of pairs.
        let is_bf16 = products == Products::Bf16;
        let zeros = if is_bf16 { 0.0 } else { x.share_of_zeros() };
        match first_layer_by::<T>(weights, batch, zeros) {
            FirstLayerBy::Weights => {}
            FirstLayerBy::Units if is_bf16 => {
                made.output = Array2::zeros((units, batch).f());
                let parts = vec![LinearScratch::default(); units.div_ceil(UNITS)];
                made.pairs = Some(FirstPairs { parts, ..FirstPairs::default() });
            }
            FirstLayerBy::Units => made.output = Array2::zeros((units, batch).f()),
            FirstLayerBy::NonZeroInputs => made.packed = Some(PackedWeights::new(units, inputs)),
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
        let [weights, bias] = network.layer_tensors(self.layer) else { return };
        if let Some(packed) = &mut self.packed {
            packed.fill(weights.values());
        }
        if let Some(FirstPairs { inputs, turned, parts }) = &mut self.pairs {
            self.has_output = true;
            let write = |some, to: ndarray::ArrayViewMut2<'_, T>| {
                x.write_examples(some, columns, to);
            };
            inputs.fill_turned_in_parallel((x.width(), columns.len()), turned, write);
            let inputs = &*inputs;
            let (weights, bias) = (weights.values(), bias.values());
            let mut output = self.output.slice_mut(s![.., ..columns.len()]);
            let outs = output.axis_chunks_iter_mut(Axis(0), UNITS);
            let first = Pairs { first: outs, second: maps_of_units(&weights, &bias) };
            let all = Pairs { first, second: &mut parts[..] };
            return for_each_part(all, &|_, ((out, (weights, bias)), scratch)| {
                bf16::linear(weights, bias.column(0), inputs, scratch, out);
            });
        }
        self.has_output = !self.output.is_empty() && x.is_in_place();
        if self.has_output {
            let (weights, bias) = (weights.values(), bias.values());
            let mut output = self.output.slice_mut(s![.., ..columns.len()]);
            let outs = output.axis_chunks_iter_mut(Axis(0), UNITS);
            let all = Pairs { first: outs, second: maps_of_units(&weights, &bias) };
            for_each_part(all, &|_, (out, (weights, bias))| {
                x.linear_into(weights, bias.column(0), columns, &mut Vec::new(), out);
            });
        }
    }

    /// Where layer `l` finds its product for the examples at `positions` of the batch.
    pub(super) fn of_layer(&self, l: usize, positions: Range<usize>) -> DenseBy<'_, T> {
        match &self.packed {
            _ if l != self.layer => DenseBy::Weights,
            _ if self.has_output => DenseBy::Output(self.output.slice(s![.., positions])),
            Some(packed) => DenseBy::Packed(packed),
            None => DenseBy::Weights,
        }
    }
}

/// The weights of some units, and their biases, for all units.
fn maps_of_units<'a, T>(
    weights: &'a ArrayView2<'_, T>,
    bias: &'a ArrayView2<'_, T>,
) -> Pairs<AxisChunksIter<'a, T, Ix2>, AxisChunksIter<'a, T, Ix2>> {
    Pairs {
        first: weights.axis_chunks_iter(Axis(0), UNITS),
        second: bias.axis_chunks_iter(Axis(0), UNITS),
    }
}
