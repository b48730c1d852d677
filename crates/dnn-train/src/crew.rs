//! All threads of the pool, or a single one: whichever makes the steps faster.
//!
//! Beside other busy programs a step on all threads may take longer than on one, because each of its products
//! waits for whichever thread the system has just put aside. No bit depends on the threads, so a run may change
//! them as it goes. It tries a single thread only while the system keeps it waiting: on an idle machine no
//! step is spent on that.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuilder};

/// What is compared: steps for so long, several times what the system gives a program at a time.
const STRETCH: Duration = Duration::from_millis(20);
/// The share of its time that a thread waits for a processor from which on one is tried: one in so many.
const WAITED: u32 = 20;
/// Stretches from one trial to the next: at first, and at most, where trials keep failing.
const FIRST: u32 = 16;
const MOST: u32 = 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Threads {
    All,
    One,
}

impl Threads {
    fn others(self) -> Self {
        match self {
            Self::All => Self::One,
            Self::One => Self::All,
        }
    }
}

/// Who makes the steps.
#[derive(Debug)]
pub(crate) struct Crew {
    pace: Pace,
    /// Made before the first step, so that a change of threads allocates nothing; none where there is but one
    /// thread anyway.
    alone: Option<ThreadPool>,
}

impl Crew {
    /// All threads of the pool that this is called in.
    pub(crate) fn new() -> Self {
        let alone = if rayon::current_num_threads() > 1 { single_thread() } else { None };
        Self { pace: Pace::new(alone.is_some()), alone }
    }

    /// One that begins with a single thread, and tries all of them after its first step.
    #[cfg(test)]
    pub(crate) fn restless() -> Self {
        let mut crew = Self::new();
        (crew.pace.threads, crew.pace.stretch) = (Threads::One, Duration::ZERO);
        crew
    }

    /// Runs `work` on the threads whose turn it is; it should return when [`Pace::step`] says so.
    pub(crate) fn run<R: Send>(&mut self, work: impl FnOnce(&mut Pace) -> R + Send) -> R {
        match (&self.alone, self.pace.threads) {
            (Some(alone), Threads::One) => alone.install(|| work(&mut self.pace)),
            _ => work(&mut self.pace),
        }
    }
}

/// Pools of one thread that runs which are over leave to those that follow: no thread is made twice, and none
/// ends while another run makes its steps.
static SPARE: Mutex<Vec<ThreadPool>> = Mutex::new(Vec::new());

/// A pool of one thread that has begun; none if the system has no thread to give.
fn single_thread() -> Option<ThreadPool> {
    let spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let pool = spare.or_else(|| ThreadPoolBuilder::new().num_threads(1).build().ok())?;
    // What a thread allocates at its start is no step's.
    pool.install(|| ());
    Some(pool)
}

impl Drop for Crew {
    fn drop(&mut self) {
        SPARE.lock().unwrap_or_else(PoisonError::into_inner).extend(self.alone.take());
    }
}

/// What is known of how fast steps are.
#[derive(Debug)]
pub(crate) struct Pace {
    may_change: bool,
    threads: Threads,
    /// What is compared.
    stretch: Duration,
    /// The stretch so far, and how long the thread had waited for a processor where it began.
    steps: u32,
    spent: Duration,
    waited: Option<Duration>,
    /// Whether these threads are on trial: against this time for a step.
    against: Option<Duration>,
    /// Stretches to the next trial, and how many there will be then.
    left: u32,
    patience: u32,
}

impl Pace {
    fn new(may_change: bool) -> Self {
        Self {
            may_change,
            threads: Threads::All,
            stretch: STRETCH,
            steps: 0,
            spent: Duration::ZERO,
            waited: None,
            against: None,
            left: 0,
            patience: FIRST,
        }
    }

