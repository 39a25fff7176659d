"""The Hessian and the Gauss-Newton matrix of a network's mean cross-entropy along rounding errors, in PyTorch in double precision: python curvature.py FOLDER ...

Reads each FOLDER/job.json, model.onnx, <input>.input, the arguments of kinks, sides.f32, and scales and corrections of biases, numbers.f32; writes
matrices.json: for "own" errors and with the biases' corrections, "corrected", the matrices e_i^T H e_j and e_i^T J^T F J e_j.

It rounds the tensors itself, by ONNX's rule; of weights that were rounded with feedback of their errors, it checks that they are on the grid. H e_j comes from double backward, J e_j from the derivative of a vector-Jacobian product in its vector.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from job import read_feeds, read_job, read_sides
from onnx_torch import Network


def main(folder):
    job = read_job(folder)
    network = Network(folder / "model.onnx", read_sides(folder, job))
    feeds = read_feeds(folder, job)
    labels = torch.tensor(job["labels"])
    numbers = np.fromfile(folder / "numbers.f32", "<f4")
    choices = job["choices"]
    names = {part["tensor"] for choice in choices for part in parts(choice) if "tensor" in part}
    parameters = {name: network.constants[name].clone().requires_grad_() for name in sorted(names)}
    offsets = {
        (choice["node"], choice["port"]): torch.zeros(choice["dims"], dtype=torch.float64, requires_grad=True)
        for choice in choices
        if "node" in choice
    }
    logits = network(feeds, parameters, offsets)

    def tensor_of(part):
        return parameters[part["tensor"]] if "tensor" in part else offsets[part["node"], part["port"]]

    def change(part):
        if "correction" in part:
            return torch.from_numpy(section(numbers, part["correction"]).copy()).double()
        exact = parameters[part["tensor"]] if "tensor" in part else network.arguments[part["node"], part["port"]]
        values = section(numbers, part["values"]) if "values" in part else None
        return rounding_error(exact.detach(), part, section(numbers, part["scales"]), values)

    errors = [[(tensor_of(part), change(part)) for part in parts(choice)] for choice in choices]
    wanted = [*parameters.values(), *offsets.values()]
    found = {
        # The first part of an error is the tensor's own.
        "own": matrices(logits, labels, wanted, [error[:1] for error in errors]),
        "corrected": matrices(logits, labels, wanted, errors),
    }
    (folder / "matrices.json").write_text(json.dumps(found))


def parts(choice):
    return [choice, *([choice["bias"]] if "bias" in choice else [])]


def section(numbers, place):
    return numbers[place["first"] : place["first"] + place["count"]]


def rounding_error(exact, quantizer, scales, values):
    """Q(x) - x as a float32 engine computes it: divide, round half to even, shift, saturate, and back. Q(x) are `values`, on the grid, where these are given."""
    original = exact.float().numpy()
    x = original if values is None else values.reshape(original.shape)
    if quantizer["axis"] is not None:
        scales = scales.reshape([-1 if axis == quantizer["axis"] else 1 for axis in range(x.ndim)])
    codes = np.clip(np.rint(x / scales) + quantizer["zeroPoint"], quantizer["qmin"], quantizer["qmax"])
    rounded = ((codes - quantizer["zeroPoint"]) * scales).astype(np.float32)
    if values is not None and not np.array_equal(rounded, x):
        raise AssertionError("rounded weights are not on the grid of their quantizer")
    return torch.from_numpy(rounded - original).double()


def matrices(logits, labels, wanted, errors):
    loss = F.cross_entropy(logits, labels)
    gradients = dict(zip(map(id, wanted), torch.autograd.grad(loss, wanted, create_graph=True)))
    vector = torch.zeros_like(logits, requires_grad=True)
    pulled = dict(zip(map(id, wanted), torch.autograd.grad(logits, wanted, vector, create_graph=True)))

    def along(derivatives, error):
        return sum((derivatives[id(tensor)] * e).sum() for tensor, e in error)

    size = len(errors)
    hessian = np.zeros((size, size))
    responses = []
    for j, error in enumerate(errors):
        products = torch.autograd.grad(along(gradients, error), wanted, retain_graph=True, allow_unused=True)
        products = {id(t): torch.zeros_like(t) if h is None else h for t, h in zip(wanted, products)}
        hessian[:, j] = [along(products, other).item() for other in errors]
        responses.append(torch.autograd.grad(along(pulled, error), vector, retain_graph=True)[0])
    r = torch.stack(responses)
    p = logits.detach().softmax(1)
    curved = p * (r - (p * r).sum(2, keepdim=True)) / len(p)
    gauss_newton = torch.einsum("inc,jnc->ij", r, curved)
    return {"hessian": hessian.tolist(), "gauss-newton": gauss_newton.tolist()}


# More threads wait for each other longer than they work.
torch.set_num_threads(1)
for given in sys.argv[1:]:
    main(Path(given))
