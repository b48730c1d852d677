//! Convolutions of 3 x 3 by [tiles of 2 x 2](crate::convolution::winograd), in bands of rows of tiles.
//!
//! ```text
//! for each band, in turn, by whichever thread comes first:
//!     the rows that it reads, with their border
//!     V of its tiles; for each of 16 points the product with U; the output of its tiles, with the epilogue
//! ```

use ndarray::{ArrayViewMut2, Axis, aview2, s};

use super::f32s_mut;
use crate::aligned::aligned;
use crate::convolution::winograd::{
    GradientOfTiles, GradientOfWeights, InputOfTiles, OutputOfTiles, PIECE, POINTS, TAPS, Tiles,
};
use crate::convolution::{Bordered, Geometry, WindowGradient, WindowProduct};
use crate::kernels::{F32Kernels, Kernels, Number};
use crate::parallel::for_each_part;
use crate::path::KernelPath;
use crate::products::Products;
use crate::take_turns::take_turns;

/// About the most numbers of tiles that a band reads and gives, and of all that is summed over a picture.
const BAND: usize = 1 << 16;
const BAND_OF_SUMS: usize = 1 << 17;
/// Multiplications from which on a picture is worth more than one thread, and bands for each of them then.
const SHARED: usize = 1 << 18;
const BANDS: usize = 2;

impl Geometry {
    /// Whether such convolutions are made by tiles.
    pub(crate) fn is_tiled<T: Number>(&self, products: Products) -> bool {
        products == Products::Full && T::f32s(&[]).is_some() && self.suits_winograd()
    }

    /// Whether such convolutions take less time by tiles.
    fn suits_winograd(&self) -> bool {
        let [rows, columns, units] = self.output;
        let channels = self.input[2];
        let tiles = Tiles { rows: rows.div_ceil(2), columns: columns.div_ceil(2) };
        self.kernel == [3, 3]
            && self.stride == [1, 1]
            && self.groups == 1
            && self.before.iter().all(|&before| before < 3)
            && channels.min(units) >= LEAST
            && rows * columns > 0
            && 5 * tiles.count() * POINTS <= 4 * rows * columns * 9
    }

    /// The convolution of the gradient of the output that gives that of the input, where windows are a pixel apart.
    pub(super) fn exchanged(&self) -> Self {
        let before = [0, 1].map(|axis| self.kernel[axis] - 1 - self.before[axis]);
        Self { input: self.output, output: self.input, before, ..*self }
    }

    /// Numbers from one tap of weights, or of their gradient, to the next.
    pub(super) fn tap_numbers(&self) -> usize {
        self.input[2] * self.taps().columns
    }
}

/// Channels and units from which on it pays.
const LEAST: usize = 16;

/// A convolution of one picture by tiles.
pub(super) struct TiledPicture<'p> {
    pub(super) path: KernelPath,
    pub(super) geometry: &'p Geometry,
    pub(super) x: &'p [f32],
    pub(super) weights: &'p [f32],
    pub(super) bias: Option<&'p [f32]>,
    pub(super) relu: bool,
    pub(super) maximum: bool,
}

/// Parts of the memory of a band, by their numbers.
struct Parts {
    read: usize,
    /// From one point of what tiles read to the next, and of what they give.
    of_point: [usize; 2],
}

impl Parts {
    fn of(geometry: &Geometry, tiles: Tiles) -> Self {
        // An odd number of lines: else many points would want the same places of the cache.
        let apart = |numbers: usize| (numbers.div_ceil(LINE) | 1) * LINE;
        let of_point = [geometry.input[2], geometry.output[2]].map(|it| apart(tiles.count() * it));
        Self { read: (rows_read(tiles) * pitch(geometry)).next_multiple_of(LINE), of_point }
    }

    fn all(&self) -> usize {
        self.read + POINTS * self.of_point.iter().sum::<usize>()
    }

    /// Those of memory that is long enough.
    fn split<'m>(&self, memory: &'m mut [f32]) -> [&'m mut [f32]; 3] {
        let (read, rest) = memory.split_at_mut(self.read);
        let (points, rest) = rest.split_at_mut(POINTS * self.of_point[0]);
        [read, points, &mut rest[..POINTS * self.of_point[1]]]
    }
}

