//! The skeleton of JPEG and PNG files, which decoders do not look at to the end.

use std::borrow::Cow;
use std::ops::Range;

use flate2::Crc;

/// What the marker segments of a JPEG say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct JpegStructure {
    /// The code of the first frame header, 0xc0 to 0xcf.
    pub(super) frame: Option<u8>,
    /// The bits of a sample in that frame.
    pub(super) precision: u8,
    /// The height in that frame.
    pub(super) height: u16,
    /// Whether there is a segment that gives the height after the first scan.
    pub(super) has_late_height: bool,
    /// Where in the file the sampling factors of each of its components lie, and what they are.
    pub(super) factors: Vec<(usize, u8)>,
    /// How many components the first scan has.
    pub(super) first_scan: Option<u8>,
    /// Where the bytes after the end-of-image marker begin; `None` if there is no such marker.
    pub(super) end: Option<usize>,
}

impl JpegStructure {
    /// Reads the frame header whose content begins at `at`, as far as it is there.
    fn read_frame(&mut self, bytes: &[u8], at: usize) {
        let content = bytes.get(at..).unwrap_or_default();
        let Some((&[precision, high, low, _, _, count], _)) = content.split_first_chunk::<6>()
        else {
            return;
        };
        self.precision = precision;
        self.height = u16::from_be_bytes([high, low]);
        let places = (0..usize::from(count)).map(|component| at + 6 + 3 * component + 1);
        let factors = places.map_while(|place| bytes.get(place).map(|&factors| (place, factors)));
        self.factors = factors.collect();
    }

    /// Whether the strict decoder draws its pixels rightly, by trial against libjpeg: unless the file is
    /// progressive, all components come in the first scan; across, the first has the largest sampling factor and
    /// all are powers of two; down, each has the largest or 1.
    pub(super) fn is_plain(&self) -> bool {
        let Some(&(_, first)) = self.factors.first() else { return true };
        let most_down = self.factors.iter().map(|&(_, both)| both & 15).max().unwrap_or(1);
        let usual = self.factors.iter().all(|&(_, both)| {
            let (across, down) = (both >> 4, both & 15);
            across.is_power_of_two() && across <= first >> 4 && (down == most_down || down == 1)
        });
        let in_first_scan =
            self.first_scan.is_none_or(|count| usize::from(count) == self.factors.len());
        usual && (in_first_scan || self.is_progressive())
    }

    /// Whether it is a progressive file.
    pub(super) fn is_progressive(&self) -> bool {
        self.frame == Some(0xc2)
    }

    /// Whether the height comes after the first scan, as the standard allows.
    pub(super) fn is_height_late(&self) -> bool {
        self.height == 0 && self.has_late_height
    }

    /// Whether one of the components has a part of the samples that is no whole number's.
    pub(super) fn is_fractional(&self) -> bool {
        let part = |factor: fn(u8) -> u8| {
            let factors = || self.factors.iter().map(|&(_, both)| factor(both));
            let most = factors().max().unwrap_or(1);
            factors().any(|one| one > 0 && !most.is_multiple_of(one))
        };
        part(|both| both >> 4) || part(|both| both & 15)
    }

    /// The sampling factors in words, as in `2x2, 1x1, 1x1`.
    pub(super) fn factors_in_words(&self) -> String {
        let words = self.factors.iter().map(|(_, both)| format!("{}x{}", both >> 4, both & 15));
        words.collect::<Vec<_>>().join(", ")
    }
}

/// Walks the segments of a JPEG that begins with its start-of-image marker.
pub(super) fn jpeg_structure(bytes: &[u8]) -> JpegStructure {
    let mut found = JpegStructure::default();
    let mut at = 2;
    // From marker to marker; what lies between segments or in a scan has no marker in it.
    while let Some(ones) = find_ff(bytes, at) {
        at = ones + 1;
        let Some(&code) = bytes.get(at) else { break };
        match code {
            // Fill bytes, stuffed zeros, restarts and other markers that stand alone.
            0xff => continue,
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            0xd9 => {
                found.end = Some(at + 1);
                break;
            }
            _ => {
                let length = bytes
                    .get(at + 1..at + 3)
                    .map_or(0, |length| usize::from(u16::from_be_bytes([length[0], length[1]])));
                let is_frame = matches!(code, 0xc0..=0xcf) && !matches!(code, 0xc4 | 0xc8 | 0xcc);
                if is_frame && found.frame.is_none() {
                    found.frame = Some(code);
                    found.read_frame(bytes, at + 3);
                }
                found.has_late_height |= code == 0xdc;
                if code == 0xda && found.first_scan.is_none() {
                    found.first_scan = bytes.get(at + 3).copied();
                }
                at += length;
            }
        }
        at += 1;
    }
    found
}

/// Where the first byte of ones lies from `at` on, with which every marker begins.
pub(super) fn find_ff(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    // Many at a time, which the compiler turns into vector instructions.
    let (chunks, tail) = rest.as_chunks::<32>();
    let has_ff =
        |chunk: &[u8; 32]| chunk.iter().fold(0, |any, &byte| any | u8::from(byte == 0xff)) > 0;
    let (from, within) = match chunks.iter().position(has_ff) {
        Some(chunk) => (32 * chunk, &chunks[chunk][..]),
        None => (32 * chunks.len(), tail),
    };
    Some(at + from + within.iter().position(|&byte| byte == 0xff)?)
}

/// What the chunks of a PNG say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PngStructure {
    /// Where the bytes after the end begin.
    pub(super) end: usize,
    /// Where chunks lie that may be compressed and are no part of the picture: its colour profile and
    /// texts.
    pub(super) beside: Vec<Range<usize>>,
}

