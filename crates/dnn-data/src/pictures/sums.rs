//! `SHA256SUMS`: what a folder's files should be.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::name::bytes_path;
use crate::dataset::hex;
use crate::file::read_file;
use crate::{DataError, Result};

/// No list is larger: 256 MiB.
const LARGEST: u64 = 256 << 20;

/// The digests that a folder's `SHA256SUMS` lists, none if it has no such file.
#[derive(Debug, Default)]
pub(crate) struct Sums(BTreeMap<PathBuf, [u8; 32]>);

impl Sums {
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let path = root.join("SHA256SUMS");
        if !path.is_file() {
            return Ok(Self::default());
        }
        let bytes = read_file(&path, LARGEST)?;
        let lines = bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end).enumerate();
        let sums = lines.filter(|(_, line)| !line.is_empty()).map(|(number, line)| {
            parse(line).ok_or_else(|| {
                let found = String::from_utf8_lossy(line).into_owned();
                DataError::SumLine { line: number + 1, found }.in_file(&path)
            })
        });
        sums.collect::<Result<_>>().map(Self)
    }

    /// Why a file with this digest is not the one that is listed under its path.
    pub(super) fn mismatch(&self, path: &Path, found: &[u8; 32]) -> Option<String> {
        let expected = self.0.get(path).filter(|expected| *expected != found)?;
        let (expected, found) = (hex(expected), hex(found));
        Some(format!("expected sha256 {expected} by SHA256SUMS, found {found}"))
    }

    /// The listed files that are not there; those of `seen` are.
    pub(super) fn missing(&self, root: &Path, seen: &HashSet<&Path>) -> Vec<PathBuf> {
        let gone = |path: &&PathBuf| {
            !seen.contains(path.as_path()) && fs::symlink_metadata(root.join(path)).is_err()
        };
        self.0.keys().filter(gone).cloned().collect()
    }
}

/// `HEX  path`, as `sha256sum` writes it: with a backslash before the line where one, a line feed or a
/// carriage return in the path is written as two characters.
fn parse(line: &[u8]) -> Option<(PathBuf, [u8; 32])> {
    let (line, escaped) = match line.strip_prefix(b"\\") {
        Some(line) => (line, true),
        None => (line, false),
    };
    let (hex, path) = line.split_at_checked(64)?;
    let path = path.strip_prefix(b" ").or_else(|| path.strip_prefix(b"\t"))?;
    let path = path.strip_prefix(b" ").or_else(|| path.strip_prefix(b"*")).unwrap_or(path);
    let path = path.strip_prefix(b"./").unwrap_or(path);
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    let path = if escaped { unescaped(path)? } else { path.to_vec() };
    (!path.is_empty()).then_some(())?;
    Some((bytes_path(path)?, digest))
}

fn unescaped(path: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.iter();
    while let Some(&byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next()? {
                b'\\' => b'\\',
                b'n' => b'\n',
                b'r' => b'\r',
                _ => return None,
            },
            byte => byte,
        });
    }
    Some(bytes)
}
