//! A folder with the files of MNIST, or of a set that is stored like it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use crate::file::kind;
use crate::{DataError, Dataset, ImageDataset, Result, idx};

/// What a folder has to hold, for messages.
pub(crate) const EXPECTED: &str = "train-images-idx3-ubyte and train-labels-idx1-ubyte";

/// Reads a folder with IDX files that are named as MNIST's.
///
/// | file | holds |
/// |---|---|
/// | `train-images-idx3-ubyte` | the pictures to train on |
/// | `train-labels-idx1-ubyte` | their labels |
/// | `t10k-images-idx3-ubyte` | the pictures to test on; may be absent |
/// | `t10k-labels-idx1-ubyte` | their labels; present if they are |
///
/// The spelling `train-images.idx3-ubyte`, and so on, is read too, and so are compressed files, with
/// `.gz` behind the name; of several the first counts, plain before compressed. Other files are left alone. The set gets the folder's name; what in it is not Unicode is
/// replaced by `U+FFFD`. Both parts get the class names of the training part.
///
/// # Errors
///
/// For the folder: [`NotFound`](DataError::NotFound), [`Io`](DataError::Io),
/// [`NotAFolder`](DataError::NotAFolder), [`EmptyFolder`](DataError::EmptyFolder),
/// [`NoKnownFiles`](DataError::NoKnownFiles), [`MissingHalf`](DataError::MissingHalf),
/// [`OnlyTest`](DataError::OnlyTest). For the files: those of [`idx::read_idx_pair`], with the path. For
/// the two parts together: [`ShapesDiffer`](DataError::ShapesDiffer),
/// [`LabelOnlyInTest`](DataError::LabelOnlyInTest).
///
/// # Examples
///
/// ```no_run
/// let mnist = dnn_data::load_folder("datasets/mnist".as_ref())?;
/// println!("{}: {:?}", mnist.name, mnist.train);
/// # Ok::<(), dnn_data::DataError>(())
/// ```
pub fn load_folder(path: &Path) -> Result<Dataset> {
    let names = list(path)?;
    if names.is_empty() {
        return Err(DataError::EmptyFolder { path: path.to_path_buf() });
    }
    load_named(path, &names)?
        .ok_or_else(|| DataError::NoKnownFiles { path: path.to_path_buf(), found: some_of(&names) })
}

/// The data set in a folder with these names; `None` if none of them is one of MNIST's.
pub(crate) fn load_named(path: &Path, names: &[OsString]) -> Result<Option<Dataset>> {
    let train = read_part(path, names, "train")?;
    let test = read_part(path, names, "t10k")?;
    let name = folder_name(path);
    Ok(match (train, test) {
        (Some(train), None) => Some(Dataset { name, train, validation: None, test: None }),
        (Some(train), Some(test)) => {
            let test = agree(path, &train, test)?;
            Some(Dataset { name, train, validation: None, test: Some(test) })
        }
        (None, Some(_)) => return Err(DataError::OnlyTest { path: path.to_path_buf() }),
        (None, None) => None,
    })
}

/// Reads the test part alone of a folder as [`load_folder`] takes it: pictures to measure a finished
/// model on need no others beside them.
///
/// # Errors
///
/// [`NotFound`](DataError::NotFound), [`Io`](DataError::Io), [`NotAFolder`](DataError::NotAFolder);
/// [`MissingHalf`](DataError::MissingHalf) without a test part or with half of one; for the files,
/// those of [`idx::read_idx_pair`], with the path.
pub fn load_test_part(path: &Path) -> Result<ImageDataset> {
    let names = list(path)?;
    read_part(path, &names, "t10k")?.ok_or_else(|| DataError::MissingHalf {
        expected: path.join("t10k-images-idx3-ubyte"),
        beside: path.to_path_buf(),
    })
}

