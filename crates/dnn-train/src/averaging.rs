//! The moving average of the arrays of a network.

use dnn_core::Element;
use dnn_layers::Network;

use crate::optimizer::each;

/// The share of the average that stays at a step, counted from 1, where `decay` is the share that stays in the end: less
/// at first, so that the first weights are soon forgotten.
fn stays(decay: f64, step: u64) -> f64 {
    let step = step as f64;
    decay.min((1.0 + step) / (10.0 + step))
}

/// `average += (1 - stays) (network - average)`, array by array, those of running statistics as well.
pub(crate) fn follow<T: Element>(
    average: &mut Network<T>,
    network: &Network<T>,
    decay: f64,
    step: u64,
) {
    let share = T::from_f64(1.0 - stays(decay, step));
    for (average, tensor) in average.tensors_mut().iter_mut().zip(network.tensors()) {
        // What is not finite here is so in the network.
        each(average.values_mut(), tensor.values(), |average, value| {
            average + share * (value - average)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_weights_are_soon_forgotten() {
        assert_eq!(stays(0.9, 1), 2.0 / 11.0);
        assert_eq!([stays(0.9, 80), stays(0.9, 81), stays(0.9, 1 << 40)], [0.9; 3]);
        assert_eq!(stays(0.0, 5), 0.0);
    }
}
