//! The arguments of `dnn train`.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use dnn_run::{RunConfig, RunError};

use super::{Given, Threads};

pub(super) const EXAMPLES: &str = "\
Examples:
  dnn train                               the built-in handwritten digits, default settings
  dnn train mnist --hidden 512            what dnn fetch mnist has put into datasets
  dnn train photos                        a folder of pictures with a folder for each class
  dnn train photos --augment flip,shift=4 mirrored and moved anew in every epoch
  dnn train photos --bad-files skip       leave out what cannot be read, at most 5 % of it
  dnn train photos --early-stopping 10 --dropout 0.3 --class-weights balanced
  dnn train photos --find-lr              which learning rate to choose
  dnn train photos --time-budget 2m       the network that is best for two minutes on this machine
  dnn train photos --time-limit 10m       what has been learned after ten minutes
  dnn train --resume runs/photos-1        go on with a run that was interrupted
  dnn train --resume runs/photos-1 --epochs 100       or make it longer, where its schedule can be
  dnn train photos --from runs/photos-1/model.dnn     start from another model's weights
  dnn train photos --epochs 50 --print-config > run.toml     all settings of this command, as a file
  dnn train --config run.toml             and the same run from it
  dnn train --hidden none                 softmax regression: no hidden layer
  dnn train photos --network conv:16,32,64    convolutions and pooling; what else a line can say is below
  dnn train --optimizer sgd --batch full --epochs 500      gradient descent on all examples at once
  dnn train --json | jq .test.accuracy    for programs

Layers in one line (--network):
  auto                 the default: convolutions that go with the size of the pictures, their number of epochs, and
                       batch normalisation, muon, one-cycle, label smoothing and augmentation where none is given;
                       for numbers to be found, f64 and full batches the dense layers of --hidden 256,128
  dense:256,128        hidden layers of these widths, as with --hidden 256,128
  conv:16,32,64        for each width a convolution 3x3 and pooling by the maximum of 2x2, as long as there are two
                       rows and columns; then flatten, dense 64, and dropout where --dropout asks for it
  resnet:16,32,64      for each width the same, and a residual block of two convolutions; then
                       global-average-pool, and dropout where --dropout asks for it
  or every layer, separated by commas:
  conv 32              convolution of 32 units; after them, in any order, 5x5 (else 3x3), stride 2, pad same
                       (the default), valid or a number, groups 4, no-bias
  depthwise 3x3        convolution that sees each channel on its own; with stride, pad and no-bias
  pool 3 stride 2      maximum of each window; else 2x2, as far apart as it is wide, pad valid
  average-pool 2       mean of each window, likewise
  global-max-pool, global-average-pool, global-pool    a number for each channel, or both
  flatten, dense 64, batch-norm, dropout 0.3, channel-dropout 0.1 (whole channels)
  relu, leaky-relu:0.1, identity and the other activations
  residual(conv 16, conv 16, identity)    adds what comes to these layers to what they give; where that has another
                       shape, by way of a convolution of 1x1
  After conv, depthwise and dense come by themselves, where --batch-norm asks for it, batch normalisation (the
  convolution then has no bias), and the activation of --activation; unless the next layer is an activation or
  batch-norm spelled out. The dense layer for the classes at the end is added by itself.

With --json: train, validation and test (null if there is no such part), each with cost, accuracy,
baseline and examples; model_sha256, seconds, examples_per_second and run, the run folder; steps and
epochs made, ended_by (epochs, early-stopping, steps or time-limit), and best_epoch, after which the
weights are, where the best ones were kept (else null). Where numbers are to be found: r2 and
mean_absolute_error in place of accuracy, and as baseline the cost of always answering with their mean;
the costs of the history are shares of the variance of the training part's numbers.";

/// The part of the help that the flags of the run folder stand in.
const RUN_FOLDER: &str = "Run folder";

#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
pub(crate) struct TrainArguments {
    #[command(flatten)]
    pub(crate) settings: Given<RunConfig>,
    /// Take settings from this TOML file, which --print-config writes; flags go before what it says
    #[arg(long, help_heading = RUN_FOLDER, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write all settings of this command as a TOML file for --config to standard output, and do nothing else
    #[arg(long, help_heading = RUN_FOLDER, conflicts_with = "json")]
    pub(crate) print_config: bool,
    #[command(flatten)]
    pub(crate) threads: Threads,
    /// The run folder to make; one in which a run was only begun is taken, too [default: runs/NAME-1, -2,
    /// …]; with --find-lr the drawing, if it ends in .svg
    #[arg(long, help_heading = RUN_FOLDER, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Go on with the run in this folder, to the same model as if it had never ended. More `--epochs` extend
    /// it; other settings or data are refused
    #[arg(
        long,
        help_heading = RUN_FOLDER,
        value_name = "RUN",
        conflicts_with_all = ["out", "from", "find_lr", "config", "print_config"]
    )]
    pub(crate) resume: Option<PathBuf>,
    /// Draw cost and accuracy of each epoch into this file, as SVG, anew after each; with `--resume` the file may be
    /// there already, with the curves of the run
    #[arg(long, help_heading = RUN_FOLDER, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
    /// Train for a short time at rising learning rates, say which to choose, and leave no run folder; with
    /// `--out` also a drawing
    #[arg(long, help_heading = "Training")]
    pub(crate) find_lr: bool,
    /// Do not say how far training or a search has come
    #[arg(long)]
    pub(crate) quiet: bool,
    /// Write one JSON object to standard output instead of a summary
    #[arg(long)]
    pub(crate) json: bool,
}

impl TrainArguments {
    /// The settings that are asked for: those of the file, if there is one, and over them those of the flags.
    pub(crate) fn config(&self) -> anyhow::Result<RunConfig> {
        let mut config = match &self.config {
            None => RunConfig::default(),
            Some(path) => {
                let text = fs::read_to_string(path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                RunConfig::from_toml(&text)
                    .map_err(|error| RunError::Usage(format!("{}: {error}", path.display())))?
            }
        };
        // Both say what all layers are: that of a flag goes before that of the file.
        if self.settings.has("network") {
            config.network.hidden = None;
        } else if self.settings.has("hidden") {
            config.network.network = None;
        }
        self.settings.over(&mut config)?;
        Ok(config)
    }
}
