//! All threads of the pool, or a single one: whichever makes the steps faster.
//!
//! Beside other busy programs a step on all threads may take longer than on one, because each of its products
//! waits for whichever thread the system has just put aside. No bit depends on the threads, so a run may change
//! them as it goes. It tries a single thread only while the system keeps it waiting: on an idle machine no
//! step is spent on that. Without a clock it never does.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// The time, as a run that adapts its threads needs it; see [`SystemClock`](crate::SystemClock).
pub trait StepClock: fmt::Debug + Send + Sync {
    /// The time since some moment.
    fn now(&self) -> Duration;

    /// For how long this thread, ready to go on, has waited for a processor so far, if that is known.
    fn waited(&self) -> Option<Duration>;
}

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

/// The threads that make the steps.
#[derive(Debug)]
pub(crate) struct AdaptiveThreads<'c> {
    timer: StepTimer<'c>,
    /// Made before the first step, so that a change of threads allocates nothing; none where there is but one
    /// thread anyway.
    alone: Option<ThreadPool>,
}

impl<'c> AdaptiveThreads<'c> {
    /// All threads of the pool that this is called in; fewer only by this clock.
    pub(crate) fn new(clock: Option<&'c dyn StepClock>) -> Self {
        let clock = clock.filter(|_| rayon::current_num_threads() > 1);
        let alone = clock.and_then(|_| single_thread());
        Self { timer: StepTimer::new(clock.filter(|_| alone.is_some())), alone }
    }

    /// One that begins with a single thread, and tries all of them after its first step.
    #[cfg(test)]
    pub(crate) fn restless(clock: &'c dyn StepClock) -> Self {
        let mut threads = Self::new(Some(clock));
        (threads.timer.threads, threads.timer.stretch) = (Threads::One, Duration::ZERO);
        threads
    }

    /// Runs `work` on the threads whose turn it is; it should return when [`StepTimer::step`] says so.
    pub(crate) fn run<R: Send>(&mut self, work: impl FnOnce(&mut StepTimer<'c>) -> R + Send) -> R {
        match (&self.alone, self.timer.threads) {
            (Some(alone), Threads::One) => install(alone, || work(&mut self.timer)),
            _ => work(&mut self.timer),
        }
    }
}

/// Does the work on the threads of this pool.
pub(crate) fn install<R: Send>(pool: &ThreadPool, work: impl FnOnce() -> R + Send) -> R {
    /// One for all kinds of work.
    fn run(pool: &ThreadPool, work: &mut (dyn FnMut() + Send)) {
        pool.install(work);
    }
    let (mut work, mut made) = (Some(work), None);
    run(pool, &mut || made = work.take().map(|work| work()));
    made.unwrap_or_else(|| unreachable!("the work is done"))
}

/// Pools of one thread that runs which are over leave to those that follow: no thread is made twice, and none
/// ends while another run makes its steps.
static SPARE: Mutex<Vec<ThreadPool>> = Mutex::new(Vec::new());

/// A pool of one thread that has begun; none if the system has no thread to give.
fn single_thread() -> Option<ThreadPool> {
    let spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let pool = spare.or_else(|| ThreadPoolBuilder::new().num_threads(1).build().ok())?;
    // What a thread allocates at its start is no step's.
    install(&pool, || ());
    Some(pool)
}

impl Drop for AdaptiveThreads<'_> {
    fn drop(&mut self) {
        SPARE.lock().unwrap_or_else(PoisonError::into_inner).extend(self.alone.take());
    }
}

/// What is known of how fast steps are.
#[derive(Debug)]
pub(crate) struct StepTimer<'c> {
    /// None where threads do not change.
    clock: Option<&'c dyn StepClock>,
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

impl<'c> StepTimer<'c> {
    fn new(clock: Option<&'c dyn StepClock>) -> Self {
        Self {
            clock,
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
        let Some(clock) = self.clock else {
            return (step(), false);
        };
        if self.steps == 0 {
            self.waited = clock.waited();
        }
        let since = clock.now();
        let made = step();
        let took = clock.now().saturating_sub(since);
        (made, self.note(took, || clock.waited()))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock that stands still.
    #[derive(Debug)]
    struct Stopped;

    impl StepClock for Stopped {
        fn now(&self) -> Duration {
            Duration::ZERO
        }

        fn waited(&self) -> Option<Duration> {
            None
        }
    }

    const STEP: Duration = Duration::from_millis(10);

    /// Steps that take so long on all threads and on one, while threads wait such a share of their time; gives
    /// how many of the last half were made by one.
    fn by_one(timer: &mut StepTimer<'_>, all: Duration, one: Duration, wait: f64) -> usize {
        let (mut now, mut counted) = (Duration::ZERO, 0);
        for step in 0..10_000 {
            let time = if timer.threads == Threads::All { all } else { one };
            counted += usize::from(step >= 5_000 && timer.threads == Threads::One);
            if timer.steps == 0 {
                timer.waited = Some(now);
            }
            now += time.mul_f64(wait);
            timer.note(time, || Some(now));
        }
        counted
    }

    #[test]
    fn an_idle_machine_spends_no_step_on_a_trial() {
        assert_eq!(by_one(&mut StepTimer::new(None), STEP, STEP / 2, 0.01), 0);
        let mut silent = StepTimer::new(None);
        assert!((0..1000).all(|_| !silent.note(STEP, || None)));
    }

    #[test]
    fn a_busy_machine_is_left_to_whichever_is_faster_and_looked_at_again() {
        let mut timer = StepTimer::new(None);
        let slower = by_one(&mut timer, STEP * 4, STEP, 0.4);
        assert!((4_700..5_000).contains(&slower), "{slower}");
        let faster = by_one(&mut timer, STEP, STEP * 2, 0.4);
        assert!((1..200).contains(&faster), "{faster}");
        // Nobody else is busy any more.
        by_one(&mut timer, STEP * 4, STEP, 0.4);
        assert_eq!(by_one(&mut timer, STEP, STEP * 2, 0.0), 0);
    }

    #[test]
    fn work_goes_on_where_the_timer_says() {
        let pool = ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        pool.install(|| {
            let mut threads = AdaptiveThreads::new(Some(&Stopped));
            assert!(threads.timer.clock.is_some());
            assert_eq!(threads.run(|_| rayon::current_num_threads()), 3);
            threads.timer.threads = Threads::One;
            assert_eq!(threads.run(|_| rayon::current_num_threads()), 1);
            threads.timer.threads = Threads::All;
            assert_eq!(threads.run(|_| rayon::current_num_threads()), 3);
        });
        let pool = ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert!(pool.install(|| AdaptiveThreads::new(Some(&Stopped)).timer.clock.is_none()));
    }
}
