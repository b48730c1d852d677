"""JAX: one compiled function a step, its state given away to be overwritten."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

CONVOLUTIONS = True
LAYOUT = ("NHWC", "HWIO", "NHWC")
PAIRS = (1, 2, 2, 1)


def versions():
    return {"jax": jax.__version__}


def logits_of(layers, x):
    if x.dtype == jnp.uint8:
        x = x.astype(jnp.float32) / 255
    for w, b in layers[:-1]:
        if w.ndim == 4:
            x = lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=LAYOUT)
            x = jnp.maximum(x + b, 0)
            x = lax.reduce_window(x, -jnp.inf, lax.max, PAIRS, PAIRS, "VALID")
            continue
        x = x.reshape(len(x), -1)
        x = jnp.maximum(x @ w.T + b.T, 0)
    w, b = layers[-1]
    return x @ w.T + b.T


def cost_of(binary, layers, x, y):
    z = logits_of(layers, x)
    if binary:
        z = z[:, 0]
        return jnp.mean(jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z))))
    return jnp.mean(jax.nn.logsumexp(z, axis=1) - jnp.take_along_axis(z, y[:, None], axis=1)[:, 0])


def update(rule, rate, layers, gradient, state):
    """The optimisers, on trees; `state` is (steps, v, s)."""
    steps, v, s = state
    steps = steps + 1
    each = jax.tree.map
    if rule == "sgd":
        return each(lambda a, g: a - rate * g, layers, gradient), (steps, v, s)
    if rule == "momentum":
        v = each(lambda v, g: 0.9 * v + g, v, gradient)
        return each(lambda a, v: a - rate * v, layers, v), (steps, v, s)
    v = each(lambda v, g: 0.9 * v + (1 - 0.9) * g, v, gradient)
    s = each(lambda s, g: 0.999 * s + (1 - 0.999) * g * g, s, gradient)
    one = rate / (1 - 0.9**steps)
    two = 1 - 0.999**steps
    layers = each(lambda a, v, s: a - one * v / (jnp.sqrt(s / two) + 1e-8), layers, v, s)
    return layers, (steps, v, s)


@partial(jax.jit, static_argnames=("binary", "rule", "rate"), donate_argnames=("layers", "state"))
def step_all(binary, rule, rate, layers, state, x, y):
    cost, gradient = jax.value_and_grad(cost_of, argnums=1)(binary, layers, x, y)
    layers, state = update(rule, rate, layers, gradient, state)
    return cost, layers, state


@partial(jax.jit, static_argnames=("binary", "rule", "rate"), donate_argnames=("layers", "state"))
def step_some(binary, rule, rate, layers, state, x, y, rows):
    return step_all(binary, rule, rate, layers, state, x[rows], y[rows])


def arrays(job):
    pairs = [(w.transpose(1, 2, 3, 0), b) for w, b in job.windows()] + job.dense()
    return [(jnp.asarray(w, jnp.float32), jnp.asarray(b, jnp.float32)) for w, b in pairs]


def pictures(job, pixels):
    return pixels.reshape(-1, *job.shape) if job.convolutions else pixels


class Trainer:
    def __init__(self, job, _):
        self.job, self.binary = job, job.classes == 2
        pixels, labels = job.read()
        # Rows of numbers are scaled once, pictures in every step.
        self.x = jnp.asarray(pictures(job, pixels)) if job.convolutions else jnp.asarray(pixels, jnp.float32) / 255
        self.y = jnp.asarray(labels, jnp.float32 if self.binary else jnp.int32)

    def reset(self):
        self.layers = arrays(self.job)
        zeros = lambda wanted: jax.tree.map(jnp.zeros_like, self.layers) if wanted else None
        self.state = (jnp.float32(0), zeros(self.job.rule != "sgd"), zeros(self.job.rule == "adam"))

    def step(self, batch):
        fixed = (self.binary, self.job.rule, self.job.learning_rate)
        if batch is None:
            found = step_all(*fixed, self.layers, self.state, self.x, self.y)
        else:
            found = step_some(*fixed, self.layers, self.state, self.x, self.y, batch)
        cost, self.layers, self.state = found
        return cost

    def wait(self, cost):
        jax.block_until_ready(self.layers)
        return cost


@partial(jax.jit, static_argnames=("binary",))
def last_class(binary, layers, x):
    z = logits_of(layers, x)
    return jax.nn.sigmoid(z[:, 0]) if binary else jax.nn.softmax(z, axis=1)[:, -1]


class Predictor:
    def __init__(self, job, _):
        self.job, self.layers, self.binary = job, arrays(job), job.classes == 2

    def inputs(self, pixels):
        return jnp.asarray(pictures(self.job, pixels), jnp.float32) / 255

    def predict(self, x):
        return last_class(self.binary, self.layers, x).block_until_ready()
