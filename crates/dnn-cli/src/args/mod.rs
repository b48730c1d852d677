//! The command line.

pub(crate) mod effect;
mod given;
mod train;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand, ValueEnum};
use dnn_run::{FilesConfig, Try};

pub(crate) use self::given::{Given, flags_of};
pub(crate) use self::train::TrainArguments;
use crate::output::note;

const EXIT_CODES: &str = "\
Exit codes:
  0  all went well
  1  something unexpected
  2  the command line or a setting is wrong
  3  the data is wrong
  4  a file or folder cannot be read or written
  5  a model file or a fetched data set is damaged
  6  training diverged: a number stopped being finite
  7  all went well, but for bad files that were left out
  8  verify: training again gave another model
  9  memory ran out
  129, 130, 143  a run was interrupted (its terminal closed, Ctrl-C, SIGTERM), and can be resumed";

const EVALUATE_EXAMPLES: &str = "\
Examples:
  dnn evaluate runs/digits-1/model.dnn                    on the parts of the built-in digits
  dnn evaluate runs/mnist-1/model.dnn mnist               on a data set of dnn fetch
  dnn evaluate runs/photos-1/model.dnn new-photos         on a folder";

const PREDICT_EXAMPLES: &str = "\
Examples:
  dnn predict runs/photos-1/model.dnn cat.jpg dog.jpg
  dnn predict runs/photos-1/model.dnn holiday --csv > holiday.csv
  dnn predict runs/photos-1/model.dnn cat.jpg --show seen     writes seen/cat.png
  dnn predict runs/photos-1/model.dnn cat.jpg --explain       writes explained/cat-explained.png
  curl -s https://example.org/cat.jpg | dnn predict runs/photos-1/model.dnn -
  dnn predict runs/digits-1/model.dnn pictures-idx3-ubyte
  dnn predict runs/digits-1/model.dnn pictures-idx3-ubyte --json | jq '.predictions[].class'";

const SEARCH_EXAMPLES: &str = "\
Examples:
  dnn search photos                                          20 trials of widths, rates, L2 and dropout
  dnn search photos --early-stopping 5 --try 'hidden=128|256,128' --try learning-rate=0.01..1 --trials 50
  dnn search photos --grid --try 'l2=0|1|10' --try 'dropout=0|0.3'
  dnn search --resume searches/photos-1 --trials 100         go on, with more trials

With --json: trials, the best first, best, model, command, and train, validation and test of the best.";

const VERIFY_EXAMPLES: &str = "\
Examples:
  dnn verify runs/digits-1/model.dnn
  dnn verify cats.dnn photos              where the data lies now

With --json: same, model_sha256, data_sha256 and reasons, which say what differs and why that may be.";

const RUNS_EXAMPLES: &str = "\
Examples:
  dnn runs
  dnn runs searches/photos-1 --sort accuracy
  dnn runs --json | jq '.runs[] | [.run, .parts.test.accuracy]'

With --json: runs, each with run, state (finished, stopped or resumable), epochs, asked, seconds, parts and
settings; differing, the names of the settings in which they differ; and unreadable.";

const CACHE_EXAMPLES: &str = "\
Examples:
  dnn cache
  dnn cache --clear

With --json: folder, cleared, entries (name and bytes), bytes, and others, which are no files of the cache and
are never removed.";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  dnn doctor photos
  dnn doctor photos --json | jq '.findings[] | select(.kind == \"across-parts\")'

With --json: name, layout, class_names, parts (the count of each class), findings (kind, serious and
every case with its pictures and a detail) and compared.";

