//! `dnn predict`.

mod drawings;
mod report;

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ArgMatches;
use dnn_data::picture::Decoding;
use dnn_run::{Classifier, RunError, draw_heat};
use ndarray::{Array2, ShapeBuilder};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde_json::{Value, json};

use self::drawings::Drawings;
use self::report::Columns;
use crate::args::effect::{self, Needs};
use crate::args::{Leaving, PredictArguments};
use crate::data;
use crate::output::{self, note};
use crate::progress::Terminal;

/// No picture file is larger: 512 MiB.
const LARGEST_FILE: u64 = 512 << 20;

/// What stands for standard input among the files.
const STANDARD_INPUT: &str = "-";

/// Picture files that are decoded and classified together.
const GROUP: usize = 256;

pub(crate) fn run(arguments: &PredictArguments, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    check_inputs(arguments, &effect::given("predict", matches))?;
    arguments.threads.start()?;
    let decoding = Decoding { lenient: arguments.lenient, ..Decoding::default() };
    let classifier = Classifier::load_observed(&arguments.model, &mut Terminal::new(false))?;
    let mut task = Task {
        classifier: classifier.with_decoding(decoding),
        drawings: Drawings::new(arguments)?,
        skip_bad: arguments.bad_files == Leaving::Skip,
        predictions: Vec::new(),
        left_out: 0,
    };
    for path in &arguments.files {
        task.path(path)?;
    }
    let Task { classifier, predictions, left_out, .. } = task;
    let classes = classifier.classes();
    let columns =
        Columns { shown: arguments.show.is_some(), explained: arguments.explain.is_some() };
    if arguments.json {
        let predictions: Vec<Value> =
            predictions.iter().map(|one| report::as_json(classes, one)).collect();
        let sha256 = classifier.sha256();
        output::print_json(&json!({ "model_sha256": sha256, "predictions": predictions }))?;
    } else if arguments.csv {
        output::print(&report::as_csv(classes, &predictions, columns))?;
    } else {
        output::print(&report::table(classes, &predictions, columns))?;
    }
    Ok(data::exit_code(left_out))
}

/// The prediction for one picture.
struct Prediction {
    file: PathBuf,
    /// Its number in the file, from 1.
    picture: usize,
    /// The most probable one; 0 where there are none.
    class: usize,
    /// One for each class, or the outputs of a network without classes.
    probabilities: Vec<f64>,
    /// The file that shows what the network sees of it.
    shown: Option<PathBuf>,
    /// The file that shows where it speaks for the class.
    explained: Option<PathBuf>,
}

/// A picture whose class is asked for.
struct Asked {
    file: PathBuf,
    picture: usize,
    shown: Option<PathBuf>,
}

/// Refuses what can only be known from all inputs together.
fn check_inputs(arguments: &PredictArguments, given: &[String]) -> Result<(), RunError> {
    let from_input = arguments.files.iter().filter(|file| is_standard_input(file)).count();
    if from_input > 1 {
        let message = "standard input has one picture: expected `-` once, found it again";
        return Err(RunError::Usage(message.to_owned()));
    }
    if arguments.overwrite && arguments.show.is_none() && arguments.explain.is_none() {
        let message = "--overwrite has no effect here: it goes with --show or --explain";
        return Err(RunError::Usage(message.to_owned()));
    }
    let idx_alone = arguments.files.iter().all(|file| !is_standard_input(file) && is_idx(file));
    effect::refuse_idle("predict", given, |_, needs| {
        (needs == Needs::PictureFiles && idx_alone)
            .then(|| "IDX files have arrays, whose pictures are taken as they are".to_owned())
    })
}

fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == STANDARD_INPUT
}

/// What the names of drawings of a file's pictures begin with.
fn stem(file: &Path) -> String {
    match file.file_stem() {
        Some(stem) if !is_standard_input(file) => stem.to_string_lossy().into_owned(),
        _ => "standard-input".to_owned(),
    }
}

/// A file as messages name it.
fn name_of(path: &Path) -> String {
    if is_standard_input(path) { "standard input".to_owned() } else { path.display().to_string() }
}

struct Task {
    classifier: Classifier,
    drawings: Drawings,
    skip_bad: bool,
    predictions: Vec<Prediction>,
    left_out: usize,
}

impl Task {
    /// A picture file, standard input, a folder of picture files, or an IDX file.
    fn path(&mut self, path: &Path) -> anyhow::Result<()> {
        if is_standard_input(path) {
            return self.photos(&[path.to_owned()]);
        }
        if path.is_dir() {
            let files = dnn_data::picture_files(path)?;
            if files.is_empty() {
                let message = format!("{}: expected pictures, found none", path.display());
                return Err(RunError::Data(message).into());
            }
            let files: Vec<PathBuf> = files.iter().map(|file| path.join(file)).collect();
            return files.chunks(GROUP).try_for_each(|group| self.photos(group));
        }
        if is_idx(path) { self.idx(path) } else { self.photos(&[path.to_owned()]) }
    }

