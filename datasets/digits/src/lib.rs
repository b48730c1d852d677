//! 1,797 pictures of handwritten digits, 8x8 grey pixels, ten classes, built into the program.
//!
//! They are here so that an example, a test or a first try needs neither a file nor a network. The
//! crate holds two byte strings and no code: both are whole IDX files, the format of MNIST, for
//! whichever reader you use. `dnn_data::digits` reads them.
//!
//! Left out on purpose: a parser, and the 3,823 pictures of the original's training part, which would
//! triple the size of every program.
//!
//! # Attribution
//!
//! Alpaydin, E. and Kaynak, C. (1998). *Optical Recognition of Handwritten Digits* (data set). UCI
//! Machine Learning Repository. <https://doi.org/10.24432/C50P49>, from
//! <https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits>, licensed under
//! [CC BY 4.0](https://creativecommons.org/licenses/by/4.0/).
//!
//! Changed: only the test part is here, in the order in which scikit-learn ships it; the grey levels
//! 0..=16 are stored as 0..=255 (see [`IMAGES`]); the table of text became two IDX files.

#![no_std]

/// The pictures as one IDX file: a header of 16 bytes, then 1797 x 8 x 8 unsigned bytes.
///
/// The header is four big-endian 32-bit numbers: the magic 0x00000803, 1797 pictures, 8 rows, 8
/// columns. Pixels are row-major, 0 = paper, 255 = ink. The original level `v` in 0..=16 is stored as
/// `p = (v * 255 + 8) / 16`, and `v = (p * 16 + 127) / 255` gives it back.
///
/// # Examples
///
/// ```
/// let picture = &dnn_digits::IMAGES[16..16 + 64];
/// for row in picture.chunks(8) {
///     let line: String = row.iter().map(|&p| if p > 127 { '#' } else { '.' }).collect();
///     println!("{line}");
/// }
/// ```
pub const IMAGES: &[u8] = include_bytes!("../train-images-idx3-ubyte");

/// The labels as one IDX file: a header of 8 bytes, then 1797 unsigned bytes, the digits 0..=9.
///
/// The header is two big-endian 32-bit numbers: the magic 0x00000801 and 1797 labels. Label `i`
/// belongs to picture `i` of [`IMAGES`].
///
/// # Examples
///
/// ```
/// assert_eq!(dnn_digits::LABELS[8..18], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
/// ```
pub const LABELS: &[u8] = include_bytes!("../train-labels-idx1-ubyte");

#[cfg(test)]
mod tests {
    use super::{IMAGES, LABELS};

    #[test]
    fn headers_and_sizes_are_those_of_1797_pictures() {
        // 1797 = 0x0705.
        assert_eq!(IMAGES[..16], [0, 0, 8, 3, 0, 0, 7, 5, 0, 0, 0, 8, 0, 0, 0, 8]);
        assert_eq!(IMAGES.len(), 16 + 1797 * 64);
        assert_eq!(LABELS[..8], [0, 0, 8, 1, 0, 0, 7, 5]);
        assert_eq!(LABELS.len(), 8 + 1797);
    }

    #[test]
    fn class_counts_are_the_published_ones() {
        let mut counts = [0; 10];
        for &label in &LABELS[8..] {
            counts[usize::from(label)] += 1;
        }
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    }

    #[test]
    fn every_pixel_is_one_of_the_17_levels_and_gives_it_back() {
        for &pixel in &IMAGES[16..] {
            let level = (u32::from(pixel) * 16 + 127) / 255;
            assert!(level <= 16);
            assert_eq!((level * 255 + 8) / 16, u32::from(pixel));
        }
    }

    #[test]
    fn the_first_picture_is_the_zero_of_the_original() {
        let levels: [u32; 16] =
            core::array::from_fn(|i| (u32::from(IMAGES[16 + i]) * 16 + 127) / 255);
        // The first two rows of the first line of the original table.
        assert_eq!(levels, [0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0]);
        assert_eq!(LABELS[8], 0);
    }
}
