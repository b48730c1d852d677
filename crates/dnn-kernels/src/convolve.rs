//! Convolutions and their gradients, a picture at a time: the memory that they work in, and the weights as the kernels
//! want them.

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, s};

use crate::aligned::aligned;
use crate::bf16::{ConvolutionPairs, Outputs};
use crate::convolution::{Geometry, Taps, padded, spread};
use crate::kernels::{Kernels, Number};
use crate::path::KernelPath;
use crate::products::Products;

/// Memory that convolutions work in, used again from one picture to the next.
///
/// Weights are [packed](Self::pack) once for many pictures.
///
/// # Examples
/// ```
/// use dnn_kernels::{Convolution, Geometry};
/// use ndarray::array;
///
/// // The sum of each 2 x 2 window of a picture of one channel.
/// let geometry = Geometry {
///     input: [3, 3, 1],
///     output: [2, 2, 1],
///     kernel: [2, 2],
///     stride: [1, 1],
///     before: [0, 0],
///     groups: 1,
/// };
/// let mut convolution = Convolution::<f32>::default();
/// convolution.pack(&geometry, array![[1.0, 1.0, 1.0, 1.0]].view());
/// let picture = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
/// let mut out = [0.0; 4];
/// convolution.forward(&geometry, &picture, None, &mut out);
/// assert_eq!(out, [12.0, 16.0, 24.0, 28.0]);
/// ```
#[derive(Debug, Clone)]
pub struct Convolution<T> {
    path: KernelPath,
    /// Weights, or sums of their gradients, as `Taps` has them.
    weights: Vec<T>,
    /// What these are.
    holds: Holds,
    /// A picture with its border.
    picture: Vec<T>,
    /// The same for products in bf16, if that is what is made.
    pairs: Option<ConvolutionPairs>,
}

/// What was laid out last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Nothing,
    Weights(Geometry),
    Exchanged(Geometry),
    Sums(Geometry),
}

impl<T> Default for Convolution<T> {
    fn default() -> Self {
        let holds = Holds::Nothing;
        let path = KernelPath::best();
        Self { path, weights: Vec::new(), holds, picture: Vec::new(), pairs: None }
    }
}

impl<T: Number> Convolution<T> {
    /// In which numbers products are made from now on; what was laid out is forgotten.
    ///
    /// Where each unit reads its own channel alone, they stay full: memory is the limit there.
    ///
    /// # Panics
    /// If this processor does not make them, or they are not for this type.
    pub fn set_products(&mut self, products: Products) {
        assert!(products.exist_for::<T>(), "products that this processor does not make");
        self.holds = Holds::Nothing;
        self.pairs = (products == Products::Bf16).then(ConvolutionPairs::default);
    }

    /// The memory of products in bf16, if this convolution makes them.
    fn pairs(&mut self, taps: &Taps) -> Option<&mut ConvolutionPairs> {
        self.pairs.as_mut().filter(|_| !taps.is_depthwise)
    }

    /// Has weights that are laid out taken over as pairs, where there are any.
    fn pack_pairs(&mut self, taps: &Taps) {
        let packed = aligned(&mut self.weights, taps.packed());
        if let Some(pairs) = self.pairs.as_mut().filter(|_| !taps.is_depthwise) {
            pairs.pack(taps, f32s(packed));
        }
    }

    /// Takes all memory that convolutions of this geometry work in, forward and back.
    ///
    /// # Panics
    /// If the geometry cannot be.
    pub fn reserve(&mut self, geometry: &Geometry) {
        geometry.check();
        let exchanged = geometry.exchanged();
        let weights = geometry.taps().packed().max(exchanged.taps().packed());
        let (units, taps) = geometry.weights();
        let picture = geometry.padded_numbers().max(exchanged.numbers_in()).max(units * taps);
        aligned(&mut self.weights, weights);
        aligned(&mut self.picture, picture);
        self.holds = Holds::Nothing;
        if let Some(pairs) = self.pairs(&geometry.taps()) {
            pairs.reserve(geometry);
        }
    }