    fn idx(&mut self, path: &Path) -> anyhow::Result<()> {
        let (pixels, shape) = dnn_data::idx::read_idx_images(path)?;
        self.classifier.check_shape(shape).with_context(|| path.display().to_string())?;
        let asked = |picture| Asked { file: path.to_owned(), picture, shown: None };
        let files = (1..=pixels.ncols()).map(asked).collect();
        self.classify(&pixels, files).with_context(|| path.display().to_string())
    }

    fn photos(&mut self, files: &[PathBuf]) -> anyhow::Result<()> {
        let classifier = &self.classifier;
        let prepared: Vec<anyhow::Result<Vec<u8>>> = files
            .par_iter()
            .map_init(
                || classifier.preparer(),
                |preparer, file| {
                    let bytes = read(file)?;
                    let named = |error| RunError::BadFile(format!("{}: {error}", name_of(file)));
                    Ok(classifier.prepare(preparer, &bytes).map_err(named)?)
                },
            )
            .collect();
        let width = classifier.preprocessing().shape.features().unwrap_or(0);
        let mut pixels = Vec::new();
        let mut used = Vec::new();
        self.drawings.keep(files);
        for (file, prepared) in files.iter().zip(prepared) {
            match prepared {
                Ok(picture) => {
                    let shape = self.classifier.preprocessing().shape;
                    let shown = self.drawings.show(&stem(file), &picture, shape)?;
                    pixels.extend(picture);
                    used.push(Asked { file: file.clone(), picture: 1, shown });
                }
                Err(error) if self.skip_bad => {
                    note(&format!("left out: {error:#}"));
                    self.left_out += 1;
                }
                Err(error) => return Err(error),
            }
        }
        let pixels = Array2::from_shape_vec((width, used.len()).f(), pixels)?;
        self.classify(&pixels, used)
    }

    fn classify(&mut self, pixels: &Array2<u8>, files: Vec<Asked>) -> anyhow::Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        let predictions = self.classifier.predict(pixels.view())?;
        let first = self.predictions.len();
        for (Asked { file, picture, shown }, answer) in files.into_iter().zip(predictions) {
            let (class, probabilities) = (answer.class.unwrap_or(0), answer.probabilities);
            let explained = None;
            let one = Prediction { file, picture, class, probabilities, shown, explained };
            self.predictions.push(one);
        }
        self.explain(pixels, first)
    }

    /// Draws where each picture, the first of which is the prediction `first`, speaks for its class, if that was asked
    /// for.
    fn explain(&mut self, pixels: &Array2<u8>, first: usize) -> anyhow::Result<()> {
        if !self.drawings.explains() {
            return Ok(());
        }
        let classes: Vec<usize> = self.predictions[first..].iter().map(|one| one.class).collect();
        let explanation = self.classifier.explain(pixels.view(), &classes)?;
        let shape = self.classifier.preprocessing().shape;
        let columns = pixels.columns().into_iter().zip(explanation.heat.columns());
        for (one, (pixels, heat)) in self.predictions[first..].iter_mut().zip(columns) {
            let drawing = draw_heat(&pixels.to_vec(), shape, heat)?;
            let mut stem = stem(&one.file);
            if is_idx(&one.file) {
                stem += &format!("-{}", one.picture);
            }
            let title = report::answer(self.classifier.classes(), one);
            one.explained = self.drawings.explain(&stem, &drawing, &title, &explanation.by)?;
        }
        Ok(())
    }
}

/// The bytes of a picture file or of standard input.
fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    if !is_standard_input(file) {
        return Ok(dnn_store::read_file(file, LARGEST_FILE)?);
    }
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .context("cannot read standard input")?;
    if bytes.is_empty() || bytes.len() as u64 > LARGEST_FILE {
        let found = bytes.len();
        let message = format!(
            "standard input: expected a picture of at most {LARGEST_FILE} bytes, found {}",
            if found == 0 { "nothing" } else { "more" }
        );
        return Err(RunError::Data(message).into());
    }
    Ok(bytes)
}

/// Whether a file begins as IDX does, or as gzip, which no picture is; one that cannot be opened is
/// left to its reader to refuse.
fn is_idx(path: &Path) -> bool {
    let mut start = [1; 3];
    let regular = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let mut read = || fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    let of_idx = |start: [u8; 3]| start[..2] == [0, 0] && matches!(start[2], 0x08..=0x0e);
    regular && read().is_ok() && (of_idx(start) || start[..2] == [0x1f, 0x8b])
}
