//! Which pictures a folder has, and which class each belongs to.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::name::path_text;
use super::natural::natural_order;
use super::walk::{Tree, is_hidden};
use crate::folder::folder_name;
use crate::{DataError, Result};

/// How a folder says which class a picture belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// A folder for each class.
    ClassFolders,
    /// A label at the beginning of each name, as in `cat.12.jpg`.
    LabelInName,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ClassFolders => "a folder for each class",
            Self::LabelInName => "labels in the names",
        })
    }
}

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// To train on.
    Train,
    /// To choose settings by.
    Validation,
    /// To measure on, once.
    Test,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        })
    }
}

impl Part {
    /// All parts, in the order in which they are kept.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The part that goes by this name, in any case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name.to_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "validation" | "valid" | "val" => Some(Self::Validation),
            "test" | "testing" => Some(Self::Test),
            _ => None,
        }
    }
}

/// A file that should be a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path from the root of the listing.
    pub path: PathBuf,
    /// The part it belongs to.
    pub part: Part,
    /// The position of its class among the names.
    pub class: u32,
}

/// A file or folder that is no part of the data, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ignored {
    /// Its path from the root of the listing, as [`path_text`] writes it.
    pub path: String,
    /// Why it is left out.
    pub reason: &'static str,
}

/// What [`list_pictures`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The folder that was listed.
    pub root: PathBuf,
    /// Its name.
    pub name: String,
    /// How it says which class a picture belongs to.
    pub layout: Layout,
    /// The classes, in natural order.
    pub class_names: Vec<String>,
    /// The files that should be pictures: part by part, class by class, in natural order.
    pub entries: Vec<Entry>,
    /// Everything else, in the order it was met.
    pub ignored: Vec<Ignored>,
}

/// Lists the pictures of a folder; opens none of them.
///
/// One rule says which layout it has. The first line that applies:
///
/// | the folder has | then |
/// |---|---|
/// | a folder `train` or `training` (in any case) | it and, beside it, `validation`, `valid` or `val` and `test` or `testing` are the parts, each read by the lines below |
/// | two or more folders with files in them | each is a class; its pictures may lie deeper |
/// | exactly one, and no file whose name has a label | that folder is read in its place, unless it is a class (see below) |
/// | files named `LABEL.NUMBER.suffix` | the label is the class; `_`, `-` or a blank may stand for the first dot |
///
/// A file counts as a picture whatever its suffix, since the content decides, unless its suffix is
/// that of a text, table, script, archive or document (`.txt`, `.csv`, `.html`, …). Left out, and
/// listed with the reason: those, hidden files and folders, `Thumbs.db` and `desktop.ini`,
/// `SHA256SUMS`, what lies beside the parts or class folders, names without a label among names with
/// one, and what lies deeper than 32 folders. Links are followed; each real folder is read once, by the
/// shortest path to it, a folder before a link, and its other paths are left out.
///
/// In a part, a folder that stands alone is a class if the training part has a class of its name, or
/// if neither folders with files nor names with a label are in it: `test/dogs` beside `train/cats` and
/// `train/dogs` is the class `dogs`, and `train/train/cat.1.jpg` has the class `cat`.
///
/// Classes are those of all parts, in [natural order](crate::natural_order); a part need not have
/// examples of every class, but none beyond those of the training part.
///
/// # Errors
/// [`NotFound`](DataError::NotFound), [`Io`](DataError::Io), [`NotAFolder`](DataError::NotAFolder);
/// [`NoPictures`](DataError::NoPictures) where no line applies; [`TwoFolders`](DataError::TwoFolders)
/// where two folders claim to be one part or one class;
/// [`ClassOnlyInTest`](DataError::ClassOnlyInTest);
/// [`TooManyFolders`](DataError::TooManyFolders) beyond 100,000.
pub fn list_pictures(root: &Path) -> Result<Listing> {
    let mut ignored = Vec::new();
    let tree = Tree::read(root, &mut ignored)?;
    let mut finder = Finder { root, found: Vec::new(), layout: None, in_parts: false, ignored };
    finder.parts(&tree)?;
    let Finder { found, layout, ignored, .. } = finder;
    let (Some(layout), false) = (layout, found.is_empty()) else {
        return Err(DataError::NoPictures { path: root.to_path_buf(), found: tree.summary() });
    };
    let class_names = class_names(root, &found)?;
    let class_of = |name: &String| {
        let place = class_names.iter().position(|known| known == name).unwrap_or(0);
        u32::try_from(place).unwrap_or(u32::MAX)
    };
    let mut entries: Vec<Entry> = found
        .into_iter()
        .map(|Found { path, part, class }| Entry { class: class_of(&class), path, part })
        .collect();
    entries.sort_by(|a, b| {
        let key = |entry: &Entry| (entry.part, entry.class);
        let names = || {
            natural_order(&path_text(&a.path), &path_text(&b.path))
                .then_with(|| a.path.cmp(&b.path))
        };
        key(a).cmp(&key(b)).then_with(names)
    });
    Ok(Listing {
        root: root.to_path_buf(),
        name: folder_name(root),
        layout,
        class_names,
        entries,
        ignored,
    })
}

