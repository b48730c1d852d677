//! What `dnn predict` says of each picture.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::Prediction;
use crate::output::{left, plain, width};

/// Which columns there are besides the answers: the files that were drawn.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    pub(super) shown: bool,
    pub(super) explained: bool,
}

impl Columns {
    /// Their names.
    fn names(self) -> impl Iterator<Item = &'static str> {
        let names = [(self.shown, "shown"), (self.explained, "explained")];
        names.into_iter().filter(|(is_there, _)| *is_there).map(|(_, name)| name)
    }

    /// The files of a picture.
    fn files(self, one: &Prediction) -> impl Iterator<Item = String> {
        let files = [(self.shown, &one.shown), (self.explained, &one.explained)];
        let text = |file: &Option<PathBuf>| {
            file.as_deref().map(|path| path.display().to_string()).unwrap_or_default()
        };
        files.into_iter().filter(|(is_there, _)| *is_there).map(move |(_, file)| text(file))
    }
}

/// The class and its probability, or the outputs, in words.
pub(super) fn answer(classes: &[String], one: &Prediction) -> String {
    match classes.get(one.class) {
        Some(class) => format!("{class}, {:.1} %", 100.0 * one.probabilities[one.class]),
        None => one.probabilities.iter().map(f64::to_string).collect::<Vec<String>>().join(", "),
    }
}

/// Adds the files of a picture.
fn add_files(object: &mut Value, one: &Prediction) {
    for (name, file) in [("shown", &one.shown), ("explained", &one.explained)] {
        if let Some(file) = file {
            object[name] = file.display().to_string().into();
        }
    }
}

pub(super) fn as_json(classes: &[String], one: &Prediction) -> Value {
    if classes.is_empty() {
        let mut object = json!({
            "file": one.file.display().to_string(),
            "picture": one.picture,
            "outputs": one.probabilities,
        });
        add_files(&mut object, one);
        return object;
    }
    let probabilities: Map<String, Value> =
        classes.iter().zip(&one.probabilities).map(|(name, &p)| (name.clone(), p.into())).collect();
    let mut object = json!({
        "file": one.file.display().to_string(),
        "picture": one.picture,
        "class": classes[one.class],
        "probability": one.probabilities[one.class],
        "probabilities": probabilities,
    });
    add_files(&mut object, one);
    object
}

pub(super) fn as_csv(classes: &[String], predictions: &[Prediction], columns: Columns) -> String {
    // A cell in quotes where it needs them (RFC 4180).
    let cell = |text: &str| {
        if text.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        }
    };
    let names: Vec<String> = classes.iter().map(|name| cell(name)).collect();
    let last = columns.names().fold(String::new(), |last, name| last + "," + name);
    let outputs = predictions.first().map_or(0, |one| one.probabilities.len());
    let mut csv = if classes.is_empty() {
        let outputs: Vec<String> = (1..=outputs).map(|number| format!("output_{number}")).collect();
        format!("file,picture,{}{last}\n", outputs.join(","))
    } else {
        format!("file,picture,class,probability,{}{last}\n", names.join(","))
    };
    for one in predictions {
        let file = one.file.display().to_string();
        let probabilities: Vec<String> = one.probabilities.iter().map(f64::to_string).collect();
        let files =
            columns.files(one).fold(String::new(), |files, file| files + "," + &cell(&file));
        let answer = match names.get(one.class) {
            Some(class) => format!("{class},{},", one.probabilities[one.class]),
            None => String::new(),
        };
        csv += &format!(
            "{},{},{answer}{}{files}\n",
            cell(&file),
            one.picture,
            probabilities.join(",")
        );
    }
    csv
}

/// The columns of a table for the files that were drawn, as wide as the first of them has to be.
struct Drawn {
    columns: Columns,
    first_width: usize,
}

impl Drawn {
    fn new(predictions: &[Prediction], columns: Columns) -> Self {
        let first = predictions.iter().filter_map(|one| columns.files(one).next());
        let head = columns.names().next().map_or(0, str::len);
        let first_width = first.map(|file| width(&plain(&file))).fold(head, usize::max);
        Self { columns, first_width }
    }

    fn heads(&self) -> String {
        self.joined(self.columns.names().map(str::to_owned))
    }

    fn of(&self, one: &Prediction) -> String {
        self.joined(self.columns.files(one).map(|file| plain(&file)))
    }

    fn joined(&self, cells: impl Iterator<Item = String>) -> String {
        let cells = cells.map(|cell| left(&cell, self.first_width));
        cells.fold(String::new(), |line, cell| line + "  " + &cell).trim_end().to_owned()
    }
}

pub(super) fn table(classes: &[String], predictions: &[Prediction], columns: Columns) -> String {
    let name = |one: &Prediction| plain(&one.file.display().to_string());
    let longest = |texts: &mut dyn Iterator<Item = usize>, least| texts.fold(least, usize::max);
    let file_width = longest(&mut predictions.iter().map(|one| width(&name(one))), 4);
    let class_width = longest(&mut classes.iter().map(|class| width(&plain(class))), 5);
    if classes.is_empty() {
        return table_of_numbers(predictions, file_width, columns);
    }
    let drawn = Drawn::new(predictions, columns);
    let last = drawn.heads();
    let mut table = format!(
        "{:<file_width$}  {:>7}  {:<class_width$}  {:>11}{last}\n",
        "file", "picture", "class", "probability"
    );
    for one in predictions {
        let files = drawn.of(one);
        table += &format!(
            "{}  {:>7}  {}  {:>9.1} %{files}\n",
            left(&name(one), file_width),
            one.picture,
            left(&plain(&classes[one.class]), class_width),
            100.0 * one.probabilities[one.class]
        );
    }
    table
}

/// The same where the outputs are numbers.
fn table_of_numbers(predictions: &[Prediction], file_width: usize, columns: Columns) -> String {
    let drawn = Drawn::new(predictions, columns);
    let last = drawn.heads();
    let mut table = format!("{:<file_width$}  {:>7}  {:>14}{last}\n", "file", "picture", "outputs");
    for one in predictions {
        let numbers: Vec<String> =
            one.probabilities.iter().map(|number| format!("{number:>14.6}")).collect();
        let name = left(&plain(&one.file.display().to_string()), file_width);
        let files = drawn.of(one);
        table += &format!("{name}  {:>7}  {}{files}\n", one.picture, numbers.join("  "));
    }
    table
}
