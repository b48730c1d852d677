//! What is measured.

use super::options::Options;
use crate::worker::{Job, Kind};

/// Where the examples of a workload come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Cats and dogs, 64x64x3.
    Cats,
    /// Handwritten digits, 28x28x1, as MNIST has them.
    Digits,
    /// The course's 209 pictures, 64x64x3.
    CatNonCat,
}

/// How a workload is measured.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// By workers that live as long as the measurement.
    Workers(Job),
    /// By a process for each turn, from its start to its end.
    Processes(Job),
    /// By a process for each turn that loads a folder of so many pictures.
    Loading(usize),
}

/// One row of the table, with all who take part.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What is done, in words.
    pub title: String,
    /// The examples.
    pub source: Source,
    /// How it is measured.
    pub body: Body,
    /// The peers that are timed; the NumPy f64 peer checks costs everywhere.
    pub peers: &'static [&'static str],
    /// How many rounds count.
    pub rounds: usize,
}

const TRAINERS: &[&str] = &["numpy-f32", "numpy-f64", "torch", "jax", "sklearn"];
const MINI_BATCHES: &[&str] = &["numpy-f32", "torch", "keras-tensorflow", "jax", "sklearn"];
/// Those with convolutions.
const PICTURE_TRAINERS: &[&str] = &[
    "torch",
    "torch-channels-last",
    "torch-bf16",
    "torch-compiled",
    "keras-tensorflow",
    "keras-jax",
    "jax",
];
const PICTURE_PREDICTORS: &[&str] = &[
    "torch",
    "torch-channels-last",
    "torch-bf16",
    "torch-compiled",
    "keras-tensorflow",
    "keras-jax",
    "jax",
    "onnxruntime",
];
const PREDICTORS: &[&str] = &["numpy-f32", "torch", "jax", "sklearn", "onnxruntime"];
const CATS: [usize; 3] = [64, 64, 3];
const DIGITS: [usize; 3] = [28, 28, 1];
/// The units of the convolutional network, which has a hidden dense layer of [`WIDTH`] after them.
const CONVOLUTIONS: [usize; 4] = [16, 32, 64, 64];
const WIDTH: usize = 64;
/// The units of the residual network.
const RESIDUAL: [usize; 4] = [16, 32, 64, 128];

/// A job of so many threads, and examples, all the rest to be filled in.
struct Scale {
    quick: bool,
    threads: usize,
}

impl Scale {
    fn job(&self, name: &str, kind: Kind, shape: [usize; 3], hidden: &[usize]) -> Job {
        let digits = shape == DIGITS;
        let (all, few) = if digits { (60_000, 4_096) } else { (6_002, 384) };
        Job {
            name: name.to_owned(),
            kind,
            shape,
            hidden: hidden.to_vec(),
            classes: if digits { 10 } else { 2 },
            examples: if self.quick { few } else { all },
            learning_rate: 0.0075,
            ..Job::fma(self.threads)
        }
    }

    /// `whole`, or in a quick run `few`.
    fn count(&self, whole: usize, few: usize) -> usize {
        if self.quick { few } else { whole }
    }

    fn step(&self, name: &'static str, hidden: &[usize]) -> Workload {
        // Several at a time, as in a run: the first one after a pause finds cold caches and threads asleep.
        let steps = self.count(10, 2);
        let job = Job { rounds_of: steps, ..self.job(name, Kind::Train, CATS, hidden) };
        Workload {
            name,
            title: format!("{steps} full-batch steps, {}", network(&job)),
            source: Source::Cats,
            body: Body::Workers(job),
            peers: TRAINERS,
            rounds: self.count(9, 3),
        }
    }

    fn run(&self, name: &'static str, hidden: &[usize], steps: usize) -> Workload {
        let steps = self.count(steps, steps / 50);
        let job = Job { rounds_of: steps, ..self.job(name, Kind::Run, CATS, hidden) };
        Workload {
            name,
            title: format!("a run of {steps} full-batch steps, {}", network(&job)),
            source: Source::Cats,
            body: Body::Workers(job),
            peers: TRAINERS,
            rounds: self.count(5, 3),
        }
    }

    fn epoch(&self, name: &'static str, batch: usize, optimizer: &str, rate: f64) -> Workload {
        let (shape, source, hidden): (_, _, &[usize]) = if name.starts_with("w2") {
            (CATS, Source::Cats, &[512, 128])
        } else {
            (DIGITS, Source::Digits, &[256, 128])
        };
        let job = Job {
            batch: Some(batch),
            optimizer: optimizer.to_owned(),
            learning_rate: rate,
            ..self.job(name, Kind::Train, shape, hidden)
        };
        let title = format!("one epoch, {optimizer}, batches of {batch}, {}", network(&job));
        let (body, rounds) = (Body::Workers(job), self.count(9, 3));
        Workload { name, title, source, body, peers: MINI_BATCHES, rounds }
    }

