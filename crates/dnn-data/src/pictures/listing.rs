//! Which pictures a folder has, and which class each belongs to.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::name::{class_name, path_text};
use super::natural::natural_order;
use super::part::{Part, is_aside};
use super::walk::{PICTURE_SUFFIXES, Tree, has_suffix, is_hidden};
use crate::folder::{folder_name, some_of};
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

/// Why a folder beside the parts is left out.
pub(crate) const BESIDE_PARTS: &str = "a folder beside the parts";

/// The same, of a folder whose name says that nobody trains on it.
const BESIDE_AND_ASIDE: &str = "a folder beside the parts, not for training by its name";

/// A file or folder that is no part of the data, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ignored {
    /// Its path from the root of the listing, as [`path_text`] writes it.
    pub path: String,
    /// Why it is left out.
    pub reason: &'static str,
    /// How many pictures are left out with it, by their suffixes: files that are data were they elsewhere.
    pub pictures: usize,
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
/// | a training part, and a validation or test part or nothing else with files (see below) | these are the parts, each read by the lines below; what lies beside them is left out |
/// | exactly one folder with files, and parts in that (or deeper, always in the only one) | that folder is read in its place |
/// | two or more folders with files | each is a class; its pictures may lie deeper |
/// | exactly one, and no file whose name has a label | that folder is read in its place, unless it is a class (see below) |
/// | files named `LABEL.NUMBER.suffix` | the label is the class; `_`, `-` or a blank may stand for the first dot |
///
/// A folder's name says a part if one of its words is `train` or `training`; `validation`, `valid`,
/// `val` or `dev`; `test` or `testing`, in any case, and all others are numbers or one of `set`, `data`,
/// `dataset`, `image`, `img`, `picture`, `photo` (or several of these), `seg`, `split`, `part` and `x`: `Training`, `test_set`, `seg_train`, `val2017`,
/// `trainset`. A part may be packed once more, as in `test_set/test_set/cats`. Other words make another name: `train_station` is a class.
///
/// Where the training part is the only part and lies beside other folders with pictures, its inside decides:
/// with folders in it, it is the part; with pictures whose names have no two labels, it is a class like
/// those beside it (a class of vehicles may be called `train`); with two labels it is neither for certain, and an error.
/// A validation or test part beside class folders is an error, too.
///
/// Folders are no classes, but an error, where two or more folders of the same names lie in each of
/// them and no pictures beside those (`old/cats`, `old/dogs`, `new/cats`, `new/dogs`), and where all their names begin
/// with a part (`trainA`, `trainB`, `testA`, `testB`). The name of a class is that of its folder in
/// [composed form](crate::class_name); folders of one name are one class.
///
/// A file counts as a picture whatever its suffix, since the content decides, unless its suffix is
/// that of a drawing (`.svg`), text, table, script, archive, model or document (`.txt`, `.csv`, `.html`, …). What a camera calls a picture (`IMG_0001`, `DSC_0001`) is no label. Left out, and
/// listed with the reason: those, hidden files and folders, `Thumbs.db` and `desktop.ini`,
/// `SHA256SUMS`, what lies beside the parts or class folders, names without a label among names with
/// one, what lies deeper than 32 folders, and what dnn itself wrote: folders of runs and searches, and
/// those with a [`SHOW_MARKER`](crate::SHOW_MARKER). Links are followed; each real folder is read once in each part, by the
/// shortest path to it, a folder before a link, and its other paths are left out.
///
/// In a part, a folder that stands alone is a class if the training part has a class of its name, or
/// if neither folders with files nor names with a label are in it and it is not called like the part: `test/dogs` beside `train/cats` and
/// `train/dogs` is the class `dogs`, and `train/train/cat.1.jpg` has the class `cat`.
///
/// Classes are those of all parts, in [natural order](crate::natural_order); a part need not have
/// examples of every class, but none beyond those of the training part.
///
/// # Errors
/// [`NotFound`](DataError::NotFound), [`Io`](DataError::Io), [`NotAFolder`](DataError::NotAFolder);
/// [`NoPictures`](DataError::NoPictures) where no line applies; [`TwoFolders`](DataError::TwoFolders)
/// where two folders claim to be one part; [`NoTrainingPart`](DataError::NoTrainingPart),
/// [`UnclearPart`](DataError::UnclearPart) and [`NoClasses`](DataError::NoClasses) where folders are called like
/// parts or repeat each other;
/// [`ClassOnlyInTest`](DataError::ClassOnlyInTest);
/// [`TooManyFolders`](DataError::TooManyFolders) beyond 100,000.
pub fn list_pictures(root: &Path) -> Result<Listing> {
    let mut ignored = Vec::new();
    let tree = Tree::read(root, &mut ignored)?;
    let mut finder = Finder { root, found: Vec::new(), layout: None, in_parts: false, ignored };
    finder.parts(&tree)?;
    let Finder { found, layout, ignored, in_parts, .. } = finder;
    let (Some(layout), false) = (layout, found.is_empty()) else {
        let found = if in_parts {
            "parts with neither class folders nor labels in the names".to_owned()
        } else {
            tree.summary()
        };
        return Err(DataError::NoPictures { path: root.to_path_buf(), found });
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
            train: names_or_none(train),
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
    fn ignore_files(&mut self, files: &[PathBuf], reason: &'static str) {
        for file in files {
            let pictures = usize::from(has_suffix(file, PICTURE_SUFFIXES));
            self.ignored.push(Ignored { path: path_text(file), reason, pictures });
        }
    }

    fn ignore_folder(&mut self, folder: &Tree, reason: &'static str) {
        let pictures = folder.pictures_outside(&BTreeSet::new());
        self.ignored.push(Ignored { path: path_text(&folder.path), reason, pictures });
    }

    /// The folders of a folder that have files in them; the others are left out.
    fn full<'t>(&mut self, tree: &'t Tree) -> Vec<&'t Tree> {
        let (full, empty): (Vec<&Tree>, Vec<&Tree>) =
            tree.folders.iter().partition(|folder| folder.has_files());
        for folder in empty.into_iter().filter(|folder| !folder.is_output()) {
            self.ignore_folder(folder, "an empty folder");
        }
        full
    }

    /// A folder that may have parts.
    fn parts(&mut self, tree: &Tree) -> Result<()> {
        let full = self.full(tree);
        if let [only] = full[..]
            && has_training_part(only)
        {
            // A folder with nothing but a folder with parts, as archives often have it.
            self.ignore_files(&tree.files, "beside the folder of the parts");
            return self.parts(only);
        }
        if !self.is_divided(tree, &full)? {
            return self.classes(tree, &full, Part::Train);
        }
        self.ignore_files(&tree.files, "beside the parts");
        let mut parts: Vec<(Part, &Tree)> = Vec::new();
        let mut beside = Vec::new();
        for folder in full {
            let Some(part) = Part::of_folder(&folder.name()) else {
                beside.push(folder);
                continue;
            };
            if let Some((_, first)) = parts.iter().find(|(known, _)| *known == part) {
                return Err(self.two_folders(&first.path, &folder.path, part.to_string()));
            }
            parts.push((part, folder));
        }
        self.ignore_beside(&beside, &parts);
        // The training part first: its classes say what a folder in another part is.
        parts.sort_by_key(|(part, _)| *part);
        self.in_parts = true;
        for (part, folder) in parts {
            let full = self.full(folder);
            self.classes(folder, &full, part)?;
        }
        Ok(())
    }

    /// Whether these folders of a folder are its parts, by what they are called and what lies in the
    /// training part.
    fn is_divided(&self, tree: &Tree, full: &[&Tree]) -> Result<bool> {
        let (named, others): (Vec<&Tree>, Vec<&Tree>) =
            full.iter().partition(|folder| Part::of_folder(&folder.name()).is_some());
        let part_of = |folder: &&Tree| Part::of_folder(&folder.name());
        let train = named.iter().find(|folder| part_of(folder) == Some(Part::Train));
        let later = named.iter().find(|folder| part_of(folder) != Some(Part::Train));
        let unclear = |folder: &Tree, advice| {
            let beside = some_of(&others.iter().map(|other| other.name()).collect::<Vec<_>>());
            Err(DataError::UnclearPart { path: self.root.join(&folder.path), beside, advice })
        };
        match (train, later) {
            (None, None) => Ok(false),
            (Some(_), Some(_)) => Ok(true),
            // A part that stands alone is read in its place.
            (None, Some(_)) if full.len() == 1 => Ok(false),
            (None, Some(_)) if others.is_empty() => {
                let found = some_of(&named.iter().map(|folder| folder.name()).collect::<Vec<_>>());
                Err(DataError::NoTrainingPart { path: self.root.join(&tree.path), found })
            }
            (None, Some(later)) => unclear(
                later,
                "move the class folders into a folder train beside it, or give it another name if it is \
                 a class",
            ),
            (Some(train), None) => {
                let is_part = train.folders.iter().any(Tree::has_files)
                    || others.iter().all(|other| is_aside(&other.name()));
                if !is_part && labels_in(train).len() > 1 {
                    return unclear(
                        train,
                        "move the other folders elsewhere if it is the training part, or give it another \
                         name if it is a class",
                    );
                }
                Ok(is_part)
            }
        }
    }

    /// Leaves out what lies beside the parts; pictures that links in the parts lead to are used.
    fn ignore_beside(&mut self, beside: &[&Tree], parts: &[(Part, &Tree)]) {
        let used: BTreeSet<&Path> = parts.iter().flat_map(|(_, part)| part.real_paths()).collect();
        for folder in beside {
            let pictures = folder.pictures_outside(&used);
            let reason = if is_aside(&folder.name()) { BESIDE_AND_ASIDE } else { BESIDE_PARTS };
            self.ignored.push(Ignored { path: path_text(&folder.path), reason, pictures });
        }
    }

    fn two_folders(&self, first: &Path, second: &Path, claim: String) -> DataError {
        let (first, second) = (self.root.join(first), self.root.join(second));
        DataError::TwoFolders { first, second, claim }
    }

    /// A part, or the whole where there are none; `full` are its folders that have files in them.
    fn classes(&mut self, tree: &Tree, full: &[&Tree], part: Part) -> Result<()> {
        let labelled = tree.files.iter().any(|file| label(file).is_some());
        match full {
            [] => self.labels(tree, part),
            [only] if labelled => {
                self.ignore_folder(only, "a folder beside pictures with labels in their names");
                self.labels(tree, part);
            }
            [only] if !self.is_class(only, part) => {
                self.ignore_files(&tree.files, "beside the only folder with files");
                let full = self.full(only);
                return self.classes(only, &full, part);
            }
            _ => {
                self.check_classes(full)?;
                self.ignore_files(&tree.files, "beside the class folders");
                self.layout = Some(Layout::ClassFolders);
                for folder in full {
                    let class = class_name(&folder.name());
                    let one = |path: PathBuf| Found { path, part, class: class.clone() };
                    self.found.extend(folder.all_files().into_iter().map(one));
                }
            }
        }
        Ok(())
    }

    /// Folders that are parts, or sets, by their names or by those of the folders in them are no classes.
    fn check_classes(&self, full: &[&Tree]) -> Result<()> {
        let [first, second, ..] = full else { return Ok(()) };
        let refuse = |why| {
            let path = |folder: &Tree| self.root.join(&folder.path);
            Err(DataError::NoClasses { first: path(first), second: path(second), why })
        };
        let parts: Option<BTreeSet<Part>> =
            full.iter().map(|folder| Part::at_the_beginning(&folder.name())).collect();
        if parts.is_some_and(|parts| parts.len() > 1) {
            return refuse("their names begin as those of parts".to_owned());
        }
        let mut shared = folder_names(first);
        for folder in &full[1..] {
            shared = &shared & &folder_names(folder);
        }
        if shared.len() > 1 {
            let names = some_of(&shared.into_iter().collect::<Vec<_>>());
            return refuse(format!("each class folder here has the same folders in it ({names})"));
        }
        Ok(())
    }

    /// Whether a folder that stands alone in a part is a class.
    fn is_class(&self, only: &Tree, part: Part) -> bool {
        let name = class_name(&only.name());
        let known = || self.found.iter().any(|one| one.part == Part::Train && one.class == name);
        let leads_on = only.folders.iter().any(Tree::has_files)
            || only.files.iter().any(|file| label(file).is_some())
            || Part::of_folder(&name) == Some(part);
        self.in_parts && (!leads_on || known())
    }

    fn labels(&mut self, tree: &Tree, part: Part) {
        for file in &tree.files {
            match label(file) {
                Some(class) => {
                    self.layout = self.layout.or(Some(Layout::LabelInName));
                    self.found.push(Found { path: file.clone(), part, class });
                }
                None => self.ignore_files(std::slice::from_ref(file), "no label in its name"),
            }
        }
    }
}

