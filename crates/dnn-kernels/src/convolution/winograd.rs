//! Convolutions of 3 x 3 with 16 multiplications for each 2 x 2 pixels in place of 36: Winograd's filters F(2 x 2, 3 x 3),
//! as Lavin and Gray wrote them down for networks (arXiv 1509.09308).
//!
//! The output is cut into tiles of 2 x 2, each made of the 4 x 4 numbers `d` of a channel that its windows read. With
//!
//! ```text
//!       1  0 -1  0           1    0    0            1  1  1  0
//! B^T = 0  1  1  0     G =  1/2  1/2  1/2     A^T = 0  1 -1 -1
//!       0 -1  1  0          1/2 -1/2  1/2
//!       0  1  0 -1           0    0    1
//!
//! V = B^T d B,  U = G w G^T,  M = sum over channels of U * V, number by number,  tile = A^T M A
//! dU = sum over tiles of (B^T d B) * (A dZ A^T),  dW = G^T dU G
//! ```
//!
//! the products of all tiles and channels are 16 products of matrices, which the kernels of a 1 x 1 convolution make. The
//! changes before and after them only add, subtract and halve, so the error is about that of the sums themselves.

use super::Taps;
use crate::dispatch::{Kernel, PlainLoop, dispatch};
use crate::kernels::Number;
use crate::path::KernelPath;
use crate::simd::Simd;

/// Rows and columns of what the windows of a tile read.
const SIDE: usize = 4;
/// Numbers of it: so many products of matrices.
pub(crate) const POINTS: usize = SIDE * SIDE;
/// Taps of a window.
pub(crate) const TAPS: usize = 9;

/// Tiles in rows and columns, of a picture or of a band of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tiles {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl Tiles {
    pub(crate) fn count(self) -> usize {
        self.rows * self.columns
    }

    /// How one of the products reaches its numbers: a convolution of 1 x 1 over all tiles.
    pub(crate) fn taps(self, channels: usize, units: usize, columns: usize) -> Taps {
        Taps {
            rows: 1,
            columns_out: self.count(),
            row_pitch: self.count() * channels,
            pixel_in: channels,
            row_out: self.count() * units,
            pixel_out: units,
            stride: [1, 1],
            kernel_rows: 1,
            pieces: 1,
            run: channels,
            units,
            columns,
            groups: 1,
            is_depthwise: false,
        }
    }
}

/// `V = B^T d B` of each tile and channel.
///
/// # Shapes
/// `x`: rows of `row_pitch` numbers, two for each row of tiles and two more, each of as many pixels of `channels` numbers.
/// `out`: for each of 16 points, each tile, `channels` numbers.
pub(crate) struct InputOfTiles<'a> {
    pub(crate) tiles: Tiles,
    pub(crate) channels: usize,
    pub(crate) row_pitch: usize,
    /// Numbers from one point to the next.
    pub(crate) apart: usize,
    pub(crate) x: &'a [f32],
    pub(crate) out: &'a mut [f32],
}

/// `A^T M A` of each tile and unit, with what the epilogue makes of it.
///
/// # Shapes
/// `products`: for each of 16 points, each tile, `units` numbers. `out`: `rows` rows of `columns` pixels of `units` numbers,
/// which the tiles cover; or, of the maximum of each, a pixel for each tile.
pub(crate) struct OutputOfTiles<'a> {
    pub(crate) tiles: Tiles,
    pub(crate) units: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Numbers from one point to the next.
    pub(crate) apart: usize,
    pub(crate) products: &'a [f32],
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) relu: bool,
    pub(crate) maximum: bool,
    pub(crate) out: &'a mut [f32],
}

/// `A dZ A^T` of each tile and unit; what a tile has beyond the picture is 0.
///
/// # Shapes
/// `dz`: `rows` rows of `columns` pixels of `units` numbers, which the tiles cover. `out`: as that of [`InputOfTiles`].
pub(crate) struct GradientOfTiles<'a> {
    pub(crate) tiles: Tiles,
    pub(crate) units: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Numbers from one point to the next.
    pub(crate) apart: usize,
    pub(crate) dz: &'a [f32],
    pub(crate) out: &'a mut [f32],
}

impl InputOfTiles<'_> {
    /// Writes it.
    ///
    /// # Panics
    /// If `x` or `out` are too short.
    pub(crate) fn run(self, path: KernelPath) {
        let read = (2 * self.tiles.rows + 1) * self.row_pitch
            + (2 * self.tiles.columns + 2) * self.channels;
        assert!(self.x.len() >= read, "a picture of other tiles");
        let written = (POINTS - 1) * self.apart + self.tiles.count() * self.channels;
        assert!(self.out.len() >= written, "other tiles");
        // SAFETY: the lengths were checked above.
        unsafe { dispatch(path, self) }
    }
}

