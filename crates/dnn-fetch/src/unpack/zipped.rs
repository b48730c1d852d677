//! Zip.

use std::fs::File;
use std::io::BufReader;

use zip::read::{ZipArchive, ZipReadOptions};
use zip::result::ZipError;

use super::gate::Gate;
use crate::Result;

/// The bits of a Unix mode that say what an entry is, and the two kinds that are taken.
const KIND: u32 = 0o170_000;
const FILE: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;
/// The bits for setuid and setgid.
const SET_ID: u32 = 0o6000;

pub(super) fn unpack(file: File, gate: &mut Gate) -> Result<()> {
    let broken = |gate: &Gate, name: Option<&[u8]>, error: ZipError| match error {
        ZipError::Io(error) => gate.broken(name, &error),
        error => gate.refuse(name, format!("it is damaged or of an unusual kind ({error})")),
    };
    let mut archive =
        ZipArchive::new(BufReader::new(file)).map_err(|error| broken(gate, None, error))?;
    if archive.len() > gate.caps().entries {
        let most = gate.caps().entries;
        return Err(gate.refuse(None, format!("it has more than {most} entries")));
    }
    if archive.has_duplicate_names() {
        return Err(gate.refuse(None, "a name comes twice in it"));
    }
    match archive.has_overlapping_entries() {
        Ok(false) => {}
        Ok(true) => return Err(gate.refuse(None, "its entries overlap")),
        Err(error) => return Err(broken(gate, None, error)),
    }
    let mut packed = 0;
    for index in 0..archive.len() {
        let options = ZipReadOptions::new().enforce_header_consistency(true);
        let entry = archive.by_index_with_options(index, options);
        let mut entry = entry.map_err(|error| broken(gate, None, error))?;
        let name = entry.name_raw().to_vec();
        if entry.encrypted() {
            return Err(gate.refuse(Some(&name), "it is encrypted"));
        }
        // The mode as Unix programs store it; zero where others made the archive.
        let mode = entry.external_attributes() >> 16;
        if mode & SET_ID != 0 {
            return Err(gate.refuse(Some(&name), "it wants to run as another user"));
        }
        let is_folder = name.ends_with(b"/");
        match mode & KIND {
            0 => {}
            FILE if !is_folder => {}
            FOLDER if is_folder => {}
            _ => return Err(gate.refuse(Some(&name), "it is no ordinary file or folder")),
        }
        if is_folder {
            if entry.size() != 0 {
                return Err(gate.refuse(Some(&name), "it is a folder with bytes of its own"));
            }
            gate.folder(&name)?;
            continue;
        }
        let size = entry.size();
        packed += entry.compressed_size();
        gate.file(&name, Some(size), &mut entry, &|| packed)?;
    }
    Ok(())
}
