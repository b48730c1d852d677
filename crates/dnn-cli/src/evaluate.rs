//! `dnn evaluate`.

use std::path::Path;
use std::process::ExitCode;

use clap::ArgMatches;
use dnn_run::{
    BadFilePolicy, EvaluationData, EvaluationReport, FilesConfig, RunError, classes, load_model,
};

use crate::args::EvaluateArguments;
use crate::args::effect::{self, NOTHING_LEFT_OUT, Needs, no_picture_files};
use crate::data;
use crate::metrics;
use crate::output;
use crate::progress::Terminal;

pub(crate) fn run(arguments: &EvaluateArguments, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    arguments.threads.start()?;
    let mut terminal = Terminal::new(false);
    let network = load_model(&arguments.model, &mut terminal)?.network;
    let classes = classes(&network);
    if arguments.metrics && classes.is_empty() {
        let message = "--metrics is for classes, but the outputs of the model are numbers";
        return Err(RunError::Usage(message.to_owned()).into());
    }
    let mut files = FilesConfig::default();
    arguments.files.over(&mut files)?;
    let place = data::place(arguments.data.as_deref())?;
    let data = EvaluationData::load(&network, place.as_deref(), &files, &mut terminal)?;
    let given = effect::given("evaluate", matches);
    check_flags(&given, &files, place.as_deref(), data.has_pictures)?;
    if arguments.data.is_none() && !data.is_known_to(&network) {
        let message =
            "the model was not trained on the built-in digits; name the data to evaluate it on";
        return Err(RunError::Usage(message.to_owned()).into());
    }
    let left_out = data.left_out;
    let report = data.measure(&network, arguments.metrics, &mut terminal)?;
    if arguments.json {
        print_json(&report)?;
    } else {
        let parts = report.parts.iter().map(|part| &part.measured);
        let mut text = output::evaluation_table(parts);
        for part in &report.parts {
            if let Some(found) = &part.metrics {
                text += &metrics::text(&part.measured.name, classes, found);
            }
        }
        output::print(&text)?;
    }
    Ok(data::exit_code(left_out))
}

/// Refuses flags that have no effect on this data.
fn check_flags(
    given: &[String],
    files: &FilesConfig,
    path: Option<&Path>,
    pictures: bool,
) -> Result<(), RunError> {
    effect::refuse_idle("evaluate", given, |_, needs| match needs {
        Needs::PictureFiles | Needs::LeavingOut if !pictures => no_picture_files(path, pictures),
        Needs::LeavingOut if files.bad_files == BadFilePolicy::Stop => {
            Some(NOTHING_LEFT_OUT.to_owned())
        }
        _ => None,
    })
}

fn print_json(report: &EvaluationReport) -> anyhow::Result<()> {
    let mut object = output::parts_json(report.parts.iter().map(|part| &part.measured));
    for part in &report.parts {
        if let Some(found) = &part.metrics {
            let object = &mut object[&part.measured.name];
            object["metrics"] = serde_json::to_value(found)?;
            object["metrics"]["roc_auc_reason"] = metrics::of_some_classes(found).into();
        }
    }
    object.insert("trained_on_this_data".to_owned(), report.trained_on_this_data.into());
    output::print_json(&object)
}
