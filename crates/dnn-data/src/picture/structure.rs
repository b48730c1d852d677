//! The skeleton of JPEG and PNG files, which decoders do not look at to the end.

use flate2::Crc;

/// What the marker segments of a JPEG say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct JpegStructure {
    /// The code of the first frame header, 0xc0 to 0xcf.
    pub(super) frame: Option<u8>,
    /// The bits of a sample in that frame.
    pub(super) precision: u8,
    /// Where the bytes after the end-of-image marker begin; `None` if there is no such marker.
    pub(super) end: Option<usize>,
}

/// Walks the segments of a JPEG that begins with its start-of-image marker.
pub(super) fn jpeg_structure(bytes: &[u8]) -> JpegStructure {
    let mut found = JpegStructure::default();
    let mut at = 2;
    // From marker to marker; what lies between segments or in a scan has no marker in it.
    while let Some(skip) = bytes.get(at..).and_then(|rest| rest.iter().position(|&b| b == 0xff)) {
        at += skip + 1;
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
                    found.precision = bytes.get(at + 3).copied().unwrap_or(0);
                }
                at += length;
            }
        }
        at += 1;
    }
    found
}

/// Walks the chunks of a PNG and checks every checksum; gives where the bytes after the end begin.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn png_end(bytes: &[u8]) -> Result<usize, String> {
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
        at = after + 4;
        if kind == b"IEND" {
            return Ok(at);
        }
    }
}

/// Walks the blocks of a GIF; gives how many frames it has and where the bytes after its end begin.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn gif_frames(bytes: &[u8]) -> Result<(usize, usize), &'static str> {
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
    let mut frames = 0;
    loop {
        at = match byte(at)? {
            0x3b => return Ok((frames, at + 1)),
            0x21 => after_blocks(at + 2)?,
            0x2c => {
                frames += 1;
                after_blocks(at + 11 + table(byte(at + 9)?))?
            }
            _ => return Err("it has a block of an unknown kind"),
        };
    }
}
