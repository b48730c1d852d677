//! Huffman codes as tables.

use super::bits::Bits;

/// How many bits find a symbol at once.
const WIDE: u32 = 10;
/// How many bits find several symbols at once.
const STRIDE: u32 = 11;

/// A code and the bits that follow it: how many coefficients of zero come first, how many bits follow the
/// code, and how many bits both are, from the highest.
#[derive(Clone, Copy)]
pub(super) struct Symbol(u16);

impl Symbol {
    /// What no code stands for.
    const NONE: Self = Self(0);

    /// The code of `length` bits for `symbol`, a run in its upper half and a size in the lower; none for
    /// what does not occur with samples of 8 bits.
    fn new(length: u16, symbol: u8, kind: Kind) -> Self {
        let (run, size) = (u16::from(symbol >> 4), u16::from(symbol & 15));
        let allowed = match kind {
            Kind::Dc => run == 0 && size <= 11,
            Kind::Ac => size <= 10 && (size > 0 || run == 0 || run == 15),
        };
        if allowed { Self(run << 9 | size << 5 | (length + size)) } else { Self::NONE }
    }

    /// Bits of the code and of what follows it.
    #[inline]
    fn length(self) -> u32 {
        u32::from(self.0 & 31)
    }

    /// Bits of what follows the code.
    #[inline]
    pub(super) fn size(self) -> u32 {
        u32::from(self.0 >> 5 & 15)
    }

    /// How many coefficients of zero come before the one that follows the code.
    #[inline]
    pub(super) fn run(self) -> usize {
        usize::from(self.0 >> 9)
    }

    /// Whether it says that the block has no more coefficients.
    #[inline]
    pub(super) fn is_end(self) -> bool {
        self.0 >> 5 == 0
    }
}

/// Which coefficients a table is for: the mean of a block, or the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Dc,
    Ac,
}

/// Several symbols of coefficients that are passed over.
#[derive(Clone, Copy)]
pub(super) struct Leap(u16);

impl Leap {
    /// That a block has no more.
    const END: u16 = 1 << 15;

    fn new(length: u32, count: usize) -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "at most 63")]
        Self((count as u16) << 5 | length as u16)
    }

    /// All their bits; 0 stands for no leap.
    #[inline]
    fn length(self) -> u32 {
        u32::from(self.0 & 31)
    }

    /// How many coefficients they stand for.
    #[inline]
    fn count(self) -> usize {
        usize::from(self.0 >> 5 & 63)
    }

    /// Whether the last of them says that the block has no more.
    #[inline]
    fn is_end(self) -> bool {
        self.0 & Self::END != 0
    }
}

/// The codes of one table of a JPEG.
pub(super) struct Codes {
    /// By the next [`WIDE`] bits; none where the code is longer or wrong.
    wide: Box<[Symbol; 1 << WIDE]>,
    /// By the next [`STRIDE`] bits; no leap where not even one symbol is whole. Of no use for means.
    leaps: Box<[Leap; 1 << STRIDE]>,
    /// Of each length from 1: the first code that is too high, aligned to 16 bits, and what leads from
    /// a code to its place among the symbols.
    long: [(u32, u32); 16],
    symbols: Vec<u8>,
    kind: Kind,
}

