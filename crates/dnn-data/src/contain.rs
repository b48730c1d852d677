//! Panics of other people's readers, as errors.
//!
//! A reader that is given a damaged file may panic, and a panic prints where in its source that was: words for
//! programmers. While [`contain_panic`] works on a thread, nothing is printed of that thread's panics; those
//! of all others, and of our own code elsewhere, are reported as before.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// How many calls of [`contain_panic`] this thread is in.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

static HOOK: Once = Once::new();

/// What `work` gives, or the message of its panic.
pub(crate) fn contain_panic<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    HOOK.call_once(|| {
        let report = take_hook();
        set_hook(Box::new(move |panic| {
            if DEPTH.get() == 0 {
                report(panic);
            }
        }));
    });
    DEPTH.set(DEPTH.get() + 1);
    // Unwind safe: whatever the reader was working on is dropped.
    let outcome = catch_unwind(AssertUnwindSafe(work));
    DEPTH.set(DEPTH.get() - 1);
    outcome.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        text.unwrap_or_else(|| "a panic".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Set for the program that [`nothing_is_printed_but_of_other_panics`] starts.
    const CHILD: &str = "DNN_TEST_PANICS";

    #[test]
    fn a_panic_is_an_error_with_its_message() {
        assert_eq!(contain_panic(|| 3), Ok(3));
        assert_eq!(contain_panic::<()>(|| panic!("plain")), Err("plain".to_owned()));
        assert_eq!(contain_panic::<()>(|| panic!("row {}", 3)), Err("row 3".to_owned()));
        let inner = || contain_panic::<()>(|| panic!("inner"));
        assert_eq!(contain_panic(inner), Ok(Err("inner".to_owned())));
    }

    /// The panics of which the test below looks at the output.
    #[test]
    fn panics_for_another_test_to_look_at() {
        if std::env::var_os(CHILD).is_none() {
            return;
        }
        assert!(contain_panic::<()>(|| panic!("the reader's own words")).is_err());
        let other = std::thread::spawn(|| panic!("a fault of another thread"));
        assert!(contain_panic(|| other.join().is_err()).is_ok_and(|panicked| panicked));
    }

    #[test]
    fn nothing_is_printed_but_of_other_panics() {
        let this = std::env::current_exe().unwrap();
        let output = Command::new(this)
            .args(["--exact", "contain::tests::panics_for_another_test_to_look_at", "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{printed}");
        assert!(!printed.contains("the reader's own words"), "{printed}");
        assert!(printed.contains("a fault of another thread"), "{printed}");
    }
}
