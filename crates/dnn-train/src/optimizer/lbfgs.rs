//! What is chosen of L-BFGS; its steps are made by a run.

use dnn_core::CoreError;

use crate::named_rule::Setting;

/// The limited-memory method of Broyden, Fletcher, Goldfarb and Shanno, with a line search for the strong
/// Wolfe conditions; one step is one direction and its search, which looks at the whole training part a
/// few times.
///
/// The learning rate is the first step length that a search tries, best 1.
///
/// # References
/// Nocedal and Wright (2006), Numerical optimization, algorithms 7.4, 7.5, 3.5 and 3.6; with the safeguards
/// of Schmidt's minFunc, as PyTorch has them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lbfgs {
    /// How many steps are remembered, at least 1.
    pub history: u64,
    /// The most evaluations of one search, at least 1.
    pub evaluations: u64,
}

impl Default for Lbfgs {
    /// Ten steps, 25 evaluations.
    fn default() -> Self {
        Self { history: 10, evaluations: 25 }
    }
}

impl Lbfgs {
    pub(crate) fn settings(&mut self) -> Vec<Setting<'_>> {
        vec![
            Setting::count("history", &mut self.history),
            Setting::count("evaluations", &mut self.evaluations),
        ]
    }

    /// The most arrays that it remembers, each in the shapes of the parameters.
    pub(crate) fn most_arrays(self) -> usize {
        usize::try_from(self.history).unwrap_or(usize::MAX).saturating_mul(2)
    }

    /// Accepts pairs of steps and changes of the gradient.
    pub(crate) fn check_memory(self, arrays: usize) -> Result<(), CoreError> {
        if arrays.is_multiple_of(2) && arrays <= self.most_arrays() {
            return Ok(());
        }
        Err(CoreError::Invalid {
            what: "memory of the optimiser",
            expected: "pairs of arrays, no more than its history",
            found: arrays.to_string(),
        })
    }
}
