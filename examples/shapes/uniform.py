#!/usr/bin/env python3
"""What one weight format for all layers costs the network of the example: the figures in README.md.

    node examples/shapes/generate.mjs
    python examples/shapes/uniform.py

Normalizations are folded first, because that is what engines run. Weights are rounded to symmetric grids that reach the
largest magnitude; activations stay float. Printed are the share of right answers on the verify split, the number of
answers that differ from the float network's, and the mean Kullback-Leibler divergence from its distribution in nats.
"""

import argparse
import copy
import json
import pathlib

import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from train import HERE, ShapesNet, load, normalized


def restore(path: pathlib.Path) -> ShapesNet:
    """The network with the parameters of the ONNX file, which keep their names."""
    net = ShapesNet()
    parameters = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in onnx.load(path).graph.initializer}
    state = {name: parameters.get(name, value) for name, value in net.state_dict().items()}
    missing = [name for name in state if name not in parameters and not name.endswith("num_batches_tracked")]
    if missing:
        raise ValueError(f"{path}: expected the parameters of ShapesNet but found none named {', '.join(missing)}")
    net.load_state_dict(state)
    return net.eval()


def folded(net: ShapesNet) -> ShapesNet:
    """The same function with every normalization inside the convolution before it."""
    for module in net.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.Sequential):
                setattr(module, name, fuse_conv_bn_eval(*child))
    return net


def rounded(weight: torch.Tensor, bits: int, per_channel: bool) -> torch.Tensor:
    """The nearest points of a symmetric grid with 2^(bits - 1) - 1 steps to the largest magnitude."""
    steps = 2 ** (bits - 1) - 1
    largest = weight.abs().flatten(1).amax(1) if per_channel else weight.abs().amax().expand(len(weight))
    scale = (largest / steps).reshape(-1, *[1] * (weight.dim() - 1))
    return torch.round(weight / scale) * scale


@torch.no_grad()
def predicted(net: ShapesNet, images: torch.Tensor) -> torch.Tensor:
    """Log-probabilities [count, classes]."""
    return torch.cat([net(normalized(batch)) for batch in images.split(256)]).log_softmax(1)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure uniform weight formats on the verify split")
    parser.add_argument("--model", type=pathlib.Path, default=HERE / "shapes.onnx")
    parser.add_argument("--data", type=pathlib.Path, default=HERE / "data", help="folder that generate.mjs wrote")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    net = folded(restore(arguments.model))
    begin, end = json.loads((arguments.data / "dataset.json").read_text())["splits"]["verify"]
    images, labels = (part[begin:end] for part in load(arguments.data))
    expected = predicted(net, images)
    layers = [name for name, module in net.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear))]

    def report(what: str, received: torch.Tensor) -> None:
        answers = received.argmax(1)
        right = (answers == labels).double().mean()
        changed = (answers != expected.argmax(1)).sum()
        divergence = (expected.exp() * (expected - received)).sum(1).mean()
        print(f"{what:28} {100 * right:6.2f} % {changed:5} changed   KL {divergence:.4f}", flush=True)

    def measure(what: str, names: list[str], bits: int, per_channel: bool = True) -> None:
        quantized = copy.deepcopy(net)
        with torch.no_grad():
            for name in names:
                weight = quantized.get_submodule(name).weight
                weight.copy_(rounded(weight, bits, per_channel))
        report(what, predicted(quantized, images))

    report("float", expected)
    for bits in (8, 4):
        measure(f"int{bits} per channel", layers, bits)
        measure(f"int{bits} per tensor", layers, bits, per_channel=False)
    for name in layers:
        measure(f"int4 {name} alone", [name], 4)


if __name__ == "__main__":
    main()
