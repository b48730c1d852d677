//! One workload after another.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use dnn_train::Products;

use super::entrants::{Opened, Process, Worker};
use super::list::{Body, Workload};
use super::options::Options;
use super::pictures::photographs;
use super::report::{Report, Row, Section};
use super::stage::Stage;
use super::statistics::apart;
use super::turns::{Entrant, Played, play};
use crate::bench::{Machine, write};
use crate::worker::{Job, Kind, npy};

/// Whose costs the others' are compared with, where it is there.
const REFERENCE: &str = "numpy-f64";

/// Ours with products in bf16.
const BF16: &str = "dnn-bf16";

/// How far that may be: operands are rounded by up to 2^-9, which steps magnify; those through maxima, which change their
/// places, as much as they do the last bits of `f32`.
fn limit_of_bf16(job: &Job) -> f64 {
    if job.has_convolutions() { 3e-1 } else { 1e-1 }
}

/// Rounds of the loop of multiplications at a time, where a share of it is told: about half a second.
const LOOPS: usize = 20;

/// How far ours may be from the reference, relatively.
fn limit(job: &Job) -> f64 {
    match (job.kind, job.precision.as_str()) {
        // Where a maximum changes its place, or a ReLU its side, costs jump: weights that differ by half a rounding are up
        // to 2e-4 apart after ten steps, also in f64, and 6e-2 behind batch normalisation and residual blocks.
        (Kind::Train | Kind::Run, "f32") if job.has_convolutions() => 2e-1,
        // Probabilities: sums of up to 12,288 products, through an exponential.
        (Kind::Predict, _) => 1e-5,
        (_, "f64") => 1e-10,
        _ => 1e-6,
    }
}

/// How far a peer may be: more would be other mathematics. scikit-learn's Adam has its epsilon in another
/// place, which is up to a few hundredths after ten steps.
const PEERS_LIMIT: f64 = 1e-1;

/// The same, by what the job is: peers have convolutions in bf16 as well.
fn limit_of_peers(job: &Job) -> f64 {
    if job.has_convolutions() { limit_of_bf16(job) } else { PEERS_LIMIT }
}

/// Measures the workloads and writes `report.md`, `report.json` and `report.svg`.
///
/// # Errors
/// If ours fails, or a file; a peer that fails is named in the report.
pub fn measure(options: &Options, wanted: &[Workload]) -> Result<Report> {
    let mut stage = Stage::set(options)?;
    let mut fma = stage.fma()?;
    let mut company = Company::of(&mut stage, wanted)?;
    let mut sections = Vec::new();
    for workload in wanted {
        let _ = writeln!(std::io::stderr(), "{}: {}", workload.name, workload.title);
        let section = match &workload.body {
            Body::Workers(job) => company.section(&stage, &mut fma, workload, job.clone()),
            Body::Processes(job) => whole_processes(&stage, &mut fma, workload, job.clone()),
            Body::Loading(count) => {
                loading(&stage, &mut fma, workload, *count, options.data.as_deref())
            }
        };
        sections.push(section.with_context(|| format!("workload {}", workload.name))?);
    }
    let report = Report {
        command: options.command(),
        quick: options.quick,
        machine: Machine::here(),
        threads: stage.threads,
        versions: company.versions(&stage),
        notes: stage.notes,
        commands: company.commands,
        sections,
    };
    let folder = &stage.store.folder;
    write(&folder.join("report.md"), &report.markdown())?;
    write(&folder.join("report.json"), &report.json()?)?;
    write(&folder.join("report.svg"), &super::chart::ratios(&report))?;
    Ok(report)
}

/// All workers of a command, ours first.
struct Company {
    workers: Vec<Worker>,
    commands: Vec<String>,
}

impl Company {
    fn of(stage: &mut Stage, wanted: &[Workload]) -> Result<Self> {
        let mut programs = vec![stage.ours("dnn", &[])];
        programs.extend(stage.against());
        let steps = |body: &Body| matches!(body, Body::Workers(job) if job.kind == Kind::Train && job.batch.is_some());
        if Products::Bf16.exist() && wanted.iter().any(|one| steps(&one.body)) {
            programs.push(stage.ours(BF16, &[Path::new("bf16")]));
        }
        let mut names: Vec<&str> = Vec::new();
        for workload in wanted.iter().filter(|one| matches!(one.body, Body::Workers(_))) {
            for name in workload.peers.iter().chain([&REFERENCE]) {
                if !names.contains(name) {
                    names.push(name);
                }
            }
        }
        programs.extend(names.iter().filter_map(|name| stage.peer(name, &[])));
        let lines = programs.iter().map(|program| program.line(&stage.workspace.root));
        let commands = lines.collect();
        let mut workers = Vec::new();
        for program in &programs {
            workers.push(Worker::start(program)?);
        }
        Ok(Self { workers, commands })
    }

