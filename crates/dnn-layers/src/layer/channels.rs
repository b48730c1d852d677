//! Pictures seen channel by channel.
//!
//! The channels of a pixel lie side by side, and the pixels of an example one behind another, as the examples do. So the
//! same numbers are `(n, m)`, examples side by side, and `(channels, m * places)`, pixels side by side.

use dnn_core::Element;
use ndarray::{ArrayView2, ArrayViewMut2, ShapeBuilder};

/// `(n, m)` as `(channels, m * places)`; nothing is copied.
///
/// # Panics
/// If the channels do not divide `n`, or the examples do not lie one behind another.
pub fn by_channel<T: Element>(values: ArrayView2<'_, T>, channels: usize) -> ArrayView2<'_, T> {
    let shape = (channels, values.len() / channels.max(1)).f();
    let numbers = values.reversed_axes().to_slice().expect("examples one behind another");
    ArrayView2::from_shape(shape, numbers).expect("channels divide the numbers of an example")
}

/// The same, to be changed in place.
///
/// # Panics
/// As [`by_channel`].
pub fn by_channel_mut<T: Element>(
    values: ArrayViewMut2<'_, T>,
    channels: usize,
) -> ArrayViewMut2<'_, T> {
    let shape = (channels, values.len() / channels.max(1)).f();
    let numbers = values.reversed_axes().into_slice().expect("examples one behind another");
    ArrayViewMut2::from_shape(shape, numbers).expect("channels divide the numbers of an example")
}
