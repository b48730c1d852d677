//! `.npy` files, NumPy's own: the form in which all programs of a measurement read the same numbers.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// A number that an array can consist of.
pub trait Number: Copy {
    /// NumPy's name for it.
    const DESCR: &'static str;
    /// How many bytes it takes.
    const BYTES: usize;
    /// From [`BYTES`](Self::BYTES) bytes, little-endian.
    fn from_bytes(bytes: &[u8]) -> Self;
    /// Little-endian.
    fn put(self, out: &mut Vec<u8>);
}

macro_rules! number {
    ($type:ty, $descr:literal) => {
        impl Number for $type {
            const DESCR: &'static str = $descr;
            const BYTES: usize = size_of::<$type>();

            fn from_bytes(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().expect("as many bytes as BYTES says"))
            }

            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
    };
}

number!(u8, "|u1");
number!(i64, "<i8");
number!(f32, "<f4");
number!(f64, "<f8");

/// Numbers that are read at a time.
const PIECE: usize = 1 << 14;

const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";

/// The header before the numbers, whose length is a multiple of 64.
fn header(descr: &str, shape: &[usize]) -> Vec<u8> {
    let dimensions: Vec<String> = shape.iter().map(|n| format!("{n},")).collect();
    let dimensions = dimensions.concat();
    let mut text =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({dimensions}), }}");
    let whole = (MAGIC.len() + 2 + text.len() + 1).next_multiple_of(64);
    text.push_str(&" ".repeat(whole - MAGIC.len() - 2 - text.len() - 1));
    text.push('\n');
    let length = u16::try_from(text.len()).expect("a short header");
    [MAGIC, &length.to_le_bytes(), text.as_bytes()].concat()
}

/// Writes an array, row-major.
///
/// # Errors
/// If the file cannot be written, or the shape has another number of numbers.
pub fn write<T: Number>(
    path: &Path,
    shape: &[usize],
    numbers: impl IntoIterator<Item = T>,
) -> Result<()> {
    let why = || format!("cannot write {}", path.display());
    let mut file = BufWriter::new(File::create(path).with_context(why)?);
    file.write_all(&header(T::DESCR, shape)).with_context(why)?;
    let (mut buffer, mut count) = (Vec::new(), 0);
    for number in numbers {
        number.put(&mut buffer);
        count += 1;
        if buffer.len() >= 1 << 16 {
            file.write_all(&buffer).with_context(why)?;
            buffer.clear();
        }
    }
    file.write_all(&buffer).and_then(|()| file.flush()).with_context(why)?;
    let expected: usize = shape.iter().product();
    ensure!(count == expected, "expected {expected} numbers for {shape:?}, found {count}");
    Ok(())
}

/// Reads an array that [`write()`] wrote: its shape and numbers, row-major.
///
/// # Errors
/// If the file cannot be read, or holds something else.
pub fn read<T: Number>(path: &Path) -> Result<(Vec<usize>, Vec<T>)> {
    read_as(path, |number| number)
}

/// The same, with each number as it comes made into another: there is no memory for both.
///
/// # Errors
/// As [`read`].
pub fn read_as<N: Number, T>(path: &Path, make: impl Fn(N) -> T) -> Result<(Vec<usize>, Vec<T>)> {
    let why = || format!("cannot read {}", path.display());
    let mut file = dnn_store::open_file(path)?;
    let mut start = [0; 10];
    file.read_exact(&mut start).with_context(why)?;
    ensure!(start.starts_with(MAGIC), "{} is no .npy file of version 1", path.display());
    let mut text = vec![0; usize::from(u16::from_le_bytes([start[8], start[9]]))];
    file.read_exact(&mut text).with_context(why)?;
    let text = String::from_utf8_lossy(&text);
    let shape = shape_in(&text).with_context(|| format!("no shape in `{}`", text.trim()))?;
    let expected = String::from_utf8_lossy(&header(N::DESCR, &shape)[10..]).into_owned();
    ensure!(text == expected, "{}: expected `{expected}`, found `{text}`", path.display());
    let count: usize = shape.iter().product();
    let (mut numbers, mut buffer) = (Vec::with_capacity(count), vec![0; PIECE * N::BYTES]);
    // Piece by piece: the whole file beside its numbers would be twice the memory.
    while numbers.len() < count {
        let piece = &mut buffer[..(count - numbers.len()).min(PIECE) * N::BYTES];
        let cut_short = || format!("{} is cut short", path.display());
        file.read_exact(piece).with_context(cut_short)?;
        numbers.extend(piece.chunks_exact(N::BYTES).map(|bytes| make(N::from_bytes(bytes))));
    }
    let more = file.read(&mut buffer).with_context(why)?;
    ensure!(more == 0, "{} is too long", path.display());
    Ok((shape, numbers))
}

/// The numbers between the brackets of `'shape': (…)`.
fn shape_in(header: &str) -> Option<Vec<usize>> {
    let (_, rest) = header.split_once("'shape': (")?;
    let (inside, _) = rest.split_once(')')?;
    let words = inside.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        write(&path, &[2, 3], [1_u8, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!(read::<u8>(&path).unwrap(), (vec![2, 3], vec![1, 2, 3, 4, 5, 6]));
        let bytes = std::fs::read(&path).unwrap();
        // Sixty-four bytes of header: NumPy maps files only so.
        assert_eq!((bytes.len() - 6) % 64, 0);
        assert!(String::from_utf8_lossy(&bytes).contains("'shape': (2,3,)"));
        write(&path, &[2], [0.5_f64, -1.0]).unwrap();
        assert_eq!(read::<f64>(&path).unwrap(), (vec![2], vec![0.5, -1.0]));
        assert!(read::<i64>(&path).is_err());
        assert!(write(&path, &[2], [1_i64]).is_err());
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(read::<u8>(&path).unwrap_err().to_string().contains("cut short"));
    }
}
