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
    layers = [keras.Input(tuple(job.shape), dtype="uint8" if scale else "float32")]
    if scale:
        layers.append(keras.layers.Rescaling(1 / 255))
    for units in job.convolutions:
        layers += [keras.layers.Conv2D(units, 3, padding="same", activation="relu"), keras.layers.MaxPooling2D(2)]
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


class Trainer:
    def __init__(self, job, _):
        from serve import Skip

        if not job.convolutions or job.classes != 2 or job.rule != "momentum":
            raise Skip("is asked for convolutions and two classes, with momentum")
        self.job = job
        pixels, labels = job.read()
        self.x = pixels.reshape(-1, *job.shape)
        self.y = labels.astype(np.float32)[:, None]
        self.model = network(job, True, None)
        self.optimizer = keras.optimizers.SGD(job.learning_rate, momentum=0.9)
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        self.model.compile(self.optimizer, loss)

    def reset(self):
        fill(self.job, self.model)
        if self.optimizer.built:
            for variable in self.optimizer.variables:
                if "momentum" in variable.path:
                    variable.assign(np.zeros(variable.shape, np.float32))

    def step(self, batch):
        # The cost that is told is a mean since the last of these.
        self.model.reset_metrics()
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