    fn prediction(&self, name: &'static str, batch: usize) -> Workload {
        let (shape, source, hidden): (_, _, &[usize]) = if name.contains("big") {
            (CATS, Source::Cats, &[100, 20])
        } else {
            (DIGITS, Source::Digits, &[256, 128])
        };
        let calls = if batch == 1 { self.count(2_000, 200) } else { self.count(60, 10) };
        let job = Job {
            batch: Some(batch),
            examples: 256,
            rounds_of: calls,
            ..self.job(name, Kind::Predict, shape, hidden)
        };
        let title = format!("a prediction, batch {batch}, median of {calls}, {}", network(&job));
        let (body, rounds) = (Body::Workers(job), self.count(15, 3));
        Workload { name, title, source, body, peers: PREDICTORS, rounds }
    }

    fn convolution_steps(&self) -> Workload {
        let (steps, batch) = (self.count(20, 2), 64);
        let job = Job {
            convolutions: CONVOLUTIONS.to_vec(),
            batch: Some(batch),
            examples: steps * batch,
            optimizer: "momentum".to_owned(),
            learning_rate: 0.01,
            ..self.job("w8", Kind::Train, CATS, &[WIDTH])
        };
        Workload {
            name: "w8",
            title: format!("{steps} steps, momentum, batches of {batch}, {}", network(&job)),
            source: Source::Cats,
            body: Body::Workers(job),
            peers: PICTURE_TRAINERS,
            rounds: self.count(7, 3),
        }
    }

    /// The network and the settings of the page on photos. Peers know no such job.
    fn residual_steps(&self) -> Workload {
        let (steps, batch) = (self.count(40, 2), 32);
        let job = Job {
            residual: RESIDUAL.to_vec(),
            batch: Some(batch),
            examples: steps * batch,
            optimizer: "muon".to_owned(),
            learning_rate: 0.02,
            ..self.job("w10", Kind::Train, CATS, &[])
        };
        let title = format!("{steps} steps, muon, batches of {batch}, {}", network(&job));
        let (body, rounds) = (Body::Workers(job), self.count(7, 3));
        Workload { name: "w10", title, source: Source::Cats, body, peers: &[], rounds }
    }

    fn convolution_prediction(&self, name: &'static str, batch: usize) -> Workload {
        let calls = if batch == 1 { self.count(500, 20) } else { self.count(7, 3) };
        let job = Job {
            convolutions: CONVOLUTIONS.to_vec(),
            batch: Some(batch),
            examples: 256,
            rounds_of: calls,
            ..self.job(name, Kind::Predict, CATS, &[WIDTH])
        };
        let title = format!("a prediction, batch {batch}, median of {calls}, {}", network(&job));
        let (body, rounds) = (Body::Workers(job), self.count(7, 3));
        Workload { name, title, source: Source::Cats, body, peers: PICTURE_PREDICTORS, rounds }
    }

    fn process(&self, name: &'static str, kind: Kind, hidden: &[usize]) -> Workload {
        let job = self.job(name, kind, CATS, hidden);
        let what = if kind == Kind::Predict { "one prediction" } else { "one full-batch step" };
        Workload {
            name,
            title: format!("a whole process, {what}, {}", network(&job)),
            source: Source::Cats,
            body: Body::Processes(job),
            peers: if kind == Kind::Predict { PREDICTORS } else { TRAINERS },
            rounds: self.count(7, 1),
        }
    }

    fn course(&self) -> Workload {
        let steps = self.count(2_500, 50);
        let job = Job {
            precision: "f64".to_owned(),
            examples: 209,
            rounds_of: steps,
            ..self.job("w7", Kind::Run, CATS, &[20, 7, 5])
        };
        Workload {
            name: "w7",
            title: format!("the course's run of {steps} steps, f64, {}", network(&job)),
            source: Source::CatNonCat,
            body: Body::Workers(job),
            peers: &["numpy-f64"],
            rounds: self.count(5, 3),
        }
    }
}

/// `209 of [12288,20,7,5,1]`, `64 of [64x64x3, conv 16,32, 8192,10,1]`.
pub(super) fn network(job: &Job) -> String {
    let list = |numbers: &[usize], between: &str| {
        let words: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        words.join(between)
    };
    let dense = list(&job.widths(), ",");
    if !job.residual.is_empty() {
        let (shape, widths) = (list(&job.shape, "x"), list(&job.residual, ","));
        return format!("{} of [{shape}, residual {widths}, {dense}]", job.examples);
    }
    if job.convolutions.is_empty() {
        return format!("{} of [{dense}]", job.examples);
    }
    let (shape, convolutions) = (list(&job.shape, "x"), list(&job.convolutions, ","));
    format!("{} of [{shape}, conv {convolutions}, {dense}]", job.examples)
}

