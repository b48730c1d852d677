//! Running the program, and looking at what it leaves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use dnn_data::ImageShape;
use dnn_data::picture::encode_png;
use serde_json::Value;

/// Nothing that is waited for takes longer, on a machine that does anything at all.
const PATIENCE: Duration = Duration::from_secs(120);

/// A run with everything that has a state or draws: 42 steps.
pub(crate) const EVERYTHING: [&str; 13] = [
    "train",
    "--hidden=16",
    "--batch-norm",
    "--dropout=0.2",
    "--augment=shift=1",
    "--optimizer=adam",
    "--schedule=cosine",
    "--warm-up=5",
    "--early-stopping=50",
    "--keep-best",
    "--batch=64",
    "--epochs=2",
    "--quiet",
];

pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dnn"));
    command
        .args(arguments)
        .current_dir(folder)
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Child {
    command(folder, arguments).spawn().unwrap()
}

pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What the command says on standard error; it has to succeed.
#[track_caller]
pub(crate) fn succeeds(folder: &Path, arguments: &[&str]) -> (String, String) {
    let output = run(folder, arguments);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {:?}: {stderr}", output.status);
    (stdout, stderr)
}

#[track_caller]
pub(crate) fn json(folder: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&succeeds(folder, arguments).0).unwrap()
}

/// The command fails with this code, says this, and prints no result.
#[track_caller]
pub(crate) fn fails(folder: &Path, arguments: &[&str], code: i32, message: &str) {
    let output = run(folder, arguments);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert!(stderr.contains(message), "`{stderr}` does not say `{message}`");
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
}

/// Waits until this is so.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The command line with an output folder.
pub(crate) fn into<'a>(arguments: &[&'a str], out: &'a str) -> Vec<&'a str> {
    [arguments, &["--out", out]].concat()
}

pub(crate) fn model(run: &Path) -> Vec<u8> {
    fs::read(run.join("model.dnn")).unwrap()
}

/// The names in a folder, hidden ones too; none if there is no folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Whether a file in the folder was left half written.
pub(crate) fn has_half(folder: &Path) -> bool {
    let half = |name: &String| Path::new(name).extension().is_some_and(|suffix| suffix == "tmp");
    names(folder).iter().any(half)
}

/// The checkpoints of a run, the latest last.
pub(crate) fn checkpoints(run: &Path) -> Vec<PathBuf> {
    let folder = run.join("checkpoints");
    let whole = |name: &String| name.ends_with(".checkpoint");
    names(&folder).into_iter().filter(whole).map(|name| folder.join(name)).collect()
}

/// What a run left of its epochs.
pub(crate) fn history(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("history.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Pictures of 8x8 that are darker in one class than in the other.
pub(crate) fn pictures(folder: &Path, of_each: u8) {
    for (class, base) in [("dark", 0_u8), ("light", 120)] {
        let class_folder = folder.join(class);
        fs::create_dir_all(&class_folder).unwrap();
        for number in 0..of_each {
            let levels = (0..64_u8).map(|place| base + number % 50 + place * 3 % 64);
            let pixels: Vec<u8> = levels.flat_map(|level| [level; 3]).collect();
            let shape = ImageShape { height: 8, width: 8, channels: 3 };
            let png = encode_png(&pixels, shape).unwrap();
            fs::write(class_folder.join(format!("{number}.png")), png).unwrap();
        }
    }
}

/// Sends a signal by its name.
pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status();
    assert!(status.unwrap().success());
}
