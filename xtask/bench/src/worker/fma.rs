//! How fast the machine is at the moment: fused multiplications and additions that stay in registers.

use std::hint::black_box;
use std::thread;
use std::time::Instant;

/// Numbers that are updated side by side, in twelve vectors: enough to hide the time that one update takes.
const LANES: usize = 96;
/// The same in the vectors of AVX-512, which are twice as wide.
#[cfg(target_arch = "x86_64")]
const WIDE_LANES: usize = 2 * LANES;
/// Updates of each in one round: some 15 to 30 ms.
const UPDATES: usize = 8_000_000;

/// As many steps of pairs in one round.
const STEPS: usize = 2_000_000;

/// The rate in 10^9 operations per second of products of pairs in bf16 that stay in registers, on one thread; none
/// where there is no such instruction.
pub(crate) fn bf16_rate() -> Option<f64> {
    #[cfg(target_arch = "x86_64")]
    {
        if dnn_train::Products::Bf16.exist() {
            let start = Instant::now();
            #[expect(unsafe_code, reason = "a vector instruction that was detected")]
            // SAFETY: the instructions were just found.
            let operations = unsafe { run_pairs(black_box(0x3f80)) };
            return Some(operations as f64 / start.elapsed().as_secs_f64() / 1e9);
        }
    }
    None
}

/// [`STEPS`] of 24 sums side by side; gives how many operations these were.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn run_pairs(number: i16) -> usize {
    use std::arch::x86_64::{
        __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_reduce_add_ps, _mm512_set1_epi16,
        _mm512_setzero_ps,
    };
    #[expect(unsafe_code, reason = "the same bits under another name")]
    // SAFETY: any 512 bits are 32 numbers in bf16.
    let pairs = unsafe { std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi16(number)) };
    let mut sums = [_mm512_setzero_ps(); 24];
    for _ in 0..STEPS {
        for sum in &mut sums {
            *sum = _mm512_dpbf16_ps(*sum, pairs, pairs);
        }
    }
    for sum in sums {
        black_box(_mm512_reduce_add_ps(sum));
    }
    // A step has 32 products and as many additions.
    STEPS * sums.len() * 64
}

/// What one round took on this many threads at once, and the rate in 10^9 operations per second.
pub(crate) fn round(threads: usize) -> (f64, f64) {
    let (lanes, run) = widest();
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| black_box(run(black_box(0.999_9), black_box(1e-4))));
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    (seconds, 2.0 * (lanes * UPDATES * threads) as f64 / seconds / 1e9)
}

/// The loop for the widest vectors of this processor, and how many numbers it updates.
fn widest() -> (usize, fn(f32, f32) -> f32) {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            return (WIDE_LANES, run_wide);
        }
        if std::arch::is_x86_feature_detected!("fma") && std::arch::is_x86_feature_detected!("avx2")
        {
            return (LANES, run_fused);
        }
    }
    (LANES, |factor, summand| updates::<LANES>(factor, summand, |x, a, b| x * a + b))
}

#[cfg(target_arch = "x86_64")]
fn run_wide(factor: f32, summand: f32) -> f32 {
    #[target_feature(enable = "avx512f")]
    fn inner(factor: f32, summand: f32) -> f32 {
        updates::<WIDE_LANES>(factor, summand, f32::mul_add)
    }
    #[expect(unsafe_code, reason = "compiled for vector instructions that were detected")]
    // SAFETY: `widest`, the one who names this function, found the instruction set.
    unsafe {
        inner(factor, summand)
    }
}

#[cfg(target_arch = "x86_64")]
fn run_fused(factor: f32, summand: f32) -> f32 {
    #[target_feature(enable = "avx2,fma")]
    fn inner(factor: f32, summand: f32) -> f32 {
        updates::<LANES>(factor, summand, f32::mul_add)
    }
    #[expect(unsafe_code, reason = "compiled for vector instructions that were detected")]
    // SAFETY: `widest`, the one who names this function, found both instruction sets.
    unsafe {
        inner(factor, summand)
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "else it would not have its caller's instructions")]
fn updates<const LANES: usize>(
    factor: f32,
    summand: f32,
    update: impl Fn(f32, f32, f32) -> f32,
) -> f32 {
    let mut lanes = [1.0_f32; LANES];
    for _ in 0..UPDATES {
        for lane in &mut lanes {
            *lane = update(*lane, factor, summand);
        }
    }
    lanes.iter().sum()
}
