"""PyTorch, eager: its layers, losses and optimisers, the fused ones where it has them."""

import os

import torch
from torch.nn import functional

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


def versions():
    return {"torch": torch.__version__}


def network(job):
    layers = []
    for inputs, outputs in zip(job.widths, job.widths[1:]):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    fill(job, model)
    return model


def fill(job, model):
    linears = [layer for layer in model if isinstance(layer, torch.nn.Linear)]
    with torch.no_grad():
        for layer, (w, b) in zip(linears, job.parameters()):
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


class Trainer:
    def __init__(self, job, _):
        self.job, self.binary = job, job.classes == 2
        pixels, labels = job.read()
        self.x = torch.from_numpy(pixels).to(torch.float32).div_(255)
        self.y = torch.from_numpy(labels)
        if self.binary:
            self.y = self.y.to(torch.float32)[:, None]

    def reset(self):
        self.model = network(self.job)
        self.optimizer = optimizer(self.job, list(self.model.parameters()))

    def step(self, batch):
        x, y = self.x, self.y
        if batch is not None:
            rows = torch.from_numpy(batch)
            x, y = x[rows], y[rows]
        self.optimizer.zero_grad()
        logits = self.model(x)
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
    def __init__(self, job, _):
        self.model, self.binary = network(job).eval(), job.classes == 2

    def inputs(self, pixels):
        return torch.from_numpy(pixels).to(torch.float32).div_(255)

    def predict(self, x):
        with torch.inference_mode():
            logits = self.model(x)
            if self.binary:
                return torch.sigmoid(logits[:, 0])
            return torch.softmax(logits, dim=1)[:, -1]
