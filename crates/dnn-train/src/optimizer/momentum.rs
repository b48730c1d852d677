//! Momentum, and Nesterov's.

use dnn_core::Element;

use crate::named_rule::Setting;

/// Gradient descent that keeps some of its direction.
///
/// `v = beta v + (1 - dampening) dtheta`, `theta - learning_rate v`; Nesterov's form takes
/// `dtheta + beta v` in place of `v`. The course's form, an average of the gradients, has a dampening
/// of `beta`.
///
/// # References
/// Polyak (1964), Some methods of speeding up the convergence of iteration methods. Sutskever et al.
/// (2013), On the importance of initialization and momentum in deep learning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Momentum {
    /// How much of the direction stays, 0 to below 1.
    pub beta: f64,
    /// What is taken from each gradient, 0 to 1.
    pub dampening: f64,
    /// Whether to look ahead along the direction first.
    pub nesterov: bool,
}

impl Default for Momentum {
    /// `beta` 0.9, no dampening.
    fn default() -> Self {
        Self { beta: 0.9, dampening: 0.0, nesterov: false }
    }
}

impl Momentum {
    pub(super) fn settings(&mut self) -> Vec<Setting<'_>> {
        vec![
            Setting::share("beta", &mut self.beta),
            Setting::up_to_1("dampening", &mut self.dampening),
        ]
    }

    /// The rule for one number, with its `v`.
    #[inline]
    pub(super) fn rule<T: Element>(self, rate: T) -> impl Fn(T, T, &mut T) -> T + Copy {
        let (beta, share) = (T::from_f64(self.beta), T::from_f64(1.0 - self.dampening));
        move |parameter, gradient, v| {
            *v = beta * *v + share * gradient;
            let direction = if self.nesterov { gradient + beta * *v } else { *v };
            parameter - rate * direction
        }
    }
}
