//! `dnn verify`: is a model what its provenance says?

use std::process::ExitCode;

use clap::ArgMatches;
use dnn_run::{Claim, DataPlace, FilesConfig, SystemClock};
use serde_json::json;

use crate::args::VerifyArguments;
use crate::args::effect::{self, Needs};
use crate::data;
use crate::output;
use crate::progress::Terminal;
use crate::train;

/// The exit code where training again gave another model.
const DIFFERENT: u8 = 8;

pub(crate) fn run(arguments: &VerifyArguments, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    train::warn_of_debug_build();
    arguments.threads.start()?;
    let mut terminal = Terminal::new(false);
    let mut claim = Claim::of(&arguments.model, &mut terminal)?;
    let given = effect::given("verify", matches);
    let started_from_model = claim.started_from_model();
    effect::refuse_idle("verify", &given, |_, needs| {
        (needs == Needs::StartedFromModel && !started_from_model)
            .then(|| "training did not start from another model".to_owned())
    })?;
    let place = match (&arguments.data, data::place(arguments.data.as_deref())?) {
        (None, _) => DataPlace::AsRecorded,
        (Some(_), None) => DataPlace::BuiltIn,
        (Some(_), Some(path)) => DataPlace::At(path),
    };
    // What the run was told of its files holds for its own data, not for other.
    if arguments.data.is_some() {
        claim.config.data.files = FilesConfig::default();
    }
    arguments.files.over(&mut claim.config.data.files)?;
    let loaded = claim.load(place, arguments.from.clone(), &mut terminal)?;
    effect::check_settings(&given, &claim.config, false)?;
    effect::check_data(&given, &claim.config, &loaded)?;
    let verdict = claim.verify(&loaded, &mut terminal, &SystemClock::start())?;
    if arguments.json {
        output::print_json(&json!({
            "same": verdict.same,
            "model_sha256": verdict.model_sha256,
            "data_sha256": verdict.data_sha256,
            "reasons": verdict.reasons,
        }))?;
    } else if verdict.same {
        output::print(&format!(
            "same: training again gave the same bits\nmodel sha256   {}\ndata sha256    {}\n",
            verdict.model_sha256, verdict.data_sha256
        ))?;
    } else {
        output::print(&format!(
            "different: training again gave another model\n- {}\n",
            verdict.reasons.join("\n- ")
        ))?;
    }
    Ok(if verdict.same { data::exit_code(loaded.left_out()) } else { ExitCode::from(DIFFERENT) })
}
