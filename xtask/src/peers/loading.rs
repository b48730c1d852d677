//! Pictures from files to 64x64x3: `dnn-data`, Pillow and `OpenCV`.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::rounds::{Contender, Report, play, sum_up};
use crate::bench::{Machine, Workspace, quoted, write};

/// The packages that the peers are, as `import` and `pip install` name them.
const PACKAGES: [(&str, &str); 3] =
    [("numpy", "numpy"), ("PIL", "pillow"), ("cv2", "opencv-python-headless")];

/// Measures the loading of the pictures below `data`; writes `loading.md` and `loading.json` below
/// `bench` in the target folder.
///
/// Python is `DNN_PYTHON`, else the one of the virtual environment `peers` in the target folder.
///
/// # Errors
/// If the folder or a peer is missing, or a program fails.
pub fn run(data: &Path, quick: bool) -> Result<Report> {
    let workspace = Workspace::here()?;
    ensure!(
        data.is_dir(),
        "no folder {}; name one with --data, or get one: cargo xtask fetch-data cats-vs-dogs",
        data.display()
    );
    let data = fs::canonicalize(data)?;
    let python = python(&workspace)?;
    let ours = workspace.build_example("dnn-data", "load")?;
    let folder = workspace.target.join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let cache = folder.join("loading-cache");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let script = workspace.root.join("xtask/peers/loading.py");
    let contenders = contenders(&ours, &python, &script, &data, &cache, threads);
    let rounds = if quick { 3 } else { 11 };
    let turns = play(&contenders, rounds)?;
    let (pictures, measured) = sum_up(&contenders, &turns)?;
    let quick = if quick { " --quick" } else { "" };
    let report = Report {
        command: format!(
            "cargo xtask bench --peers loading{quick} --data {}",
            quoted(&relative(&data, &workspace.root))
        ),
        job: format!("Pictures to 64x64x3 on {threads} threads"),
        pictures,
        rounds,
        machine: Machine::here(),
        measured,
    };
    write(&folder.join("loading.md"), &report.markdown())?;
    write(&folder.join("loading.json"), &report.json()?)?;
    fs::remove_dir_all(&cache).with_context(|| format!("cannot remove {}", cache.display()))?;
    Ok(report)
}

/// A path below the workspace as it would be typed there, any other by its last part: a report is for
/// others to read.
fn relative(path: &Path, root: &Path) -> String {
    let root = fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    let short = path.strip_prefix(root).ok().or_else(|| path.file_name().map(Path::new));
    short.unwrap_or(path).display().to_string()
}

fn contenders(
    ours: &Path,
    python: &Path,
    script: &Path,
    data: &Path,
    cache: &Path,
    threads: usize,
) -> Vec<Contender> {
    let own = |name: &str, arguments: Vec<OsString>| Contender {
        name: name.to_owned(),
        program: ours.to_owned(),
        from_cache: arguments.len() > 1,
        arguments,
        environment: vec![("RAYON_NUM_THREADS", threads.to_string())],
    };
    let peer = |name: &str, key: &str| Contender {
        name: name.to_owned(),
        program: python.to_owned(),
        arguments: vec![script.into(), key.into(), data.into(), threads.to_string().into()],
        environment: Vec::new(),
        from_cache: false,
    };
    vec![
        own("dnn-data, checked and hashed", vec![data.into()]),
        own("dnn-data, from its cache", vec![data.into(), cache.into()]),
        peer("Pillow", "pillow"),
        peer("Pillow with draft", "pillow-draft"),
        peer("OpenCV", "opencv"),
    ]
}

/// A Python that has every package.
fn python(workspace: &Workspace) -> Result<PathBuf> {
    let environment = workspace.target.join("peers");
    let python = match env::var_os("DNN_PYTHON") {
        Some(python) => PathBuf::from(python),
        None if cfg!(windows) => environment.join("Scripts/python.exe"),
        None => environment.join("bin/python"),
    };
    let missing = |(module, _): &&(&str, &str)| {
        let import = Command::new(&python)
            .args(["-c", &format!("import {module}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        !import.is_ok_and(|status| status.success())
    };
    let missing: Vec<&str> = PACKAGES.iter().filter(missing).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(python);
    }
    bail!(
        "{} lacks {}; get them (or set DNN_PYTHON to a Python that has them):\n  \
         python3 -m venv target/peers\n  target/peers/bin/pip install {}",
        python.display(),
        missing.join(", "),
        PACKAGES.map(|(_, package)| package).join(" ")
    )
}
