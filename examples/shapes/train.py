#!/usr/bin/env python3
"""Trains the network of the example and writes it as ONNX.

    node examples/shapes/generate.mjs --seed 2 --count 48000 --out build/shapes-train
    node examples/shapes/generate.mjs
    python examples/shapes/train.py --train build/shapes-train

Needs PyTorch, NumPy and onnx; writes shapes.onnx beside itself. The evaluation pictures take no part in training.
"""

import argparse
import io
import pathlib

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional

HERE = pathlib.Path(__file__).parent
CLASSES = 16


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution without bias, padded to keep the size, and its normalization."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    )


class InvertedResidual(nn.Module):
    """Widen, filter each channel on its own, narrow again (MobileNetV2); added to its input where the shapes agree."""

    def __init__(self, inputs: int, outputs: int, hidden: int, stride: int):
        super().__init__()
        self.residual = stride == 1 and inputs == outputs
        self.expand = conv_bn(inputs, hidden, 1)
        self.depthwise = conv_bn(hidden, hidden, 3, stride, groups=hidden)
        self.project = conv_bn(hidden, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu6(self.depthwise(functional.relu6(self.expand(x))))
        y = self.project(y)
        return x + y if self.residual else y


class Fire(nn.Module):
    """Squeeze, then 1x1 and 3x3 filters side by side (SqueezeNet)."""

    def __init__(self, inputs: int, squeezed: int, outputs: int):
        super().__init__()
        self.squeeze = conv_bn(inputs, squeezed, 1)
        self.point = conv_bn(squeezed, outputs // 2, 1)
        self.patch = conv_bn(squeezed, outputs // 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.squeeze(x))
        return torch.cat([functional.relu(self.point(x)), functional.relu(self.patch(x))], 1)


class Residual(nn.Module):
    """Two 3x3 convolutions added to their input (ResNet)."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = conv_bn(channels, channels, 3)
        self.second = conv_bn(channels, channels, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x + self.second(functional.relu(self.first(x))))


class ShapesNet(nn.Module):
    """[N, 3, 32, 32] to [N, 16] logits: one block of each kind that mixed precision has to deal with."""

    def __init__(self):
        super().__init__()
        self.stem = conv_bn(3, 12, 3)
        self.reduce = InvertedResidual(12, 16, 48, stride=2)
        self.mobile = InvertedResidual(16, 16, 64, stride=1)
        self.fire = Fire(16, 12, 48)
        self.pool = nn.MaxPool2d(2)
        self.residual = Residual(48)
        self.widen = InvertedResidual(48, 64, 144, stride=1)
        self.head = nn.Linear(64, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.stem(x))
        x = self.mobile(self.reduce(x))
        x = self.widen(self.residual(self.pool(self.fire(x))))
        return self.head(torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1))


def load(folder: pathlib.Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures as bytes [count, 3, 32, 32] and labels [count]."""
    images = np.load(folder / "images_u8.npy").transpose(0, 3, 1, 2)
    labels = np.load(folder / "labels_u8.npy")
    return torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(labels.astype(np.int64))


def normalized(images: torch.Tensor) -> torch.Tensor:
    """What dataset.json prescribes: (x / 255 - 0.5) / 0.25."""
    return (images.float() / 255 - 0.5) / 0.25


def train(net: nn.Module, images: torch.Tensor, labels: torch.Tensor, epochs: int, batch: int) -> None:
    steps = len(images) // batch
    # As MobileNet was trained: decay shrinks the few weights of a depthwise filter too far.
    dense = [m.weight for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear)) and getattr(m, "groups", 1) == 1]
    decayed = {id(weight) for weight in dense}
    groups = [
        {"params": dense, "weight_decay": 5e-4},
        {"params": [p for p in net.parameters() if id(p) not in decayed], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.2, total_steps=epochs * steps)
    net.train()
    for epoch in range(epochs):
        order = torch.randperm(len(images))
        losses = []
        for picked in order[: steps * batch].split(batch):
            # Quarter turns keep the class; a reflection would not.
            turned = torch.rot90(images[picked], int(torch.randint(4, ())), (2, 3))
            loss = functional.cross_entropy(net(normalized(turned)), labels[picked])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}/{epochs}: loss {np.mean(losses):.4f}", flush=True)


@torch.no_grad()
def accuracy(net: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    net.eval()
    hits = [(net(normalized(x)).argmax(1) == y).sum() for x, y in zip(images.split(256), labels.split(256))]
    return int(sum(hits)) / len(labels)


def export(net: nn.Module, path: pathlib.Path) -> None:
    """Writes the network as it was trained, normalizations and all, with a free batch size."""
    file = io.BytesIO()
    torch.onnx.export(
        net.eval(),
        (torch.zeros(1, 3, 32, 32),),
        file,
        dynamo=False,
        opset_version=17,
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
        input_names=["input"],
        output_names=["logits"],
        dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}},
    )
    model = onnx.load_from_string(file.getvalue())
    model.producer_name = "shapes"
    model.producer_version = ""
    model.graph.name = "shapes"
    for node in model.graph.node:
        node.doc_string = ""
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the network of the example")
    parser.add_argument("--train", type=pathlib.Path, required=True, help="folder of the training pictures")
    parser.add_argument("--evaluate", type=pathlib.Path, default=HERE / "data", help="folder of those that measure it")
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "shapes.onnx")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    net = ShapesNet().to(memory_format=torch.channels_last)
    print(f"{sum(p.numel() for p in net.parameters())} parameters")
    images, labels = load(arguments.train)
    train(net, images, labels, arguments.epochs, arguments.batch)
    print(f"training pictures: {accuracy(net, images[:2048], labels[:2048]):.4f}")
    print(f"evaluation pictures: {accuracy(net, *load(arguments.evaluate)):.4f}")
    export(net.to(memory_format=torch.contiguous_format), arguments.out)
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