impl Codes {
    /// Codes of which `counts` have each length from 1 to 16; `None` if there cannot be such codes.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8], kind: Kind) -> Option<Self> {
        // Symbols that do not occur are put up with, but for what the strict decoder refuses unseen.
        if kind == Kind::Dc && symbols.iter().any(|&symbol| symbol > 15) {
            return None;
        }
        let mut wide = Box::new([Symbol::NONE; 1 << WIDE]);
        let mut long = [(0, 0); 16];
        let (mut code, mut place) = (0_u32, 0_u32);
        for (length, (&count, long)) in (1_u16..).zip(counts.iter().zip(&mut long)) {
            code <<= 1;
            let offset = place.wrapping_sub(code);
            for _ in 0..count {
                if u32::from(length) <= WIDE {
                    let symbol = Symbol::new(length, *symbols.get(place as usize)?, kind);
                    let equal = 1 << (WIDE - u32::from(length));
                    let from = code as usize * equal;
                    wide.get_mut(from..from + equal)?.fill(symbol);
                }
                code += 1;
                place += 1;
            }
            // A code of ones alone is not allowed.
            if count > 0 && code >= 1 << length {
                return None;
            }
            *long = (code << (16 - length), offset);
        }
        let symbols = (place as usize == symbols.len()).then(|| symbols.to_vec())?;
        let leaps = Box::new([Leap(0); 1 << STRIDE]);
        let mut codes = Self { wide, leaps, long, symbols, kind };
        if kind == Kind::Ac {
            for bits in 0..1 << STRIDE {
                codes.leaps[bits] = codes.leap_of(bits);
            }
        }
        Some(codes)
    }

    /// As many whole symbols as these [`STRIDE`] bits hold.
    fn leap_of(&self, bits: usize) -> Leap {
        let (mut length, mut count) = (0, 0);
        loop {
            // The bits that are left, and zeros.
            let left = bits << length & ((1 << STRIDE) - 1);
            let symbol = self.wide[left >> (STRIDE - WIDE)];
            let after = count + symbol.run() + 1;
            let whole = symbol.length() > 0 && length + symbol.length() <= STRIDE;
            if !whole || after > 63 {
                return Leap::new(length, count);
            }
            length += symbol.length();
            if symbol.is_end() {
                return Leap(Leap::new(length, count).0 | Leap::END);
            }
            count = after;
        }
    }

    /// Reads a code and what follows it, which is held; gives the number that the latter stands for.
    #[allow(clippy::inline_always, reason = "the bits stay in registers: 12 % of a picture's time")]
    #[inline(always)]
    pub(super) fn read(&self, bits: &mut Bits<'_>) -> Option<(Symbol, i32)> {
        let mut symbol = self.wide[bits.peek::<WIDE>()];
        if symbol.length() == 0 {
            symbol = self.find_long(bits.peek::<16>())?;
        }
        let size = symbol.size();
        // One bit too many is taken and dropped, so that none need not be told apart.
        #[allow(clippy::cast_possible_truncation, reason = "at most 12 bits")]
        let value = (bits.after(symbol.length() - size, size + 1) >> 1) as i32;
        bits.pass(symbol.length());
        // What begins with a zero is negative.
        let half = (1 << size) >> 1;
        Some((symbol, if value < half { value - (1 << size) + 1 } else { value }))
    }

    /// The symbol of a code that the table by [`WIDE`] bits does not have and these 16 bits begin with.
    #[cold]
    fn find_long(&self, next: usize) -> Option<Symbol> {
        #[allow(clippy::cast_possible_truncation, reason = "16 bits")]
        let next = next as u32;
        let (length, (_, offset)) = (1..).zip(&self.long).find(|(_, (end, _))| next < *end)?;
        let place = (next >> (16 - length)).wrapping_add(*offset);
        let symbol = Symbol::new(length, *self.symbols.get(place as usize)?, self.kind);
        (symbol.length() > 0).then_some(symbol)
    }

    /// Passes over the coefficients of a block from `place` to its end.
    #[allow(clippy::inline_always, reason = "the bits stay in registers: 12 % of a picture's time")]
    #[inline(always)]
    pub(super) fn skip(&self, bits: &mut Bits<'_>, mut place: usize) -> Option<()> {
        while place < 64 {
            bits.refill()?;
            // As many as surely are held.
            for _ in 0..56 / STRIDE {
                let leap = self.leaps[bits.peek::<STRIDE>()];
                let after = place + leap.count();
                if leap.length() == 0 || after > 63 {
                    // One symbol, and no further than to the end of the block.
                    bits.refill()?;
                    let (symbol, _) = self.read(bits)?;
                    if symbol.is_end() {
                        return Some(());
                    }
                    place += symbol.run() + 1;
                    if place > 64 {
                        return None;
                    }
                    break;
                }
                bits.pass(leap.length());
                if leap.is_end() {
                    return Some(());
                }
                place = after;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::ChaCha8Rng;
    use rand::{Rng as _, SeedableRng as _};

    use super::super::bits::Interval;
    use super::*;

    /// A table of random codes, the end of a block among them.
    fn random_table(draws: &mut ChaCha8Rng) -> ([u8; 16], Vec<u8>) {
        let mut counts = [0; 16];
        let mut symbols = vec![0];
        let mut free = 1;
        for (length, count) in (1..=16).zip(&mut counts) {
            free *= 2;
            // One code is left over, of ones; the last length takes what it can.
            let most = if length == 16 { 100 } else { draws.next_u32() % 4 };
            *count = u8::try_from(most.min(free - 1)).unwrap();
            free -= u32::from(*count);
            for _ in 0..*count {
                let [run, size, ..] = draws.next_u32().to_le_bytes();
                let (run, size) = (run % 16, size % 11);
                symbols.push(if size > 0 || run == 15 { run * 16 + size } else { 0x11 });
            }
        }
        symbols.truncate(counts.iter().map(|&count| usize::from(count)).sum());
        (counts, symbols)
    }

    /// The codes as text, in the order of the symbols: each is the one before plus 1, longer by zeros.
    fn texts(counts: &[u8; 16]) -> Vec<String> {
        let mut code = 0_u32;
        let mut texts = Vec::new();
        for (length, &count) in (1..).zip(counts) {
            code *= 2;
            texts.extend((code..).take(count.into()).map(|code| format!("{code:0length$b}")));
            code += u32::from(count);
        }
        texts
    }

    /// A number of this many bits, negative ones one less than their low bits.
    fn number(draws: &mut ChaCha8Rng, size: usize) -> (i32, String) {
        let bits = if size == 0 { 0 } else { draws.next_u32() % (1 << size) };
        let text = if size == 0 { String::new() } else { format!("{bits:0size$b}") };
        let bits = bits.cast_signed();
        (if text.starts_with('0') { bits - (1 << size) + 1 } else { bits }, text)
    }

    fn interval(mut text: String) -> Interval {
        while !text.len().is_multiple_of(8) {
            text.push('1');
        }
        let mut file = Vec::new();
        for place in (0..text.len()).step_by(8) {
            let byte = u8::from_str_radix(&text[place..place + 8], 2).unwrap();
            file.push(byte);
            if byte == 0xff {
                file.push(0);
            }
        }
        file.extend([0xff, 0xd9]);
        let mut interval = Interval::default();
        interval.read(&file, 0).unwrap();
        interval
    }

    #[test]
    fn blocks_are_read_and_passed_over_in_step() {
        let mut draws = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..200 {
            let (counts, symbols) = random_table(&mut draws);
            let codes = Codes::new(&counts, &symbols, Kind::Ac).unwrap();
            let texts = texts(&counts);
            let mut text = String::new();
            let mut blocks = Vec::new();
            for _ in 0..30 {
                let (mut place, mut block) = (1, Vec::new());
                while place < 64 {
                    let at = draws.next_u32() as usize % symbols.len();
                    let (run, size) =
                        (usize::from(symbols[at] >> 4), usize::from(symbols[at] & 15));
                    let end = symbols[at] == 0 || place + run + 1 > 64;
                    let (at, size) = if end { (0, 0) } else { (at, size) };
                    let (value, bits) = number(&mut draws, size);
                    text += &(texts[at].clone() + &bits);
                    block.push((symbols[at], value));
                    place = if end { 64 } else { place + run + 1 };
                }
                blocks.push(block);
            }
            let interval = interval(text);
            let mut bits = interval.bits();
            for block in blocks {
                // Some symbols are read, the rest passed over.
                let mut place = 1;
                for &(expected, value) in block.iter().take(draws.next_u32() as usize % 12) {
                    bits.refill().unwrap();
                    let (symbol, found) = codes.read(&mut bits).unwrap();
                    let found = (symbol.run() * 16 + symbol.size() as usize, found);
                    assert_eq!(found, (expected.into(), value));
                    place = if symbol.is_end() { 64 } else { place + symbol.run() + 1 };
                }
                codes.skip(&mut bits, place).unwrap();
            }
            assert!(bits.is_at_end());
        }
    }

    #[test]
    fn a_block_that_is_too_long_and_a_wrong_code_are_refused() {
        // 0: the end. 10: 15 zeros and one coefficient of one bit.
        let codes =
            Codes::new(&[1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[0, 0xf1], Kind::Ac);
        let codes = codes.unwrap();
        for (text, fits) in [
            ("0", true),
            ("1010", true),
            // From 1, 16 three times is 49, and once more 65.
            ("101101101", false),
            ("1011011010", true),
            ("101101101101", false),
            ("11", false),
        ] {
            let interval = interval(text.to_owned() + if fits { "" } else { "111111111111111111" });
            assert_eq!(codes.skip(&mut interval.bits(), 1).is_some(), fits, "{text}");
        }
    }

    #[test]
    fn tables_that_cannot_be_are_refused() {
        let counts = |first, second| {
            let mut counts = [0; 16];
            (counts[0], counts[1]) = (first, second);
            counts
        };
        assert!(Codes::new(&counts(1, 1), &[1, 2], Kind::Ac).is_some());
        // The last code would be of ones, there are too many, or not as many symbols as codes.
        assert!(Codes::new(&counts(2, 0), &[1, 2], Kind::Ac).is_none());
        assert!(Codes::new(&counts(1, 2), &[1, 2, 3], Kind::Ac).is_none());
        assert!(Codes::new(&counts(1, 3), &[1, 2, 3, 4], Kind::Ac).is_none());
        assert!(Codes::new(&counts(1, 1), &[1], Kind::Ac).is_none());
        assert!(Codes::new(&counts(1, 1), &[1, 2, 3], Kind::Ac).is_none());
        // A mean of 16 bits.
        assert!(Codes::new(&counts(1, 1), &[1, 16], Kind::Dc).is_none());
    }
}
