//! From a folder of pictures to a data set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::cache::{self, CacheUse};
use super::listing::{Entry, Ignored, Layout, Listing, list_pictures};
use super::name::path_text;
use super::part::Part;
use super::quarantine::{is_aside, quarantine};
use super::stamp::Stamp;
use super::sums::Sums;
use crate::file::read_file;
use crate::idx::into_columns;
use crate::picture::{Decoding, Info, PictureError, Preparer, Preprocessing};
use crate::{DataError, Dataset, ImageDataset, ImageShape, PictureFile, Result};

/// No picture file is larger: 512 MiB.
pub(super) const LARGEST_FILE: u64 = 512 << 20;

/// What becomes of files that cannot be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BadFiles {
    /// The first of them is an error.
    #[default]
    Stop,
    /// They are left out, counted and named.
    Skip,
    /// They are left out, and moved to the folder `.quarantine` inside the data, with their reasons in
    /// its `reasons.tsv`.
    Quarantine,
}

/// How a folder of pictures is loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadOptions {
    /// The shape that every picture gets, and how.
    pub preprocessing: Preprocessing,
    /// Limits, and whether damaged files are used as far as they go.
    pub decoding: Decoding,
    /// What becomes of files that cannot be used.
    pub bad_files: BadFiles,
    /// The largest share of bad files that is put up with, 0..=1; more is an error.
    pub max_bad: f64,
    /// The folder where decoded sets are kept; `None` for no cache.
    pub cache: Option<PathBuf>,
}

impl LoadOptions {
    /// Strict, without a cache; at most one file in twenty may be bad where bad ones are left out.
    pub fn new(preprocessing: Preprocessing) -> Self {
        Self {
            preprocessing,
            decoding: Decoding::default(),
            bad_files: BadFiles::default(),
            max_bad: 0.05,
            cache: None,
        }
    }
}

/// A file that was not used, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BadFile {
    /// Its path from the root, as [`path_text`] writes it.
    pub path: String,
    /// Why it cannot be used.
    pub reason: String,
}

/// Something worth telling about a file that was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotedFile {
    /// Its path from the root, as [`path_text`] writes it.
    pub path: String,
    /// What is worth telling.
    pub notes: Vec<String>,
}

/// What became of every file of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoadReport {
    /// How the folder says which class a picture belongs to.
    pub layout: Layout,
    /// How many files are in the data set.
    pub used: usize,
    /// Those that could not be used.
    pub bad: Vec<BadFile>,
    /// Those that were used and have something to tell.
    pub noted: Vec<NotedFile>,
    /// What is no part of the data.
    pub ignored: Vec<Ignored>,
    /// Whether the pictures came from the cache.
    pub cache: CacheUse,
}

/// A data set and what became of every file.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The pictures that could be used.
    pub dataset: Dataset,
    /// What became of every file.
    pub report: LoadReport,
}

/// What was found in one file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Outcome {
    Used {
        sha256: [u8; 32],
        info: Info,
    },
    /// The digest is that of its content, where it could be read.
    Bad {
        reason: String,
        sha256: Option<[u8; 32]>,
    },
}

/// A file that is not used, by its path from the root.
pub(super) struct Bad {
    pub(super) path: PathBuf,
    pub(super) reason: String,
}

/// The pixels of every entry in its order, `n_x` bytes each (anything for a bad one), and what was
/// found in each file.
pub(super) struct Decoded {
    pub(super) pixels: Vec<u8>,
    pub(super) outcomes: Vec<Outcome>,
}

