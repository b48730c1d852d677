//! Every sequential JPEG at its own size: each component decoded on its own, then enlarged.
//!
//! ```text
//! for each scan:
//!     one component:      its blocks, row by row, as many as hold its samples
//!     several components: units, each with all blocks of its sampling factors
//! for each row of the picture:
//!     enlarge every component to the width, convert to red, green and blue
//! ```
//!
//! Where a component has half as many samples, a pixel takes 3/4 of the nearer one and 1/4 of the next, in
//! each direction; with other factors, the sample it lies in. Both are what libjpeg does, and so are the
//! exceptions: halves are nearest samples where a row has at most two, or where the other direction's factor
//! is above 2.

use zune_jpeg::zune_core::colorspace::ColorSpace;

use super::bits::{Bits, Interval};
use super::block::{Tables, block_reader};
use super::color::{grey_to_rgb, to_rgb};
use super::header::{Component, Grid, Header, Next, Scan};
use crate::picture::Rgb;

/// Samples of a block in a row and in a column.
const SIDE: usize = 8;

/// A component's samples.
struct Plane {
    /// Samples of the picture; beyond them, blocks have more.
    width: usize,
    height: usize,
    stride: usize,
    samples: Vec<u8>,
    /// Blocks of one unit.
    blocks: Grid,
    /// Pixels of the picture that a sample stands for.
    scale: Grid,
    is_read: bool,
}

/// A component's part of what is coded together.
#[derive(Clone, Copy)]
struct Unit {
    /// Its place among the units of the picture.
    column: usize,
    row: usize,
    blocks: Grid,
}

/// The picture as it lies in the file; `None` where anything is wrong, or the sampling factors of a component
/// do not divide the largest ones.
pub(in crate::picture) fn decode_whole(file: &[u8], colors: ColorSpace) -> Option<Rgb> {
    let mut header = Header::default();
    let mut planes = Vec::new();
    let mut at = 2;
    while let Next::Scan(scan) = header.read_segments(file, at)? {
        if planes.is_empty() {
            planes = planes_of(&header)?;
        }
        at = read_scan(file, &header, &scan, &mut planes)?;
    }
    let complete = !planes.is_empty() && planes.iter().all(|plane| plane.is_read);
    if !complete || planes.len() != colors.num_components() {
        return None;
    }
    let (width, height) = (header.width, header.height);
    let mut pixels = vec![0; 3 * width * height];
    let mut rows = vec![vec![0; width]; planes.len()];
    for (y, out) in pixels.chunks_exact_mut(3 * width).enumerate() {
        for (plane, row) in planes.iter().zip(&mut rows) {
            plane.enlarge_row(y, row);
        }
        write_row(&rows, colors, out)?;
    }
    Some(Rgb { width, height, pixels })
}

fn planes_of(header: &Header) -> Option<Vec<Plane>> {
    let most = header.largest_factors();
    let units = units(header);
    let plane = |component: &Component| {
        let blocks = component.factors;
        if !most.across.is_multiple_of(blocks.across) || !most.down.is_multiple_of(blocks.down) {
            return None;
        }
        let stride = units.across * blocks.across * SIDE;
        Some(Plane {
            width: (header.width * blocks.across).div_ceil(most.across),
            height: (header.height * blocks.down).div_ceil(most.down),
            stride,
            samples: vec![0; stride * units.down * blocks.down * SIDE],
            blocks,
            scale: Grid { across: most.across / blocks.across, down: most.down / blocks.down },
            is_read: false,
        })
    };
    header.components.iter().map(plane).collect()
}

/// The units of all components of the picture.
fn units(header: &Header) -> Grid {
    let most = header.largest_factors();
    Grid {
        across: header.width.div_ceil(SIDE * most.across),
        down: header.height.div_ceil(SIDE * most.down),
    }
}

