"""PyTorch, eager: its layers, losses and optimisers, the fused ones where it has them.

Convolutions also with the channels of a pixel side by side (torch-channels-last), so compiled (torch-compiled), and in
bf16 where it sees fit (torch-bf16).
"""

import os

import torch
from torch.nn import functional

CONVOLUTIONS = True
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


def versions():
    return {"torch": torch.__version__}


def network(job):
    layers, channels = [], job.shape[2]
    for units in job.convolutions:
        layers += [torch.nn.Conv2d(channels, units, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2)]
        channels = units
    if job.convolutions:
        layers.append(torch.nn.Flatten())
    for inputs, outputs in zip(job.widths, job.widths[1:]):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    fill(job, model)
    return model


def fill(job, model):
    linears = [layer for layer in model if isinstance(layer, torch.nn.Linear)]
    convolutions = [layer for layer in model if isinstance(layer, torch.nn.Conv2d)]
    with torch.no_grad():
        for layer, (w, b) in zip(convolutions, job.windows()):
            layer.weight.copy_(torch.from_numpy(w).permute(0, 3, 1, 2))
            layer.bias.copy_(torch.from_numpy(b))
        for layer, (w, b) in zip(linears, job.dense(channels_first=True)):
            layer.weight.copy_(torch.from_numpy(w))
            layer.bias.copy_(torch.from_numpy(b[:, 0]))


def optimizer(job, parameters):
    def make(fused):
        if job.rule == "adam":
            return torch.optim.Adam(parameters, lr=job.learning_rate, fused=fused)
        momentum = {"sgd": 0.0, "momentum": 0.9}[job.rule]
        return torch.optim.SGD(parameters, lr=job.learning_rate, momentum=momentum, fused=fused)

    try:
        return make(True)
    except RuntimeError:
        return make(None)


class Form:
    """How a model and its pictures lie in memory, and how it is called."""

    def __init__(self, peer):
        self.bf16, self.compiled = peer == "torch-bf16", peer == "torch-compiled"
        self.layout = torch.contiguous_format if peer == "torch" else torch.channels_last

    def pictures(self, job, pixels):
        pixels = torch.from_numpy(pixels)
        if not job.convolutions:
            return pixels
        pictures = pixels.view(-1, *job.shape).permute(0, 3, 1, 2)
        return pictures.contiguous(memory_format=self.layout)

    def model(self, job):
        model = network(job)
        if job.convolutions:
            model = model.to(memory_format=self.layout)
        return model

    def call(self, model):
        called = torch.compile(model) if self.compiled else model
        if not self.bf16:
            return called

        def in_bf16(x):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return called(x).to(torch.float32)

        return in_bf16


class Trainer:
    def __init__(self, job, peer):
        self.job, self.binary = job, job.classes == 2
        self.form = Form(peer)
        pixels, labels = job.read()
        self.x = self.form.pictures(job, pixels)
        # Rows of numbers are scaled once, pictures in every step.
        if not job.convolutions:
            self.x = self.x.to(torch.float32).div_(255)
        self.y = torch.from_numpy(labels)
        if self.binary:
            self.y = self.y.to(torch.float32)[:, None]

    def reset(self):
        self.model = self.form.model(self.job)
        self.called = self.form.call(self.model)
        self.optimizer = optimizer(self.job, list(self.model.parameters()))

    def step(self, batch):
        x, y = self.x, self.y
        if batch is not None:
            rows = torch.from_numpy(batch)
            x, y = x[rows], y[rows]
        if x.dtype == torch.uint8:
            x = x.to(torch.float32).div_(255)
        self.optimizer.zero_grad()
        logits = self.called(x)
        if self.binary:
            loss = functional.binary_cross_entropy_with_logits(logits, y)
        else:
            loss = functional.cross_entropy(logits, y)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def wait(self, cost):
        return cost


class Predictor:
    def __init__(self, job, peer):
        self.job, self.binary, self.form = job, job.classes == 2, Form(peer)
        self.called = self.form.call(self.form.model(job).eval())

    def inputs(self, pixels):
        return self.form.pictures(self.job, pixels).to(torch.float32).div_(255)

    def predict(self, x):
        with torch.inference_mode():
            logits = self.called(x)
            if self.binary:
                return torch.sigmoid(logits[:, 0])
            return torch.softmax(logits, dim=1)[:, -1]
