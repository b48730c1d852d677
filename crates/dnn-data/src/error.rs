//! What can be wrong with data, said so that the user knows what to do next.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::ImageShape;

/// The result of a function of this crate.
pub type Result<T, E = DataError> = std::result::Result<T, E>;

/// What can be wrong with data or with the place it is read from.
///
/// [`is_io`](DataError::is_io) tells trouble with the file system from bad data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The system refused to read a file or a folder.
    #[error("cannot read {}", path.display())]
    Io {
        /// What was to be read.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// There is nothing at a path.
    #[error("no such file or folder: {}{}", path.display(), Hint(current_folder.as_deref()))]
    NotFound {
        /// The path as it was given.
        path: PathBuf,
        /// The folder from which a relative path was followed; `None` for an absolute one.
        current_folder: Option<PathBuf>,
    },
    /// A folder was needed and something else is there.
    #[error("expected a folder, found {found}: {}", path.display())]
    NotAFolder {
        /// What was to be a folder.
        path: PathBuf,
        /// What it is, in words.
        found: &'static str,
    },
    /// A regular file was needed and something else is there.
    #[error("expected a regular file, found {found}: {}", path.display())]
    NotAFile {
        /// What was to be a file.
        path: PathBuf,
        /// What it is, in words.
        found: &'static str,
    },
    /// A file is larger than this crate reads.
    #[error("{} is too large: expected at most {limit} bytes, found {found}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The largest size that is read, in bytes.
        limit: u64,
        /// The file's size, in bytes.
        found: u64,
    },
    /// The contents of a file are wrong.
    // The reason is part of the message, so it is not given as a source a second time.
    #[error("{}: {reason}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        reason: Box<DataError>,
    },

    /// The data begins as a gzip file does.
    #[error("the data is gzip-compressed; unpack it first (gunzip -k FILE)")]
    Gzip,
    /// The data does not begin as an IDX file does.
    #[error("expected IDX data, which begins with the bytes 00 00, found {found:02x?}")]
    NotIdx {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// The values of an IDX file are not unsigned bytes.
    #[error("expected unsigned bytes (type 0x08), found {} (type 0x{code:02x})", type_name(*code))]
    IdxType {
        /// The type code in the header.
        code: u8,
    },
    /// An array has another number of dimensions than its use needs.
    #[error("expected {expected}, found {found}")]
    Dimensions {
        /// What was needed, in words.
        expected: &'static str,
        /// The number of dimensions in the header.
        found: usize,
    },
    /// The sizes in an IDX header multiply to more than a computer can address.
    #[error("expected sizes whose product can be addressed, found {dims:?}")]
    IdxSize {
        /// The sizes in the header.
        dims: Vec<usize>,
    },
    /// IDX data ends before its header or its values do.
    #[error("the IDX data is cut short: expected at least {expected} bytes, found {found}")]
    IdxCut {
        /// How long it has to be, in bytes.
        expected: usize,
        /// How long it is, in bytes.
        found: usize,
    },
    /// IDX data goes on after its last value.
    #[error(
        "the IDX data has bytes after its last value: expected {expected} bytes, found {found}"
    )]
    IdxTrailing {
        /// How long it has to be, in bytes.
        expected: usize,
        /// How long it is, in bytes.
        found: usize,
    },

    /// A setting has a value that does not exist.
    #[error("{what}: expected {expected}, found `{found}`")]
    Setting {
        /// The setting.
        what: &'static str,
        /// Its possible values, in words.
        expected: &'static str,
        /// The text that was given.
        found: String,
    },

    /// A data set would have no examples.
    #[error("expected at least one example, found none; add examples or leave this part out")]
    Empty,
    /// A picture would have no pixels, or more than a computer can address.
    #[error("expected a picture of 1x1x1 or more that can be addressed, found {shape}")]
    Shape {
        /// The shape that was asked for.
        shape: ImageShape,
    },
    /// The matrix of pixels does not have the number of rows that the shape needs.
    #[error("expected {expected} values a picture for the shape {shape}, found {found}")]
    PixelCount {
        /// Height x width x channels.
        expected: usize,
        /// The number of rows of the matrix.
        found: usize,
        /// The shape that was asked for.
        shape: ImageShape,
    },
    /// There are more or fewer labels than pictures.
    #[error("expected {expected} labels, one for each picture, found {found}")]
    LabelCount {
        /// The number of pictures.
        expected: usize,
        /// The number of labels.
        found: usize,
    },
    /// There are not as many targets for each picture.
    #[error(
        "expected the same number of targets, at least 1, for each picture, found {found} by {each}"
    )]
    TargetCount {
        /// The numbers in all.
        found: usize,
        /// The numbers of a picture.
        each: usize,
    },
    /// A target is not a finite number.
    #[error("expected finite numbers as targets, found {found} at example {example}")]
    Target {
        /// The position of the example, from 0.
        example: usize,
        /// The number.
        found: f64,
    },
    /// The parts of a data set ask for different things.
    #[error("{}: expected {train} in every part, as in the training part, found {other} in another", path.display())]
    TargetsDiffer {
        /// The folder or file.
        path: PathBuf,
        /// What the training part asks for.
        train: String,
        /// What the other part asks for.
        other: String,
    },
    /// A label has no class name.
    #[error(
        "expected labels below {classes}, the number of classes, found {found} at example {example}"
    )]
    LabelRange {
        /// The position of the example, from 0.
        example: usize,
        /// The number of class names.
        classes: usize,
        /// The label.
        found: u32,
    },

    /// A folder has nothing in it.
    #[error("expected {} in {}, found an empty folder", crate::folder::EXPECTED, path.display())]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A folder has none of the files that make a data set.
    #[error("expected {} in {}, found {found}", crate::folder::EXPECTED, path.display())]
    NoKnownFiles {
        /// The folder.
        path: PathBuf,
        /// Up to five of the names in it.
        found: String,
    },
    /// There are no arrays that would be pictures to train on.
    #[error("expected arrays named like x_train and y_train in {}, found {found}", path.display())]
    NoArrays {
        /// The file or folder.
        path: PathBuf,
        /// Up to five of the names in it.
        found: String,
    },
    /// An array cannot be used.
    #[error("array {name}: {reason}")]
    Array {
        /// Its name in the file.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of CIFAR-10 does not consist of whole pictures.
    #[error("expected pictures of 3073 bytes each, at least one, found {found} bytes in all")]
    CifarSize {
        /// The length of the file.
        found: usize,
    },
    /// A compressed file or an archive is damaged or something else.
    #[error("{reason}")]
    Damaged {
        /// What is wrong with it.
        reason: String,
    },
    /// This build does not read a format.
    #[error("{format} is not read by this build; build dnn-data with its feature `{feature}`")]
    FormatOff {
        /// The format.
        format: &'static str,
        /// The feature.
        feature: &'static str,
    },
    /// Images without their labels, or labels without their images.
    #[error("expected {} beside {}, found no such file", expected.display(), beside.display())]
    MissingHalf {
        /// The file that is missing.
        expected: PathBuf,
        /// The file that is there.
        beside: PathBuf,
    },
    /// A folder has a test part and nothing to train on.
    #[error("expected train-images-idx3-ubyte and its labels in {}, found only the test part (t10k)", path.display())]
    OnlyTest {
        /// The folder.
        path: PathBuf,
    },
    /// The pictures to train on and to test on differ in shape.
    #[error("expected test pictures of {train} as in the training part of {}, found {test}", path.display())]
    ShapesDiffer {
        /// The folder.
        path: PathBuf,
        /// The shape of the pictures to train on.
        train: ImageShape,
        /// The shape of the pictures to test on.
        test: ImageShape,
    },
    /// The test part has a label that the training part has not.
    #[error("expected only labels of the training part in the test part of {}, found {label}", path.display())]
    LabelOnlyInTest {
        /// The folder.
        path: PathBuf,
        /// The smallest such label.
        label: u32,
    },

    /// A folder has no pictures in any layout that is known.
    #[error(
        "no pictures found in {}: expected a folder for each class, train and test folders with \
         them, or names like cat.12.jpg; found {found}", path.display()
    )]
    NoPictures {
        /// The folder.
        path: PathBuf,
        /// What is in it, in words.
        found: String,
    },
    /// Folders that would be classes are parts or whole sets, by their names or those of the folders in them.
    #[error(
        "expected a folder for each class, found {} and {}, which are no classes: {why}; name one of \
         them as the data, or call them train and test", first.display(), second.display()
    )]
    NoClasses {
        /// The first such folder.
        first: PathBuf,
        /// The second.
        second: PathBuf,
        /// How it shows.
        why: String,
    },
    /// A folder that is called like a part lies among others, and could be a class.
    #[error(
        "{} is called like a part of the data and lies beside others ({beside}): expected parts or \
         classes, found both; {advice}", path.display()
    )]
    UnclearPart {
        /// The folder.
        path: PathBuf,
        /// Up to five of the folders beside it.
        beside: String,
        /// What to do.
        advice: &'static str,
    },
    /// A folder has parts, but none to train on.
    #[error(
        "expected a folder train in {}, found only {found}; name the one to train on as the data, or \
         call it train", path.display()
    )]
    NoTrainingPart {
        /// The folder.
        path: PathBuf,
        /// The parts that it has.
        found: String,
    },
    /// Two folders have one meaning.
    #[error("{} and {} are both {claim}; rename or join them", first.display(), second.display())]
    TwoFolders {
        /// The first folder.
        first: PathBuf,
        /// The second.
        second: PathBuf,
        /// What both are.
        claim: String,
    },
    /// The validation or test part has a class that the training part has not.
    #[error("expected only the classes of the training part ({train}) in the other parts of {}, found {class}", path.display())]
    ClassOnlyInTest {
        /// The folder.
        path: PathBuf,
        /// The first such class.
        class: String,
        /// The classes of the training part.
        train: String,
    },
    /// Examples have classes that a model does not have.
    #[error("expected the classes of the model ({known}), found {unknown} too")]
    UnknownClasses {
        /// Those of the model.
        known: String,
        /// The others that have examples.
        unknown: String,
    },
    /// A picture file cannot be used.
    #[error("{}: {reason}{}", path.display(), Others(*others))]
    BadPicture {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// How many other files cannot be used either.
        others: usize,
    },
    /// More files than allowed cannot be used.
    #[error(
        "{bad} of {of} files cannot be used: expected at most {} %; the first is {}: {reason}",
        100.0 * limit, path.display()
    )]
    TooManyBad {
        /// How many.
        bad: usize,
        /// Of how many.
        of: usize,
        /// The share that is allowed, 0..=1.
        limit: f64,
        /// The first of them.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is not the memory for the pixels.
    #[error(
        "the pixels need {needed} bytes of memory, which cannot be had; make the pictures smaller"
    )]
    Memory {
        /// Bytes of all pictures.
        needed: u128,
    },
    /// A line of a list of checksums is none.
    #[error("line {line}: expected 64 hexadecimal digits, two blanks and a path, found `{found}`")]
    SumLine {
        /// The line, counted from 1.
        line: usize,
        /// What it says.
        found: String,
    },
    /// There are more or fewer file names than pictures.
    #[error("expected {expected} files, one for each picture, found {found}")]
    FileCount {
        /// The number of pictures.
        expected: usize,
        /// The number of files.
        found: usize,
    },
    /// A bad file cannot be put aside.
    #[error("cannot move {} to {}", from.display(), to.display())]
    Move {
        /// The file.
        from: PathBuf,
        /// Where it was to go.
        to: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The table of what was put aside cannot be written.
    #[error("cannot write {}", path.display())]
    WriteTable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A folder has more folders in it than are read.
    #[error("expected at most {limit} folders in {}, found more; name one further down", path.display())]
    TooManyFolders {
        /// The folder.
        path: PathBuf,
        /// How many are read.
        limit: usize,
    },

    /// The fraction to hold out is not between 0 and 1.
    #[error("expected a fraction above 0 and below 1, found {found}")]
    Fraction {
        /// The fraction.
        found: f64,
    },
    /// There are too few examples to hold some out.
    #[error(
        "too few examples to split: expected one to hold out, found none at a fraction of {fraction} of \
         {examples} examples; every class keeps at least one"
    )]
    NothingHeldOut {
        /// The number of examples.
        examples: usize,
        /// The fraction to hold out.
        fraction: f64,
    },
}

