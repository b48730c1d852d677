//! Whether a folder is still what it was when it was fetched.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::manifest::About;
use crate::source::Origin;
use crate::unpack::checked;
use crate::{Digest, FetchError, Manifest, Result};

pub(crate) const SUMS: &str = "SHA256SUMS";
pub(crate) const SOURCE: &str = "SOURCE.toml";

/// The largest list of checksums that is read, in bytes.
const LONGEST: u64 = 256 << 20;

/// What SOURCE.toml says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    #[serde(flatten)]
    pub(crate) about: About,
    pub(crate) variant: Option<String>,
    pub(crate) full: bool,
    /// sha256 of SHA256SUMS.
    pub(crate) sums: Digest,
    pub(crate) left_out: BTreeMap<String, usize>,
    pub(crate) origin: Vec<Origin>,
}

/// A folder that is as it was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many files were compared.
    pub files: usize,
    /// How many of them are in `train`, `validation` and `test`, where there are such.
    pub parts: BTreeMap<String, usize>,
    /// Why files of the source are not in the folder, and how many for each reason.
    pub left_out: BTreeMap<String, usize>,
}

/// Compares every file of a folder with the checksum it had when it was fetched.
///
/// A folder that was put there by hand is right if all files that the manifest names have the checksums
/// that it names.
///
/// # Errors
/// [`FetchError::Damaged`] with the files that differ, are missing, or are no regular files below the
/// folder; [`FetchError::BadList`] if the list of checksums names something outside of it;
/// [`FetchError::InTheWay`] for a folder that is something else; [`FetchError::Io`].
///
/// # Examples
/// ```no_run
/// let mnist = dnn_fetch::manifest::find("mnist")?;
/// println!("{} files", dnn_fetch::verify(&mnist, "datasets/mnist".as_ref())?.files);
/// # Ok::<(), dnn_fetch::FetchError>(())
/// ```
pub fn verify(manifest: &Manifest, folder: &Path) -> Result<Verified> {
    let in_the_way =
        || FetchError::InTheWay { path: folder.to_path_buf(), name: manifest.name.clone() };
    let Some(source) = read_source(folder)? else {
        return by_manifest(manifest, folder)?.ok_or_else(in_the_way);
    };
    if source.about.name != manifest.name {
        return Err(in_the_way());
    }
    let damaged = |damaged: Vec<String>, files| FetchError::Damaged {
        path: folder.to_path_buf(),
        files,
        damaged,
    };
    let sums = read_small(&folder.join(SUMS))?;
    if sums.as_deref().map(str::as_bytes).map(Digest::of) != Some(source.sums) {
        return Err(damaged(vec![SUMS.to_owned()], 1));
    }
    let sums = sums.unwrap_or_default();
    let lines = sums.lines().map(|line| entry(line).map_err(|reason| (line, reason)));
    // Every line is looked at before the first file is opened.
    let entries = lines.collect::<Result<Vec<Entry>, _>>().map_err(|(line, reason)| {
        let (path, line) = (folder.join(SUMS), line.to_owned());
        FetchError::BadList { path, line, reason: reason.to_owned() }
    })?;
    let mut bad = Vec::new();
    let mut parts = BTreeMap::new();
    for entry in &entries {
        if let Some(part) = part_of(entry.path) {
            *parts.entry(part.to_owned()).or_default() += 1;
        }
        if !is_as_listed(folder, entry) {
            bad.push(entry.path.to_owned());
        }
    }
    if !bad.is_empty() {
        return Err(damaged(bad, entries.len()));
    }
    Ok(Verified { files: entries.len(), parts, left_out: source.left_out })
}

/// A line of SHA256SUMS.
struct Entry<'a> {
    sha256: Digest,
    path: &'a str,
}

/// What a line says, if it is one that `fetch` writes. The path is one below the folder.
fn entry(line: &str) -> Result<Entry<'_>, &'static str> {
    let (sha256, path) = line.split_once("  ").ok_or("there are no two spaces in it")?;
    let sha256 = sha256.parse().map_err(|_| "its checksum is no sha256")?;
    checked(path.as_bytes())?;
    Ok(Entry { sha256, path })
}

/// Whether the file is a regular one below the folder, not by way of a link, with its checksum.
fn is_as_listed(folder: &Path, entry: &Entry) -> bool {
    let path = folder.join(entry.path);
    let is = |path: &Path, kind: fn(&fs::Metadata) -> bool| {
        fs::symlink_metadata(path).is_ok_and(|found| kind(&found))
    };
    let depth = Path::new(entry.path).components().count();
    let mut folders = path.ancestors().take(depth).skip(1);
    folders.all(|above| is(above, fs::Metadata::is_dir))
        && is(&path, fs::Metadata::is_file)
        && Digest::of_file(&path).is_ok_and(|(found, _)| found == entry.sha256)
}

/// The part that a path of a data set belongs to.
pub(crate) fn part_of(path: &str) -> Option<&str> {
    let (top, _) = path.split_once('/')?;
    ["train", "validation", "test"].into_iter().find(|part| *part == top)
}

/// What SOURCE.toml says, if there is one.
pub(crate) fn read_source(folder: &Path) -> Result<Option<Source>> {
    let text = read_small(&folder.join(SOURCE))?;
    Ok(text.and_then(|text| toml::from_str(&text).ok()))
}

/// A text of bounded size, if there is one.
fn read_small(path: &Path) -> Result<Option<String>> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() && metadata.len() <= LONGEST => {}
        _ => return Ok(None),
    }
    let bytes = fs::read(path).map_err(|error| FetchError::io("read", path, error))?;
    Ok(String::from_utf8(bytes).ok())
}

/// A folder without a record is right if the manifest knows all its files.
fn by_manifest(manifest: &Manifest, folder: &Path) -> Result<Option<Verified>> {
    let members = manifest.members();
    for member in members {
        let path = folder.join(&member.name);
        let Some(expected) = member.sha256.as_ref().filter(|_| path.is_file()) else {
            return Ok(None);
        };
        if Digest::of_file(&path)?.0 != *expected {
            return Ok(None);
        }
    }
    let verified =
        Verified { files: members.len(), parts: BTreeMap::new(), left_out: BTreeMap::new() };
    Ok((!members.is_empty()).then_some(verified))
}
