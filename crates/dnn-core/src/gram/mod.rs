//! Gram matrices, and products with them: the dual form of a linear layer.
//!
//! The one idea: gradient descent on fixed examples changes weights by sums of these examples, `W + S X^T`. What
//! the layer gives for them, `W X + S (X^T X)`, needs the products of the examples with each other alone: one number
//! for every pair, whatever the number of features.
//!
//! ```text
//! once:          K = X^T X
//! in each step:  Z = W X + S K,  S -= learning_rate dZ / m
//! at the end:    W + S X^T
//! ```
//!
//! The dual form of ridge regression and of kernel methods: Saunders, Gammerman and Vovk, "Ridge regression
//! learning algorithm in dual variables" (1998).

mod matrix;
mod multiply;
mod pixels;
mod sparse_left;
mod symmetric;
#[cfg(test)]
mod tests;
mod weights;

pub use self::matrix::Gram;
pub use self::sparse_left::SparseLeft;
