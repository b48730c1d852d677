//! The tests of this crate as one program: what is generic is compiled once for all of them.
//!
//! On their own are those with an allocator of their own, and those that say loudly what they skip.

#[path = "../support/circles.rs"]
mod circle_data;
#[path = "../support/conforming.rs"]
mod conforming;
#[path = "../support/fits.rs"]
mod fits;
#[path = "../support/pairs.rs"]
mod pairs;
#[path = "../support/mod.rs"]
mod support;

mod augment;
mod averaging;
mod bf16;
mod calibration;
mod circles;
mod conformance;
mod convergence;
mod convolution;
mod convolution_steps;
mod damaged;
mod depth;
mod explain;
mod faults;
mod golden_convolution;
mod golden_runs;
mod golden_steps;
mod gradients;
mod gram;
mod kernels;
mod layers;
mod metrics;
mod muon;
mod optimizers;
mod refusals;
mod released;
mod resume;
mod same_bits;
mod sizes;
mod training;
mod vectors;
mod whitening;
