//! Random streams that are pure functions of what they are for.
//!
//! A [`RandomStream`] turns 32-bit words into uniform and normal numbers, bounded integers and
//! shuffles. The words come from ChaCha8 (every new run) or from the Mersenne Twister (published
//! NumPy runs); everything on top of them is the same code, and its values are fixed by tests: they
//! never change within a major version.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

use crate::Mt19937;

/// What a stream is for: draws for one purpose never shift those for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum Purpose {
    /// The first weights of a network.
    Initialization = 1,
    /// The order of the examples within an epoch.
    Shuffle = 2,
    /// Made-up data, in examples and tests.
    Data = 3,
    /// What dropout drops in a step; the step stands in place of the epoch.
    Dropout = 4,
    /// The settings that a search tries.
    Search = 5,
    /// Which pictures of a batch are mixed, and how; the step stands in place of the epoch.
    Mixing = 6,
}

/// A seeded source of uniform and normal numbers, integers and permutations.
///
/// # Examples
/// ```
/// use dnn_core::{Purpose, RandomStream};
///
/// let mut stream = RandomStream::new(7, Purpose::Shuffle, 3);
/// let order = stream.permutation(5);
/// // The same (seed, purpose, epoch) gives the same stream, wherever and whenever.
/// assert_eq!(RandomStream::new(7, Purpose::Shuffle, 3).permutation(5), order);
/// ```
#[derive(Debug, Clone)]
pub struct RandomStream<R = ChaCha8Rng> {
    words: R,
    /// The polar method makes two normal numbers at a time; this is the second.
    spare_normal: Option<f64>,
}

impl RandomStream<ChaCha8Rng> {
    /// The stream of `(seed, purpose, epoch)`; what happens once in a run has epoch 0.
    ///
    /// ChaCha8 with the key `seed` (bytes 0..8, little-endian), `purpose` (byte 8), zeros, and the
    /// stream number `epoch`: there is no state to save, because any stream can be made again.
    pub fn new(seed: u64, purpose: Purpose, epoch: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8] = purpose as u8;
        let mut words = ChaCha8Rng::from_seed(key);
        words.set_stream(epoch);
        Self::from_words(words)
    }

    /// Goes on at the `word`-th 32-bit word of the stream, counted from 0, wherever it was before.
    ///
    /// # Examples
    /// ```
    /// use dnn_core::{Purpose, RandomStream};
    ///
    /// let mut stream = RandomStream::new(7, Purpose::Dropout, 1);
    /// let words: Vec<u32> = (0..40).map(|_| stream.word()).collect();
    /// stream.seek(33);
    /// assert_eq!(stream.word(), words[33]);
    /// ```
    pub fn seek(&mut self, word: u64) {
        self.spare_normal = None;
        self.words.set_word_pos(word.into());
    }
}

impl RandomStream<Mt19937> {
    /// The stream of `numpy.random.seed(seed)`: `rand`, `randn` and `permutation` of NumPy's legacy
    /// generator are [`uniform`](Self::uniform), [`normal`](Self::normal) and
    /// [`permutation`](Self::permutation).
    ///
    /// # Examples
    /// ```
    /// use dnn_core::RandomStream;
    ///
    /// // numpy.random.seed(1); numpy.random.randn()
    /// let first = RandomStream::numpy_legacy(1).normal();
    /// assert!((first - 1.6243453636632417).abs() < 1e-15);
    /// ```
    pub fn numpy_legacy(seed: u32) -> Self {
        Self::from_words(Mt19937::new(seed))
    }
}

impl<R: Rng> RandomStream<R> {
    /// A stream over any generator of 32-bit words.
    pub fn from_words(words: R) -> Self {
        Self { words, spare_normal: None }
    }

    /// The next 32 random bits.
    pub fn word(&mut self) -> u32 {
        self.words.next_u32()
    }

    /// A number in `[0, 1)` with 53 random bits: `(a * 2^26 + b) / 2^53`, where `a` is the upper 27
    /// bits of one word and `b` the upper 26 of the next.
    pub fn uniform(&mut self) -> f64 {
        let a = f64::from(self.words.next_u32() >> 5);
        let b = f64::from(self.words.next_u32() >> 6);
        (a * 67_108_864.0 + b) / 9_007_199_254_740_992.0
    }

