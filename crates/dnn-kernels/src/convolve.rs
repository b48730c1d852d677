//! Convolutions and their gradients, a picture at a time, and the memory that they work in.

mod bands;
mod weights;
mod winograd;

use ndarray::{ArrayView1, ArrayViewMut2, s};

use self::bands::Picture;
pub use self::weights::ConvolutionWeights;
use self::winograd::{TiledGradient, TiledPicture};
use crate::aligned::aligned;
use crate::bf16::{ConvolutionPairs, Outputs};
use crate::convolution::winograd::POINTS;
use crate::convolution::{Geometry, WindowGradient, WindowProduct, bordered, bordered_gradient};
use crate::dispatch::PlainLoop;
use crate::kernels::{Kernels, Number};
use crate::path::KernelPath;
use crate::products::Products;

/// Memory that convolutions work in, used again from one picture to the next.
///
/// Weights are [packed](ConvolutionWeights) once for many pictures.
///
/// # Examples
/// ```
/// use dnn_kernels::{Convolution, ConvolutionWeights, Epilogue, Geometry};
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
/// let mut weights = ConvolutionWeights::default();
/// weights.pack(&geometry, array![[1.0, 1.0, 1.0, 1.0]].view());
/// let picture = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
/// let mut out = [0.0_f32; 4];
/// let epilogue = Epilogue::default();
/// Convolution::default().forward(&geometry, &weights, &picture, epilogue, &mut out);
/// assert_eq!(out, [12.0, 16.0, 24.0, 28.0]);
/// ```
#[derive(Debug, Clone)]
pub struct Convolution<T> {
    path: KernelPath,
    /// A picture with its border.
    picture: Vec<T>,
    /// What each of the threads that share a picture works in.
    bands: Vec<Vec<T>>,
    /// How many threads share a picture.
    threads: usize,
    products: Products,
    /// The same for products in bf16, if that is what is made.
    pairs: Option<ConvolutionPairs>,
}

/// What is made of a product before it is written.
#[derive(Debug, Clone, Copy)]
pub struct Epilogue<'e, T> {
    /// A number for each unit, which is added.
    pub bias: Option<ArrayView1<'e, T>>,
    /// Whether what is not above 0 becomes 0.
    pub relu: bool,
    /// Whether the largest number of each 2 x 2 takes their place, after all else. Not by products in bf16.
    pub maximum: bool,
}

impl<T> Default for Epilogue<'_, T> {
    /// Nothing.
    fn default() -> Self {
        Self { bias: None, relu: false, maximum: false }
    }
}

impl<T> Default for Convolution<T> {
    fn default() -> Self {
        Self {
            path: KernelPath::best(),
            picture: Vec::new(),
            bands: vec![Vec::new()],
            threads: 1,
            products: Products::Full,
            pairs: None,
        }
    }
}

impl<T: Number> Convolution<T> {
    /// In which numbers products are made from now on, by weights that are [laid out](ConvolutionWeights::set_products) for
    /// them.
    ///
    /// Where each unit reads its own channel alone, they stay full: memory is the limit there.
    ///
    /// # Panics
    /// If this processor does not make them, or they are not for this type.
    pub fn set_products(&mut self, products: Products) {
        assert!(products.exist_for::<T>(), "products that this processor does not make");
        self.products = products;
        self.pairs = (products == Products::Bf16).then(ConvolutionPairs::default);
    }

    /// The memory of products in bf16, if this convolution makes them.
    fn pairs(&mut self, geometry: &Geometry) -> Option<&mut ConvolutionPairs> {
        self.pairs.as_mut().filter(|_| !geometry.is_depthwise())
    }

    /// How many threads of the surrounding pool share a picture on its way [forward](Self::forward) from now on, where it
    /// is worth that; 1 at first. No bit depends on it.
    pub fn set_threads(&mut self, threads: usize) {
        self.threads = threads.max(1);
        if self.bands.len() < self.threads {
            self.bands.resize(self.threads, Vec::new());
        }
    }

    /// Takes all memory that convolutions of this geometry work in, forward and back.
    ///
    /// # Panics
    /// If the geometry cannot be.
    pub fn reserve(&mut self, geometry: &Geometry) {
        geometry.check();
        if geometry.is_tiled::<T>(self.products) {
            let size = winograd::memory(geometry).max(winograd::memory(&geometry.exchanged()));
            return self.bands.iter_mut().for_each(|memory| _ = aligned(memory, size));
        }
        aligned(&mut self.picture, geometry.bordered_numbers());
        for memory in &mut self.bands {
            aligned(memory, bands::memory(geometry, true));
        }
        if let Some(pairs) = self.pairs(geometry) {
            pairs.reserve(geometry);
        }
    }

