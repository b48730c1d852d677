//! How a step is cut and which way its sums go: functions of shapes and settings alone, never of threads.

use std::ops::Range;

use dnn_core::{Element, FEATURE_BLOCK, Shape};
use dnn_kernels::{Kernels, PackedWeights, Products};
use dnn_layers::{Network, Tensor};
use dnn_store::fallible_allocation;

use super::blocks;
use super::tile::GradientPlaces;
pub(crate) use super::tile::size;
use crate::TrainError;
use crate::backward::{GradientBy, SumsOf, backward};
use crate::convolution_memory::ConvolutionMemory;

/// A tile is worth a task from about this many multiplications on.
const LEAST_WORK: usize = 1 << 20;

/// The most examples that are measured at a time, and about the most numbers of one kind for them.
const MOST_MEASURED: usize = 1024;
const MOST_NUMBERS: usize = 1 << 23;

/// Inputs of a group, about: what the last cache of a small machine holds, of 8-bit pixels.
const GROUP_INPUTS: usize = 4 << 20;
/// Examples of a tile of a group: several tiles for each thread.
pub(crate) const GROUP_TILE: usize = 24;
/// The fewest tiles of a group, and the fewest groups that are worth it.
const LEAST_TILES: usize = 16;
const LEAST_GROUPS: usize = 2;

/// Weights from which on tiles do not each read them, and batches up to which that is so.
const MANY_WEIGHTS: usize = 1 << 21;
const FEW_EXAMPLES: usize = 512;
/// The share of zeros from which on they are left out, and the examples and units that it takes to be worth
/// laying out weights for.
const MANY_ZEROS: f64 = 0.6;
const LEAST_EXAMPLES: usize = 64;
const LEAST_UNITS: usize = 24;

/// The number of examples per tile.
pub(crate) fn tile_width(parameters: usize, batch: usize) -> usize {
    let worthwhile = (LEAST_WORK / parameters.max(1)).max(16);
    batch.div_ceil(8).max(worthwhile).next_multiple_of(8).min(256).min(batch.max(1))
}

/// Numbers of all layers for the pictures of a tile, about, which stay near a processor on their way forward and back;
/// and the most tiles of a batch, each of which has sums of its own.
const TILE_NUMBERS: usize = 1 << 18;
const MOST_TILES: usize = 64;
/// The same where tiles wait for one another in the middle of their way: nothing of theirs stays near.
const MOST_WAITING_TILES: usize = 16;

/// The number of examples per tile of this network: of pictures, as few as keep a core busy.
pub(crate) fn tile_of<T: Element>(network: &Network<T>, batch: usize) -> usize {
    if !has_pictures(network) {
        return tile_width(network.parameter_count(), batch);
    }
    let waits = network.layers().iter().any(dnn_layers::Layer::needs_whole_batch);
    let most = if waits { MOST_WAITING_TILES } else { MOST_TILES };
    (TILE_NUMBERS / units(network).max(1)).max(batch.div_ceil(most)).clamp(1, batch.max(1))
}

/// The most partial sums of a batch's gradients: to write and add more of them takes longer than what a thread may have to
/// wait for another one's last tiles.
const MOST_SUMS: usize = 16;

/// How many tiles of a batch of `batch`, `width` examples each, go one after another and add to the same sums of gradients.
pub(super) fn tiles_together<T: Element>(
    network: &Network<T>,
    width: usize,
    batch: usize,
) -> usize {
    let waits = network.layers().iter().any(dnn_layers::Layer::needs_whole_batch);
    if waits || !has_pictures(network) {
        return 1;
    }
    batch.div_ceil(width.max(1)).div_ceil(MOST_SUMS).max(1)
}

/// Whether a layer gives pictures, and not units alone.
fn has_pictures<T: Element>(network: &Network<T>) -> bool {
    (0..network.layers().len()).any(|l| is_picture(network.layer_output(l)))
}

pub(crate) fn is_picture(shape: Shape) -> bool {
    shape.height * shape.width > 1
}

/// The number of features per block of the gradient of a layer with so many inputs.
pub(crate) fn block_width<T: Element>(inputs: usize) -> usize {
    if T::Kernels::VECTOR { blocks::width(inputs) } else { FEATURE_BLOCK }
}

/// Numbers per example that all layers with arrays give, and those between pictures.
fn units<T: Element>(network: &Network<T>) -> usize {
    let counts =
        |&l: &usize| !network.layer_tensors(l).is_empty() || is_picture(network.layer_output(l));
    (0..network.layers().len()).filter(counts).map(|l| size(network.layer_output(l))).sum()
}

