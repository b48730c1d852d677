//! No length in a file, wherever it stands, makes the decoder allocate by it.
//!
//! One test alone in its program, because the allocator counts for the whole program. The promise:
//! at most twice the bytes of the file, and 16 KiB for messages and the first rows of the table.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![allow(unsafe_code, reason = "an allocator that counts is an unsafe trait to implement")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use common::{HUGE, parts, rebuild, repair, sample, try_decode, varint};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged; only counters are beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: the caller's promises about `layout` are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises about `pointer` and `layout` are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Decodes and holds the peak to the promise; says whether the bytes were refused.
fn decode_within_bounds(bytes: &[u8], what: &str) -> bool {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let refused = try_decode(bytes).is_err();
    let peak = PEAK.load(Relaxed) - before;
    let bound = 2 * bytes.len() + 16 * 1024;
    assert!(peak <= bound, "{what}: {peak} bytes at once for a file of {}", bytes.len());
    refused
}

#[test]
fn no_claimed_length_is_allocated() {
    let sound = sample();
    assert!(!decode_within_bounds(&sound, "a sound file"));
    for len in 0..sound.len() {
        assert!(decode_within_bounds(&sound[..len], "a cut file"));
    }
    for field in [14, 22] {
        for huge in HUGE {
            let mut bytes = sound.clone();
            bytes[field..field + 8].copy_from_slice(&huge.to_le_bytes());
            repair(&mut bytes);
            assert!(decode_within_bounds(&bytes, "a length in the header"));
        }
    }
    // Every length inside the metadata is a byte of it: of the table, of a name, of dimensions, of
    // strings, of sequences and maps in the content. Replace each byte in turn. One mebibyte and
    // fifteen pass bincode's own limit, so that only the bytes at hand can refuse them.
    let (metadata, data) = parts(&sound);
    let mut refused = 0;
    for at in 0..metadata.len() {
        for huge in HUGE.into_iter().chain([1 << 20, 15 << 20]) {
            let mut forged = metadata.clone();
            forged.splice(at..=at, varint(huge));
            let bytes = rebuild(&forged, &data);
            let what = format!("{huge} at byte {at} of the metadata");
            refused += usize::from(decode_within_bounds(&bytes, &what));
        }
    }
    assert!(refused >= metadata.len() * 7, "only {refused} refused");
}