/// Every file below a folder that may be a picture, in natural order, by their paths from it: to
/// predict, where no layout is needed. What counts as a picture is said at [`list_pictures`].
///
/// # Errors
/// [`NotFound`](DataError::NotFound), [`Io`](DataError::Io), [`NotAFolder`](DataError::NotAFolder).
pub fn picture_files(root: &Path) -> Result<Vec<PathBuf>> {
    Ok(Tree::read(root, &mut Vec::new())?.all_files())
}

/// The classes of all parts; every class has to be one of the training part.
fn class_names(root: &Path, found: &[Found]) -> Result<Vec<String>> {
    let of = |wanted: fn(Part) -> bool| -> BTreeSet<&String> {
        found.iter().filter(|one| wanted(one.part)).map(|one| &one.class).collect()
    };
    let train = of(|part| part == Part::Train);
    let other = of(|part| part != Part::Train);
    if let Some(class) = other.difference(&train).next() {
        return Err(DataError::ClassOnlyInTest {
            path: root.to_path_buf(),
            class: (*class).clone(),
            train: train.into_iter().cloned().collect::<Vec<_>>().join(", "),
        });
    }
    let mut names: Vec<String> = train.into_iter().cloned().collect();
    names.sort_by(|a, b| natural_order(a, b));
    Ok(names)
}

struct Found {
    path: PathBuf,
    part: Part,
    class: String,
}

struct Finder<'a> {
    root: &'a Path,
    found: Vec<Found>,
    layout: Option<Layout>,
    /// Whether there are folders for the parts.
    in_parts: bool,
    ignored: Vec<Ignored>,
}