/// The names in a folder, sorted, since the system gives them in any order.
pub(crate) fn list(path: &Path) -> Result<Vec<OsString>> {
    let fail = |source| DataError::io(path, source);
    let metadata = fs::metadata(path).map_err(fail)?;
    if !metadata.is_dir() {
        return Err(DataError::NotAFolder { path: path.to_path_buf(), found: kind(&metadata) });
    }
    let entries = fs::read_dir(path).map_err(fail)?;
    let mut names = entries
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(fail)?;
    names.sort();
    Ok(names)
}

/// One part of the set, if the folder has any of its files.
fn read_part(folder: &Path, names: &[OsString], part: &str) -> Result<Option<ImageDataset>> {
    let images = find(folder, names, part, "images", "idx3");
    let labels = find(folder, names, part, "labels", "idx1");
    let missing = |kind, beside| {
        let expected = folder.join(format!("{part}-{kind}-ubyte"));
        Err(DataError::MissingHalf { expected, beside })
    };
    match (images, labels) {
        (Some(images), Some(labels)) => idx::read_idx_pair(&images, &labels).map(Some),
        (Some(images), None) => missing("labels-idx1", images),
        (None, Some(labels)) => missing("images-idx3", labels),
        (None, None) => Ok(None),
    }
}

/// The path of a file in any of its spellings.
fn find(
    folder: &Path,
    names: &[OsString],
    part: &str,
    what: &str,
    suffix: &str,
) -> Option<PathBuf> {
    let spellings = ["", ".gz"].into_iter().flat_map(|packed| {
        ["-", "."].map(|mark| format!("{part}-{what}{mark}{suffix}-ubyte{packed}"))
    });
    let there = |name: &String| names.iter().any(|found| found == name.as_str());
    spellings.into_iter().find(there).map(|name| folder.join(name))
}

/// The test part, checked against the training part and with its class names.
pub(crate) fn agree(path: &Path, train: &ImageDataset, test: ImageDataset) -> Result<ImageDataset> {
    if train.shape() != test.shape() {
        let (train, test) = (train.shape(), test.shape());
        return Err(DataError::ShapesDiffer { path: path.to_path_buf(), train, test });
    }
    let asked = |part: &ImageDataset| match part.targets() {
        None => "classes".to_owned(),
        Some(targets) if targets.nrows() == 1 => "a number for each picture".to_owned(),
        Some(targets) => format!("{} numbers for each picture", targets.nrows()),
    };
    if asked(train) != asked(&test) {
        let (train, other) = (asked(train), asked(&test));
        return Err(DataError::TargetsDiffer { path: path.to_path_buf(), train, other });
    }
    if train.targets().is_some() {
        return Ok(test);
    }
    let counts = train.class_counts();
    let unknown = |label: &u32| counts.get(*label as usize).is_none_or(|&count| count == 0);
    if let Some(label) = test.labels().iter().copied().filter(unknown).min() {
        return Err(DataError::LabelOnlyInTest { path: path.to_path_buf(), label });
    }
    Ok(test.with_class_names(train.class_names().to_vec()))
}

/// The last part of a path, which `.` and `a/..` do not show.
pub(crate) fn folder_name(path: &Path) -> String {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    name(path)
        .or_else(|| name(&path.canonicalize().ok()?))
        .unwrap_or_else(|| path.to_string_lossy().into_owned())
}

/// Up to five names, and how many more there are; in words where there are none.
pub(crate) fn some_of(names: &[impl AsRef<OsStr>]) -> String {
    let shown: Vec<_> = names.iter().take(5).map(|name| name.as_ref().to_string_lossy()).collect();
    match names.len() - shown.len() {
        0 if shown.is_empty() => "nothing".to_owned(),
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_message_are_five_at_most_and_never_nothing_at_all() {
        assert_eq!(some_of(&["a", "b"]), "a, b");
        assert_eq!(some_of(&["a", "b", "c", "d", "e", "f"]), "a, b, c, d, e and 1 more");
        assert_eq!(some_of(&[] as &[&str]), "nothing");
    }
}
