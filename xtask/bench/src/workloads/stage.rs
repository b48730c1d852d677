//! What all measurements of one command share: programs, folders, workers that are alive.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::entrants::{Opened, Process, Program, Worker};
use super::options::Options;
use super::prepare::Store;
use super::python::Python;
use super::turns::Plan;
use crate::bench::Workspace;
use crate::worker::Job;

/// The peers that have a driver, and the package that each is of.
const PEERS: [(&str, &str); 11] = [
    ("numpy-f32", "numpy"),
    ("numpy-f64", "numpy"),
    ("torch", "torch"),
    ("torch-channels-last", "torch"),
    ("torch-bf16", "torch"),
    ("torch-compiled", "torch"),
    ("keras-tensorflow", "tensorflow-cpu"),
    ("keras-jax", "keras"),
    ("jax", "jax"),
    ("sklearn", "scikit-learn"),
    ("onnxruntime", "onnxruntime"),
];

/// What is the same for all workloads of a command.
#[derive(Debug)]
pub struct Stage {
    /// The workspace.
    pub workspace: Workspace,
    /// The folder for files.
    pub store: Store,
    /// Threads for everybody.
    pub threads: usize,
    /// Whether this is a quick run.
    pub quick: bool,
    /// Our worker.
    pub worker: PathBuf,
    /// The worker of another checkout, if it takes part.
    pub against: Option<PathBuf>,
    /// The peers' Python, if they take part.
    pub python: Option<Python>,
    /// What is worth telling beside the numbers.
    pub notes: Vec<String>,
}

impl Stage {
    /// Builds our worker and, for peers, their environment.
    ///
    /// # Errors
    /// If that fails.
    pub fn set(options: &Options) -> Result<Self> {
        let workspace = Workspace::here()?;
        let store = Store::new(&workspace.target)?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let worker = workspace.build("dnn-bench", "bin", "bench-worker")?;
        let python =
            if options.peers { Some(Python::ready(&store.folder, threads)?) } else { None };
        let missing = python.iter().flat_map(|python| &python.missing);
        let notes = missing.map(|name| format!("{name} did not install")).collect();
        let (quick, against) = (options.quick, options.against.clone());
        Ok(Self { workspace, store, threads, quick, worker, against, python, notes })
    }

    /// Our worker's program, on all threads.
    pub fn ours(&self, name: &str, arguments: &[&Path]) -> Program {
        self.ours_on(self.threads, name, arguments)
    }

    /// The worker of another checkout, on all threads, if it takes part.
    pub(super) fn against(&self) -> Option<Program> {
        let path = self.against.clone()?;
        Some(Program { path, ..self.ours("dnn, other checkout", &[]) })
    }

    /// Our worker's program, on so many threads.
    pub fn ours_on(&self, threads: usize, name: &str, arguments: &[&Path]) -> Program {
        Program {
            name: name.to_owned(),
            path: self.worker.clone(),
            arguments: arguments.iter().map(|word| (*word).into()).collect(),
            environment: vec![("RAYON_NUM_THREADS", Some(threads.to_string()))],
        }
    }

    /// The driver of a peer, unless it takes no part or its package is missing.
    pub(super) fn peer(&self, name: &str, arguments: &[&Path]) -> Option<Program> {
        let python = self.python.as_ref()?;
        let (_, package) = PEERS.iter().find(|(peer, _)| *peer == name)?;
        python.versions.get(*package)?;
        let script = self.workspace.root.join("xtask/bench/peers/serve.py");
        let arguments = [&[Path::new(name)], arguments].concat();
        Some(python.driver(name, &script, &arguments))
    }

    /// The loop of multiplications, ready to go.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn fma(&self) -> Result<Worker> {
        self.fma_of(1)
    }

    /// The same with so many rounds at a time.
    pub(super) fn fma_of(&self, rounds: usize) -> Result<Worker> {
        let path = self.store.folder.join(format!("fma-{rounds}.json"));
        Job { rounds_of: rounds, ..Job::fma(self.threads) }.write(&path)?;
        let mut worker = Worker::start(&self.ours("fma", &[]))?;
        match worker.open(&path)? {
            Opened::Ready => Ok(worker),
            Opened::Skipped(why) => anyhow::bail!("the loop was skipped: {why}"),
        }
    }

    /// The turns of a workload.
    pub fn plan(&self, rounds: usize, warm_up: bool) -> Plan {
        let pause = Duration::from_millis(if self.quick { 10 } else { 200 });
        Plan { rounds, warm_up, pause }
    }

    /// Those who load the pictures in `folder`.
    pub(super) fn loaders(&self, folder: &Path, peers: &[&str]) -> Result<Vec<Process>> {
        let ours = self.workspace.build("dnn-data", "example", "load")?;
        let cache = self.store.folder.join("loading-cache");
        if cache.exists() {
            fs::remove_dir_all(&cache)
                .with_context(|| format!("cannot remove {}", cache.display()))?;
        }
        let own = |name: &str, arguments: &[&Path]| {
            let program = Program { path: ours.clone(), ..self.ours(name, arguments) };
            Process { program, own_time: true, from_cache: arguments.len() > 1 }
        };
        let decoded = if cfg!(feature = "turbojpeg") { "dnn, libjpeg-turbo" } else { "dnn" };
        let mut all = vec![own(decoded, &[folder]), own("dnn, from its cache", &[folder, &cache])];
        let Some(python) = &self.python else { return Ok(all) };
        let script = self.workspace.root.join("xtask/bench/peers/loading.py");
        let threads = self.threads.to_string();
        for peer in peers {
            let package =
                if peer.starts_with("pillow") { "pillow" } else { "opencv-python-headless" };
            if python.versions.contains_key(package) {
                let arguments = [Path::new(peer), folder, Path::new(&threads)];
                let program = python.driver(peer, &script, &arguments);
                all.push(Process { program, own_time: true, from_cache: false });
            }
        }
        Ok(all)
    }
}
