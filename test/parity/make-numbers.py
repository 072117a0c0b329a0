"""Makes the *.golden.json files beside it: what PyTorch computes for small networks. Not run by any test.

    /usr/bin/python3 test/parity/make-numbers.py          (Debian's python3-torch, 1.13; float64 on one thread)

All numbers that go in are exact in float32, and the betas of Adam have few bits, so that even the bias
corrections of ten steps are exact: our float64 reference has nothing to round that PyTorch does not. Parameters are
kept in our layout (dense [in, out], conv [height, width, in, out], images [height, width, channels]) and permuted on
the way into PyTorch's functions, so that gradients come back in our layout as well.
"""

import json
import pathlib

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
here = pathlib.Path(__file__).parent

SAMPLES, BATCH, STEPS = 24, 8, 10
EPSILON = torch.tensor(1e-5, dtype=torch.float32).double().item()
ADAM_EPSILON = 2.0**-20


def grid(generator, shape, scale, cells):
    """Normal numbers on a grid of 1 / cells: short in JSON and exact in float32."""
    return torch.round(torch.randn(shape, generator=generator) * scale * cells) / cells


def dense(x, p, name):
    return x @ p[name + ".weight"] + p.get(name + ".bias", 0)


def images(x):
    return x.permute(0, 3, 1, 2)


def rows(x):
    return x.permute(0, 2, 3, 1)


def conv(x, p, name, stride=1, padding=(0, 0, 0, 0)):
    """padding: top, bottom, left, right"""
    top, bottom, left, right = padding
    padded = F.pad(images(x), (left, right, top, bottom))
    return rows(F.conv2d(padded, p[name + ".weight"].permute(3, 2, 0, 1), p.get(name + ".bias"), stride))


def batch_norm(x, p, s, name, training):
    mean, variance = s[name + ".runningMean"], s[name + ".runningVariance"]
    y = F.batch_norm(images(x), mean, variance, p[name + ".gamma"], p[name + ".beta"], training, 0.125, EPSILON)
    return rows(y)


def mlp(x, p, s, training):
    h = torch.tanh(dense(x, p, "dense1"))
    h = F.elu(dense(h, p, "dense2"), 0.5)
    h = F.leaky_relu(dense(h, p, "dense3"), 0.125)
    return torch.softmax(dense(h, p, "dense4"), 1)


def cnn(x, p, s, training):
    h = F.relu(batch_norm(conv(x, p, "conv1", 1, (1, 1, 1, 1)), p, s, "batchNorm1", training))
    h = rows(F.max_pool2d(images(h), 2))
    h = torch.sigmoid(batch_norm(conv(h, p, "conv2"), p, s, "batchNorm2", training))
    return dense(h.flatten(1), p, "dense1")


def graph(x, p, s, training):
    stem = conv(x, p, "stem", 2, (0, 1, 0, 1))
    left = F.gelu(conv(stem, p, "left", 1, (1, 1, 1, 1)))
    residual = left + stem
    right = rows(F.avg_pool2d(images(stem), 3, 1, 1, count_include_pad=False))
    joined = F.gelu(torch.cat([residual, right, stem], 3))
    return dense(joined.mean((1, 2)), p, "dense1")


def groups(p, key, value):
    """Decay for weights alone."""
    weights = [t for n, t in p.items() if n.endswith(".weight")]
    others = [t for n, t in p.items() if not n.endswith(".weight")]
    return [{"params": weights, key: value}, {"params": others, key: 0.0}]


