//! Decoded data sets on disk, so that the second run begins at once.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use dnn_store::{DType, Format};
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::listing::{Entry, Listing};
use super::load::{Decoded, LARGEST_FILE as LARGEST_PICTURE, LoadOptions, Outcome};
use super::name::path_text;
use super::part::Part;
use super::stamp::{Stamp, since_1970};
use crate::error::with_causes;
use crate::file::read_file;
use crate::picture::JPEG_DECODER;
use crate::{DataError, Result};

/// What marks a cache file. A change of decoding or resizing that changes a byte raises the major
/// version, and so does one of [`Content`].
const FORMAT: Format = Format { magic: *b"dnncache", name: "data set cache", major: 4, minor: 0 };

/// Shared by all that write into a cache folder. Whoever has it alone knows that nobody else is writing.
const LOCK: &str = ".lock";

/// No cache file is larger.
const LARGEST_FILE: u64 = 64 << 30;

/// What the cache did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheUse {
    /// It was not asked for.
    Off,
    /// The pictures came from it.
    Hit,
    /// There was nothing for this data and these settings yet; there is now.
    Stored,
    /// What it had did not fit the data or was damaged; it was made anew.
    Rebuilt {
        /// What did not fit.
        reason: String,
    },
    /// The pictures were decoded and could not be kept.
    NotStored {
        /// Why.
        reason: String,
    },
}

/// The folder for caches of this user: `$XDG_CACHE_HOME/dnn`, or `.cache/dnn` in the home folder;
/// `None` where neither is known.
pub fn cache_folder() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|folder| folder.join("dnn"))
}

/// A file as it was when its picture was decoded.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    /// The path from the root, as the system's own bytes.
    path: Vec<u8>,
    part: Part,
    class: u32,
    stamp: Stamp,
}

impl Known {
    /// Whether nothing but its content can tell `now` from this file.
    fn may_be(&self, now: &Self) -> bool {
        let place = |file: &Self| (file.part, file.class);
        self.path == now.path && place(self) == place(now) && self.stamp.may_be(&now.stamp)
    }
}

/// The metadata of a cache file.
#[derive(Serialize, Deserialize)]
struct Content {
    key: String,
    class_names: Vec<String>,
    files: Vec<Known>,
    outcomes: Vec<Outcome>,
    /// When the files were looked at, in nanoseconds since 1970.
    looked: u64,
}

/// The pictures of the listing, from the cache where it has exactly these, else by `decode`.
pub(super) fn load(
    listing: &Listing,
    options: &LoadOptions,
    decode: impl Fn() -> Result<Decoded>,
) -> Result<(Decoded, CacheUse)> {
    let Some(folder) = &options.cache else { return Ok((decode()?, CacheUse::Off)) };
    let looked = since_1970(SystemTime::now());
    let key = key(listing, options);
    let path = folder.join(format!("{}.cache", dnn_store::sha256_hex(key.as_bytes())));
    // The system answers about the files while the cache is read and hashed.
    let (files, cached) = rayon::join(|| look(listing), || read(&path));
    let usable = cached
        .and_then(|cached| cached.map(|cached| check(cached, &key, listing, &files)).transpose());
    let stale = match usable {
        Ok(Some(decoded)) => return Ok((decoded, CacheUse::Hit)),
        Ok(None) => None,
        Err(reason) => Some(reason),
    };
    let decoded = decode()?;
    if look(listing) != files {
        let reason = "the files changed while they were read".to_owned();
        return Ok((decoded, CacheUse::NotStored { reason }));
    }
    let outcomes = decoded.outcomes.clone();
    let class_names = listing.class_names.clone();
    let content = Content { key, class_names, files, outcomes, looked };
    let cache = match (store(&path, &content, &decoded.pixels), stale) {
        (Err(reason), _) => CacheUse::NotStored { reason },
        (Ok(()), Some(reason)) => CacheUse::Rebuilt { reason },
        (Ok(()), None) => CacheUse::Stored,
    };
    Ok((decoded, cache))
}

