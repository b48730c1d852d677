//! A folder with everything in it that may be data.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::listing::Ignored;
use super::name::path_text;
use super::natural::natural_order;
use super::part::Part;
use crate::file::kind;
use crate::{DataError, Result};

/// Folders within folders, at most.
const MOST_DEPTH: usize = 32;

/// Folders in all, at most.
const MOST_FOLDERS: usize = 100_000;

/// Suffixes of files that nobody takes for pictures.
const NOT_PICTURES: &[&str] = &[
    "txt", "md", "rst", "tsv", "csv", "json", "jsonl", "toml", "yaml", "yml", "xml", "html", "htm",
    "pdf", "doc", "docx", "db", "ini", "log", "py", "ipynb", "sh", "mat", "npy", "npz", "h5",
    "zip", "gz", "tgz", "tar", "sha256", "md5",
];

/// Suffixes of drawings, which have no pixels: plots and logos beside the pictures.
const DRAWINGS: &[&str] = &["svg", "svgz"];

/// Suffixes of files that dnn writes.
const OWN_SUFFIXES: &[&str] = &["dnn", "checkpoint", "cache"];

/// Suffixes of pictures, whether they are read or not: to count pictures that nobody opens.
pub(crate) const PICTURE_SUFFIXES: &[&str] = &[
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff", "heic", "heif",
    "avif", "jxl",
];

/// The name of the file that says of its folder that the pictures in it show what a network sees of
/// others: it is no data.
pub const SHOW_MARKER: &str = ".dnn-show";

/// A folder: its files and folders, each in natural order, by their paths from the root.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) path: PathBuf,
    pub(super) files: Vec<PathBuf>,
    pub(super) folders: Vec<Tree>,
    /// Without links.
    real: PathBuf,
    /// Where those of its files lead that are links.
    linked: Vec<PathBuf>,
    /// What dnn wrote there, if it is a folder of that.
    output: Option<&'static str>,
    /// Whether folders of what dnn wrote were left out of it.
    has_output: bool,
}

/// Whether there is nothing in a folder but what dnn wrote.
pub(crate) fn is_output(folder: &Path) -> bool {
    Tree::read(folder, &mut Vec::new()).is_ok_and(|tree| tree.is_output())
}

/// Whether a file has one of these suffixes, in any case.
pub(crate) fn has_suffix(path: &Path, suffixes: &[&str]) -> bool {
    let suffix = path.extension().map(|suffix| suffix.to_string_lossy().to_lowercase());
    suffix.is_some_and(|suffix| suffixes.contains(&suffix.as_str()))
}

/// Whether a name is that of a hidden file.
pub(crate) fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
}

impl Tree {
    /// Everything below `root`; what is no data goes to `ignored`.
    pub(super) fn read(root: &Path, ignored: &mut Vec<Ignored>) -> Result<Self> {
        let metadata = fs::metadata(root).map_err(|source| DataError::io(root, source))?;
        if !metadata.is_dir() {
            return Err(DataError::NotAFolder { path: root.to_path_buf(), found: kind(&metadata) });
        }
        let walk = Walk { root, most: MOST_FOLDERS, visited: BTreeSet::new(), ignored };
        let folders = walk.run()?;
        Ok(assemble(folders))
    }

    /// The last part of its path, as [`path_text`] writes it.
    pub(super) fn name(&self) -> String {
        self.path.file_name().map(|name| path_text(Path::new(name))).unwrap_or_default()
    }

    /// Whether there is a file in it, however deep.
    pub(super) fn has_files(&self) -> bool {
        !self.files.is_empty() || self.folders.iter().any(Self::has_files)
    }

    /// Every file in it, however deep.
    pub(super) fn all_files(&self) -> Vec<PathBuf> {
        let deeper = self.folders.iter().flat_map(Self::all_files);
        self.files.iter().cloned().chain(deeper).collect()
    }

    /// The files whose suffix is that of a picture, however deep, but for files and folders that are in
    /// `used`.
    pub(super) fn pictures_outside(&self, used: &BTreeSet<&Path>) -> usize {
        if used.contains(self.real.as_path()) {
            return 0;
        }
        let is_unused = |file: &&PathBuf| {
            let name = file.file_name().unwrap_or_default();
            has_suffix(file, PICTURE_SUFFIXES) && !used.contains(self.real.join(name).as_path())
        };
        let here = self.files.iter().filter(is_unused).count();
        here + self.folders.iter().map(|folder| folder.pictures_outside(used)).sum::<usize>()
    }