/// Loads the pictures of a folder that [`list_pictures`] understands.
///
/// Pictures are read and decoded on the threads of the surrounding pool; the result is the same for
/// any number of them. Where the folder has a `SHA256SUMS`, each picture has to have the digest it
/// says, and every file that it lists has to be there, or it counts as a bad file (unless it was put
/// into `.quarantine` earlier).
///
/// # Errors
/// Those of [`list_pictures`]; [`Shape`](DataError::Shape) for a shape that cannot be made;
/// [`BadPicture`](DataError::BadPicture) under [`BadFiles::Stop`], with the first bad file in the
/// order of the listing; [`TooManyBad`](DataError::TooManyBad);
/// [`Memory`](DataError::Memory) where the pixels find no room; [`Empty`](DataError::Empty) where no
/// file of the training part can be used.
///
/// # Examples
///
/// ```no_run
/// use dnn_data::picture::Preprocessing;
/// use dnn_data::{ImageShape, LoadOptions, load_pictures};
///
/// let to = Preprocessing::stretch(ImageShape { height: 64, width: 64, channels: 3 });
/// let loaded = load_pictures("photos".as_ref(), &LoadOptions::new(to))?;
/// println!("{} used, {} bad", loaded.report.used, loaded.report.bad.len());
/// # Ok::<(), dnn_data::DataError>(())
/// ```
pub fn load_pictures(root: &Path, options: &LoadOptions) -> Result<Loaded> {
    options.preprocessing.check()?;
    let mut listing = list_pictures(root)?;
    let sums = Sums::read(root)?;
    let (decoded, cache) = cache::load(&listing, options, || decode_all(&listing, options))?;
    let bad = bad_files(&mut listing, &decoded.outcomes, &sums);
    apply_bad_file_policy(&listing, options, &bad)?;
    let left_out: Vec<bool> =
        listing.entries.iter().map(|entry| bad.contains_key(&entry.path)).collect();
    let noted = noted_files(&listing, &decoded.outcomes, &left_out);
    let used = left_out.iter().filter(|&&out| !out).count();
    let dataset = assemble(&listing, options, decoded, &left_out)?;
    let mut bad: Vec<Bad> = bad.into_iter().map(|(path, reason)| Bad { path, reason }).collect();
    if options.bad_files == BadFiles::Quarantine {
        quarantine(root, &mut bad)?;
    }
    let named = |bad: Bad| BadFile { path: path_text(&bad.path), reason: bad.reason };
    let bad = bad.into_iter().map(named).collect();
    let Listing { layout, ignored, .. } = listing;
    Ok(Loaded { dataset, report: LoadReport { layout, used, bad, noted, ignored, cache } })
}

/// Reads and decodes every entry.
pub(super) fn decode_all(listing: &Listing, options: &LoadOptions) -> Result<Decoded> {
    let shape = options.preprocessing.shape;
    let width = shape.features().ok_or(DataError::Shape { shape })?;
    let needed = width as u128 * listing.entries.len() as u128;
    let mut pixels = Vec::new();
    usize::try_from(needed)
        .ok()
        .and_then(|bytes| {
            dnn_store::fallible_allocation(|| pixels.try_reserve_exact(bytes))
                .ok()
                .map(|()| pixels.resize(bytes, 0))
        })
        .ok_or(DataError::Memory { needed })?;
    let preparer = || Preparer::new(options.preprocessing, options.decoding);
    let outcomes = pixels
        .par_chunks_exact_mut(width)
        .zip(listing.entries.par_iter())
        // A few at a time: each task makes its buffers anew.
        .with_min_len(16)
        .map_init(preparer, |preparer, (out, entry)| decode_one(listing, entry, preparer, out))
        .collect();
    Ok(Decoded { pixels, outcomes })
}

fn decode_one(
    listing: &Listing,
    entry: &Entry,
    preparer: &mut Preparer,
    out: &mut [u8],
) -> Outcome {
    read_and_decode(listing, entry, |bytes| Ok((preparer.prepare(bytes, out)?, ()))).0
}

/// Reads one file and lets `decode` have its bytes; what that gives is kept where the file can be used.
pub(crate) fn read_and_decode<T>(
    listing: &Listing,
    entry: &Entry,
    decode: impl FnOnce(&[u8]) -> std::result::Result<(Info, T), PictureError>,
) -> (Outcome, Option<T>) {
    let path = listing.root.join(&entry.path);
    let bad = |reason, sha256| (Outcome::Bad { reason, sha256 }, None);
    let before = Stamp::of(&path);
    let bytes = match read_file(&path, LARGEST_FILE) {
        Ok(bytes) => bytes,
        Err(error) => return bad(in_words(&error), None),
    };
    if Stamp::of(&path) != before {
        return bad("it changed while it was read".to_owned(), None);
    }
    let sha256 = Sha256::digest(&bytes).into();
    match decode(&bytes) {
        Ok((info, decoded)) => (Outcome::Used { sha256, info }, Some(decoded)),
        Err(error) => bad(error.to_string(), Some(sha256)),
    }
}

/// What is wrong with a file, without its path, which stands beside it.
fn in_words(error: &DataError) -> String {
    match error {
        DataError::NotFound { .. } => "a link to nothing, or gone since".to_owned(),
        DataError::NotAFile { found, .. } => format!("expected a regular file, found {found}"),
        DataError::TooLarge { limit, found, .. } => {
            format!("expected at most {limit} bytes, found {found}")
        }
        DataError::Io { source, .. } => format!("cannot be read: {source}"),
        other => other.to_string(),
    }
}