/// Everything but the files that the pixels depend on.
fn key(listing: &Listing, options: &LoadOptions) -> String {
    let root = listing.root.canonicalize().unwrap_or_else(|_| listing.root.clone());
    let LoadOptions { preprocessing, decoding, .. } = options;
    let root = path_text(&root);
    // The library whose bytes resizing has: what it made itself is still good.
    format!("{preprocessing}\n{decoding:?}\nfast_image_resize 6, {JPEG_DECODER}\n{root}")
}

/// Every file as it is now.
fn look(listing: &Listing) -> Vec<Known> {
    let known = |entry: &Entry| Known {
        path: entry.path.as_os_str().as_encoded_bytes().to_vec(),
        part: entry.part,
        class: entry.class,
        stamp: Stamp::of(&listing.root.join(&entry.path)),
    };
    listing.entries.par_iter().with_min_len(64).map(known).collect()
}

/// What a cache file holds, its hash checked.
struct Cached {
    /// What it says of the files.
    content: Content,
    pixels: Vec<u8>,
}

/// Reads a cache file: `None` where there is no such file, the reason where it cannot be used.
fn read(path: &Path) -> std::result::Result<Option<Cached>, String> {
    if !path.exists() {
        return Ok(None);
    }
    let mut bytes = dnn_store::read_file(path, LARGEST_FILE).map_err(|e| with_causes(&e))?;
    let container = dnn_store::decode::<Content>(&FORMAT, &bytes).map_err(|e| with_causes(&e))?;
    let tensor = container.tensor("pixels").map_err(|e| with_causes(&e))?;
    if tensor.dtype() != DType::U8 {
        return Err(format!("expected pixels of {}, found {}", DType::U8, tensor.dtype()));
    }
    // The pixels move to the front of the bytes read: they are in memory once, not twice.
    let length = tensor.bytes().len();
    let start = tensor.bytes().as_ptr().addr() - bytes.as_ptr().addr();
    let content = container.content;
    bytes.copy_within(start..start + length, 0);
    bytes.truncate(length);
    Ok(Some(Cached { content, pixels: bytes }))
}

/// The cached pictures, if they are those of the listing.
fn check(
    cached: Cached,
    key: &str,
    listing: &Listing,
    files: &[Known],
) -> std::result::Result<Decoded, String> {
    let Cached { content, pixels } = cached;
    let Content { key: own, class_names, files: known, outcomes, looked } = content;
    if own != key {
        return Err("it belongs to other data or settings".to_owned());
    }
    let counts = [known.len(), outcomes.len()];
    let may_be = || known.iter().zip(files).all(|(known, now)| known.may_be(now));
    if class_names != listing.class_names || counts != [files.len(); 2] || !may_be() {
        return Err("the files of the data set have changed".to_owned());
    }
    let in_doubt = |(known, now): &(&Known, &Known)| {
        now.stamp.is_fresh(looked) || !now.stamp.is_same_file(&known.stamp)
    };
    let pairs = known.par_iter().zip(files);
    let changed = (pairs.zip(outcomes.par_iter()).zip(listing.entries.par_iter()))
        .filter(|((pair, _), _)| in_doubt(pair))
        .any(|((_, outcome), entry)| !is_still(&listing.root.join(&entry.path), outcome));
    if changed {
        return Err("the files of the data set have changed".to_owned());
    }
    if pixels.len() % files.len().max(1) != 0 {
        return Err("it holds another number of pixels".to_owned());
    }
    Ok(Decoded { pixels, outcomes })
}

/// Whether a file that may have changed without a new time stamp still has its content. One that could
/// not be read has no digest to tell by.
fn is_still(path: &Path, outcome: &Outcome) -> bool {
    let (Outcome::Used { sha256, .. } | Outcome::Bad { sha256: Some(sha256), .. }) = outcome else {
        return false;
    };
    read_file(path, LARGEST_PICTURE)
        .is_ok_and(|bytes| <[u8; 32]>::from(Sha256::digest(&bytes)) == *sha256)
}

