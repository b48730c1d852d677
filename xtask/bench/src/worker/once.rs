//! A job as a whole process: from its start to its end.

use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use dnn_core::Element;
use dnn_core::ndarray::ShapeBuilder;
use dnn_layers::Network;
use dnn_store::Scalar;
use dnn_train::Event;
use serde::{Deserialize, Serialize};

use super::ours::Answers;
use super::peak::peak_bytes;
use super::train::Desk;
use super::{Job, Kind, npy};

/// What a process says of itself at its end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Once {
    /// From the first line of the program to the last.
    pub seconds: f64,
    /// The median time of a step after the first, if there was more than one.
    pub step_seconds: Option<f64>,
    /// The last cost, or the probability of the last class.
    pub value: f64,
    /// The most memory that the process had.
    pub peak_bytes: Option<u64>,
}

/// Does a job once.
///
/// # Errors
/// If the job cannot be done.
pub fn once(job: &Job) -> Result<Once> {
    let start = Instant::now();
    let (step_seconds, value) = match (job.kind, job.precision.as_str()) {
        (Kind::Fma, _) => (None, 0.0),
        (Kind::Predict, _) => (None, predict(job)?),
        (_, "f32") => train::<f32>(job)?,
        (_, "f64") => train::<f64>(job)?,
        (_, other) => bail!("expected f32 or f64, found `{other}`"),
    };
    let seconds = start.elapsed().as_secs_f64();
    Ok(Once { seconds, step_seconds, value, peak_bytes: peak_bytes() })
}

/// The probability that the model file gives the first picture.
fn predict(job: &Job) -> Result<f64> {
    let network = Network::<f32>::load(job.model.as_ref().context("no model to predict with")?)?;
    let (shape, pixels) = npy::read::<u8>(job.pixels.as_ref().context("no picture")?)?;
    let features = shape.iter().skip(1).product::<usize>();
    let pixels = dnn_core::ndarray::ArrayView2::from_shape((features, shape[0]).f(), &pixels)?;
    Ok(Answers::of(&network)?.last_class(pixels)?[0])
}

/// As many steps as the job's rounds have: the median time of those after the first, and the last cost.
fn train<T: Element + Scalar>(job: &Job) -> Result<(Option<f64>, f64)> {
    let desk = Desk::<T>::of(job)?;
    let (mut times, mut value) = (Vec::new(), f64::NAN);
    let mut last = Instant::now();
    desk.steps(job.rounds_of, &mut |event| {
        if let Event::Step { cost, .. } = event {
            times.push(last.elapsed().as_secs_f64());
            (last, value) = (Instant::now(), cost);
            if times.len() == job.rounds_of {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })?;
    let mut later = times.split_off(1.min(times.len()));
    later.sort_by(f64::total_cmp);
    Ok((later.get(later.len() / 2).copied(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_says_its_time_its_memory_and_its_cost() {
        let job = Job {
            kind: Kind::Train,
            shape: [4, 4, 3],
            hidden: vec![5],
            classes: 2,
            examples: 40,
            batch: Some(10),
            learning_rate: 0.1,
            rounds_of: 6,
            ..Job::fma(1)
        };
        let found = once(&job).unwrap();
        assert!(found.value > 0.0 && found.step_seconds.unwrap() < found.seconds);
        let wide = once(&Job { precision: "f64".to_owned(), ..job.clone() }).unwrap();
        assert!((wide.value / found.value - 1.0).abs() < 1e-4, "{found:?} {wide:?}");
        assert!(once(&Job { precision: "f16".to_owned(), ..job.clone() }).is_err());
        assert!(once(&Job { kind: Kind::Predict, ..job }).is_err());
        if cfg!(target_os = "linux") {
            assert!(found.peak_bytes.unwrap() > 1 << 20);
        }
    }
}