impl DataError {
    /// Whether the file system, not the data, is at fault: a retry or another path may help.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(dnn_data::load_folder("no/such/folder".as_ref()).unwrap_err().is_io());
    /// assert!(!dnn_data::stratified_split(&[0, 1], f64::NAN, 1).unwrap_err().is_io());
    /// ```
    pub fn is_io(&self) -> bool {
        match self {
            Self::Io { .. }
            | Self::NotFound { .. }
            | Self::NotAFolder { .. }
            | Self::NotAFile { .. }
            | Self::Move { .. }
            | Self::WriteTable { .. } => true,
            Self::InFile { reason, .. } => reason.is_io(),
            _ => false,
        }
    }

    /// Whether it is about which folder is a class and which a part.
    pub(crate) fn is_about_layout(&self) -> bool {
        matches!(
            self,
            Self::NoClasses { .. } | Self::UnclearPart { .. } | Self::NoTrainingPart { .. }
        )
    }

    /// The error of a read, with a hint where nothing was found.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        if source.kind() == io::ErrorKind::NotFound {
            let current_folder =
                if path.is_relative() { std::env::current_dir().ok() } else { None };
            return Self::NotFound { path, current_folder };
        }
        Self::Io { path, source }
    }

    /// The same error, said of a file.
    pub(crate) fn in_file(self, path: &Path) -> Self {
        Self::InFile { path: path.to_path_buf(), reason: Box::new(self) }
    }
}

