//! A folder with everything in it that may be data.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::listing::Ignored;
use super::name::path_text;
use super::natural::natural_order;
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

/// A folder: its files and folders, each in natural order, by their paths from the root.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) path: PathBuf,
    pub(super) files: Vec<PathBuf>,
    pub(super) folders: Vec<Tree>,
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
        let folders = Walk { root, most: MOST_FOLDERS, visited: BTreeSet::new(), ignored }.run()?;
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

    /// What is in it, for a message.
    pub(super) fn summary(&self) -> String {
        match (self.files.len(), self.folders.len()) {
            (0, 0) => "nothing of that kind".to_owned(),
            (files, folders) => format!("{files} files without a label, {folders} folders"),
        }
    }
}

/// A folder that is read, and which of the list are in it.
struct Read {
    path: PathBuf,
    depth: usize,
    files: Vec<PathBuf>,
    folders: Vec<usize>,
}

/// A folder that was met and not read yet.
struct Met {
    path: PathBuf,
    parent: usize,
    is_link: bool,
}

/// Reads folders level by level, each real one once: however links lead around, there are no more
/// folders than there really are. The shortest path to a folder counts, and a folder before a link.
struct Walk<'a> {
    root: &'a Path,
    most: usize,
    /// Without links.
    visited: BTreeSet<PathBuf>,
    ignored: &'a mut Vec<Ignored>,
}

impl Walk<'_> {
    fn run(mut self) -> Result<Vec<Read>> {
        let real = self.root.canonicalize().map_err(|source| DataError::io(self.root, source))?;
        self.visited.insert(real);
        let (first, mut met) = self.read(0, PathBuf::new(), 0)?;
        let mut folders = vec![first];
        while !met.is_empty() {
            met.sort_by_key(|folder| folder.is_link);
            let mut next = Vec::new();
            for Met { path, parent, .. } in met {
                let full = self.root.join(&path);
                let real = full.canonicalize().map_err(|source| DataError::io(&full, source))?;
                let depth = folders[parent].depth + 1;
                if depth >= MOST_DEPTH {
                    self.ignore(&path, "more than 32 folders deep");
                } else if !self.visited.insert(real) {
                    self.ignore(&path, "a folder that is read under another path");
                } else if folders.len() >= self.most {
                    let path = self.root.to_path_buf();
                    return Err(DataError::TooManyFolders { path, limit: self.most });
                } else {
                    let place = folders.len();
                    let (folder, below) = self.read(place, path, depth)?;
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
    fn read(&mut self, place: usize, path: PathBuf, depth: usize) -> Result<(Read, Vec<Met>)> {
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
        let (mut files, mut met) = (Vec::new(), Vec::new());
        for (name, kind) in names {
            let child = path.join(&name);
            let is_link = kind.is_symlink();
            // Only a link has to be asked where it leads.
            let leads_to_folder =
                || fs::metadata(self.root.join(&child)).is_ok_and(|metadata| metadata.is_dir());
            let is_folder = kind.is_dir() || (is_link && leads_to_folder());
            if let Some(reason) = not_data(&child, is_folder) {
                self.ignore(&child, reason);
            } else if is_folder {
                met.push(Met { path: child, parent: place, is_link });
            } else {
                files.push(child);
            }
        }
        Ok((Read { path, depth, files, folders: Vec::new() }, met))
    }

    fn ignore(&mut self, path: &Path, reason: &'static str) {
        self.ignored.push(Ignored { path: path_text(path), reason });
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
        trees[place] = Some(Tree { path: folder.path, files: folder.files, folders: below });
    }
    trees.swap_remove(0).expect("the root is not in another folder")
}

/// Why a file or folder cannot be data, by its name.
fn not_data(path: &Path, is_folder: bool) -> Option<&'static str> {
    let name = path.file_name()?.to_string_lossy();
    let suffix = path.extension().map(|suffix| suffix.to_string_lossy().to_lowercase());
    if is_hidden(&name) {
        Some("hidden")
    } else if is_folder {
        (name == "__MACOSX").then_some("what macOS leaves in archives")
    } else if ["thumbs.db", "desktop.ini"].contains(&name.to_lowercase().as_str()) {
        Some("what Windows leaves in folders")
    } else if name == "SHA256SUMS" {
        Some("the list of checksums")
    } else {
        let known = suffix.is_some_and(|suffix| NOT_PICTURES.contains(&suffix.as_str()));
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