impl OutputOfTiles<'_> {
    /// Writes it.
    ///
    /// # Panics
    /// If `products`, `bias` or `out` are too short.
    pub(crate) fn run(self, path: KernelPath) {
        let tiles = self.tiles.count();
        let read = (POINTS - 1) * self.apart + tiles * self.units;
        assert!(self.products.len() >= read, "products of other tiles");
        let pixels = if self.maximum { tiles } else { self.rows * self.columns };
        assert!(self.out.len() >= pixels * self.units, "an output of other tiles");
        assert!(self.bias.is_none_or(|bias| bias.len() >= self.units), "one bias for each unit");
        assert!(self.rows <= 2 * self.tiles.rows && self.columns <= 2 * self.tiles.columns);
        // SAFETY: the lengths were checked above.
        unsafe { dispatch(path, self) }
    }
}

impl GradientOfTiles<'_> {
    /// Writes it.
    ///
    /// # Panics
    /// If `dz` or `out` are too short.
    pub(crate) fn run(self, path: KernelPath) {
        let tiles = self.tiles.count();
        assert!(self.dz.len() >= self.rows * self.columns * self.units, "another gradient");
        let written = (POINTS - 1) * self.apart + tiles * self.units;
        assert!(self.out.len() >= written, "other tiles");
        // SAFETY: the lengths were checked above.
        unsafe { dispatch(path, self) }
    }
}

/// The numbers of a vector from here on; of the last channels, those that there are.
#[inline(always)]
unsafe fn load<S: Simd, const WHOLE: bool>(from: *const f32, count: usize) -> S::V {
    // SAFETY: the caller has as many numbers there.
    unsafe { if WHOLE { S::load(from) } else { S::load_part(from, count) } }
}

#[inline(always)]
unsafe fn store<S: Simd, const WHOLE: bool>(to: *mut f32, v: S::V, count: usize) {
    // SAFETY: the caller has room for as many numbers there.
    unsafe { if WHOLE { S::store(to, v) } else { S::store_part(to, v, count) } }
}

/// `B^T d` of a column of four.
#[inline(always)]
unsafe fn input_side<S: Simd>([a, b, c, d]: [S::V; SIDE]) -> [S::V; SIDE] {
    // SAFETY: the caller has the instructions.
    unsafe { [S::subtract(a, c), S::add(b, c), S::subtract(c, b), S::subtract(b, d)] }
}

/// `A^T m` of a column of four.
#[inline(always)]
unsafe fn output_side<S: Simd>([a, b, c, d]: [S::V; SIDE]) -> [S::V; 2] {
    // SAFETY: the caller has the instructions.
    unsafe { [S::add(S::add(a, b), c), S::subtract(S::subtract(b, c), d)] }
}

/// `A z` of a column of two.
#[inline(always)]
unsafe fn gradient_side<S: Simd>([a, b]: [S::V; 2]) -> [S::V; SIDE] {
    // SAFETY: the caller has the instructions.
    unsafe { [a, S::add(a, b), S::subtract(a, b), S::subtract(S::splat(0.0), b)] }
}

impl Kernel for InputOfTiles<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        for row in 0..self.tiles.rows {
            let mut channel = 0;
            // SAFETY: the tiles and channels exist.
            unsafe {
                while channel + S::LANES <= self.channels {
                    self.row_of_tiles::<S, true>(row, channel);
                    channel += S::LANES;
                }
                if channel < self.channels {
                    self.row_of_tiles::<S, false>(row, channel);
                }
            }
        }
    }
}

impl InputOfTiles<'_> {
    /// A vector of channels of all tiles of a row; a column of `B^T d` is a part of two of them.
    ///
    /// # Safety
    /// They exist.
    #[inline(always)]
    unsafe fn row_of_tiles<S: Simd, const WHOLE: bool>(&mut self, row: usize, channel: usize) {
        let Self { tiles, channels, row_pitch, apart, .. } = *self;
        let count = channels - channel;
        // SAFETY: as the caller says.
        unsafe {
            let mut x = self.x.as_ptr().add(2 * row * row_pitch + channel);
            let mut next = || {
                let at = |row: usize| load::<S, WHOLE>(x.add(row * row_pitch), count);
                let made = input_side::<S>([at(0), at(1), at(2), at(3)]);
                x = x.wrapping_add(channels);
                made
            };
            let (mut a, mut b) = (next(), next());
            let mut to = self.out.as_mut_ptr().add(row * tiles.columns * channels + channel);
            for _ in 0..tiles.columns {
                let (c, d) = (next(), next());
                for i in 0..SIDE {
                    let line = input_side::<S>([a[i], b[i], c[i], d[i]]);
                    for j in 0..SIDE {
                        store::<S, WHOLE>(to.add((SIDE * i + j) * apart), line[j], count);
                    }
                }
                (a, b) = (c, d);
                to = to.wrapping_add(channels);
            }
        }
    }
}

