"""scikit-learn: its MLPClassifier, one `partial_fit` a step where steps are counted, else one an epoch."""

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier


def versions():
    return {"scikit-learn": sklearn.__version__}


def classifier(job, batch):
    return MLPClassifier(
        hidden_layer_sizes=tuple(job.hidden),
        activation="relu",
        solver="adam" if job.rule == "adam" else "sgd",
        alpha=0.0,
        batch_size=batch,
        learning_rate_init=job.learning_rate,
        momentum=0.9 if job.rule == "momentum" else 0.0,
        nesterovs_momentum=False,
        shuffle=job.batch is not None,
        random_state=1,
    )


def fill(model, job):
    """The job's own first weights, in the arrays that the optimiser already knows."""
    for l, (w, b) in enumerate(job.parameters()):
        model.coefs_[l][...] = w.T
        model.intercepts_[l][...] = b[:, 0]


def scaled(pixels):
    x = pixels.astype(np.float32)
    x /= np.float32(255)
    return x


class Trainer:
    def __init__(self, job, _):
        self.job = job
        pixels, labels = job.read()
        self.x, self.y = scaled(pixels), labels
        self.classes = np.arange(job.classes)

    def reset(self):
        self.model = classifier(self.job, self.job.batch or self.job.examples)
        # Arrays come into being with a first step, which is then undone: weights and optimiser.
        first = slice(0, max(2, min(8, self.job.examples)))
        self.model.partial_fit(self.x[first], self.y[first], classes=self.classes)
        fill(self.model, self.job)
        optimizer = self.model._optimizer
        for name in ("velocities", "ms", "vs"):
            for array in getattr(optimizer, name, []):
                array[...] = 0
        if hasattr(optimizer, "t"):
            optimizer.t = 0
        self.model.t_ = 0

    def step(self, batch):
        x, y = (self.x, self.y) if batch is None else (self.x[batch], self.y[batch])
        self.model.partial_fit(x, y)
        return self.model.loss_

    def epoch(self):
        self.model.partial_fit(self.x, self.y)
        return self.model.loss_

    def wait(self, cost):
        return cost


class Predictor:
    def __init__(self, job, _):
        self.model = classifier(job, 2)
        features = job.widths[0]
        nothing = np.zeros((job.classes, features), np.float32)
        self.model.partial_fit(nothing, np.arange(job.classes), classes=np.arange(job.classes))
        fill(self.model, job)

    def inputs(self, pixels):
        return scaled(pixels)

    def predict(self, x):
        return self.model.predict_proba(x)[:, -1]
