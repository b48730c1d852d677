//! `.npy`: a line of text about an array, then its values.
//!
//! # References
//! The format is described at <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::io::Read;

use ndarray::{ArrayView, IxDyn, ShapeBuilder};

use super::{Array, Values};

/// No header is longer.
const LONGEST: usize = 1 << 16;

/// What the values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Byte,
    Integer {
        signed: bool,
    },
    /// A float of 4 or 8 bytes.
    Real,
    /// Bytes up to the first zero of the last ones.
    Text,
    /// UTF-32.
    WideText,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    kind: Kind,
    /// The bytes of a value.
    width: usize,
    big_endian: bool,
    /// Whether the first index moves fastest.
    fortran: bool,
    dims: Vec<usize>,
}

impl Header {
    pub(super) fn read(file: &mut impl Read) -> Result<Self, String> {
        let cut = |error: std::io::Error| format!("its header cannot be read: {error}");
        let mut start = [0; 8];
        file.read_exact(&mut start).map_err(cut)?;
        let [magic @ .., major, _] = start;
        if magic != *b"\x93NUMPY" {
            return Err("expected an array of NumPy (.npy), found something else".to_owned());
        }
        let length = match major {
            1 => {
                let mut length = [0; 2];
                file.read_exact(&mut length).map_err(cut)?;
                usize::from(u16::from_le_bytes(length))
            }
            2 | 3 => {
                let mut length = [0; 4];
                file.read_exact(&mut length).map_err(cut)?;
                u32::from_le_bytes(length) as usize
            }
            _ => return Err(format!("expected version 1, 2 or 3 of .npy, found {major}")),
        };
        if length > LONGEST {
            return Err(format!("expected a header of at most {LONGEST} bytes, found {length}"));
        }
        let mut text = vec![0; length];
        file.read_exact(&mut text).map_err(cut)?;
        let text = String::from_utf8(text).map_err(|_| "its header is not text".to_owned())?;
        parse(&text)
    }

    /// Whether the values are unsigned bytes, the first index fastest.
    pub(super) fn is_fortran_bytes(&self) -> bool {
        self.fortran && self.kind == Kind::Byte
    }

    /// The sizes, the slowest dimension first.
    pub(super) fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// The same array after its values were put in row-major order.
    pub(super) fn into_row_major(self) -> Self {
        Self { fortran: false, ..self }
    }

    /// The bytes of all values.
    pub(super) fn length(&self) -> Result<u64, String> {
        let product = |product: u64, &size: &usize| product.checked_mul(size as u64);
        let length = self.dims.iter().try_fold(self.width as u64, product);
        length.ok_or_else(|| format!("expected sizes that can be addressed, found {:?}", self.dims))
    }
}

/// `{'descr': '|u1', 'fortran_order': False, 'shape': (3, 4), }`: three keys in any order.
fn parse(text: &str) -> Result<Header, String> {
    let unknown = || format!("its header says `{}`", text.trim_end().escape_debug());
    let inner = text.trim().strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    let mut rest = inner.ok_or_else(unknown)?.trim();
    let (mut descr, mut fortran, mut dims) = (None, None, None);
    while !rest.is_empty() {
        let (key, after) = quoted(rest).ok_or_else(unknown)?;
        let value = after.trim_start().strip_prefix(':').ok_or_else(unknown)?.trim_start();
        rest = match key {
            "descr" => {
                // A list: a value of several fields.
                let record = || "expected one number a value, found a record".to_owned();
                let (found, after) = quoted(value).ok_or_else(record)?;
                (descr.replace(found).is_none().then_some(after)).ok_or_else(unknown)?
            }
            "fortran_order" => {
                let (found, after) = match value.strip_prefix("True") {
                    Some(after) => (true, after),
                    None => (false, value.strip_prefix("False").ok_or_else(unknown)?),
                };
                (fortran.replace(found).is_none().then_some(after)).ok_or_else(unknown)?
            }
            "shape" => {
                let (found, after) = sizes(value).ok_or_else(unknown)?;
                (dims.replace(found).is_none().then_some(after)).ok_or_else(unknown)?
            }
            _ => return Err(unknown()),
        };
        rest = rest.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(after) => after.trim_start(),
            None if rest.is_empty() => rest,
            None => return Err(unknown()),
        };
    }
    let (Some(descr), Some(fortran), Some(dims)) = (descr, fortran, dims) else {
        return Err(unknown());
    };
    let (kind, width, big_endian) = value_kind(descr)?;
    Ok(Header { kind, width, big_endian, fortran, dims })
}

