//! Which format a file has, by its first bytes.

use crate::picture::{Format, PictureError};

/// Where `bytes` begin with the magic of a known kind of file that is no readable picture.
const REFUSED: &[(&[u8], &str, &str)] = &[
    (b"II*\0", "TIFF", "convert it to PNG or JPEG"),
    (b"MM\0*", "TIFF", "convert it to PNG or JPEG"),
    (b"\0\0\0\x0cJXL ", "JPEG XL", "convert it to PNG or JPEG"),
    (b"\xff\x0a", "JPEG XL", "convert it to PNG or JPEG"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000", "convert it to PNG or JPEG"),
    (b"8BPS", "a Photoshop document", "export it as PNG or JPEG"),
    (b"%PDF", "PDF", "export its pictures as PNG or JPEG"),
];

/// What else files turn out to be.
const FOREIGN: &[(&[u8], &str)] = &[
    (b"\xd0\xcf\x11\xe0", "an OLE container, as Thumbs.db is"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\x7fELF", "a program"),
];

/// The format of the content.
pub(super) fn sniff(bytes: &[u8]) -> Result<Format, PictureError> {
    let known = [
        (Format::Jpeg, bytes.starts_with(b"\xff\xd8\xff")),
        (Format::Png, bytes.starts_with(b"\x89PNG\r\n\x1a\n")),
        (Format::Gif, bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a")),
        (Format::WebP, bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP")),
        (Format::Bmp, is_bmp(bytes)),
    ];
    if let Some((format, _)) = known.into_iter().find(|(_, found)| *found) {
        return Ok(format);
    }
    if bytes.is_empty() {
        return Err(PictureError::Empty);
    }
    if let Some((kind, advice)) = unread(bytes) {
        return Err(PictureError::Unsupported { kind: kind.to_owned(), advice });
    }
    Err(PictureError::NotAPicture { found: describe(bytes) })
}

/// `BM`, and a header whose size is one of those that exist: two letters alone begin many a text.
fn is_bmp(bytes: &[u8]) -> bool {
    let size = bytes.get(14..18).and_then(|size| size.try_into().ok()).map(u32::from_le_bytes);
    bytes.starts_with(b"BM")
        && size.is_some_and(|size| matches!(size, 12 | 16 | 40 | 52 | 56 | 64 | 108 | 124))
}

/// A picture of a kind that is not read, and what to do about it.
fn unread(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    if bytes.get(4..8) == Some(b"ftyp") {
        let brands = &bytes[8..bytes.len().min(64)];
        let has = |names: &[&[u8]]| brands.chunks(4).any(|brand| names.contains(&brand));
        if has(&[b"avif", b"avis"]) {
            return Some(("AVIF", "convert it to PNG or JPEG"));
        }
        if has(&[b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"]) {
            return Some((
                "HEIC",
                "convert it to JPEG, or let the camera save \"most compatible\"",
            ));
        }
        return Some(("a video or another ISO media file", "extract frames as PNG or JPEG"));
    }
    let found = REFUSED.iter().find(|(magic, ..)| bytes.starts_with(magic));
    found.map(|&(_, kind, advice)| (kind, advice))
}

fn describe(bytes: &[u8]) -> String {
    if let Some((_, kind)) = FOREIGN.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return (*kind).to_owned();
    }
    let start = &bytes[..bytes.len().min(512)];
    let text = start.iter().all(|&byte| byte >= 0x20 || matches!(byte, b'\t' | b'\n' | b'\r'));
    let lower = start.trim_ascii_start().to_ascii_lowercase();
    if lower.starts_with(b"<!doctype html") || lower.starts_with(b"<html") {
        "an HTML page, perhaps of a failed download".to_owned()
    } else if lower.starts_with(b"<svg") || (lower.starts_with(b"<?xml") && text) {
        "an SVG or XML text".to_owned()
    } else if text {
        "text".to_owned()
    } else {
        format!("a file that begins with {:02x?}", &bytes[..bytes.len().min(8)])
    }
}