    /// The convolution of one picture: `out = W * x + b`, and what the [`Epilogue`] makes of it.
    ///
    /// # Shapes
    /// | `x` | bias | `out` |
    /// |---|---|---|
    /// | those of [`Geometry::input`] | `units` | those of [`Geometry::output`], or a fourth of them |
    ///
    /// # Panics
    /// If they have other lengths, the weights were not [packed](ConvolutionWeights::pack) for this geometry, or the
    /// maximum is asked for of rows or columns that are not even, or of products in bf16.
    pub fn forward(
        &mut self,
        geometry: &Geometry,
        weights: &ConvolutionWeights<T>,
        x: &[T],
        epilogue: Epilogue<'_, T>,
        out: &mut [T],
    ) {
        let Epilogue { bias, relu, maximum } = epilogue;
        let (packed, in_pairs) = (weights.forward(geometry), weights.pairs.as_ref());
        let bias = bias.as_ref().map(|bias| bias.as_slice().expect("a contiguous bias"));
        let [rows, columns, _] = geometry.output;
        assert!(!maximum || (rows | columns).is_multiple_of(2), "pairs of rows and columns");
        let outputs = geometry.numbers_out() / if maximum { 4 } else { 1 };
        assert_eq!(out.len(), outputs, "outputs of another convolution");
        assert_eq!(x.len(), geometry.numbers_in(), "inputs of another convolution");
        if let Some(pairs) = self.pairs(geometry) {
            assert!(!maximum, "no maximum of products in bf16");
            let outputs = Outputs { bias: bias.map(f32s), out: f32s_mut(out) };
            let weights = in_pairs.expect(FOR_THESE);
            pairs.forward(geometry, weights, f32s(x), outputs);
            if relu {
                self.path.vectorized(Relu(out));
            }
            return;
        }
        let path = self.path;
        if geometry.is_tiled::<T>(self.products) {
            let (x, weights, bias) = (f32s(x), f32s(packed), bias.map(f32s));
            let picture = TiledPicture { path, geometry, x, weights, bias, relu, maximum };
            return picture.run(&mut self.bands[..self.threads], f32s_mut(out));
        }
        let taps = geometry.taps();
        let picture = Picture { path, geometry, taps, x, weights: packed, bias, relu, maximum };
        picture.run(&mut self.bands[..self.threads], out);
    }

    /// From the gradient of what a convolution gives to that of what it is given, for one picture.
    ///
    /// # Shapes
    /// As [`forward`](Self::forward): `dz` as `out`, `dx` as `x`.
    ///
    /// # Panics
    /// If they have other lengths, or the weights were not [packed](ConvolutionWeights::pack_exchanged) for the way back
    /// through this geometry.
    pub fn input_gradient(
        &mut self,
        geometry: &Geometry,
        weights: &ConvolutionWeights<T>,
        dz: &[T],
        dx: &mut [T],
    ) {
        let (packed, in_pairs) = (weights.exchanged(geometry), weights.pairs.as_ref());
        assert_eq!(dx.len(), geometry.numbers_in(), "a gradient of another input");
        assert_eq!(dz.len(), geometry.numbers_out(), "a gradient of another convolution");
        if let Some(pairs) = self.pairs(geometry) {
            let weights = in_pairs.expect(FOR_THESE);
            return pairs.input_gradient(geometry, weights, f32s(dz), f32s_mut(dx));
        }
        if geometry.is_tiled::<T>(self.products) {
            let (path, geometry) = (self.path, &geometry.exchanged());
            let (x, weights) = (f32s(dz), f32s(packed));
            let (bias, relu, maximum) = (None, false, false);
            let picture = TiledPicture { path, geometry, x, weights, bias, relu, maximum };
            return picture.run(&mut self.bands[..1], f32s_mut(dx));
        }
        let (dz, row_pitch) = bordered_gradient(geometry, dz, &mut self.picture);
        for phase in geometry.phases().filter(|phase| phase.taps.is_needed()) {
            let weights = &packed[phase.start..][..phase.taps.packed()];
            let (taps, begins) = phase.reached(row_pitch);
            // Without a tap nothing is read.
            let x = dz.get(begins..).unwrap_or(&[]);
            let out = &mut dx[phase.out..];
            run(self.path, WindowProduct { taps: &taps, x, weights, bias: None, relu: false, out });
        }
    }