/// The bad files by their paths: those that could not be decoded, have another digest than they
/// should, or are missing.
pub(crate) fn bad_files(
    listing: &mut Listing,
    outcomes: &[Outcome],
    sums: &Sums,
) -> BTreeMap<PathBuf, String> {
    let mut bad = BTreeMap::new();
    for (entry, outcome) in listing.entries.iter().zip(outcomes) {
        let reason = match outcome {
            Outcome::Bad { reason, .. } => Some(reason.clone()),
            Outcome::Used { sha256, .. } => sums.mismatch(&entry.path, sha256),
        };
        if let Some(reason) = reason {
            bad.insert(entry.path.clone(), reason);
        }
    }
    let seen = listing.entries.iter().map(|entry| entry.path.as_path()).collect();
    for path in sums.missing(&listing.root, &seen) {
        if is_aside(&listing.root, &path) {
            let reason = "put into .quarantine earlier";
            listing.ignored.push(Ignored { path: path_text(&path), reason, pictures: 0 });
        } else {
            bad.insert(path, "listed in SHA256SUMS and not there".to_owned());
        }
    }
    bad
}

/// Whether the data can be used in spite of these bad files: [`LoadOptions::bad_files`] and [`LoadOptions::max_bad`].
fn apply_bad_file_policy(
    listing: &Listing,
    options: &LoadOptions,
    bad: &BTreeMap<PathBuf, String>,
) -> Result<()> {
    // The first in the order of the listing; after those, what is missing from it.
    let listed = listing.entries.iter().find_map(|entry| bad.get_key_value(&entry.path));
    let Some((path, reason)) = listed.or_else(|| bad.iter().next()) else { return Ok(()) };
    let (path, reason) = (listing.root.join(path), reason.clone());
    // What is missing is counted among those that should be there.
    let there = listing.entries.iter().filter(|entry| !bad.contains_key(&entry.path)).count();
    let (count, of) = (bad.len(), there + bad.len());
    if options.bad_files == BadFiles::Stop {
        return Err(DataError::BadPicture { path, reason, others: count - 1 });
    }
    if count as f64 > options.max_bad * of as f64 {
        let limit = options.max_bad;
        return Err(DataError::TooManyBad { bad: count, of, limit, path, reason });
    }
    Ok(())
}

fn noted_files(listing: &Listing, outcomes: &[Outcome], left_out: &[bool]) -> Vec<NotedFile> {
    let files = listing.entries.iter().zip(outcomes).zip(left_out);
    let noted = files.filter_map(|((entry, outcome), out)| {
        let Outcome::Used { info, .. } = outcome else { return None };
        let mut notes: Vec<String> = info.notes.iter().map(ToString::to_string).collect();
        let suffix = entry.path.extension().map(|suffix| suffix.to_string_lossy());
        if !suffix.as_ref().is_some_and(|suffix| info.format.has_suffix(suffix)) {
            notes.push(format!("a {} by its content", info.format));
        }
        let path = path_text(&entry.path);
        (!out && !notes.is_empty()).then_some(NotedFile { path, notes })
    });
    noted.collect()
}

/// The pictures that were used, divided into their parts.
fn assemble(
    listing: &Listing,
    options: &LoadOptions,
    decoded: Decoded,
    left_out: &[bool],
) -> Result<Dataset> {
    let shape = options.preprocessing.shape;
    let width = shape.features().ok_or(DataError::Shape { shape })?;
    let Decoded { mut pixels, outcomes } = decoded;
    // The used pictures move together, so that each part is one piece.
    let mut kept = 0;
    for (place, _) in left_out.iter().enumerate().filter(|(_, out)| !**out) {
        pixels.copy_within(place * width..(place + 1) * width, kept * width);
        kept += 1;
    }
    pixels.truncate(kept * width);
    let pairs = listing.entries.iter().zip(&outcomes).zip(left_out);
    let used: Vec<(&Entry, &Outcome)> =
        pairs.filter(|(_, out)| !**out).map(|(pair, _)| pair).collect();
    let mut train = set_of(listing, shape, &used, pixels)?;
    // The parts lie one behind another.
    let [first, second, _] =
        Part::ALL.map(|part| used.iter().filter(|it| it.0.part == part).count());
    if first == 0 {
        return Err(DataError::Empty);
    }
    let mut from = |first: usize| (first < train.len()).then(|| train.split_off(first));
    let (test, validation) = (from(first + second), from(first));
    Ok(Dataset { name: listing.name.clone(), train, validation, test })
}

/// All pictures that were used, whatever their part.
fn set_of(
    listing: &Listing,
    shape: ImageShape,
    used: &[(&Entry, &Outcome)],
    pixels: Vec<u8>,
) -> Result<ImageDataset> {
    let (pixels, shape) = into_columns(pixels, shape, used.len())?;
    let labels = used.iter().map(|(entry, _)| entry.class).collect();
    let files = used.iter().filter_map(|(entry, outcome)| {
        let Outcome::Used { sha256, .. } = outcome else { return None };
        let path = path_text(&entry.path);
        Some(PictureFile { path, sha256: *sha256 })
    });
    let set = ImageDataset::new(pixels, labels, listing.class_names.clone(), shape)?;
    set.with_files(files.collect())
}
