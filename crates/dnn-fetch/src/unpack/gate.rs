//! The one way from an archive to the disk.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use dnn_store::Hasher;

use super::{Caps, Unpacked};
use crate::{Digest, Event, FetchError, Result};

/// The longest path, in bytes, and the longest part of it.
const LONGEST: (usize, usize) = (1024, 255);

/// What may unpack before the ratio counts: small files of zeros are no bombs.
const FREE: u64 = 1 << 20;

/// A line is told every so many entries.
const EVERY: usize = 500;

/// Checks names, sizes and counts, and writes what passes.
pub(super) struct Gate<'a> {
    archive: String,
    into: PathBuf,
    caps: Caps,
    tell: &'a mut dyn FnMut(Event),
    /// Every path so far in lower case, as it was spelled, and whether it is a folder.
    seen: HashMap<String, (String, bool)>,
    entries: usize,
    bytes: u64,
    files: Vec<Unpacked>,
    buffer: Vec<u8>,
}

impl<'a> Gate<'a> {
    /// `into` must not be there yet, so that nothing in it can be a trap.
    pub(super) fn new(
        archive: &str,
        into: &Path,
        caps: Caps,
        tell: &'a mut dyn FnMut(Event),
    ) -> Result<Self> {
        tell(Event::Unpacking { what: archive.to_owned(), entries: 0 });
        fs::create_dir(into).map_err(|error| FetchError::io("create", into, error))?;
        Ok(Self {
            archive: archive.to_owned(),
            into: into.to_path_buf(),
            caps,
            tell,
            seen: HashMap::new(),
            entries: 0,
            bytes: 0,
            files: Vec::new(),
            buffer: vec![0; 1 << 16],
        })
    }

    pub(super) fn finish(self) -> Vec<Unpacked> {
        self.files
    }

    pub(super) fn caps(&self) -> Caps {
        self.caps
    }

    /// The whole archive is refused, for this entry.
    pub(super) fn refuse(&self, entry: Option<&[u8]>, reason: impl Into<String>) -> FetchError {
        FetchError::Archive {
            archive: self.archive.clone(),
            entry: entry.map(|name| String::from_utf8_lossy(name).chars().take(100).collect()),
            reason: reason.into(),
        }
    }

    /// The whole archive is refused, because it cannot be read.
    pub(super) fn broken(&self, entry: Option<&[u8]>, error: &io::Error) -> FetchError {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return self.refuse(entry, "it is cut short");
        }
        self.refuse(entry, format!("it is damaged ({error})"))
    }

    /// Counts an entry of any kind.
    pub(super) fn count(&mut self, name: &[u8]) -> Result<()> {
        self.entries = self.entries.saturating_add(1);
        if self.entries > self.caps.entries {
            let most = self.caps.entries;
            return Err(self.refuse(Some(name), format!("it has more than {most} entries")));
        }
        if self.entries.is_multiple_of(EVERY) {
            (self.tell)(Event::Unpacking { what: self.archive.clone(), entries: self.entries });
        }
        Ok(())
    }

    /// A folder.
    pub(super) fn folder(&mut self, name: &[u8]) -> Result<()> {
        self.count(name)?;
        let trimmed = name.strip_suffix(b"/").unwrap_or(name);
        if matches!(trimmed, b"." | b"./" | b"") {
            return Ok(());
        }
        let parts = checked(trimmed).map_err(|reason| self.refuse(Some(name), reason))?;
        self.folders(&parts, name)
    }

    /// A file of `declared` bytes, whose bytes come from `reader`; `packed` tells how many packed bytes
    /// of the archive were taken so far.
    pub(super) fn file(
        &mut self,
        name: &[u8],
        declared: Option<u64>,
        reader: impl Read,
        packed: &dyn Fn() -> u64,
    ) -> Result<()> {
        self.count(name)?;
        let parts = checked(name).map_err(|reason| self.refuse(Some(name), reason))?;
        if let Some((_, folders)) = parts.split_last() {
            self.folders(folders, name)?;
        }
        let path = parts.join("/");
        if let Some((known, folder)) = self.claim(&path, false) {
            let reason = match folder {
                true => format!("a folder is called {known:?} too"),
                false if known == path => "its name comes twice".to_owned(),
                false => format!("its name differs from {known:?} in case alone"),
            };
            return Err(self.refuse(Some(name), reason));
        }
        let (bytes, sha256) = self.write(name, &path, declared, reader, packed)?;
        self.files.push(Unpacked { path, bytes, sha256 });
        Ok(())
    }

    /// Notes a path; gives what is known under it already.
    fn claim(&mut self, path: &str, folder: bool) -> Option<(String, bool)> {
        let known = self.seen.get(&path.to_lowercase()).cloned();
        if known.is_none() {
            self.seen.insert(path.to_lowercase(), (path.to_owned(), folder));
        }
        known
    }

    /// Makes these folders, one in the other.
    fn folders(&mut self, parts: &[&str], entry: &[u8]) -> Result<()> {
        let mut path = String::new();
        for part in parts {
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(part);
            match self.claim(&path, true) {
                None => {
                    let folder = self.into.join(&path);
                    fs::create_dir(&folder).map_err(|e| FetchError::io("create", &folder, e))?;
                }
                Some((known, true)) if known == path => {}
                Some((known, true)) => {
                    let reason = format!("its folder differs from {known:?} in case alone");
                    return Err(self.refuse(Some(entry), reason));
                }
                Some((known, false)) => {
                    return Err(self.refuse(Some(entry), format!("{known:?} is a file")));
                }
            }
        }
        Ok(())
    }

    /// Writes a new file and counts while it does.
    fn write(
        &mut self,
        name: &[u8],
        path: &str,
        declared: Option<u64>,
        mut reader: impl Read,
        packed: &dyn Fn() -> u64,
    ) -> Result<(u64, Digest)> {
        let target = self.into.join(path);
        let fail = |error| FetchError::io("write", &target, error);
        let mut file = File::create_new(&target).map_err(fail)?;
        let mut hasher = Hasher::new();
        let mut written = 0_u64;
        let before = self.bytes;
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            let read = match reader.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.broken(Some(name), &error)),
            };
            let piece = buffer.get(..read).unwrap_or_default();
            if piece.is_empty() {
                break;
            }
            written = written.saturating_add(read as u64);
            self.bytes = before.saturating_add(written);
            self.check(name, written, declared, packed())?;
            hasher.update(piece);
            file.write_all(piece).map_err(fail)?;
        }
        self.buffer = buffer;
        if let Some(declared) = declared.filter(|declared| *declared != written) {
            let reason = format!("its header says {declared} bytes, found {written}");
            return Err(self.refuse(Some(name), reason));
        }
        Ok((written, Digest::finish(hasher)))
    }

    fn check(&self, name: &[u8], written: u64, declared: Option<u64>, packed: u64) -> Result<()> {
        let Caps { bytes, ratio, .. } = self.caps;
        if self.bytes > bytes {
            let reason = format!("it unpacks to more than {bytes} bytes");
            return Err(self.refuse(Some(name), reason));
        }
        if let Some(declared) = declared.filter(|declared| written > *declared) {
            let reason = format!("its header says {declared} bytes, found more");
            return Err(self.refuse(Some(name), reason));
        }
        if self.bytes > packed.saturating_mul(ratio).saturating_add(FREE) {
            let reason = format!("it unpacks to more than {ratio} times its size");
            return Err(self.refuse(Some(name), reason));
        }
        Ok(())
    }

    /// All files below a folder.
    pub(super) fn copy_folder(&mut self, root: &Path) -> Result<()> {
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            let here = root.join(&folder);
            let fail = |error| FetchError::io("read", &here, error);
            for entry in fs::read_dir(&here).map_err(fail)? {
                let entry = entry.map_err(fail)?;
                let path = folder.join(entry.file_name());
                let text = path.to_string_lossy().into_owned();
                let kind = entry.file_type().map_err(fail)?;
                if path.to_str().is_none() {
                    return Err(self.refuse(Some(text.as_bytes()), "its name is not UTF-8"));
                }
                if kind.is_dir() {
                    self.folder(text.as_bytes())?;
                    folders.push(path);
                } else if kind.is_file() {
                    let from = root.join(&path);
                    let fail = |error| FetchError::io("read", &from, error);
                    let file = dnn_store::open_file(&from).map_err(FetchError::Unreadable)?;
                    let size = file.metadata().map_err(fail)?.len();
                    let so_far = self.bytes.saturating_add(size);
                    self.file(text.as_bytes(), Some(size), file, &|| so_far)?;
                } else {
                    return Err(self.refuse(Some(text.as_bytes()), "it is a link or a device"));
                }
            }
        }
        Ok(())
    }
}