impl Kernel for OutputOfTiles<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        for row in 0..self.tiles.rows {
            for column in 0..self.tiles.columns {
                let mut unit = 0;
                // SAFETY: the tile and its units exist.
                unsafe {
                    while unit + S::LANES <= self.units {
                        self.tile::<S, true>(row, column, unit);
                        unit += S::LANES;
                    }
                    if unit < self.units {
                        self.tile::<S, false>(row, column, unit);
                    }
                }
            }
        }
    }
}

impl OutputOfTiles<'_> {
    /// A vector of units of a tile.
    ///
    /// # Safety
    /// They exist.
    #[inline(always)]
    unsafe fn tile<S: Simd, const WHOLE: bool>(&mut self, row: usize, column: usize, unit: usize) {
        let count = self.units - unit;
        let apart = self.apart;
        let tile = row * self.tiles.columns + column;
        // SAFETY: as the caller says.
        unsafe {
            let from = self.products.as_ptr().add(tile * self.units + unit);
            let at = |i: usize, j: usize| load::<S, WHOLE>(from.add((SIDE * i + j) * apart), count);
            let line = |i: usize| output_side::<S>([at(i, 0), at(i, 1), at(i, 2), at(i, 3)]);
            let lines = [line(0), line(1), line(2), line(3)];
            let of_column =
                |j: usize| output_side::<S>([lines[0][j], lines[1][j], lines[2][j], lines[3][j]]);
            let ([a, c], [b, d]) = (of_column(0), of_column(1));
            let bias = match self.bias {
                Some(bias) => load::<S, WHOLE>(bias.as_ptr().add(unit), count),
                None => S::splat(0.0),
            };
            let made = [a, b, c, d].map(|sum| {
                let sum = S::add(sum, bias);
                if self.relu { S::relu(sum) } else { sum }
            });
            self.write::<S, WHOLE>(made, row, column, unit);
        }
    }

    /// Writes what a tile became.
    ///
    /// # Safety
    /// As of [`tile`](Self::tile).
    #[inline(always)]
    unsafe fn write<S: Simd, const WHOLE: bool>(
        &mut self,
        made: [S::V; 4],
        row: usize,
        column: usize,
        unit: usize,
    ) {
        let count = self.units - unit;
        let out = self.out.as_mut_ptr();
        // SAFETY: as the caller says; pixels beyond the output are left out.
        unsafe {
            if self.maximum {
                let [a, b, c, d] = made;
                let largest = S::larger(S::larger(S::larger(a, b), c), d);
                let tile = row * self.tiles.columns + column;
                return store::<S, WHOLE>(out.add(tile * self.units + unit), largest, count);
            }
            for (place, made) in made.into_iter().enumerate() {
                let (row, column) = (2 * row + place / 2, 2 * column + place % 2);
                if row < self.rows && column < self.columns {
                    let pixel = row * self.columns + column;
                    store::<S, WHOLE>(out.add(pixel * self.units + unit), made, count);
                }
            }
        }
    }
}

impl Kernel for GradientOfTiles<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        for row in 0..self.tiles.rows {
            for column in 0..self.tiles.columns {
                let mut unit = 0;
                // SAFETY: the tile and its units exist.
                unsafe {
                    while unit + S::LANES <= self.units {
                        self.tile::<S, true>(row, column, unit);
                        unit += S::LANES;
                    }
                    if unit < self.units {
                        self.tile::<S, false>(row, column, unit);
                    }
                }
            }
        }
    }
}

impl GradientOfTiles<'_> {
    /// A vector of units of a tile.
    ///
    /// # Safety
    /// They exist.
    #[inline(always)]
    unsafe fn tile<S: Simd, const WHOLE: bool>(&mut self, row: usize, column: usize, unit: usize) {
        let count = self.units - unit;
        let apart = self.apart;
        let tile = row * self.tiles.columns + column;
        // SAFETY: as the caller says; pixels beyond the gradient are not read.
        unsafe {
            let at = |i: usize, j: usize| {
                let (row, column) = (2 * row + i, 2 * column + j);
                if row < self.rows && column < self.columns {
                    let pixel = row * self.columns + column;
                    load::<S, WHOLE>(self.dz.as_ptr().add(pixel * self.units + unit), count)
                } else {
                    S::splat(0.0)
                }
            };
            let left = gradient_side::<S>([at(0, 0), at(1, 0)]);
            let right = gradient_side::<S>([at(0, 1), at(1, 1)]);
            let to = self.out.as_mut_ptr().add(tile * self.units + unit);
            for i in 0..SIDE {
                let line = gradient_side::<S>([left[i], right[i]]);
                for j in 0..SIDE {
                    store::<S, WHOLE>(to.add((SIDE * i + j) * apart), line[j], count);
                }
            }
        }
    }
}

