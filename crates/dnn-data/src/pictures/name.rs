//! Paths as text, and back, without loss.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use unicode_normalization::UnicodeNormalization as _;

/// A relative path as text that no other path has, and that can stand in a line of a table.
///
/// Its names are joined by `/` on every system. A name is Unicode mostly and stays as it is; only
/// these are written out:
///
/// | in the name | in the text |
/// |---|---|
/// | a backslash | `\\` |
/// | line feed, carriage return, tab | `\n`, `\r`, `\t` |
/// | another control character | `\u{1b}`, its code point |
/// | a byte that is no part of UTF-8 | `\xff`, its two hexadecimal digits |
///
/// [`text_path`] goes back. (On Windows a name with half a surrogate pair is not Unicode; there its
/// bytes in Rust's own form, WTF-8, are written out, and there is no way back.)
///
/// # Examples
/// ```
/// use std::path::Path;
///
/// assert_eq!(dnn_data::path_text(Path::new("cats/größe 1.jpg")), "cats/größe 1.jpg");
/// assert_eq!(dnn_data::path_text(Path::new("a\nb.jpg")), r"a\nb.jpg");
/// assert_eq!(dnn_data::text_path(r"a\nb.jpg").as_deref(), Some(Path::new("a\nb.jpg")));
/// ```
pub fn path_text(path: &Path) -> String {
    let mut text = String::new();
    for (place, component) in path.components().enumerate() {
        let ends_in_slash = text.ends_with('/');
        if place > 0 && !ends_in_slash {
            text.push('/');
        }
        match component {
            Component::RootDir => text.push('/'),
            other => push_escaped(other.as_os_str().as_encoded_bytes(), &mut text),
        }
    }
    text
}

fn push_escaped(name: &[u8], text: &mut String) {
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str(r"\\"),
                c if c.is_control() => text.extend(c.escape_default()),
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!(r"\x{byte:02x}"));
        }
    }
}

/// The path that [`path_text`] wrote as `text`; `None` where it wrote no such text.
pub fn text_path(text: &str) -> Option<PathBuf> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend(before.as_bytes());
        let kind = after.chars().next()?;
        rest = &after[kind.len_utf8()..];
        match kind {
            '\\' => bytes.push(b'\\'),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'x' => {
                bytes.push(u8::from_str_radix(rest.get(..2)?, 16).ok()?);
                rest = &rest[2..];
            }
            'u' => {
                let (code, after) = rest.strip_prefix('{')?.split_once('}')?;
                let c = char::from_u32(u32::from_str_radix(code, 16).ok()?)?;
                bytes.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = after;
            }
            _ => return None,
        }
    }
    bytes.extend(rest.as_bytes());
    bytes_path(bytes)
}

/// The name of a class in composed form (NFC): `é` can be one character or an `e` and an accent, which
/// look the same and are one name. macOS and archives made on it have the second.
///
/// # Examples
/// ```
/// assert_eq!(dnn_data::class_name("cafe\u{301}"), "caf\u{e9}");
/// ```
pub fn class_name(name: &str) -> String {
    name.nfc().collect()
}

/// The path with these bytes; `None` where the system has no such path.
pub(super) fn bytes_path(bytes: Vec<u8>) -> Option<PathBuf> {
    #[cfg(unix)]
    let name = Some(<OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes));
    #[cfg(not(unix))]
    let name = String::from_utf8(bytes).ok().map(OsString::from);
    name.map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_stay_and_others_are_written_out() {
        for (path, text) in [
            ("a/b.jpg", "a/b.jpg"),
            ("größe 🐈.png", "größe 🐈.png"),
            ("a\tb\u{1b}[31m", r"a\tb\u{1b}[31m"),
            ("/etc/x", "/etc/x"),
        ] {
            assert_eq!(path_text(Path::new(path)), text);
            assert_eq!(text_path(text).as_deref(), Some(Path::new(path)));
        }
        for none in [r"\", r"\q", r"\xf", r"\xgg", r"\u{110000}", r"\u{41"] {
            assert_eq!(text_path(none), None, "{none}");
        }
    }

    #[cfg(unix)]
    mod any_bytes {
        use proptest::prelude::*;

        use super::*;

        proptest! {
            #[test]
            fn come_back_as_they_were(
                name in proptest::collection::vec(
                    prop_oneof![1_u8..=255, Just(b'\\'), Just(b'x'), Just(0xff)], 1..12,
                )
            ) {
                prop_assume!(!name.contains(&b'/') && name != b"." && name != b"..");
                let path = bytes_path(name).unwrap();
                let text = path_text(&path);
                prop_assert!(!text.contains(char::is_control), "{text:?}");
                prop_assert_eq!(text_path(&text), Some(path));
            }
        }
    }
}
