//! `AdaGrad`.

use dnn_core::Element;

use crate::named_rule::Setting;

/// Gradient descent at a rate of its own for each number, by all of its gradients so far.
///
/// `s = s + dtheta^2`, `theta - learning_rate dtheta / (sqrt(s) + epsilon)`.
///
/// # References
/// Duchi, Hazan and Singer (2011), Adaptive subgradient methods for online learning and stochastic
/// optimization.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaGrad {
    /// Keeps a small gradient from a huge step, above 0.
    pub epsilon: f64,
}

impl Default for AdaGrad {
    /// `epsilon` 1e-10.
    fn default() -> Self {
        Self { epsilon: 1e-10 }
    }
}

impl AdaGrad {
    pub(super) fn settings(&mut self) -> Vec<Setting<'_>> {
        vec![Setting::above_0("epsilon", &mut self.epsilon)]
    }

    /// The rule for one number, with its `s`.
    #[inline]
    pub(super) fn rule<T: Element>(self, rate: T) -> impl Fn(T, T, &mut T) -> T + Copy {
        let epsilon = T::from_f64(self.epsilon);
        move |parameter, gradient, s| {
            *s += gradient * gradient;
            parameter - rate * gradient / (s.sqrt() + epsilon)
        }
    }
}