    /// A number of the standard normal distribution, by Marsaglia's polar method.
    ///
    /// # References
    /// Marsaglia and Bray, "A convenient method for generating normal variables", SIAM Review 6
    /// (1964). Which of the two numbers comes first is NumPy's choice.
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare_normal.take() {
            return spare;
        }
        loop {
            let x1 = 2.0 * self.uniform() - 1.0;
            let x2 = 2.0 * self.uniform() - 1.0;
            let r2 = x1 * x1 + x2 * x2;
            if r2 > 0.0 && r2 < 1.0 {
                let f = (-2.0 * r2.ln() / r2).sqrt();
                self.spare_normal = Some(f * x1);
                return f * x2;
            }
        }
    }

    /// An integer in `0..=largest`, every one equally likely: words are masked to the bits of
    /// `largest` and those above it thrown away.
    pub fn up_to(&mut self, largest: u32) -> u32 {
        if largest == 0 {
            return 0;
        }
        let mask = u32::MAX >> largest.leading_zeros();
        loop {
            let drawn = self.words.next_u32() & mask;
            if drawn <= largest {
                return drawn;
            }
        }
    }

    /// Puts `items` in random order (Fisher and Yates, from the back).
    ///
    /// # Panics
    /// With more than 2^32 items.
    pub fn shuffle<I>(&mut self, items: &mut [I]) {
        for i in (1..items.len()).rev() {
            let largest = u32::try_from(i).expect("at most 2^32 items are shuffled");
            items.swap(i, self.up_to(largest) as usize);
        }
    }

    /// The numbers `0..n` in random order.
    ///
    /// # Panics
    /// If `n` is above 2^32.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        self.shuffle(&mut order);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_counter_based_stream_are_fixed_for_ever() {
        let mut stream = RandomStream::new(42, Purpose::Initialization, 0);
        let uniform: Vec<f64> = (0..3).map(|_| stream.uniform()).collect();
        let normal: Vec<f64> = (0..3).map(|_| stream.normal()).collect();
        assert_eq!(uniform, FIXED_UNIFORM);
        for (found, expected) in normal.iter().zip(FIXED_NORMAL) {
            // The logarithm is the platform's: its last bit may differ.
            assert!((found - expected).abs() < 1e-15, "{found} {expected}");
        }
        assert_eq!(stream.permutation(10), FIXED_PERMUTATION);
    }

    // From a second implementation of ChaCha8 and of the formulas above, in Python.
    const FIXED_UNIFORM: [f64; 3] =
        [0.613_464_150_759_255_4, 0.769_651_823_872_034_8, 0.916_818_130_752_831_5];
    const FIXED_NORMAL: [f64; 3] =
        [0.368_524_648_286_344_4, 0.921_002_468_105_431_8, 1.545_202_602_693_486_9];
    const FIXED_PERMUTATION: [usize; 10] = [2, 6, 3, 0, 7, 1, 8, 4, 9, 5];

    #[test]
    fn seed_purpose_and_epoch_each_make_another_stream() {
        let mut first: Vec<f64> = [
            RandomStream::new(1, Purpose::Shuffle, 0),
            RandomStream::new(2, Purpose::Shuffle, 0),
            RandomStream::new(1, Purpose::Data, 0),
            RandomStream::new(1, Purpose::Shuffle, 1),
        ]
        .iter_mut()
        .map(RandomStream::uniform)
        .collect();
        first.sort_by(f64::total_cmp);
        assert!(first.windows(2).all(|pair| pair[0] < pair[1]), "{first:?}");
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut stream = RandomStream::new(3, Purpose::Data, 0);
        let n = 100_000;
        let mean = (0..n).map(|_| stream.uniform()).sum::<f64>() / f64::from(n);
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..n {
            let x = stream.normal();
            sum += x;
            squares += x * x;
        }
        // Four standard errors: 1/sqrt(12 n), 1/sqrt(n) and sqrt(2/n).
        assert!((mean - 0.5).abs() < 4.0 * 0.000_92, "{mean}");
        assert!((sum / f64::from(n)).abs() < 4.0 * 0.0032, "{sum}");
        assert!((squares / f64::from(n) - 1.0).abs() < 4.0 * 0.0045, "{squares}");
    }

    #[test]
    fn every_integer_up_to_the_bound_is_drawn_and_none_above() {
        let mut stream = RandomStream::new(5, Purpose::Data, 0);
        let mut seen = [0_u32; 6];
        for _ in 0..6000 {
            seen[stream.up_to(5) as usize] += 1;
        }
        // Binomial(6000, 1/6): mean 1000, standard deviation 29.
        assert!(seen.iter().all(|&count| count.abs_diff(1000) < 120), "{seen:?}");
        assert_eq!(stream.up_to(0), 0);
    }
}
