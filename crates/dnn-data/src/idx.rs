//! IDX, the file format of MNIST: a magic, the sizes, then the values.
//!
//! Everything is big-endian: two zero bytes, a byte for the type of the values, a byte for the number of
//! dimensions, each size as a 32-bit number, the values with the last dimension fastest. The one idea
//! of this module is that a header is only a claim: sizes are multiplied with care and compared with
//! the bytes that are there before anything is done with them, and the values are then borrowed, so
//! that no header can make it allocate.
//!
//! Files may be compressed (`.gz`), told by their first bytes. Left out on purpose: values that are not
//! unsigned bytes and more than four dimensions; each is refused with the reason.
//!
//! # References
//!
//! The format is described at <http://yann.lecun.com/exdb/mnist/>.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use ndarray::{Array2, ShapeBuilder};

use crate::file::{check_regular, read_file};
use crate::{DataError, ImageDataset, ImageShape, Result};

/// The largest file that is read, in bytes: 2 GiB, some forty times MNIST.
const FILE_LIMIT: u64 = 2 << 30;

/// The type code of unsigned bytes.
const UNSIGNED_BYTES: u8 = 0x08;

/// An array of unsigned bytes, borrowed from the IDX data it was found in.
///
/// # Shapes
///
/// | what | shape |
/// |---|---|
/// | `dims` | 1 to 4 sizes, the slowest first |
/// | `values` | the product of `dims` |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdxArray<'a> {
    /// The sizes, the slowest dimension first.
    pub dims: Vec<usize>,
    /// The values, the last dimension fastest.
    pub values: &'a [u8],
}

/// Reads an IDX array of unsigned bytes with 1 to 4 dimensions.
///
/// # Errors
///
/// [`Gzip`](DataError::Gzip), [`NotIdx`](DataError::NotIdx), [`IdxType`](DataError::IdxType) and
/// [`Dimensions`](DataError::Dimensions) for a header of another kind;
/// [`IdxSize`](DataError::IdxSize), [`IdxCut`](DataError::IdxCut) and
/// [`IdxTrailing`](DataError::IdxTrailing) where the sizes are not those of the bytes.
///
/// # Examples
///
/// ```
/// let labels = dnn_data::idx::parse_idx(&[0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1])?;
/// assert_eq!(labels.dims, [3]);
/// assert_eq!(labels.values, [7, 2, 1]);
/// # Ok::<(), dnn_data::DataError>(())
/// ```
pub fn parse_idx(bytes: &[u8]) -> Result<IdxArray<'_>> {
    let found = bytes.len();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Err(DataError::Gzip);
    }
    let cut = |expected| DataError::IdxCut { expected, found };
    let (&magic, mut rest) = bytes.split_first_chunk::<4>().ok_or(cut(4))?;
    let [0, 0, code, count] = magic else {
        return Err(DataError::NotIdx { found: magic });
    };
    if code != UNSIGNED_BYTES {
        return Err(DataError::IdxType { code });
    }
    let count = usize::from(count);
    if !(1..=4).contains(&count) {
        return Err(DataError::Dimensions { expected: "1 to 4 dimensions", found: count });
    }
    let header = count.saturating_mul(4).saturating_add(4);
    let mut dims = Vec::with_capacity(count);
    for _ in 0..count {
        let (size, tail) = rest.split_first_chunk::<4>().ok_or(cut(header))?;
        dims.push(u32::from_be_bytes(*size) as usize);
        rest = tail;
    }
    let product = dims.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
    let Some(expected) = product.and_then(|values| values.checked_add(header)) else {
        return Err(DataError::IdxSize { dims });
    };
    match found {
        _ if found < expected => Err(cut(expected)),
        _ if found > expected => Err(DataError::IdxTrailing { expected, found }),
        _ => Ok(IdxArray { dims, values: rest }),
    }
}

