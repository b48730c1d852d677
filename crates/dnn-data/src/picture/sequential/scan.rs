//! The one scan of a JPEG, from its bits to red, green and blue.

use super::bits::{Bits, Interval};
use super::block::{BlockReader, Tables, block_reader};
use super::color::{grey_to_rgb, to_rgb};
use super::header::{Component, Grid, Header, Scan};
use crate::ImageSize;

/// A component while it is decoded.
struct Plane<'a> {
    tables: Tables<'a>,
    read: BlockReader,
    /// Blocks of a unit.
    blocks: Grid,
    /// Pixels of a block.
    block: ImageSize,
    /// The mean of the last block.
    mean: i32,
    /// The pixels of one row of units.
    pixels: Vec<u8>,
    stride: usize,
}

impl<'a> Plane<'a> {
    /// For rows of `units` units, of which each has `most` blocks across and down, and a block has
    /// `side` pixels where there are most.
    fn new(
        header: &'a Header,
        component: &Component,
        units: usize,
        most: Grid,
        side: usize,
    ) -> Option<Self> {
        let tables = Tables {
            dc: header.dc.get(component.dc)?.as_ref()?,
            ac: header.ac.get(component.ac)?.as_ref()?,
            quantisation: header.quantisation.get(component.quantisation)?.as_ref()?,
        };
        let blocks = component.factors;
        let block = ImageSize {
            width: side * most.across / blocks.across,
            height: side * most.down / blocks.down,
        };
        let stride = units * side * most.across;
        Some(Self {
            tables,
            read: block_reader(block.width, block.height)?,
            blocks,
            block,
            mean: 0,
            pixels: vec![0; stride * side * most.down],
            stride,
        })
    }

    /// Reads its blocks of a unit.
    #[inline]
    fn read_unit(&mut self, bits: &mut Bits<'_>, unit: usize) -> Option<()> {
        for down in 0..self.blocks.down {
            for across in 0..self.blocks.across {
                let column = (unit * self.blocks.across + across) * self.block.width;
                let at = down * self.block.height * self.stride + column;
                let out = self.pixels.get_mut(at..)?;
                (self.read)(bits, &self.tables, &mut self.mean, out, self.stride)?;
            }
        }
        Some(())
    }
}

/// Red, green and blue of a picture that becomes as large as `size` where a block has `side` pixels a side.
pub(super) fn decode(
    file: &[u8],
    header: &Header,
    scan: &Scan,
    side: usize,
    size: ImageSize,
) -> Option<Vec<u8>> {
    let ImageSize { width, height } = size;
    let most = header.components.first()?.factors;
    let units = header.width.div_ceil(8 * most.across);
    let plane = |component| Plane::new(header, component, units, most, side);
    let mut planes = header.components.iter().map(plane).collect::<Option<Vec<_>>>()?;
    let mut out = vec![0; 3 * width * height];
    let mut interval = Interval::default();
    let (mut marker, mut at) = interval.read(file, scan.at)?;
    let mut bits = interval.bits();
    let (mut left, mut number) = (header.restart, 0);
    for rows in out.chunks_mut(3 * width * side * most.down) {
        for unit in 0..units {
            if header.restart > 0 && left == 0 {
                if !bits.is_at_end() || marker != 0xd0 + number {
                    return None;
                }
                (marker, at) = interval.read(file, at)?;
                bits = interval.bits();
                (left, number) = (header.restart, (number + 1) % 8);
                for plane in &mut planes {
                    plane.mean = 0;
                }
            }
            left = left.wrapping_sub(1);
            planes.iter_mut().try_for_each(|plane| plane.read_unit(&mut bits, unit))?;
        }
        write_rows(&planes, width, rows);
    }
    // All of the scan was read, and nothing but the end follows.
    (bits.is_at_end() && marker == 0xd9).then_some(out)
}

/// Writes the pixels of a row of units.
fn write_rows(planes: &[Plane<'_>], width: usize, rows: &mut [u8]) {
    let row_of = |plane: &Plane<'_>, row: usize| row * plane.stride..row * plane.stride + width;
    for (row, out) in rows.chunks_exact_mut(3 * width).enumerate() {
        match planes {
            [luma, blue, red] => {
                let row = row_of(luma, row);
                let (blue, red) = (&blue.pixels[row.clone()], &red.pixels[row.clone()]);
                to_rgb(&luma.pixels[row], blue, red, out);
            }
            planes => {
                for luma in planes {
                    grey_to_rgb(&luma.pixels[row_of(luma, row)], out);
                }
            }
        }
    }
}
