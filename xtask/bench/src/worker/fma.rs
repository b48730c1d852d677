//! How fast the machine is at the moment: fused multiplications and additions that stay in registers.

use std::hint::black_box;
use std::thread;
use std::time::Instant;

/// Numbers that are updated side by side: enough to hide the time that one update takes.
const LANES: usize = 96;
/// Updates of each in one round: some 20 ms.
const UPDATES: usize = 8_000_000;

/// What one round took on this many threads at once, and the rate in 10^9 operations per second.
pub(super) fn round(threads: usize) -> (f64, f64) {
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| black_box(run(black_box(0.999_9), black_box(1e-4))));
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    (seconds, 2.0 * (LANES * UPDATES * threads) as f64 / seconds / 1e9)
}

#[cfg(target_arch = "x86_64")]
fn run(factor: f32, summand: f32) -> f32 {
    if std::arch::is_x86_feature_detected!("fma") && std::arch::is_x86_feature_detected!("avx2") {
        #[expect(
            unsafe_code,
            reason = "compiled for vector instructions that were just detected"
        )]
        // SAFETY: both instruction sets that the function is compiled for are there.
        return unsafe { run_fused(factor, summand) };
    }
    updates(factor, summand, |x, factor, summand| x * factor + summand)
}

#[cfg(not(target_arch = "x86_64"))]
fn run(factor: f32, summand: f32) -> f32 {
    updates(factor, summand, |x, factor, summand| x * factor + summand)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_fused(factor: f32, summand: f32) -> f32 {
    updates(factor, summand, f32::mul_add)
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "else it would not have its caller's instructions")]
fn updates(factor: f32, summand: f32, update: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut lanes = [1.0_f32; LANES];
    for _ in 0..UPDATES {
        for lane in &mut lanes {
            *lane = update(*lane, factor, summand);
        }
    }
    lanes.iter().sum()
}
