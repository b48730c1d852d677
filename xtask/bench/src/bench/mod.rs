//! Runs every benchmark of the workspace and reports them together.
//!
//! Cargo is asked which benches there are, each bench which benchmarks it has, and criterion's own
//! files are read back afterwards. What it leaves out on purpose: comparing with an earlier run.

mod cargo;
mod estimates;
mod machine;
mod report;
mod table;
mod units;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use xtask::cargo::quoted;

pub use cargo::{Bench, Workspace};
pub use estimates::{Estimates, Interval};
pub use machine::Machine;
pub use report::{Report, Row};
pub(crate) use table::markdown_table;
pub use units::scaled;

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BenchOptions {
    /// Criterion's `--quick`: few samples.
    pub quick: bool,
    /// Only benchmarks whose `crate/bench/name` contains one of these; all if empty.
    pub filters: Vec<String>,
}

impl BenchOptions {
    /// Whether a benchmark is wanted, by its `crate/bench/name`.
    fn wants(&self, label: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| label.contains(filter))
    }

    /// The command line that asks for this and nothing else.
    fn command(&self) -> String {
        let mut words = vec!["cargo xtask bench".to_owned()];
        words.extend(self.quick.then(|| "--quick".to_owned()));
        words.extend(self.filters.is_empty().then(|| "criterion".to_owned()));
        words.extend(self.filters.iter().map(|filter| quoted(filter)));
        words.join(" ")
    }
}

/// One benchmark, and the bench it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Benchmark {
    bench: Bench,
    name: String,
}

impl Benchmark {
    fn label(&self) -> String {
        format!("{}/{}", self.bench, self.name)
    }
}

/// Runs the benchmarks, and writes `bench.md` and `bench.json` below the target folder.
///
/// # Errors
/// If cargo, a bench or a file fails, no benchmark is wanted, or two have one name.
pub fn run(options: &BenchOptions) -> Result<Report> {
    let workspace = Workspace::here()?;
    let mut all = Vec::new();
    for bench in &workspace.benches {
        let names = workspace.names(bench)?;
        all.extend(names.into_iter().map(|name| Benchmark { bench: bench.clone(), name }));
    }
    check_names(&all)?;
    let wanted = select(&all, options)?;
    let folder = workspace.target.join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let started = estimates::mark_start(&folder)?;
    let mut commands = Vec::new();
    for bench in &workspace.benches {
        for name in runs(bench, &all, &wanted) {
            commands.push(workspace.measure(bench, name, options.quick)?);
        }
    }
    let found = estimates::written_since(&workspace.criterion(), started)?;
    let report = Report {
        command: options.command(),
        commands,
        quick: options.quick,
        machine: Machine::here(),
        benchmarks: rows(&wanted, &found)?,
    };
    write(&folder.join("bench.md"), &report.markdown())?;
    write(&folder.join("bench.json"), &report.json()?)?;
    Ok(report)
}

/// The processes that measure the wanted benchmarks of `bench`: one for all of them (`None`) if it
/// is wanted whole, else one for each, since criterion takes a single name.
fn runs<'a>(bench: &Bench, all: &[Benchmark], wanted: &'a [Benchmark]) -> Vec<Option<&'a str>> {
    let here = |benchmark: &&Benchmark| benchmark.bench == *bench;
    let names: Vec<&Benchmark> = wanted.iter().filter(here).collect();
    if !names.is_empty() && names.len() == all.iter().filter(here).count() {
        return vec![None];
    }
    names.iter().map(|one| Some(one.name.as_str())).collect()
}

/// Criterion keeps one result per name for the whole workspace.
fn check_names(all: &[Benchmark]) -> Result<()> {
    for (index, later) in all.iter().enumerate() {
        if let Some(earlier) = all[..index].iter().find(|one| one.name == later.name) {
            bail!(
                "{} and {} are both named `{}`, and criterion keeps one result per name; rename one",
                earlier.bench,
                later.bench,
                later.name
            );
        }
    }
    Ok(())
}