fn store(path: &Path, content: &Content, pixels: &[u8]) -> std::result::Result<(), String> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let _writing = begin_writing(folder);
    let examples = content.files.len();
    let dims = [examples, pixels.len() / examples.max(1)];
    let head = dnn_store::encode_head(&FORMAT, content, "pixels", &dims, pixels)
        .map_err(|e| with_causes(&e))?;
    dnn_store::commit_pieces(path, &[&head, pixels]).map_err(|error| {
        let needed = head.len() + pixels.len();
        format!("{}; {needed} bytes are needed", with_causes(&error))
    })
}

/// Announces that this process writes into the folder, as long as the result lives; before, removes
/// what killed processes left half written, if nobody else is writing. `None` on a file system without
/// locks, where nothing is removed.
fn begin_writing(folder: &Path) -> Option<File> {
    let path = folder.join(LOCK);
    dnn_store::check_own_file(&path).ok()?;
    let options = File::options().create(true).truncate(false).read(true).write(true).to_owned();
    let lock = options.open(path).ok()?;
    if lock.try_lock().is_ok() {
        // What cannot be removed takes room and does no harm.
        for entry in fs::read_dir(folder).ok()?.flatten() {
            if is_half_written(&entry.file_name()) {
                let _ = fs::remove_file(entry.path());
            }
        }
        lock.unlock().ok()?;
    }
    lock.lock_shared().ok()?;
    Some(lock)
}

/// Whether a name is that of a cache file on its way: `.SHA256.cache.PID-COUNTER.tmp`.
fn is_half_written(name: &OsStr) -> bool {
    let (digest, rest) = match name.as_encoded_bytes() {
        [b'.', name @ ..] => name.split_at(64.min(name.len())),
        _ => return false,
    };
    dnn_store::is_temporary(name)
        && digest.iter().all(u8::is_ascii_hexdigit)
        && rest.starts_with(b".cache.")
}

/// What lies in a cache folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CacheFolder {
    /// The files of the cache, by their names.
    pub entries: Vec<CacheEntry>,
    /// The names of what is no file of the cache; nothing here touches these.
    pub others: Vec<String>,
}

/// A file of the cache: a data set in one preprocessing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct CacheEntry {
    /// Its name: the SHA-256 of folder, preprocessing and decoder.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