NETWORKS = {
    "mlp-momentum": {
        "forward": mlp,
        "config": {
            "model": {
                "input": [6],
                "layers": [
                    {"type": "dense", "units": 10},
                    {"type": "tanh"},
                    {"type": "dense", "units": 8, "bias": False},
                    {"type": "elu", "alpha": 0.5},
                    {"type": "dense", "units": 7},
                    {"type": "leakyRelu", "alpha": 0.125},
                    {"type": "dense", "units": 3},
                    {"type": "softmax"},
                ],
            },
            "loss": "meanSquaredError",
            "metrics": ["meanAbsoluteError"],
            "optimizer": {"type": "momentum", "learningRate": 0.125, "momentum": 0.875, "l2": 2.0**-6},
        },
        "input": [6],
        "targets": lambda g: grid(g, (SAMPLES, 3), 1, 8),
        "parameters": {
            "dense1.weight": [6, 10], "dense1.bias": [10], "dense2.weight": [10, 8], "dense3.weight": [8, 7],
            "dense3.bias": [7], "dense4.weight": [7, 3], "dense4.bias": [3],
        },
        "loss": F.mse_loss,
        "metric": lambda y, t: (y - t).abs().mean(),
        "optimizer": lambda p: torch.optim.SGD(groups(p, "weight_decay", 2.0**-6), lr=0.125, momentum=0.875),
    },
    "cnn-adam-clip": {
        "forward": cnn,
        "config": {
            "model": {
                "input": [8, 8, 2],
                "layers": [
                    {"type": "conv2d", "filters": 6, "kernel": 3, "padding": "same", "bias": False},
                    {"type": "batchNorm", "momentum": 0.125},
                    {"type": "relu"},
                    {"type": "maxPool", "kernel": 2},
                    {"type": "conv2d", "filters": 8, "kernel": 3, "padding": "valid", "bias": False},
                    {"type": "batchNorm", "momentum": 0.125},
                    {"type": "sigmoid"},
                    {"type": "flatten"},
                    {"type": "dense", "units": 5},
                ],
            },
            "loss": "softmaxCrossEntropy",
            "metrics": ["accuracy"],
            "optimizer": {
                "type": "adam", "learningRate": 2.0**-6, "beta1": 0.5, "beta2": 0.75, "epsilon": ADAM_EPSILON,
            },
            "clipNorm": 0.25,
        },
        "input": [8, 8, 2],
        "targets": lambda g: torch.randint(0, 5, (SAMPLES,), generator=g),
        "parameters": {
            "conv1.weight": [3, 3, 2, 6], "batchNorm1.gamma": [6], "batchNorm1.beta": [6],
            "conv2.weight": [3, 3, 6, 8], "batchNorm2.gamma": [8], "batchNorm2.beta": [8],
            "dense1.weight": [32, 5], "dense1.bias": [5],
        },
        "statistics": {
            "batchNorm1.runningMean": [6], "batchNorm1.runningVariance": [6],
            "batchNorm2.runningMean": [8], "batchNorm2.runningVariance": [8],
        },
        "loss": F.cross_entropy,
        "metric": lambda y, t: (y.argmax(1) == t).double().mean(),
        "optimizer": lambda p: torch.optim.Adam(p.values(), lr=2.0**-6, betas=(0.5, 0.75), eps=ADAM_EPSILON),
    },
    "graph-adam-w": {
        "forward": graph,
        "config": {
            "model": {
                "input": [8, 8, 2],
                "layers": [
                    {"type": "conv2d", "name": "stem", "filters": 5, "kernel": 3, "stride": 2, "padding": "same"},
                    {"type": "conv2d", "name": "left", "filters": 5, "kernel": 3, "padding": "same"},
                    {"type": "gelu", "name": "bent"},
                    {"type": "add", "name": "residual", "inputs": ["bent", "stem"]},
                    {
                        "type": "averagePool", "name": "right", "kernel": 3, "stride": 1, "padding": "same",
                        "input": "stem",
                    },
                    {"type": "concat", "inputs": ["residual", "right", "stem"]},
                    {"type": "gelu"},
                    {"type": "globalAveragePool"},
                    {"type": "dense", "units": 3},
                ],
            },
            "loss": "sigmoidCrossEntropy",
            "metrics": ["accuracy"],
            "optimizer": {
                "type": "adamW", "beta1": 0.5, "beta2": 0.75, "epsilon": ADAM_EPSILON, "weightDecay": 0.125,
                "learningRate": {"type": "step", "initial": 2.0**-5, "factor": 0.5, "every": 4},
            },
        },
        "input": [8, 8, 2],
        "targets": lambda g: torch.randint(0, 2, (SAMPLES, 3), generator=g).double(),
        "parameters": {
            "stem.weight": [3, 3, 2, 5], "stem.bias": [5], "left.weight": [3, 3, 5, 5], "left.bias": [5],
            "dense1.weight": [15, 3], "dense1.bias": [3],
        },
        "loss": F.binary_cross_entropy_with_logits,
        "metric": lambda y, t: ((y > 0) == (t > 0.5)).double().mean(),
        "optimizer": lambda p: torch.optim.AdamW(
            groups(p, "weight_decay", 0.125), lr=2.0**-5, betas=(0.5, 0.75), eps=ADAM_EPSILON
        ),
        "schedule": lambda step: 2.0**-5 * 0.5 ** ((step - 1) // 4),
    },
}

mlp_momentum = NETWORKS["mlp-momentum"]
NETWORKS["mlp-nesterov"] = {
    **mlp_momentum,
    "config": {
        **mlp_momentum["config"],
        "optimizer": {"type": "nesterov", "learningRate": 0.0625, "momentum": 0.75, "l2": 2.0**-5, "decayed": "all"},
    },
    "optimizer": lambda p: torch.optim.SGD(p.values(), lr=0.0625, momentum=0.75, nesterov=True, weight_decay=2.0**-5),
}


def clip(parameters, maximum):
    """g * min(1, maximum / |g|); torch's own function adds 1e-6 to the norm, so it is not used."""
    norm = torch.sqrt(sum((p.grad**2).sum() for p in parameters)).item()
    for p in parameters:
        p.grad *= min(1.0, maximum / norm)
    return norm


def run(network):
    generator = torch.Generator().manual_seed(7)
    inputs = grid(generator, [SAMPLES, *network["input"]], 1, 16)
    targets = network["targets"](generator)
    p = {n: grid(generator, shape, 0.4, 64) for n, shape in network["parameters"].items()}
    for name, tensor in p.items():
        if name.endswith(".gamma"):
            tensor += 1
        tensor.requires_grad_(True)
    s = {n: torch.full(shape, 1.0 if "Variance" in n else 0.0) for n, shape in network.get("statistics", {}).items()}
    numbers = {
        "config": network["config"], "samples": SAMPLES, "batch": BATCH,
        "inputs": inputs.flatten().tolist(), "targets": targets.double().flatten().tolist(),
        "initial": {n: t.detach().flatten().tolist() for n, t in p.items()},
    }
    optimizer = network["optimizer"](p)
    losses, metrics, norms = [], [], []
    for step in range(1, STEPS + 1):
        at = (step - 1) * BATCH % SAMPLES
        x, t = inputs[at : at + BATCH], targets[at : at + BATCH]
        y = network["forward"](x, p, s, True)
        loss = network["loss"](y, t)
        optimizer.zero_grad()
        loss.backward()
        if step == 1:
            numbers["gradients"] = {n: v.grad.flatten().tolist() for n, v in p.items()}
        maximum = network["config"].get("clipNorm")
        norms.append(clip(list(p.values()), maximum) if maximum else None)
        for group in optimizer.param_groups:
            group["lr"] = network.get("schedule", lambda _: group["lr"])(step)
        optimizer.step()
        losses.append(loss.item())
        metrics.append(network["metric"](y, t).item())
    evaluated = network["forward"](inputs[:BATCH], p, s, False)
    numbers |= {
        "losses": losses, "metrics": metrics, "norms": norms,
        "final": {n: t.detach().flatten().tolist() for n, t in p.items()},
        "statistics": {n: t.flatten().tolist() for n, t in s.items()},
        "evaluated": evaluated.flatten().tolist(),
    }
    return numbers


for name, network in NETWORKS.items():
    numbers = {"madeBy": f"PyTorch {torch.__version__}, float64, make-numbers.py", **run(network)}
    lines = [f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in numbers.items()]
    (here / f"{name}.golden.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
