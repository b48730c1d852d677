//! A first convolution that whitens the patches of the training pictures.

use dnn_core::{Columns, CoreError, Element, Features, symmetric_eigen};
use dnn_layers::{Conv2d, Layer, Network};
use ndarray::{Array1, Array2, ArrayView2, Axis, s};

use crate::TrainError;

/// The most pictures that are looked at.
pub(crate) const PICTURES: usize = 512;

/// What is added to each eigenvalue, as a share of their mean: noise is not made as large as everything else.
const LEAST: f64 = 5e-4;

/// Filters that whiten: what the pair `2 i`, `2 i + 1` of them gives is the component `i` of a patch along the directions in
/// which patches differ most, scaled to about unit variance, and its negative.
///
/// With the eigenvalues `l_i` of the covariance, the largest first, and their eigenvectors `v_i`, the filters are
/// `v_i / sqrt(l_i + 5e-4 mean(l))` and their negatives.
///
/// # Shapes
/// `covariance` is `(n, n)`; the result is `(units, n)`, with `units` up to `2 n`.
///
/// # Panics
/// If the covariance is not square, or more filters are asked for than there are.
///
/// # References
/// Page and Jordan (2024), 94% on CIFAR-10 in 3.29 seconds on a single GPU, after Page (2018), How to train your `ResNet`.
///
/// # Examples
/// ```
/// use dnn_train::whitening_filters;
/// use ndarray::array;
///
/// let filters = whitening_filters(array![[4.0, 0.0], [0.0, 1.0]].view(), 3);
/// assert!((filters[(0, 0)] - 0.5).abs() < 1e-3 && filters[(0, 0)] == -filters[(1, 0)]);
/// assert!((filters[(2, 1)] - 1.0).abs() < 1e-2);
/// ```
pub fn whitening_filters(covariance: ArrayView2<'_, f64>, units: usize) -> Array2<f64> {
    let (values, vectors) = symmetric_eigen(covariance);
    assert!(units <= 2 * values.len(), "at most two filters for each number of a patch");
    let least = LEAST * values.sum() / values.len().max(1) as f64;
    Array2::from_shape_fn((units, values.len()), |(unit, at)| {
        let size = vectors[(unit / 2, at)] / (values[unit / 2].max(0.0) + least).sqrt();
        if unit % 2 == 0 { size } else { -size }
    })
}

/// Sums over patches of pictures.
pub(crate) struct Patches {
    layer: Conv2d,
    /// Of all numbers of a patch, and of their products two by two.
    sum: Array1<f64>,
    products: Array2<f64>,
    count: usize,
}

impl Patches {
    /// For the first layer of a network.
    ///
    /// # Errors
    /// [`TrainError::Core`] if that is no convolution of all channels, or has more units than there are filters.
    pub(crate) fn of<T: Element>(network: &Network<T>) -> Result<Self, TrainError> {
        let invalid = |expected, found: String| {
            Err(CoreError::Invalid { what: "whitening", expected, found }.into())
        };
        let layer = match network.layers().first() {
            Some(Layer::Conv2d(layer)) if layer.groups == 1 => *layer,
            first => {
                let name = network.layer_name(0);
                let found = match first {
                    Some(Layer::Conv2d(layer)) => format!("{name} in {} groups", layer.groups),
                    _ => name.to_owned(),
                };
                return invalid("a network that begins with a convolution of all channels", found);
            }
        };
        let [rows, columns] = layer.window.kernel;
        let numbers = rows * columns * network.input().channels;
        if layer.units > 2 * numbers {
            let found = format!("{} units for {numbers} numbers of a window", layer.units);
            return invalid("at most two units for each number of the first window", found);
        }
        let (sum, products) = (Array1::zeros(numbers), Array2::zeros((numbers, numbers)));
        Ok(Self { layer, sum, products, count: 0 })
    }

    /// Adds all patches that lie whole in these pictures, of the shape that `network` is for.
    pub(crate) fn add<T: Element>(
        &mut self,
        network: &Network<T>,
        pictures: &Features<'_, T>,
        columns: Columns<'_>,
    ) {
        let input = network.input();
        let [rows, width] = self.layer.window.kernel;
        let places = |all: usize, of: usize| (all + 1).saturating_sub(of);
        let (down, across) = (places(input.height, rows), places(input.width, width));
        let (row, of_row) = (input.width * input.channels, width * input.channels);
        let mut numbers = Array2::<T>::zeros((1, pictures.width()));
        let mut patches = Array2::<f64>::zeros((down * across, rows * of_row));
        for position in 0..columns.len() {
            let column = Columns::Run { start: columns.at(position), len: 1 };
            pictures.write_examples(0..pictures.width(), column, numbers.view_mut());
            for (place, mut patch) in patches.rows_mut().into_iter().enumerate() {
                let (top, left) = (place / across, place % across);
                for (down, mut to) in patch.exact_chunks_mut(of_row).into_iter().enumerate() {
                    let start = (top + down) * row + left * input.channels;
                    let from = numbers.slice(s![0, start..start + of_row]);
                    to.zip_mut_with(&from, |to, &x| *to = x.into());
                }
            }
            self.sum += &patches.sum_axis(Axis(0));
            self.products += &patches.t().dot(&patches);
            self.count += patches.nrows();
        }
    }

    /// Makes the weights of the first layer whitening filters, and freezes them.
    ///
    /// # Errors
    /// [`TrainError::Core`] if there are no patches, or all are alike.
    pub(crate) fn put<T: Element>(self, network: &mut Network<T>) -> Result<(), TrainError> {
        let mean = self.sum / self.count.max(1) as f64;
        let mut covariance = self.products / self.count.max(1) as f64;
        for ((i, j), entry) in covariance.indexed_iter_mut() {
            *entry -= mean[i] * mean[j];
        }
        let variance = covariance.diag().sum();
        let scale = mean.dot(&mean) + variance;
        // What is not a number is refused as well.
        let differ = variance > 1e-12 * scale;
        if !differ {
            return Err(CoreError::Invalid {
                what: "whitening",
                expected: "pictures of at least the size of a window that differ within and from each other",
                found: format!("{} patches with a variance of {variance}", self.count),
            }
            .into());
        }
        let filters = whitening_filters(covariance.view(), self.layer.units);
        let name = network.layer_tensors(0)[0].name().to_owned();
        let mut weights = network.tensor_mut(&name).expect("the weights of the convolution");
        weights.zip_mut_with(&filters, |weight, &filter| *weight = T::from_f64(filter));
        network.set_frozen(&name, true);
        Ok(())
    }
}
