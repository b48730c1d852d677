//! The weights of a convolution as the kernels want them.

use ndarray::{Array2, ArrayView2, s};

use super::f32s;
use crate::aligned::{aligned, aligned_already, aligned_zeros};
use crate::bf16::WeightPairs;
use crate::convolution::winograd::{POINTS, TAPS, WeightsOfTiles};
use crate::convolution::{Geometry, Taps};
use crate::kernels::{Kernels, Number};
use crate::path::KernelPath;
use crate::products::Products;

/// The weights of a convolution, laid out for one way through it, for any number of pictures and threads.
#[derive(Debug, Clone)]
pub struct ConvolutionWeights<T> {
    /// One row.
    numbers: Array2<T>,
    packed_for: Option<(Way, Geometry)>,
    pub(super) products: Products,
    /// The same numbers point by point, where the convolution is made by tiles.
    points: Vec<T>,
    /// The same for products in bf16, if that is what is made.
    pub(super) pairs: Option<WeightPairs>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Forward,
    Back,
}

impl<T: Number> Default for ConvolutionWeights<T> {
    fn default() -> Self {
        let (numbers, points) = (Array2::zeros((1, 0)), Vec::new());
        Self { numbers, packed_for: None, products: Products::Full, points, pairs: None }
    }
}

impl<T: Number> ConvolutionWeights<T> {
    /// For which products weights are laid out from now on; what was laid out is forgotten. See
    /// [`Convolution::set_products`](crate::Convolution::set_products).
    ///
    /// # Panics
    /// If this processor does not make them, or they are not for this type.
    pub fn set_products(&mut self, products: Products) {
        assert!(products.exist_for::<T>(), "products that this processor does not make");
        self.packed_for = None;
        self.products = products;
        self.pairs = (products == Products::Bf16).then(WeightPairs::default);
    }

    /// Lays out weights for [`forward`](crate::Convolution::forward).
    ///
    /// # Shapes
    /// `weights` is `(units, kernel rows * kernel columns * channels / groups)`.
    ///
    /// # Panics
    /// If they have another shape, or the geometry cannot be.
    pub fn pack(&mut self, geometry: &Geometry, weights: ArrayView2<'_, T>) {
        geometry.check();
        assert_eq!(weights.dim(), geometry.weights(), "weights of another convolution");
        self.packed_for = Some((Way::Forward, *geometry));
        let taps = geometry.taps();
        let packed = self.zeros(taps.packed());
        if let Some(mut by_tap) = taps.by_tap_mut(packed) {
            let out = by_tap.slice_mut(s![.., ..weights.nrows()]);
            T::Kernels::transpose(KernelPath::best(), weights, out);
            return self.lay_out(std::iter::once(taps));
        }
        for (unit, row) in weights.rows().into_iter().enumerate() {
            let (group, column) = taps.place(unit);
            for (tap, &weight) in row.iter().enumerate() {
                packed[group + tap * taps.columns + column] = weight;
            }
        }
        self.lay_out(std::iter::once(taps));
    }

    /// Lays out weights for [`input_gradient`](crate::Convolution::input_gradient): those of each of its convolutions,
    /// turned by half a circle, with inputs and units exchanged.
    ///
    /// # Panics
    /// As [`pack`](Self::pack).
    pub fn pack_exchanged(&mut self, geometry: &Geometry, weights: ArrayView2<'_, T>) {
        geometry.check();
        assert_eq!(weights.dim(), geometry.weights(), "weights of another convolution");
        self.packed_for = Some((Way::Back, *geometry));
        let packed = self.zeros(geometry.packed_for_phases());
        let [_, _, channels] = geometry.input;
        let [_, _, units] = geometry.output;
        let (inputs, units) = (channels / geometry.groups, units / geometry.groups);
        for phase in geometry.phases() {
            let taps = phase.taps;
            let [rows, columns] = phase.axes;
            // Of the taps that reach these pixels, the last one comes first.
            let tap_of = |axis: usize, at: usize| {
                let of_axis = phase.axes[axis];
                of_axis.first + (of_axis.count - 1 - at) * geometry.stride[axis]
            };
            for (unit, row) in weights.rows().into_iter().enumerate() {
                let row = row.to_slice().expect("weights of contiguous rows");
                let (group, of_group) = (unit / units, unit % units);
                // The inputs of a group are units here, side by side in both.
                let (start, column) = taps.place(group * inputs);
                for (i, j) in (0..rows.count).flat_map(|i| (0..columns.count).map(move |j| (i, j)))
                {
                    let from = tap_of(0, i) * geometry.kernel[1] + tap_of(1, j);
                    let tap = (i * columns.count + j) * taps.inputs() + of_group;
                    let to = phase.start + start + tap * taps.columns + column;
                    packed[to..to + inputs].copy_from_slice(&row[from * inputs..][..inputs]);
                }
            }
        }
        self.lay_out(geometry.phases().map(|phase| phase.taps));
    }

    /// Those for the way forward.
    pub(crate) fn forward(&self, geometry: &Geometry) -> &[T] {
        assert_eq!(self.packed_for, Some((Way::Forward, *geometry)), "other weights were packed");
        self.laid_out(geometry, geometry.taps().packed())
    }

    /// Those for the way back.
    pub(crate) fn exchanged(&self, geometry: &Geometry) -> &[T] {
        assert_eq!(self.packed_for, Some((Way::Back, *geometry)), "other weights were packed");
        self.laid_out(geometry, geometry.packed_for_phases())
    }

    /// Takes over what was laid out for these as points or as pairs, where there are any.
    fn lay_out(&mut self, parts: impl Iterator<Item = Taps> + Clone) {
        let (_, geometry) = self.packed_for.expect("noted before");
        if geometry.is_tiled::<T>(self.products) {
            let count = parts.map(|taps| taps.packed()).sum::<usize>();
            let taps = &self.numbers.as_slice().expect("one row")[..count];
            let out = aligned(&mut self.points, POINTS * (count / TAPS));
            return KernelPath::best().vectorized(WeightsOfTiles { taps, out });
        }
        let is_depthwise = parts.clone().any(|taps| taps.is_depthwise);
        if let Some(pairs) = self.pairs.as_mut().filter(|_| !is_depthwise) {
            let numbers = self.numbers.as_slice().expect("one row");
            pairs.pack(parts, f32s(numbers));
        }
    }

    /// So many zeros, in memory that grows where it is too small.
    fn zeros(&mut self, count: usize) -> &mut [T] {
        if self.numbers.len() < count {
            self.numbers = aligned_zeros((1, count));
        }
        let numbers = &mut self.numbers.as_slice_mut().expect("one row")[..count];
        numbers.fill(T::zero());
        numbers
    }

    fn laid_out(&self, geometry: &Geometry, count: usize) -> &[T] {
        if geometry.is_tiled::<T>(self.products) {
            return aligned_already(&self.points, POINTS * (count / TAPS));
        }
        &self.numbers.as_slice().expect("one row")[..count]
    }
}