    fn versions(&self, stage: &Stage) -> BTreeMap<String, String> {
        let own = stage.python.iter().flat_map(|python| python.versions.clone());
        let told = self.workers.iter().flat_map(|worker| worker.versions.clone());
        own.chain(told).collect()
    }

    fn section(
        &mut self,
        stage: &Stage,
        fma: &mut Worker,
        workload: &Workload,
        mut job: Job,
    ) -> Result<Section> {
        let (path, data) = stage.store.prepare(workload.source, &mut job)?;
        let mut section = Section::new(workload, data);
        let Checked { ready, checks } = self.checked(workload, &job, &path, &mut section.notes)?;
        let (reference, costs) = match checks.iter().find(|(name, _)| name == REFERENCE) {
            Some((name, costs)) => (name.clone(), costs.clone()),
            None => ("dnn in f64".to_owned(), ours_in_f64(stage, &job)?),
        };
        section.reference = Some(reference);
        let (names, mut entrants): (Vec<String>, Vec<Entrant<'_>>) = self
            .workers
            .iter_mut()
            .enumerate()
            .filter(|(at, _)| ready.contains(at))
            .map(|(_, worker)| (worker.name.clone(), Entrant::Worker(worker)))
            .unzip();
        let plan = stage.plan(workload.rounds, job.kind != Kind::Run);
        // Where a share of the loop is told, it runs about as long as a turn.
        let mut long = section.work.map(|_| stage.fma_of(LOOPS)).transpose()?;
        let beside = long.as_mut().unwrap_or(fma);
        let (played, rates) = play(&mut entrants, Some(beside), plan)?;
        section.fill(&names, played, rates)?;
        for row in &mut section.rows {
            let found = checks.iter().find(|(name, _)| *name == row.who);
            row.apart = found.map(|(_, found)| apart(found, &costs));
            row.limit = match row.who.as_str() {
                BF16 => limit_of_bf16(&job),
                _ if row.ours => limit(&job),
                _ => limit_of_peers(&job),
            };
        }
        for &at in &ready {
            // One that failed is told of already.
            let _ = self.workers[at].close();
        }
        Ok(section)
    }

    /// Opens the job at `path` for all who take part, and asks for their first costs.
    fn checked(
        &mut self,
        workload: &Workload,
        job: &Job,
        path: &Path,
        notes: &mut Vec<String>,
    ) -> Result<Checked> {
        let takes_part = |name: &str| name.starts_with("dnn") || workload.peers.contains(&name);
        let (mut checks, mut ready): (Vec<(String, Vec<f64>)>, _) = (Vec::new(), Vec::new());
        for (at, worker) in self.workers.iter_mut().enumerate() {
            let timed = takes_part(&worker.name);
            // It has no convolutions.
            let refers = worker.name == REFERENCE && !job.has_convolutions();
            if !timed && !refers {
                continue;
            }
            match open_and_check(worker, path) {
                Ok(Ok(costs)) => checks.push((worker.name.clone(), costs)),
                Ok(Err(why)) => notes.push(format!("{}: {why}", worker.name)),
                Err(error) if at == 0 => return Err(error),
                Err(error) => notes.push(format!("{error:#}")),
            }
            let checked = checks.last().is_some_and(|(name, _)| *name == worker.name);
            if checked && timed {
                ready.push(at);
            } else if checked {
                worker.close()?;
            }
        }
        Ok(Checked { ready, checks })
    }
}

/// Who opened a job.
struct Checked {
    /// Those who are timed, as places among all workers.
    ready: Vec<usize>,
    /// The first costs of each, and of the reference, with its name.
    checks: Vec<(String, Vec<f64>)>,
}

/// The costs that a worker finds, or why it takes no part.
fn open_and_check(worker: &mut Worker, job: &Path) -> Result<Result<Vec<f64>, String>> {
    match worker.open(job)? {
        Opened::Ready => Ok(Ok(worker.check()?)),
        Opened::Skipped(why) => Ok(Err(why)),
    }
}

/// What our own worker finds in f64: the reference where there is no NumPy.
fn ours_in_f64(stage: &Stage, job: &Job) -> Result<Vec<f64>> {
    let path = stage.store.folder.join("jobs").join(&job.name).join("job-f64.json");
    Job { precision: "f64".to_owned(), ..job.clone() }.write(&path)?;
    let mut worker = Worker::start(&stage.ours("dnn in f64", &[]))?;
    worker.open(&path)?;
    worker.check()
}

fn whole_processes(
    stage: &Stage,
    fma: &mut Worker,
    workload: &Workload,
    mut job: Job,
) -> Result<Section> {
    let (path, data) = stage.store.prepare(workload.source, &mut job)?;
    if job.kind == Kind::Predict {
        one_picture(&mut job, &path)?;
    }
    let program = |name: &str| {
        let words = [Path::new("once"), &path];
        if name == "dnn" { Some(stage.ours(name, &words)) } else { stage.peer(name, &words) }
    };
    let names = ["dnn"].iter().chain(workload.peers);
    let programs = names.filter_map(|name| program(name));
    let processes: Vec<Process> =
        programs.map(|program| Process { program, own_time: false, from_cache: false }).collect();
    let mut section = Section::new(workload, data);
    // Files that are made or read for the first time are no part of a start.
    play_processes(stage, fma, &processes, &mut section, !stage.quick)?;
    let ours = section.rows.first().and_then(|row| row.value);
    for row in &mut section.rows {
        row.apart = row.value.zip(ours).map(|(value, ours)| apart(&[value], &[ours]));
        row.limit = PEERS_LIMIT;
    }
    section.reference = Some("dnn".to_owned());
    Ok(section)
}

/// Makes a job's first picture its only one.
fn one_picture(job: &mut Job, path: &Path) -> Result<()> {
    let pixels = job.pixels.as_ref().context("a job without pixels")?;
    let (shape, numbers) = npy::read::<u8>(pixels)?;
    let one = path.with_file_name("one.npy");
    npy::write(&one, &[1, shape[1]], numbers[..shape[1]].iter().copied())?;
    (job.pixels, job.examples) = (Some(one), 1);
    job.write(path)
}

fn loading(
    stage: &Stage,
    fma: &mut Worker,
    workload: &Workload,
    count: usize,
    data: Option<&Path>,
) -> Result<Section> {
    let mut peers = workload.peers.to_vec();
    let (folder, description) = if let Some(folder) = data {
        let folder = std::fs::canonicalize(folder)
            .with_context(|| format!("no folder {}", folder.display()))?;
        let name = folder.file_name().unwrap_or_default().display().to_string();
        // Reduced decoding is for pictures that are much larger than the result.
        peers.retain(|name| *name != "opencv-reduced");
        (folder, format!("the pictures in {name}"))
    } else {
        made_photographs(stage, workload, count)?
    };
    let processes = stage.loaders(&folder, &peers)?;
    let mut section = Section::new(workload, description);
    // The first turn fills our cache.
    play_processes(stage, fma, &processes, &mut section, true)?;
    let counts: Vec<Option<usize>> = section.rows.iter().map(|row| row.pictures).collect();
    anyhow::ensure!(
        counts.iter().all(|count| *count == counts[0]),
        "expected the same pictures for all, found {counts:?}"
    );
    if data.is_some() {
        section.title = format!("{} pictures to 64x64", counts[0].unwrap_or(0));
    }
    Ok(section)
}

fn made_photographs(stage: &Stage, workload: &Workload, count: usize) -> Result<(PathBuf, String)> {
    let mut job = Job {
        name: "photographs".to_owned(),
        shape: [64, 64, 3],
        classes: 2,
        hidden: vec![1],
        examples: if stage.quick { 50 } else { 500 },
        ..Job::fma(1)
    };
    let (_, real) = stage.store.prepare(workload.source, &mut job)?;
    let pixels = job.pixels.context("a job without pixels")?;
    photographs(&stage.store.folder.join("data"), &pixels, &real, count)
}

fn play_processes(
    stage: &Stage,
    fma: &mut Worker,
    processes: &[Process],
    section: &mut Section,
    warm_up: bool,
) -> Result<()> {
    let root = &stage.workspace.root;
    section.commands = processes.iter().map(|process| process.program.line(root)).collect();
    let names: Vec<String> = processes.iter().map(|process| process.program.name.clone()).collect();
    let mut entrants: Vec<Entrant<'_>> = processes.iter().map(Entrant::Process).collect();
    let plan = stage.plan(section.rounds, warm_up);
    let (played, rates): (Vec<Played>, _) = play(&mut entrants, Some(fma), plan)?;
    section.fill(&names, played, rates)
}

impl Row {
    /// Whether it is as near to the reference as it has to be.
    pub(super) fn agrees(&self) -> bool {
        self.apart.is_none_or(|apart| apart <= self.limit)
    }
}
