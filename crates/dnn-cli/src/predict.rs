//! `dnn predict`.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use dnn_core::Element;
use dnn_data::picture::{Decoding, Preparer, Preprocessing, encode_png};
use dnn_layers::{Network, most_probable};
use dnn_store::Scalar;
use ndarray::{Array2, ShapeBuilder};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde_json::{Map, Value, json};

use crate::args::PredictArguments;
use crate::data;
use crate::evaluate::{check_shape, preprocessing_of};
use crate::failure::Refusal;
use crate::model::{WithModel, with_model};
use crate::output::{self, note, plain};

/// No picture file is larger: 512 MiB.
const LARGEST_FILE: u64 = 512 << 20;

/// Picture files that are decoded and classified together.
const GROUP: usize = 256;

pub(crate) fn run(arguments: &PredictArguments) -> anyhow::Result<ExitCode> {
    arguments.threads.start()?;
    with_model(&arguments.model, Predict(arguments))
}

struct Predict<'a>(&'a PredictArguments);

/// The prediction for one picture.
struct Prediction {
    file: PathBuf,
    /// Its number in the file, from 1.
    picture: usize,
    class: usize,
    /// One for each class.
    probabilities: Vec<f64>,
}

impl WithModel for Predict<'_> {
    type Outcome = ExitCode;

    fn run<T: Element + Scalar>(
        self,
        network: &Network<T>,
        sha256: &str,
    ) -> anyhow::Result<ExitCode> {
        let arguments = self.0;
        let mut task = Task {
            network,
            preprocessing: preprocessing_of(network)?,
            show: arguments.show.as_deref(),
            shown: BTreeSet::new(),
            skip_bad: arguments.skip_bad,
            predictions: Vec::new(),
            left_out: 0,
        };
        for path in &arguments.files {
            task.path(path)?;
        }
        let Task { predictions, left_out, .. } = task;
        let classes = network.classes();
        if arguments.json {
            let predictions: Vec<Value> =
                predictions.iter().map(|one| as_json(classes, one)).collect();
            output::print_json(&json!({ "model_sha256": sha256, "predictions": predictions }))?;
        } else if arguments.csv {
            output::print(&as_csv(classes, &predictions))?;
        } else {
            output::print(&table(classes, &predictions))?;
        }
        Ok(data::exit_code(left_out))
    }
}

struct Task<'a, T> {
    network: &'a Network<T>,
    preprocessing: Preprocessing,
    show: Option<&'a Path>,
    /// The names written there.
    shown: BTreeSet<PathBuf>,
    skip_bad: bool,
    predictions: Vec<Prediction>,
    left_out: usize,
}