impl Finder<'_> {
    fn ignore(&mut self, path: &Path, reason: &'static str) {
        self.ignored.push(Ignored { path: path_text(path), reason });
    }

    fn ignore_files(&mut self, files: &[PathBuf], reason: &'static str) {
        for file in files {
            self.ignore(file, reason);
        }
    }

    fn parts(&mut self, tree: &Tree) -> Result<()> {
        let part_of = |folder: &Tree| Part::named(&folder.name());
        if !tree.folders.iter().any(|folder| part_of(folder) == Some(Part::Train)) {
            return match &tree.folders[..] {
                // A folder with nothing but a folder with parts, as archives often have it.
                [only] if only.folders.iter().any(|f| part_of(f) == Some(Part::Train)) => {
                    self.ignore_files(&tree.files, "beside the folder of the parts");
                    self.parts(only)
                }
                _ => self.classes(tree, Part::Train),
            };
        }
        self.ignore_files(&tree.files, "beside the parts");
        let mut seen: Vec<(Part, &Tree)> = Vec::new();
        for folder in &tree.folders {
            let Some(part) = part_of(folder) else {
                self.ignore(&folder.path, "a folder beside the parts");
                continue;
            };
            if let Some((_, first)) = seen.iter().find(|(known, _)| *known == part) {
                return Err(self.two_folders(&first.path, &folder.path, part.to_string()));
            }
            seen.push((part, folder));
        }
        // The training part first: its classes say what a folder in another part is.
        seen.sort_by_key(|(part, _)| *part);
        self.in_parts = true;
        seen.into_iter().try_for_each(|(part, folder)| self.classes(folder, part))
    }

    fn two_folders(&self, first: &Path, second: &Path, claim: String) -> DataError {
        let (first, second) = (self.root.join(first), self.root.join(second));
        DataError::TwoFolders { first, second, claim }
    }

    fn classes(&mut self, tree: &Tree, part: Part) -> Result<()> {
        let (full, empty): (Vec<&Tree>, Vec<&Tree>) =
            tree.folders.iter().partition(|folder| folder.has_files());
        for folder in empty {
            self.ignore(&folder.path, "an empty folder");
        }
        let labelled = tree.files.iter().any(|file| label(file).is_some());
        match &full[..] {
            [] => self.labels(tree, part),
            [_] if labelled => {
                self.ignore(&full[0].path, "a folder beside pictures with labels in their names");
                self.labels(tree, part);
            }
            [only] if !self.is_class(only) => {
                self.ignore_files(&tree.files, "beside the only folder with files");
                return self.classes(only, part);
            }
            _ => {
                self.ignore_files(&tree.files, "beside the class folders");
                self.layout = Some(Layout::ClassFolders);
                for (place, folder) in full.iter().enumerate() {
                    let same = full[..place].iter().find(|other| other.name() == folder.name());
                    if let Some(same) = same {
                        return Err(self.two_folders(&same.path, &folder.path, folder.name()));
                    }
                    let class = folder.name();
                    let one = |path: PathBuf| Found { path, part, class: class.clone() };
                    self.found.extend(folder.all_files().into_iter().map(one));
                }
            }
        }
        Ok(())
    }

    /// Whether a folder that stands alone in a part is a class.
    fn is_class(&self, only: &Tree) -> bool {
        let name = only.name();
        let known = || self.found.iter().any(|one| one.part == Part::Train && one.class == name);
        let leads_on = only.folders.iter().any(Tree::has_files)
            || only.files.iter().any(|file| label(file).is_some());
        self.in_parts && (!leads_on || known())
    }

    fn labels(&mut self, tree: &Tree, part: Part) {
        for file in &tree.files {
            match label(file) {
                Some(class) => {
                    self.layout = self.layout.or(Some(Layout::LabelInName));
                    self.found.push(Found { path: file.clone(), part, class });
                }
                None => self.ignore(file, "no label in its name"),
            }
        }
    }
}

/// The label in a name like `cat.12.jpg`, `Abyssinian_1.jpg` or `dog 3.png`.
fn label(path: &Path) -> Option<String> {
    let stem = path_text(Path::new(path.file_stem()?));
    let without_number = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    let label = without_number.strip_suffix(['.', '_', '-', ' '])?;
    (without_number.len() < stem.len() && !label.is_empty() && !is_hidden(label))
        .then(|| label.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_before_a_number() {
        let found = |name: &str| label(Path::new(name));
        for (name, expected) in [
            ("cat.12.jpg", "cat"),
            ("american_bulldog_100.jpg", "american_bulldog"),
            ("dog 3.png", "dog"),
            ("a.b-7.png", "a.b"),
        ] {
            assert_eq!(found(name).as_deref(), Some(expected));
        }
        for name in ["cat.jpg", "12.jpg", ".12.jpg", "cat12.jpg", "photo", "cat.12a.jpg"] {
            assert_eq!(found(name), None, "{name}");
        }
    }
}
