//! Which format a file has, by its first bytes.

use crate::picture::{Format, PictureError};

/// How pictures of most kinds are converted.
pub(super) const BY_MAGICK: &str =
    "convert it, for example by `magick FILE NEW.png` of ImageMagick";
/// How the raw files of cameras are.
pub(super) const BY_DARKTABLE: &str =
    "develop it, for example by `darktable-cli FILE NEW.jpg`, or let the camera save JPEG as well";
const BY_LIBHEIF: &str = "convert it, for example by `heif-convert FILE NEW.jpg` of libheif or, on a Mac, \
                          `sips -s format jpeg FILE --out NEW.jpg`; or let the camera save \
                          \"most compatible\"";
const BY_AVIFDEC: &str = "convert it, for example by `avifdec FILE NEW.png` of libavif";
const BY_DJXL: &str = "convert it, for example by `djxl FILE NEW.png` of libjxl";
const BY_OPENJPEG: &str =
    "convert it, for example by `opj_decompress -i FILE -o NEW.png` of OpenJPEG";
const BY_POPPLER: &str =
    "take its pictures out, for example by `pdfimages -png FILE NEW` of Poppler";
const BY_RSVG: &str = "draw it, for example by `rsvg-convert -o NEW.png FILE` of librsvg";
const BY_DCMTK: &str = "convert it, for example by `dcmj2pnm --write-png FILE NEW.png` of DCMTK";
const BY_FFMPEG: &str = "take frames out, for example by `ffmpeg -i FILE -r 1 NEW%04d.png`";

/// How a file begins that is a picture of a kind that is not read, its kind, and what to do about it.
const REFUSED: &[(&[u8], &str, &str)] = &[
    (b"II+\0", "BigTIFF", BY_MAGICK),
    (b"MM\0+", "BigTIFF", BY_MAGICK),
    (b"\0\0\0\x0cJXL ", "JPEG XL", BY_DJXL),
    (b"\xff\x0a", "JPEG XL", BY_DJXL),
    (b"\0\0\0\x0cjP  ", "JPEG 2000", BY_OPENJPEG),
    (b"\xff\x4f\xff\x51", "JPEG 2000", BY_OPENJPEG),
    (b"8BPS", "a Photoshop document", BY_MAGICK),
    (b"gimp xcf", "a GIMP document", BY_MAGICK),
    (b"%PDF", "PDF", BY_POPPLER),
    (b"%!PS", "PostScript", BY_MAGICK),
    (b"\xc5\xd0\xd3\xc6", "PostScript", BY_MAGICK),
    (b"IIRO", "a camera's raw file", BY_DARKTABLE),
    (b"IIRS", "a camera's raw file", BY_DARKTABLE),
    (b"MMOR", "a camera's raw file", BY_DARKTABLE),
    (b"IIU\0", "a camera's raw file", BY_DARKTABLE),
    (b"FUJIFILMCCD-RAW", "a camera's raw file", BY_DARKTABLE),
    (b"FOVb", "a camera's raw file", BY_DARKTABLE),
    (b"\0MRM", "a camera's raw file", BY_DARKTABLE),
    (b"\0\0\x01\0", "an icon", BY_MAGICK),
    (b"qoif", "QOI", BY_MAGICK),
    (b"DDS ", "DDS", BY_MAGICK),
    (b"\x76\x2f\x31\x01", "OpenEXR", BY_MAGICK),
    (b"#?RADIANCE", "Radiance HDR", BY_MAGICK),
    (b"SIMPLE  =", "FITS", BY_MAGICK),
    (b"BPG\xfb", "BPG", BY_MAGICK),
    (b"\x1aE\xdf\xa3", "a video", BY_FFMPEG),
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
        (Format::Tiff, is_tiff(bytes)),
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

/// The mark of a TIFF; the raw files of one maker of cameras have a mark of their own behind it.
fn is_tiff(bytes: &[u8]) -> bool {
    let is_marked = bytes.starts_with(b"II*\0") || bytes.starts_with(b"MM\0*");
    is_marked && bytes.get(8..10) != Some(b"CR")
}

/// A picture of a kind that is not read, and what to do about it.
fn unread(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    if bytes.get(4..8) == Some(b"ftyp") {
        let brands = &bytes[8..bytes.len().min(64)];
        let has = |names: &[&[u8]]| brands.chunks(4).any(|brand| names.contains(&brand));
        return Some(if has(&[b"avif", b"avis"]) {
            ("AVIF", BY_AVIFDEC)
        } else if has(&[b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"]) {
            ("HEIC", BY_LIBHEIF)
        } else if has(&[b"crx "]) {
            ("a camera's raw file", BY_DARKTABLE)
        } else {
            ("a video or another ISO media file", BY_FFMPEG)
        });
    }
    if bytes.starts_with(b"II*\0") && bytes.get(8..10) == Some(b"CR") {
        return Some(("a camera's raw file", BY_DARKTABLE));
    }
    // P1 to P7, then white space.
    if let [b'P', b'1'..=b'7', b'\n' | b'\r' | b' ' | b'\t', ..] = bytes {
        return Some(("PNM", BY_MAGICK));
    }
    if bytes.get(128..132) == Some(b"DICM") {
        return Some(("DICOM", BY_DCMTK));
    }
    if is_svg(bytes) {
        return Some(("SVG", BY_RSVG));
    }
    let found = REFUSED.iter().find(|(magic, ..)| bytes.starts_with(magic));
    found.map(|&(_, kind, advice)| (kind, advice))
}

/// Whether it is an XML text with a drawing near its beginning.
fn is_svg(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(2048)];
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    start.starts_with(b"<") && start.windows(4).any(|part| part == b"<svg") && !is_html(start)
}

fn is_html(start: &[u8]) -> bool {
    let lower = start.trim_ascii_start().to_ascii_lowercase();
    lower.starts_with(b"<!doctype html") || lower.starts_with(b"<html")
}

fn describe(bytes: &[u8]) -> String {
    if let Some((_, kind)) = FOREIGN.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return (*kind).to_owned();
    }
    let start = &bytes[..bytes.len().min(512)];
    let text = start.iter().all(|&byte| byte >= 0x20 || matches!(byte, b'\t' | b'\n' | b'\r'));
    if is_html(start) {
        "an HTML page, perhaps of a failed download".to_owned()
    } else if start.starts_with(b"<?xml") && text {
        "an XML text".to_owned()
    } else if text {
        "text".to_owned()
    } else {
        format!("a file that begins with {:02x?}", &bytes[..bytes.len().min(8)])
    }
}
