//! What an examination found.

use std::fmt;

use serde::Serialize;

use crate::{Layout, Part};

/// What was looked at and what was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The name of the data.
    pub name: String,
    /// How the folder says which class a picture belongs to; `None` where it has no picture files.
    pub layout: Option<Layout>,
    /// The classes, in their order.
    pub class_names: Vec<String>,
    /// How many pictures can be used, part by part.
    pub parts: Vec<PartCounts>,
    /// What was found, the serious first; nothing is in it that was not found.
    pub findings: Vec<Finding>,
    /// Whether the pictures were compared for likeness.
    pub compared: Compared,
}

impl Report {
    /// Whether there is a finding that should be seen to before training.
    pub fn is_serious(&self) -> bool {
        self.findings.iter().any(|finding| finding.serious)
    }

    /// The finding of a kind, if there is one.
    pub fn finding(&self, kind: Kind) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.kind == kind)
    }
}

/// The pictures of a part that can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartCounts {
    /// The part.
    pub part: Part,
    /// How many of each class.
    pub classes: Vec<usize>,
}

/// How pictures were compared with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compared {
    /// For likeness.
    Likeness,
    /// For equal pixels only: pictures that come without files are often alike by nature.
    Equality,
    /// For equal pixels only, because there are more than 100,000.
    TooMany,
}

/// One kind of finding with all its cases.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What was found.
    pub kind: Kind,
    /// Whether it should be seen to before training.
    pub serious: bool,
    /// Every case, in the order of the listing.
    pub cases: Vec<Case>,
}

/// A case of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Case {
    /// The pictures or files it is about; none where it is about the whole.
    pub pictures: Vec<Place>,
    /// What is the matter with them, in words; may be empty.
    pub detail: String,
}

/// A picture or another file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Its path from the root as [`path_text`](crate::path_text) writes it, or its part and number.
    pub path: String,
    /// The part it belongs to, where it belongs to the data.
    pub part: Option<Part>,
    /// Its class, where it belongs to the data.
    pub class: Option<String>,
}

/// What can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Folders that could be classes or parts; nothing else was looked at.
    Layout,
    /// Files that cannot be used: unreadable, not as `SHA256SUMS` says, or missing.
    Bad,
    /// A class without a picture in a part.
    MissingClass,
    /// Folders with pictures in them that are not used.
    UnusedFolders,
    /// Equal pictures of different classes.
    TwoLabels,
    /// Equal pictures in different parts.
    AcrossParts,
    /// Pictures of different classes that nearly look the same.
    NearTwoLabels,
    /// Pictures in different parts that nearly look the same.
    NearAcrossParts,
    /// Equal pictures of one class in one part.
    Duplicates,
    /// Pictures of one class in one part that nearly look the same.
    Near,
    /// Pictures that nearly look the same in a mirror.
    Mirrored,
    /// Classes of very different sizes in the training part.
    Unbalanced,
    /// Files whose suffix promises another format.
    WrongSuffix,
    /// Files with something unusual, used by a rule of [`decode`](crate::picture::decode).
    Unusual,
    /// Pictures of a single colour.
    SingleColor,
    /// Grey pictures in a set that is mostly coloured.
    Grey,
    /// Pictures far smaller than the others.
    Tiny,
    /// Pictures far larger than the others.
    Huge,
    /// Pictures far longer than they are wide, or the other way round.
    Elongated,
    /// Files and folders that are no part of the data.
    Ignored,
}

impl Kind {
    /// Whether it should be seen to before training.
    pub fn is_serious(self) -> bool {
        self <= Self::AcrossParts
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Layout => "folders that are neither classes nor parts for certain",
            Self::UnusedFolders => "folders of pictures that are not used",
            Self::Bad => "files that cannot be used",
            Self::MissingClass => "classes missing in a part",
            Self::TwoLabels => "equal pictures under two labels",
            Self::AcrossParts => "equal pictures in two parts",
            Self::NearTwoLabels => "nearly equal pictures under two labels",
            Self::NearAcrossParts => "nearly equal pictures in two parts",
            Self::Duplicates => "equal pictures",
            Self::Near => "nearly equal pictures",
            Self::Mirrored => "nearly equal pictures in a mirror",
            Self::Unbalanced => "unbalanced classes",
            Self::WrongSuffix => "wrong suffixes",
            Self::Unusual => "unusual files",
            Self::SingleColor => "pictures of a single colour",
            Self::Grey => "grey pictures among coloured ones",
            Self::Tiny => "far smaller than the others",
            Self::Huge => "far larger than the others",
            Self::Elongated => "far from square",
            Self::Ignored => "ignored, no part of the data",
        })
    }
}
