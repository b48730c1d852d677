//! Adam, and `AdamW`.

use dnn_core::Element;

use crate::named_rule::Setting;
use crate::schedule::power;

/// Momentum and a rate of its own for each number, both corrected for their start at 0.
///
/// `v = beta1 v + (1 - beta1) dtheta`, `s = beta2 s + (1 - beta2) dtheta^2`, and at step `t`, from 1,
/// `theta - learning_rate v / (1 - beta1^t) / (sqrt(s / (1 - beta2^t)) + epsilon)`.
///
/// # References
/// Kingma and Ba (2015), Adam: a method for stochastic optimization; `epsilon` stands outside of the
/// root, as there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// How slowly directions are forgotten, 0 to below 1.
    pub beta1: f64,
    /// How slowly sizes are forgotten, 0 to below 1.
    pub beta2: f64,
    /// Keeps a small gradient from a huge step, above 0.
    pub epsilon: f64,
}

impl Default for Adam {
    /// `beta1` 0.9, `beta2` 0.999, `epsilon` 1e-8.
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }
}

/// [`Adam`], and weights that shrink by themselves: `theta (1 - learning_rate weight_decay)` before
/// each step. Biases do not shrink.
///
/// # References
/// Loshchilov and Hutter (2019), Decoupled weight decay regularization.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// The step.
    pub adam: Adam,
    /// How fast weights shrink, at least 0.
    pub weight_decay: f64,
}

impl Default for AdamW {
    /// A weight decay of 0.01.
    fn default() -> Self {
        Self { adam: Adam::default(), weight_decay: 0.01 }
    }
}

impl Adam {
    pub(super) fn settings(&mut self) -> Vec<Setting<'_>> {
        vec![
            Setting::share("beta1", &mut self.beta1),
            Setting::share("beta2", &mut self.beta2),
            Setting::above_0("epsilon", &mut self.epsilon),
        ]
    }

    /// The rule for one number at step `t`, with its `v` and `s`; the number is scaled by `shrink`
    /// before.
    #[inline]
    pub(super) fn rule<T: Element>(
        self,
        rate: f64,
        t: u64,
        shrink: f64,
    ) -> impl Fn(T, T, &mut T, &mut T) -> T + Copy {
        let of = |value: f64| (T::from_f64(value), T::from_f64(1.0 - value));
        let ((beta1, rest1), (beta2, rest2)) = (of(self.beta1), of(self.beta2));
        let rate = T::from_f64(rate / (1.0 - power(self.beta1, t)));
        let root = T::from_f64((1.0 - power(self.beta2, t)).sqrt());
        let (epsilon, shrink) = (T::from_f64(self.epsilon), T::from_f64(shrink));
        move |parameter, gradient, v, s| {
            *v = beta1 * *v + rest1 * gradient;
            *s = beta2 * *s + rest2 * gradient * gradient;
            parameter * shrink - rate * *v / (s.sqrt() / root + epsilon)
        }
    }
}

impl AdamW {
    pub(super) fn settings(&mut self) -> Vec<Setting<'_>> {
        let mut settings = self.adam.settings();
        settings.push(Setting::from_0("weight_decay", &mut self.weight_decay));
        settings
    }
}