    /// Makes a step; gives whether others should go on, too.
    pub(crate) fn step<R>(&mut self, step: impl FnOnce() -> R) -> (R, bool) {
        if !self.may_change {
            return (step(), false);
        }
        if self.steps == 0 {
            self.waited = waited();
        }
        let since = Instant::now();
        let made = step();
        (made, self.note(since.elapsed(), waited))
    }

    /// Takes a step into account; gives whether other threads go on.
    fn note(&mut self, step: Duration, waited: impl FnOnce() -> Option<Duration>) -> bool {
        self.steps += 1;
        self.spent += step;
        if self.spent < self.stretch {
            return false;
        }
        let time = self.spent / self.steps;
        let waits = match (self.waited, waited()) {
            (Some(from), Some(to)) => to.saturating_sub(from) * WAITED > self.spent,
            _ => false,
        };
        (self.steps, self.spent) = (0, Duration::ZERO);
        let changes = if let Some(against) = self.against.take() {
            let better = time < against;
            self.patience = if better { FIRST } else { MOST.min(2 * self.patience) };
            self.left = self.patience;
            !better
        } else {
            self.left = self.left.saturating_sub(1);
            let tries = self.left == 0 && (self.threads == Threads::One || waits);
            self.against = tries.then_some(time);
            tries
        };
        if changes {
            self.threads = self.threads.others();
        }
        changes
    }
}

/// How long this thread, ready to go on, has waited for a processor, if the system says.
fn waited() -> Option<Duration> {
    use std::io::Read;
    // Time on a processor, time in wait of one, in nanoseconds, and turns.
    let mut text = [0; 96];
    let read = std::fs::File::open("/proc/thread-self/schedstat").ok()?.read(&mut text).ok()?;
    let text = std::str::from_utf8(&text[..read]).ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(10);

    /// Steps that take so long on all threads and on one, while threads wait such a share of their time; gives
    /// how many of the last half were made by one.
    fn by_one(pace: &mut Pace, (all, one): (Duration, Duration), wait: f64) -> usize {
        let (mut now, mut counted) = (Duration::ZERO, 0);
        for step in 0..10_000 {
            let time = if pace.threads == Threads::All { all } else { one };
            counted += usize::from(step >= 5_000 && pace.threads == Threads::One);
            if pace.steps == 0 {
                pace.waited = Some(now);
            }
            now += time.mul_f64(wait);
            pace.note(time, || Some(now));
        }
        counted
    }

    #[test]
    fn an_idle_machine_spends_no_step_on_a_trial() {
        assert_eq!(by_one(&mut Pace::new(true), (STEP, STEP / 2), 0.01), 0);
        let mut silent = Pace::new(true);
        assert!((0..1000).all(|_| !silent.note(STEP, || None)));
    }

    #[test]
    fn a_busy_machine_is_left_to_whichever_is_faster_and_looked_at_again() {
        let mut pace = Pace::new(true);
        let slower = by_one(&mut pace, (STEP * 4, STEP), 0.4);
        assert!((4_700..5_000).contains(&slower), "{slower}");
        let faster = by_one(&mut pace, (STEP, STEP * 2), 0.4);
        assert!((1..200).contains(&faster), "{faster}");
        // Nobody else is busy any more.
        by_one(&mut pace, (STEP * 4, STEP), 0.4);
        assert_eq!(by_one(&mut pace, (STEP, STEP * 2), 0.0), 0);
    }

    #[test]
    fn work_goes_on_where_the_pace_says() {
        let pool = ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        pool.install(|| {
            let mut crew = Crew::new();
            assert!(crew.pace.may_change);
            assert_eq!(crew.run(|_| rayon::current_num_threads()), 3);
            crew.pace.threads = Threads::One;
            assert_eq!(crew.run(|_| rayon::current_num_threads()), 1);
            crew.pace.threads = Threads::All;
            assert_eq!(crew.run(|_| rayon::current_num_threads()), 3);
        });
        let pool = ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert!(!pool.install(|| Crew::new().pace.may_change));
    }
}
