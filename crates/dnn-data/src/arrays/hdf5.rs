//! `.h5`, by way of `hdf5-reader`, the only file that knows of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use hdf5_reader::error::Error;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::link::LinkTarget;
use hdf5_reader::{
    ByteOrder, Dataset, Datatype, EnumMember, ExternalLinkResolver, FilterRegistry, H5Type,
    Hdf5File, OpenOptions,
};

use super::{Array, ArrayFile, LIMIT, Values, lzf};
use crate::contain::contain_panic;
use crate::file::read_file;
use crate::{DataError, Result};

/// What every HDF5 file starts with, or has behind a user block of 512, 1024, 2048, … bytes.
const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// The smallest user block.
const USER_BLOCK: usize = 512;

/// LZF among the registered filters.
const LZF: u16 = 32_000;

/// Filters that are met, but not read.
const OTHER_FILTERS: [(u16, &str); 7] = [
    (307, "bzip2"),
    (32_001, "Blosc"),
    (32_004, "LZ4"),
    (32_008, "Bitshuffle"),
    (32_013, "ZFP"),
    (32_015, "Zstandard"),
    (32_026, "Blosc2"),
];

pub(super) struct Hdf5 {
    file: Hdf5File,
    names: Vec<String>,
    others: Vec<String>,
}

impl Hdf5 {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let damaged = |reason| DataError::Damaged { reason }.in_file(path);
        let bytes = read_file(path, LIMIT)?;
        if !has_signature(&bytes) {
            return Err(damaged("expected an HDF5 file, found another kind".to_owned()));
        }
        // Deflate packs at most 1032 to one.
        let most = usize::try_from(LIMIT).unwrap_or(usize::MAX).min(1032 * bytes.len());
        let linked = Arc::new(LinkedFiles::default());
        let options = OpenOptions::default()
            .with_external_link_resolver(linked.clone())
            .with_max_read_bytes(most)
            .with_max_chunk_bytes(most)
            .with_filter_registry(filters(most));
        let opened = contained(|| {
            let file = Hdf5File::from_vec_with_options(bytes, options).map_err(words)?;
            let (groups, names) =
                file.root_group().and_then(|root| root.member_names()).map_err(words)?;
            let mut others: Vec<String> =
                groups.into_iter().map(|name| format!("{name} (a group)")).collect();
            others.extend(links(&file, &linked)?);
            Ok(Self { file, names, others })
        });
        opened.map_err(damaged)
    }
}

impl ArrayFile for Hdf5 {
    fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn others(&self) -> Vec<String> {
        self.others.clone()
    }

    fn read(&mut self, name: &str) -> Result<Array, String> {
        contained(|| read(&self.file.dataset(name).map_err(words)?))
    }
}

/// Whether the signature is at the beginning, or where a user block ends.
fn has_signature(bytes: &[u8]) -> bool {
    let ends = std::iter::successors(Some(USER_BLOCK), |end| end.checked_mul(2));
    let mut places = std::iter::once(0).chain(ends.take_while(|&end| end < bytes.len()));
    places.any(|place| bytes.get(place..).is_some_and(|rest| rest.starts_with(SIGNATURE)))
}

/// The reader's own filters, and LZF, which h5py has.
fn filters(most: usize) -> FilterRegistry {
    let mut filters = FilterRegistry::new();
    let lzf =
        move |_: &_, packed: &[u8], _| lzf::unpack(packed, most).map_err(Error::DecompressionError);
    filters.register(LZF, Box::new(lzf));
    for (id, name) in OTHER_FILTERS {
        let refuse = move |_: &_, _: &[u8], _| {
            Err(Error::UnsupportedFilter(format!(
                "{name}; expected gzip, LZF or none, as h5repack -f GZIP=6 makes of it"
            )))
        };
        filters.register(id, Box::new(refuse));
    }
    filters
}

/// Follows no link to another file, but notes that there is one.
#[derive(Default)]
struct LinkedFiles(Mutex<BTreeSet<String>>);

impl ExternalLinkResolver for LinkedFiles {
    fn resolve_external_link(&self, file: &str) -> Result<Option<Hdf5File>, Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(file.to_owned());
        Ok(None)
    }
}

/// Links at the top of the file to other files, which are not followed.
fn links(file: &Hdf5File, linked: &LinkedFiles) -> Result<Vec<String>, String> {
    let root = file.root_group().map_err(words)?;
    let header = file.get_or_parse_header(root.address()).map_err(words)?;
    // Where a group has many links, they are stored elsewhere, and only the files are known.
    let mut files = linked.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut links = Vec::new();
    for message in &header.messages {
        if let HdfMessage::Link(link) = message
            && let LinkTarget::External { filename, .. } = &link.target
        {
            links.push(format!("{} (a link to the file {filename})", link.name));
            files.remove(filename);
        }
    }
    links.extend(files.into_iter().map(|file| format!("a link to the file {file}")));
    Ok(links)
}

