//! From named arrays to a data set.

use std::path::{Path, PathBuf};

use ndarray::Array2;

use super::role::{Role, part_of_file, role_of};
use super::{Array, ArrayFile, Values, open, stem};
use crate::folder::{agree, some_of};
use crate::idx::{into_columns, numbered_names, picture_shape};
use crate::{
    DataError, Dataset, Ignored, ImageDataset, ImageShape, Part, Result, class_name, path_text,
};

/// Labels without names go up to here.
const MOST_CLASSES: usize = 1 << 16;

/// Which array of which file.
#[derive(Clone, Debug)]
struct Place {
    file: usize,
    name: String,
}

/// Where the arrays of a data set lie.
#[derive(Default)]
struct ArrayPlan {
    /// Pictures and labels of each of [`Part::ALL`].
    parts: [[Option<Place>; 2]; 3],
    class_names: Vec<Place>,
    ignored: Vec<Ignored>,
    /// What is no array that could be read, for messages.
    others: Vec<String>,
    /// Every name, for messages.
    all: Vec<String>,
}

/// The labels of a part.
struct Labels {
    numbers: Vec<u32>,
    /// The names of the classes, where the labels are members of an enumeration.
    members: Option<Vec<String>>,
}

/// The files of one data set, opened.
struct Files<'a> {
    paths: &'a [PathBuf],
    open: Vec<Box<dyn ArrayFile>>,
}

pub(super) fn load(
    path: &Path,
    name: String,
    paths: &[PathBuf],
) -> Result<(Dataset, Vec<Ignored>)> {
    let open = paths.iter().map(|path| open(path)).collect::<Result<Vec<_>>>()?;
    let mut files = Files { paths, open };
    let mut plan = files.plan()?;
    // A part that stands alone is the data, whatever it is called.
    let is_there = |places: &[Option<Place>; 2]| places.iter().any(Option::is_some);
    if let [lone] = (0..3).filter(|&part| is_there(&plan.parts[part])).collect::<Vec<_>>()[..] {
        plan.parts.swap(0, lone);
    }
    if !is_there(&plan.parts[0]) {
        let found = some_of(&plan.all);
        return Err(DataError::NoArrays { path: path.to_path_buf(), found });
    }
    let class_names = files.class_names(&plan.class_names)?;
    let mut parts = Vec::new();
    for (part, places) in Part::ALL.into_iter().zip(&plan.parts) {
        parts.push(match places {
            [None, None] => None,
            [Some(pictures), Some(labels)] => {
                Some(files.part(pictures, labels, class_names.as_ref())?)
            }
            [Some(place), None] => return Err(files.alone(place, "labels", 'y', part, &plan)),
            [None, Some(place)] => return Err(files.alone(place, "pictures", 'x', part, &plan)),
        });
    }
    let (test, validation) = (parts.pop().flatten(), parts.pop().flatten());
    let train = parts.pop().flatten().ok_or(DataError::Empty)?;
    let agreed = |part: Option<ImageDataset>| part.map(|it| agree(path, &train, it)).transpose();
    let (validation, test) = (agreed(validation)?, agreed(test)?);
    Ok((Dataset { name, train, validation, test }, plan.ignored))
}