    /// Lays out weights for [`forward`](Self::forward).
    ///
    /// # Shapes
    /// `weights` is `(units, kernel rows * kernel columns * channels / groups)`.
    ///
    /// # Panics
    /// If they have another shape, or the geometry cannot be.
    pub fn pack(&mut self, geometry: &Geometry, weights: ArrayView2<'_, T>) {
        geometry.check();
        assert_eq!(weights.dim(), geometry.weights(), "weights of another convolution");
        self.holds = Holds::Weights(*geometry);
        let taps = geometry.taps();
        let packed = aligned(&mut self.weights, taps.packed());
        packed.fill(T::zero());
        if let Some(mut by_tap) = taps.by_tap_mut(packed) {
            let out = by_tap.slice_mut(s![.., ..weights.nrows()]);
            T::Kernels::transpose(self.path, weights, out);
            return self.pack_pairs(&taps);
        }
        for (unit, row) in weights.rows().into_iter().enumerate() {
            let (group, column) = taps.place(unit);
            for (tap, &weight) in row.iter().enumerate() {
                packed[group + tap * taps.columns + column] = weight;
            }
        }
        self.pack_pairs(&taps);
    }

    /// The convolution of one picture: `out = W * x + b`.
    ///
    /// # Shapes
    /// | `x` | `bias` | `out` |
    /// |---|---|---|
    /// | those of [`Geometry::input`] | `units` | those of [`Geometry::output`] |
    ///
    /// # Panics
    /// If they have other lengths, or the weights of another geometry were [packed](Self::pack).
    pub fn forward(
        &mut self,
        geometry: &Geometry,
        x: &[T],
        bias: Option<ArrayView1<'_, T>>,
        out: &mut [T],
    ) {
        assert_eq!(self.holds, Holds::Weights(*geometry), "other weights were packed");
        let bias = bias.as_ref().map(|bias| bias.as_slice().expect("a contiguous bias"));
        assert_eq!(out.len(), geometry.numbers_out(), "outputs of another convolution");
        let taps = geometry.taps();
        if let Some(pairs) = self.pairs(&taps) {
            let outputs = Outputs { bias: bias.map(f32s), out: f32s_mut(out) };
            return pairs.forward(geometry, f32s(x), outputs);
        }
        let packed = aligned(&mut self.weights, taps.packed());
        let (x, taps) = padded(geometry, x, taps, &mut self.picture);
        run(self.path, &taps, x, packed, bias, out);
    }

    /// Lays out weights for [`input_gradient`](Self::input_gradient): each turned by half a circle, with inputs and units
    /// exchanged.
    ///
    /// # Panics
    /// As [`pack`](Self::pack).
    pub fn pack_exchanged(&mut self, geometry: &Geometry, weights: ArrayView2<'_, T>) {
        geometry.check();
        assert_eq!(weights.dim(), geometry.weights(), "weights of another convolution");
        self.holds = Holds::Exchanged(*geometry);
        let taps = geometry.exchanged().taps();
        let packed = aligned(&mut self.weights, taps.packed());
        packed.fill(T::zero());
        let [_, _, channels] = geometry.input;
        let [_, _, units] = geometry.output;
        let (inputs, units) = (channels / geometry.groups, units / geometry.groups);
        let places = geometry.kernel[0] * geometry.kernel[1];
        for (unit, row) in weights.rows().into_iter().enumerate() {
            let row = row.to_slice().expect("weights of contiguous rows");
            let (group, of_group) = (unit / units, unit % units);
            // The inputs of a group are units here, side by side in both.
            let (start, column) = taps.place(group * inputs);
            for (place, weights) in row.chunks_exact(inputs).enumerate() {
                let tap = (places - 1 - place) * taps.inputs() + of_group;
                let to = start + tap * taps.columns + column;
                packed[to..to + inputs].copy_from_slice(weights);
            }
        }
        self.pack_pairs(&taps);
    }

    /// From the gradient of what a convolution gives to that of what it is given, for one picture.
    ///
    /// # Shapes
    /// As [`forward`](Self::forward): `dz` as `out`, `dx` as `x`.
    ///
    /// # Panics
    /// If they have other lengths, or the weights of another geometry were
    /// [packed](Self::pack_exchanged).
    pub fn input_gradient(&mut self, geometry: &Geometry, dz: &[T], dx: &mut [T]) {
        assert_eq!(self.holds, Holds::Exchanged(*geometry), "other weights were packed");
        assert_eq!(dx.len(), geometry.numbers_in(), "a gradient of another input");
        let exchanged = geometry.exchanged();
        let taps = exchanged.taps();
        if let Some(pairs) = self.pairs(&taps) {
            return pairs.input_gradient(geometry, f32s(dz), f32s_mut(dx));
        }
        let packed = aligned(&mut self.weights, taps.packed());
        let picture = spread(geometry, dz, &mut self.picture);
        run(self.path, &taps, picture, packed, None, dx);
    }

