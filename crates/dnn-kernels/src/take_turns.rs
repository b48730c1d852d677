//! Work in parts that threads take in turn, each in memory of its own.

use std::sync::{Mutex, PoisonError};

use crate::parallel::for_each_part;

/// Works on all parts, each told its place, in as many memories side by side: on this thread and those of the pool,
/// which this one may be none of. A thread that waited for the pool would leave its processor to the first of the
/// others, and two of these would often share it for as long as the work is short.
///
/// # Examples
/// ```
/// let (mut sums, parts) = ([0, 0], [10, 20, 30]);
/// dnn_kernels::take_turns(&mut sums, parts.into_iter().enumerate(), |sum, place, part| {
///     *sum += part + place;
/// });
/// // Who took which part differs from one time to the next.
/// assert_eq!(sums.iter().sum::<usize>(), 63);
/// ```
pub fn take_turns<M: Send, P: Send>(
    memories: &mut [M],
    parts: impl Iterator<Item = (usize, P)> + Send,
    work: impl Fn(&mut M, usize, P) + Sync,
) {
    let parts = Mutex::new(parts);
    let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
    let take = |memory: &mut M| {
        while let Some((index, part)) = next() {
            work(memory, index, part);
        }
    };
    let Some((first, others)) = memories.split_first_mut() else { return };
    if others.is_empty() {
        take(first);
    } else if rayon::current_thread_index().is_some() {
        for_each_part(memories, &|_, memory| take(memory));
    } else {
        rayon::in_place_scope(|scope| {
            for memory in others {
                scope.spawn(|_| take(memory));
            }
            take(first);
        });
    }
}