/// Numbers that each part is filled up to.
const LINE: usize = 16;

fn columns_of_tiles(geometry: &Geometry) -> usize {
    geometry.output[1].div_ceil(2)
}

fn rows_read(tiles: Tiles) -> usize {
    2 * tiles.rows + 2
}

/// Numbers of a row of what is read.
fn pitch(geometry: &Geometry) -> usize {
    (2 * columns_of_tiles(geometry) + 2) * geometry.input[2]
}

/// Rows of tiles in a band of at most so many numbers, for as many threads.
fn rows_of_tiles(geometry: &Geometry, most: usize, threads: usize) -> usize {
    let [rows, columns, units] = geometry.output;
    let all = rows.div_ceil(2).max(1);
    let of_a_row = POINTS * columns_of_tiles(geometry) * (geometry.input[2] + units);
    let bands = (all * of_a_row).div_ceil(most);
    let is_worthwhile = rows * columns * units * geometry.weights().1 >= SHARED;
    let bands = if threads > 1 && is_worthwhile { bands.max(BANDS * threads) } else { bands };
    all.div_ceil(bands.max(1))
}

/// Numbers of memory that a thread needs for this convolution, and for the gradient of its weights.
pub(super) fn memory(geometry: &Geometry) -> usize {
    let columns = columns_of_tiles(geometry);
    let most = rows_of_tiles(geometry, BAND, 1).max(rows_of_tiles(geometry, BAND_OF_SUMS, 1));
    Parts::of(geometry, Tiles { rows: most, columns }).all()
}

impl TiledPicture<'_> {
    /// Writes what is wanted to `out`, on as many threads of the surrounding pool as there are memories.
    pub(super) fn run<T: Number>(&self, memories: &mut [Vec<T>], out: &mut [f32]) {
        let geometry = self.geometry;
        let [_, columns, units] = geometry.output;
        let rows = rows_of_tiles(geometry, BAND, memories.len());
        let given = 2 * rows * columns * units / if self.maximum { 4 } else { 1 };
        let bands = out.chunks_mut(given.max(1)).enumerate();
        let used = memories.len().min(bands.len());
        let size = memory(geometry);
        // All of it now: a thread may come to its first band later.
        memories[..used].iter_mut().for_each(|memory| _ = aligned(memory, size));
        take_turns(&mut memories[..used], bands, |memory, band, out| {
            self.band(band * rows, rows, f32s_mut(aligned(memory, size)), out);
        });
    }

    /// The rows of tiles from `first` on, `most` of them or as many as there are.
    fn band(&self, first: usize, most: usize, memory: &mut [f32], out: &mut [f32]) {
        let Self { path, geometry, weights, bias, relu, maximum, .. } = *self;
        let [rows, columns, units] = geometry.output;
        let tiles = tiles_of_band(geometry, first, most);
        let parts = Parts::of(geometry, tiles);
        let [apart_in, apart] = parts.of_point;
        let [read, points, products] = parts.split(memory);
        let band = Band { path, geometry, x: self.x, first, tiles };
        band.input(read, points);
        let taps = tiles.taps(geometry.input[2], units, geometry.taps().columns);
        let of_point = weights.chunks_exact(geometry.tap_numbers());
        let points = points.chunks_exact(apart_in);
        let outs = products.chunks_exact_mut(apart);
        for ((x, weights), out) in points.zip(of_point).zip(outs) {
            let taps = &taps;
            let product = WindowProduct { taps, x, weights, bias: None, relu: false, out };
            F32Kernels::convolve(path, product);
        }
        let rows = (rows - 2 * first).min(2 * tiles.rows);
        let (products, maximum) = (&*products, maximum);
        OutputOfTiles { tiles, units, rows, columns, apart, products, bias, relu, maximum, out }
            .run(path);
    }
}

fn tiles_of_band(geometry: &Geometry, first: usize, most: usize) -> Tiles {
    let rows = geometry.output[0].div_ceil(2) - first;
    Tiles { rows: rows.min(most), columns: columns_of_tiles(geometry) }
}

