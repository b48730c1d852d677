//! Allocations that may be refused.

use std::cell::Cell;

thread_local! {
    static MAY_FAIL: Cell<bool> = const { Cell::new(false) };
}

/// Runs `allocate`, which reserves memory and has an answer if there is none.
///
/// A program may have an allocator that ends it with a message where memory runs out; by
/// [`allocation_may_fail`] it tells such a request from one without an answer.
///
/// # Examples
/// ```
/// let mut bytes = Vec::<u8>::new();
/// let refused = dnn_store::fallible_allocation(|| bytes.try_reserve_exact(isize::MAX as usize));
/// assert!(refused.is_err());
/// ```
pub fn fallible_allocation<R>(allocate: impl FnOnce() -> R) -> R {
    let _before = Restore(MAY_FAIL.replace(true));
    allocate()
}

/// Whether this thread is within [`fallible_allocation`]. Allocates nothing.
pub fn allocation_may_fail() -> bool {
    MAY_FAIL.get()
}

/// Puts the flag back as it was before, even after a panic.
struct Restore(bool);

impl Drop for Restore {
    fn drop(&mut self) {
        MAY_FAIL.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_ends_with_the_allocation_and_is_a_thread_s_own() {
        assert!(!allocation_may_fail());
        let elsewhere = fallible_allocation(|| {
            fallible_allocation(|| assert!(allocation_may_fail()));
            assert!(allocation_may_fail());
            std::thread::spawn(allocation_may_fail).join().unwrap()
        });
        assert!(!elsewhere && !allocation_may_fail());
        let panics = std::panic::catch_unwind(|| {
            fallible_allocation(|| assert!(!allocation_may_fail(), "as planned"));
        });
        assert!(panics.is_err() && !allocation_may_fail());
    }
}