/// Every workload, in the order of the table.
pub fn workloads(quick: bool, threads: usize) -> Vec<Workload> {
    let scale = Scale { quick, threads };
    let pictures = scale.count(2_000, 100);
    let loading = Workload {
        name: "w5",
        title: format!("{pictures} pictures of 500x375 to 64x64"),
        source: Source::Cats,
        body: Body::Loading(pictures),
        peers: &["pillow", "pillow-draft", "opencv", "opencv-reduced"],
        rounds: scale.count(9, 3),
    };
    vec![
        scale.step("w1a", &[20, 7, 5]),
        scale.run("w1a-run-2500", &[20, 7, 5], 2_500),
        scale.run("w1a-run-300", &[20, 7, 5], 300),
        scale.step("w1b", &[100]),
        scale.run("w1b-run-2500", &[100], 2_500),
        scale.epoch("w2-64-sgd", 64, "sgd", 0.01),
        scale.epoch("w2-64-adam", 64, "adam", 0.0001),
        scale.epoch("w2-256-sgd", 256, "sgd", 0.01),
        scale.epoch("w2-256-adam", 256, "adam", 0.0001),
        scale.epoch("w3-momentum", 128, "momentum", 0.01),
        scale.epoch("w3-adam", 128, "adam", 0.001),
        scale.prediction("w4-big-1", 1),
        scale.prediction("w4-mnist-1", 1),
        scale.prediction("w4-big-256", 256),
        scale.prediction("w4-mnist-256", 256),
        loading,
        scale.process("w6-step", Kind::Train, &[20, 7, 5]),
        scale.process("w6-predict", Kind::Predict, &[100, 20]),
        scale.course(),
        scale.convolution_steps(),
        scale.convolution_prediction("w9-1", 1),
        scale.convolution_prediction("w9-256", 256),
        scale.residual_steps(),
    ]
}

/// Which workloads a word asks for: the one of that name, else all whose name begins with it. `loading`
/// is `w5`.
pub fn named<'w>(all: &'w [Workload], word: &str) -> Vec<&'w Workload> {
    let word = if word == "loading" { "w5" } else { word };
    if let Some(one) = all.iter().find(|workload| workload.name == word) {
        return vec![one];
    }
    let word = word.strip_suffix('-').unwrap_or(word);
    // `w1` is not the beginning of `w10`.
    let goes_on = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_digit());
    let begins = |workload: &&Workload| {
        word.len() > 1 && workload.name.strip_prefix(word).is_some_and(goes_on)
    };
    all.iter().filter(begins).collect()
}

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Filters of the crates' benchmarks, all of them if it is empty; `None` for no benchmark.
    pub filters: Option<Vec<String>>,
    /// The workloads to be timed, in the order of the table.
    pub workloads: Vec<Workload>,
    /// Whether growth curves are wanted.
    pub growth: bool,
    /// Whether single convolutions are wanted.
    pub shapes: bool,
    /// The workloads whose bits are compared.
    pub bits: Vec<Workload>,
    /// The workloads to be timed beside busy processes.
    pub loaded: Vec<Workload>,
}

/// Words that are neither workloads nor filters.
const OTHERS: [&str; 5] = ["growth", "shapes", "criterion", "bits", "loaded"];

impl Choice {
    /// What the words of `options` ask for, of these workloads. Beside `bits` or `loaded` the names of
    /// workloads are said of these two alone; without a name they take all.
    pub fn of(options: &Options, all: Vec<Workload>) -> Self {
        let words = &options.words;
        let nothing = Self {
            filters: None,
            workloads: Vec::new(),
            growth: false,
            shapes: false,
            bits: Vec::new(),
            loaded: Vec::new(),
        };
        if words.is_empty() {
            let filters = (!options.peers).then(Vec::new);
            return Self { filters, workloads: all, ..nothing };
        }
        let names: Vec<&str> =
            words.iter().flat_map(|word| named(&all, word)).map(|one| one.name).collect();
        let other =
            |word: &&String| named(&all, word).is_empty() && !OTHERS.contains(&word.as_str());
        let filters: Vec<String> = words.iter().filter(other).cloned().collect();
        let has = |word: &str| words.iter().any(|one| one == word);
        let filters = (has("criterion") || !filters.is_empty()).then_some(filters);
        let chosen = all.iter().filter(|one| names.contains(&one.name)).cloned().collect();
        let choice = Self { filters, growth: has("growth"), shapes: has("shapes"), ..nothing };
        if !has("bits") && !has("loaded") {
            return Self { workloads: chosen, ..choice };
        }
        let chosen = if names.is_empty() { all } else { chosen };
        let of = |word: &str| if has(word) { chosen.clone() } else { Vec::new() };
        Self { bits: of("bits"), loaded: of("loaded"), ..choice }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(word: &str) -> Vec<&'static str> {
        let all = workloads(true, 2);
        named(&all, word).into_iter().map(|workload| workload.name).collect()
    }

