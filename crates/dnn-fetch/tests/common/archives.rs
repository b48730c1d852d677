//! Zip and tar files byte by byte, so that they can lie.

use std::io::Write as _;

use flate2::{Compression, Crc, write::DeflateEncoder, write::GzEncoder};

/// An entry of a tar; what is not said is that of an honest file.
#[derive(Clone, Debug)]
pub(crate) struct TarEntry {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: u8,
    pub(crate) link: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) size: Option<u64>,
    pub(crate) body: Vec<u8>,
}

impl TarEntry {
    pub(crate) fn file(name: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            kind: b'0',
            link: Vec::new(),
            mode: 0o644,
            size: None,
            body: body.as_ref().to_vec(),
        }
    }

    pub(crate) fn of_kind(name: impl AsRef<[u8]>, kind: u8, link: &str) -> Self {
        Self { kind, link: link.as_bytes().to_vec(), ..Self::file(name, b"") }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut block = [0_u8; 512];
        block[..self.name.len()].copy_from_slice(&self.name);
        let mut octal = |at: usize, digits: usize, value: u64| {
            let text = format!("{value:0digits$o}");
            block[at..at + digits].copy_from_slice(&text.as_bytes()[..digits]);
        };
        octal(100, 7, self.mode.into());
        octal(108, 7, 0);
        octal(116, 7, 0);
        octal(124, 11, self.size.unwrap_or(self.body.len() as u64));
        octal(136, 11, 0);
        block[156] = self.kind;
        block[157..157 + self.link.len()].copy_from_slice(&self.link);
        block[257..265].copy_from_slice(b"ustar\x0000");
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let padding = vec![0; self.body.len().next_multiple_of(512) - self.body.len()];
        [block.as_slice(), &self.body, &padding].concat()
    }
}

/// A name of any length goes before its entry, as GNU tar writes it.
pub(crate) fn long_name(name: &[u8]) -> TarEntry {
    TarEntry { kind: b'L', ..TarEntry::file("././@LongLink", [name, b"\0"].concat()) }
}

/// Extended headers go before their entry, as POSIX has it.
pub(crate) fn pax(key: &str, value: &str) -> TarEntry {
    // The length counts its own digits.
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length.to_string().len() + rest.len() != length {
        length += 1;
    }
    TarEntry { kind: b'x', ..TarEntry::file("pax", format!("{length}{rest}")) }
}

pub(crate) fn tar(entries: &[TarEntry]) -> Vec<u8> {
    let mut bytes: Vec<u8> = entries.iter().flat_map(TarEntry::bytes).collect();
    bytes.extend([0; 1024]);
    bytes
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An entry of a zip; what is not said is that of an honest file.
#[derive(Clone, Debug)]
pub(crate) struct ZipEntry {
    pub(crate) name: Vec<u8>,
    /// The name in the header before the data, if it is another.
    pub(crate) local_name: Option<Vec<u8>>,
    pub(crate) mode: u32,
    /// What the headers say of the unpacked size.
    pub(crate) size: Option<u32>,
    pub(crate) crc: Option<u32>,
    pub(crate) deflate: bool,
    pub(crate) body: Vec<u8>,
}

impl ZipEntry {
    pub(crate) fn file(name: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            local_name: None,
            mode: 0o100_644,
            size: None,
            crc: None,
            deflate: true,
            body: body.as_ref().to_vec(),
        }
    }
}

/// A zip of these entries; with `overlap`, the directory lists the first one's data for all of them.
pub(crate) fn zip(entries: &[ZipEntry], overlap: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    let mut first = None;
    for entry in entries {
        let data = if entry.deflate {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(&entry.body).unwrap();
            encoder.finish().unwrap()
        } else {
            entry.body.clone()
        };
        let mut crc = Crc::new();
        crc.update(&entry.body);
        let mut fields = Vec::new();
        // Version, flags (names are UTF-8), method, time and date.
        for value in [20_u16, 0x800, if entry.deflate { 8 } else { 0 }, 0, 0x21] {
            fields.extend(value.to_le_bytes());
        }
        fields.extend(entry.crc.unwrap_or(crc.sum()).to_le_bytes());
        fields.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        let size = entry.size.unwrap_or_else(|| u32::try_from(entry.body.len()).unwrap());
        fields.extend(size.to_le_bytes());
        let at = u32::try_from(bytes.len()).unwrap();
        let at = if overlap { *first.get_or_insert(at) } else { at };
        let local = entry.local_name.as_ref().unwrap_or(&entry.name);
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&fields);
        bytes.extend(u16::try_from(local.len()).unwrap().to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(local);
        bytes.extend(&data);
        directory.extend(b"PK\x01\x02");
        // Made by Unix, so that the mode counts.
        directory.extend([20, 3]);
        directory.extend(&fields);
        directory.extend(u16::try_from(entry.name.len()).unwrap().to_le_bytes());
        // Extra field, comment, disk, internal attributes.
        directory.extend([0; 8]);
        directory.extend((entry.mode << 16).to_le_bytes());
        directory.extend(at.to_le_bytes());
        directory.extend(&entry.name);
    }
    let start = u32::try_from(bytes.len()).unwrap();
    let count = u16::try_from(entries.len()).unwrap();
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}
