//! What a worker is asked to do.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Steps whose costs are compared: the last of them is the cost after ten steps.
pub const CHECKED_STEPS: usize = 11;

/// What one round is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Multiplications and additions in registers: how fast the machine is at the moment.
    Fma,
    /// So many epochs of a run that goes on from round to round.
    Train,
    /// A whole run from the first weights, with all that starting it costs.
    Run,
    /// So many predictions; the time is the median of them.
    Predict,
}

/// Rows and columns of what a unit of a convolution sees.
pub(super) const WINDOW: usize = 3;

/// The sizes of a layer with weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightedLayer {
    /// Weights of a unit.
    pub inputs: usize,
    /// Units.
    pub units: usize,
    /// How often a unit's weights are used for one example.
    pub places: usize,
}

impl WeightedLayer {
    fn operations(&self) -> usize {
        2 * self.inputs * self.units * self.places
    }
}

/// A job, as it lies in a JSON file for workers in any language.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The workload.
    pub name: String,
    /// What one round is.
    pub kind: Kind,
    /// `f32` or `f64`; or `bf16`, which a worker makes of `f32`.
    pub precision: String,
    /// Height, width and channels of a picture.
    pub shape: [usize; 3],
    /// The units of the convolutions before all other layers: each sees 3 x 3 pixels at a stride of 1, with a border, and
    /// has ReLU and the largest of each 2 x 2 after it.
    #[serde(default)]
    pub convolutions: Vec<usize>,
    /// The widths of a residual network in place of `convolutions`, four of them: a convolution at a stride of 2, then
    /// three more, of which the first two have a block of two convolutions after them that a connection goes around;
    /// batch normalisation and ReLU after each convolution, the largest of each 2 x 2 after each but the first, and the
    /// largest and the mean number of each channel at the end.
    #[serde(default)]
    pub residual: Vec<usize>,
    /// The widths of the hidden layers, all with ReLU.
    pub hidden: Vec<usize>,
    /// Two classes make one sigmoid output, more a softmax.
    pub classes: usize,
    /// How many examples.
    pub examples: usize,
    /// Examples per step, or per prediction; all of them if `None`.
    pub batch: Option<usize>,
    /// The optimiser, as `dnn_train::Optimizer` is written.
    pub optimizer: String,
    /// The learning rate.
    pub learning_rate: f64,
    /// Whether full-batch descent is in the Gram form; if `None`, a run chooses and a step is plain.
    #[serde(default)]
    pub gram: Option<bool>,
    /// Epochs, predictions, or loops of multiplications, of one round.
    pub rounds_of: usize,
    /// Threads to run on.
    pub threads: usize,
    /// Pixels, `.npy` of `u8`, one example a row; made up from a seed if `None`.
    pub pixels: Option<PathBuf>,
    /// Labels, `.npy` of `i64`.
    pub labels: Option<PathBuf>,
    /// The order of the examples for mini-batches, `.npy` of `i64`.
    pub order: Option<PathBuf>,
    /// The folder with the first weights `W1.npy`, `b1.npy`, … of `f32` or `f64`; drawn from a seed if `None`.
    pub weights: Option<PathBuf>,
    /// Our model file, for a prediction by a whole process.
    pub model: Option<PathBuf>,
}

impl Job {
    /// A job that has nothing but a number of threads.
    pub fn fma(threads: usize) -> Self {
        Self {
            name: "fma".to_owned(),
            kind: Kind::Fma,
            precision: "f32".to_owned(),
            shape: [0; 3],
            convolutions: Vec::new(),
            residual: Vec::new(),
            hidden: Vec::new(),
            classes: 0,
            examples: 0,
            batch: None,
            optimizer: "sgd".to_owned(),
            learning_rate: 0.0,
            gram: None,
            rounds_of: 1,
            threads,
            pixels: None,
            labels: None,
            order: None,
            weights: None,
            model: None,
        }
    }

    /// Whether there are convolutions.
    pub fn has_convolutions(&self) -> bool {
        !self.convolutions.is_empty() || !self.residual.is_empty()
    }