    /// It and every folder in it, and the files that links in them lead to; all without links.
    pub(super) fn real_paths(&self) -> Vec<&Path> {
        let deeper = self.folders.iter().flat_map(Self::real_paths);
        let linked = self.linked.iter().map(PathBuf::as_path);
        std::iter::once(self.real.as_path()).chain(linked).chain(deeper).collect()
    }

    /// Whether there is nothing in it but what dnn wrote.
    pub(super) fn is_output(&self) -> bool {
        self.output.is_some() || (self.has_output && !self.has_files())
    }

    /// What is in it, for a message.
    pub(super) fn summary(&self) -> String {
        match (self.output, self.files.len(), self.folders.len()) {
            (Some(output), ..) => output.to_owned(),
            (None, 0, 0) => "nothing of that kind".to_owned(),
            (None, files, folders) => {
                let ending = |count| if count == 1 { "" } else { "s" };
                let (file, folder) = (ending(files), ending(folders));
                format!("{files} file{file} without a label, {folders} folder{folder}")
            }
        }
    }
}

/// A folder that is read, and which of the list are in it.
struct Read {
    path: PathBuf,
    /// Without links.
    real: PathBuf,
    /// The folder that it is in; its own place for the root.
    parent: usize,
    depth: usize,
    files: Vec<PathBuf>,
    linked: Vec<PathBuf>,
    folders: Vec<usize>,
    output: Option<&'static str>,
    has_output: bool,
}

/// A folder that was met and not read yet.
struct Met {
    path: PathBuf,
    parent: usize,
    /// The part that it or the nearest folder above it names.
    part: Option<Part>,
    is_link: bool,
}

/// Reads folders level by level, each real one once in each part: however links lead around, there are
/// no more folders than a few times those that there really are. The shortest path to a folder counts, and
/// a folder before a link; a link to a folder that it lies in is not followed.
struct Walk<'a> {
    root: &'a Path,
    most: usize,
    /// Without links.
    visited: BTreeSet<(Option<Part>, PathBuf)>,
    ignored: &'a mut Vec<Ignored>,
}

impl Walk<'_> {
    fn run(mut self) -> Result<Vec<Read>> {
        let real = self.root.canonicalize().map_err(|source| DataError::io(self.root, source))?;
        self.visited.insert((None, real.clone()));
        let root = Met { path: PathBuf::new(), parent: 0, part: None, is_link: false };
        let (first, mut met) = self.read(0, root, real, 0)?;
        let mut folders = vec![first];
        while !met.is_empty() {
            met.sort_by_key(|folder| folder.is_link);
            let mut next = Vec::new();
            for one in met {
                let full = self.root.join(&one.path);
                let real = full.canonicalize().map_err(|source| DataError::io(&full, source))?;
                let parent = one.parent;
                let depth = folders[parent].depth + 1;
                if depth >= MOST_DEPTH {
                    self.ignore(&one.path, "more than 32 folders deep");
                } else if is_above(&folders, parent, &real)
                    || !self.visited.insert((one.part, real.clone()))
                {
                    self.ignore(&one.path, "a folder that is read under another path");
                } else if folders.len() >= self.most {
                    let path = self.root.to_path_buf();
                    return Err(DataError::TooManyFolders { path, limit: self.most });
                } else {
                    let place = folders.len();
                    let (folder, below) = self.read(place, one, real, depth)?;
                    if let Some(output) = folder.output {
                        self.ignore(&folder.path, output);
                        folders[parent].has_output = true;
                        continue;
                    }
                    folders[parent].folders.push(place);
                    folders.push(folder);
                    next.extend(below);
                }
            }
            met = next;
        }
        Ok(folders)
    }

    /// A folder with its files, and the folders in it.
    fn read(
        &mut self,
        place: usize,
        met: Met,
        real: PathBuf,
        depth: usize,
    ) -> Result<(Read, Vec<Met>)> {
        let Met { path, parent, part, .. } = met;
        let here = self.root.join(&path);
        let fail = |source| DataError::io(&here, source);
        let entries = fs::read_dir(&here).map_err(fail)?;
        let names = entries.map(|entry| {
            let entry = entry?;
            Ok((entry.file_name(), entry.file_type()?))
        });
        let mut names = names.collect::<std::io::Result<Vec<_>>>().map_err(fail)?;
        // The system gives them in any order.
        names.sort_by(|(a, _), (b, _)| {
            natural_order(&a.to_string_lossy(), &b.to_string_lossy()).then_with(|| a.cmp(b))
        });
        let output = own_output(&names.iter().map(|(name, _)| name).collect());
        let (mut files, mut linked, mut below) = (Vec::new(), Vec::new(), Vec::new());
        let is_read = output.is_none() || depth == 0;
        for (name, kind) in names.into_iter().filter(|_| is_read) {
            let child = path.join(&name);
            let is_link = kind.is_symlink();
            // Only a link has to be asked where it leads.
            let leads_to_folder =
                || fs::metadata(self.root.join(&child)).is_ok_and(|metadata| metadata.is_dir());
            let is_folder = kind.is_dir() || (is_link && leads_to_folder());
            if let Some(reason) = not_data(&child, is_folder) {
                self.ignore(&child, reason);
            } else if is_folder {
                let part = Part::of_folder(&name.to_string_lossy()).or(part);
                below.push(Met { path: child, parent: place, part, is_link });
            } else {
                if is_link {
                    // One that leads nowhere is told when it is read.
                    linked.extend(fs::canonicalize(self.root.join(&child)));
                }
                files.push(child);
            }
        }
        let (folders, has_output) = (Vec::new(), false);
        let read = Read { path, real, parent, depth, files, linked, folders, output, has_output };
        Ok((read, below))
    }

    fn ignore(&mut self, path: &Path, reason: &'static str) {
        self.ignored.push(Ignored { path: path_text(path), reason, pictures: 0 });
    }
}

