//! The segments before the scan of a JPEG.

use super::codes::{Codes, Kind};

/// What is known when the scan begins.
pub(super) struct Header {
    pub(super) width: usize,
    pub(super) height: usize,
    /// One, or three: luma and two of chroma.
    pub(super) components: Vec<Component>,
    pub(super) quantisation: [Option<[u8; 64]>; 4],
    pub(super) dc: [Option<Codes>; 4],
    pub(super) ac: [Option<Codes>; 4],
    /// After how many units the coding begins anew; 0 for never.
    pub(super) restart: usize,
    /// Where the scan begins.
    pub(super) scan: usize,
}

/// What the file says of one component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Component {
    id: u8,
    /// Blocks of one unit in a row and a column of it: 1 or 2.
    pub(super) across: usize,
    pub(super) down: usize,
    /// Which tables it uses, 0..=3.
    pub(super) quantisation: usize,
    pub(super) dc: usize,
    pub(super) ac: usize,
}

impl Header {
    /// Reads the segments; `None` where there is anything unusual.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut header = Self {
            width: 0,
            height: 0,
            components: Vec::new(),
            quantisation: [None; 4],
            dc: [const { None }; 4],
            ac: [const { None }; 4],
            restart: 0,
            scan: 0,
        };
        if !bytes.starts_with(&[0xff, 0xd8]) {
            return None;
        }
        let mut at = 2;
        while header.scan == 0 {
            let &[0xff, code, high, low] = bytes.get(at..)?.first_chunk::<4>()? else {
                return None;
            };
            let length = usize::from(u16::from_be_bytes([high, low]));
            let body = bytes.get(at + 4..at + 2 + length)?;
            at += 2 + length;
            match code {
                0xc0 | 0xc1 if header.components.is_empty() => header.read_frame(body)?,
                0xc4 => header.read_codes(body)?,
                0xda => {
                    header.read_scan(body)?;
                    header.scan = at;
                }
                0xdb => header.read_quantisation(body)?,
                0xdd => {
                    let &[high, low] = body else { return None };
                    header.restart = usize::from(u16::from_be_bytes([high, low]));
                }
                // What programs keep for themselves, and comments.
                0xe0..=0xef | 0xfe => {}
                _ => return None,
            }
        }
        Some(header)
    }

    fn read_frame(&mut self, body: &[u8]) -> Option<()> {
        let (&[precision, h1, h0, w1, w0, count], components) = body.split_first_chunk::<6>()?;
        self.height = usize::from(u16::from_be_bytes([h1, h0]));
        self.width = usize::from(u16::from_be_bytes([w1, w0]));
        let usual = precision == 8 && self.width > 0 && self.height > 0;
        if !usual || !matches!(count, 1 | 3) || components.len() != 3 * usize::from(count) {
            return None;
        }
        for component in components.chunks_exact(3) {
            let (across, down) = (usize::from(component[1] >> 4), usize::from(component[1] & 15));
            let quantisation = usize::from(component[2]);
            let component =
                Component { id: component[0], across, down, quantisation, dc: 0, ac: 0 };
            self.components.push(component);
        }
        let sampling = |component: &Component| (component.across, component.down);
        let (first, others) = self.components.split_first()?;
        // Luma has all samples; chroma the same, or half as many in a direction.
        let known = if others.is_empty() {
            sampling(first) == (1, 1)
        } else {
            matches!(sampling(first), (1 | 2, 1 | 2))
                && others.iter().all(|chroma| sampling(chroma) == (1, 1))
        };
        known.then_some(())
    }

    fn read_codes(&mut self, mut body: &[u8]) -> Option<()> {
        while !body.is_empty() {
            let (&[which], rest) = body.split_first_chunk::<1>()?;
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let total = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, rest) = rest.split_at_checked(total)?;
            let (kind, tables) = match which >> 4 {
                0 => (Kind::Dc, &mut self.dc),
                1 => (Kind::Ac, &mut self.ac),
                _ => return None,
            };
            let table = tables.get_mut(usize::from(which & 15))?;
            *table = Some(Codes::new(counts, symbols, kind)?);
            body = rest;
        }
        Some(())
    }

    fn read_quantisation(&mut self, mut body: &[u8]) -> Option<()> {
        while !body.is_empty() {
            // With a precision above 8 bits, the upper half is not 0.
            let (&[which], rest) = body.split_first_chunk::<1>()?;
            let (table, rest) = rest.split_first_chunk::<64>()?;
            *self.quantisation.get_mut(usize::from(which))? = Some(*table);
            body = rest;
        }
        Some(())
    }

    /// The one scan has all components in their order, whole.
    fn read_scan(&mut self, body: &[u8]) -> Option<()> {
        let (&[count], rest) = body.split_first_chunk::<1>()?;
        let (choices, rest) = rest.split_at_checked(2 * usize::from(count))?;
        if usize::from(count) != self.components.len() || rest != [0, 63, 0] {
            return None;
        }
        for (component, choice) in self.components.iter_mut().zip(choices.chunks_exact(2)) {
            if choice[0] != component.id {
                return None;
            }
            component.dc = usize::from(choice[1] >> 4);
            component.ac = usize::from(choice[1] & 15);
        }
        Some(())
    }
}
