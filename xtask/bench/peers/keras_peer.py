"""Keras, on TensorFlow or on JAX: its layers, cost and optimiser, compiled as Keras sees fit by itself.

On TensorFlow that is a graph whose convolutions are oneDNN's: asked for XLA, a step took three times as long.
"""

import os
import sys

THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))
BACKEND = sys.argv[1].split("-")[1]
os.environ["KERAS_BACKEND"] = BACKEND
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np

if BACKEND == "tensorflow":
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(THREADS)
    tensorflow.config.threading.set_inter_op_parallelism_threads(THREADS)

CONVOLUTIONS = True


def versions():
    found = {"keras": keras.__version__}
    if BACKEND == "tensorflow":
        found["tensorflow"] = tensorflow.__version__
    return found


def network(job, scale, last):
    shape = tuple(job.shape) if job.convolutions else (job.widths[0],)
    layers = [keras.Input(shape, dtype="uint8" if scale else "float32")]
    if scale:
        layers.append(keras.layers.Rescaling(1 / 255))
    for units in job.convolutions:
        layers += [keras.layers.Conv2D(units, 3, padding="same", activation="relu"), keras.layers.MaxPooling2D(2)]
    if job.convolutions:
        layers.append(keras.layers.Flatten())
    layers += [keras.layers.Dense(width, activation="relu") for width in job.hidden]
    layers.append(keras.layers.Dense(job.widths[-1], activation=last))
    return keras.Sequential(layers)


def fill(job, model):
    arrays = []
    for w, b in job.windows():
        arrays += [w.transpose(1, 2, 3, 0), b]
    for w, b in job.dense():
        arrays += [w.T, b[:, 0]]
    model.set_weights(arrays)


def optimizer(job):
    if job.rule == "adam":
        return keras.optimizers.Adam(job.learning_rate, epsilon=1e-8)
    return keras.optimizers.SGD(job.learning_rate, momentum={"sgd": 0.0, "momentum": 0.9}[job.rule])


class Trainer:
    def __init__(self, job, _):
        self.job = job
        pixels, labels = job.read()
        # Rows of numbers are scaled once, pictures in every step.
        if job.convolutions:
            self.x = pixels.reshape(-1, *job.shape)
        else:
            self.x = pixels.astype(np.float32) / np.float32(255)
        if job.classes == 2:
            self.y = labels.astype(np.float32)[:, None]
            loss = keras.losses.BinaryCrossentropy(from_logits=True)
        else:
            self.y = labels
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model = network(job, bool(job.convolutions), None)
        self.optimizer = optimizer(job)
        self.model.compile(self.optimizer, loss)

    def reset(self):
        fill(self.job, self.model)
        if self.optimizer.built:
            for variable in self.optimizer.variables:
                if "learning_rate" not in variable.path:
                    variable.assign(np.zeros(variable.shape, variable.dtype))

    def step(self, batch):
        # The cost that is told is a mean since the last of these.
        self.model.reset_metrics()
        if batch is None:
            return self.model.train_on_batch(self.x, self.y)
        return self.model.train_on_batch(self.x[batch], self.y[batch])

    def wait(self, cost):
        return cost


class Predictor:
    def __init__(self, job, _):
        from serve import Skip

        if not job.convolutions or job.classes != 2:
            raise Skip("is asked for convolutions and two classes")
        self.job, self.model = job, network(job, False, "sigmoid")
        fill(job, self.model)
        self.model.compile()

    def inputs(self, pixels):
        return pixels.reshape(-1, *self.job.shape).astype(np.float32) / np.float32(255)

    def predict(self, x):
        return self.model.predict_on_batch(x)[:, 0]
