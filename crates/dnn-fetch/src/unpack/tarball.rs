//! Tar.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use tar::{Archive, EntryType};

use super::gate::{Counted, Gate};
use crate::Result;

/// The bits for setuid and setgid.
const SET_ID: u32 = 0o6000;

/// A tar is made of such blocks.
const BLOCK: u64 = 512;

/// A tar ends with two blocks of zeros.
const END: u64 = 2 * BLOCK;

/// `packed` counts the bytes of the file that `reader` inflates.
pub(super) fn unpack<R: Read>(
    reader: impl Read,
    packed: &Counted<R>,
    gate: &mut Gate,
) -> Result<()> {
    let tail = Rc::new(Tail::default());
    let mut archive = Archive::new(Watched { reader, tail: Rc::clone(&tail) });
    let mut end_of_entries = 0;
    for entry in archive.entries().map_err(|error| gate.broken(None, &error))? {
        let mut entry = entry.map_err(|error| gate.broken(None, &error))?;
        let name = entry.path_bytes().into_owned();
        let header = entry.header();
        let mode = header.mode().map_err(|error| gate.broken(Some(&name), &error))?;
        if mode & SET_ID != 0 {
            return Err(gate.refuse(Some(&name), "it wants to run as another user"));
        }
        let stated = header.entry_size().map_err(|error| gate.broken(Some(&name), &error))?;
        let kind = header.entry_type();
        let data = entry.size().checked_next_multiple_of(BLOCK);
        end_of_entries =
            data.map_or(u64::MAX, |data| data.saturating_add(entry.raw_file_position()));
        let extensions =
            entry.pax_extensions().map_err(|error| gate.broken(Some(&name), &error))?;
        for extension in extensions.into_iter().flatten() {
            let extension = extension.map_err(|error| gate.broken(Some(&name), &error))?;
            // Readers differ in whom they believe, and so would see two archives in one.
            let is_size = extension.key_bytes() == b"size";
            if is_size && extension.value_bytes() != stated.to_string().as_bytes() {
                return Err(gate.refuse(Some(&name), "its two headers differ in its size"));
            }
        }
        match kind {
            EntryType::XGlobalHeader => gate.count(&name)?,
            EntryType::Directory => gate.folder(&name)?,
            EntryType::Regular if !name.ends_with(b"/") => {
                let size = entry.size();
                gate.file(&name, Some(size), &mut entry, &|| packed.read())?;
            }
            _ => return Err(gate.refuse(Some(&name), "it is no ordinary file or folder")),
        }
    }
    // To the end: the checksum of a gzip comes last, and what follows must be zeros.
    let mut rest = archive.into_inner();
    io::copy(&mut rest.by_ref().take(REST), &mut io::sink()).map_err(|e| gate.broken(None, &e))?;
    let more = rest.read(&mut [0]).map_err(|error| gate.broken(None, &error))?;
    if more != 0 {
        return Err(gate.refuse(None, "it goes on after its end"));
    }
    // Zeros within the last entry are not its end.
    if tail.zeros.get().min(tail.read.get().saturating_sub(end_of_entries)) < END {
        return Err(gate.refuse(None, "it is cut short"));
    }
    Ok(())
}

/// The most zeros that are read after the end.
const REST: u64 = 1 << 20;

/// What was read so far, and how many zeros it ends with.
#[derive(Default)]
struct Tail {
    read: Cell<u64>,
    zeros: Cell<u64>,
}

/// Keeps the [`Tail`] of what is read through it.
struct Watched<R> {
    reader: R,
    tail: Rc<Tail>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        let last = buffer.iter().take(read).rev().take_while(|byte| **byte == 0).count();
        let before = if last == read { self.tail.zeros.get() } else { 0 };
        self.tail.zeros.set(before.saturating_add(last as u64));
        self.tail.read.set(self.tail.read.get().saturating_add(read as u64));
        Ok(read)
    }
}
