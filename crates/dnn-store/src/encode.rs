//! Containers into bytes.

use serde::Serialize;

use crate::header::{self, Format, HEADER, Header};
use crate::table::{self, Entry};
use crate::tensor::{Tensor, Values, check_finite};
use crate::{StoreError, codec};

/// Puts a description and tensors into the bytes of a container.
///
/// Whatever this accepts, [`decode`](crate::decode) reads. One demand on `content` cannot be
/// checked here: the items of a sequence in it must take at least a byte each, so no `Vec<()>`.
///
/// # Errors
/// - [`StoreError::BadTable`] for a name that occurs twice, an axis of length zero, too many axes,
///   or a count of values that is not the product of the dimensions.
/// - [`StoreError::NotFinite`] for NaN or an infinity, with the tensor and the index.
/// - [`StoreError::TooLarge`] for more than [`MAX_TENSORS`](crate::MAX_TENSORS) tensors or
///   [`MAX_METADATA`](crate::MAX_METADATA) bytes of metadata.
/// - [`StoreError::Metadata`] if `content` has a form that bincode cannot write.
///
/// # Examples
/// ```
/// use dnn_store::{Format, Tensor, Values, encode};
///
/// let format = Format { magic: *b"EXAMPLE\0", name: "example file", major: 1, minor: 0 };
/// let tensor = |values| Tensor { name: "bias", dims: &[2], values: Values::F64(values) };
/// assert!(encode(&format, &(), &[tensor(&[1.0, -0.0])]).is_ok());
///
/// let error = encode(&format, &(), &[tensor(&[1.0, f64::NAN])]).unwrap_err();
/// assert_eq!(error.to_string(), "expected finite values in tensor \"bias\", found NaN at index 1");
/// ```
pub fn encode<M: Serialize>(
    format: &Format,
    content: &M,
    tensors: &[Tensor<'_>],
) -> Result<Vec<u8>, StoreError> {
    let (mut out, data) = begin(format, content, tensors)?;
    out.reserve_exact(data);
    let start = out.len();
    for tensor in tensors {
        out.resize(out.len().next_multiple_of(64), 0);
        let first = out.len();
        tensor.values.write(&mut out);
        check_finite(tensor.name, tensor.values.dtype(), &out[first..])?;
    }
    debug_assert_eq!(out.len(), start + data);
    header::insert_hash(&mut out, &[]);
    Ok(out)
}

/// All of a container with one tensor of bytes that comes before these bytes; they follow, and so they
/// need not be in memory twice.
///
/// [`encode`] with the same tensor gives the same file in one piece.
///
/// # Errors
/// As for [`encode`].
///
/// # Examples
/// ```
/// use dnn_store::{Format, Tensor, Values, encode, encode_head};
///
/// let format = Format { magic: *b"EXAMPLE\0", name: "example file", major: 1, minor: 0 };
/// let pixels = [1, 2, 3, 4, 5, 6];
/// let head = encode_head(&format, &"two rows", "pixels", &[2, 3], &pixels)?;
/// let tensor = Tensor { name: "pixels", dims: &[2, 3], values: Values::new(&pixels) };
/// assert_eq!([&head[..], &pixels].concat(), encode(&format, &"two rows", &[tensor])?);
/// # Ok::<(), dnn_store::StoreError>(())
/// ```
pub fn encode_head<M: Serialize>(
    format: &Format,
    content: &M,
    name: &str,
    dims: &[usize],
    bytes: &[u8],
) -> Result<Vec<u8>, StoreError> {
    let tensor = Tensor { name, dims, values: Values::U8(bytes) };
    let (mut out, _) = begin(format, content, &[tensor])?;
    header::insert_hash(&mut out, bytes);
    Ok(out)
}

/// Header, metadata and padding, without the hash, and how many bytes of data follow.
fn begin<M: Serialize>(
    format: &Format,
    content: &M,
    tensors: &[Tensor<'_>],
) -> Result<(Vec<u8>, usize), StoreError> {
    let entries: Vec<_> = tensors.iter().map(entry).collect();
    let ranges = table::tensor_ranges(&entries)?;
    entries.iter().zip(tensors).try_for_each(|(entry, tensor)| check_count(entry, tensor))?;
    let metadata = codec::to_bytes(&(&entries, content))?;
    header::check_metadata_len(metadata.len() as u64)?;

    let meta_len = metadata.len() as u64;
    let data_len = ranges.last().map_or(0, |range| range.end);
    let header = Header { minor: format.minor, meta_len, data_len, hash: [0; 32] };
    // The values are in memory and the padding is less than 64 bytes for each of the tensors.
    let start = usize::try_from(header.data_start()).expect("16 MiB and a header fit");
    let data = usize::try_from(data_len).expect("the values lie in memory, one after another");
    let mut out = Vec::with_capacity(start);
    header.write(format, &mut out);
    debug_assert_eq!(out.len(), HEADER);
    out.extend(metadata);
    out.resize(start, 0);
    Ok((out, data))
}

/// A tensor's row of the table.
fn entry(tensor: &Tensor<'_>) -> Entry {
    Entry {
        name: tensor.name.to_string(),
        dtype: tensor.values.dtype(),
        dims: tensor.dims.iter().map(|&len| len as u64).collect(),
    }
}

/// Holds the values to the dimensions, whose product is known to fit.
fn check_count(entry: &Entry, tensor: &Tensor<'_>) -> Result<(), StoreError> {
    let (expected, found) = (entry.dims.iter().product::<u64>(), tensor.values.count());
    if expected == found as u64 {
        return Ok(());
    }
    let dims = &entry.dims;
    let reason = format!("expected {expected} values by dimensions {dims:?}, found {found}");
    Err(StoreError::BadTable { tensor: entry.name.clone(), reason })
}
