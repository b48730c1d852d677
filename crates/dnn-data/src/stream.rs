//! A stream of random numbers that is a function of a seed and a purpose, the same for ever.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

/// A stream of random numbers: ChaCha8 under a key made of a seed and a purpose.
pub(crate) struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of a seed and a purpose.
    ///
    /// The 32 bytes of the key are the seed (8 bytes, little-endian), the purpose (8 bytes of ASCII,
    /// filled up with zeros) and 16 zeros; block counter and nonce begin at 0.
    pub(crate) fn new(seed: u64, purpose: [u8; 8]) -> Self {
        Self::of_two(seed, purpose, [0, 0])
    }

    /// The stream of a seed, a purpose and two numbers, which take the place of the 16 zeros, 8 bytes
    /// each, little-endian.
    pub(crate) fn of_two(seed: u64, purpose: [u8; 8], [first, second]: [u64; 2]) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&purpose);
        key[16..24].copy_from_slice(&first.to_le_bytes());
        key[24..].copy_from_slice(&second.to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// The next 32 bits.
    pub(crate) fn word(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// A number below `bound`, each with the same chance.
    ///
    /// Masked rejection: draw 32 bits, keep as many low bits as `bound - 1` has, draw again while the
    /// result is not below `bound`. There is no bias, and on average fewer than two draws are needed. A
    /// bound above 2^32 takes a second draw for the high bits.
    fn below(&mut self, bound: u64) -> u64 {
        debug_assert!(bound > 0);
        let mask = u64::MAX.checked_shr((bound - 1).leading_zeros()).unwrap_or(0);
        loop {
            let low = u64::from(self.0.next_u32());
            let high = if mask > u64::from(u32::MAX) { u64::from(self.0.next_u32()) } else { 0 };
            let number = (high << 32 | low) & mask;
            if number < bound {
                return number;
            }
        }
    }

    /// Puts `items` into a random order: Fisher-Yates, from the last place to the second.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for place in (1..items.len()).rev() {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "at most `place`, which is a usize"
            )]
            let other = self.below(place as u64 + 1) as usize;
            items.swap(place, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The fixed values of this module never change: splits made by older versions must come out the
    // same. They were computed a second time by a ChaCha8 written from RFC 8439 with 8 rounds.

    #[test]
    fn words_of_a_seed_and_a_purpose_are_fixed() {
        let mut stream = Stream::new(1, *b"split\0\0\0");
        let words: [u32; 4] = std::array::from_fn(|_| stream.0.next_u32());
        assert_eq!(words, [0xc6a7_441c, 0x8bac_f943, 0xc31b_0b92, 0x8141_5bca]);
    }

    #[test]
    fn numbers_below_a_bound_are_fixed() {
        let mut stream = Stream::new(7, *b"split\0\0\0");
        let numbers: [u64; 8] = std::array::from_fn(|_| stream.below(10));
        assert_eq!(numbers, [2, 8, 8, 9, 6, 1, 4, 1]);
        let numbers: [u64; 2] = std::array::from_fn(|_| stream.below(1 << 40));
        assert_eq!(numbers, [482_179_824_521, 115_997_093_848]);
    }

    #[test]
    fn a_shuffle_is_fixed_and_loses_nothing() {
        let mut items: Vec<u32> = (0..10).collect();
        Stream::new(1, *b"split\0\0\0").shuffle(&mut items);
        assert_eq!(items, [7, 0, 4, 1, 5, 6, 9, 8, 2, 3]);
        let mut one = [3];
        Stream::new(1, [0; 8]).shuffle(&mut one);
        Stream::new(1, [0; 8]).shuffle::<u32>(&mut []);
        assert_eq!(one, [3]);
    }

    #[test]
    fn seeds_and_purposes_give_other_streams() {
        let first = |seed, purpose| Stream::new(seed, purpose).0.next_u32();
        assert_ne!(first(1, *b"split\0\0\0"), first(2, *b"split\0\0\0"));
        assert_ne!(first(1, *b"split\0\0\0"), first(1, *b"other\0\0\0"));
    }

    #[test]
    fn every_number_below_a_bound_comes_up_about_as_often() {
        // 6,000 throws of a die: 1,000 expected, standard deviation sqrt(6000 * 1/6 * 5/6) = 29.
        let mut stream = Stream::new(3, *b"split\0\0\0");
        let mut counts = [0_u32; 6];
        for _ in 0..6000 {
            counts[usize::try_from(stream.below(6)).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (880..1120).contains(count)), "{counts:?}");
        assert_eq!(stream.below(1), 0);
    }
}
