//! The rows of the conformance table: a network, a cost and a trainer around each thing there is.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use dnn_core::{Element, Features, Initializer, Shape};
use dnn_layers::{Activation, Conv2d, Flatten, Head, Layer, Network, NetworkBuilder};
use dnn_store::Scalar;
use dnn_train::{Batch, Cost, Examples, Optimizer, Schedule, TrainError, Trainer, evaluate};
use ndarray::{Array2, ShapeBuilder};

use crate::fits::{build, draws, size};
use crate::pairs::dense;

/// What a row is about.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Layer(Layer),
    Activation(Activation),
    Head(Head),
    Cost(Cost),
    Optimizer(Optimizer),
    Schedule(Schedule),
    Initializer(Initializer),
}

/// One thing, and what else it takes to train with it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) subject: Kind,
    pub(crate) name: String,
    pub(crate) hidden: Vec<Layer>,
    pub(crate) head: Head,
    pub(crate) cost: Cost,
    pub(crate) initializer: Initializer,
    pub(crate) optimizer: Optimizer,
    pub(crate) schedule: Schedule,
}

/// Every row, from the product's own lists.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, layer) in Layer::KINDS.into_iter().enumerate() {
        let name = layer.kind().to_owned();
        let hidden = Layer::KINDS[..=index].to_vec();
        rows.push(Row { hidden, ..Row::new(Kind::Layer(layer), name) });
    }
    for activation in Activation::ALL {
        let hidden = dense(6, activation);
        let row = Row::new(Kind::Activation(activation), activation.to_string());
        rows.push(Row { hidden, ..row });
    }
    for head in Head::ALL {
        let row = Row::new(Kind::Head(head), head.to_string());
        rows.push(Row { head, cost: Cost::of_head(head), ..row });
    }
    for cost in Cost::ALL {
        for head in Head::ALL {
            let name = format!("{cost}, {head}");
            let row = Row { head, cost, ..Row::new(Kind::Cost(cost), name) };
            if row.cost_fits() {
                rows.push(row);
            }
        }
    }
    for name in Optimizer::NAMES {
        let optimizer: Optimizer = name.parse().unwrap();
        let mut row = Row::new(Kind::Optimizer(optimizer), (*name).to_owned());
        if let Optimizer::Muon(_) = optimizer {
            // Something that it is for.
            row.hidden.splice(..0, [Conv2d::same(6, 3).into(), Flatten {}.into()]);
        }
        rows.push(Row { optimizer, ..row });
    }
    for schedule in Schedule::every() {
        let row = Row::new(Kind::Schedule(schedule), schedule.to_string());
        rows.push(Row { schedule, ..row });
    }
    for initializer in Initializer::ALL {
        let row = Row::new(Kind::Initializer(initializer), initializer.to_string());
        rows.push(Row { initializer, ..row });
    }
    rows
}

impl Row {
    fn new(subject: Kind, name: String) -> Self {
        Self {
            subject,
            name,
            hidden: dense(6, Activation::Tanh),
            head: Head::Softmax,
            cost: Cost::CategoricalCrossEntropy,
            initializer: Initializer::XavierUniform,
            optimizer: Optimizer::default(),
            schedule: Schedule::default(),
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self.subject {
            Kind::Layer(_) => "layer",
            Kind::Activation(_) => "activation",
            Kind::Head(_) => "head",
            Kind::Cost(_) => "cost",
            Kind::Optimizer(_) => "optimiser",
            Kind::Schedule(_) => "schedule",
            Kind::Initializer(_) => "initialiser",
        }
    }

    fn cost_fits(&self) -> bool {
        let data = Data::<f64>::new(self, 2, 3);
        let result = evaluate(&self.network(2), &data.examples(self), self.cost);
        !matches!(result, Err(TrainError::CostHead { .. }))
    }

    /// A few steps on all examples at a time, which every optimiser takes.
    pub(crate) fn trainer(&self) -> Trainer {
        Trainer {
            cost: Some(self.cost),
            optimizer: self.optimizer,
            learning_rate: self.optimizer.default_learning_rate(),
            schedule: self.schedule,
            batch: match self.optimizer {
                Optimizer::Lbfgs(_) => Batch::Full,
                _ => size(256),
            },
            epochs: 4,
            ..Trainer::default()
        }
    }

    pub(crate) fn network<T: Element + Scalar>(&self, features: usize) -> Network<T> {
        let builder = Network::<T>::builder(Shape::flat(features));
        let builder = self.hidden.iter().cloned().fold(builder, NetworkBuilder::layer);
        build(
            match self.head {
                Head::Sigmoid => builder.classes(["a", "b"]),
                Head::Softmax => builder.classes(["a", "b", "c"]),
                head => builder.outputs(2, head),
            }
            .initializer(self.initializer),
        )
    }
}

/// Examples for a row: classes, or two numbers each.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Data<T> {
    x: Array2<T>,
    labels: Vec<u32>,
    values: Array2<T>,
}

impl<T: Element> Data<T> {
    pub(crate) fn new(row: &Row, features: usize, m: usize) -> Self {
        let mut draws = draws(20 + m as u64);
        let largest = if row.head == Head::Sigmoid { 1 } else { 2 };
        let x = Array2::from_shape_simple_fn((features, m).f(), || T::from_f64(draws.normal()));
        let values = Array2::from_shape_simple_fn((2, m).f(), || T::from_f64(draws.normal()));
        Self { x, labels: (0..m).map(|_| draws.up_to(largest)).collect(), values }
    }

    pub(crate) fn examples(&self, row: &Row) -> Examples<'_, T> {
        let features = Features::Real(self.x.view());
        match row.head {
            Head::Sigmoid | Head::Softmax => Examples::classes(features, &self.labels),
            _ => Examples::values(features, self.values.view()),
        }
    }
}