    /// The widths of all dense layers, the numbers that they are given first.
    pub fn widths(&self) -> Vec<usize> {
        let outputs = if self.classes == 2 { 1 } else { self.classes };
        if let Some(last) = self.residual.last() {
            return [&[2 * last][..], &self.hidden, &[outputs]].concat();
        }
        let [height, width, channels] = self.shape;
        let halved = |size: usize| self.convolutions.iter().fold(size, |size, _| size / 2);
        let channels = self.convolutions.last().copied().unwrap_or(channels);
        let input = halved(height) * halved(width) * channels;
        [&[input][..], &self.hidden, &[outputs]].concat()
    }

    /// All layers with weights, in their order.
    pub fn weighted_layers(&self) -> Vec<WeightedLayer> {
        let [mut height, mut width, mut channels] = self.shape;
        let mut layers = Vec::new();
        for (at, &units) in self.residual.iter().enumerate() {
            if at == 0 {
                (height, width) = (height.div_ceil(2), width.div_ceil(2));
            }
            let places = height * width;
            layers.push(WeightedLayer { inputs: WINDOW * WINDOW * channels, units, places });
            if at > 0 {
                (height, width) = (height / 2, width / 2);
            }
            if (1..3).contains(&at) {
                let inputs = WINDOW * WINDOW * units;
                layers.extend([WeightedLayer { inputs, units, places: height * width }; 2]);
            }
            channels = units;
        }
        for &units in &self.convolutions {
            let places = height * width;
            layers.push(WeightedLayer { inputs: WINDOW * WINDOW * channels, units, places });
            (height, width, channels) = (height / 2, width / 2, units);
        }
        let dense = self.widths();
        let of = |pair: &[usize]| WeightedLayer { inputs: pair[0], units: pair[1], places: 1 };
        layers.extend(dense.windows(2).map(of));
        layers
    }

    /// Multiplications and additions of a prediction of one example, the products with weights alone.
    pub fn forward_operations(&self) -> usize {
        self.weighted_layers().iter().map(WeightedLayer::operations).sum()
    }

    /// Those of a training step for each of its examples: forward, the gradients of the weights, and those of what
    /// every layer but the first is given.
    pub fn step_operations(&self) -> usize {
        let first = self.weighted_layers().first().map_or(0, WeightedLayer::operations);
        3 * self.forward_operations() - first
    }

    /// Reads a job.
    ///
    /// # Errors
    /// If the file cannot be read or is no job.
    pub fn read(path: &Path) -> Result<Self> {
        let text = dnn_store::read_file(path, 1 << 20)?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no job", path.display()))
    }

    /// Writes it where [`read`](Self::read) can find it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        crate::bench::write(path, &(serde_json::to_string_pretty(self)? + "\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.json");
        let job = Job { shape: [8, 8, 3], hidden: vec![5], classes: 2, ..Job::fma(3) };
        job.write(&path).unwrap();
        assert_eq!(Job::read(&path).unwrap(), job);
        assert_eq!(job.widths(), [192, 5, 1]);
        assert_eq!(Job { classes: 10, ..job }.widths(), [192, 5, 10]);
        let job = Job { convolutions: vec![4, 6], ..Job::read(&path).unwrap() };
        assert_eq!(job.widths(), [2 * 2 * 6, 5, 1]);
        std::fs::write(&path, "{}").unwrap();
        assert!(Job::read(&path).unwrap_err().to_string().ends_with("is no job"));
    }

    #[test]
    fn operations_are_those_of_all_products_with_weights() {
        let job = Job {
            shape: [64, 64, 3],
            convolutions: vec![16, 32, 64, 64],
            hidden: vec![64],
            classes: 2,
            ..Job::fma(1)
        };
        let first = WeightedLayer { inputs: 27, units: 16, places: 4096 };
        assert_eq!(job.weighted_layers()[0], first);
        // 2 (4096 27 16 + 1024 144 32 + 256 288 64 + 64 576 64 + 1024 64 + 64).
        assert_eq!(job.forward_operations(), 27_263_104);
        assert_eq!(job.step_operations(), 3 * 27_263_104 - 3_538_944);
        let residual = vec![16, 32, 64, 128];
        let job = Job { convolutions: vec![], hidden: vec![], residual, ..job };
        assert_eq!(job.widths(), [256, 1]);
        // 2 (1024 27 16 + 1024 144 32 + 2 256 288 32 + 256 288 64 + 2 64 576 64 + 64 576 128 + 256).
        assert_eq!(job.forward_operations(), 48_071_168);
    }
}
