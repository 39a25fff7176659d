"""Derivatives of a network's summed cross-entropy in PyTorch, double precision: python reference.py FOLDER

Reads FOLDER/job.json, model.onnx, <input>.input, signs.i8 and the arguments of kinks, sides.f32; writes reference.json,
gradients.f64, together.f64 and alone.f64: the figures that figures.mjs describes. The quadratic forms come from double
backward, which knows nothing of how the engine computes them.

Traces are exact. A network of convolutions, ReLUs and maxima is piecewise affine in any one tensor t, so that tensor's
own block of the Hessian is J^T (diag(p) - p p^T) J with J = dz/dt, a sum of squares over the classes k: with
g_k = J^T sqrt(p_k) (e_k - p), trace = sum_k |g_k|^2 and v^T H v = sum_k (g_k . v)^2. Double backward has to give the
same v^T H v for every tensor, else the run fails.
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
    network = Network(folder / "model.onnx", read_sides(folder, job))
    feeds = read_feeds(folder, job)
    labels = torch.tensor(job["labels"])
    parameters = {name: network.constants[name].clone().requires_grad_() for name in job["parameters"]}
    offsets = {
        (edge["node"], edge["port"]): torch.zeros(edge["dims"], dtype=torch.float64, requires_grad=True)
        for edge in job["edges"]
    }
    weights = [parameters[name] for name in job["weights"]]
    sites = weights + list(offsets.values())
    signs = read(folder / "signs.i8", "<i1").split([site.numel() for site in sites])
    directions = [part.reshape(site.shape) for part, site in zip(signs, sites)]

    losses = F.cross_entropy(network(feeds, parameters, offsets), labels, reduction="none")
    wanted = list(parameters.values()) + list(offsets.values())
    gradients = dict(zip(map(id, wanted), torch.autograd.grad(losses.sum(), wanted, create_graph=True)))

    def product(along, of):
        """H v of tensors `of` for the directions of sites `along` together."""
        slope = sum((gradients[id(sites[i])] * directions[i]).sum() for i in along)
        return torch.autograd.grad(slope, [sites[i] for i in of], retain_graph=True)

    def forms(products, of):
        return [(h * directions[i]).sum().item() for h, i in zip(products, of)]

    of_weights, of_all = range(len(weights)), range(len(sites))
    together = product(of_weights, of_weights)
    reference = {"losses": losses.tolist(), "together": forms(together, of_weights)}
    write(folder / "gradients.f64", [gradients[id(tensor)] for tensor in parameters.values()])
    write(folder / "together.f64", together)
    if job["eachLayer"]:
        reference["joint"] = forms(product(of_all, of_all), of_all)
        alone = [product([i], [i])[0] for i in of_all]
        write(folder / "alone.f64", [alone[i] for i in of_weights])
        reference["alone"] = forms(alone, of_all)
    if job["traces"]:
        reference["traces"], of_blocks = blocks(network, feeds, parameters, weights, offsets, directions)
        check_blocks(of_blocks, reference["alone"])
    (folder / "reference.json").write_text(json.dumps(reference))


def blocks(network, feeds, parameters, weights, offsets, directions):
    """For every site: the trace of its block of the Hessian and v^T H v, summed over samples."""
    traces, forms = np.zeros(len(directions)), np.zeros(len(directions))
    for n in range(len(next(iter(feeds.values())))):
        one = {name: value[n : n + 1] for name, value in feeds.items()}
        own = {edge: torch.zeros_like(zeros[n : n + 1], requires_grad=True) for edge, zeros in offsets.items()}
        logits = network(one, parameters, own)[0]
        p = logits.detach().softmax(0)
        for k in range(len(p)):
            cotangent = p[k].sqrt() * (F.one_hot(torch.tensor(k), len(p)) - p)
            found = torch.autograd.grad(logits, weights + list(own.values()), cotangent, retain_graph=True)
            for i, g in enumerate(found):
                v = directions[i] if i < len(weights) else directions[i][n : n + 1]
                traces[i] += g.square().sum().item()
                forms[i] += (g * v).sum().item() ** 2
    return traces.tolist(), forms


def check_blocks(of_blocks, of_double_backward):
    worst = np.max(np.abs(of_blocks / np.array(of_double_backward) - 1))
    if not worst < 1e-9:
        raise AssertionError(f"blocks of the Hessian differ by {worst:.1e}: is a part not piecewise affine?")


def write(path, tensors):
    np.concatenate([tensor.detach().numpy().ravel() for tensor in tensors]).astype("<f8").tofile(path)


# The blocks are thousands of small passes, in which more threads wait for each other longer than they work.
torch.set_num_threads(1)
main(Path(sys.argv[1]))