/// Reads a scan into its planes; gives where the marker after it begins.
fn read_scan(file: &[u8], header: &Header, scan: &Scan, planes: &mut [Plane]) -> Option<usize> {
    let alone = scan.places.len() == 1;
    let mut tables = Vec::new();
    let mut units = units(header);
    for &place in &scan.places {
        let (component, plane) = (header.components.get(place)?, planes.get_mut(place)?);
        if plane.is_read {
            return None;
        }
        plane.is_read = true;
        if alone {
            units = Grid { across: plane.width.div_ceil(SIDE), down: plane.height.div_ceil(SIDE) };
        }
        tables.push(Tables {
            dc: header.dc.get(component.dc)?.as_ref()?,
            ac: header.ac.get(component.ac)?.as_ref()?,
            quantisation: header.quantisation.get(component.quantisation)?.as_ref()?,
        });
    }
    let total = units.across * units.down;
    let each = if header.restart == 0 { total } else { header.restart };
    let mut interval = Interval::default();
    let (mut at, mut first, mut number) = (scan.at, 0, 0);
    loop {
        let (marker, after) = interval.read(file, at)?;
        let mut bits = interval.bits();
        let mut means = [0; 4];
        let last = (first + each).min(total);
        for unit in first..last {
            let (column, row) = (unit % units.across, unit / units.across);
            for ((&place, tables), mean) in scan.places.iter().zip(&tables).zip(&mut means) {
                let plane = planes.get_mut(place)?;
                let blocks = if alone { Grid { across: 1, down: 1 } } else { plane.blocks };
                plane.read_unit(&mut bits, tables, mean, Unit { column, row, blocks })?;
            }
        }
        if !bits.is_at_end() {
            return None;
        }
        if last == total {
            return Some(after - 2);
        }
        if marker != 0xd0 + number {
            return None;
        }
        (at, first, number) = (after, last, (number + 1) % 8);
    }
}

impl Plane {
    /// Reads its blocks of a unit.
    fn read_unit(
        &mut self,
        bits: &mut Bits<'_>,
        tables: &Tables<'_>,
        mean: &mut i32,
        unit: Unit,
    ) -> Option<()> {
        let read = block_reader(SIDE, SIDE)?;
        let Unit { column, row, blocks } = unit;
        for down in 0..blocks.down {
            for across in 0..blocks.across {
                let (x, y) = (column * blocks.across + across, row * blocks.down + down);
                let out = self.samples.get_mut(SIDE * (y * self.stride + x)..)?;
                read(bits, tables, mean, out, self.stride)?;
            }
        }
        Some(())
    }

    /// Writes its part of the picture's row `y`.
    fn enlarge_row(&self, y: usize, out: &mut [u8]) {
        let wide = self.width > 2;
        let smooth = match (self.scale.across, self.scale.down) {
            (2, 1 | 2) => wide,
            (1, 2) => true,
            _ => false,
        };
        let rows = neighbours(y, self.scale.down, self.height, smooth);
        let [near, next] = rows.map(|row| &self.samples[row * self.stride..][..self.width]);
        for (x, out) in out.iter_mut().enumerate() {
            let [left, right] = neighbours(x, self.scale.across, self.width, smooth)
                .map(|x| 3 * u32::from(near[x]) + u32::from(next[x]));
            *out = u8::try_from((3 * left + right + 8) >> 4).unwrap_or(u8::MAX);
        }
    }
}

/// The sample in which a pixel lies, of `count` in this direction, and the one that it is next nearest to;
/// the same where there is none or nothing is smoothed.
fn neighbours(pixel: usize, scale: usize, count: usize, smooth: bool) -> [usize; 2] {
    let near = pixel / scale;
    let next = match (smooth && scale == 2, pixel % 2) {
        (false, _) => near,
        (true, 0) => near.saturating_sub(1),
        (true, _) => (near + 1).min(count - 1),
    };
    [near, next]
}

/// Red, green and blue of a row of all components.
fn write_row(rows: &[Vec<u8>], colors: ColorSpace, out: &mut [u8]) -> Option<()> {
    match (rows, colors) {
        ([grey], ColorSpace::Luma) => grey_to_rgb(grey, out),
        ([luma, blue, red], ColorSpace::YCbCr) => to_rgb(luma, blue, red, out),
        ([red, green, blue], ColorSpace::RGB) => {
            let values = red.iter().zip(green).zip(blue);
            for (out, ((&red, &green), &blue)) in out.chunks_exact_mut(3).zip(values) {
                out.copy_from_slice(&[red, green, blue]);
            }
        }
        ([inks @ .., black], ColorSpace::CMYK) => {
            write_row(inks, ColorSpace::RGB, out)?;
            blacken(black, out);
        }
        ([luma, blue, red, black], ColorSpace::YCCK) => {
            // What this gives is cyan, magenta and yellow, which the file holds inverted.
            to_rgb(luma, blue, red, out);
            for value in out.iter_mut() {
                *value = u8::MAX - *value;
            }
            blacken(black, out);
        }
        _ => return None,
    }
    Some(())
}

/// `c * k / 255` of inverted values, to the nearest.
fn blacken(black: &[u8], out: &mut [u8]) {
    for (pixel, &black) in out.chunks_exact_mut(3).zip(black) {
        for value in pixel {
            let product = (u32::from(*value) * u32::from(black) + 127) / 255;
            *value = u8::try_from(product).unwrap_or(u8::MAX);
        }
    }
}
