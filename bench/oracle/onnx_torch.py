"""Runs an ONNX graph in PyTorch in double precision: the operators of the zoo's convolutional networks and transformers.

Float tensors become float64, integers stay what they are.
"""

import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

TYPES = {TensorProto.FLOAT: torch.float64, TensorProto.DOUBLE: torch.float64, TensorProto.INT64: torch.int64}


def to_torch(proto):
    tensor = torch.from_numpy(numpy_helper.to_array(proto).copy())
    return tensor.double() if tensor.is_floating_point() else tensor


def ends(pads):
    """ONNX's [begin..., end...] as F.pad wants it: pairs, the last axis first."""
    rank = len(pads) // 2
    return [int(pads[i]) for axis in reversed(range(rank)) for i in (axis, axis + rank)]


def spatial(attributes, rank, pad_value=0.0):
    """Strides, dilations, and the padding as a function, for it may differ at the two ends of an axis."""
    if attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise NotImplementedError("auto_pad")
    pads = attributes.get("pads", [0] * (2 * rank))
    return (
        attributes.get("strides", [1] * rank),
        attributes.get("dilations", [1] * rank),
        lambda x: F.pad(x, ends(pads), value=pad_value) if any(pads) else x,
    )


def conv(a, x, w, b=None):
    stride, dilation, pad = spatial(a, w.dim() - 2)
    return F.conv2d(pad(x), w, b, stride, 0, dilation, a.get("group", 1))


def max_pool(a, x):
    stride, dilation, pad = spatial(a, 2, -torch.inf)
    return F.max_pool2d(pad(x), a["kernel_shape"], stride, 0, dilation, bool(a.get("ceil_mode", 0)))


def batch_normalization(a, x, scale, bias, mean, variance):
    """Spelled out: the derivatives of F.batch_norm's own kernels are not needed as a second unknown."""
    shape = [1, -1] + [1] * (x.dim() - 2)
    scale, bias, mean, variance = (t.reshape(shape) for t in (scale, bias, mean, variance))
    return (x - mean) / torch.sqrt(variance + a.get("epsilon", 1e-5)) * scale + bias


def layer_normalization(a, x, scale, bias=None):
    axes = tuple(range(a.get("axis", -1) % x.dim(), x.dim()))
    centered = x - x.mean(axes, keepdim=True)
    y = centered / torch.sqrt(centered.square().mean(axes, keepdim=True) + a.get("epsilon", 1e-5)) * scale
    return y if bias is None else y + bias


def gather(a, x, indices):
    axis = a.get("axis", 0) % x.dim()
    taken = x.index_select(axis, indices.flatten() % x.shape[axis])
    return taken.reshape([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])


def unsqueeze(a, x, axes):
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes.tolist()):
        x = x.unsqueeze(axis)
    return x


def gemm(a, x, w, c=None):
    x, w = x.T if a.get("transA", 0) else x, w.T if a.get("transB", 0) else w
    y = a.get("alpha", 1.0) * (x @ w)
    return y if c is None else y + a.get("beta", 1.0) * c


def slices(a, x, starts, stops, axes=None, steps=None):
    starts, stops = starts.tolist(), stops.tolist()
    axes = range(len(starts)) if axes is None else axes.tolist()
    steps = [1] * len(starts) if steps is None else steps.tolist()
    for start, stop, axis, step in zip(starts, stops, axes, steps):
        # Not by indexing: steps may be negative.
        kept = range(*slice(start, stop, step).indices(x.shape[axis]))
        x = x.index_select(axis, torch.tensor(kept, dtype=torch.int64))
    return x


def pad(a, x, pads, value=None):
    if a.get("mode", b"constant") != b"constant":
        raise NotImplementedError("Pad that is not constant")
    return F.pad(x, ends(pads), value=0 if value is None else value.item())


def reshape(a, x, shape):
    if a.get("allowzero", 0):
        raise NotImplementedError("allowzero")
    return x.reshape([x.shape[i] if size == 0 else size for i, size in enumerate(shape.tolist())])


OPERATORS = {
    "Add": lambda a, x, y: x + y,
    "BatchNormalization": batch_normalization,
    "Cast": lambda a, x: x.to(TYPES[a["to"]]),
    "Concat": lambda a, *xs: torch.cat(xs, a["axis"]),
    "Constant": lambda a: to_torch(a["value"]),
    "ConstantOfShape": lambda a, shape: to_torch(a["value"]).expand(shape.tolist()),
    "Conv": conv,
    "Div": lambda a, x, y: x / y,
    "Erf": lambda a, x: torch.erf(x),
    "Flatten": lambda a, x: x.flatten(a.get("axis", 1)),
    "Gather": gather,
    "Gemm": gemm,
    "GlobalAveragePool": lambda a, x: x.mean((2, 3), keepdim=True),
    "LayerNormalization": layer_normalization,
    "MatMul": lambda a, x, y: x @ y,
    "MaxPool": max_pool,
    "Mul": lambda a, x, y: x * y,
    "Pad": pad,
    "ReduceMean": lambda a, x: x.mean(a["axes"], keepdim=bool(a.get("keepdims", 1))),
    "Reshape": reshape,
    "Shape": lambda a, x: torch.tensor(x.shape),
    "Slice": slices,
    "Softmax": lambda a, x: x.softmax(a.get("axis", -1)),
    "Split": lambda a, x, sizes: x.split(sizes.tolist(), a.get("axis", 0)),
    "Squeeze": lambda a, x, axes: x.squeeze(tuple(axes.tolist())),
    "Sub": lambda a, x, y: x - y,
    "Tanh": lambda a, x: torch.tanh(x),
    "Transpose": lambda a, x: x.permute(a["perm"]),
    "Unsqueeze": unsqueeze,
}


class Network:
    """A graph whose ReLUs and Clips are on the side of a kink that another run's arguments, `sides` {node: x}, have."""

    def __init__(self, path, sides):
        self.graph = onnx.load(path).graph
        self.sides = sides
        self.arguments = {}
        self.constants = {tensor.name: to_torch(tensor) for tensor in self.graph.initializer}
        self.steps = [
            (node, {a.name: helper.get_attribute_value(a) for a in node.attribute}) for node in self.graph.node
        ]

    def __call__(self, feeds, parameters, offsets):
        """The first output. `parameters` replace initializers; `offsets` {(node, port): x} are added to inputs, which `arguments` keeps."""
        values = {**self.constants, **feeds, **parameters}
        for node, attributes in self.steps:
            inputs = [values[name] if name else None for name in node.input]
            for port, value in enumerate(inputs):
                if (node.name, port) in offsets:
                    self.arguments[node.name, port] = value.detach()
                    inputs[port] = value + offsets[node.name, port]
            if node.op_type == "Relu":
                output = self.clamp(node.name, *inputs, 0.0, torch.inf)
            elif node.op_type == "Clip":
                output = self.clamp(node.name, *inputs)
            else:
                output = OPERATORS[node.op_type](attributes, *inputs)
            outputs = output if isinstance(output, tuple) else (output,)
            values.update(zip(node.output, outputs))
        return values[self.graph.output[0].name]

    def clamp(self, name, x, low, high):
        like = x.detach()
        if name in self.sides:
            like = self.sides[name].reshape(x.shape)
            crossed = (x - like).abs()[((x > low) != (like > low)) | ((x < high) != (like < high))]
            if crossed.numel() > 0 and crossed.max() > 1e-5 * x.abs().max():
                raise AssertionError(f"{name}: the other run is not only by rounding on another side of a kink")
        return torch.where(like > low, torch.where(like < high, x, high), low)
