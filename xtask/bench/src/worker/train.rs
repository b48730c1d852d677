//! Rounds of training and of predicting.

use std::io::{BufRead, Write};
use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::{Context, Result};
use dnn_core::Element;
use dnn_core::ndarray::{Array2, s};
use dnn_layers::Network;
use dnn_store::Scalar;
use dnn_train::{Event, Examples};
use serde_json::json;

use super::ours::{Answers, first_network, read_examples, trainer};
use super::protocol::{Link, Order, Turn, say_ready};
use super::{CHECKED_STEPS, Job, Kind};

/// A run that goes on from round to round is given this many epochs; none lasts as long.
const ENDLESS: usize = 1 << 40;

/// What a job needs, read once.
pub(super) struct Desk<'j, T> {
    pub(super) job: &'j Job,
    pub(super) network: Network<T>,
    pub(super) pixels: Array2<u8>,
    pub(super) labels: Vec<u32>,
}

impl<'j, T: Element + Scalar> Desk<'j, T> {
    pub(super) fn of(job: &'j Job) -> Result<Self> {
        let (pixels, labels) = read_examples(job)?;
        Ok(Self { job, network: first_network(job)?, pixels, labels })
    }

    fn examples(&self) -> Examples<'_, T> {
        Examples::classes(self.network.pixels(self.pixels.view()), &self.labels)
    }

    /// The cost of each of the first `steps` steps from the first weights.
    pub(super) fn first_costs(&self, steps: usize) -> Result<Vec<f64>> {
        let mut costs = Vec::new();
        self.steps(steps, &mut |event| {
            if let Event::Step { cost, .. } = event {
                costs.push(cost);
                if costs.len() == steps {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })?;
        Ok(costs)
    }

    /// At most `steps` epochs from the first weights; `observer` ends them. Gives what the network became.
    pub(super) fn steps(
        &self,
        steps: usize,
        observer: &mut (dyn FnMut(Event<'_>) -> ControlFlow<()> + Send),
    ) -> Result<Network<T>> {
        let mut network = self.network.clone();
        trainer(self.job, steps)?.fit(&mut network, &self.examples(), None, observer)?;
        Ok(network)
    }

    /// A whole run from the first weights, with all that starting it costs.
    fn whole_run(&self) -> Result<Turn> {
        let mut network = self.network.clone();
        let trainer = trainer(self.job, self.job.rounds_of)?;
        let start = Instant::now();
        let history =
            trainer.fit(&mut network, &self.examples(), None, &mut dnn_train::unobserved)?;
        let seconds = start.elapsed().as_secs_f64();
        let last = history.epochs.last().context("a run of no epoch")?;
        Ok(Turn::new(seconds, last.cost))
    }

    /// The rounds of one run, which this order is to begin and others go on with; gives the order that
    /// ends it.
    fn rounds<R: BufRead + Send, W: Write + Send>(
        &self,
        link: &mut Link<R, W>,
    ) -> Result<Option<Order>> {
        let (mut network, mut next, mut failure) = (self.network.clone(), None, None);
        let (mut start, mut epochs) = (Instant::now(), 0);
        let mut observer = |event: Event<'_>| {
            let Event::Epoch(record) = event else { return ControlFlow::Continue(()) };
            epochs += 1;
            if epochs < self.job.rounds_of {
                return ControlFlow::Continue(());
            }
            let turn = Turn::new(start.elapsed().as_secs_f64(), record.cost);
            let order = link.say(&turn).and_then(|()| link.hear());
            (epochs, start) = (0, Instant::now());
            match order {
                Ok(Some(Order::Go)) => return ControlFlow::Continue(()),
                Ok(other) => next = other,
                Err(error) => failure = Some(error),
            }
            ControlFlow::Break(())
        };
        trainer(self.job, ENDLESS)?.fit(&mut network, &self.examples(), None, &mut observer)?;
        failure.map_or(Ok(next), Err)
    }

    /// The median of as many predictions as a round has: of single ones by a thread of the pool, whose other
    /// threads help there.
    fn predictions(&self) -> Result<Turn> {
        match self.job.batch {
            Some(1) => rayon::scope(|_| self.predictions_here()),
            _ => self.predictions_here(),
        }
    }

    fn predictions_here(&self) -> Result<Turn> {
        let (mut answers, batch) = (Answers::of(&self.network)?, self.job.batch.unwrap_or(1));
        let places = self.job.examples / batch;
        let (mut times, mut value) = (Vec::with_capacity(self.job.rounds_of), 0.0);
        for call in 0..self.job.rounds_of {
            let first = call % places * batch;
            let pixels = self.pixels.slice(s![.., first..first + batch]);
            let start = Instant::now();
            let found = answers.last_class(pixels)?;
            times.push(start.elapsed().as_secs_f64());
            value = found[0];
        }
        times.sort_by(f64::total_cmp);
        Ok(Turn::new(times[times.len() / 2], value))
    }

    fn check(&self) -> Result<Vec<f64>> {
        match self.job.kind {
            Kind::Predict => Answers::of(&self.network)?.last_class(self.pixels.view()),
            _ => self.first_costs(CHECKED_STEPS),
        }
    }
}

/// Does a job until an order comes that is none for it; gives that order.
pub(super) fn session<T, R, W>(job: &Job, link: &mut Link<R, W>) -> Result<Option<Order>>
where
    T: Element + Scalar,
    R: BufRead + Send,
    W: Write + Send,
{
    let desk = Desk::<T>::of(job)?;
    say_ready(link)?;
    let mut order = link.hear()?;
    loop {
        order = match (&order, job.kind) {
            (Some(Order::Check), _) => {
                link.say(&json!({ "costs": desk.check()? }))?;
                link.hear()?
            }
            (Some(Order::Go), Kind::Run) => {
                link.say(&desk.whole_run()?)?;
                link.hear()?
            }
            (Some(Order::Go), Kind::Predict) => {
                link.say(&desk.predictions()?)?;
                link.hear()?
            }
            (Some(Order::Go), _) => desk.rounds(link)?,
            _ => return Ok(order),
        };
    }
}