/// Whether there is a training part in a folder, or in the only one in it with files.
fn has_training_part(tree: &Tree) -> bool {
    let full: Vec<&Tree> = tree.folders.iter().filter(|folder| folder.has_files()).collect();
    let is_train = |folder: &&Tree| Part::of_folder(&folder.name()) == Some(Part::Train);
    full.iter().any(is_train) || matches!(full[..], [only] if has_training_part(only))
}

/// The names of the folders in a folder, or in the only one in it; none where pictures lie beside them.
fn folder_names(tree: &Tree) -> BTreeSet<String> {
    let full: Vec<&Tree> = tree.folders.iter().filter(|folder| folder.has_files()).collect();
    match full[..] {
        _ if !tree.files.is_empty() => BTreeSet::new(),
        [only] if only.files.is_empty() => folder_names(only),
        _ => full.iter().map(|folder| class_name(&folder.name())).collect(),
    }
}

/// The labels in the names of a folder's own files.
fn labels_in(tree: &Tree) -> BTreeSet<String> {
    tree.files.iter().filter_map(|file| label(file)).collect()
}

/// Names in a row, or in words that there are none.
fn names_or_none(names: BTreeSet<&String>) -> String {
    let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
    if names.is_empty() { "which has no pictures".to_owned() } else { names.join(", ") }
}

