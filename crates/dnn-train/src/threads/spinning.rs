//! Worker threads that spin for the length of a step, instead of falling asleep.
//!
//! A step is many short products one after the other, with a few microseconds between them that are one
//! thread's. The threads of a pool fall asleep in less, and to wake one takes longer than many a product. So
//! each other thread is given a job for as long as the step lasts: to look for work, and to sleep only if
//! there is none for a while. No bit of a result depends on it.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dnn_kernels::join;
use rayon::Yield;

use super::StepClock;

/// How long a thread looks for work before it sleeps: longer than what a step does alone, and short beside
/// the turns that a busy machine gives to its programs.
const PATIENCE: Duration = Duration::from_micros(100);
/// How often it looks where no clock tells the time: how long that takes differs from one processor to the next, by
/// several times.
const LOOKS: usize = 200;
/// Pauses of a thread that found nothing, before it looks again.
const PAUSES: usize = 32;

/// Runs `work`, while all other threads of the pool look for what it has to share. Nothing is allocated.
pub(crate) fn with_spinning_workers<R: Send>(
    clock: Option<&dyn StepClock>,
    work: impl FnOnce() -> R + Send,
) -> R {
    let spin = Spin { ended: &AtomicBool::new(false), clock };
    let (mut work, mut made) = (Some(work), None);
    let others = rayon::current_num_threads().saturating_sub(1);
    spin.beside(others, &mut || made = work.take().map(|work| work()));
    made.unwrap_or_else(|| unreachable!("the work is done"))
}

/// What the other threads go by.
#[derive(Clone, Copy)]
struct Spin<'s> {
    ended: &'s AtomicBool,
    clock: Option<&'s dyn StepClock>,
}

impl Spin<'_> {
    /// Runs `work` while so many other threads look for what it has to share.
    fn beside(self, others: usize, work: &mut (dyn FnMut() + Send)) {
        if others == 0 {
            let _ended = OnDrop(self.ended);
            return work();
        }
        join(|| self.beside(others - 1, work), || self.look_for_work());
    }

    /// Does what others have to share, until the work has ended, or there has been nothing for a while.
    fn look_for_work(self) {
        let now = || self.clock.map(StepClock::now);
        let (mut looks, mut since) = (0, now());
        while !self.ended.load(Ordering::Acquire) {
            if rayon::yield_now() == Some(Yield::Executed) {
                (looks, since) = (0, now());
                continue;
            }
            looks += 1;
            let gives_up = match (now(), since) {
                (Some(now), Some(since)) => now.saturating_sub(since) > PATIENCE,
                _ => looks > LOOKS,
            };
            if gives_up {
                return;
            }
            (0..PAUSES).for_each(|_| spin_loop());
        }
    }
}

/// Set when it is dropped, even by a panic, so that nobody looks for work forever.
struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::iter::{IntoParallelIterator, ParallelIterator};

    #[test]
    fn what_is_done_beside_threads_that_look_for_work_is_what_is_done_alone() {
        let clock = crate::SystemClock::start();
        for (threads, clock) in [(1, None), (2, None), (5, None), (2, Some(&clock as _))] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let sum = pool.install(|| {
                with_spinning_workers(clock, || {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                    (0..1000_u64).into_par_iter().map(|n| n * n).sum::<u64>()
                })
            });
            assert_eq!(sum, 332_833_500);
        }
    }

    #[test]
    fn a_panic_ends_the_search_for_work() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let work = || pool.install(|| with_spinning_workers(None, || panic!("as planned")));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err());
    }
}