/// The parts of a path that an honest packer writes.
pub(crate) fn checked(name: &[u8]) -> Result<Vec<&str>, &'static str> {
    let text = std::str::from_utf8(name).map_err(|_| "its name is not UTF-8")?;
    if text.len() > LONGEST.0 {
        return Err("its name is longer than 1,024 bytes");
    }
    if text.contains(char::is_control) {
        return Err("its name has a control character in it");
    }
    if text.contains('\\') {
        return Err("its name has a backslash in it");
    }
    if text.starts_with('/') {
        return Err("its name begins at the root");
    }
    if matches!(text.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic()) {
        return Err("its name begins with a drive letter");
    }
    let parts: Vec<&str> = text.strip_prefix("./").unwrap_or(text).split('/').collect();
    for part in &parts {
        match *part {
            ".." => return Err("its name leads out of its folder"),
            "" | "." => return Err("its name has an empty part"),
            _ if part.len() > LONGEST.1 => return Err("a part of its name is too long"),
            _ => {}
        }
    }
    Ok(parts)
}

/// A reader that tells how many bytes it has given, also to those who hold a copy of it.
pub(super) struct Counted<R>(Rc<(RefCell<R>, Cell<u64>)>);

impl<R> Counted<R> {
    pub(super) fn new(reader: R) -> Self {
        Self(Rc::new((RefCell::new(reader), Cell::new(0))))
    }

    /// How many bytes were read so far.
    pub(super) fn read(&self) -> u64 {
        self.0.1.get()
    }
}

impl<R> Clone for Counted<R> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.0.borrow_mut().read(buffer)?;
        self.0.1.set(self.0.1.get().saturating_add(read as u64));
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_as_they_are_or_not_at_all() {
        let long = ["a/".repeat(511), "bc".to_owned()].concat();
        for good in
            ["a", "./a", "a/b c/ü.jpg", "readme[1].txt", "..a", "a..", "ab:c", long.as_str()]
        {
            assert!(checked(good.as_bytes()).is_ok(), "{good}");
        }
        let longer = format!("{long}d");
        let part = "p".repeat(256);
        let bad = [
            "",
            ".",
            "..",
            "../x",
            "a/../../x",
            "/x",
            "//x",
            "C:\\x",
            "c:x",
            "a\\b",
            "a\0b",
            "a\nb",
        ];
        for bad in bad.into_iter().chain(["a//b", "a/./b", "a/", "\u{1b}[2J", &longer, &part]) {
            assert!(checked(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(checked(b"\xff.jpg").is_err());
    }
}
