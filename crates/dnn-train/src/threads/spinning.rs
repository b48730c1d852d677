//! Worker threads that spin for the length of a step, instead of falling asleep.
//!
//! A step is many short products one after the other, with a few microseconds between them that are one
//! thread's. The threads of a pool fall asleep in less, and to wake one takes longer than many a product. So
//! each other thread is given a job for as long as the step lasts: to look for work, and to sleep only if
//! there is none for a while. No bit of a result depends on it.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::Yield;

/// How often a thread looks for work before it sleeps: for about 100 microseconds, which is longer than what a
/// step does alone, and short beside the turns that a busy machine gives to its programs.
const LOOKS: usize = 100;
/// Pauses of a thread that found nothing, before it looks again.
const PAUSES: usize = 32;

/// Runs `work`, while all other threads of the pool look for what it has to share. Nothing is allocated.
pub(crate) fn with_spinning_workers<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let ended = AtomicBool::new(false);
    beside(rayon::current_num_threads().saturating_sub(1), &ended, work)
}

/// The same with so many other threads.
fn beside<R: Send>(others: usize, ended: &AtomicBool, work: impl FnOnce() -> R + Send) -> R {
    if others == 0 {
        let _ended = OnDrop(ended);
        return work();
    }
    rayon::join(|| beside(others - 1, ended, work), || look_for_work(ended)).0
}

/// Set when it is dropped, even by a panic, so that nobody looks for work forever.
struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Does what others have to share, until `ended`, or there has been nothing for a while.
fn look_for_work(ended: &AtomicBool) {
    let mut looks = 0;
    while !ended.load(Ordering::Acquire) && looks < LOOKS {
        if rayon::yield_now() == Some(Yield::Executed) {
            looks = 0;
        } else {
            looks += 1;
            (0..PAUSES).for_each(|_| spin_loop());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::iter::{IntoParallelIterator, ParallelIterator};

    #[test]
    fn what_is_done_beside_threads_that_look_for_work_is_what_is_done_alone() {
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let sum = pool.install(|| {
                with_spinning_workers(|| {
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
        let work = || pool.install(|| with_spinning_workers(|| panic!("as planned")));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err());
    }
}
