"""NumPy: in f64 as the tutorial writes it, in f32 as one would write it for speed.

The f64 form has one example a column, computes every dA, that of the input included, and every
intermediate array anew. The f32 form has one example a row and leaves dA of the input out.
"""

import numpy as np


def versions():
    found = {"numpy": np.__version__}
    try:
        from threadpoolctl import threadpool_info

        for pool in threadpool_info():
            if pool["internal_api"] == "openblas":
                found["openblas"] = f"{pool['version']}/{pool['architecture']}"
    except ImportError:
        pass
    return found


class Rule:
    """The optimisers, on a list of arrays, in place."""

    def __init__(self, job, arrays):
        self.rule, self.rate, self.arrays, self.steps = job.rule, job.learning_rate, arrays, 0
        if self.rule not in ("sgd", "momentum", "adam"):
            raise ValueError(f"no optimiser {self.rule}")
        self.v = [np.zeros_like(a) for a in arrays] if self.rule != "sgd" else None
        self.s = [np.zeros_like(a) for a in arrays] if self.rule == "adam" else None

    def step(self, gradients):
        self.steps += 1
        for i, (a, g) in enumerate(zip(self.arrays, gradients)):
            if self.rule == "sgd":
                a -= self.rate * g
            elif self.rule == "momentum":
                self.v[i] *= 0.9
                self.v[i] += g
                a -= self.rate * self.v[i]
            else:
                v, s = self.v[i], self.s[i]
                v *= 0.9
                v += (1 - 0.9) * g
                s *= 0.999
                s += (1 - 0.999) * (g * g)
                root = np.sqrt(s / (1 - 0.999**self.steps))
                root += 1e-8
                a -= (self.rate / (1 - 0.9**self.steps)) * v / root


class Wide:
    """f64, one example a column, as the tutorial writes it."""

    dtype = np.float64

    def __init__(self, job):
        pixels, labels = job.read()
        self.x = pixels.T / 255.0
        if job.classes == 2:
            self.y = labels.reshape(1, -1).astype(np.float64)
        else:
            self.y = np.eye(job.classes)[labels].T

    def step(self, layers, binary, batch):
        x, y = (self.x, self.y) if batch is None else (self.x[:, batch], self.y[:, batch])
        m = x.shape[1]
        a, caches = x, []
        for l, (w, b) in enumerate(layers):
            z = np.dot(w, a) + b
            caches.append((a, w, z))
            last = l == len(layers) - 1
            if not last:
                a = np.maximum(0, z)
            elif binary:
                a = 1 / (1 + np.exp(-z))
            else:
                e = np.exp(z - z.max(axis=0))
                a = e / e.sum(axis=0)
        if binary:
            # From z: where the probability rounds to 0 or 1, the formula with logarithms has no value.
            cost = np.sum(np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))) / m
        else:
            cost = -np.sum(y * np.log(np.maximum(a, 1e-300))) / m
        dz, gradients = a - y, []
        for l in reversed(range(len(layers))):
            previous, w, z = caches[l]
            dw = np.dot(dz, previous.T) / m
            db = np.sum(dz, axis=1, keepdims=True) / m
            gradients = [dw, db] + gradients
            da = np.dot(w.T, dz)
            if l > 0:
                dz = np.array(da, copy=True)
                dz[caches[l - 1][2] <= 0] = 0
        return cost, gradients


class Fast:
    """f32, one example a row."""

    dtype = np.float32

    def __init__(self, job):
        pixels, labels = job.read()
        self.x = pixels.astype(np.float32)
        self.x /= np.float32(255)
        self.y = labels.reshape(-1, 1).astype(np.float32) if job.classes == 2 else labels

    def step(self, layers, binary, batch):
        x, y = (self.x, self.y) if batch is None else (self.x[batch], self.y[batch])
        m, activations = len(x), [x]
        for l, (w, b) in enumerate(layers):
            z = activations[-1] @ w.T
            z += b.T
            if l < len(layers) - 1:
                np.maximum(z, 0, out=z)
            activations.append(z)
        if binary:
            cost = float(np.mean(np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))))
            dz = 1 / (1 + np.exp(-z)) - y
        else:
            z -= z.max(axis=1, keepdims=True)
            e = np.exp(z)
            total = e.sum(axis=1, keepdims=True)
            rows = np.arange(m)
            cost = float(np.mean(np.log(total[:, 0]) - z[rows, y]))
            dz = e / total
            dz[rows, y] -= 1
        dz /= np.float32(m)
        gradients = []
        for l in reversed(range(len(layers))):
            gradients = [dz.T @ activations[l], dz.sum(axis=0).reshape(-1, 1)] + gradients
            if l > 0:
                dz = dz @ layers[l][0]
                dz *= activations[l] > 0
        return cost, gradients


class Trainer:
    def __init__(self, job, peer):
        self.job = job
        self.form = Wide(job) if peer == "numpy-f64" else Fast(job)

    def reset(self):
        dtype = self.form.dtype
        self.layers = [(w.astype(dtype, copy=False), b.astype(dtype, copy=False)) for w, b in self.job.parameters()]
        self.rule = Rule(self.job, [array for layer in self.layers for array in layer])

    def step(self, batch):
        cost, gradients = self.form.step(self.layers, self.job.classes == 2, batch)
        self.rule.step(gradients)
        return cost

    def wait(self, cost):
        return cost


class Predictor:
    def __init__(self, job, peer):
        self.dtype = np.float64 if peer == "numpy-f64" else np.float32
        pairs = job.parameters()
        self.layers = [(w.astype(self.dtype, copy=False).T, b.astype(self.dtype, copy=False).T) for w, b in pairs]
        self.binary = job.classes == 2

    def inputs(self, pixels):
        return pixels.astype(self.dtype) / self.dtype(255)

    def predict(self, x):
        for w, b in self.layers[:-1]:
            x = x @ w
            x += b
            np.maximum(x, 0, out=x)
        w, b = self.layers[-1]
        z = x @ w
        z += b
        if self.binary:
            return 1 / (1 + np.exp(-z[:, 0]))
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e[:, -1] / e.sum(axis=1)