/// Whether the layer that takes the inputs of the network is a product of matrices, which can be prepared as a whole.
pub(crate) fn begins_dense<T: Element>(network: &Network<T>) -> bool {
    backward::<T>(&network.layers()[network.first_layer()]).gradient_by() == GradientBy::Block
}

/// Units and inputs of the layer that takes the inputs of the network.
pub(crate) fn first_weights<T: Element>(network: &Network<T>) -> (usize, usize) {
    network.layer_tensors(network.first_layer())[0].values().dim()
}

/// Examples that are measured at a time: fewer where layers are wide, so that their numbers stay small beside the
/// parameters.
pub(super) fn measured_at_a_time<T: Element>(network: &Network<T>, examples: usize) -> usize {
    (MOST_NUMBERS / units(network).max(1)).clamp(1, MOST_MEASURED).min(examples)
}

/// Examples of a group in steps on `batch` of them, where groups are worth it: not where the whole gradient,
/// which each group reads and writes, is larger than the group, nor where the numbers of a group are, nor
/// where a layer has to see the whole batch or sums its gradient by tiles.
pub(crate) fn group<T: Element>(network: &Network<T>, batch: usize) -> Option<usize> {
    let (first_units, inputs) = first_weights(network);
    let examples = (GROUP_INPUTS / inputs.max(1)).max(LEAST_TILES * GROUP_TILE);
    let examples = examples.next_multiple_of(GROUP_TILE);
    let examples = examples.min(MOST_NUMBERS / units(network).max(1) / GROUP_TILE * GROUP_TILE);
    let by_block = |layer| {
        matches!(backward::<T>(layer).gradient_by(), GradientBy::Nothing | GradientBy::Block)
    };
    let worthwhile = examples >= (4 * first_units).max(LEAST_TILES * GROUP_TILE)
        && batch > LEAST_GROUPS * examples;
    let possible = T::Kernels::VECTOR && network.layers().iter().all(by_block);
    (possible && worthwhile).then_some(examples)
}

/// How the layer that takes the inputs of the network comes to its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstLayerBy {
    /// By the weights as they are.
    Weights,
    /// In parallel over units, before the tiles.
    Units,
    /// By weights that are laid out input by input for each step, without inputs that are 0.
    NonZeroInputs,
}

/// The same for weights of this many units and inputs, in steps on `batch` examples with this share of zeros.
pub(crate) fn first_layer_by<T: Element>(
    weights: (usize, usize),
    batch: usize,
    zeros: f64,
) -> FirstLayerBy {
    let (units, inputs) = weights;
    if !T::Kernels::VECTOR {
        return FirstLayerBy::Weights;
    }
    if zeros >= MANY_ZEROS && batch >= LEAST_EXAMPLES && units >= LEAST_UNITS {
        return FirstLayerBy::NonZeroInputs;
    }
    if units * inputs > MANY_WEIGHTS && batch <= FEW_EXAMPLES {
        return FirstLayerBy::Units;
    }
    FirstLayerBy::Weights
}

/// The most numbers that the first layer's preparation takes.
fn first_layer_numbers<T: Element>(weights: (usize, usize), batch: usize) -> u128 {
    let (units, inputs) = weights;
    let of = |zeros| match first_layer_by::<T>(weights, batch, zeros) {
        FirstLayerBy::Weights => 0,
        FirstLayerBy::Units => units as u128 * batch as u128,
        FirstLayerBy::NonZeroInputs => PackedWeights::<T>::numbers(units, inputs),
    };
    of(0.0).max(of(1.0))
}

/// Layers that a tile goes through without asking the others: each segment but the first begins with a layer that
/// needs the whole batch.
pub(super) fn segments<T: Element>(network: &Network<T>) -> Vec<Range<usize>> {
    let depth = network.layers().len();
    let mut starts = vec![0];
    starts.extend((1..depth).filter(|&l| network.layers()[l].needs_whole_batch()));
    let ends = starts.iter().skip(1).copied().chain([depth]);
    starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
}

/// See [`GradientPlaces`].
pub(super) fn gradient_places<T: Element>(
    network: &Network<T>,
    products: Products,
    tile_width: usize,
) -> GradientPlaces<T> {
    let (mut last, mut convolution) = (None, ConvolutionMemory::new(products, tile_width));
    let (mut of, mut by_group, mut by_block) = (Vec::new(), Vec::new(), Vec::new());
    for (l, layer) in network.layers().iter().enumerate() {
        let layer = backward::<T>(layer);
        layer.reserve(network.layer_input(l), &mut convolution);
        if !layer.is_in_place() {
            last = Some(l);
        }
        of.push(last);
        match layer.gradient_by() {
            GradientBy::Group => by_group.push(l),
            GradientBy::Block => by_block.push(l),
            GradientBy::WholeBatch | GradientBy::Nothing => {}
        }
    }
    let caches = network.caches(0);
    let mut connections = vec![Vec::new(); network.layers().len()];
    for (to, layer) in network.layers().iter().enumerate() {
        if let Some(from) = layer.goes_around().and_then(|around| caches.source(to - around)) {
            connections[from].push(to);
        }
    }
    let sums = sums_by_group(network, &by_group, &convolution);
    GradientPlaces { of, by_block, sums, connections, convolution }
}

