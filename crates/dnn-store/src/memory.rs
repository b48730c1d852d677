//! Memory that may be refused.

use std::cell::Cell;

thread_local! {
    static ASKING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `request`, which asks for memory and has an answer if there is none.
///
/// A program may have an allocator that ends it with a message where memory runs out; by [`is_asking`] it
/// tells such a request from one without an answer.
///
/// # Examples
/// ```
/// let mut bytes = Vec::<u8>::new();
/// let refused = dnn_store::asking(|| bytes.try_reserve_exact(isize::MAX as usize));
/// assert!(refused.is_err());
/// ```
pub fn asking<R>(request: impl FnOnce() -> R) -> R {
    let _before = Restore(ASKING.replace(true));
    request()
}

/// Whether this thread is within [`asking`]. Allocates nothing.
pub fn is_asking() -> bool {
    ASKING.get()
}

/// What was said before, said again even after a panic.
struct Restore(bool);

impl Drop for Restore {
    fn drop(&mut self) {
        ASKING.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_ends_with_the_request_and_is_a_thread_s_own() {
        assert!(!is_asking());
        let elsewhere = asking(|| {
            asking(|| assert!(is_asking()));
            assert!(is_asking());
            std::thread::spawn(is_asking).join().unwrap()
        });
        assert!(!elsewhere && !is_asking());
        let panics = std::panic::catch_unwind(|| asking(|| assert!(!is_asking(), "as planned")));
        assert!(panics.is_err() && !is_asking());
    }
}
