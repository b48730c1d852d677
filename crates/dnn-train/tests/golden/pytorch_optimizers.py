"""Makes pytorch_optimizers.json: ten steps of every optimiser of PyTorch on one small network, in f64, and
the rates of its schedules over 40 steps, 4 to an epoch.

usage: python pytorch_optimizers.py > pytorch_optimizers.json

Weights of `torch.nn.Linear` are (n, n_prev), as ours; examples are columns in the file. Weight decay is
given to the weights alone.
"""

import json

import torch

torch.set_default_dtype(torch.float64)
torch.manual_seed(3)
N_X, HIDDEN, CLASSES, M, STEPS = 5, 4, 3, 8, 10
x = torch.randn(M, N_X)
y = torch.randint(CLASSES, (M,))
start = [torch.randn(HIDDEN, N_X) * 0.5, torch.randn(HIDDEN) * 0.1, torch.randn(CLASSES, HIDDEN) * 0.5, torch.zeros(CLASSES)]

OPTIMIZERS = {
    "sgd": (0.3, lambda groups, rate: torch.optim.SGD(groups, rate)),
    "momentum": (0.1, lambda groups, rate: torch.optim.SGD(groups, rate, momentum=0.9)),
    "momentum:beta=0.5": (0.1, lambda groups, rate: torch.optim.SGD(groups, rate, momentum=0.5)),
    "nesterov": (0.1, lambda groups, rate: torch.optim.SGD(groups, rate, momentum=0.9, nesterov=True)),
    "rmsprop": (0.01, lambda groups, rate: torch.optim.RMSprop(groups, rate, alpha=0.99, eps=1e-8)),
    "rmsprop:rho=0.9,epsilon=0.001": (0.01, lambda groups, rate: torch.optim.RMSprop(groups, rate, alpha=0.9, eps=1e-3)),
    "adagrad": (0.1, lambda groups, rate: torch.optim.Adagrad(groups, rate, eps=1e-10)),
    "adam": (0.05, lambda groups, rate: torch.optim.Adam(groups, rate)),
    "adam:beta1=0.5,beta2=0.9,epsilon=0.0001": (0.05, lambda groups, rate: torch.optim.Adam(groups, rate, betas=(0.5, 0.9), eps=1e-4)),
    "adamw:weight_decay=0.3": (0.05, lambda groups, rate: torch.optim.AdamW(groups, rate)),
    "lbfgs": (1.0, lambda groups, rate: lbfgs(groups, rate, 10)),
    "lbfgs:history=2": (0.3, lambda groups, rate: lbfgs(groups, rate, 2)),
}


def lbfgs(groups, rate, history):
    parameters = [parameter for group in groups for parameter in group["params"]]
    # One outer iteration at a time, none of its own ends.
    return torch.optim.LBFGS(parameters, rate, max_iter=1, max_eval=26, tolerance_grad=0,
                             history_size=history, line_search_fn="strong_wolfe")


def flat(tensors):
    weights_1, bias_1, weights_2, bias_2 = [tensor.detach().tolist() for tensor in tensors]
    return {"W1": weights_1, "b1": [[b] for b in bias_1], "W2": weights_2, "b2": [[b] for b in bias_2]}


def run(rate, make, decay):
    parameters = [tensor.clone().requires_grad_() for tensor in start]
    weights, biases = parameters[::2], parameters[1::2]
    groups = [{"params": weights}, {"params": biases}]
    if decay is not None:
        groups[0]["weight_decay"], groups[1]["weight_decay"] = decay, 0.0
    optimizer = make(groups, rate)
    costs, first = [], None
    def closure():
        optimizer.zero_grad()
        hidden = torch.tanh(x @ parameters[0].T + parameters[1])
        cost = torch.nn.functional.cross_entropy(hidden @ parameters[2].T + parameters[3], y)
        cost.backward()
        return cost

    for _ in range(STEPS):
        costs.append(optimizer.step(closure).item())
        first = first or flat(parameters)
    return {"learning_rate": rate, "costs": costs, "after_first_step": first, "after_last_step": flat(parameters)}


PER_EPOCH, EPOCHS, RATE = 4, 10, 0.3
LR = torch.optim.lr_scheduler
# Whether the schedule moves after every step, or after every epoch.
SCHEDULES = {
    "constant": (True, lambda optimizer: LR.ConstantLR(optimizer, factor=1.0)),
    "step:factor=0.5,every=2": (False, lambda optimizer: LR.StepLR(optimizer, 2, gamma=0.5)),
    "exponential": (False, lambda optimizer: LR.ExponentialLR(optimizer, 0.95)),
    "cosine": (True, lambda optimizer: LR.CosineAnnealingLR(optimizer, PER_EPOCH * EPOCHS)),
    "cosine:end=0.1": (True, lambda optimizer: LR.CosineAnnealingLR(optimizer, PER_EPOCH * EPOCHS, eta_min=0.1 * RATE)),
    "one-cycle": (True, lambda optimizer: LR.OneCycleLR(optimizer, RATE, total_steps=PER_EPOCH * EPOCHS)),
    "one-cycle:rise=0.5,start=0.1,end=0.01": (True, lambda optimizer: LR.OneCycleLR(
        optimizer, RATE, total_steps=PER_EPOCH * EPOCHS, pct_start=0.5, div_factor=10, final_div_factor=100)),
}


def rates(per_step, make):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], RATE)
    schedule = make(optimizer)
    found = []
    for step in range(PER_EPOCH * EPOCHS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if (per_step or (step + 1) % PER_EPOCH == 0) and step + 1 < PER_EPOCH * EPOCHS:
            schedule.step()
    return found


# What a plateau schedule is told after each epoch, and the rate of the epoch after it.
told = [1.0, 0.9, 0.9, 0.89995, 0.85, 0.86, 0.87, 0.85, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8]
optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], RATE)
plateau = LR.ReduceLROnPlateau(optimizer, factor=0.5, patience=2, threshold=1e-3, min_lr=0.05 * RATE)
after = []
for cost in told:
    plateau.step(cost)
    after.append(optimizer.param_groups[0]["lr"])

schedules = {name: rates(*how) for name, how in SCHEDULES.items()}
warm_up = rates(True, lambda optimizer: LR.LinearLR(optimizer, start_factor=1 / 5, total_iters=4))
runs = {}
for name, (rate, make) in OPTIMIZERS.items():
    runs[name] = run(rate, make, 0.3 if name.startswith("adamw") else None)
print(json.dumps({
    "made_with": "torch " + torch.__version__.split("+")[0],
    "X": x.T.tolist(),
    "Y": y.tolist(),
    "parameters": flat(start),
    "runs": runs,
    "schedule_rate": RATE,
    "schedules": schedules,
    "warm_up_of_5": warm_up,
    "plateau": {"schedule": "plateau:factor=0.5,patience=2,threshold=0.001,least=0.05", "told": told, "rates": after},
}, indent=1))
