//! `.npz`: a zip of `.npy` files.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use zip::read::ZipArchive;

use super::npy::{self, Header};
use super::{Array, ArrayFile, LIMIT, fortran};
use crate::file::check_regular;
use crate::{DataError, Result};

/// The most arrays that are looked at.
const MOST: usize = 10_000;

pub(super) struct Npz(ZipArchive<BufReader<File>>);

impl Npz {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let damaged = |reason: String| DataError::Damaged { reason }.in_file(path);
        check_regular(path, LIMIT)?;
        let file = File::open(path).map_err(|source| DataError::io(path, source))?;
        let zip = ZipArchive::new(BufReader::new(file))
            .map_err(|error| damaged(format!("expected a zip with arrays: {error}")))?;
        if zip.len() > MOST {
            return Err(damaged(format!("expected at most {MOST} arrays, found {}", zip.len())));
        }
        if zip.has_duplicate_names() {
            return Err(damaged("one name comes twice in it".to_owned()));
        }
        Ok(Self(zip))
    }
}

impl ArrayFile for Npz {
    fn names(&self) -> Vec<String> {
        let arrays = self.0.file_names().filter_map(|name| {
            let name = name.ok()?;
            name.strip_suffix(".npy").map(str::to_owned)
        });
        let mut names: Vec<String> = arrays.collect();
        names.sort();
        names
    }

    fn read(&mut self, name: &str) -> Result<Array, String> {
        let words = |error: &dyn std::fmt::Display| format!("it cannot be unpacked: {error}");
        let mut entry = self.0.by_name(&format!("{name}.npy")).map_err(|error| words(&error))?;
        if entry.encrypted() {
            return Err("it is encrypted".to_owned());
        }
        let mut header = Header::read(&mut entry)?;
        let length = header.length()?;
        if length > LIMIT {
            return Err(format!("expected at most {LIMIT} bytes, its header says {length}"));
        }
        // Deflate packs at most 1032 to one.
        if length / 1032 > entry.compressed_size() {
            let packed = entry.compressed_size();
            return Err(format!("{packed} bytes cannot hold the {length} its header says"));
        }
        let mut bytes = Vec::new();
        let capacity = usize::try_from(length).map_err(|error| error.to_string())?;
        dnn_store::fallible_allocation(|| bytes.try_reserve_exact(capacity))
            .map_err(|error| error.to_string())?;
        // One more than expected: to the end, where the checksum is compared.
        let mut values = entry.take(length + 1);
        if header.is_fortran_bytes() && length > 0 {
            bytes.resize(capacity, 0);
            let read = fortran::read(header.dims(), &mut values, &mut bytes);
            read.map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => format!("its header says {length} bytes, found fewer"),
                _ => words(&error),
            })?;
            header = header.into_row_major();
        }
        values.read_to_end(&mut bytes).map_err(|error| words(&error))?;
        if bytes.len() != capacity {
            let found = bytes.len();
            return Err(format!("its header says {length} bytes, found {found} or more"));
        }
        npy::array(&header, bytes)
    }
}