    /// Begins the sum of the gradients of the weights.
    ///
    /// # Panics
    /// If the geometry cannot be.
    pub fn start_gradient(&mut self, geometry: &Geometry) {
        geometry.check();
        self.holds = Holds::Sums(*geometry);
        aligned(&mut self.weights, geometry.taps().packed()).fill(T::zero());
    }

    /// Adds what one picture gives to the gradient of the weights.
    ///
    /// # Panics
    /// If `x` or `dz` has another length, or no sum of this geometry was [begun](Self::start_gradient).
    pub fn add_gradient(&mut self, geometry: &Geometry, x: &[T], dz: &[T]) {
        assert_eq!(self.holds, Holds::Sums(*geometry), "another sum was begun");
        assert_eq!(dz.len(), geometry.numbers_out(), "a gradient of another convolution");
        let taps = geometry.taps();
        let sums = aligned(&mut self.weights, taps.packed());
        if let Some(pairs) = self.pairs.as_mut().filter(|_| !taps.is_depthwise) {
            return pairs.add_gradient(geometry, f32s(x), f32s(dz), f32s_mut(sums));
        }
        let (x, taps) = padded(geometry, x, taps, &mut self.picture);
        let path = self.path;
        if taps.is_depthwise {
            return T::Kernels::depthwise_gradient(path, &taps, x, dz, sums);
        }
        let size = taps.packed() / geometry.groups;
        for (group, sums) in sums.chunks_exact_mut(size).enumerate() {
            let (x, dz) = (&x[group * taps.inputs()..], &dz[group * taps.units..]);
            T::Kernels::convolution_gradient(path, &taps, x, dz, sums);
        }
    }

    /// Adds the sums to `dw`, which has the shape of the weights.
    ///
    /// # Panics
    /// If it has another shape, or no sum of this geometry was [begun](Self::start_gradient).
    pub fn finish_gradient(&mut self, geometry: &Geometry, mut dw: ArrayViewMut2<'_, T>) {
        assert_eq!(self.holds, Holds::Sums(*geometry), "another sum was begun");
        assert_eq!(dw.dim(), geometry.weights(), "a gradient of other weights");
        let taps = geometry.taps();
        let sums = aligned(&mut self.weights, taps.packed());
        if let Some(by_tap) = taps.by_tap_mut(sums) {
            let (units, count) = dw.dim();
            let turned = aligned(&mut self.picture, units * count);
            let shape = (units, count);
            let turned = ArrayViewMut2::from_shape(shape, turned);
            let mut turned = turned.expect("of this size");
            let by_tap = by_tap.slice_move(s![.., ..units]);
            T::Kernels::transpose(self.path, by_tap.view(), turned.view_mut());
            dw += &turned;
            return;
        }
        for (unit, mut row) in dw.rows_mut().into_iter().enumerate() {
            let (group, column) = taps.place(unit);
            for (tap, sum) in row.iter_mut().enumerate() {
                *sum += sums[group + tap * taps.columns + column];
            }
        }
    }
}

/// Numbers whose products are made in bf16.
fn f32s<T: Number>(values: &[T]) -> &[f32] {
    T::f32s(values).expect("products in bf16 are for f32 alone")
}

fn f32s_mut<T: Number>(values: &mut [T]) -> &mut [f32] {
    T::f32s_mut(values).expect("products in bf16 are for f32 alone")
}

/// The product of a picture, with its border, with packed weights, group by group.
fn run<T: Number>(
    path: KernelPath,
    taps: &Taps,
    x: &[T],
    packed: &[T],
    bias: Option<&[T]>,
    out: &mut [T],
) {
    if taps.is_depthwise {
        return T::Kernels::depthwise(path, taps, x, packed, bias, out);
    }
    for (group, weights) in packed.chunks_exact(taps.packed() / taps.groups).enumerate() {
        let bias = bias.map(|bias| &bias[group * taps.units..][..taps.units]);
        let x = &x[group * taps.inputs()..];
        let out = &mut out[group * taps.units..];
        T::Kernels::convolve(path, taps, x, weights, bias, out);
    }
}

#[cfg(test)]
mod tests;