/// Some rows of tiles of a picture, from row `first` on.
struct Band<'p> {
    path: KernelPath,
    geometry: &'p Geometry,
    x: &'p [f32],
    first: usize,
    tiles: Tiles,
}

impl Band<'_> {
    /// Writes `V` of them, by way of the numbers with their border.
    fn input(&self, read: &mut [f32], points: &mut [f32]) {
        let Self { path, geometry, tiles, .. } = *self;
        let (channels, row_pitch) = (geometry.input[2], pitch(geometry));
        let bordered = Bordered {
            picture: geometry.input,
            before: geometry.before,
            size: [rows_read(tiles), 2 * tiles.columns + 2],
        };
        let x = &mut read[..rows_read(tiles) * row_pitch];
        bordered.fill(2 * self.first, self.x, x, |from, to| to.copy_from_slice(from));
        let [apart, _] = Parts::of(geometry, tiles).of_point;
        InputOfTiles { tiles, channels, row_pitch, apart, x, out: points }.run(path);
    }
}

/// What one picture gives to the gradient of the weights, by tiles.
pub(super) struct TiledGradient<'p> {
    pub(super) path: KernelPath,
    pub(super) geometry: &'p Geometry,
    pub(super) x: &'p [f32],
    pub(super) dz: &'p [f32],
    /// Whether nothing is in the sums yet.
    pub(super) is_first: bool,
}

impl TiledGradient<'_> {
    /// Adds it to sums, point by point.
    pub(super) fn add_to<T: Number>(&self, memory: &mut Vec<T>, sums: &mut [f32]) {
        let Self { path, geometry, x, .. } = *self;
        let [rows, columns, units] = geometry.output;
        let most = rows_of_tiles(geometry, BAND_OF_SUMS, 1);
        let memory = f32s_mut(aligned(memory, self::memory(geometry)));
        for first in (0..rows.div_ceil(2)).step_by(most) {
            let tiles = tiles_of_band(geometry, first, most);
            let parts = Parts::of(geometry, tiles);
            let [apart_in, apart] = parts.of_point;
            let [read, points, slopes] = parts.split(memory);
            let band = Band { path, geometry, x, first, tiles };
            band.input(read, points);
            let rows = (rows - 2 * first).min(2 * tiles.rows);
            let dz = &self.dz[2 * first * columns * units..];
            let out = &mut *slopes;
            GradientOfTiles { tiles, units, rows, columns, apart, dz, out }.run(path);
            let taps = &tiles.taps(geometry.input[2], units, geometry.taps().columns);
            let points = points.chunks_exact(apart_in).zip(slopes.chunks_exact(apart));
            let is_first = self.is_first && first == 0;
            for ((x, dz), sums) in points.zip(sums.chunks_exact_mut(geometry.tap_numbers())) {
                let gradient = WindowGradient { taps, x, dz, sums, is_first };
                F32Kernels::convolution_gradient(path, gradient);
            }
        }
    }
}

/// Writes `share * G^T sums G` to `dw`, in parallel.
pub(super) fn store_gradient<T: Number>(
    geometry: &Geometry,
    sums: &[T],
    share: T,
    mut dw: ArrayViewMut2<'_, T>,
) {
    let path = KernelPath::best();
    let apart = [geometry.tap_numbers(), geometry.taps().columns];
    let all = geometry.input[2];
    for_each_part(dw.axis_chunks_iter_mut(Axis(0), PIECE), &|block, mut dw| {
        let units = dw.nrows();
        for channel in (0..all).step_by(PIECE) {
            let channels = PIECE.min(all - channel);
            let mut taps = [[[T::zero(); PIECE]; PIECE]; TAPS];
            let sums = &sums[channel * apart[1] + block * PIECE..];
            path.vectorized(GradientOfWeights { sums, apart, channels, share, out: &mut taps });
            for (tap, square) in taps.iter().enumerate() {
                let start = tap * all + channel;
                let square = aview2(square).slice_move(s![..channels, ..units]);
                let to = dw.slice_mut(s![.., start..start + channels]);
                T::Kernels::transpose(path, square, to);
            }
        }
    });
}
