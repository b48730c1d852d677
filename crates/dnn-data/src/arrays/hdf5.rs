//! `.h5`, by way of `hdf5-reader`, the only file that knows of it.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use hdf5_reader::{Dataset, Datatype, H5Type, Hdf5File, OpenOptions};

use super::{Array, ArrayFile, LIMIT, Values};
use crate::file::read_file;
use crate::{DataError, Result};

/// What every HDF5 file starts with.
const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

pub(super) struct Hdf5 {
    file: Hdf5File,
    names: Vec<String>,
}

impl Hdf5 {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let damaged = |reason| DataError::Damaged { reason }.in_file(path);
        let bytes = read_file(path, LIMIT)?;
        if !bytes.starts_with(SIGNATURE) {
            return Err(damaged("expected an HDF5 file, found another kind".to_owned()));
        }
        // Deflate packs at most 1032 to one.
        let most = usize::try_from(LIMIT).unwrap_or(usize::MAX).min(1032 * bytes.len());
        let options = OpenOptions::default().with_max_read_bytes(most).with_max_chunk_bytes(most);
        let opened = contained(|| {
            let file = Hdf5File::from_vec_with_options(bytes, options).map_err(words)?;
            let (_, names) =
                file.root_group().and_then(|root| root.member_names()).map_err(words)?;
            Ok(Self { file, names })
        });
        opened.map_err(damaged)
    }
}

impl ArrayFile for Hdf5 {
    fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn read(&mut self, name: &str) -> Result<Array, String> {
        contained(|| read(&self.file.dataset(name).map_err(words)?))
    }
}

fn read(dataset: &Dataset) -> Result<Array, String> {
    let size = |&size: &u64| usize::try_from(size).map_err(words);
    let dims = dataset.shape().iter().map(size).collect::<Result<Vec<_>, _>>()?;
    let kind = match dataset.dtype() {
        // A truth value, as h5py stores it.
        Datatype::Enum { base, .. } => base,
        kind => kind,
    };
    let values = match kind {
        Datatype::FixedPoint { size: 1, signed: false, .. } => Values::Bytes(all(dataset)?),
        Datatype::FixedPoint { size, signed, .. } => Values::Integers(match (size, signed) {
            (1, true) => wide::<i8>(dataset)?,
            (2, true) => wide::<i16>(dataset)?,
            (2, false) => wide::<u16>(dataset)?,
            (4, true) => wide::<i32>(dataset)?,
            (4, false) => wide::<u32>(dataset)?,
            (8, true) => all(dataset)?,
            (8, false) => {
                let numbers = all::<u64>(dataset)?.into_iter().map(i64::try_from);
                numbers.collect::<Result<_, _>>().map_err(words)?
            }
            _ => return Err(format!("expected integers of 1, 2, 4 or 8 bytes, found {size}")),
        }),
        Datatype::String { .. } | Datatype::VarLen { .. } => {
            Values::Texts(dataset.read_strings().map_err(words)?)
        }
        Datatype::FloatingPoint { .. } => {
            return Err(
                "expected whole numbers, found real numbers; pixels are unsigned bytes, 0 to \
                        255, labels integers"
                    .to_owned(),
            );
        }
        _ => return Err("expected whole numbers, found another kind of value".to_owned()),
    };
    Ok(Array { dims, values })
}

/// All values, the last index fastest.
fn all<T: H5Type + Clone>(dataset: &Dataset) -> Result<Vec<T>, String> {
    let array = dataset.read_array::<T>().map_err(words)?;
    if array.is_standard_layout() {
        let (values, offset) = array.into_raw_vec_and_offset();
        if offset.is_none_or(|offset| offset == 0) {
            return Ok(values);
        }
        return Err("its values do not begin at the beginning".to_owned());
    }
    Ok(array.iter().cloned().collect())
}

fn wide<T: H5Type + Clone + Into<i64>>(dataset: &Dataset) -> Result<Vec<i64>, String> {
    Ok(all::<T>(dataset)?.into_iter().map(Into::into).collect())
}

fn words(error: impl Display) -> String {
    error.to_string()
}

/// Turns a panic of the reader into an error.
fn contained<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    // Unwind safe: whatever the reader was working on is not looked at again.
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err("the HDF5 reader gave up on it".to_owned()))
}
