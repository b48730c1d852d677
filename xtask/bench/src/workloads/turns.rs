//! Turns: in each round everybody has one, in an order that moves on from round to round, with the loop of
//! multiplications between the rounds.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::busy::Busy;
use super::entrants::{Process, Program, Said, Worker};
use super::statistics::Sample;

/// Whoever has a turn.
#[derive(Debug)]
pub enum Entrant<'w> {
    /// A worker that waits.
    Worker(&'w mut Worker),
    /// A process to be started.
    Process(&'w Process),
    /// A worker that waits, and has its turn beside busy processes.
    Beside {
        /// The worker.
        worker: &'w mut Worker,
        /// The program of a busy process.
        spinner: &'w Program,
        /// How many of them.
        count: usize,
    },
}

impl Entrant<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Worker(worker) | Self::Beside { worker, .. } => &worker.name,
            Self::Process(process) => &process.program.name,
        }
    }

    fn turn(&mut self) -> Result<(Said, bool)> {
        match self {
            Self::Worker(worker) => turn_of(worker),
            Self::Process(process) => Ok((process.turn()?, false)),
            Self::Beside { worker, spinner, count } => {
                let _busy = Busy::start(spinner, *count)?;
                turn_of(worker)
            }
        }
    }
}

fn turn_of(worker: &mut Worker) -> Result<(Said, bool)> {
    let turn = worker.go()?;
    let said = Said {
        seconds: turn.seconds,
        peak_bytes: turn.peak_bytes,
        value: Some(turn.value),
        pictures: None,
        from_cache: false,
        step_seconds: None,
    };
    Ok((said, turn.extrapolated))
}

/// How the turns are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// How many rounds count.
    pub rounds: usize,
    /// Whether a round that does not count goes before, for what is made at first use.
    pub warm_up: bool,
    /// The time before each turn, for threads of the one before that still wait for work by spinning.
    pub pause: Duration,
}

/// The turns of one entrant.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Played {
    /// A sample a round.
    pub samples: Vec<Sample>,
    /// What it said last.
    pub value: Option<f64>,
    /// How many pictures it had, the same in every turn.
    pub pictures: Option<usize>,
    /// Whether its times are those of some steps, multiplied.
    pub extrapolated: bool,
    /// Why it is out, if it failed.
    pub failed: Option<String>,
}

/// Lets everybody have their turns; gives them, and the rates of the loop: before the first round, between
/// the rounds, and after the last.
///
/// # Errors
/// If the loop fails. An entrant that fails is out of the later rounds.
pub fn play(
    entrants: &mut [Entrant<'_>],
    mut fma: Option<&mut Worker>,
    plan: Plan,
) -> Result<(Vec<Played>, Vec<f64>)> {
    let mut played = vec![Played::default(); entrants.len()];
    let mut rates = Vec::new();
    let mut rate = |rates: &mut Vec<f64>| -> Result<()> {
        if let Some(worker) = &mut fma {
            thread::sleep(plan.pause);
            rates.push(worker.go()?.value);
        }
        Ok(())
    };
    let first = usize::from(!plan.warm_up);
    for round in first..=plan.rounds {
        if round > 0 {
            rate(&mut rates)?;
        }
        for step in 0..entrants.len() {
            let at = (round + step) % entrants.len();
            let (entrant, played) = (&mut entrants[at], &mut played[at]);
            if played.failed.is_some() {
                continue;
            }
            thread::sleep(plan.pause);
            if let Err(error) = one_turn(entrant, played, round > 0) {
                played.failed = Some(format!("{error:#}"));
            }
        }
    }
    rate(&mut rates)?;
    Ok((played, rates))
}

fn one_turn(entrant: &mut Entrant<'_>, played: &mut Played, counts: bool) -> Result<()> {
    let before = Ticks::now();
    let (said, extrapolated) = entrant.turn()?;
    let stolen = Ticks::now().stolen_since(before);
    if !counts {
        return Ok(());
    }
    if let Entrant::Process(Process { from_cache, .. }) = entrant {
        ensure!(
            said.from_cache == *from_cache,
            "{}: expected from_cache to be {from_cache}, found {}",
            entrant.name(),
            said.from_cache
        );
    }
    let Said { seconds, peak_bytes, value, pictures, .. } = said;
    played.samples.push(Sample { seconds, stolen, peak_bytes });
    (played.value, played.pictures, played.extrapolated) = (value, pictures, extrapolated);
    Ok(())
}

/// The processors' time so far, as Linux counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ticks {
    all: u64,
    stolen: u64,
}

impl Ticks {
    pub(super) fn now() -> Self {
        fs::read_to_string("/proc/stat").map(|text| Self::parse(&text)).unwrap_or_default()
    }

    /// From the first line: user, nice, system, idle, iowait, irq, softirq, steal; what follows is in them.
    fn parse(text: &str) -> Self {
        let line = text.lines().next().unwrap_or_default();
        let words = line.split_whitespace().skip(1).take(8);
        let ticks: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
        Self { all: ticks.iter().sum(), stolen: ticks.get(7).copied().unwrap_or(0) }
    }

    /// The share that was stolen between `before` and now; 0 where the clock is too coarse to say.
    pub(super) fn stolen_since(self, before: Self) -> f64 {
        match self.all.saturating_sub(before.all) {
            0 => 0.0,
            all => self.stolen.saturating_sub(before.stolen) as f64 / all as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stolen_time_is_a_share_of_all_time() {
        let before = Ticks::parse("cpu  10 0 10 80 0 0 0 4 7 0\ncpu0 1 2\n");
        assert_eq!(before, Ticks { all: 104, stolen: 4 });
        let after = Ticks::parse("cpu  20 0 20 110 0 0 0 54 7 0\n");
        assert_eq!(after.stolen_since(before), 0.5);
        assert_eq!(before.stolen_since(before), 0.0);
        assert_eq!(Ticks::parse("nothing").all, 0);
    }

    #[cfg(unix)]
    #[test]
    fn whoever_fails_is_out_and_the_others_go_on() {
        use crate::workloads::entrants::Program;

        let process = |name: &str, script: &str| Process {
            program: Program {
                name: name.to_owned(),
                path: "sh".into(),
                arguments: vec!["-c".into(), script.into()],
                environment: Vec::new(),
            },
            own_time: true,
            from_cache: false,
        };
        let good = process("good", r#"echo '{"seconds": 2.0, "pictures": 5, "peak_bytes": 7}'"#);
        let bad = process("bad", "exit 1");
        let cached = Process { from_cache: true, ..good.clone() };
        let mut entrants = [&good, &bad, &cached].map(Entrant::Process);
        let plan = Plan { rounds: 2, warm_up: true, pause: Duration::ZERO };
        let (played, rates) = play(&mut entrants, None, plan).unwrap();
        assert_eq!(played[0].samples.len(), 2);
        assert_eq!(played[0].samples[1].peak_bytes, Some(7));
        assert_eq!(played[0].pictures, Some(5));
        assert!(played[1].failed.as_ref().unwrap().starts_with("bad failed"), "{played:?}");
        let wrong = played[2].failed.as_ref().unwrap();
        assert_eq!(wrong, "good: expected from_cache to be true, found false");
        assert!(rates.is_empty());
    }
}
