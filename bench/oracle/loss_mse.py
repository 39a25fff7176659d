"""Mean squares of first-order loss changes in PyTorch, double precision: python loss_mse.py FOLDER

Reads FOLDER/job.json, model.onnx, <input>.input, errors.f32 (of the weights), variances.f32 (of the weights) and the arguments of kinks, sides.f32.
Writes reference.json: for every weight mean_n <g_n, e>^2 and mean_n sum_k g_nk^2 v_k with g_n the gradient of sample n's cross-entropy, from one
backward pass for each sample; for every edge the latter with its constant variance; and the mean of the squared losses.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from job import read, read_feeds, read_job, read_sides
from onnx_torch import Network


def main(folder):
    job = read_job(folder)
    sides = read_sides(folder, job)
    feeds = read_feeds(folder, job)
    whole = Network(folder / "model.onnx", {})
    weights = {name: whole.constants[name].clone().requires_grad_() for name in job["weights"]}
    sizes = [weight.numel() for weight in weights.values()]
    errors, variances = (read(folder / file).split(sizes) for file in ("errors.f32", "variances.f32"))
    samples = len(job["labels"])
    actual, noise = np.zeros(len(weights)), np.zeros(len(weights) + len(job["edges"]))
    squared_losses = 0.0
    for n in range(samples):
        own = {node: x.reshape(samples, -1)[n] for node, x in sides.items()}
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


main(Path(sys.argv[1]))
