"""A peer's side of a measurement: the same lines as `dnn_bench::worker` (see there).

usage: serve.py PEER            obeys the lines on standard input
       serve.py PEER once JOB   does the job in that file once, as a whole process

PEER is a name of MODULES.
"""

import importlib
import json
import os
import sys
import time

MODULES = {
    "numpy-f32": "numpy_peer",
    "numpy-f64": "numpy_peer",
    "torch": "torch_peer",
    "torch-channels-last": "torch_peer",
    "torch-bf16": "torch_peer",
    "torch-compiled": "torch_peer",
    "keras-tensorflow": "keras_peer",
    "keras-jax": "keras_peer",
    "jax": "jax_peer",
    "sklearn": "sklearn_peer",
    "onnxruntime": "onnx_peer",
}
# The last of them is the cost after ten steps.
CHECKED_STEPS = 11
# Steps of a whole run that are timed; the rest of it is a multiplication.
TIMED_STEPS = 10


class Skip(Exception):
    """A peer that has no such workload, and why."""


class Job:
    """A job, and its files as arrays."""

    def __init__(self, path):
        import numpy

        with open(path, encoding="utf-8") as file:
            self.__dict__.update(json.load(file))
        self.load = numpy.load
        outputs = 1 if self.classes == 2 else self.classes
        # What the dense layers see: of each convolution's units, the largest of each 2 x 2.
        height, width, channels = self.shape
        for units in self.convolutions:
            height, width, channels = height // 2, width // 2, units
        self.seen = [height, width, channels]
        self.widths = [height * width * channels, *self.hidden, outputs]
        # `momentum:beta=0.9` is the usual momentum.
        self.rule = self.optimizer.split(":")[0]

    def read(self):
        """Pixels (m, n_x) of u8, labels (m) of i64."""
        return self.load(self.pixels), self.load(self.labels)

    def parameters(self):
        """(W, b) of each layer, (n, n_prev) and (n, 1); of a convolution n_prev is rows, columns, channels."""
        names = range(1, len(self.convolutions) + len(self.widths))
        return [(self.load(f"{self.weights}/W{l}.npy"), self.load(f"{self.weights}/b{l}.npy")) for l in names]

    def windows(self):
        """(W, b) of each convolution, (n, 3, 3, channels) and (n)."""
        pairs = self.parameters()[: len(self.convolutions)]
        return [(w.reshape(len(w), 3, 3, -1), b[:, 0]) for w, b in pairs]

    def dense(self, channels_first=False):
        """(W, b) of each dense layer; those of the first may see the channels of a picture one after another."""
        pairs = self.parameters()[len(self.convolutions) :]
        if self.convolutions and channels_first:
            w, b = pairs[0]
            pairs[0] = w.reshape(len(w), *self.seen).transpose(0, 3, 1, 2).reshape(w.shape), b
        return pairs

    def batches(self):
        """The examples of each step of an epoch; None for all of them."""
        if self.batch is None:
            return [None]
        order = self.load(self.order)
        return [order[start : start + self.batch] for start in range(0, self.examples, self.batch)]


class Training:
    """Rounds of a model with `reset()`, `step(batch)` and, if it does not wait by itself, `wait(cost)`."""

    def __init__(self, job, model):
        self.job, self.model = job, model
        self.all = job.batches()
        model.reset()

    def check(self):
        self.model.reset()
        needed = -(-CHECKED_STEPS // len(self.all))
        costs = [float(self.model.step(batch)) for batch in (self.all * needed)[:CHECKED_STEPS]]
        self.model.reset()
        return costs

    def epoch(self):
        # scikit-learn has a loop of its own over an epoch.
        if hasattr(self.model, "epoch"):
            return self.model.epoch()
        for batch in self.all:
            cost = self.model.step(batch)
        return cost

    def go(self):
        run = self.job.kind == "run"
        steps = min(TIMED_STEPS, self.job.rounds_of) if run else self.job.rounds_of
        start = time.perf_counter()
        for _ in range(steps):
            cost = self.epoch()
        cost = float(self.model.wait(cost))
        seconds = time.perf_counter() - start
        if not run:
            return {"seconds": seconds, "value": cost}
        share = self.job.rounds_of / steps
        return {"seconds": seconds * share, "value": cost, "extrapolated": share != 1}


class Predicting:
    """Predictions by a model with `predict(x)`, which gives the probabilities of the last class.

    `x` is as the model's `inputs` makes it of pixels.
    """

    def __init__(self, job, model, pixels):
        self.job, self.model = job, model
        self.all = model.inputs(pixels)
        size = job.batch or 1
        self.parts = [model.inputs(pixels[at : at + size]) for at in range(0, len(pixels) - size + 1, size)]

    def check(self):
        return [float(value) for value in self.model.predict(self.all)]

    def go(self):
        times = []
        for call in range(self.job.rounds_of):
            part = self.parts[call % len(self.parts)]
            start = time.perf_counter()
            found = self.model.predict(part)
            times.append(time.perf_counter() - start)
        times.sort()
        return {"seconds": times[len(times) // 2], "value": float(found[0])}


def start(peer, job):
    module = importlib.import_module(MODULES[peer])
    if job.convolutions and not getattr(module, "CONVOLUTIONS", False):
        raise Skip("has no convolutions")
    if job.kind == "predict":
        predictor = getattr(module, "Predictor", None)
        if predictor is None:
            raise Skip("has no such workload")
        return Predicting(job, predictor(job, peer), job.load(job.pixels))
    trainer = getattr(module, "Trainer", None)
    if trainer is None:
        raise Skip("does not train")
    return Training(job, trainer(job, peer))


def once(peer, path):
    begin = time.perf_counter()
    session = start(peer, Job(path))
    if isinstance(session, Predicting):
        value = session.check()[0]
    else:
        value = float(session.model.wait(session.model.step(session.all[0])))
    seconds = time.perf_counter() - begin
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "value": value, "peak_bytes": peak}


def obey(peer, answer):
    session = None
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        try:
            if word == "open":
                session = None
                session = start(peer, Job(rest))
                answer({"ready": True, "versions": importlib.import_module(MODULES[peer]).versions()})
            elif word == "check":
                answer({"costs": session.check()})
            elif word == "go":
                answer(session.go())
            elif word == "close":
                session = None
                answer({"closed": True})
            else:
                answer({"error": f"expected open, check, go or close, found `{word}`"})
        except Skip as why:
            answer({"skip": str(why)})
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}"})


def main():
    # What libraries print must not come between the answers.
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(value):
        output.write(json.dumps(value) + "\n")
        output.flush()

    # Peers import Skip from here: one module, not two.
    sys.modules["serve"] = sys.modules["__main__"]
    peer = sys.argv[1]
    if len(sys.argv) == 4 and sys.argv[2] == "once":
        answer(once(peer, sys.argv[3]))
    else:
        obey(peer, answer)


main()