/// The shapes of a tile's sums for the gradient of each array: none where its layer is not among `by_group`.
fn sums_by_group<T: Element>(
    network: &Network<T>,
    by_group: &[usize],
    convolution: &ConvolutionMemory<T>,
) -> Vec<(usize, usize)> {
    let of = |(index, tensor): (usize, &Tensor<T>)| {
        let l = tensor.layer();
        if !by_group.contains(&l) {
            return (0, 0);
        }
        let own = if tensor.is_trained() { tensor.values().dim() } else { (0, 0) };
        let (shape, tensor) = (network.layer_input(l), index - network.tensor_range(l).start);
        let of = SumsOf { shape, tensor, convolution };
        backward::<T>(&network.layers()[l]).sums(of, own)
    };
    network.tensors().iter().enumerate().map(of).collect()
}

/// The first layer with an array that is trained: nothing before it has to be gone back to.
pub(super) fn first_trained<T: Element>(network: &Network<T>) -> usize {
    let trained = network.tensors().iter().find(|tensor| tensor.is_trained());
    trained.map_or(network.layers().len(), dnn_layers::Tensor::layer)
}

/// Checks that the system grants the memory for steps on `batch` examples and for measuring up to
/// `examples` at the same time, with `more` bytes beside them; a batch of 0 means no steps.
pub(crate) fn check_memory<T: Element>(
    network: &Network<T>,
    batch: usize,
    examples: usize,
    more: u128,
) -> Result<(), TrainError> {
    let parameters = network.parameter_count();
    let numbers = |examples: usize, arrays: u128| {
        let width = tile_of(network, examples).max(1) as u128;
        (examples as u128).next_multiple_of(width) * (arrays * units(network) as u128)
    };
    let kept = batch as u128 * network.kept_for_training() as u128;
    let batch = group(network, batch).unwrap_or(batch);
    // `Z`, `A` and `dZ` of a step, `Z` and `A` of a pass, the gradient, and what makes it.
    let gradient = if batch == 0 {
        0
    } else {
        let weights = network.tensors().iter().filter(|tensor| tensor.values().ncols() > 1);
        let layers = weights.map(|tensor| tensor.values().dim());
        let ready = if begins_dense(network) {
            first_layer_numbers::<T>(first_weights(network), batch)
        } else {
            0
        };
        let tiles = if has_pictures(network) { batch.div_ceil(tile_of(network, batch)) } else { 0 };
        let sums = tiles.min(MOST_SUMS) as u128 * parameters as u128;
        parameters as u128 + blocks::numbers::<T>(layers, batch) + ready + sums
    };
    let measured = measured_at_a_time(network, examples);
    // Where buffers are lent, each thread has a few.
    let in_turn = |examples: usize, waits: bool| {
        let tiles = rayon::current_num_threads() * tile_of(network, examples);
        if has_pictures(network) && !waits { examples.min(2 * tiles) } else { examples }
    };
    let waits = network.layers().iter().any(dnn_layers::Layer::needs_whole_batch);
    let (batch, measured) = (in_turn(batch, waits), in_turn(measured, false));
    let all = gradient + kept + numbers(batch, 3) + numbers(measured, 2);
    let needed = all * T::PRECISION.bytes() as u128 + more;
    // Asked for in one piece and given back: the parts that follow are smaller.
    let granted = usize::try_from(needed).is_ok_and(|bytes| {
        fallible_allocation(|| Vec::<u8>::new().try_reserve_exact(bytes)).is_ok()
    });
    if granted { Ok(()) } else { Err(TrainError::Memory { needed }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_follow_from_shapes() {
        // A small network takes as many examples at a time as there are, up to 256.
        assert_eq!(tile_width(608, 50), 50);
        assert_eq!(tile_width(608, 300), 256);
        // A large one shares a batch out in eighths, at least 16 and a multiple of 8.
        assert_eq!(tile_width(245_000, 64), 16);
        assert_eq!(tile_width(245_000, 209), 32);
        assert_eq!(tile_width(245_000, 6002), 256);
        assert_eq!(tile_width(245_000, 1), 1);
    }
}