/// Walks the chunks of a PNG and checks every checksum.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn png_structure(bytes: &[u8]) -> Result<PngStructure, String> {
    let mut beside = Vec::new();
    let mut at = 8;
    loop {
        let header = bytes.get(at..at + 8).ok_or("it is cut short")?;
        let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let kind = &header[4..8];
        let name = kind.escape_ascii();
        let body = bytes.get(at + 4..).and_then(|rest| rest.get(..length.saturating_add(4)));
        let body = body.ok_or_else(|| format!("it is cut short in its chunk {name}"))?;
        let after = at + 8 + length;
        let stored = bytes.get(after..after + 4);
        let stored = stored.ok_or_else(|| format!("it is cut short in its chunk {name}"))?;
        let mut crc = Crc::new();
        crc.update(body);
        let (expected, found) = (crc.sum().to_be_bytes(), stored);
        if expected != found {
            return Err(format!("the checksum of its chunk {name} is wrong"));
        }
        if [b"iCCP", b"iTXt", b"tEXt", b"zTXt"].iter().any(|other| kind == *other) {
            beside.push(at..after + 4);
        }
        at = after + 4;
        if kind == b"IEND" {
            return Ok(PngStructure { end: at, beside });
        }
    }
}

/// The file without these parts; a copy only where there are any.
pub(super) fn without<'a>(bytes: &'a [u8], parts: &[Range<usize>]) -> Cow<'a, [u8]> {
    if parts.is_empty() {
        return Cow::Borrowed(bytes);
    }
    let mut rest = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for part in parts {
        rest.extend_from_slice(&bytes[from..part.start]);
        from = part.end;
    }
    rest.extend_from_slice(&bytes[from..]);
    Cow::Owned(rest)
}

/// Walks the chunks of a WebP; gives where the bytes after its end begin.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn webp_end(bytes: &[u8]) -> Result<usize, &'static str> {
    const CUT: &str = "it is cut short";
    let size = |at: usize| -> Option<usize> {
        let size = bytes.get(at..at + 4)?.first_chunk::<4>()?;
        usize::try_from(u32::from_le_bytes(*size)).ok()
    };
    let end = size(4).and_then(|size| size.checked_add(8)).ok_or(CUT)?;
    if end > bytes.len() {
        return Err(CUT);
    }
    let mut at = 12;
    while at < end {
        let length = size(at + 4).ok_or(CUT)?;
        // Chunks begin at even places.
        at = length.checked_add(at + 8).ok_or(CUT)?;
        if at > end {
            return Err("one of its chunks is longer than the file");
        }
        at = at.next_multiple_of(2);
    }
    Ok(end)
}

/// Whether the run-length coded pixels of a BMP have their end marker; true for other BMPs.
pub(super) fn bmp_ends(bytes: &[u8]) -> bool {
    let number = |at: usize| -> Option<usize> {
        let number = bytes.get(at..at + 4)?.first_chunk::<4>()?;
        usize::try_from(u32::from_le_bytes(*number)).ok()
    };
    // The compression, in headers that have one: 1 packs a pixel a byte, 2 two.
    let compression = number(14).filter(|&header| header >= 40).and_then(|_| number(30));
    let packed = match compression {
        Some(1) => 1,
        Some(2) => 2,
        _ => return true,
    };
    let mut at = number(10).unwrap_or(usize::MAX);
    while let Some(&[count, value]) = bytes.get(at..).and_then(|rest| rest.first_chunk::<2>()) {
        at += 2;
        at += match (count, value) {
            (0, 1) => return true,
            // A jump.
            (0, 2) => 2,
            // Pixels as they are, filled up to an even length.
            (0, 3..) => usize::from(value).div_ceil(packed).next_multiple_of(2),
            _ => 0,
        };
    }
    false
}

/// The frames of a GIF.
pub(super) struct GifFrames {
    pub(super) count: usize,
    /// Where the bytes after the end of the GIF begin.
    pub(super) end: usize,
}

/// Walks the blocks of a GIF.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn gif_frames(bytes: &[u8]) -> Result<GifFrames, &'static str> {
    const CUT: &str = "it is cut short";
    let byte = |at: usize| bytes.get(at).copied().ok_or(CUT);
    // A table of colours follows where the highest bit is set, with 2^(n + 1) colours.
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let after_blocks = |mut at: usize| -> Result<usize, &'static str> {
        loop {
            let length = usize::from(byte(at)?);
            at += 1 + length;
            if length == 0 {
                return Ok(at);
            }
        }
    };
    let mut at = 13 + table(byte(10)?);
    let mut count = 0;
    loop {
        at = match byte(at)? {
            0x3b => return Ok(GifFrames { count, end: at + 1 }),
            0x21 => after_blocks(at + 2)?,
            0x2c => {
                count += 1;
                after_blocks(at + 11 + table(byte(at + 9)?))?
            }
            _ => return Err("it has a block of an unknown kind"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ones_are_found_wherever_they_are() {
        for length in [0, 1, 31, 32, 33, 64, 100] {
            assert_eq!(find_ff(&vec![0xfe; length], 0), None);
            for place in 0..length {
                let mut bytes = vec![0; length];
                bytes[place] = 0xff;
                bytes[length - 1] = 0xff;
                for at in 0..length {
                    let expected = if at <= place { place } else { length - 1 };
                    assert_eq!(find_ff(&bytes, at), Some(expected), "{length} {place} {at}");
                }
                assert_eq!(find_ff(&bytes, length + 1), None);
            }
        }
    }
}
