//! Zip, tar, tar.gz and gz, unpacked entry by entry; what is suspicious is refused, with the whole archive.
//!
//! The one idea: an archive is a claim by a stranger about where bytes belong. A claim that no honest
//! packer makes is not repaired but refused, because whatever it meant, it was not a data set.
//!
//! | refused | |
//! |---|---|
//! | names | absolute, with `..`, a drive letter, a backslash, a control character, not UTF-8, longer than 1,024 bytes (255 a part) |
//! | kinds | links of both kinds, devices, pipes, sparse files, setuid and setgid files, encrypted entries |
//! | bombs | more than [`Caps::ratio`] bytes for each packed one, more than [`Caps::bytes`] in all, counted while inflating, more than [`Caps::entries`], zip entries that overlap |
//! | lies | names that come twice or differ in case alone, a file where a folder is, sizes that are not those of the header or differ between two headers |
//! | damage | wrong checksums, archives that end early |
//!
//! Archives within archives are files like others. Files get the permissions of new files; owners, times
//! and modes in the archive count for nothing.

mod gate;
mod tarball;
mod zipped;

pub(crate) use gate::checked;

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::{Digest, Event, FetchError, Result};
use gate::{Counted, Gate};

/// How much an archive may unpack to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Bytes in all.
    pub bytes: u64,
    /// Files and folders in all.
    pub entries: usize,
    /// Unpacked bytes for each packed one.
    pub ratio: u64,
}

impl Default for Caps {
    /// 8 GiB, 200,000 entries, 200 to one.
    fn default() -> Self {
        Self { bytes: 8 << 30, entries: 200_000, ratio: 200 }
    }
}

/// A file that was unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// Its path from the folder it was unpacked into, with `/`.
    pub path: String,
    /// Bytes.
    pub bytes: u64,
    /// Its sha256.
    pub sha256: Digest,
}

/// What a file is, by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Zip,
    Gzip,
    Tar,
    Plain,
}

/// Unpacks an archive that is open for reading into a new folder.
///
/// The content decides which kind it is. A file that is no archive is copied, and a gzip file that holds
/// no tar is inflated, under the name `name` without its `.gz`.
///
/// # Errors
/// [`FetchError::Archive`] with the entry and the reason; [`FetchError::Io`]. In both cases `into` is left
/// for the caller to remove.
///
/// # Examples
/// ```
/// use dnn_fetch::unpack::{Caps, unpack};
///
/// # let folder = tempfile::tempdir().expect("a temporary folder");
/// # std::fs::write(folder.path().join("cat.txt"), "a cat").expect("a file");
/// let file = std::fs::File::open(folder.path().join("cat.txt")).expect("just written");
/// let files = unpack(file, "cat.txt", &folder.path().join("new"), &Caps::default(), &mut |_| ())?;
/// assert_eq!((files[0].path.as_str(), files[0].bytes), ("cat.txt", 5));
/// # Ok::<(), dnn_fetch::FetchError>(())
/// ```
pub fn unpack(
    mut file: File,
    name: &str,
    into: &Path,
    caps: &Caps,
    tell: &mut dyn FnMut(Event),
) -> Result<Vec<Unpacked>> {
    let seen =
        kind_of(&mut file).map_err(|error| FetchError::io("read", Path::new(name), error))?;
    let mut gate = Gate::new(name, into, *caps, tell)?;
    match seen {
        Kind::Zip => zipped::unpack(file, &mut gate)?,
        Kind::Tar => {
            let counted = Counted::new(BufReader::new(file));
            tarball::unpack(counted.clone(), &counted, &mut gate)?;
        }
        Kind::Gzip => {
            let packed = Counted::new(BufReader::new(file));
            let mut inflated = MultiGzDecoder::new(packed.clone());
            let mut head = Vec::new();
            let begin = inflated.by_ref().take(HEAD as u64).read_to_end(&mut head);
            begin.map_err(|error| gate.broken(None, &error))?;
            let whole = head.as_slice().chain(inflated);
            if kind_of_bytes(&head) == Kind::Tar {
                tarball::unpack(whole, &packed, &mut gate)?;
            } else {
                let stem = name.strip_suffix(".gz").unwrap_or(name);
                gate.file(stem.as_bytes(), None, whole, &|| packed.read())?;
            }
        }
        Kind::Plain => {
            let size = file.metadata().map(|metadata| metadata.len());
            let size = size.map_err(|error| FetchError::io("read", Path::new(name), error))?;
            gate.file(name.as_bytes(), Some(size), BufReader::new(file), &|| size)?;
        }
    }
    Ok(gate.finish())
}

/// Copies a folder in, by the same rules; links in it are refused.
pub(crate) fn copy(
    folder: &Path,
    into: &Path,
    caps: &Caps,
    tell: &mut dyn FnMut(Event),
) -> Result<Vec<Unpacked>> {
    let shown = folder.display().to_string();
    let mut gate = Gate::new(&shown, into, *caps, tell)?;
    gate.copy_folder(folder)?;
    Ok(gate.finish())
}

/// Enough to know a tar by its magic.
const HEAD: usize = 512;

fn kind_of(file: &mut File) -> io::Result<Kind> {
    let mut head = Vec::new();
    file.rewind()?;
    file.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    file.rewind()?;
    Ok(kind_of_bytes(&head))
}

fn kind_of_bytes(head: &[u8]) -> Kind {
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        Kind::Zip
    } else if head.starts_with(&[0x1f, 0x8b]) {
        Kind::Gzip
    } else if head.get(257..262) == Some(b"ustar") {
        Kind::Tar
    } else {
        Kind::Plain
    }
}