/// Whether the folder at `place` or one that it lies in is `real`.
fn is_above(folders: &[Read], place: usize, real: &Path) -> bool {
    let above = |&place: &usize| Some(folders[place].parent).filter(|&parent| parent != place);
    std::iter::successors(Some(place), above).any(|place| folders[place].real == real)
}

/// What dnn wrote into a folder with these names, if it is a folder of that.
fn own_output(names: &BTreeSet<&OsString>) -> Option<&'static str> {
    let has = |name: &str| names.iter().any(|found| *found == name);
    let has_one = |names: &[&str]| names.iter().any(|name| has(name));
    if has(SHOW_MARKER) {
        Some("what `predict --show` wrote")
    } else if has("config.json") && has_one(&[".lock", "history.jsonl", "model.dnn", "checkpoints"])
    {
        Some("a run folder of dnn")
    } else if has("search.json") && has_one(&[".lock", "trials.jsonl"]) {
        Some("a search folder of dnn")
    } else if has("learning-rate.svg") && has(".lock") {
        Some("what `train --find-lr` wrote")
    } else {
        None
    }
}

/// The tree whose first folder is the root, each folder before those in it.
fn assemble(folders: Vec<Read>) -> Tree {
    let mut trees: Vec<Option<Tree>> = Vec::new();
    trees.resize_with(folders.len(), || None);
    for (place, folder) in folders.into_iter().enumerate().rev() {
        let mut below: Vec<Tree> =
            folder.folders.iter().filter_map(|&below| trees[below].take()).collect();
        // Links were read last.
        below.sort_by(|a, b| {
            let name = |tree: &Tree| tree.path.to_string_lossy().into_owned();
            natural_order(&name(a), &name(b)).then_with(|| a.path.cmp(&b.path))
        });
        let Read { path, files, linked, real, output, has_output, .. } = folder;
        // Told of those in it, it need not be named itself.
        let has_output = has_output || below.iter().any(Tree::is_output);
        trees[place] = Some(Tree { path, files, folders: below, real, linked, output, has_output });
    }
    trees.swap_remove(0).expect("the root is not in another folder")
}

/// Why a file or folder cannot be data, by its name.
fn not_data(path: &Path, is_folder: bool) -> Option<&'static str> {
    let name = path.file_name()?.to_string_lossy();
    if is_hidden(&name) {
        Some("hidden")
    } else if is_folder {
        (name == "__MACOSX").then_some("what macOS leaves in archives")
    } else if ["thumbs.db", "desktop.ini"].contains(&name.to_lowercase().as_str()) {
        Some("what Windows leaves in folders")
    } else if name == "SHA256SUMS" {
        Some("the list of checksums")
    } else if has_suffix(path, DRAWINGS) {
        Some("a drawing, which is a kind that is not read")
    } else {
        let known = has_suffix(path, NOT_PICTURES) || has_suffix(path, OWN_SUFFIXES);
        known.then_some("its suffix is that of another kind of file")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_folders_than_are_read_are_an_error() {
        let root = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c/d"] {
            fs::create_dir_all(root.path().join(name)).unwrap();
        }
        let walk = |most| {
            let mut ignored = Vec::new();
            let walk =
                Walk { root: root.path(), most, visited: BTreeSet::new(), ignored: &mut ignored };
            walk.run().map(|folders| folders.len())
        };
        assert_eq!(walk(5).unwrap(), 5);
        let error = walk(4).unwrap_err();
        assert!(matches!(error, DataError::TooManyFolders { limit: 4, .. }), "{error}");
    }
}
