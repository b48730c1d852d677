//! A tile of examples on its way through all layers.

use std::ops::Range;

use dnn_core::{Columns, Element};
use dnn_kernels::{KernelPath, Kernels, NonZeroIndex};
use dnn_layers::{BatchStatistics, ForwardCaches, Network};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, ShapeBuilder, s};

use super::inputs::Inputs;
use super::{NotFinite, Pass, all_finite};
use crate::backward::propagate;
use crate::dropout::Masks;
use crate::evaluation::Tally;

/// The buffers of a tile.
pub(super) struct Tile<T> {
    pub(super) caches: ForwardCaches<T>,
    /// `dZ` of each layer, after phase 1.
    dz: Vec<Array2<T>>,
    pub(super) tally: Tally,
    pub(super) not_finite: Option<NotFinite>,
    /// Two sums for each unit of a normalised layer.
    pub(super) sums: Vec<[f64; 2]>,
    /// What of a `dZ` is not zero.
    non_zero: NonZeroIndex<T>,
}

/// What a tile's buffers are for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Use {
    Measuring,
    /// Forward as in training, and no further.
    Slopes,
    Training,
}

impl<T: Element> Tile<T> {
    /// Buffers for `width` examples.
    pub(super) fn new(network: &Network<T>, width: usize, purpose: Use) -> Self {
        let stages = network.stages();
        let dz = |l: usize| {
            // Without a backward pass that of the last layer alone is needed, which the cost writes.
            let wanted = purpose == Use::Training || l + 1 == stages.len();
            Array2::zeros((stages[l].units, if wanted { width } else { 0 }).f())
        };
        let normalized = stages.iter().filter(|stage| stage.normalization.is_some());
        Self {
            caches: match purpose {
                Use::Measuring => network.caches(width),
                Use::Slopes | Use::Training => network.training_caches(width),
            },
            dz: (0..stages.len()).map(dz).collect(),
            tally: Tally::new(network.outputs()),
            not_finite: None,
            sums: vec![[0.0; 2]; normalized.map(|stage| stage.units).max().unwrap_or(0)],
            non_zero: match purpose {
                // Of all layers but the first, whose inputs have no gradient.
                Use::Training => {
                    let units = stages.iter().skip(1).map(|stage| stage.units);
                    NonZeroIndex::with_capacity(width, units.max().unwrap_or(0))
                }
                Use::Measuring | Use::Slopes => NonZeroIndex::default(),
            },
        }
    }

    /// `dZ` of layer `l` for the examples that the tile holds now.
    pub(super) fn dz(&self, l: usize) -> ArrayView2<'_, T> {
        self.dz[l].slice(s![.., ..self.caches.examples()])
    }

    /// `Z` and `A` of all layers as prediction has them.
    pub(super) fn forward(&mut self, pass: &Pass<'_, '_, T>, columns: Columns<'_>) {
        let (network, x) = (pass.network, &pass.examples.features);
        let Some(product) = pass.product_of(columns) else {
            return network.forward_into(x, columns, &mut self.caches);
        };
        network.forward_first(product, &mut self.caches);
        let mut statistics = network.statistics().iter();
        for (l, stage) in network.stages().iter().enumerate().skip(1) {
            let running = stage.normalization.and_then(|_| statistics.next());
            network.forward_layer(l, x, columns, running, &mut self.caches);
        }
    }

    /// `Z` and `A` of the layers `segment` as training has them; if the first one is normalised, by
    /// these statistics. `positions` are those of the tile within the batch.
    pub(super) fn forward_segment(
        &mut self,
        pass: &Pass<'_, '_, T>,
        segment: Range<usize>,
        (statistics, inputs): (Option<&BatchStatistics<T>>, &Inputs<T>),
        positions: Range<usize>,
        masks: &Masks<'_>,
    ) {
        let (network, x) = (pass.network, &pass.examples.features);
        let columns = pass.columns.part(positions.clone());
        for l in segment {
            match pass.product_of(columns) {
                Some(product) if l == 0 => network.forward_first(product, &mut self.caches),
                _ => {
                    let by = (l, inputs.of_layer(l, positions.clone()));
                    network.forward_layer_by(by, x, columns, statistics, &mut self.caches);
                }
            }
            let rate = network.stages()[l].dropout;
            if rate > 0.0 {
                let mut masks = masks.of_layer(l, rate);
                self.caches.drop_out(l, rate, |j, keep| masks.fill(positions.start + j, keep));
            }
        }
    }

    /// Outputs, costs and `dZ` of the last layer.
    pub(super) fn cost(&mut self, pass: &Pass<'_, '_, T>, columns: Columns<'_>) {
        let Pass { network, objective, examples, .. } = *pass;
        let depth = self.caches.len();
        self.not_finite = (0..depth)
            .find(|&l| !all_finite(self.caches.z(l)))
            .map(|l| NotFinite { what: "the output Z", layer: l + 1 });
        let (z, a) = (self.caches.logits(), self.caches.output());
        let dz = self.dz[depth - 1].slice_mut(s![.., ..columns.len()]);
        let sum = objective.sum_and_gradient(network.head(), (z, a), examples, columns, dz);
        if self.not_finite.is_none() && !sum.cost.is_finite() {
            self.not_finite = Some(NotFinite { what: "the cost", layer: depth });
        }
        self.tally.clear();
        self.tally.add_outputs(network, a, &examples.targets, columns, sum);
    }

    /// `dZ` of every layer of the segment from that of its last; `dA` of the input is never computed.
    pub(super) fn backward_segment(&mut self, network: &Network<T>, segment: Range<usize>) {
        let used = s![.., ..self.caches.examples()];
        for l in segment.skip(1).rev() {
            let (lower, upper) = self.dz.split_at_mut(l);
            let mut gradient = lower[l - 1].slice_mut(used);
            let weights = network.parameters().layers[l].weights.view();
            propagate_sparse(
                &mut self.non_zero,
                weights,
                upper[0].slice(used),
                gradient.view_mut(),
            );
            let stage = &network.stages()[l - 1];
            if stage.dropout > 0.0 {
                gradient *= &self.caches.dropout_factors(l - 1);
            }
            stage.apply_derivative(self.caches.z(l - 1), self.caches.a(l - 1), gradient);
        }
    }

    /// Replaces `dZ` of the layer before the normalised layer `l` by what `rule` makes of unit, `dZ` and
    /// `X_hat`.
    pub(super) fn backward_normalized(&mut self, l: usize, rule: impl Fn(usize, T, T) -> T) {
        let used = s![.., ..self.caches.examples()];
        let (lower, upper) = self.dz.split_at_mut(l);
        let (mut dx, dz) = (lower[l - 1].slice_mut(used), upper[0].slice(used));
        let normalized = self.caches.normalized(l);
        for ((unit, j), dx) in dx.indexed_iter_mut() {
            *dx = rule(unit, dz[(unit, j)], normalized[(unit, j)]);
        }
    }
}

/// `dA_prev = W^T dZ`, on vector kernels where there are any.
fn propagate_sparse<T: Element>(
    non_zero: &mut NonZeroIndex<T>,
    weights: ArrayView2<'_, T>,
    dz: ArrayView2<'_, T>,
    mut da_prev: ArrayViewMut2<'_, T>,
) {
    if !T::Kernels::VECTOR {
        return propagate(weights, dz, da_prev);
    }
    let by_example = dz.reversed_axes();
    da_prev.fill(T::zero());
    non_zero.fill(by_example);
    let path = KernelPath::best();
    non_zero.multiply_sparse(path, by_example, weights, da_prev.reversed_axes());
}
