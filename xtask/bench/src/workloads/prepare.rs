//! The files that all programs of a measurement read: pixels, labels, orders, first weights.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use dnn_core::ndarray::ArrayView2;
use dnn_core::{
    Element, Initializer, Parameters, Purpose, RandomStream, initialize_parameters_deep,
};
use dnn_data::picture::Preprocessing;
use dnn_data::{ImageDataset, ImageShape, LoadOptions, load_arrays, load_pictures};
use dnn_fetch::unpack::{Caps, unpack};

use super::list::Source;
use crate::bench::write;
use crate::worker::{Job, Kind, WeightedLayer, first_network, npy, read_examples};

const ARCHIVE: &str = "cats-vs-dogs-small.tar.gz";
const COURSE: &str = "train_catvnoncat.h5";
const DIGITS: &str = "mnist";

/// The folder for measurements in the target folder, and the folder with real pictures, if there is one.
#[derive(Debug, Clone)]
pub struct Store {
    /// Where everything is written.
    pub folder: PathBuf,
    /// `DNN_TEST_DATA`.
    pub real: Option<PathBuf>,
}

impl Store {
    /// `bench` in the target folder, made if it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(target: &Path) -> Result<Self> {
        let folder = target.join("bench");
        create(&folder)?;
        Ok(Self { folder, real: env::var_os("DNN_TEST_DATA").map(PathBuf::from) })
    }

    /// What is real of a source: its path, if it is there.
    fn real(&self, source: Source) -> Option<PathBuf> {
        let name = match source {
            Source::Cats => ARCHIVE,
            Source::Digits => DIGITS,
            Source::CatNonCat => COURSE,
        };
        self.real.as_ref().map(|folder| folder.join(name)).filter(|path| path.exists())
    }

    /// Completes a job with its files, and gives the file of the job and what its pictures are.
    ///
    /// # Errors
    /// If something cannot be read or written.
    pub fn prepare(&self, source: Source, job: &mut Job) -> Result<(PathBuf, String)> {
        let description = self.examples(source, job)?;
        let folder = self.folder.join("jobs").join(&job.name);
        create(&folder)?;
        // A network with more than weights and biases draws its own.
        let has_own = !job.residual.is_empty();
        let parameters =
            if has_own { Parameters { layers: Vec::new() } } else { first_parameters(job)? };
        for (layer, values) in (1..).zip(&parameters.layers) {
            for (name, matrix) in [("W", &values.weights), ("b", &values.bias)] {
                let path = folder.join(format!("{name}{layer}.npy"));
                let (rows, columns) = matrix.dim();
                if job.precision == "f64" {
                    npy::write(&path, &[rows, columns], matrix.iter().copied())?;
                } else {
                    let numbers = matrix.iter().map(|&number| <f32 as Element>::from_f64(number));
                    npy::write(&path, &[rows, columns], numbers)?;
                }
            }
        }
        // A driver made it of earlier weights, and makes it anew.
        let graph = folder.join("model.onnx");
        if graph.exists() {
            fs::remove_file(&graph)
                .with_context(|| format!("cannot remove {}", graph.display()))?;
        }
        job.weights = (!has_own).then(|| folder.clone());
        if job.batch.is_some() && job.kind == Kind::Train {
            let path = folder.join("order.npy");
            let order = RandomStream::new(1, Purpose::Data, 1).permutation(job.examples);
            let order = order.into_iter().map(i64::try_from).collect::<Result<Vec<_>, _>>()?;
            npy::write(&path, &[job.examples], order)?;
            job.order = Some(path);
        }
        if job.kind == Kind::Predict {
            let path = folder.join("model.dnn");
            first_network::<f32>(job)?.save(&path)?;
            job.model = Some(path);
        }
        let path = folder.join("job.json");
        job.write(&path)?;
        Ok((path, description))
    }

    /// The pictures of a job as files; says what they are.
    fn examples(&self, source: Source, job: &mut Job) -> Result<String> {
        let real = self.real(source);
        let kind = if real.is_some() { "real" } else { "synthetic" };
        let name = format!("{source:?}-{kind}-{}", job.examples).to_lowercase();
        let folder = self.folder.join("data").join(name);
        let (pixels, labels) = (folder.join("pixels.npy"), folder.join("labels.npy"));
        // Written last: where it is, the others are whole.
        let note = folder.join("source.txt");
        if !note.exists() {
            create(&folder)?;
            let text = match &real {
                None => {
                    let (made, classes) = read_examples(job)?;
                    write_examples(&folder, made.view(), &classes, job.examples)?;
                    "synthetic pictures of the same shape (DNN_TEST_DATA has no real ones)"
                        .to_owned()
                }
                Some(path) => {
                    let set = self.load(source, path)?;
                    write_examples(&folder, set.pixels(), set.labels(), job.examples)?;
                    format!("real pictures, {} of {}", job.examples.min(set.len()), set.len())
                }
            };
            write(&note, &text)?;
        }
        (job.pixels, job.labels) = (Some(pixels), Some(labels));
        fs::read_to_string(&note).with_context(|| format!("cannot read {}", note.display()))
    }

    fn load(&self, source: Source, path: &Path) -> Result<ImageDataset> {
        match source {
            Source::Cats => {
                let shape = ImageShape { height: 64, width: 64, channels: 3 };
                let folder = self.photographs(path)?.join("train");
                let loaded =
                    load_pictures(&folder, &LoadOptions::new(Preprocessing::stretch(shape)))?;
                Ok(loaded.dataset.train)
            }
            Source::Digits | Source::CatNonCat => {
                let found = load_arrays(path)?;
                Ok(found.with_context(|| format!("no arrays in {}", path.display()))?.0.train)
            }
        }
    }

    /// The folder that the archive of photographs unpacks to.
    fn photographs(&self, archive: &Path) -> Result<PathBuf> {
        let folder = self.folder.join("data/cats-vs-dogs");
        if !folder.exists() {
            let part = self.folder.join("data/cats-vs-dogs.part");
            if part.exists() {
                fs::remove_dir_all(&part)
                    .with_context(|| format!("cannot remove {}", part.display()))?;
            }
            let file = dnn_store::open_file(archive)?;
            unpack(file, ARCHIVE, &part, &Caps::default(), &mut |_| ())?;
            fs::rename(&part, &folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        Ok(folder)
    }
}

/// Makes a folder, and those that it lies in.
pub(super) fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

/// `count` examples in equal steps over all of them, as `.npy` files.
fn write_examples(
    folder: &Path,
    pixels: ArrayView2<'_, u8>,
    labels: &[u32],
    count: usize,
) -> Result<()> {
    let (features, m) = pixels.dim();
    let places = || (0..count).map(|place| place * m / count);
    let numbers = places().flat_map(|place| pixels.column(place).to_vec());
    npy::write(&folder.join("pixels.npy"), &[count, features], numbers)?;
    let labels = places().map(|place| i64::from(labels[place]));
    npy::write(&folder.join("labels.npy"), &[count], labels)
}

/// The first weights: the course's own for its run, which is in f64, else such as f32 can hold.
fn first_parameters(job: &Job) -> Result<Parameters<f64>> {
    if job.precision == "f64" {
        let mut stream = RandomStream::numpy_legacy(1);
        return Ok(initialize_parameters_deep(
            &job.widths(),
            Initializer::InverseSqrt,
            &mut stream,
        )?);
    }
    let mut stream = RandomStream::new(1, Purpose::Initialization, 0);
    let mut drawn: Parameters<f64> = Parameters { layers: Vec::new() };
    for WeightedLayer { inputs, units, .. } in job.weighted_layers() {
        let one = initialize_parameters_deep(&[inputs, units], Initializer::HeNormal, &mut stream)?;
        drawn.layers.extend(one.layers);
    }
    for layer in &mut drawn.layers {
        layer.weights.mapv_inplace(|weight| f64::from(<f32 as Element>::from_f64(weight)));
    }
    Ok(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_has_all_its_files_and_reads_them_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store { folder: folder.path().to_owned(), real: None };
        let mut job = Job {
            name: "small".to_owned(),
            kind: Kind::Train,
            shape: [4, 4, 1],
            hidden: vec![3],
            classes: 10,
            examples: 20,
            batch: Some(8),
            ..Job::fma(1)
        };
        let made_up = read_examples(&job).unwrap();
        let (path, description) = store.prepare(Source::Digits, &mut job).unwrap();
        assert!(description.starts_with("synthetic"), "{description}");
        assert_eq!(Job::read(&path).unwrap(), job);
        assert_eq!(read_examples(&job).unwrap(), made_up);
        let network = first_network::<f64>(&job).unwrap();
        assert_eq!(network.widths(), [16, 3, 10]);
        let weight = network.tensor("dense1.weights").unwrap()[(0, 0)];
        assert_eq!(
            f64::from(<f32 as Element>::from_f64(weight)),
            weight,
            "what f32 and f64 start from is the same"
        );
        let (_, mut order) = npy::read::<i64>(job.order.as_ref().unwrap()).unwrap();
        order.sort_unstable();
        assert_eq!(order, (0..20).collect::<Vec<i64>>());
        assert_eq!(job.model, None);
    }

    #[test]
    fn convolutions_have_their_weights_too() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store { folder: folder.path().to_owned(), real: None };
        let mut job = Job {
            name: "convolutions".to_owned(),
            kind: Kind::Predict,
            shape: [9, 8, 3],
            convolutions: vec![4, 5],
            hidden: vec![6],
            classes: 2,
            examples: 3,
            ..Job::fma(1)
        };
        store.prepare(Source::Cats, &mut job).unwrap();
        let network = first_network::<f32>(&job).unwrap();
        let rows = |name: &str| network.tensor(name).unwrap().dim();
        assert_eq!([rows("conv1.weights"), rows("conv2.weights")], [(4, 27), (5, 36)]);
        assert_eq!([rows("dense1.weights"), rows("dense2.weights")], [(6, 2 * 2 * 5), (1, 6)]);
        let kept = first_network::<f32>(&Job { weights: None, ..job }).unwrap();
        assert_eq!(kept.tensors(), network.tensors(), "drawn in the same order");
    }
}