/// The benchmarks that the options ask for.
fn select(all: &[Benchmark], options: &BenchOptions) -> Result<Vec<Benchmark>> {
    let labels: Vec<String> = all.iter().map(Benchmark::label).collect();
    for filter in &options.filters {
        if !labels.iter().any(|label| label.contains(filter)) {
            bail!("no benchmark matches `{filter}`; there are:\n  {}", labels.join("\n  "));
        }
    }
    let wanted = |benchmark: &&Benchmark| options.wants(&benchmark.label());
    Ok(all.iter().filter(wanted).cloned().collect())
}

/// A row for each wanted benchmark, from the estimates found.
fn rows(wanted: &[Benchmark], found: &[(String, Estimates)]) -> Result<Vec<Row>> {
    wanted
        .iter()
        .map(|benchmark| {
            let (_, estimates) =
                found.iter().find(|(name, _)| *name == benchmark.name).with_context(|| {
                    format!(
                        "{} ran but left no new estimates; remove criterion's folder in the target \
                         folder and run again",
                        benchmark.label()
                    )
                })?;
            Ok(Row::new(&benchmark.bench, &benchmark.name, estimates))
        })
        .collect()
}

pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn benchmark(package: &str, name: &str) -> Benchmark {
        Benchmark {
            bench: Bench { package: package.to_owned(), name: "speed".to_owned() },
            name: name.to_owned(),
        }
    }

    fn options(filters: &[&str]) -> BenchOptions {
        BenchOptions {
            quick: true,
            filters: filters.iter().map(|&filter| filter.to_owned()).collect(),
        }
    }

    #[test]
    fn filters_match_any_part_of_crate_bench_and_name() {
        let all = || vec![benchmark("core", "add 3"), benchmark("train", "step")];
        let names = |filters: &[&str]| -> Vec<String> {
            let selected = select(&all(), &options(filters)).unwrap();
            selected.into_iter().map(|one| one.name).collect()
        };
        assert_eq!(names(&[]), ["add 3", "step"]);
        assert_eq!(names(&["core/"]), ["add 3"]);
        assert_eq!(names(&["speed/st"]), ["step"]);
        assert_eq!(names(&["add", "step"]), ["add 3", "step"]);
    }

    #[test]
    fn a_bench_that_is_wanted_whole_runs_once() {
        let all =
            [benchmark("core", "add 3"), benchmark("core", "step"), benchmark("train", "fit")];
        let of = |index: usize, wanted: &'static [usize]| {
            let wanted: Vec<Benchmark> = wanted.iter().map(|&one| all[one].clone()).collect();
            let runs = runs(&all[index].bench, &all, &wanted);
            runs.into_iter().map(|name| name.map(str::to_owned)).collect::<Vec<_>>()
        };
        assert_eq!(of(0, &[0, 1, 2]), [None]);
        assert_eq!(of(0, &[1, 2]), [Some("step".to_owned())]);
        assert_eq!(of(2, &[1, 2]), [None]);
        assert!(of(2, &[0, 1]).is_empty());
    }

    #[test]
    fn a_filter_without_a_match_lists_what_there_is() {
        let all = vec![benchmark("core", "add 3"), benchmark("train", "step")];
        let error = select(&all, &options(&["step", "sub"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no benchmark matches `sub`; there are:\n  core/speed/add 3\n  train/speed/step"
        );
    }

    #[test]
    fn one_name_in_two_benches_is_refused() {
        assert!(check_names(&[benchmark("core", "a"), benchmark("train", "b")]).is_ok());
        let error = check_names(&[benchmark("core", "a"), benchmark("train", "a")]).unwrap_err();
        assert!(
            error.to_string().starts_with("core/speed and train/speed are both named `a`"),
            "{error}"
        );
    }

    #[test]
    fn a_benchmark_without_estimates_is_an_error_that_names_it() {
        let wanted = [benchmark("core", "add 3")];
        let error = rows(&wanted, &[]).unwrap_err().to_string();
        assert!(error.starts_with("core/speed/add 3 ran but left"), "{error}");
    }

    #[test]
    fn the_command_can_be_pasted_into_a_shell() {
        assert_eq!(options(&["add 3", "step"]).command(), "cargo xtask bench --quick 'add 3' step");
        assert_eq!(BenchOptions::default().command(), "cargo xtask bench criterion");
    }
}
