//! The tests of this crate as one program: what is generic is compiled, and linked, once for all of them.
//!
//! On its own is the one with an allocator of its own.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../support/mod.rs"]
mod support;

mod arrays;
mod augment;
mod doctor;
mod folder;
mod hostile_pictures;
mod idx;
mod jpeg_kinds;
mod layouts;
mod load;
mod load_faults;
mod picture_metadata;
mod pictures;
mod split;
mod tiff;
