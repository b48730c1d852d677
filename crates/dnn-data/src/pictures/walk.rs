//! A folder with everything in it that may be data.

use std::fs;
use std::path::{Path, PathBuf};

use super::listing::Ignored;
use super::natural::natural_order;
use crate::file::kind;
use crate::{DataError, Result};

/// Folders within folders, at most.
const MOST_DEPTH: usize = 32;

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
pub(super) fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
}

impl Tree {
    /// Everything below `root`; what is no data goes to `ignored`.
    pub(super) fn read(root: &Path, ignored: &mut Vec<Ignored>) -> Result<Self> {
        let metadata = fs::metadata(root).map_err(|source| DataError::io(root, source))?;
        if !metadata.is_dir() {
            return Err(DataError::NotAFolder { path: root.to_path_buf(), found: kind(&metadata) });
        }
        Self::below(root, PathBuf::new(), &mut Vec::new(), ignored)
    }

    /// `above` are the folders that lead here, without links.
    fn below(
        root: &Path,
        path: PathBuf,
        above: &mut Vec<PathBuf>,
        ignored: &mut Vec<Ignored>,
    ) -> Result<Self> {
        let here = root.join(&path);
        let fail = |source| DataError::io(&here, source);
        above.push(here.canonicalize().map_err(fail)?);
        let mut names = fs::read_dir(&here)
            .map_err(fail)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<std::io::Result<Vec<_>>>()
            .map_err(fail)?;
        // The system gives them in any order.
        names.sort_by(|a, b| {
            natural_order(&a.to_string_lossy(), &b.to_string_lossy()).then_with(|| a.cmp(b))
        });
        let mut tree = Self { path: path.clone(), files: Vec::new(), folders: Vec::new() };
        for name in names {
            let child = path.join(&name);
            let mut ignore = |reason| {
                ignored.push(Ignored { path: child.to_string_lossy().into_owned(), reason });
            };
            let full = root.join(&child);
            let is_folder = fs::metadata(&full).is_ok_and(|metadata| metadata.is_dir());
            if let Some(reason) = not_data(&child, is_folder) {
                ignore(reason);
            } else if !is_folder {
                tree.files.push(child);
            } else if above.len() >= MOST_DEPTH {
                ignore("more than 32 folders deep");
            } else if full.canonicalize().is_ok_and(|full| above.contains(&full)) {
                ignore("a link back to a folder above");
            } else {
                tree.folders.push(Self::below(root, child, above, ignored)?);
            }
        }
        above.pop();
        Ok(tree)
    }

    /// The last part of its path; what in it is not Unicode is replaced by `U+FFFD`.
    pub(super) fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
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
            (0, 0) => "nothing that could be".to_owned(),
            (files, folders) => format!("{files} files without a label, {folders} folders"),
        }
    }
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
