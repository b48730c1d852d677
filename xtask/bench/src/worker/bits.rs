//! What a job ends in, to the last bit.

use std::ops::ControlFlow;

use anyhow::{Result, bail, ensure};
use dnn_core::Element;
use dnn_core::ndarray::Axis;
use dnn_layers::Network;
use dnn_store::{Hasher, Scalar};
use dnn_train::Event;
use serde::{Deserialize, Serialize};

use super::ours::Answers;
use super::train::Desk;
use super::{Job, Kind};

/// What a process says of the numbers that it ended in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bits {
    /// The sha256 of all parameters, or of all probabilities, in hexadecimal.
    pub sha256: String,
    /// How many numbers that are.
    pub numbers: usize,
    /// The kernels that made them: others round in another order.
    pub kernels: String,
}

/// Numbers that are hashed one after another.
#[derive(Default)]
struct Digest {
    hasher: Hasher,
    numbers: usize,
}

impl Digest {
    /// Every `f32` is an `f64` of its own, so that both are hashed alike.
    fn add<T: Element>(&mut self, number: T) {
        self.hasher.update(&Into::<f64>::into(number).to_le_bytes());
        self.numbers += 1;
    }

    fn parameters<T: Element>(network: &Network<T>) -> Self {
        let mut digest = Self::default();
        for tensor in network.tensors().iter().filter(|tensor| tensor.spec().is_trained) {
            tensor.values().iter().for_each(|&number| digest.add(number));
        }
        digest
    }
}

/// Trains for as many steps as the job's rounds have, or predicts all examples batch by batch, and gives
/// the hash of what comes of it.
///
/// # Errors
/// If the job cannot be done, or changes nothing.
pub fn bits(job: &Job) -> Result<Bits> {
    let digest = match (job.kind, job.precision.as_str()) {
        (Kind::Fma, _) => bail!("the loop of multiplications has no bits to compare"),
        (Kind::Predict, "f32") => predicted::<f32>(job)?,
        (Kind::Predict, "f64") => predicted::<f64>(job)?,
        (_, "f32") => trained::<f32>(job)?,
        (_, "f64") => trained::<f64>(job)?,
        (_, other) => bail!("expected f32 or f64, found `{other}`"),
    };
    let (numbers, kernels) = (digest.numbers, dnn_core::kernel_path().to_owned());
    Ok(Bits { sha256: digest.hasher.finish_hex(), numbers, kernels })
}

fn trained<T: Element + Scalar>(job: &Job) -> Result<Digest> {
    let desk = Desk::<T>::of(job)?;
    let mut steps = 0;
    let network = desk.steps(job.rounds_of, &mut |event| {
        steps += usize::from(matches!(event, Event::Step { .. }));
        if steps < job.rounds_of { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    ensure!(steps == job.rounds_of, "expected {} steps, found {steps}", job.rounds_of);
    // Equal bits of networks that learnt nothing would show nothing. A bias of 0 moves by whatever is added.
    let mut pairs = network.tensors().iter().zip(desk.network.tensors());
    let moved = pairs.any(|(after, before)| after.spec().decays && after != before);
    ensure!(moved, "{steps} steps left the weights as they were");
    Ok(Digest::parameters(&network))
}

fn predicted<T: Element + Scalar>(job: &Job) -> Result<Digest> {
    let desk = Desk::<T>::of(job)?;
    let (mut answers, mut digest) = (Answers::of(&desk.network)?, Digest::default());
    let batch = job.batch.unwrap_or(job.examples).max(1);
    for pixels in desk.pixels.axis_chunks_iter(Axis(1), batch) {
        for &probability in &answers.all_classes(pixels)? {
            digest.add(probability);
        }
    }
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(kind: Kind) -> Job {
        Job {
            kind,
            shape: [4, 4, 3],
            hidden: vec![5],
            classes: 3,
            examples: 40,
            learning_rate: 0.1,
            rounds_of: 6,
            ..Job::fma(1)
        }
    }

    #[test]
    fn equal_jobs_end_in_equal_bits_and_others_do_not() {
        let job = Job { batch: Some(7), ..small(Kind::Train) };
        let found = bits(&job).unwrap();
        // 48 * 5 + 5 and 5 * 3 + 3.
        assert_eq!((found.numbers, found.sha256.len()), (263, 64));
        assert_eq!(bits(&Job { threads: 3, ..job.clone() }).unwrap(), found);
        let others = [
            Job { rounds_of: 5, ..job.clone() },
            Job { batch: Some(8), ..job.clone() },
            Job { precision: "f64".to_owned(), ..job.clone() },
        ];
        for other in others {
            assert_ne!(bits(&other).unwrap().sha256, found.sha256, "{other:?}");
        }
        let still = bits(&Job { learning_rate: 1e-30, ..job }).unwrap_err().to_string();
        assert_eq!(still, "6 steps left the weights as they were");
    }

    #[test]
    fn the_gram_form_is_taken_where_it_is_asked_for() {
        let job = small(Kind::Train);
        let plain = bits(&job).unwrap();
        assert_eq!(bits(&Job { gram: Some(false), ..job.clone() }).unwrap(), plain);
        let gram = bits(&Job { gram: Some(true), ..job.clone() }).unwrap();
        assert_ne!(gram.sha256, plain.sha256, "the sums are taken in another order");
        assert!(bits(&Job { gram: Some(true), batch: Some(7), ..job }).is_err());
    }

    #[test]
    fn predictions_are_of_all_examples_also_where_batches_do_not_divide_them() {
        let job = Job { batch: Some(7), ..small(Kind::Predict) };
        assert_eq!(bits(&job).unwrap().numbers, 40 * 3);
        assert!(bits(&Job::fma(1)).is_err());
    }
}