/// The text between a pair of quotes, and what follows.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|first| ['\'', '"'].contains(first))?;
    text.get(1..)?.split_once(quote)
}

/// The numbers between brackets, and what follows.
fn sizes(text: &str) -> Option<(Vec<usize>, &str)> {
    let (inner, after) = text.strip_prefix('(')?.split_once(')')?;
    let inner = inner.trim();
    let inner = inner.strip_suffix(',').unwrap_or(inner);
    if inner.is_empty() {
        return Some((Vec::new(), after));
    }
    let size = |size: &str| {
        let size = size.trim();
        // Old versions on old systems wrote `3L`.
        size.strip_suffix('L').unwrap_or(size).parse().ok()
    };
    Some((inner.split(',').map(size).collect::<Option<_>>()?, after))
}

/// What `|u1`, `<i8`, `>i4`, `|S7` and the like stand for; everything but whole numbers and texts is
/// refused by name.
fn value_kind(descr: &str) -> Result<(Kind, usize, bool), String> {
    let (order, rest) = match descr.split_at_checked(1) {
        Some((order @ ("<" | ">" | "|" | "="), rest)) => (order, rest),
        _ => ("|", descr),
    };
    let refused = |what: &str| Err(format!("expected whole numbers, found {what} ({descr})"));
    let (letter, width) = rest.split_at_checked(1).unwrap_or(("", ""));
    let Ok(width) = width.parse::<usize>() else {
        return match letter {
            "O" => refused("Python objects, which are never read"),
            _ => refused("another kind of value"),
        };
    };
    let kind = match (letter, width) {
        ("u", 1) => Kind::Byte,
        ("u", 2 | 4 | 8) | ("b", 1) => Kind::Integer { signed: false },
        ("i", 1 | 2 | 4 | 8) => Kind::Integer { signed: true },
        ("S" | "a", 1..) => Kind::Text,
        ("U", 1..) => Kind::WideText,
        ("f", 4 | 8) => Kind::Real,
        ("f", _) => return refused("real numbers of another size than 4 or 8 bytes"),
        ("O", _) => return refused("Python objects, which are never read"),
        _ => return refused("another kind of value"),
    };
    let width = if kind == Kind::WideText { width.saturating_mul(4) } else { width };
    let native_is_big = cfg!(target_endian = "big");
    Ok((kind, width, order == ">" || (order == "=" && native_is_big)))
}