impl<T: Element> Task<'_, T> {
    /// A picture file, a folder of them, or an IDX file.
    fn path(&mut self, path: &Path) -> anyhow::Result<()> {
        if path.is_dir() {
            let files = dnn_data::picture_files(path)?;
            if files.is_empty() {
                let message = format!("{}: expected pictures, found none", path.display());
                return Err(Refusal::Data(message).into());
            }
            let files: Vec<PathBuf> = files.iter().map(|file| path.join(file)).collect();
            return files.chunks(GROUP).try_for_each(|group| self.photos(group));
        }
        if is_idx(path) { self.idx(path) } else { self.photos(&[path.to_owned()]) }
    }

    fn idx(&mut self, path: &Path) -> anyhow::Result<()> {
        let (pixels, shape) = dnn_data::idx::read_idx_images(path)?;
        check_shape(self.network, shape).with_context(|| path.display().to_string())?;
        let files: Vec<(PathBuf, usize)> =
            (1..=pixels.ncols()).map(|number| (path.to_owned(), number)).collect();
        self.classify(&pixels, files).with_context(|| path.display().to_string())
    }

    fn photos(&mut self, files: &[PathBuf]) -> anyhow::Result<()> {
        let width = self.network.features();
        let prepared: Vec<anyhow::Result<Vec<u8>>> = files
            .par_iter()
            .map_init(
                || Preparer::new(self.preprocessing, Decoding::default()),
                |preparer, file| {
                    let bytes = dnn_store::read_file(file, LARGEST_FILE)?;
                    let mut pixels = vec![0; width];
                    preparer
                        .prepare(&bytes, &mut pixels)
                        .map_err(|error| Refusal::Data(format!("{}: {error}", file.display())))?;
                    Ok(pixels)
                },
            )
            .collect();
        let mut pixels = Vec::new();
        let mut used = Vec::new();
        for (file, prepared) in files.iter().zip(prepared) {
            match prepared {
                Ok(picture) => {
                    self.write(file, &picture)?;
                    pixels.extend(picture);
                    used.push((file.clone(), 1));
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

    /// Writes what the network sees, if that was asked for.
    fn write(&mut self, file: &Path, pixels: &[u8]) -> anyhow::Result<()> {
        let Some(folder) = self.show else { return Ok(()) };
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let stem = file.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
        let names = (1_usize..).map(|number| match number {
            1 => folder.join(format!("{stem}.png")),
            _ => folder.join(format!("{stem}-{number}.png")),
        });
        let Some(to) = names.into_iter().find(|name| self.shown.insert(name.clone())) else {
            return Ok(());
        };
        let png = encode_png(pixels, self.preprocessing.shape)?;
        Ok(dnn_store::commit(&to, &png)?)
    }

    fn classify(
        &mut self,
        pixels: &Array2<u8>,
        files: Vec<(PathBuf, usize)>,
    ) -> anyhow::Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        let network = self.network;
        let probabilities = network.predict_probabilities(&network.pixels(pixels.view()))?;
        for ((file, picture), column) in files.into_iter().zip(probabilities.columns()) {
            let class = most_probable(column);
            let probabilities = column.iter().map(|&p| p.into()).collect();
            self.predictions.push(Prediction { file, picture, class, probabilities });
        }
        Ok(())
    }
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

fn as_json(classes: &[String], one: &Prediction) -> Value {
    let probabilities: Map<String, Value> =
        classes.iter().zip(&one.probabilities).map(|(name, &p)| (name.clone(), p.into())).collect();
    json!({
        "file": one.file.display().to_string(),
        "picture": one.picture,
        "class": classes[one.class],
        "probability": one.probabilities[one.class],
        "probabilities": probabilities,
    })
}

fn as_csv(classes: &[String], predictions: &[Prediction]) -> String {
    // A cell in quotes where it needs them (RFC 4180).
    let cell = |text: &str| {
        if text.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        }
    };
    let names: Vec<String> = classes.iter().map(|name| cell(name)).collect();
    let mut csv = format!("file,picture,class,probability,{}\n", names.join(","));
    for one in predictions {
        let file = one.file.display().to_string();
        let probabilities: Vec<String> = one.probabilities.iter().map(f64::to_string).collect();
        csv += &format!(
            "{},{},{},{},{}\n",
            cell(&file),
            one.picture,
            names[one.class],
            one.probabilities[one.class],
            probabilities.join(",")
        );
    }
    csv
}

fn table(classes: &[String], predictions: &[Prediction]) -> String {
    let name = |one: &Prediction| plain(&one.file.display().to_string());
    let longest = |texts: &mut dyn Iterator<Item = usize>, least| texts.fold(least, usize::max);
    let file_width = longest(&mut predictions.iter().map(|one| name(one).chars().count()), 4);
    let class_width = longest(&mut classes.iter().map(|class| plain(class).chars().count()), 5);
    let mut table = format!(
        "{:<file_width$}  {:>7}  {:<class_width$}  {:>11}\n",
        "file", "picture", "class", "probability"
    );
    for one in predictions {
        table += &format!(
            "{:<file_width$}  {:>7}  {:<class_width$}  {:>9.1} %\n",
            name(one),
            one.picture,
            plain(&classes[one.class]),
            100.0 * one.probabilities[one.class]
        );
    }
    table
}
