//! The random numbers of one picture in one epoch.

use crate::stream::Stream;

/// The purpose in the key of the stream.
const PURPOSE: [u8; 8] = *b"augment\0";

// Which word each step uses. They never change: a run that is repeated must see the same pictures.
pub(super) const FLIP: usize = 0;
pub(super) const SHIFT_X: usize = 1;
pub(super) const SHIFT_Y: usize = 2;
pub(super) const CROP: usize = 3;
pub(super) const CROP_X: usize = 4;
pub(super) const CROP_Y: usize = 5;
pub(super) const ROTATE: usize = 6;
pub(super) const BRIGHTNESS: usize = 7;
pub(super) const CONTRAST: usize = 8;
pub(super) const SATURATION: usize = 9;
pub(super) const CUTOUT_X: usize = 10;
pub(super) const CUTOUT_Y: usize = 11;
pub(super) const RATIO: usize = 12;
/// How many words there are.
const WORDS: usize = 13;

/// Words of 32 random bits, one for each use, all drawn whether they are used or not.
pub(super) struct Draws([u32; WORDS]);

impl Draws {
    /// The first words of the ChaCha8 stream of a seed, the purpose `augment`, an epoch and an example.
    pub(super) fn new(seed: u64, epoch: u64, example: u64) -> Self {
        let mut stream = Stream::of_two(seed, PURPOSE, [epoch, example]);
        Self(std::array::from_fn(|_| stream.word()))
    }

    /// True in half of all cases: the highest bit of a word.
    pub(super) fn coin(&self, word: usize) -> bool {
        self.0[word] >> 31 == 1
    }

    /// A whole number below `bound`, which is below 2^32: `word * bound / 2^32`, rounded down.
    ///
    /// For the bounds of pictures, no number comes up more often than another by one part in 2,000.
    pub(super) fn below(&self, word: usize, bound: usize) -> usize {
        let product = u64::from(self.0[word]) * bound as u64;
        usize::try_from(product >> 32).expect("at most the bound, which is a usize")
    }

    /// A number above 0 and below 1: `(word + 1/2) / 2^32`, without rounding.
    pub(super) fn unit(&self, word: usize) -> f64 {
        (f64::from(self.0[word]) + 0.5) / 4_294_967_296.0
    }

    /// A number above -1 and below 1, each as often as its negative.
    pub(super) fn either_way(&self, word: usize) -> f64 {
        2.0 * self.unit(word) - 1.0
    }

    /// A factor in `1 - strength ..= 1 + strength`, in units of 1/65536.
    pub(super) fn factor(&self, word: usize, strength: f64) -> i32 {
        #[expect(clippy::cast_possible_truncation, reason = "between 0 and 131072")]
        let factor = (65_536.0 * (1.0 + strength * self.either_way(word))).round() as i32;
        factor
    }

    /// Words of one's own choice, for tests.
    #[cfg(test)]
    pub(super) fn fixed(words: &[(usize, u32)]) -> Self {
        let mut draws = [0; WORDS];
        for &(word, value) in words {
            draws[word] = value;
        }
        Self(draws)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_fixed() {
        // Computed a second time by a ChaCha8 written from RFC 8439 with 8 rounds.
        let first = [0x638a_ad93, 0x9a66_9184, 0x556a_938e, 0x8116_60fb];
        assert_eq!(Draws::new(0, 0, 0).0[..4], first);
        let words = [
            0x7a1a_b84b,
            0x551d_4b3b,
            0xcb03_34ff,
            0xd617_c0c6,
            0x7799_80aa,
            0x91e7_af95,
            0xb08c_eed7,
            0x73c3_996d,
            0xccf8_922f,
            0xe84a_662e,
            0x161b_62e1,
            0x915c_1404,
        ];
        assert_eq!(Draws::new(1, 2, 3).0[..12], words);
    }

    #[test]
    fn numbers_follow_from_words() {
        let draws = Draws::fixed(&[(0, 0), (1, u32::MAX), (2, 1 << 31), (3, (1 << 31) - 1)]);
        assert_eq!([0, 1, 2, 3].map(|word| draws.coin(word)), [false, true, true, false]);
        assert_eq!([0, 1, 2, 3].map(|word| draws.below(word, 9)), [0, 8, 4, 4]);
        assert_eq!([0, 1, 2, 3].map(|word| draws.factor(word, 0.5)), [32768, 98304, 65536, 65536]);
        assert_eq!([0, 1, 2, 3].map(|word| draws.factor(word, 0.0)), [65536; 4]);
        assert_eq!(draws.either_way(0), -draws.either_way(1));
        assert!(draws.unit(0) > 0.0 && draws.unit(1) < 1.0);
    }
}
