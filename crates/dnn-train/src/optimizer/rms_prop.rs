//! `RMSprop`.

use dnn_core::Element;

use crate::named_rule::Setting;

/// Gradient descent at a rate of its own for each number, by the recent size of its gradient.
///
/// `s = rho s + (1 - rho) dtheta^2`, `theta - learning_rate dtheta / (sqrt(s) + epsilon)`.
///
/// # References
/// Tieleman and Hinton (2012), Neural networks for machine learning, lecture 6.5.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RmsProp {
    /// How slowly sizes are forgotten, 0 to below 1.
    pub rho: f64,
    /// Keeps a small gradient from a huge step, above 0.
    pub epsilon: f64,
}

impl Default for RmsProp {
    /// `rho` 0.99, `epsilon` 1e-8.
    fn default() -> Self {
        Self { rho: 0.99, epsilon: 1e-8 }
    }
}

impl RmsProp {
    pub(super) fn settings(&mut self) -> Vec<Setting<'_>> {
        vec![Setting::share("rho", &mut self.rho), Setting::above_0("epsilon", &mut self.epsilon)]
    }

    /// The rule for one number, with its `s`.
    #[inline]
    pub(super) fn rule<T: Element>(self, rate: T) -> impl Fn(T, T, &mut T) -> T + Copy {
        let (rho, rest) = (T::from_f64(self.rho), T::from_f64(1.0 - self.rho));
        let epsilon = T::from_f64(self.epsilon);
        move |parameter, gradient, s| {
            *s = rho * *s + rest * gradient * gradient;
            parameter - rate * gradient / (s.sqrt() + epsilon)
        }
    }
}
