//! An end with a message where the system has no more memory.
//!
//! What is large is asked for first, and refused with its size. What is small cannot be refused: without this
//! the standard library would abort the process, with a back trace and no word on what to do.
#![allow(unsafe_code, reason = "an allocator is an unsafe trait to implement")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The exit code of a process whose memory ran out.
const CODE: i32 = 9;

/// The system's allocator, but for what it refuses.
pub(crate) struct OrEnd;

// SAFETY: every call is passed on to the system's allocator unchanged, and so is what it gives, unless that is
// nothing and the process ends.
unsafe impl GlobalAlloc for OrEnd {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises about `layout` are passed on.
        had(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises about `layout` are passed on.
        had(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promises about all three are passed on.
        had(unsafe { System.realloc(pointer, layout, size) }, size)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises about both are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// `pointer` to so many bytes, if there are any, or if whoever asked has an answer to a refusal.
fn had(pointer: *mut u8, size: usize) -> *mut u8 {
    if pointer.is_null() && !dnn_store::allocation_may_fail() {
        end(size);
    }
    pointer
}

/// Ends the process, and allocates nothing on the way.
#[cold]
fn end(size: usize) -> ! {
    static ENDS: AtomicBool = AtomicBool::new(false);
    while ENDS.swap(true, Ordering::Relaxed) {
        // Another thread is about to.
        std::thread::sleep(Duration::from_secs(1));
    }
    // On the stack, so that it is written in one piece.
    let mut message = io::Cursor::new([0_u8; 256]);
    let _fits = writeln!(
        message,
        "error: memory ran out: no room for {size} bytes more; raise the limit (ulimit -v) or end other \
         programs, or try smaller pictures (--size), fewer units (--hidden) or a smaller --batch"
    );
    let length = usize::try_from(message.position()).unwrap_or(0);
    // A closed standard error is no reason to stay.
    let _told = io::stderr().write_all(&message.get_ref()[..length]);
    std::process::exit(CODE)
}
