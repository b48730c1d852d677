//! Busy processes beside a turn: a machine that is not idle.

use anyhow::{Result, ensure};

use super::entrants::{Program, Worker};

/// Processes that are busy until this is dropped. They end with their inputs, so that none outlives the
/// program that started it, however that ends.
#[derive(Debug)]
pub struct Busy {
    processes: Vec<Worker>,
}

impl Busy {
    /// Starts `count` processes of a program that spins, and waits until all of them do.
    ///
    /// # Errors
    /// If one cannot be started or does not say that it is busy.
    pub fn start(program: &Program, count: usize) -> Result<Self> {
        let mut processes = Vec::with_capacity(count);
        for _ in 0..count {
            processes.push(Worker::start(program)?);
        }
        let mut busy = Self { processes };
        for process in &mut busy.processes {
            let said = process.hear("spin")?;
            ensure!(said["busy"] == true, "{} said {said}", process.name);
        }
        Ok(busy)
    }
}

impl Drop for Busy {
    /// All are told before the first is waited for.
    fn drop(&mut self) {
        for process in &mut self.processes {
            process.end_input();
        }
    }
}