impl CacheFolder {
    /// What lies in `folder`; nothing, if it is not there.
    ///
    /// # Errors
    /// [`DataError::Io`] if it cannot be read.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut found = Self::default();
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            entries => entries.map_err(|error| DataError::io(folder, error))?,
        };
        for entry in entries {
            let entry = entry.map_err(|error| DataError::io(folder, error))?;
            let name = entry.file_name();
            // Of the entry itself: a link is no file of ours.
            let metadata = entry.metadata().map_err(|error| DataError::io(&entry.path(), error))?;
            if metadata.is_file() && is_entry(&name, &entry.path()) {
                let name = name.to_string_lossy().into_owned();
                found.entries.push(CacheEntry { name, bytes: metadata.len() });
            } else if name != LOCK && !is_half_written(&name) {
                found.others.push(name.to_string_lossy().into_owned());
            }
        }
        found.entries.sort();
        found.others.sort();
        Ok(found)
    }

    /// Removes the files of the cache, and what killed processes left half written; says what there was.
    ///
    /// # Errors
    /// As [`read`](Self::read), and [`DataError::Io`] with the first file that cannot be removed.
    pub fn clear(folder: &Path) -> Result<Self> {
        let found = Self::read(folder)?;
        // Sweeps, if nobody else is writing.
        let _writing = folder.is_dir().then(|| begin_writing(folder));
        for entry in &found.entries {
            let path = folder.join(&entry.name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(DataError::io(&path, error));
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

/// Whether a file has the name and the first bytes of a cache file.
fn is_entry(name: &OsStr, path: &Path) -> bool {
    let name = name.as_encoded_bytes();
    let named = name
        .strip_suffix(b".cache")
        .is_some_and(|digest| digest.len() == 64 && digest.iter().all(u8::is_ascii_hexdigit));
    let mut magic = [0; 8];
    let mut begins = || File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok();
    named && begins() && magic == FORMAT.magic
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ImageShape;
    use crate::picture::{Preprocessing, encode_png};
    use crate::pictures::list_pictures;

    /// A picture of one pixel in each of two classes.
    fn two_pictures() -> (tempfile::TempDir, ImageShape) {
        let data = tempfile::tempdir().unwrap();
        let shape = ImageShape { height: 1, width: 1, channels: 3 };
        for class in ["a", "b"] {
            fs::create_dir(data.path().join(class)).unwrap();
            let file = encode_png(&[1, 2, 3], shape).unwrap();
            fs::write(data.path().join(class).join("1.png"), file).unwrap();
        }
        (data, shape)
    }

    #[test]
    fn pixels_of_another_decoder_have_another_key() {
        let (data, shape) = two_pictures();
        let listing = list_pictures(data.path()).unwrap();
        let key = key(&listing, &LoadOptions::new(Preprocessing::stretch(shape)));
        assert!(key.contains(JPEG_DECODER), "{key}");
        assert_eq!(key.contains("libjpeg-turbo"), cfg!(feature = "turbojpeg"), "{key}");
    }

    /// Writes two files of one size until the system's clock gives both the same times.
    #[cfg(unix)]
    fn write_at_once(files: [&Path; 2]) -> bool {
        let shape = ImageShape { height: 1, width: 1, channels: 3 };
        let pictures = [[1; 3], [9; 3]].map(|pixels| encode_png(&pixels, shape).unwrap());
        assert_eq!(pictures[0].len(), pictures[1].len());
        (0..5000).any(|_| {
            files.iter().zip(&pictures).for_each(|(file, bytes)| fs::write(file, bytes).unwrap());
            Stamp::of(files[0]).may_be(&Stamp::of(files[1]))
        })
    }

    /// Whether what was kept of the folder is taken for what lies there after `change`.
    #[cfg(unix)]
    fn is_taken_after(root: &Path, change: impl FnOnce(&mut Content)) -> bool {
        let shape = ImageShape { height: 1, width: 1, channels: 3 };
        let options = LoadOptions::new(Preprocessing::stretch(shape));
        let listing = list_pictures(root).unwrap();
        let Decoded { pixels, outcomes } =
            super::super::load::decode_all(&listing, &options).unwrap();
        let (key, class_names) = (key(&listing, &options), listing.class_names.clone());
        // So late that no file counts as changed a moment ago.
        let looked = u64::MAX;
        let files = look(&listing);
        let mut content = Content { key: key.clone(), class_names, files, outcomes, looked };
        change(&mut content);
        let listing = list_pictures(root).unwrap();
        let cached = Cached { content, pixels: pixels.clone() };
        let found = check(cached, &key, &listing, &look(&listing));
        found.is_ok_and(|found| found.pixels == pixels)
    }

    #[cfg(unix)]
    #[test]
    fn files_that_changed_places_are_told_apart() {
        use std::os::unix::fs::symlink;

        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        let swap = |one: &str, other: &str| {
            for (from, to) in [(one, "aside"), (other, one), ("aside", other)] {
                fs::rename(at(from), at(to)).unwrap();
            }
        };
        for folder in ["pools/a", "pools/b", "classes/a", "classes/b", "parts/train/c"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        for folder in ["parts/train/d", "parts/test/c", "parts/test/d", "linked"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        symlink(at("pools/a"), at("linked/a")).unwrap();
        symlink(at("pools/b"), at("linked/b")).unwrap();
        let pairs = [
            ["classes/a/1.png", "classes/b/1.png"],
            ["pools/a/1.png", "pools/b/1.png"],
            ["parts/train/c/1.png", "parts/test/c/1.png"],
            ["parts/train/d/1.png", "parts/test/d/1.png"],
        ];
        if !pairs.iter().all(|[one, other]| write_at_once([&at(one), &at(other)])) {
            println!("SKIPPED: this file system gives no two files the same times");
            return;
        }
        let same = |_: &mut Content| {};
        for folder in ["classes", "linked", "parts"] {
            assert!(is_taken_after(&at(folder), same), "{folder}");
        }
        assert!(!is_taken_after(&at("classes"), |_| swap("classes/a", "classes/b")), "classes");
        let parts = is_taken_after(&at("parts"), |_| swap("parts/train", "parts/test"));
        assert!(!parts, "train and test");
        let one_class = is_taken_after(&at("parts"), |_| swap("parts/train/c", "parts/test/c"));
        assert!(!one_class, "one class of train and test");
        let files = is_taken_after(&at("classes"), |_| swap("classes/a/1.png", "classes/b/1.png"));
        assert!(!files, "single files");
        let linked = is_taken_after(&at("linked"), |_| swap("linked/a", "linked/b"));
        assert!(!linked, "links that lead elsewhere now");
        let relinked = is_taken_after(&at("linked"), |_| swap("pools/a", "pools/b"));
        assert!(!relinked, "what links lead to");
    }

    #[cfg(unix)]
    #[test]
    fn a_device_with_another_number_is_no_change_unless_the_content_is_another() {
        let (data, _) = two_pictures();
        let remounted = |content: &mut Content| {
            content.files.iter_mut().for_each(|file| file.stamp = file.stamp.on_another_device());
        };
        assert!(is_taken_after(data.path(), remounted));
        let exchanged = is_taken_after(data.path(), |content| {
            remounted(content);
            let sha256 = [7; 32];
            content.outcomes[1] =
                Outcome::Bad { reason: "made up".to_owned(), sha256: Some(sha256) };
        });
        assert!(!exchanged, "times and size are those of another file");
    }

    #[test]
    fn pictures_that_change_while_they_are_decoded_are_not_kept() {
        let ((data, shape), kept) = (two_pictures(), tempfile::tempdir().unwrap());
        let listing = list_pictures(data.path()).unwrap();
        let mut options = LoadOptions::new(Preprocessing::stretch(shape));
        options.cache = Some(kept.path().to_path_buf());
        let decoded = |change: bool| {
            if change {
                let file = encode_png(&[9; 12], ImageShape { height: 2, width: 2, channels: 3 });
                fs::write(data.path().join("a/1.png"), file.unwrap()).unwrap();
            }
            let outcome = || Outcome::Bad { reason: "made up".to_owned(), sha256: Some([0; 32]) };
            Ok(Decoded { pixels: vec![0; 6], outcomes: vec![outcome(), outcome()] })
        };
        let (_, cache) = load(&listing, &options, || decoded(true)).unwrap();
        let reason = "the files changed while they were read".to_owned();
        assert_eq!(cache, CacheUse::NotStored { reason });
        assert_eq!(fs::read_dir(kept.path()).unwrap().count(), 0);
        let (_, cache) = load(&listing, &options, || decoded(false)).unwrap();
        assert_eq!(cache, CacheUse::Stored);
    }

    #[test]
    fn only_files_of_the_cache_are_listed_and_removed() {
        let ((data, shape), kept) = (two_pictures(), tempfile::tempdir().unwrap());
        let at = |name: &str| kept.path().join(name);
        assert_eq!(CacheFolder::read(&at("not there")).unwrap(), CacheFolder::default());
        let mut options = LoadOptions::new(Preprocessing::stretch(shape));
        options.cache = Some(kept.path().to_path_buf());
        crate::load_pictures(data.path(), &options).unwrap();
        let named = format!("{}.cache", "a".repeat(64));
        fs::write(at(&named), "no cache file, whatever its name").unwrap();
        fs::write(at("notes.cache"), "dnncache").unwrap();
        fs::create_dir(at("folder")).unwrap();
        let half = format!(".{}.cache.1-0.tmp", "b".repeat(64));
        fs::write(at(&half), "half").unwrap();
        let found = CacheFolder::read(kept.path()).unwrap();
        assert_eq!(found.entries.len(), 1, "{found:?}");
        assert_eq!(found.entries[0].bytes, fs::metadata(at(&found.entries[0].name)).unwrap().len());
        assert_eq!(found.others, [&named, "folder", "notes.cache"]);
        assert_eq!(CacheFolder::clear(kept.path()).unwrap(), found);
        let left = CacheFolder::read(kept.path()).unwrap();
        assert_eq!((left.entries.len(), &left.others), (0, &found.others));
        assert!(!at(&half).exists(), "half a file stays");
    }
}