/// Where a relative path was looked for, as the end of a sentence.
struct Hint<'a>(Option<&'a Path>);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(folder) => write!(f, " (the current folder is {})", folder.display()),
            None => Ok(()),
        }
    }
}

/// How many other files are bad too, as the end of a sentence.
struct Others(usize);

impl fmt::Display for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            1 => f.write_str(" (and 1 other file is bad)"),
            others => write!(f, " (and {others} other files are bad)"),
        }
    }
}

/// The name of an IDX type code.
fn type_name(code: u8) -> &'static str {
    match code {
        0x08 => "unsigned bytes",
        0x09 => "signed bytes",
        0x0b => "16-bit integers",
        0x0c => "32-bit integers",
        0x0d => "32-bit floats",
        0x0e => "64-bit floats",
        _ => "an unknown type",
    }
}

/// An error with all its causes, where only words can go on.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_relative_path_names_the_current_folder() {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let here = std::env::current_dir().unwrap();
        assert_eq!(
            DataError::io(Path::new("a/b"), missing()).to_string(),
            format!("no such file or folder: a/b (the current folder is {})", here.display())
        );
        let absolute = here.join("a");
        assert_eq!(
            DataError::io(&absolute, missing()).to_string(),
            format!("no such file or folder: {}", absolute.display())
        );
    }

    #[test]
    fn a_refused_read_keeps_its_cause() {
        let error = DataError::io(Path::new("a"), io::Error::other("the disk is on fire"));
        assert_eq!(error.to_string(), "cannot read a");
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the disk is on fire");
        assert_eq!(with_causes(&error), "cannot read a: the disk is on fire");
        assert!(error.is_io());
        assert!(error.in_file(Path::new("b")).is_io());
        assert!(!DataError::Empty.in_file(Path::new("b")).is_io());
    }
}