/// Numbers of weights at a time.
pub(crate) const PIECE: usize = 16;

/// As many of them.
type Piece<T> = [T; PIECE];

/// The piece that begins at `start`.
#[inline(always)]
fn piece<T: Copy>(numbers: &[T], start: usize) -> Piece<T> {
    numbers[start..][..PIECE].try_into().expect("as many numbers")
}

/// `a` and `b` joined, number by number.
#[inline(always)]
fn each<T: Copy>(a: Piece<T>, b: Piece<T>, join: impl Fn(T, T) -> T) -> Piece<T> {
    let mut joined = a;
    for at in 0..PIECE {
        joined[at] = join(a[at], b[at]);
    }
    joined
}

/// Half of the sum, and of the difference.
#[inline(always)]
fn halves<T: Number>(a: Piece<T>, b: Piece<T>) -> [Piece<T>; 2] {
    let half = T::one() / (T::one() + T::one());
    [each(a, b, |a, b| (a + b) * half), each(a, b, |a, b| (a - b) * half)]
}

/// `G w` of a column of three.
#[inline(always)]
fn weights_side<T: Number>([a, b, c]: [Piece<T>; 3]) -> [Piece<T>; SIDE] {
    let [plus, minus] = halves(each(a, c, |a, c| a + c), b);
    [a, plus, minus, c]
}

/// `G^T u` of a column of four.
#[inline(always)]
fn gradient_of_weights_side<T: Number>([a, b, c, d]: [Piece<T>; SIDE]) -> [Piece<T>; 3] {
    let [plus, minus] = halves(b, c);
    [each(a, plus, |a, b| a + b), minus, each(plus, d, |a, b| a + b)]
}

/// `U = G w G^T` of weights that lie tap by tap, all numbers of a tap in one piece, as those of a point do then.
pub(crate) struct WeightsOfTiles<'a, T> {
    pub(crate) taps: &'a [T],
    pub(crate) out: &'a mut [T],
}

impl<T: Number> PlainLoop for WeightsOfTiles<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let size = self.taps.len() / TAPS;
        assert!(size.is_multiple_of(PIECE), "units that are filled up to whole pieces");
        assert!(self.out.len() == POINTS * size, "weights of as many points");
        for start in (0..size).step_by(PIECE) {
            let tap = |tap: usize| piece(self.taps, tap * size + start);
            let column = |j: usize| weights_side([tap(j), tap(3 + j), tap(6 + j)]);
            let (a, b, c) = (column(0), column(1), column(2));
            for i in 0..SIDE {
                let line = weights_side([a[i], b[i], c[i]]);
                for j in 0..SIDE {
                    let to = (SIDE * i + j) * size + start;
                    self.out[to..][..PIECE].copy_from_slice(&line[j]);
                }
            }
        }
    }
}

/// `dW = G^T dU G` of some channels and a piece of units.
pub(crate) struct GradientOfWeights<'a, T> {
    /// The first of the sums, which lie point by point, of a point channel by channel.
    pub(crate) sums: &'a [T],
    /// Numbers from one point to the next, and from one channel to the next.
    pub(crate) apart: [usize; 2],
    /// At most so many as there is room for.
    pub(crate) channels: usize,
    pub(crate) share: T,
    /// For each tap, for each channel, the units.
    pub(crate) out: &'a mut [[Piece<T>; PIECE]; TAPS],
}

impl<T: Number> PlainLoop for GradientOfWeights<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { sums, apart: [apart, columns], channels, share, out } = self;
        for channel in 0..channels.min(PIECE) {
            let point = |point: usize| piece(sums, point * apart + channel * columns);
            let column = |j: usize| {
                let of_row = |i: usize| point(SIDE * i + j);
                gradient_of_weights_side([of_row(0), of_row(1), of_row(2), of_row(3)])
            };
            let (a, b, c, d) = (column(0), column(1), column(2), column(3));
            for i in 0..3 {
                let line = gradient_of_weights_side([a[i], b[i], c[i], d[i]]);
                for j in 0..3 {
                    out[3 * i + j][channel] = each(line[j], line[j], |it, _| it * share);
                }
            }
        }
    }
}