/// What cameras and telephones call pictures: no labels.
const CAMERA_NAMES: &[&str] =
    &["img", "dsc", "_dsc", "dscn", "dscf", "pxl", "mvimg", "pict", "sam", "gopr", "dji"];

/// Whether a label is what a camera calls all its pictures, perhaps with the day.
fn is_camera_name(label: &str) -> bool {
    let name = label.trim_end_matches(|c: char| c.is_ascii_digit() || "._- ".contains(c));
    CAMERA_NAMES.contains(&name.to_lowercase().as_str())
}

/// The label in a name like `cat.12.jpg`, `Abyssinian_1.jpg` or `dog 3.png`.
fn label(path: &Path) -> Option<String> {
    let stem = path_text(Path::new(path.file_stem()?));
    let without_number = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    let label = without_number.strip_suffix(['.', '_', '-', ' '])?;
    let is_label = !label.is_empty() && !is_hidden(label) && !is_camera_name(label);
    (without_number.len() < stem.len() && is_label).then(|| class_name(label))
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
        for name in
            ["IMG_0001.jpg", "img 1.png", "DSC_12.jpg", "IMG_20200131_1530.jpg", "_DSC-1.jpg"]
        {
            assert_eq!(found(name), None, "what a camera wrote: {name}");
        }
        assert_eq!(found("cafe\u{301}.1.jpg").as_deref(), Some("caf\u{e9}"), "in composed form");
    }
}
