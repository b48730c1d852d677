//! The command line that `dnn fetch` and `cargo xtask fetch-data` share.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    Digest, Event, FetchError, FetchOptions, Fetched, From, Manifest, Result, fetch, manifest,
};

/// What stands below the help text of the command; `PROGRAM` is to be replaced by its name.
pub const EXAMPLES: &str = "\
Examples:
  PROGRAM --list
  PROGRAM mnist
  PROGRAM cats-vs-dogs --from kagglecatsanddogs_5340.zip
  PROGRAM cats-vs-dogs --from my-copy.tar.gz --sha256 HEX
  PROGRAM oxford-iiit-pet --variant breeds
  DNN_DATA_MIRROR=https://example.org/data PROGRAM mnist    asks …/data/mnist/FILE first

A second call only compares what is there. What was downloaded before a call was interrupted is used
by the next one.";

/// Which data sets to fetch, and how.
#[derive(Clone, Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct FetchArguments {
    /// Data sets; --list shows them
    #[arg(required_unless_present = "list")]
    pub names: Vec<String>,
    /// Show the data sets that are known, with size, licence and whether they are there
    #[arg(long, conflicts_with = "names")]
    pub list: bool,
    /// Take the data from this file, folder or URL (a URL that ends in / is a folder)
    #[arg(long, value_name = "FILE|DIR|URL", conflicts_with = "list")]
    pub from: Option<String>,
    /// The folder in which the folder of the data set appears
    #[arg(long, value_name = "DIR", default_value = "datasets")]
    pub to: PathBuf,
    /// The sha256 that vouches for another packing of the data
    #[arg(long, value_name = "HEX", conflicts_with = "list")]
    pub sha256: Option<Digest>,
    /// Go on where nothing vouches for the data
    #[arg(long, conflicts_with_all = ["sha256", "list"])]
    pub unverified: bool,
    /// All pictures, where the tutorial's set is a selection
    #[arg(long, conflicts_with = "list")]
    pub full: bool,
    /// Another way to put the pictures into classes: breeds, for oxford-iiit-pet
    #[arg(long, value_name = "NAME", conflicts_with = "list")]
    pub variant: Option<String>,
    /// Replace a folder that is there
    #[arg(long, conflicts_with = "list")]
    pub force: bool,
}

/// Fetches, with progress on standard error and results on standard output.
///
/// # Errors
/// Those of [`fetch()`]; [`FetchError::Options`] for arguments that do not fit together.
pub fn run(arguments: &FetchArguments) -> Result<()> {
    if arguments.list {
        return say(&list(&manifest::all()?, &arguments.to));
    }
    if arguments.names.len() > 1 && (arguments.from.is_some() || arguments.sha256.is_some()) {
        let message = "--from and --sha256 are for one data set; name one";
        return Err(FetchError::Options(message.to_owned()));
    }
    // All names, before the first download.
    let manifests: Vec<Manifest> =
        arguments.names.iter().map(|name| manifest::find(name)).collect::<Result<_>>()?;
    for manifest in &manifests {
        let options = options(arguments)?;
        let mut progress = Progress::new();
        let fetched = fetch(manifest, &options, &mut |event| progress.show(&event));
        progress.finish();
        say(&summary(manifest, &fetched?))?;
    }
    Ok(())
}

fn options(arguments: &FetchArguments) -> Result<FetchOptions> {
    let from = match &arguments.from {
        None => None,
        Some(text) => Some(match text.split_once("://") {
            Some(("http" | "https", _)) => From::Url(text.clone()),
            Some((scheme, _)) if !Path::new(text).exists() => {
                let message = format!("--from: expected http, https or a path, found `{scheme}:`");
                return Err(FetchError::Options(message));
            }
            _ => From::Path(PathBuf::from(text)),
        }),
    };
    let mirror = std::env::var("DNN_DATA_MIRROR").ok().filter(|mirror| !mirror.is_empty());
    Ok(FetchOptions {
        to: arguments.to.clone(),
        from,
        sha256: arguments.sha256.clone(),
        unverified: arguments.unverified,
        full: arguments.full,
        variant: arguments.variant.clone(),
        force: arguments.force,
        mirrors: mirror.into_iter().collect(),
        ..FetchOptions::default()
    })
}

/// Writes to standard output.
fn say(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| FetchError::io("write to", Path::new("standard output"), error))
}

fn list(manifests: &[Manifest], to: &Path) -> String {
    let mut text = String::new();
    for manifest in manifests {
        let size = match manifest.download_size() {
            0 => "nothing to download".to_owned(),
            bytes => format!("{} to download", megabytes(bytes)),
        };
        let there = if to.join(&manifest.name).is_dir() { "; it is there" } else { "" };
        text += &format!("{}\n    {}\n", manifest.name, manifest.title);
        text += &format!("    {size}{there}\n    licence: {}\n", manifest.license);
    }
    text
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn summary(manifest: &Manifest, fetched: &Fetched) -> String {
    let folder = fetched.folder.display();
    let parts: Vec<String> =
        fetched.parts.iter().map(|(part, count)| format!("{part} {count}")).collect();
    let parts = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
    let files = if fetched.files == 1 { "file" } else { "files" };
    let done = if fetched.was_there { "verified" } else { "fetched" };
    let mut text = format!("{folder}: {done}, {} {files}{parts}\n", fetched.files);
    for (reason, count) in &fetched.left_out {
        text += &format!("    {count} left out: {reason}\n");
    }
    if !fetched.was_there {
        text += &format!("    licence: {}\n", manifest.license);
        text += &format!("    where it came from, terms and citation: {folder}/SOURCE.toml\n");
    }
    text
}

/// A bar on a terminal, lines elsewhere.
struct Progress {
    bar: ProgressBar,
    receiving: bool,
}

impl Progress {
    fn new() -> Self {
        Self { bar: ProgressBar::hidden(), receiving: false }
    }

    fn show(&mut self, event: &Event) {
        match event {
            Event::Receiving { done, total } => {
                if !self.receiving {
                    self.receiving = true;
                    self.bar = bar(*total);
                    self.bar.set_position(*done);
                    self.bar.reset_eta();
                }
                self.bar.set_position(*done);
            }
            Event::Unpacking { entries: 1.., .. } if !io::stderr().is_terminal() => {}
            Event::Unpacking { entries: entries @ 1.., .. } => {
                self.bar.set_message(format!("{entries} entries"));
            }
            other => {
                self.finish();
                let text: String = other.to_string().chars().map(visible).collect();
                // A closed standard error is no reason to stop.
                let _ = writeln!(io::stderr(), "{text}");
                if matches!(other, Event::Unpacking { .. }) && io::stderr().is_terminal() {
                    self.bar = ProgressBar::new_spinner();
                    self.bar.enable_steady_tick(Duration::from_millis(200));
                }
            }
        }
    }

    fn finish(&mut self) {
        self.bar.finish_and_clear();
        self.bar = ProgressBar::hidden();
        self.receiving = false;
    }
}

/// A name or a message of a server can do nothing to a terminal.
fn visible(c: char) -> char {
    if c.is_control() { '\u{fffd}' } else { c }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "{bytes}/{total_bytes} [{wide_bar}] {bytes_per_sec}, {eta} left",
        None => "{bytes} {bytes_per_sec}",
    };
    let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}
