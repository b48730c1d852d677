//! The segments before and between the scans of a JPEG.

use super::codes::{Codes, Kind};

/// No step of a quantisation is larger: that a block of steps can be summed in 32 bits.
const LARGEST_STEP: u16 = 1 << 13;

/// What is known when a scan begins.
#[derive(Default)]
pub(super) struct Header {
    pub(super) width: usize,
    pub(super) height: usize,
    /// One, three or four.
    pub(super) components: Vec<Component>,
    pub(super) quantisation: [Option<[u16; 64]>; 4],
    pub(super) dc: [Option<Codes>; 4],
    pub(super) ac: [Option<Codes>; 4],
    /// After how many units the coding begins anew; 0 for never.
    pub(super) restart: usize,
}

/// What the segments lead to.
pub(super) enum Next {
    Scan(Scan),
    /// The end of the picture.
    End,
}

/// A scan, whose components know their tables.
pub(super) struct Scan {
    /// The places of its components in the frame, which rise.
    pub(super) places: Vec<usize>,
    /// Where its bits begin.
    pub(super) at: usize,
}

/// How many of something lie in a row, and how many rows of them there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) across: usize,
    pub(super) down: usize,
}

/// What the file says of one component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Component {
    id: u8,
    /// Its sampling factors: the blocks of one unit, 1 to 4 in each direction.
    pub(super) factors: Grid,
    /// Which tables it uses, 0..=3.
    pub(super) quantisation: usize,
    pub(super) dc: usize,
    pub(super) ac: usize,
}

impl Header {
    /// Reads the segments from `at` on, up to the next scan or the end; `None` where there is anything
    /// unusual. A file's first segment lies behind its two first bytes.
    pub(super) fn read_segments(&mut self, bytes: &[u8], mut at: usize) -> Option<Next> {
        loop {
            let &[0xff, code] = bytes.get(at..)?.first_chunk::<2>()? else { return None };
            if code == 0xff {
                // A marker may be preceded by any number of these.
                at += 1;
                continue;
            }
            if code == 0xd9 {
                return Some(Next::End);
            }
            let &[high, low] = bytes.get(at + 2..)?.first_chunk::<2>()?;
            let length = usize::from(u16::from_be_bytes([high, low]));
            let body = bytes.get(at + 4..at + 2 + length)?;
            at += 2 + length;
            match code {
                0xc0 | 0xc1 if self.components.is_empty() => self.read_frame(body)?,
                0xc4 => self.read_codes(body)?,
                0xda => return Some(Next::Scan(Scan { places: self.read_scan(body)?, at })),
                0xdb => self.read_quantisation(body)?,
                0xdd => {
                    let &[high, low] = body else { return None };
                    self.restart = usize::from(u16::from_be_bytes([high, low]));
                }
                // What programs keep for themselves, and comments.
                0xe0..=0xef | 0xfe => {}
                _ => return None,
            }
        }
    }

    /// The largest sampling factors across and down.
    pub(super) fn largest_factors(&self) -> Grid {
        let largest =
            |factor: fn(&Component) -> usize| self.components.iter().map(factor).max().unwrap_or(1);
        Grid {
            across: largest(|component| component.factors.across),
            down: largest(|component| component.factors.down),
        }
    }

    /// Whether luma has all samples, and chroma the same or half as many in a direction, quantised in steps
    /// of 8 bits.
    pub(super) fn is_common(&self) -> bool {
        let steps = self.quantisation.iter().flatten().flatten();
        if steps.into_iter().any(|&step| step > u16::from(u8::MAX)) {
            return false;
        }
        let sampling = |component: &Component| (component.factors.across, component.factors.down);
        match &self.components[..] {
            [grey] => sampling(grey) == (1, 1),
            [luma, chroma @ ..] => {
                matches!(sampling(luma), (1 | 2, 1 | 2))
                    && chroma.len() == 2
                    && chroma.iter().all(|chroma| sampling(chroma) == (1, 1))
            }
            [] => false,
        }
    }

    fn read_frame(&mut self, body: &[u8]) -> Option<()> {
        let (&[precision, h1, h0, w1, w0, count], components) = body.split_first_chunk::<6>()?;
        self.height = usize::from(u16::from_be_bytes([h1, h0]));
        self.width = usize::from(u16::from_be_bytes([w1, w0]));
        let supported = precision == 8 && self.width > 0 && self.height > 0;
        if !supported || !matches!(count, 1 | 3 | 4) || components.len() != 3 * usize::from(count) {
            return None;
        }
        for component in components.chunks_exact(3) {
            let (across, down) = (usize::from(component[1] >> 4), usize::from(component[1] & 15));
            if !(1..=4).contains(&across) || !(1..=4).contains(&down) {
                return None;
            }
            let quantisation = usize::from(component[2]);
            let factors = Grid { across, down };
            let component = Component { id: component[0], factors, quantisation, dc: 0, ac: 0 };
            self.components.push(component);
        }
        Some(())
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
            let (&[which], rest) = body.split_first_chunk::<1>()?;
            let (table, rest) = match which >> 4 {
                0 => {
                    let (table, rest) = rest.split_first_chunk::<64>()?;
                    (table.map(u16::from), rest)
                }
                1 => {
                    let (table, rest) = rest.split_first_chunk::<128>()?;
                    let (pairs, _) = table.as_chunks::<2>();
                    let mut values = [0; 64];
                    values
                        .iter_mut()
                        .zip(pairs)
                        .for_each(|(v, pair)| *v = u16::from_be_bytes(*pair));
                    (values, rest)
                }
                _ => return None,
            };
            if table.iter().any(|&value| value > LARGEST_STEP) {
                return None;
            }
            *self.quantisation.get_mut(usize::from(which & 15))? = Some(table);
            body = rest;
        }
        Some(())
    }

    /// The places of a scan's components, whose blocks are whole.
    fn read_scan(&mut self, body: &[u8]) -> Option<Vec<usize>> {
        let (&[count], rest) = body.split_first_chunk::<1>()?;
        let (choices, rest) = rest.split_at_checked(2 * usize::from(count))?;
        if count == 0 || rest != [0, 63, 0] {
            return None;
        }
        let mut places = Vec::new();
        for choice in choices.chunks_exact(2) {
            let from = places.last().map_or(0, |last| last + 1);
            let known = self.components.iter().skip(from);
            let place = from + known.take_while(|component| component.id != choice[0]).count();
            let component = self.components.get_mut(place)?;
            component.dc = usize::from(choice[1] >> 4);
            component.ac = usize::from(choice[1] & 15);
            places.push(place);
        }
        Some(places)
    }
}