    /// Adds what one picture gives to the gradient of the weights to `sums`; whatever is in them before the first one does
    /// not count.
    ///
    /// # Shapes
    /// As [`input_gradient`](Self::input_gradient); `sums` are [so many](Self::gradient_sums).
    ///
    /// # Panics
    /// If they have other lengths, or the geometry cannot be.
    pub fn add_gradient(
        &mut self,
        geometry: &Geometry,
        x: &[T],
        dz: &[T],
        sums: &mut [T],
        is_first: bool,
    ) {
        let count = self.gradient_sums(geometry);
        assert_eq!(sums.len(), count, "sums of other weights");
        assert_eq!(dz.len(), geometry.numbers_out(), "a gradient of another convolution");
        assert_eq!(x.len(), geometry.numbers_in(), "inputs of another convolution");
        if let Some(pairs) = self.pairs(geometry) {
            if is_first {
                sums.fill(T::zero());
            }
            return pairs.add_gradient(geometry, f32s(x), f32s(dz), f32s_mut(sums));
        }
        let path = self.path;
        if geometry.is_tiled::<T>(self.products) {
            let (x, dz, sums) = (f32s(x), f32s(dz), f32s_mut(sums));
            let gradient = TiledGradient { path, geometry, x, dz, is_first };
            return gradient.add_to(&mut self.bands[0], sums);
        }
        let (x, taps) = bordered(geometry, x, &mut self.picture);
        if taps.is_depthwise {
            let taps = &taps;
            return T::Kernels::depthwise_gradient(
                path,
                WindowGradient { taps, x, dz, sums, is_first },
            );
        }
        let size = taps.packed() / geometry.groups;
        for (group, sums) in sums.chunks_exact_mut(size.max(1)).enumerate() {
            let (x, dz) = (&x[group * taps.inputs()..], &dz[group * taps.units..]);
            let gradient = WindowGradient { taps: &taps, x, dz, sums, is_first };
            T::Kernels::convolution_gradient(path, gradient);
        }
    }

    /// Numbers of [sums](Self::add_gradient) of a gradient of the weights, which are laid out for kernels.
    pub fn gradient_sums(&self, geometry: &Geometry) -> usize {
        geometry.check();
        if geometry.is_tiled::<T>(self.products) {
            return POINTS * geometry.tap_numbers();
        }
        geometry.taps().packed()
    }

    /// Writes `share * sums` to `dw`, which has the shape of the weights.
    ///
    /// # Panics
    /// If either has another shape, or the geometry cannot be.
    pub fn store_gradient(
        &self,
        geometry: &Geometry,
        sums: &[T],
        share: T,
        mut dw: ArrayViewMut2<'_, T>,
    ) {
        let count = self.gradient_sums(geometry);
        assert_eq!(sums.len(), count, "sums of other weights");
        assert_eq!(dw.dim(), geometry.weights(), "a gradient of other weights");
        if geometry.is_tiled::<T>(self.products) {
            return winograd::store_gradient(geometry, sums, share, dw);
        }
        let taps = geometry.taps();
        if let Some(by_tap) = taps.by_tap(sums) {
            let by_tap = by_tap.slice_move(s![.., ..dw.nrows()]);
            T::Kernels::transpose(KernelPath::best(), by_tap, dw.view_mut());
            dw *= share;
            return;
        }
        for (unit, mut row) in dw.rows_mut().into_iter().enumerate() {
            let (group, column) = taps.place(unit);
            for (tap, to) in row.iter_mut().enumerate() {
                *to = share * sums[group + tap * taps.columns + column];
            }
        }
    }
}

/// 0 in place of what is not above 0; NaN stays NaN.
struct Relu<'a, T>(&'a mut [T]);

impl<T: Number> PlainLoop for Relu<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for out in self.0 {
            *out = if *out <= T::zero() { T::zero() } else { *out };
        }
    }
}

/// Why weights fit the products.
const FOR_THESE: &str = "weights that are laid out for these products";

/// Numbers whose products are made in bf16.
fn f32s<T: Number>(values: &[T]) -> &[f32] {
    T::f32s(values).expect("products in bf16 are for f32 alone")
}

fn f32s_mut<T: Number>(values: &mut [T]) -> &mut [f32] {
    T::f32s_mut(values).expect("products in bf16 are for f32 alone")
}

/// The product of a picture, with its border, with packed weights, group by group.
fn run<T: Number>(path: KernelPath, product: WindowProduct<'_, T>) {
    let WindowProduct { taps, x, weights, bias, relu, out } = product;
    if taps.is_depthwise {
        return T::Kernels::depthwise(path, WindowProduct { taps, x, weights, bias, relu, out });
    }
    let size = taps.packed() / taps.groups;
    for group in 0..taps.groups {
        let weights = &weights[group * size..][..size];
        let bias = bias.map(|bias| &bias[group * taps.units..][..taps.units]);
        // Without a tap nothing is read.
        let x = x.get(group * taps.inputs()..).unwrap_or(&[]);
        let out = &mut out[group * taps.units..];
        T::Kernels::convolve(path, WindowProduct { taps, x, weights, bias, relu, out });
    }
}

#[cfg(test)]
mod tests;