impl Files<'_> {
    fn plan(&self) -> Result<ArrayPlan> {
        let mut plan = ArrayPlan::default();
        for (file, open) in self.open.iter().enumerate() {
            for other in open.others() {
                let path = format!("{}:{other}", path_text(&self.paths[file]));
                let reason = "only arrays at the top of a file are read";
                plan.ignored.push(Ignored { path, reason, pictures: 0 });
                plan.others.push(other.clone());
                plan.all.push(other);
            }
            let of_file = part_of_file(&stem(&self.paths[file]));
            for name in open.names() {
                plan.all.push(name.clone());
                let place = Place { file, name };
                let (column, part) = match role_of(&place.name) {
                    Some(Role::Pictures(part)) => (0, part),
                    Some(Role::Labels(part)) => (1, part),
                    Some(Role::ClassNames) => {
                        plan.class_names.push(place);
                        continue;
                    }
                    None => {
                        let path = format!("{}:{}", path_text(&self.paths[file]), place.name);
                        let reason = "an array of another name";
                        plan.ignored.push(Ignored { path, reason, pictures: 0 });
                        continue;
                    }
                };
                let part = part.or(of_file).unwrap_or(Part::Train);
                let slot = &mut plan.parts[part as usize][column];
                if let Some(first) = slot {
                    let reason = format!(
                        "{}:{} has the same meaning ({part} {})",
                        self.paths[first.file].display(),
                        first.name,
                        ["pictures", "labels"][column]
                    );
                    return Err(self.fault(&place, reason));
                }
                *slot = Some(place);
            }
        }
        Ok(plan)
    }

    fn read(&mut self, place: &Place) -> Result<Array> {
        let read = self.open[place.file].read(&place.name);
        read.map_err(|reason| self.fault(place, reason))
    }

    fn fault(&self, place: &Place, reason: String) -> DataError {
        DataError::Array { name: place.name.clone(), reason }.in_file(&self.paths[place.file])
    }

    /// Pictures without labels, or labels without pictures.
    fn alone(
        &self,
        place: &Place,
        missing: &str,
        letter: char,
        part: Part,
        plan: &ArrayPlan,
    ) -> DataError {
        let mut reason = format!(
            "expected its {missing} in an array named like {letter}_{part} or {part}_{missing}, \
             found none"
        );
        if !plan.others.is_empty() {
            let others = some_of(&plan.others);
            reason += &format!("; only arrays at the top of a file are read, not {others}");
        }
        self.fault(place, reason)
    }

    /// The names of the classes, where an array has them; several arrays have to agree.
    fn class_names(&mut self, places: &[Place]) -> Result<Option<Vec<String>>> {
        let mut found: Option<Vec<String>> = None;
        for place in places {
            let names = match self.read(place)?.values {
                Values::Texts(names) => names.iter().map(|name| class_name(name)).collect(),
                Values::Bytes(_)
                | Values::Integers(_)
                | Values::Reals(_)
                | Values::Classes { .. } => {
                    return Err(self.fault(place, "expected names, found numbers".to_owned()));
                }
            };
            if found.as_ref().is_some_and(|found| *found != names) {
                let reason = "its names are not those of another array".to_owned();
                return Err(self.fault(place, reason));
            }
            found = Some(names);
        }
        Ok(found)
    }

    fn part(
        &mut self,
        pictures: &Place,
        labels: &Place,
        names: Option<&Vec<String>>,
    ) -> Result<ImageDataset> {
        let Array { dims, values } = self.read(pictures)?;
        let Values::Bytes(values) = values else {
            let reason = if matches!(values, Values::Reals(_)) {
                "expected unsigned bytes, found real numbers; pixels are unsigned bytes, 0 to 255"
            } else {
                "expected unsigned bytes, found wider integers or texts"
            };
            return Err(self.fault(pictures, reason.to_owned()));
        };
        let at = |error: DataError, files: &Self| files.fault(pictures, error.to_string());
        let (shape, count) = picture_shape(&dims).map_err(|error| at(error, self))?;
        if shape.channels > MOST_CHANNELS {
            let reason = format!(
                "expected pictures of (m, height, width, channels) with at most {MOST_CHANNELS} \
                 channels, found {dims:?}; move the channels to the end"
            );
            return Err(self.fault(pictures, reason));
        }
        let (pixels, shape) =
            into_columns(values, shape, count).map_err(|error| at(error, self))?;
        let array = self.read(labels)?;
        if let Values::Reals(numbers) = array.values {
            return self.targets(pixels, shape, labels, &array.dims, numbers, names.is_some());
        }
        let Labels { numbers, members } = self.labels(labels, array)?;
        if let (Some(names), Some(members)) = (names, &members)
            && names != members
        {
            let reason = format!(
                "expected its enumeration to have the names {}, found {}",
                some_of(names),
                some_of(members)
            );
            return Err(self.fault(labels, reason));
        }
        let names = names.cloned().or(members);
        let largest = || numbers.iter().max().copied().unwrap_or(0);
        let names = names.unwrap_or_else(|| numbered_names(largest()));
        ImageDataset::new(pixels, numbers, names, shape)
            .map_err(|error| self.fault(labels, error.to_string()))
    }

    /// Pictures with numbers to be found from them.
    fn targets(
        &self,
        pixels: Array2<u8>,
        shape: ImageShape,
        place: &Place,
        dims: &[usize],
        numbers: Vec<f64>,
        has_names: bool,
    ) -> Result<ImageDataset> {
        let each = match *dims {
            [_] => 1,
            [_, each] => each,
            _ => {
                let reason = format!("expected numbers of the sizes (m) or (m, k), found {dims:?}");
                return Err(self.fault(place, reason));
            }
        };
        if has_names {
            let reason =
                "expected integers, because there are names of classes, found real numbers";
            return Err(self.fault(place, reason.to_owned()));
        }
        ImageDataset::with_targets(pixels, numbers, each, shape)
            .map_err(|error| self.fault(place, error.to_string()))
    }

    /// Labels from 0, each of which could have a name.
    fn labels(&self, place: &Place, array: Array) -> Result<Labels> {
        let Array { dims, values } = array;
        if !matches!(dims[..], [_] | [_, 1]) {
            let reason = format!("expected labels of the sizes (m) or (m, 1), found {dims:?}");
            return Err(self.fault(place, reason));
        }
        let mut members = None;
        let numbers: Vec<i64> = match values {
            Values::Bytes(bytes) => bytes.into_iter().map(i64::from).collect(),
            Values::Integers(numbers) => numbers,
            Values::Classes { labels, names } => {
                members = Some(names.iter().map(|name| class_name(name)).collect());
                labels
            }
            Values::Texts(_) | Values::Reals(_) => {
                let reason = "expected whole numbers from 0, found texts".to_owned();
                return Err(self.fault(place, reason));
            }
        };
        let label = |(example, &number): (usize, &i64)| {
            let label = u32::try_from(number).ok();
            label.filter(|&label| (label as usize) < MOST_CLASSES).ok_or_else(|| {
                format!(
                    "expected labels from 0 and below {MOST_CLASSES}, found {number} at example \
                     {example}"
                )
            })
        };
        let labels: Result<Vec<u32>, String> = numbers.iter().enumerate().map(label).collect();
        let numbers = labels.map_err(|reason| self.fault(place, reason))?;
        Ok(Labels { numbers, members })
    }
}

/// More are a sign that the channels do not come last.
const MOST_CHANNELS: usize = 4;
