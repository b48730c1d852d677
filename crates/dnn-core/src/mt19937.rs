//! The Mersenne Twister, word for word as `numpy.random.seed` starts it.

use std::convert::Infallible;
use std::fmt;

use rand::TryRng;

const WORDS: usize = 624;
const SHIFT: usize = 397;

/// MT19937 seeded with one 32-bit number, the generator behind `numpy.random.seed(seed)`.
///
/// It exists so that runs published with that seed can be repeated from the seed alone; new work
/// uses the counter-based streams of [`RandomStream::new`](crate::RandomStream::new).
///
/// # References
/// Matsumoto and Nishimura, "Mersenne Twister", ACM TOMACS 8 (1998).
#[derive(Clone)]
pub struct Mt19937 {
    state: [u32; WORDS],
    /// The next word of `state` to hand out; `WORDS` asks for a twist first.
    next: usize,
}

impl Mt19937 {
    /// The generator that `numpy.random.seed(seed)` leaves behind.
    pub fn new(seed: u32) -> Self {
        let mut state = [0; WORDS];
        let mut word = seed;
        state[0] = word;
        for (i, slot) in (1_u32..).zip(&mut state[1..]) {
            word = 1_812_433_253_u32.wrapping_mul(word ^ (word >> 30)).wrapping_add(i);
            *slot = word;
        }
        Self { state, next: WORDS }
    }

    fn twist(&mut self) {
        for i in 0..WORDS {
            let joined =
                (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % WORDS] & 0x7fff_ffff);
            let matrix = if joined & 1 == 0 { 0 } else { 0x9908_b0df };
            self.state[i] = self.state[(i + SHIFT) % WORDS] ^ (joined >> 1) ^ matrix;
        }
        self.next = 0;
    }

    fn word(&mut self) -> u32 {
        if self.next == WORDS {
            self.twist();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }
}

impl fmt::Debug for Mt19937 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mt19937").finish_non_exhaustive()
    }
}

impl TryRng for Mt19937 {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.word())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        // NumPy's legacy generator makes a 64-bit word of two 32-bit ones, high half first.
        let high = u64::from(self.word());
        Ok((high << 32) | u64::from(self.word()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(4) {
            chunk.copy_from_slice(&self.word().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}