/// The array of these bytes, which are as long as the header says.
pub(super) fn array(header: &Header, bytes: Vec<u8>) -> Result<Array, String> {
    let width = header.width.max(1);
    let values = match header.kind {
        Kind::Byte => Values::Bytes(row_major(header, bytes)?),
        Kind::Integer { signed } => {
            let number = |bytes: &[u8]| integer(bytes, signed, header.big_endian);
            let numbers = bytes.chunks_exact(width).map(number).collect::<Result<_, _>>()?;
            Values::Integers(row_major(header, numbers)?)
        }
        Kind::Real => {
            let number = |bytes: &[u8]| real(bytes, header.big_endian);
            let numbers = bytes.chunks_exact(width).map(number).collect::<Result<_, _>>()?;
            Values::Reals(row_major(header, numbers)?)
        }
        Kind::Text => {
            let text = |bytes: &[u8]| {
                let end = bytes
                    .iter()
                    .rposition(|&byte| byte != 0)
                    .map_or(0, |last| last.saturating_add(1));
                String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
            };
            Values::Texts(row_major(header, bytes.chunks_exact(width).map(text).collect())?)
        }
        Kind::WideText => {
            let text = |bytes: &[u8]| {
                let code = |bytes: &[u8; 4]| {
                    if header.big_endian {
                        u32::from_be_bytes(*bytes)
                    } else {
                        u32::from_le_bytes(*bytes)
                    }
                };
                let letters = bytes.as_chunks::<4>().0.iter().map(code);
                let text: String = letters
                    .map(|code| char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
                    .collect();
                text.trim_end_matches('\0').to_owned()
            };
            Values::Texts(row_major(header, bytes.chunks_exact(width).map(text).collect())?)
        }
    };
    Ok(Array { dims: header.dims.clone(), values })
}

/// The number in 1, 2, 4 or 8 bytes.
fn integer(bytes: &[u8], signed: bool, big_endian: bool) -> Result<i64, String> {
    let most_significant = if big_endian { bytes.first() } else { bytes.last() };
    let negative = signed && most_significant.is_some_and(|byte| byte & 0x80 != 0);
    let mut number = if negative { -1_i128 } else { 0 };
    let mut push = |byte: &u8| number = (number << 8) | i128::from(*byte);
    if big_endian {
        bytes.iter().for_each(&mut push);
    } else {
        bytes.iter().rev().for_each(&mut push);
    }
    i64::try_from(number).map_err(|_| format!("expected a number of 63 bits, found {number}"))
}

/// The number in the 4 or 8 bytes of a float.
fn real(bytes: &[u8], big_endian: bool) -> Result<f64, String> {
    let mut bytes = bytes.to_vec();
    if big_endian {
        bytes.reverse();
    }
    if let Ok(bytes) = bytes.as_slice().try_into() {
        return Ok(f32::from_le_bytes(bytes).into());
    }
    let bytes = bytes.as_slice().try_into();
    bytes.map(f64::from_le_bytes).map_err(|_| "expected floats of 4 or 8 bytes".to_owned())
}

/// The values with the last index fastest.
fn row_major<T: Clone>(header: &Header, values: Vec<T>) -> Result<Vec<T>, String> {
    if !header.fortran {
        return Ok(values);
    }
    let shape = IxDyn(&header.dims).f();
    let view = ArrayView::from_shape(shape, &values).map_err(|error| error.to_string())?;
    Ok(view.iter().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_in_any_order() {
        let header =
            parse("{'descr': '|u1', 'fortran_order': False, 'shape': (3, 4), }  \n").unwrap();
        let expected = Header {
            kind: Kind::Byte,
            width: 1,
            big_endian: false,
            fortran: false,
            dims: vec![3, 4],
        };
        assert_eq!(header, expected);
        let header = parse("{\"shape\":(5,),'fortran_order':True,'descr':'>i8'}").unwrap();
        assert_eq!((header.dims, header.fortran, header.big_endian), (vec![5], true, true));
        assert_eq!((header.kind, header.width), (Kind::Integer { signed: true }, 8));
        assert_eq!(parse("{'descr':'<U3','fortran_order':False,'shape':()}").unwrap().width, 12);
    }

    #[test]
    fn other_headers_are_refused() {
        for (text, reason) in [
            ("", "its header says"),
            ("{}", "its header says"),
            ("{'descr': '|u1', 'fortran_order': False}", "its header says"),
            ("{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (1,)}", "says"),
            ("{'descr': '|u1', 'fortran_order': False, 'shape': (-1,)}", "its header says"),
            ("{'descr': '|u1', 'fortran_order': 1, 'shape': (1,)}", "its header says"),
            ("{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999,)}", "says"),
            ("{'descr': '|u1', 'fortran_order': False, 'shape': (1,)} x", "its header says"),
            ("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "never read"),
            ("{'descr': '|O8', 'fortran_order': False, 'shape': (1,)}", "never read"),
            ("{'descr': '<f2', 'fortran_order': False, 'shape': (1,)}", "real numbers"),
            ("{'descr': '<c16', 'fortran_order': False, 'shape': (1,)}", "another kind"),
            ("{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (1,)}", "a record"),
            ("{'descr': '<é', 'fortran_order': False, 'shape': (1,)}", "another kind"),
            ("{'é: 1}", "its header says"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
        let huge = "{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296, 4294967296)}";
        assert!(parse(huge).unwrap().length().is_err());
    }

    #[test]
    fn integers_of_every_width_and_order() {
        assert_eq!(integer(&[0xff], true, false), Ok(-1));
        assert_eq!(integer(&[0xff], false, false), Ok(255));
        assert_eq!(integer(&[1, 2], true, true), Ok(258));
        assert_eq!(integer(&[2, 1, 0, 0], true, false), Ok(258));
        assert_eq!(integer(&(-5_i64).to_le_bytes(), true, false), Ok(-5));
        assert_eq!(integer(&i64::MIN.to_be_bytes(), true, true), Ok(i64::MIN));
        assert!(integer(&u64::MAX.to_le_bytes(), false, false).is_err());
    }

    #[test]
    fn floats_of_both_widths_and_orders() {
        assert_eq!(real(&1.5_f32.to_le_bytes(), false), Ok(1.5));
        assert_eq!(real(&(-2.25_f32).to_be_bytes(), true), Ok(-2.25));
        assert_eq!(real(&0.1_f64.to_le_bytes(), false), Ok(0.1));
        assert_eq!(real(&1e300_f64.to_be_bytes(), true), Ok(1e300));
        assert!(real(&[0; 2], false).is_err());
    }

    #[test]
    fn fortran_order_is_turned() {
        let header = parse("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3)}").unwrap();
        let array = array(&header, vec![1, 4, 2, 5, 3, 6]).unwrap();
        assert_eq!(array.values, Values::Bytes(vec![1, 2, 3, 4, 5, 6]));
    }
}
