//! What `dnn predict` says of each picture.

use serde_json::{Map, Value, json};

use super::Prediction;
use crate::output::{left, plain, width};

/// Where a picture is shown, as text.
fn shown(one: &Prediction) -> String {
    one.shown.as_deref().map(|path| path.display().to_string()).unwrap_or_default()
}

pub(super) fn as_json(classes: &[String], one: &Prediction) -> Value {
    if classes.is_empty() {
        let mut object = json!({
            "file": one.file.display().to_string(),
            "picture": one.picture,
            "outputs": one.probabilities,
        });
        if one.shown.is_some() {
            object["shown"] = shown(one).into();
        }
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
    if one.shown.is_some() {
        object["shown"] = shown(one).into();
    }
    object
}

pub(super) fn as_csv(classes: &[String], predictions: &[Prediction], showing: bool) -> String {
    // A cell in quotes where it needs them (RFC 4180).
    let cell = |text: &str| {
        if text.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        }
    };
    let names: Vec<String> = classes.iter().map(|name| cell(name)).collect();
    let last = if showing { ",shown" } else { "" };
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
        let shown = if showing { format!(",{}", cell(&shown(one))) } else { String::new() };
        let answer = match names.get(one.class) {
            Some(class) => format!("{class},{},", one.probabilities[one.class]),
            None => String::new(),
        };
        csv += &format!(
            "{},{},{answer}{}{shown}\n",
            cell(&file),
            one.picture,
            probabilities.join(",")
        );
    }
    csv
}

pub(super) fn table(classes: &[String], predictions: &[Prediction], showing: bool) -> String {
    let name = |one: &Prediction| plain(&one.file.display().to_string());
    let longest = |texts: &mut dyn Iterator<Item = usize>, least| texts.fold(least, usize::max);
    let file_width = longest(&mut predictions.iter().map(|one| width(&name(one))), 4);
    let class_width = longest(&mut classes.iter().map(|class| width(&plain(class))), 5);
    let last = if showing { "  shown" } else { "" };
    if classes.is_empty() {
        return table_of_numbers(predictions, file_width, last);
    }
    let mut table = format!(
        "{:<file_width$}  {:>7}  {:<class_width$}  {:>11}{last}\n",
        "file", "picture", "class", "probability"
    );
    for one in predictions {
        let shown = if showing { format!("  {}", plain(&shown(one))) } else { String::new() };
        table += &format!(
            "{}  {:>7}  {}  {:>9.1} %{shown}\n",
            left(&name(one), file_width),
            one.picture,
            left(&plain(&classes[one.class]), class_width),
            100.0 * one.probabilities[one.class]
        );
    }
    table
}

/// The same where the outputs are numbers.
fn table_of_numbers(predictions: &[Prediction], file_width: usize, last: &str) -> String {
    let mut table = format!("{:<file_width$}  {:>7}  {:>14}{last}\n", "file", "picture", "outputs");
    for one in predictions {
        let numbers: Vec<String> =
            one.probabilities.iter().map(|number| format!("{number:>14.6}")).collect();
        let name = left(&plain(&one.file.display().to_string()), file_width);
        let shown =
            if last.is_empty() { String::new() } else { format!("  {}", plain(&shown(one))) };
        table += &format!("{name}  {:>7}  {}{shown}\n", one.picture, numbers.join("  "));
    }
    table
}
