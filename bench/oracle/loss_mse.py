"""Mean squares of first-order loss changes in PyTorch, double precision: python loss_mse.py FOLDER

Reads FOLDER/job.json, model.onnx, <input>.f32, errors.f32 (of the weights), variances.f32 (of the weights) and the arguments of kinks, sides.f32.
Writes reference.json: for every weight mean_n <g_n, e>^2 and mean_n sum_k g_nk^2 v_k with g_n the gradient of sample n's cross-entropy, from one
backward pass for each sample; for every edge the latter with its constant variance; and the mean of the squared losses.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from onnx_torch import Network


def main(folder):
    job = json.loads((folder / "job.json").read_text())
    sides = read(folder / "sides.f32").split([side["elements"] for side in job["sides"]])
    feeds = {name: read(folder / f"{name}.f32").reshape(dims) for name, dims in job["inputs"].items()}
    whole = Network(folder / "model.onnx", {})
    weights = {name: whole.constants[name].clone().requires_grad_() for name in job["weights"]}
    sizes = [weight.numel() for weight in weights.values()]
    errors, variances = (read(folder / file).split(sizes) for file in ("errors.f32", "variances.f32"))
    samples = len(job["labels"])
    actual, noise = np.zeros(len(weights)), np.zeros(len(weights) + len(job["edges"]))
    squared_losses = 0.0
    for n in range(samples):
        own = {side["node"]: x.reshape(samples, -1)[n] for side, x in zip(job["sides"], sides)}
        network = Network(folder / "model.onnx", own)
        one = {name: value[n : n + 1] for name, value in feeds.items()}
        offsets = {
            (edge["node"], edge["port"]): torch.zeros([1, *edge["dims"][1:]], dtype=torch.float64, requires_grad=True)
            for edge in job["edges"]
        }
        loss = F.cross_entropy(network(one, weights, offsets), torch.tensor(job["labels"][n : n + 1]))
        gradients = torch.autograd.grad(loss, [*weights.values(), *offsets.values()])
        squared_losses += loss.item() ** 2
        for i, g in enumerate(gradients[: len(weights)]):
            actual[i] += (g.flatten() @ errors[i]).item() ** 2
            noise[i] += (g.flatten().square() @ variances[i]).item()
        for i, (g, edge) in enumerate(zip(gradients[len(weights) :], job["edges"])):
            noise[len(weights) + i] += g.square().sum().item() * edge["variance"]
    reference = {"actual": actual, "noise": noise, "squaredLosses": np.array(squared_losses)}
    (folder / "reference.json").write_text(json.dumps({k: (v / samples).tolist() for k, v in reference.items()}))


def read(path):
    return torch.from_numpy(np.fromfile(path, "<f4")).double()


main(Path(sys.argv[1]))