/// Pictures without labels, from the bytes of an IDX file.
///
/// Three dimensions are (m, height, width), grey; four are (m, height, width, channels).
///
/// # Shapes
///
/// | what | shape |
/// |---|---|
/// | pixels | (height * width * channels, m), one picture a column, 0..=255, row-major, channels interleaved |
///
/// # Errors
///
/// Those of [`parse_idx`]; [`Dimensions`](DataError::Dimensions) for one or two dimensions;
/// [`Empty`](DataError::Empty) without pictures, [`Shape`](DataError::Shape) without pixels.
///
/// # Examples
///
/// ```
/// let (pixels, shape) = dnn_data::idx::images_from_idx(dnn_digits::IMAGES)?;
/// assert_eq!(pixels.dim(), (64, 1797));
/// assert_eq!((shape.height, shape.width, shape.channels), (8, 8, 1));
/// # Ok::<(), dnn_data::DataError>(())
/// ```
pub fn images_from_idx(images: &[u8]) -> Result<(Array2<u8>, ImageShape)> {
    let array = parse_idx(images)?;
    let (shape, count) = picture_shape(&array.dims)?;
    // The copy that lets the pixels outlive the bytes of the caller.
    into_columns(array.values.to_vec(), shape, count)
}

/// Pictures with labels, from the bytes of two IDX files.
///
/// The classes are named by their numbers, `"0"`, `"1"` and so on up to the largest label.
///
/// # Shapes
///
/// | what | shape |
/// |---|---|
/// | `images` | dimensions (m, height, width) or (m, height, width, channels) |
/// | `labels` | dimension (m) |
///
/// # Errors
///
/// Those of [`images_from_idx`] and [`parse_idx`]; [`LabelCount`](DataError::LabelCount) where the two
/// differ in length.
///
/// # Examples
///
/// ```
/// // Two pictures of one pixel each, of the classes 1 and 0.
/// let images = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 250, 10];
/// let labels = [0, 0, 8, 1, 0, 0, 0, 2, 1, 0];
/// let set = dnn_data::idx::dataset_from_idx(&images, &labels)?;
/// assert_eq!(set.class_names(), ["0", "1"]);
/// # Ok::<(), dnn_data::DataError>(())
/// ```
pub fn dataset_from_idx(images: &[u8], labels: &[u8]) -> Result<ImageDataset> {
    let (pixels, shape) = images_from_idx(images)?;
    with_labels(pixels, shape, labels)
}

/// Pictures without labels, from an IDX file of at most 2 GiB; otherwise as [`images_from_idx`].
///
/// # Errors
///
/// Those of [`images_from_idx`] with the path;
/// [`NotFound`](DataError::NotFound), [`Io`](DataError::Io), [`NotAFile`](DataError::NotAFile) and
/// [`TooLarge`](DataError::TooLarge) for the file itself.
pub fn read_idx_images(images: &Path) -> Result<(Array2<u8>, ImageShape)> {
    let mut bytes = read_idx(images)?;
    let array = parse_idx(&bytes).map_err(|reason| reason.in_file(images))?;
    let (shape, count) = picture_shape(&array.dims).map_err(|reason| reason.in_file(images))?;
    // The header is cut off in place: a large file is in memory once, not twice.
    let header = bytes.len().saturating_sub(array.values.len());
    bytes.drain(..header);
    into_columns(bytes, shape, count).map_err(|reason| reason.in_file(images))
}

/// Pictures with labels, from two IDX files of at most 2 GiB each; otherwise as [`dataset_from_idx`].
///
/// # Errors
///
/// Those of [`dataset_from_idx`] with the path of the file that is at fault, and those of
/// [`read_idx_images`] for the files themselves.
///
/// # Examples
///
/// ```no_run
/// let images = "mnist/train-images-idx3-ubyte".as_ref();
/// let labels = "mnist/train-labels-idx1-ubyte".as_ref();
/// let train = dnn_data::idx::read_idx_pair(images, labels)?;
/// # Ok::<(), dnn_data::DataError>(())
/// ```
pub fn read_idx_pair(images: &Path, labels: &Path) -> Result<ImageDataset> {
    let (pixels, shape) = read_idx_images(images)?;
    let bytes = read_idx(labels)?;
    with_labels(pixels, shape, &bytes).map_err(|reason| reason.in_file(labels))
}

