//! The on-disk container of dnn, and the one function that puts bytes at a name.
//!
//! Models, checkpoints and dataset caches are the same kind of file: a small description (any serde
//! type) and a list of named tensors. This crate knows nothing of what they mean. The one idea is
//! that *a file is whole or it is refused*: a hash covers every byte, every length is compared with
//! the bytes that are really there before anything is allocated, and where a tensor lies follows
//! from the table instead of being written down, so that a file cannot declare gaps or overlaps.
//!
//! | task | function |
//! |---|---|
//! | turn a description and tensors into bytes | [`encode`], [`encode_head`] |
//! | check bytes and look into them | [`decode`] |
//! | choose among the versions of a format that can be read | [`Format::version_of`] |
//! | keep a value of a kind that not every reader knows | [`Record`] |
//! | read or open a file that may be anything | [`read_file`], [`open_file`] |
//! | replace a file so that nobody ever sees half of it | [`commit`], [`commit_pieces`] |
//! | name bytes by their digest | [`sha256_hex`], [`Hasher`] |
//!
//! # Examples
//! ```
//! use dnn_store::{Format, Tensor, Values, commit, decode, encode, read_file};
//!
//! const FORMAT: Format = Format { magic: *b"EXAMPLE\0", name: "example file", major: 1, minor: 0 };
//!
//! # fn main() -> Result<(), dnn_store::StoreError> {
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! # let path = folder.path().join("weights.example");
//! let weights = [0.5_f32, -0.0, 2.0, 1.0, 0.0, 3.0];
//! let tensor = Tensor { name: "weights", dims: &[2, 3], values: Values::new(&weights) };
//! commit(&path, &encode(&FORMAT, &"two rows".to_string(), &[tensor])?)?;
//!
//! let bytes = read_file(&path, 1 << 20)?;
//! let container = decode::<String>(&FORMAT, &bytes).map_err(|e| e.in_file(&path))?;
//! assert_eq!(container.content, "two rows");
//! assert_eq!(container.tensor("weights")?.dims(), [2, 3]);
//! assert_eq!(container.tensor("weights")?.to_vec::<f32>()?, weights);
//! # Ok(())
//! # }
//! ```
//!
//! # Binary layout
//! All numbers are little endian.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic, chosen by the [`Format`] |
//! | 8 | 2 | major version: another one is refused |
//! | 10 | 2 | minor version: a newer one is read |
//! | 12 | 1 | codec of the metadata: 1 is bincode 2 in its standard configuration |
//! | 13 | 1 | flags: none are defined, so anything but zero is refused |
//! | 14 | 8 | length of the metadata |
//! | 22 | 8 | length of the data: from the first tensor's offset to the end of the last tensor |
//! | 30 | 32 | sha256 of bytes 0..30 followed by everything from byte 62 on |
//! | 62 | metadata length | metadata: the table of tensors, then the content |
//! | next multiple of 64 | data length | tensors in the order of the table, raw |
//!
//! The table is a sequence of (name, type, lengths of the axes). Each tensor starts at the next
//! multiple of 64 counted from the start of the file, and every byte between is zero; nothing
//! follows the last tensor.
//!
//! Within one major version the metadata keep their shape, because bincode does not describe itself
//! and every one of their bytes must be used. A minor version may add tensors that an older reader
//! does not ask for. Where the metadata may hold things of a kind that an older reader does not know,
//! each is a [`Record`]: its kind by name, and bytes with their length.
//!
//! # What is left out on purpose
//! - Compression, and reading a part of a file: the hash is over all of it.
//! - Memory maps: another program could change the bytes after they were checked.
//! - NaN and infinities in tensors. Floats inside the content are the caller's to check.
//! - Sweeping up temporary files that a killed process left: they are hidden, are named
//!   `.NAME.PID-COUNTER.tmp` ([`is_temporary`]), and could belong to a process that is alive.

mod bounded_decode;
mod codec;
mod commit;
mod decode;
mod digest;
mod dtype;
mod encode;
mod error;
mod file_system;
mod folder;
mod header;
mod memory;
mod read;
mod record;
mod table;
mod tensor;

pub use commit::{commit, commit_pieces, commit_with, is_temporary};
pub use decode::{Container, decode};
pub use digest::{Hasher, sha256_hex};
pub use dtype::DType;
pub use encode::{encode, encode_head};
pub use error::StoreError;
pub use file_system::{Disk, FileSystem};
pub use folder::{check_own_file, check_own_folder, check_sole_file, create_folder};
pub use header::{Format, MAX_METADATA, Version};
pub use memory::{allocation_may_fail, fallible_allocation};
pub use read::{open_file, read_file};
pub use record::Record;
pub use table::{MAX_AXES, MAX_TENSORS};
pub use tensor::{Scalar, StoredTensor, Tensor, Values};

/// The example of this crate's README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
