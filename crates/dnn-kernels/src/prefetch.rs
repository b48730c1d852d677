//! Requests for memory that is about to be read, for every loop that knows its next address better than the
//! processor can guess it.

/// Bytes that come from memory together.
pub(crate) const CACHE_LINE: usize = 64;

/// Has the processor fetch these values, if it is one that can be told to.
#[inline(always)]
pub fn prefetch<T>(values: &[T]) {
    let start: *const u8 = values.as_ptr().cast();
    for offset in (0..size_of_val(values)).step_by(CACHE_LINE) {
        prefetch_line(start.wrapping_add(offset));
    }
}

/// Has the processor fetch one line of the cache; any address will do, since nothing is read.
#[inline(always)]
pub(crate) fn prefetch_line(address: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: every x86-64 processor has this instruction, which changes nothing that can be seen.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}
