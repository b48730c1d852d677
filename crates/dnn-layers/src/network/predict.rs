//! Answers of a network.

use dnn_core::{Element, Features};
use ndarray::{Array2, ArrayView1, ShapeBuilder};

use crate::error::NO_CLASSES;
use crate::head::most_probable;
use crate::predictor::{PredictBuffers, Wanted};
use crate::{Head, Network, NetworkError};

impl<T: Element> Network<T> {
    /// The probability of every class, for every example.
    ///
    /// # Shapes
    /// `x` is `(n_x, m)`, the result `(classes, m)`; every column sums to 1.
    ///
    /// # Errors
    /// [`NetworkError::NoClasses`] for a network without classes, [`NetworkError::Overflow`] if the
    /// outputs of an example are not finite, and as [`check`](Self::check).
    pub fn predict_probabilities(&self, x: &Features<'_, T>) -> Result<Array2<T>, NetworkError> {
        if self.classes().is_empty() {
            return Err(NO_CLASSES);
        }
        self.check(x)?;
        let mut probabilities = Array2::zeros((self.classes().len(), x.len()).f());
        PredictBuffers::new(self).run(self, x, Wanted::Answers, probabilities.view_mut())?;
        Ok(probabilities)
    }

    /// What the network gives for every example: the numbers of a regression, with a sigmoid head the probability
    /// of each label, with a softmax head that of each class.
    ///
    /// # Shapes
    /// `x` is `(n_x, m)`, the result `(n_L, m)`.
    ///
    /// # Errors
    /// [`NetworkError::Overflow`] if the outputs of an example are not finite, and as [`check`](Self::check).
    ///
    /// # Examples
    /// ```
    /// use dnn_core::{Features, Initializer, Purpose, RandomStream, Shape};
    /// use dnn_layers::{Head, Network};
    /// use ndarray::array;
    ///
    /// // The sum of two numbers.
    /// let network = Network::<f64>::builder(Shape::flat(2))
    ///     .outputs(1, Head::Identity)
    ///     .initializer(Initializer::Constant(1.0))
    ///     .build(&mut RandomStream::new(0, Purpose::Initialization, 0))?;
    /// let x = array![[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]];
    /// assert_eq!(network.predict_outputs(&Features::Real(x.view()))?, array![[11.0, 22.0, 33.0]]);
    /// # Ok::<(), dnn_layers::NetworkError>(())
    /// ```
    pub fn predict_outputs(&self, x: &Features<'_, T>) -> Result<Array2<T>, NetworkError> {
        self.check(x)?;
        let mut outputs = Array2::zeros((self.outputs(), x.len()).f());
        PredictBuffers::new(self).run(self, x, Wanted::Answers, outputs.view_mut())?;
        Ok(outputs)
    }

    /// What the last layer gives for every example, before the head.
    ///
    /// # Shapes
    /// `x` is `(n_x, m)`, the result `(n_L, m)`.
    ///
    /// # Errors
    /// As [`predict_outputs`](Self::predict_outputs).
    pub fn predict_logits(&self, x: &Features<'_, T>) -> Result<Array2<T>, NetworkError> {
        self.check(x)?;
        let mut logits = Array2::zeros((self.outputs(), x.len()).f());
        PredictBuffers::new(self).run(self, x, Wanted::Logits, logits.view_mut())?;
        Ok(logits)
    }

    /// The class of every example, as its index in [`classes`](Self::classes).
    ///
    /// Of two classes the second wins with a probability strictly above 0.5; of more the most
    /// probable one, the first of equals.
    ///
    /// # Shapes
    /// `x` is `(n_x, m)`, the result has length `m`.
    ///
    /// # Errors
    /// As [`predict_probabilities`](Self::predict_probabilities).
    pub fn predict(&self, x: &Features<'_, T>) -> Result<Vec<usize>, NetworkError> {
        let probabilities = self.predict_probabilities(x)?;
        Ok(probabilities.columns().into_iter().map(most_probable).collect())
    }

    /// The class that these outputs of one example speak for, as [`predict`](Self::predict) has it;
    /// without classes, the largest of several outputs.
    ///
    /// # Shapes
    /// `output` is a column of `AL`, length `n_L`.
    pub fn decide(&self, output: ArrayView1<'_, T>) -> usize {
        match self.head() {
            Head::Sigmoid if self.outputs() == 1 => usize::from(output[0] > T::from_f64(0.5)),
            _ => most_probable(output),
        }
    }
}
