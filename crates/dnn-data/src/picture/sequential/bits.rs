//! The bits of a scan, the highest of each byte first.

use crate::picture::structure::find_ff;

/// Zeros after the last byte, so that a refill near the end finds eight bytes.
const PADDING: usize = 16;

/// What lies between two markers of a scan, without the zeros that are stuffed after each byte of ones.
#[derive(Default)]
pub(super) struct Interval {
    /// The bytes, and [`PADDING`] zeros.
    bytes: Vec<u8>,
}

impl Interval {
    /// Reads from `at` up to the next marker; gives its code and where the bytes after it begin.
    pub(super) fn read(&mut self, file: &[u8], mut at: usize) -> Option<(u8, usize)> {
        self.bytes.clear();
        loop {
            let found = find_ff(file, at)?;
            self.bytes.extend_from_slice(&file[at..found]);
            at = found + 2;
            match *file.get(found + 1)? {
                0 => self.bytes.push(0xff),
                code => {
                    self.bytes.extend_from_slice(&[0; PADDING]);
                    return Some((code, at));
                }
            }
        }
    }

    /// Its bits, from the first.
    pub(super) fn bits(&self) -> Bits<'_> {
        Bits { bytes: &self.bytes, next: 0, word: 0, held: 0 }
    }
}

/// Reads an [`Interval`] bit by bit. A loop works on a copy, which stays in registers.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The first byte of which not all bits are held.
    next: usize,
    /// The next bits, from the highest. Bits beyond those held are zero or what will be there.
    word: u64,
    held: u32,
}

impl Bits<'_> {
    /// Holds at least 56 bits; `None` well after the end.
    #[inline]
    pub(super) fn refill(&mut self) -> Option<()> {
        let next = self.bytes.get(self.next..)?.first_chunk::<8>()?;
        self.word |= u64::from_be_bytes(*next) >> self.held;
        // Whole bytes, until there is no room for one more.
        self.next += ((63 - self.held) >> 3) as usize;
        self.held |= 0b11_1000;
        Some(())
    }

    /// The next `COUNT` bits as a number.
    #[inline]
    pub(super) fn peek<const COUNT: u32>(&self) -> usize {
        #[allow(clippy::cast_possible_truncation, reason = "at most 16 bits are asked for")]
        let next = (self.word >> (64 - COUNT)) as usize;
        next
    }

    /// The `count` bits after the next `skipped`, at the lower end; `count` is 1 to 63.
    #[inline]
    pub(super) fn after(&self, skipped: u32, count: u32) -> u64 {
        (self.word << skipped) >> (64 - count)
    }

    /// Passes over bits that are held.
    #[inline]
    pub(super) fn pass(&mut self, count: u32) {
        debug_assert!(count <= self.held, "a refill is missing");
        self.word <<= count;
        self.held -= count;
    }

    /// Whether everything was read but for what fills the last byte.
    pub(super) fn is_at_end(&self) -> bool {
        let there = 8 * (self.bytes.len() - PADDING);
        let read = 8 * self.next - self.held as usize;
        there.checked_sub(read).is_some_and(|left| left < 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_ends_at_its_marker_and_loses_its_stuffing() {
        let file = [9, 1, 0xff, 0, 0xff, 0, 2, 0xff, 0xd3, 7, 0xff, 0xd9];
        let mut interval = Interval::default();
        assert_eq!(interval.read(&file, 1), Some((0xd3, 9)));
        assert_eq!(interval.bytes[..4], [1, 0xff, 0xff, 2]);
        assert_eq!(interval.read(&file, 9), Some((0xd9, 12)));
        assert_eq!(interval.bytes[..1], [7]);
        // No marker, and half of one.
        assert_eq!(interval.read(&file[..7], 1), None);
        assert_eq!(interval.read(&file[..8], 1), None);
    }

    #[test]
    fn bits_come_in_order_and_their_end_is_known() {
        let mut file: Vec<u8> = (0..100_u8).collect();
        file.extend([0xff, 0xd9]);
        let mut interval = Interval::default();
        interval.read(&file, 0).unwrap();
        let mut bits = interval.bits();
        let mut text = String::new();
        // 1 + 2 + … + 11 = 66 bits at a time, twelve times, leave 8.
        for count in (1..=11).cycle().take(132) {
            assert!(!bits.is_at_end());
            bits.refill().unwrap();
            text += &format!("{:0width$b}", bits.after(0, count), width = count as usize);
            bits.pass(count);
        }
        let bytes: Vec<String> = (0..99_u8).map(|byte| format!("{byte:08b}")).collect();
        assert_eq!(text, bytes.concat());
        // Of the last byte, all may be filling but one bit.
        bits.refill().unwrap();
        assert_eq!(bits.peek::<8>(), 99);
        assert!(!bits.is_at_end());
        bits.pass(1);
        assert!(bits.is_at_end());
        bits.pass(7);
        assert!(bits.is_at_end());
        bits.pass(1);
        assert!(!bits.is_at_end());
        assert!((0..20).any(|_| {
            let ended = bits.refill().is_none();
            bits.pass(bits.held);
            ended
        }));
    }
}
