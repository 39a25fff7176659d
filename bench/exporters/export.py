"""Writes small networks as ONNX files by both exporters of PyTorch, and what onnxruntime's transformer optimizer makes of them.

    python3 bench/exporters/export.py FOLDER [--only NAME ...]

NAME.torchscript.onnx and NAME.dynamo.onnx hold the same randomly initialised network. For transformers NAME.*.fused.onnx is the graph with
onnxruntime's own operators, NAME.*.optimized.onnx what a session with all optimizations on saves, and NAME.*.fp16.onnx a model in half precision.
"""
import argparse
import json
import sys
import warnings
from pathlib import Path

import onnxruntime
import torch
from torch import nn
from torch.nn import functional

LATENT, HEADS, VOCABULARY = 32, 4, 64


class SelfAttention(nn.Module):
    """As the published models of BERT and its successors write it: three products, heads split and joined by reshapes."""

    def __init__(self, causal=False):
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(LATENT, LATENT) for _ in range(4))
        self.causal = causal

    def heads(self, x):
        return x.view(x.size(0), x.size(1), HEADS, LATENT // HEADS).permute(0, 2, 1, 3)

    def forward(self, x, mask=None):
        q, k, v = self.heads(self.query(x)), self.heads(self.key(x)), self.heads(self.value(x))
        scores = torch.matmul(q, k.transpose(-1, -2)) / (LATENT // HEADS) ** 0.5
        if mask is not None:
            scores = scores + mask
        if self.causal:
            length = x.size(1)
            hidden = torch.full((length, length), torch.finfo(torch.float32).min).triu(1)
            scores = scores + hidden
        context = torch.matmul(scores.softmax(-1), v).permute(0, 2, 1, 3).contiguous()
        return self.out(context.view(x.size(0), x.size(1), LATENT))


class Block(nn.Module):
    def __init__(self, activation, first, causal=False):
        super().__init__()
        self.attention = SelfAttention(causal)
        self.up, self.down = nn.Linear(LATENT, 4 * LATENT), nn.Linear(4 * LATENT, LATENT)
        self.norm1, self.norm2 = nn.LayerNorm(LATENT), nn.LayerNorm(LATENT)
        self.activation, self.first = activation, first

    def feed(self, x):
        return self.down(self.activation(self.up(x)))

    def forward(self, x, mask=None):
        if self.first:
            x = x + self.attention(self.norm1(x), mask)
            return x + self.feed(self.norm2(x))
        x = self.norm1(self.attention(x, mask) + x)
        return self.norm2(self.feed(x) + x)


class Bert(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.positions, self.segments = (nn.Embedding(n, LATENT) for n in (VOCABULARY, 32, 2))
        self.norm = nn.LayerNorm(LATENT)
        self.blocks = nn.ModuleList(Block(nn.GELU(), False) for _ in range(2))
        self.pool, self.head = nn.Linear(LATENT, LATENT), nn.Linear(LATENT, 3)

    def forward(self, input_ids, attention_mask, token_type_ids):
        positions = torch.arange(input_ids.size(1)).unsqueeze(0)
        x = self.norm(self.words(input_ids) + self.segments(token_type_ids) + self.positions(positions))
        mask = (1.0 - attention_mask[:, None, None, :].to(torch.float32)) * torch.finfo(torch.float32).min
        for block in self.blocks:
            x = block(x, mask)
        return self.head(torch.tanh(self.pool(x[:, 0])))


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.positions = nn.Embedding(VOCABULARY, LATENT), nn.Embedding(32, LATENT)
        self.blocks = nn.ModuleList(Block(nn.GELU(approximate="tanh"), True, True) for _ in range(2))
        self.norm = nn.LayerNorm(LATENT)

    def forward(self, input_ids):
        x = self.words(input_ids) + self.positions(torch.arange(input_ids.size(1)))
        for block in self.blocks:
            x = block(x)
        return functional.linear(self.norm(x), self.words.weight)


class Sdpa(nn.Module):
    """Attention through the functions that PyTorch has for it: one packed projection and scaled_dot_product_attention."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, LATENT)
        layer = dict(d_model=LATENT, nhead=HEADS, dim_feedforward=2 * LATENT, dropout=0.0, batch_first=True, activation="gelu")
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(**layer), 2, enable_nested_tensor=False)
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(**layer), 1)

    def forward(self, source, target):
        memory = self.encoder(self.words(source))
        length = target.size(1)
        hidden = torch.triu(torch.ones(length, length, dtype=torch.bool), 1)
        return functional.linear(self.decoder(self.words(target), memory, tgt_mask=hidden, tgt_is_causal=True), self.words.weight)


class RmsNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(LATENT))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


class LlamaBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = RmsNorm(), RmsNorm()
        self.query, self.out = (nn.Linear(LATENT, LATENT, bias=False) for _ in range(2))
        self.key, self.value = (nn.Linear(LATENT, LATENT // 2, bias=False) for _ in range(2))
        self.gate, self.up = (nn.Linear(LATENT, 2 * LATENT, bias=False) for _ in range(2))
        self.down = nn.Linear(2 * LATENT, LATENT, bias=False)

    @staticmethod
    def turned(x, cosine, sine):
        half = x.shape[-1] // 2
        return x * cosine + torch.cat((-x[..., half:], x[..., :half]), -1) * sine

    def forward(self, x, cosine, sine):
        n, length, size = x.size(0), x.size(1), LATENT // HEADS
        y = self.norm1(x)
        q = self.query(y).view(n, length, HEADS, size).transpose(1, 2)
        k, v = (f(y).view(n, length, HEADS // 2, size).transpose(1, 2) for f in (self.key, self.value))
        q, k = self.turned(q, cosine, sine), self.turned(k, cosine, sine)
        k, v = (t[:, :, None].expand(n, HEADS // 2, 2, length, size).reshape(n, HEADS, length, size) for t in (k, v))
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(n, length, LATENT))
        y = self.norm2(x)
        return x + self.down(functional.silu(self.gate(y)) * self.up(y))


class Llama(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, LATENT)
        self.blocks = nn.ModuleList(LlamaBlock() for _ in range(2))
        self.norm, self.head = RmsNorm(), nn.Linear(LATENT, VOCABULARY, bias=False)
        size = LATENT // HEADS
        self.register_buffer("rates", 1.0 / 10000 ** (torch.arange(0, size, 2).float() / size))

    def forward(self, input_ids):
        angles = torch.outer(torch.arange(input_ids.size(1)).float(), self.rates)
        angles = torch.cat((angles, angles), -1)
        x = self.words(input_ids)
        for block in self.blocks:
            x = block(x, angles.cos(), angles.sin())
        return self.head(self.norm(x))


class VisionTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, LATENT, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, LATENT))
        self.positions = nn.Parameter(torch.randn(1, 17, LATENT))
        self.blocks = nn.ModuleList(Block(nn.GELU(), True) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(LATENT), nn.Linear(LATENT, 10)

    def forward(self, pixels):
        x = self.patches(pixels).flatten(2).transpose(1, 2)
        x = torch.cat((self.token.expand(x.size(0), -1, -1), x), 1) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class Whisper(nn.Module):
    """An encoder of speech: convolutions over time, then transformer blocks."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(16, LATENT, 3, padding=1), nn.Conv1d(LATENT, LATENT, 3, stride=2, padding=1)
        self.register_buffer("positions", torch.randn(12, LATENT))
        self.blocks = nn.ModuleList(Block(nn.GELU(), True) for _ in range(2))
        self.norm = nn.LayerNorm(LATENT)

    def forward(self, mel):
        x = functional.gelu(self.conv2(functional.gelu(self.conv1(mel)))).permute(0, 2, 1) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, LATENT)
        self.lstm = nn.LSTM(LATENT, LATENT, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * LATENT, 5)

    def forward(self, input_ids):
        return self.head(self.lstm(self.words(input_ids))[0][:, -1])


class Residual(nn.Module):
    """A network of convolutions of today: depthwise ones, squeeze and excitation, group normalization, pixel shuffling."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.Hardswish())
        self.deep = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1, groups=16), nn.GroupNorm(4, 16), nn.SiLU(), nn.Conv2d(16, 16, 1), nn.Mish())
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 4, 1), nn.ReLU6(), nn.Conv2d(4, 16, 1), nn.Hardsigmoid())
        self.up = nn.Sequential(nn.Conv2d(16, 12, 1), nn.PixelShuffle(2), nn.InstanceNorm2d(3, affine=True), nn.PReLU(3))
        self.back = nn.ConvTranspose2d(3, 3, 2, 2)

    def forward(self, pixels):
        x = self.stem(pixels)
        x = x + self.deep(x) * self.squeeze(x)
        x = functional.max_pool2d(functional.interpolate(self.up(x), scale_factor=2.0, mode="bilinear"), 2)
        return functional.log_softmax(self.back(x).mean((2, 3)), -1)


class Volume(nn.Module):
    """Convolutions and pools over three axes."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv3d(2, 8, 3, padding=1), nn.Conv3d(8, 8, 3, stride=2, padding=1, groups=2)
        self.up, self.head = nn.ConvTranspose3d(8, 4, 2, 2), nn.Linear(4, 3)

    def forward(self, voxels):
        x = functional.max_pool3d(functional.elu(self.conv1(voxels)), 2)
        x = functional.avg_pool3d(self.up(functional.leaky_relu(self.conv2(x))), 2)
        return self.head(x.mean((2, 3, 4)))


class Selections(nn.Module):
    """What selects and orders: the greatest elements, cumulative sums, scattered updates, Einstein sums."""

    def __init__(self):
        super().__init__()
        self.inner, self.weight = nn.Linear(16, 16), nn.Parameter(torch.randn(4, 4))

    def forward(self, x):
        y = self.inner(x)
        top, places = y.topk(4, -1)
        mixed = torch.einsum("bi,ij->bj", top, self.weight)
        spread = torch.zeros_like(y).scatter(1, places, mixed)
        rank = torch.cumsum(torch.softmax(y, -1), -1)
        chosen = torch.where(y > 0, spread, rank.clamp(0.1, 0.9))
        return torch.gather(chosen, 1, places) * torch.tril(torch.ones(4, 4)).sum(0) + torch.atan(top)


class Warp(nn.Module):
    """Pictures that are sampled where a part of the network says, as transformers of space, optical flow and deformable attention do."""

    def __init__(self):
        super().__init__()
        self.stem, self.flow, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 2, 3, padding=1), nn.Conv2d(8, 4, 3)

    def forward(self, pixels):
        x = functional.relu(self.stem(pixels))
        rows, columns = torch.meshgrid(torch.linspace(-1, 1, 16), torch.linspace(-1, 1, 16), indexing="ij")
        grid = torch.stack([columns, rows], -1) + 0.2 * torch.tanh(self.flow(x)).permute(0, 2, 3, 1)
        return self.head(functional.grid_sample(x, grid, align_corners=False)).mean((2, 3))


class Spectrogram(nn.Module):
    """Sound that the network itself makes a spectrogram of."""

    def __init__(self):
        super().__init__()
        self.register_buffer("window", torch.hann_window(16))
        self.conv, self.head = nn.Conv1d(9, 8, 3, padding=1), nn.Linear(8, 3)

    def forward(self, sound):
        spectrum = torch.stft(sound, 16, 4, window=self.window, center=False, return_complex=False)
        power = spectrum.pow(2).sum(-1)
        return self.head(functional.relu(self.conv(torch.log(power + 1))).mean(-1))


def tokens(n, length):
    return torch.randint(0, VOCABULARY, (n, length))


# Name: network, its inputs, and their axes of open size.
def networks():
    mask = torch.ones(2, 8, dtype=torch.long)
    mask[1, 5:] = 0
    text = {0: "batch", 1: "length"}
    yield "bert", Bert(), {"input_ids": (tokens(2, 8), text), "attention_mask": (mask, text), "token_type_ids": (tokens(2, 8) % 2, text)}
    yield "gpt", Gpt(), {"input_ids": (tokens(2, 8), text)}
    yield "llama", Llama(), {"input_ids": (tokens(2, 8), text)}
    yield "sdpa", Sdpa(), {"source": (tokens(2, 8), text), "target": (tokens(2, 6), {0: "batch", 1: "written"})}
    yield "vit", VisionTransformer(), {"pixels": (torch.randn(2, 3, 16, 16), {0: "batch"})}
    yield "whisper", Whisper(), {"mel": (torch.randn(2, 16, 24), {0: "batch"})}
    yield "lstm", Lstm(), {"input_ids": (tokens(2, 8), {0: "batch"})}
    yield "residual", Residual(), {"pixels": (torch.randn(2, 3, 16, 16), {0: "batch"})}
    yield "volume", Volume(), {"voxels": (torch.randn(2, 2, 8, 8, 8), {0: "batch"})}
    yield "selections", Selections(), {"x": (torch.randn(2, 16), {0: "batch"})}
    yield "warp", Warp(), {"pixels": (torch.randn(2, 3, 16, 16), {0: "batch"})}
    yield "spectrogram", Spectrogram(), {"sound": (torch.randn(2, 128), {0: "batch"})}


# The kind of network that onnxruntime's transformer optimizer is told about.
KINDS = {"bert": "bert", "gpt": "gpt2", "vit": "vit", "whisper": "bert", "llama": "gpt2", "sdpa": "bert"}


def export(network, inputs, path, dynamo):
    values = tuple(value for value, _ in inputs.values())
    options = dict(input_names=list(inputs), output_names=["output"], dynamo=dynamo)
    if dynamo:
        shapes = tuple({axis: torch.export.Dim.DYNAMIC for axis in axes} for _, axes in inputs.values())
        program = torch.onnx.export(network, values, dynamic_shapes=shapes, verbose=False, **options)
        program.save(path, external_data=False)
    else:
        torch.onnx.export(network, values, path, dynamic_axes={name: axes for name, (_, axes) in inputs.items()}, opset_version=17, **options)


def fuse(path, kind):
    from onnxruntime.transformers.optimizer import optimize_model

    for variant in ("fused", "fp16"):
        model = optimize_model(str(path), model_type=kind, num_heads=HEADS, hidden_size=LATENT, opt_level=0, only_onnxruntime=False)
        if variant == "fp16":
            model.convert_float_to_float16(keep_io_types=False)
        saved = path.with_suffix(f".{variant}.onnx")
        model.save_model_to_file(str(saved))
        try:
            options = onnxruntime.SessionOptions()
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            onnxruntime.InferenceSession(str(saved), options, providers=["CPUExecutionProvider"])
        except Exception:
            # The converter to halves writes some models with types that do not fit.
            saved.unlink()
            raise


def optimize(path):
    options = onnxruntime.SessionOptions()
    # Beyond the extended level the graph is laid out for this machine's vectors.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(path)[: -len(".onnx")] + ".optimized.onnx"
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def attempt(what, work):
    try:
        work()
        print("wrote", what, flush=True)
    except Exception as error:  # the exporters refuse with all kinds
        print(f"failed: {what}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}", flush=True)
        return False
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore")
    torch.manual_seed(1)
    failures = 0
    for name, network, inputs in networks():
        if arguments.only and name not in arguments.only:
            continue
        network.eval()
        feeds = {key: {"dtype": str(value.dtype).split(".")[1], "dims": list(value.shape), "data": value.flatten().tolist()} for key, (value, _) in inputs.items()}
        (arguments.folder / f"{name}.feeds.json").write_text(json.dumps(feeds))
        for exporter in ("torchscript", "dynamo"):
            path = arguments.folder / f"{name}.{exporter}.onnx"
            work = [(path.name, lambda: export(network, inputs, str(path), exporter == "dynamo")), (f"{path.stem}.optimized", lambda: optimize(path))]
            if name in KINDS:
                work.append((f"{path.stem}.fused and .fp16", lambda: fuse(path, KINDS[name])))
            for what, step in work:
                failures += not attempt(what, step)
    return failures


if __name__ == "__main__":
    sys.exit(main() > 0)
