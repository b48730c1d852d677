//! `SHA256SUMS`: what a folder's files should be.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::dataset::hex;
use crate::file::read_file;
use crate::{DataError, Result};

/// No list is larger: 256 MiB.
const LARGEST: u64 = 256 << 20;

/// The digests that a folder's `SHA256SUMS` lists, none if it has no such file.
#[derive(Debug, Default)]
pub(super) struct Sums(BTreeMap<PathBuf, [u8; 32]>);

impl Sums {
    pub(super) fn read(root: &Path) -> Result<Self> {
        let path = root.join("SHA256SUMS");
        if !path.is_file() {
            return Ok(Self::default());
        }
        let bytes = read_file(&path, LARGEST)?;
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let sums = lines.map(|(number, line)| {
            parse(line).ok_or_else(|| {
                let reason = DataError::SumLine { line: number + 1, found: line.to_owned() };
                reason.in_file(&path)
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

    /// The listed files that are not there.
    pub(super) fn missing(&self, root: &Path) -> Vec<PathBuf> {
        let gone = |path: &&PathBuf| fs::symlink_metadata(root.join(path)).is_err();
        self.0.keys().filter(gone).cloned().collect()
    }
}

/// `HEX  path`, as `sha256sum` writes it.
fn parse(line: &str) -> Option<(PathBuf, [u8; 32])> {
    let (hex, path) = line.split_once([' ', '\t'])?;
    let path = path.strip_prefix([' ', '*']).unwrap_or(path);
    let mut digest = [0; 32];
    if hex.len() != 64 || path.is_empty() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some((path.strip_prefix("./").unwrap_or(path).into(), digest))
}
