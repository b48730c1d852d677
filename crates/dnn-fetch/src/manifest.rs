//! What a data set is and where it lies.

use serde::{Deserialize, Serialize};

use crate::{Digest, FetchError, Result};

/// A data set that can be fetched.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Its name, which is also the name of its folder. The name of the file it is read from.
    #[serde(skip)]
    pub name: String,
    /// What it holds, in a line.
    pub title: String,
    /// The licence, in a line.
    pub license: String,
    /// Terms of use and doubts about them.
    pub terms: String,
    /// Where people read about it.
    pub homepage: String,
    /// How to cite it.
    pub citation: String,
    /// The ways its pictures can be put into classes, the first being the usual one.
    #[serde(default)]
    pub variants: Vec<String>,
    /// Paths in the archive that are left out, because they are known to be damaged.
    #[serde(default)]
    pub known_bad: Vec<String>,
    /// How the files become a folder.
    pub arrange: Arrange,
    /// The files to download.
    #[serde(default)]
    pub files: Vec<RemoteFile>,
    /// An npm package that holds the same data.
    #[serde(default)]
    pub npm: Option<NpmPackage>,
    /// Whether the files are built into this program.
    #[serde(default)]
    pub embedded: bool,
}

/// A file to download.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteFile {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// The published sha256, if there is one.
    pub sha256: Option<Digest>,
    /// Where it is, best first.
    pub urls: Vec<String>,
}

/// A package that the npm client can get.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NpmPackage {
    /// `name@version`.
    pub package: String,
    /// Bytes of its archive.
    pub size: u64,
    /// sha256 of its archive.
    pub sha256: Digest,
}

/// How the files of an archive become the files of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Arrange {
    /// These files, wherever they are in the archives, and no others.
    Files {
        /// The files.
        members: Vec<Member>,
    },
    /// Pictures in train, validation and test folders, or in folders for classes, as they come.
    Pictures {},
    /// Numbered pictures of some classes, of which the first so many are taken.
    Numbered {
        /// The classes, as they are written in the names of files.
        classes: Vec<String>,
        /// Which numbers of each class are to train on.
        train: Range,
        /// Which numbers of each class are to test on.
        test: Range,
    },
    /// Pictures in one folder, with lists that tell part and class.
    Listed {
        /// The folder with the pictures.
        folder: String,
        /// The list of the pictures to train on.
        train: String,
        /// The list of the pictures to test on.
        test: String,
        /// The names of the species 1, 2 and so on.
        species: Vec<String>,
    },
}

/// A file of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name in the folder.
    pub name: String,
    /// Other names under which it comes.
    #[serde(default)]
    pub also: Vec<String>,
    /// Bytes, if known.
    pub size: Option<u64>,
    /// Its sha256, if known.
    pub sha256: Option<Digest>,
}

/// Numbers of pictures: `count` of them from `first` on; one that is missing or bad is replaced by the
/// next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The first number.
    pub first: u64,
    /// How many pictures of each class.
    pub count: usize,
}

/// The fields of SOURCE.toml that describe the data set itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) license: String,
    pub(crate) terms: String,
    pub(crate) homepage: String,
    pub(crate) citation: String,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// [`FetchError::Manifest`] with what is wrong.
    ///
    /// # Examples
    /// ```
    /// let (name, toml) = dnn_manifests::ALL[0];
    /// assert_eq!(dnn_fetch::Manifest::from_toml(name, toml)?.files.len(), 1);
    /// # Ok::<(), dnn_fetch::FetchError>(())
    /// ```
    pub fn from_toml(name: &str, text: &str) -> Result<Self> {
        let wrong = |reason: String| FetchError::Manifest { name: name.to_owned(), reason };
        let mut manifest: Self = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        name.clone_into(&mut manifest.name);
        // The names become names of files.
        let plain = |name: &str| {
            !name.is_empty()
                && !name.starts_with('.')
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let files = manifest.files.iter().map(|file| &file.name);
        let members = manifest.members().iter().map(|member| &member.name);
        let names = files.chain(members).chain([&manifest.name]);
        if let Some(name) = names.into_iter().find(|name| !plain(name)) {
            return Err(wrong(format!("expected a plain name of a file, found `{name}`")));
        }
        Ok(manifest)
    }

    /// Bytes to download, if all comes from its usual source.
    pub fn download_size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    pub(crate) fn about(&self) -> About {
        About {
            name: self.name.clone(),
            title: self.title.clone(),
            license: self.license.clone(),
            terms: self.terms.clone(),
            homepage: self.homepage.clone(),
            citation: self.citation.clone(),
        }
    }

    /// The files that a set of plain files is made of.
    pub(crate) fn members(&self) -> &[Member] {
        match &self.arrange {
            Arrange::Files { members } => members,
            _ => &[],
        }
    }
}

/// Every data set that is known, in the order in which they are listed.
///
/// # Examples
/// ```
/// let names: Vec<String> = dnn_fetch::manifest::all()?.into_iter().map(|set| set.name).collect();
/// assert_eq!(names.len(), 7);
/// # Ok::<(), dnn_fetch::FetchError>(())
/// ```
///
/// # Errors
/// [`FetchError::Manifest`], which the tests of this crate rule out.
pub fn all() -> Result<Vec<Manifest>> {
    dnn_manifests::ALL.iter().map(|(name, text)| Manifest::from_toml(name, text)).collect()
}

/// The data set with this name.
///
/// # Errors
/// [`FetchError::UnknownName`] with the names that there are.
///
/// # Examples
/// ```
/// assert_eq!(dnn_fetch::manifest::find("mnist")?.files.len(), 4);
/// # Ok::<(), dnn_fetch::FetchError>(())
/// ```
pub fn find(name: &str) -> Result<Manifest> {
    if let Some((name, text)) = dnn_manifests::ALL.iter().find(|(known, _)| *known == name) {
        return Manifest::from_toml(name, text);
    }
    let known: Vec<&str> = dnn_manifests::ALL.iter().map(|(known, _)| *known).collect();
    Err(FetchError::UnknownName { name: name.to_owned(), known: known.join(", ") })
}