/// Train and use deep neural networks that classify pictures, on an ordinary CPU.
#[derive(Debug, Parser)]
#[command(name = "dnn", version, after_help = EXIT_CODES, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train a network, measure it, and keep it in a run folder.
    ///
    /// Ctrl-C ends a run after the step that it is at, and saves it; so does closing its terminal, unless it
    /// was started with nohup. A second Ctrl-C ends it at once. Whatever ended it, `dnn train --resume RUN`
    /// goes on to the same model as if nothing had happened.
    #[command(after_help = train::EXAMPLES, allow_negative_numbers = true)]
    Train(Box<TrainArguments>),
    /// Train with many settings, and compare them on the validation part.
    ///
    /// All flags of train hold for every trial; --try says what differs. The test part is looked at once,
    /// when the best trial is known. A search that was interrupted goes on with --resume.
    #[command(after_help = SEARCH_EXAMPLES, allow_negative_numbers = true)]
    Search(Box<SearchArguments>),
    /// Train a model again from what it says of itself, and say whether the same bits come out.
    ///
    /// The data is the one named, that of the run in whose folder the model lies, or the built-in digits;
    /// its sha256 has to be the recorded one. The exit code is 8 if another model comes out.
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(VerifyArguments),
    /// Measure a model on data.
    #[command(after_help = EVALUATE_EXAMPLES)]
    Evaluate(EvaluateArguments),
    /// Classify pictures.
    #[command(after_help = PREDICT_EXAMPLES)]
    Predict(PredictArguments),
    /// Show what a model is made of and where it came from.
    Inspect(InspectArguments),
    /// List run folders side by side: how far each came, how well it does, and the settings in which they differ.
    ///
    /// Cost and accuracy are those of the validation part, where there is one: nothing is to be chosen by the test
    /// part. The interval is the 95 % confidence interval of the accuracy (Wilson).
    #[command(after_help = RUNS_EXAMPLES)]
    Runs(RunsArguments),
    /// Show the pictures that are kept decoded, or remove them.
    #[command(after_help = CACHE_EXAMPLES)]
    Cache(CacheArguments),
    /// Fetch a public data set: download, verify, unpack.
    #[command(after_help = dnn_fetch::command::EXAMPLES.replace("PROGRAM", "dnn fetch"))]
    Fetch(dnn_fetch::command::FetchArguments),
    /// Look data over before training: bad files, classes, equal and nearly equal pictures.
    ///
    /// Nothing is changed. The exit code is 3 if something should be seen to before training: a file
    /// that cannot be used, a class that a part lacks, one picture under two labels or in two parts.
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArguments),
}

/// What becomes of files that cannot be used, where none are moved.
#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Leaving {
    Stop,
    Skip,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Threads {
    /// Threads to run on; the result is the same for any number [default: one per core, or as many as the
    /// variable `RAYON_NUM_THREADS` says, up to four per core]
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    threads: Option<NonZeroUsize>,
}

impl Threads {
    /// Starts the program's one thread pool, and says how many threads it has.
    pub(crate) fn start(&self) -> anyhow::Result<usize> {
        let threads = self.threads.map_or_else(default_threads, NonZeroUsize::get);
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().with_context(|| {
            format!("cannot start that many threads ({threads}); try fewer with --threads")
        })?;
        Ok(rayon::current_num_threads())
    }
}

#[derive(Debug, Args)]
pub(crate) struct EvaluateArguments {
    /// The model file, or the folder of a run or search
    pub(crate) model: PathBuf,
    /// The data, as for train [default: the built-in digits, if the model was trained on them]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) files: Given<FilesConfig>,
    #[command(flatten)]
    pub(crate) threads: Threads,
    /// Also say, for each part and class: precision, recall, F1 and ROC AUC; log loss, Brier score,
    /// calibration, and which class was called which
    #[arg(long)]
    pub(crate) metrics: bool,
    /// Write one JSON object to standard output instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SearchArguments {
    #[command(flatten)]
    pub(crate) train: TrainArguments,
    /// A setting of train and what to try for it: values, as in `hidden=64|256,128`, or a range, as in
    /// `learning-rate=0.001..0.1`, drawn evenly by its logarithm if both ends are above 0. May be given
    /// again for other settings [default, but for what is given a value: where the pictures choose the network,
    /// a learning rate of 0.005 to 0.05, `label-smoothing=0|0.05|0.1`, `dropout=0|0.2` and `batch=16|32|64`;
    /// for dense networks `hidden=128|256|256,128|512,128`, a learning rate from a tenth of the default one to ten
    /// times it, `l2=0|1|10|100` and `dropout=0|0.2|0.4`]
    #[arg(id = "try", long = "try", value_name = "NAME=VALUES")]
    pub(crate) tries: Vec<Try>,
    /// How many combinations to draw, by --seed
    #[arg(long, value_name = "N", default_value = "20", conflicts_with = "grid")]
    pub(crate) trials: NonZeroUsize,
    /// Try every combination instead
    #[arg(long)]
    pub(crate) grid: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// The model file, or the folder of a run or search
    pub(crate) model: PathBuf,
    /// The data that it was trained on [default: where its run found it]
    pub(crate) data: Option<PathBuf>,
    /// The model that training started from [default: where its run found it]
    #[arg(long, value_name = "MODEL")]
    pub(crate) from: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) files: Given<FilesConfig>,
    #[command(flatten)]
    pub(crate) threads: Threads,
    /// Write one JSON object to standard output instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
