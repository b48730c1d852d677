"""Makes pytorch_layers.json: what PyTorch makes, in f64, of batch normalisation, label smoothing and class
weights, over ten steps of Adam on full batches.

usage: python pytorch_layers.py > pytorch_layers.json

The network is dense, batch normalisation, tanh, dense; examples are columns in the file. Variances that run
along are those of all examples as a batch lets them be estimated.
"""

import json

import torch

torch.set_default_dtype(torch.float64)
torch.manual_seed(5)
N_X, HIDDEN, CLASSES, M, STEPS, RATE = 5, 4, 3, 9, 10, 0.05
x = torch.randn(M, N_X) * 2 + 1
y = torch.randint(CLASSES, (M,))
first, norm, last = torch.nn.Linear(N_X, HIDDEN), torch.nn.BatchNorm1d(HIDDEN), torch.nn.Linear(HIDDEN, CLASSES)
with torch.no_grad():
    norm.weight.copy_(torch.rand(HIDDEN) + 0.5)
    norm.bias.copy_(torch.randn(HIDDEN) * 0.3)
kept = [{name: value.clone() for name, value in layer.state_dict().items()} for layer in (first, norm, last)]


def flat():
    column = lambda values: [[value] for value in values.detach().tolist()]
    return {
        "W1": first.weight.detach().tolist(), "b1": column(first.bias),
        "W2": column(norm.weight), "b2": column(norm.bias),
        "W3": last.weight.detach().tolist(), "b3": column(last.bias),
    }


def run(normalized, **cost):
    for layer, state in zip((first, norm, last), kept):
        layer.load_state_dict(state)
    start = flat()
    optimizer = torch.optim.Adam([*first.parameters(), *norm.parameters(), *last.parameters()], RATE)
    costs = []
    middle = norm if normalized else torch.nn.Identity()
    for _ in range(STEPS):
        optimizer.zero_grad()
        found = torch.nn.functional.cross_entropy(last(torch.tanh(middle(first(x)))), y, **cost)
        costs.append(found.item())
        found.backward()
        optimizer.step()
    middle.eval()
    outputs = torch.softmax(last(torch.tanh(middle(first(x)))), 1).T.detach().tolist()
    middle.train()
    return {
        "start": start, "costs": costs, "end": flat(), "outputs": outputs,
        "mean": norm.running_mean.tolist(), "variance": norm.running_var.tolist(),
    }


WEIGHTS = [0.5, 2.0, 1.25]
print(json.dumps({
    "made_with": "torch " + torch.__version__.split("+")[0],
    "X": x.T.tolist(),
    "Y": y.tolist(),
    "learning_rate": RATE,
    "class_weights": WEIGHTS,
    "label_smoothing": 0.1,
    "batch_norm": run(True),
    "smoothed": run(False, label_smoothing=0.1),
    "weighted": run(False, weight=torch.tensor(WEIGHTS)),
}, indent=1))