/// The bytes of a file, inflated where it is compressed: no further than its own header says.
fn read_idx(path: &Path) -> Result<Vec<u8>> {
    let packed = check_regular(path, FILE_LIMIT)?;
    let unread = |source| DataError::io(path, source);
    let mut file = BufReader::new(File::open(path).map_err(unread)?);
    if !file.fill_buf().map_err(unread)?.starts_with(&[0x1f, 0x8b]) {
        return read_file(path, FILE_LIMIT);
    }
    let fail = |reason: String| DataError::Damaged { reason }.in_file(path);
    let damaged = |error: io::Error| match error.raw_os_error() {
        Some(_) => unread(error),
        None => fail(format!("the gzip data is damaged: {error}")),
    };
    // Inflated as it is read: what is packed is never in memory beside what it holds.
    let mut file = MultiGzDecoder::new(file);
    let mut values = Vec::new();
    // Magic and four sizes.
    file.by_ref().take(20).read_to_end(&mut values).map_err(damaged)?;
    let length = match parse_idx(&values) {
        Err(DataError::IdxCut { expected, .. }) => expected as u64,
        // Nothing more may follow; if it is no IDX at all, that will be said of these bytes.
        _ => 20,
    };
    // Deflate packs at most 1032 to one.
    if length > FILE_LIMIT || length / 1032 > packed {
        return Err(fail(format!("{packed} compressed bytes cannot hold the {length} it says")));
    }
    let rest = usize::try_from(length).unwrap_or(usize::MAX).saturating_sub(values.len());
    dnn_store::fallible_allocation(|| values.try_reserve_exact(rest))
        .map_err(|_| unread(io::ErrorKind::OutOfMemory.into()))?;
    let more = length.saturating_add(1).saturating_sub(values.len() as u64);
    // One byte more shows that it goes on; at the end the checksum is compared.
    file.take(more).read_to_end(&mut values).map_err(damaged)?;
    Ok(values)
}

/// The shape and the number of pictures, at least one each.
pub(crate) fn picture_shape(dims: &[usize]) -> Result<(ImageShape, usize)> {
    let (count, shape) = match *dims {
        [count, height, width] => (count, ImageShape { height, width, channels: 1 }),
        [count, height, width, channels] => (count, ImageShape { height, width, channels }),
        _ => {
            let expected = "pictures of 3 dimensions (grey) or 4 (with channels)";
            return Err(DataError::Dimensions { expected, found: dims.len() });
        }
    };
    if count == 0 {
        return Err(DataError::Empty);
    }
    if shape.features().is_none_or(|features| features == 0) {
        return Err(DataError::Shape { shape });
    }
    Ok((shape, count))
}

/// The values of pictures as a matrix with a picture in each column; no value moves.
pub(crate) fn into_columns(
    values: Vec<u8>,
    shape: ImageShape,
    count: usize,
) -> Result<(Array2<u8>, ImageShape)> {
    let rows = shape.features().ok_or(DataError::Shape { shape })?;
    let pixels = Array2::from_shape_vec((rows, count).f(), values)
        .map_err(|_| DataError::Shape { shape })?;
    Ok((pixels, shape))
}

/// Joins pictures with their labels, which name the classes.
fn with_labels(pixels: Array2<u8>, shape: ImageShape, labels: &[u8]) -> Result<ImageDataset> {
    let labels = parse_idx(labels)?;
    if labels.dims.len() != 1 {
        let expected = "labels of 1 dimension";
        return Err(DataError::Dimensions { expected, found: labels.dims.len() });
    }
    let class_names = numbered_names(labels.values.iter().copied().max().unwrap_or(0).into());
    let labels = labels.values.iter().copied().map(u32::from).collect();
    ImageDataset::new(pixels, labels, class_names, shape)
}

/// The classes named by their numbers, up to the largest.
pub(crate) fn numbered_names(largest: u32) -> Vec<String> {
    (0..=largest).map(|class| class.to_string()).collect()
}
