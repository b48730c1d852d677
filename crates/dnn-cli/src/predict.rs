//! `dnn predict`.

use std::path::Path;

use anyhow::Context as _;
use dnn_core::Element;
use dnn_layers::{Network, most_probable};
use dnn_store::Scalar;
use ndarray::Array2;
use serde_json::{Map, Value, json};

use crate::args::PredictArguments;
use crate::evaluate::check_shape;
use crate::model::{WithModel, with_model};
use crate::output::{self, plain};

pub(crate) fn run(arguments: &PredictArguments) -> anyhow::Result<()> {
    arguments.threads.start()?;
    with_model(&arguments.model, Predict(arguments))
}

struct Predict<'a>(&'a PredictArguments);

/// The predictions for the pictures of one file.
struct Predictions<'a, T> {
    file: &'a Path,
    classes: Vec<usize>,
    /// `(classes, pictures)`.
    probabilities: Array2<T>,
}

impl WithModel for Predict<'_> {
    fn run<T: Element + Scalar>(self, network: &Network<T>, sha256: &str) -> anyhow::Result<()> {
        let files: Vec<Predictions<'_, T>> = self
            .0
            .files
            .iter()
            .map(|file| predict(network, file))
            .collect::<anyhow::Result<_>>()?;
        if self.0.json {
            let predictions: Vec<Value> =
                files.iter().flat_map(|file| as_json(network, file)).collect();
            return output::print_json(&json!({
                "model_sha256": sha256,
                "predictions": predictions,
            }));
        }
        output::print(&table(network, &files))
    }
}

fn predict<'a, T: Element>(
    network: &Network<T>,
    file: &'a Path,
) -> anyhow::Result<Predictions<'a, T>> {
    let (pixels, shape) = dnn_data::idx::read_idx_images(file)?;
    check_shape(network, shape).with_context(|| file.display().to_string())?;
    let probabilities = network
        .predict_probabilities(&network.pixels(pixels.view()))
        .with_context(|| file.display().to_string())?;
    let classes = probabilities.columns().into_iter().map(most_probable).collect();
    Ok(Predictions { file, classes, probabilities })
}

fn as_json<T: Element>(network: &Network<T>, file: &Predictions<'_, T>) -> Vec<Value> {
    let name = |class: usize| &network.classes()[class];
    let one = |(index, &class): (usize, &usize)| {
        let probabilities: Map<String, Value> = file
            .probabilities
            .column(index)
            .iter()
            .enumerate()
            .map(|(class, &p)| (name(class).clone(), Into::<f64>::into(p).into()))
            .collect();
        json!({
            "file": file.file.display().to_string(),
            "picture": index + 1,
            "class": name(class),
            "probability": Into::<f64>::into(file.probabilities[(class, index)]),
            "probabilities": probabilities,
        })
    };
    file.classes.iter().enumerate().map(one).collect()
}

fn table<T: Element>(network: &Network<T>, files: &[Predictions<'_, T>]) -> String {
    let longest =
        |texts: &mut dyn Iterator<Item = usize>, least| texts.max().unwrap_or(0).max(least);
    let file_width =
        longest(&mut files.iter().map(|f| plain(&f.file.display().to_string()).chars().count()), 4);
    let class_width = longest(&mut network.classes().iter().map(|c| plain(c).chars().count()), 5);
    let mut table = format!(
        "{:<file_width$}  {:>7}  {:<class_width$}  {:>11}\n",
        "file", "picture", "class", "probability"
    );
    for file in files {
        let name = plain(&file.file.display().to_string());
        for (index, &class) in file.classes.iter().enumerate() {
            table += &format!(
                "{name:<file_width$}  {:>7}  {:<class_width$}  {:>9.1} %\n",
                index + 1,
                plain(&network.classes()[class]),
                100.0 * Into::<f64>::into(file.probabilities[(class, index)])
            );
        }
    }
    table
}
