//! Data sets that are stored as arrays: IDX, CIFAR-10, `.npz` and `.h5`.
//!
//! The one idea: what lies at a path is told by names alone, by one rule, before anything is read; and
//! whatever the format, arrays become a data set at one place.

mod assemble;
mod cifar;
mod fortran;
#[cfg(feature = "hdf5")]
mod hdf5;
#[cfg(feature = "hdf5")]
mod lzf;
mod npy;
mod npz;
mod role;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::folder::{folder_name, list, load_named};
use crate::pictures::{PICTURE_SUFFIXES, has_suffix, is_hidden, is_output};
use crate::{DataError, Dataset, Ignored, Result};

/// The largest file and the largest array that are read, in bytes: 2 GiB.
const LIMIT: u64 = 2 << 30;

/// An array as its file has it, in row-major order.
#[derive(Debug, PartialEq)]
struct Array {
    /// The sizes, the slowest dimension first.
    dims: Vec<usize>,
    values: Values,
}

#[derive(Debug, PartialEq)]
enum Values {
    /// Unsigned bytes.
    Bytes(Vec<u8>),
    /// Any other integers.
    Integers(Vec<i64>),
    /// Real numbers.
    Reals(Vec<f64>),
    /// Texts.
    Texts(Vec<String>),
    /// The members of an enumeration, by their place among its names.
    #[cfg_attr(not(feature = "hdf5"), expect(dead_code, reason = "only `.h5` has enumerations"))]
    Classes { labels: Vec<i64>, names: Vec<String> },
}

/// A file with named arrays in it. Errors are in words, without the name of the file.
trait ArrayFile {
    /// Every name in it.
    fn names(&self) -> Vec<String>;

    /// What else is in it and is not read, in words.
    fn others(&self) -> Vec<String> {
        Vec::new()
    }

    /// The array of one of these names.
    fn read(&mut self, name: &str) -> Result<Array, String>;
}

/// Loads a data set that is stored as arrays; `None` where there is none of them, but perhaps pictures.
///
/// | at the path | is read as |
/// |---|---|
/// | a folder with a file named as MNIST's, as it is or compressed (`.gz`) | IDX: [`load_folder`](crate::load_folder) |
/// | a folder with `data_batch_1.bin`, or with a folder `cifar-10-batches-bin` | CIFAR-10 in its binary version: five batches to train on, `test_batch.bin`, and `batches.meta.txt` with the names |
/// | a file `.npz`, `.h5` or `.hdf5`; a folder with such files and neither folders (but for those of our runs) nor pictures | named arrays |
/// | anything else | `None` |
///
/// Named arrays are told by the words in their names: `x`, `image(s)`, `picture(s)` or `data` are
/// pictures, `y`, `label(s)` or `target(s)` their labels, `classes` or `class_names` the names of the
/// classes; `train`, `val` (`validation`, `dev`) or `test` say the part, in the array's name or else in the
/// file's. So `x_train`, `train_images` and the course's `train_set_x` all are pictures to train on.
/// Pictures are unsigned bytes of (m, height, width) or (m, height, width, channels), labels integers of
/// (m) or (m, 1), from 0. Labels that are stored as floats of 4 or 8 bytes, of (m) or (m, k), are numbers to be found
/// from the pictures ([`targets`](crate::ImageDataset::targets)), even if all of them are whole: the type says
/// what is meant, not the values. A part that stands alone is the training part. Arrays of other names are no part of the data and are given back by name.
///
/// `.h5` needs the feature `hdf5`. It may begin with a user block, and be packed by gzip or LZF. Truth values
/// are the labels 0 and 1; the members of any other enumeration are the classes, in the order of their
/// values, with their names. Arrays in groups and links to other files are not read, but named.
///
/// # Errors
/// [`NotFound`](DataError::NotFound) and [`Io`](DataError::Io) for the path; what
/// [`load_folder`](crate::load_folder) says; for the others [`CifarSize`](DataError::CifarSize),
/// [`MissingHalf`](DataError::MissingHalf), [`NoArrays`](DataError::NoArrays),
/// [`Array`](DataError::Array), [`Damaged`](DataError::Damaged),
/// [`FormatOff`](DataError::FormatOff), [`TooLarge`](DataError::TooLarge) and what
/// [`ImageDataset::new`](crate::ImageDataset::new) refuses.
///
/// # Examples
///
/// ```no_run
/// if let Some((mnist, _)) = dnn_data::load_arrays("mnist.npz".as_ref())? {
///     println!("{}: {:?}", mnist.name, mnist.train);
/// }
/// # Ok::<(), dnn_data::DataError>(())
/// ```
pub fn load_arrays(path: &Path) -> Result<Option<(Dataset, Vec<Ignored>)>> {
    let metadata = fs::metadata(path).map_err(|source| DataError::io(path, source))?;
    if metadata.is_file() {
        if !is_array_file(path) {
            return Ok(None);
        }
        return assemble::load(path, stem(path), &[path.to_path_buf()]).map(Some);
    }
    if !metadata.is_dir() {
        return Ok(None);
    }
    let names = list(path)?;
    if let Some(dataset) = load_named(path, &names)? {
        return Ok(Some((dataset, Vec::new())));
    }
    if let Some(folder) = cifar::folder(path) {
        return Ok(Some((cifar::load(path, &folder)?, Vec::new())));
    }
    let files = array_files(path, &names);
    if files.is_empty() {
        return Ok(None);
    }
    assemble::load(path, folder_name(path), &files).map(Some)
}

fn is_array_file(path: &Path) -> bool {
    has_suffix(path, &["npz", "h5", "hdf5"])
}

/// The files with arrays in a folder, if nothing else in it could be the data: neither a folder, but for
/// those that dnn made, nor a picture.
fn array_files(folder: &Path, names: &[OsString]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for name in names.iter().filter(|name| !is_hidden(&name.to_string_lossy())) {
        let path = folder.join(name);
        let is_folder = path.is_dir() && !is_output(&path);
        if is_folder || has_suffix(&path, PICTURE_SUFFIXES) {
            return Vec::new();
        }
        if is_array_file(&path) {
            files.push(path);
        }
    }
    files
}

fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}

fn open(path: &Path) -> Result<Box<dyn ArrayFile>> {
    let suffix = path.extension().map(|suffix| suffix.to_string_lossy().to_lowercase());
    if suffix.as_deref() == Some("npz") {
        return Ok(Box::new(npz::Npz::open(path)?));
    }
    #[cfg(feature = "hdf5")]
    return Ok(Box::new(hdf5::Hdf5::open(path)?));
    #[cfg(not(feature = "hdf5"))]
    Err(DataError::FormatOff { format: "HDF5", feature: "hdf5" }.in_file(path))
}
