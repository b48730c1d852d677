//! `dnn cache`: the pictures that are kept decoded.

use std::process::ExitCode;

use dnn_data::CacheFolder;
use dnn_run::RunError;
use serde_json::json;

use crate::args::CacheArguments;
use crate::output::{self, counted};

pub(crate) fn run(arguments: &CacheArguments) -> anyhow::Result<ExitCode> {
    let folder = arguments.folder.clone().or_else(dnn_data::cache_folder).ok_or_else(|| {
        let message = "no cache folder is known: expected a variable XDG_CACHE_HOME or HOME with a path from the \
                       root; name the folder";
        RunError::Usage(message.to_owned())
    })?;
    let found =
        if arguments.clear { CacheFolder::clear(&folder)? } else { CacheFolder::read(&folder)? };
    let bytes: u64 = found.entries.iter().map(|entry| entry.bytes).sum();
    if arguments.json {
        output::print_json(&json!({
            "folder": folder.display().to_string(),
            "cleared": arguments.clear,
            "entries": found.entries,
            "bytes": bytes,
            "others": found.others,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = format!("folder   {}\n", folder.display());
    for entry in &found.entries {
        text += &format!("{:>12}  {}\n", megabytes(entry.bytes), entry.name);
    }
    let what = if arguments.clear { "removed" } else { "in all" };
    let count = counted(found.entries.len(), "data set", "data sets");
    text += &format!("{what}   {count}, {}\n", megabytes(bytes));
    if !found.others.is_empty() {
        text += &format!("left     {}: no files of the cache\n", found.others.join(", "));
    }
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
