//! The way back through dropout by channel: the factors of the way forward, at every place.

use dnn_core::Element;
use dnn_layers::ChannelDropout;

use super::{Backward, BackwardStep};

impl<T: Element> Backward<T> for ChannelDropout {
    fn input_gradient(&self, step: BackwardStep<'_, '_, T>) {
        let BackwardStep { kept: factors, mut gradient, .. } = step;
        // Without factors nothing was dropped.
        if factors.nrows() == 0 {
            return;
        }
        for (mut gradient, factors) in gradient.columns_mut().into_iter().zip(factors.columns()) {
            let of_channel = factors.iter().cycle();
            gradient.iter_mut().zip(of_channel).for_each(|(number, &factor)| *number *= factor);
        }
    }
}
