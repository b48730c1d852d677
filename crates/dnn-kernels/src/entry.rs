//! The entries of a row that are not zero, as lists of them are kept.

/// Terms of a sum that one list covers at most.
pub const CHUNK: usize = 64;

/// One entry of a row that is not zero.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct Entry<T> {
    /// Its place among the terms of the chunk.
    pub(crate) term: u32,
    /// What it is.
    pub(crate) value: T,
}

/// The lists of some rows: [`CHUNK`] places for each row, of which the first `counts[row]` are used.
#[derive(Debug, Clone, Copy)]
pub struct Lists<'a, T> {
    pub(crate) counts: &'a [u32],
    pub(crate) entries: &'a [Entry<T>],
}

/// Room for the lists of some rows.
#[derive(Debug)]
pub struct ListsMut<'a, T> {
    pub(crate) counts: &'a mut [u32],
    pub(crate) entries: &'a mut [Entry<T>],
}

impl<T> ListsMut<'_, T> {
    /// Panics unless there is room for the lists of so many rows of so many terms.
    pub(crate) fn check(&self, rows: usize, terms: usize) {
        assert!(terms <= CHUNK, "{terms} terms in one list");
        let fits = self.counts.len() == rows && self.entries.len() == rows * CHUNK;
        assert!(fits, "lists of other rows");
    }
}