    #[test]
    fn a_word_names_one_workload_or_a_group() {
        assert_eq!(names("w1a"), ["w1a"]);
        assert_eq!(names("w1"), ["w1a", "w1a-run-2500", "w1a-run-300", "w1b", "w1b-run-2500"]);
        assert_eq!(names("w2-256"), ["w2-256-sgd", "w2-256-adam"]);
        assert_eq!(names("w9"), ["w9-1", "w9-256"]);
        assert_eq!(names("w10"), ["w10"]);
        assert_eq!(names("loading"), ["w5"]);
        assert!(names("core/").is_empty() && names("").is_empty() && names("w").is_empty());
    }

    #[test]
    fn words_are_workloads_growth_or_filters_of_benchmarks() {
        let choice = |peers: bool, words: &[&str]| {
            let words = words.iter().map(|&word| word.to_owned()).collect();
            let options = Options { peers, words, ..Options::default() };
            let found = Choice::of(&options, workloads(true, 2));
            let names: Vec<&str> = found.workloads.iter().map(|one| one.name).collect();
            (found.filters, names.join(" "), found.growth)
        };
        let all = choice(true, &[]);
        assert!(all.0.is_none() && all.1.starts_with("w1a w1a-run") && !all.2);
        assert_eq!(choice(false, &[]).0, Some(Vec::new()));
        let some = choice(true, &["w7", "w1a", "growth"]);
        assert_eq!(some, (None, "w1a w7".to_owned(), true));
        let filters = choice(false, &["core/", "criterion"]).0;
        assert_eq!(filters, Some(vec!["core/".to_owned()]));
        let all = workloads(true, 2);
        let shapes = |words: &[&str]| {
            let words = words.iter().map(|&word| word.to_owned()).collect();
            Choice::of(&Options { words, ..Options::default() }, all.clone())
        };
        let found = shapes(&["shapes", "w8"]);
        assert!(found.shapes && found.filters.is_none() && found.workloads.len() == 1);
        assert!(!shapes(&["w8"]).shapes);
        assert_eq!(choice(false, &["criterion"]), (Some(Vec::new()), String::new(), false));
    }

    #[test]
    fn beside_bits_or_loaded_the_workloads_are_theirs() {
        let choice = |words: &[&str]| {
            let words = words.iter().map(|&word| word.to_owned()).collect();
            let options = Options { words, ..Options::default() };
            let found = Choice::of(&options, workloads(true, 2));
            assert!(found.workloads.is_empty() && found.filters.is_none(), "{found:?}");
            [found.bits, found.loaded].map(|of| {
                let names: Vec<&str> = of.iter().map(|one| one.name).collect();
                names.join(" ")
            })
        };
        let none = String::new();
        assert_eq!(
            choice(&["bits", "w7", "w3"]),
            ["w3-momentum w3-adam w7".to_owned(), none.clone()]
        );
        assert_eq!(choice(&["w1a", "loaded", "bits"]), ["w1a", "w1a"]);
        let [bits, loaded] = choice(&["loaded", "growth"]);
        assert!(
            bits.is_empty() && loaded.starts_with("w1a ") && loaded.ends_with(" w9-256 w10"),
            "{loaded}"
        );
    }

    #[test]
    fn names_differ_and_jobs_carry_them() {
        let all = workloads(false, 2);
        for (index, workload) in all.iter().enumerate() {
            assert!(all[..index].iter().all(|other| other.name != workload.name));
            if let Body::Workers(job) | Body::Processes(job) = &workload.body {
                assert_eq!(job.name, workload.name);
                assert!(job.optimizer.parse::<dnn_train::Optimizer>().is_ok());
            }
        }
        assert_eq!(all[0].title, "10 full-batch steps, 6002 of [12288,20,7,5,1]");
        let steps = named(&all, "w8")[0];
        let network = "1280 of [64x64x3, conv 16,32,64,64, 1024,64,1]";
        assert_eq!(steps.title, format!("20 steps, momentum, batches of 64, {network}"));
        let network = "1280 of [64x64x3, residual 16,32,64,128, 256,1]";
        let steps = named(&all, "w10")[0];
        assert_eq!(steps.title, format!("40 steps, muon, batches of 32, {network}"));
    }
}