pub(crate) struct PredictArguments {
    /// The model file, or the folder of a run or search
    pub(crate) model: PathBuf,
    /// Picture files, folders of them, IDX files (.gz too), or `-` for one picture from standard input
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Picture files that cannot be used: stop at the first, or skip them
    #[arg(long, value_name = "POLICY", default_value = "stop")]
    pub(crate) bad_files: Leaving,
    /// Use damaged JPEG files as far as they go
    #[arg(long)]
    pub(crate) lenient: bool,
    /// Also write what the network sees of each picture file, as PNG, into this folder, and say under which
    /// name; files that are there stay as they are
    #[arg(long, value_name = "FOLDER")]
    pub(crate) show: Option<PathBuf>,
    /// Also draw where each picture speaks for the class that is answered, as PNG, into this folder (`explained`
    /// if none is named), and say under which name: Grad-CAM where the model has convolutions, else the gradient of its
    /// input; files that are there stay as they are
    #[arg(long, value_name = "FOLDER", num_args = 0..=1, default_missing_value = "explained")]
    pub(crate) explain: Option<PathBuf>,
    /// Let --show and --explain replace files of their names that are there, but never one that is read here
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Write comma-separated values to standard output instead of a table
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
    #[command(flatten)]
    pub(crate) threads: Threads,
    /// Write one JSON object to standard output instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    /// The model file, or the folder of a run or search
    pub(crate) model: PathBuf,
    /// Also how a run like the recorded one goes about its work on so many training pictures: tiles,
    /// groups, blocks, and the form of the first layer
    #[arg(long, value_name = "PICTURES")]
    pub(crate) plan: Option<NonZeroUsize>,
    /// Write one JSON object to standard output instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunsArguments {
    /// The folder with the run folders, or a single one of them [default: runs]
    pub(crate) folder: Option<PathBuf>,
    /// What they are sorted by: name, accuracy, cost, time or epochs; the best, the fastest and the shortest first
    #[arg(long, value_name = "ORDER", default_value = "name", hide_possible_values = true)]
    pub(crate) sort: Order,
    /// Write one JSON object to standard output instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// What run folders are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Order {
    Name,
    Accuracy,
    Cost,
    Time,
    Epochs,
}

#[derive(Debug, Args)]
pub(crate) struct CacheArguments {
    /// The folder of the cache [default: dnn in `$XDG_CACHE_HOME`, or .cache/dnn in the home folder]
    pub(crate) folder: Option<PathBuf>,
    /// Remove the files of the cache; what is none stays
    #[arg(long)]
    pub(crate) clear: bool,
    /// Write one JSON object to standard output instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// The data, as for train
    pub(crate) data: PathBuf,
    /// Take damaged JPEG files for usable as far as they go
    #[arg(long)]
    pub(crate) lenient: bool,
    /// Cases to show of each finding, at most
    #[arg(long, value_name = "N", default_value = "3", conflicts_with = "json")]
    pub(crate) rows: usize,
    #[command(flatten)]
    pub(crate) threads: Threads,
    /// Write one JSON object with everything to standard output instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Threads for each processor that a variable of the environment may ask for.
const MOST_PER_PROCESSOR: usize = 4;

/// How many threads where the command line does not say; 0 leaves it to rayon.
fn default_threads() -> usize {
    let number = |name| Some((name, std::env::var(name).ok()?.parse::<usize>().ok()?));
    // Those that rayon reads, the first of them first.
    let asked = ["RAYON_NUM_THREADS", "RAYON_RS_NUM_CPUS"].into_iter().find_map(number);
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let most = processors.saturating_mul(MOST_PER_PROCESSOR);
    let Some((name, asked)) = asked.filter(|&(_, asked)| asked > most) else { return 0 };
    note(&format!(
        "{most} threads: {name} asks for {asked}, and more than {MOST_PER_PROCESSOR} for each processor only \
         wait for one another; give --threads to have them all the same"
    ));
    most
}

fn parse_threads(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .ok()
        .filter(|threads: &NonZeroUsize| threads.get() <= 1024)
        .ok_or_else(|| format!("expected a whole number from 1 to 1024, found `{text}`"))
}