fn read(dataset: &Dataset) -> Result<Array, String> {
    let size = |&size: &u64| usize::try_from(size).map_err(words);
    let dims = dataset.shape().iter().map(size).collect::<Result<Vec<_>, _>>()?;
    let values = match dataset.dtype() {
        Datatype::FixedPoint { size: 1, signed: false, .. } => Values::Bytes(all(dataset)?),
        Datatype::FixedPoint { .. } => Values::Integers(integers(dataset)?),
        Datatype::Enum { members, .. } => enumeration(dataset, members)?,
        Datatype::String { .. } | Datatype::VarLen { .. } => {
            Values::Texts(dataset.read_strings().map_err(words)?)
        }
        Datatype::FloatingPoint { size: 4, .. } => {
            Values::Reals(all::<f32>(dataset)?.into_iter().map(f64::from).collect())
        }
        Datatype::FloatingPoint { size: 8, .. } => Values::Reals(all(dataset)?),
        Datatype::FloatingPoint { size, .. } => {
            return Err(format!("expected floats of 4 or 8 bytes, found {size}"));
        }
        other => return Err(format!("expected whole numbers, found {}", kind(other))),
    };
    Ok(Array { dims, values })
}

/// All values, whole numbers of any size.
fn integers(dataset: &Dataset) -> Result<Vec<i64>, String> {
    let raw = dataset.read_raw_bytes().map_err(words)?;
    let format = Integer::of(dataset.dtype())?;
    raw.chunks_exact(format.size).map(|bytes| format.decode(bytes)).collect()
}

/// How a whole number is stored.
#[derive(Clone, Copy)]
struct Integer {
    size: usize,
    signed: bool,
    big_endian: bool,
}

impl Integer {
    /// How the values of this type are stored, or the numbers behind an enumeration.
    fn of(kind_of_value: &Datatype) -> Result<Self, String> {
        match kind_of_value {
            Datatype::Enum { base, .. } => Self::of(base),
            &Datatype::FixedPoint { size: size @ 1..=8, signed, byte_order } => Ok(Self {
                size: usize::from(size),
                signed,
                big_endian: byte_order == ByteOrder::BigEndian,
            }),
            Datatype::FixedPoint { size, .. } => {
                Err(format!("expected integers of 1 to 8 bytes, found {size}"))
            }
            other => Err(format!("expected whole numbers, found {}", kind(other))),
        }
    }

    fn decode(self, bytes: &[u8]) -> Result<i64, String> {
        let mut bytes = bytes.to_vec();
        if self.big_endian {
            bytes.reverse();
        }
        let negative = self.signed && bytes.last().is_some_and(|&highest| highest >= 128);
        bytes.resize(16, if negative { 0xff } else { 0 });
        let wide = bytes.try_into().map_or(i128::MAX, i128::from_le_bytes);
        i64::try_from(wide).map_err(|_| "expected numbers of 63 bits, found more".to_owned())
    }
}

/// Truth values, as h5py stores them, are 0 and 1, as they are in `.npz`. The members of any other
/// enumeration are classes, in the order of their values.
fn enumeration(dataset: &Dataset, members: &[EnumMember]) -> Result<Values, String> {
    let format = Integer::of(dataset.dtype())?;
    let value = |member: &EnumMember| format.decode(&member.value);
    let named = |member: &EnumMember| Ok((value(member)?, member.name.clone()));
    let names = members.iter().map(named).collect::<Result<BTreeMap<i64, String>, String>>()?;
    let values: Vec<i64> = names.keys().copied().collect();
    let rank = |(example, number): (usize, i64)| {
        let rank = values.binary_search(&number).ok().and_then(|rank| i64::try_from(rank).ok());
        rank.ok_or_else(|| {
            format!("expected a value of its enumeration, found {number} at example {example}")
        })
    };
    let ranks = integers(dataset)?.into_iter().enumerate().map(rank);
    let names: Vec<String> = names.into_values().collect();
    if values == [0, 1] && names == ["FALSE", "TRUE"] {
        return Ok(Values::Integers(ranks.collect::<Result<_, String>>()?));
    }
    Ok(Values::Classes { labels: ranks.collect::<Result<_, String>>()?, names })
}

/// What values of a type are, in words for a message.
fn kind(of: &Datatype) -> &'static str {
    match of {
        Datatype::Compound { .. } => "compound values (tables)",
        Datatype::Array { .. } => "arrays as values",
        Datatype::Opaque { .. } => "opaque bytes",
        Datatype::Reference { .. } => "references",
        Datatype::Bitfield { .. } => "bit fields",
        _ => "another kind of value",
    }
}

/// All values, the last index fastest.
fn all<T: H5Type + Clone>(dataset: &Dataset) -> Result<Vec<T>, String> {
    let array = dataset.read_array::<T>().map_err(words)?;
    if array.is_standard_layout() {
        let (values, offset) = array.into_raw_vec_and_offset();
        if offset.is_none_or(|offset| offset == 0) {
            return Ok(values);
        }
        return Err("its values do not begin at the beginning".to_owned());
    }
    Ok(array.iter().cloned().collect())
}

fn words(error: impl Display) -> String {
    let text = error.to_string();
    if text.ends_with("unsupported layout class 3") {
        return text
            + " (a virtual dataset: its values lie in other files); store the values themselves";
    }
    text
}

/// Turns a panic of the reader into an error.
fn contained<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    contain_panic(read).unwrap_or_else(|_| Err("the HDF5 reader gave up on it".to_owned()))
}
