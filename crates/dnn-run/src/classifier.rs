//! From the bytes of a picture file to a class.

use std::path::Path;

use dnn_core::Element;
use dnn_data::ImageShape;
use dnn_data::picture::{Decoding, PictureError, Preparer, Preprocessing};
use dnn_layers::{AnyNetwork, ModelFile, Network, most_probable};
use dnn_store::Scalar;
use ndarray::{Array2, ArrayView2, ShapeBuilder as _};

use crate::error::{Context as _, Result, RunError};
use crate::explain::{Explanation, explain};
use crate::model::{self, with_network};
use crate::observer::Observer;
use crate::preprocessing;
use crate::provenance;

/// A model that answers for encoded pictures: it decodes them, brings them to the shape that it was trained on,
/// and says their class.
///
/// # Examples
/// See the [crate](crate).
#[derive(Debug)]
pub struct Classifier {
    network: AnyNetwork,
    sha256: String,
    preprocessing: Preprocessing,
    decoding: Decoding,
}

/// The answer for one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The most probable class, by its place in [`Classifier::classes`]; `None` where the model gives numbers.
    pub class: Option<usize>,
    /// The probability of each class; the numbers themselves where the model has no classes.
    pub probabilities: Vec<f64>,
}

impl Classifier {
    /// Loads a model file, or that of the folder of a run or search.
    ///
    /// # Errors
    /// [`RunError::Network`] for a file that is no whole model, [`RunError::Usage`] for a folder without one.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::new(model::load(path.as_ref(), &mut crate::observer::Silent)?)
    }

    /// The same, and the observer hears which model a folder stands for.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_observed(path: &Path, observer: &mut dyn Observer) -> Result<Self> {
        Self::new(model::load(path, observer)?)
    }

    /// A classifier with the network of a model file.
    ///
    /// # Errors
    /// [`RunError::Load`] if what the model says of its pictures cannot be.
    pub fn new(model: ModelFile) -> Result<Self> {
        let ModelFile { network, sha256 } = model;
        let preprocessing = preprocessing_of(&network)?;
        Ok(Self { network, sha256, preprocessing, decoding: Decoding::default() })
    }

    /// Decodes with these settings.
    pub fn with_decoding(self, decoding: Decoding) -> Self {
        Self { decoding, ..self }
    }

    /// The names of the classes; none where the model gives numbers.
    pub fn classes(&self) -> &[String] {
        model::classes(&self.network)
    }

    /// SHA-256 of the model file, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// How pictures come to the network's input.
    pub fn preprocessing(&self) -> Preprocessing {
        self.preprocessing
    }

    /// What turns encoded pictures into pixels for this model; one for each thread.
    pub fn preparer(&self) -> Preparer {
        Preparer::new(self.preprocessing, self.decoding)
    }

    /// The answer for a picture in a file's bytes: JPEG, PNG, WebP, GIF, BMP or TIFF.
    ///
    /// # Errors
    /// [`RunError::BadFile`] with what is wrong with the picture.
    pub fn classify(&self, bytes: &[u8]) -> Result<Prediction> {
        let pixels = self.prepare(&mut self.preparer(), bytes)?;
        let pixels = ArrayView2::from_shape((pixels.len(), 1).f(), &pixels)
            .expect("one column of as many pixels as there are");
        let mut predictions = self.predict(pixels)?;
        Ok(predictions.pop().expect("one picture has one answer"))
    }

    /// The pixels of an encoded picture as the network sees them: row-major, channels interleaved.
    ///
    /// # Errors
    /// [`RunError::BadFile`] with what is wrong with the picture.
    pub fn prepare(&self, preparer: &mut Preparer, bytes: &[u8]) -> Result<Vec<u8>> {
        let features = with_network!(&self.network, network => network.features());
        let mut pixels = vec![0; features];
        preparer
            .prepare(bytes, &mut pixels)
            .map_err(|error: PictureError| RunError::BadFile(error.to_string()))?;
        Ok(pixels)
    }

    /// The answers for pixels as the network sees them.
    ///
    /// # Shapes
    /// `pixels` is `(height * width * channels, m)`, a picture a column, values 0 to 255.
    ///
    /// # Errors
    /// [`RunError::Network`] for another number of rows, or numbers that overflow.
    pub fn predict(&self, pixels: ArrayView2<'_, u8>) -> Result<Vec<Prediction>> {
        with_network!(&self.network, network => predict(network, pixels))
    }

    /// Which places of pictures speak for a class: by [Grad-CAM](dnn_train::explain::class_activation) where the model has
    /// convolutions, else by the [gradient of the input](dnn_train::explain::input_gradient). A class for each picture,
    /// by its place in [`classes`](Self::classes), or an output where the model gives numbers. It is about the picture as
    /// it lies, also where the model looks at its mirror besides.
    ///
    /// # Shapes
    /// `pixels` is `(height * width * channels, m)`, as for [`predict`](Self::predict); the heat is
    /// `(height * width, m)`.
    ///
    /// # Errors
    /// [`RunError::Train`] for another number of rows or classes, or numbers that overflow.
    pub fn explain(&self, pixels: ArrayView2<'_, u8>, classes: &[usize]) -> Result<Explanation> {
        with_network!(&self.network, network => explain(network, pixels, classes))
    }

    /// Checks that pictures in arrays have the shape that the model takes.
    ///
    /// # Errors
    /// [`RunError::Data`] with both shapes.
    pub fn check_shape(&self, found: ImageShape) -> Result<()> {
        check_shape(&self.network, found)
    }
}

fn predict<T: Element + Scalar>(
    network: &Network<T>,
    pixels: ArrayView2<'_, u8>,
) -> Result<Vec<Prediction>> {
    let has_classes = !network.classes().is_empty();
    let pixels = network.pixels(pixels);
    let outputs: Array2<T> = if has_classes {
        network.predict_probabilities(&pixels)?
    } else {
        network.predict_outputs(&pixels)?
    };
    let answer = |column: ndarray::ArrayView1<'_, T>| Prediction {
        class: has_classes.then(|| most_probable(column)),
        probabilities: column.iter().map(|&p| p.into()).collect(),
    };
    Ok(outputs.columns().into_iter().map(answer).collect())
}

/// How the model's pictures were brought to its input, as the network itself says, or, up to version 0.1, where it
/// came from; stretched, if neither does.
pub(crate) fn preprocessing_of(network: &AnyNetwork) -> Result<Preprocessing> {
    let shape = input_shape(network);
    let own = with_network!(network, network => network.preprocessing());
    let found = if let Some(own) = own {
        preprocessing::of_record(own, shape).map(Some)
    } else {
        let provenance = with_network!(network, network => network.provenance());
        provenance.map_or(Ok(None), provenance::preprocessing)
    };
    let found = found.context(|| "what the model says of its pictures".to_owned())?;
    Ok(found.unwrap_or_else(|| Preprocessing::stretch(shape)))
}

/// The shape of the network's input.
pub(crate) fn input_shape(network: &AnyNetwork) -> ImageShape {
    let input = with_network!(network, network => network.input());
    ImageShape { height: input.height, width: input.width, channels: input.channels }
}

/// Checks that pictures have the shape that the model takes.
pub(crate) fn check_shape(network: &AnyNetwork, found: ImageShape) -> Result<()> {
    let expected = input_shape(network);
    if expected == found {
        return Ok(());
    }
    Err(RunError::Data(format!("the model expects pictures of {expected}, found {found}")))
}
