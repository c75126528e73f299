"""Writes the PyTorch golden values that the Rust tests compare with.

    /usr/bin/python3 tests/peers/make_fixtures.py

from the repository root, with Debian 12's packages and nothing else:

    apt-get install -y --no-install-recommends python3-torch
    # python3 3.11.2, python3-torch 1.13.1+dfsg-4, python3-numpy 1.24.2

Takes a few seconds and writes tests/fixtures/{resnet_tiny,unet_tiny,losses}.safetensors.

Inputs and weights come from numpy's frozen RandomState streams as f32 numbers. PyTorch computes
with them in f64 and each result is rounded to f32 once, so that the goldens are the exact answers
to f32 precision and not one machine's rounding. The safetensors container is written by hand:
u64 LE header length, JSON header, data.
"""

import copy
import json
import struct
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from models import ResNet18, Unet

OUT = Path(__file__).resolve().parent.parent / "fixtures"
LIMIT = 1 << 20
DTYPE = torch.float64

# Base width 4 would make a file over the limit.
RESNET = dict(width=3, channels=1, classes=10, mean=0.2860, std=0.3530)
UNET = dict(ch=8, mult=(1, 2, 2), num_res_blocks=1, attn_resolutions=(7,), channels=1,
            resolution=28, classes=10, groups=8)
SGD = dict(lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=False)
ADAM = dict(lr=1e-3, betas=(0.9, 0.999), eps=1e-8)
STEPS = 3
DENSITY = 0.5
CLIP = 1.0
GUIDANCE = 2.0


# ---------------------------------------------------------------- files

class Fixture:
    """Named tensors, written as f32 or i64."""

    def __init__(self, **settings):
        self.tensors = {}
        self.metadata = {"torch": torch.__version__}
        self.metadata.update((k, json.dumps(v)) for k, v in settings.items())

    def put(self, name, tensor):
        kind = np.float32 if tensor.is_floating_point() else np.int64
        self.tensors[name] = tensor.detach().cpu().numpy().astype(kind)

    def put_all(self, prefix, tensors):
        for name, tensor in tensors.items():
            self.put(f"{prefix}/{name}", tensor)

    def write(self, path):
        # 8-byte integers first: every tensor is then aligned to its own number format.
        order = sorted(self.tensors, key=lambda n: self.tensors[n].dtype.itemsize == 4)
        header, data = {"__metadata__": self.metadata}, bytearray()
        for name in order:
            array = np.ascontiguousarray(self.tensors[name])
            assert np.isfinite(array).all(), name
            start = len(data)
            data += array.astype(array.dtype.newbyteorder("<")).tobytes()
            header[name] = {
                "dtype": {4: "F32", 8: "I64"}[array.dtype.itemsize],
                "shape": list(array.shape),
                "data_offsets": [start, len(data)],
            }
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        blob = struct.pack("<Q", len(text)) + text + data
        assert len(blob) < LIMIT, f"{path.name}: {len(blob)} bytes"
        path.write_bytes(blob)
        print(f"{path.name}: {len(blob):,} bytes, {len(order)} tensors")


# ---------------------------------------------------------------- inputs and weights

class Draw:
    """Random f32 numbers as tensors of the working precision."""

    def __init__(self, seed):
        self.rng = np.random.RandomState(seed)

    @staticmethod
    def tensor(values):
        return torch.from_numpy(np.asarray(values, dtype=np.float32)).to(DTYPE)

    def normal(self, shape, sd=1.0, mean=0.0):
        return self.tensor(mean + sd * self.rng.standard_normal(tuple(shape)))

    def uniform(self, shape, low, high):
        return self.tensor(self.rng.uniform(low, high, tuple(shape)))


@torch.no_grad()
def fill(model, draw, kaiming):
    """Every weight at the scale of its layer's usual initialisation.

    `kaiming`: convolutions are normal with fan-out, as in the ResNet; else PyTorch's uniform.
    """
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)):
            module.weight.copy_(draw.normal(module.weight.shape, 0.2, 1.0))
            module.bias.copy_(draw.normal(module.bias.shape, 0.2))
        elif isinstance(module, (nn.Conv2d, nn.Linear)):
            shape = module.weight.shape
            if kaiming and isinstance(module, nn.Conv2d):
                sd = (2.0 / (shape[0] * shape[2] * shape[3])) ** 0.5
                module.weight.copy_(draw.normal(shape, sd))
            else:
                bound = shape[1:].numel() ** -0.5
                module.weight.copy_(draw.uniform(shape, -bound, bound))
                module.bias.copy_(draw.uniform(module.bias.shape, -bound, bound))
        elif isinstance(module, nn.Embedding):
            module.weight.copy_(draw.normal(module.weight.shape))
        elif isinstance(module, Unet):
            module.null_classes_emb.copy_(draw.normal(module.null_classes_emb.shape))


@torch.no_grad()
def fill_statistics(model, draw, x):
    """Running statistics near those of the batch `x`, so that few units are dead in eval mode."""
    layers = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for layer in layers:
        layer.momentum = 1.0
    model.train()(x)
    for layer in layers:
        layer.momentum = 0.1
        mean, var = layer.running_mean, layer.running_var
        shifted = mean + var.sqrt() * draw.normal(mean.shape, 0.2)
        scaled = var * draw.uniform(var.shape, 0.6, 1.6)
        mean.copy_(shifted.float())
        var.copy_(scaled.float())


def parameters(model):
    return {n: p.detach().clone() for n, p in model.named_parameters()}


def statistics(model):
    return {n: b.detach().clone() for n, b in model.named_buffers() if "running" in n}


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters()}


# ---------------------------------------------------------------- the fixtures

def top_share(scores, density):
    """1 for the floor(density * N) largest of all scores together, the earlier first on ties."""
    flat = torch.cat([s.reshape(-1) for s in scores.values()])
    k = int(density * flat.numel())
    chosen = torch.sort(flat, descending=True, stable=True).indices[:k]
    bits = torch.zeros(flat.numel(), dtype=DTYPE)
    bits[chosen] = 1.0
    parts = bits.split([s.numel() for s in scores.values()])
    return {n: part.reshape(s.shape) for (n, s), part in zip(scores.items(), parts)}


def sgd_steps(model, x, y, mask=None):
    """The weights after `STEPS` train-mode steps; with a mask the rest is frozen exactly."""
    model = copy.deepcopy(model).train()
    original = parameters(model)
    optimizer = torch.optim.SGD(model.parameters(), **SGD)
    for _ in range(STEPS):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        if mask:
            for name, p in model.named_parameters():
                p.grad.mul_(mask[name])
        optimizer.step()
        if mask:
            with torch.no_grad():
                for name, p in model.named_parameters():
                    m = mask[name]
                    p.copy_(m * p + (1.0 - m) * original[name])
                    optimizer.state[p]["momentum_buffer"].mul_(m)
    after = parameters(model)
    if mask:
        assert all(torch.equal(after[n][mask[n] == 0], original[n][mask[n] == 0]) for n in mask)
    return after


def resnet():
    draw = Draw(1)
    model = ResNet18(**RESNET).to(DTYPE)
    fill(model, draw, kaiming=True)
    x = draw.uniform((6, 1, 28, 28), 0.0, 1.0)
    y = torch.tensor([3, 0, 9, 3, 7, 5])
    fill_statistics(model, draw, x)

    out = Fixture(config=RESNET, sgd=SGD, steps=STEPS, density=DENSITY)
    out.put_all("weights", parameters(model))
    out.put_all("weights", statistics(model))
    out.put("x", x)
    out.put("y", y)

    model.eval()
    logits = model(x)
    eval_grad = gradients(model, F.cross_entropy(logits, y))
    out.put("eval/logits", logits)
    out.put_all("eval/grad", eval_grad)

    trained = copy.deepcopy(model).train()
    logits = trained(x)
    out.put("train/logits", logits)
    out.put_all("train/grad", gradients(trained, F.cross_entropy(logits, y)))
    out.put_all("train/stats", statistics(trained))

    # Ranked by the stored f32 numbers: the mask follows from the file alone.
    mask = top_share({n: g.float().abs() for n, g in eval_grad.items()}, DENSITY)
    out.put_all("sgd", sgd_steps(model, x, y))
    out.put_all("mask", mask)
    out.put_all("masked_sgd", sgd_steps(model, x, y, mask))
    return out


def unet():
    draw = Draw(2)
    model = Unet(**UNET).to(DTYPE).train()
    fill(model, draw, kaiming=False)
    x, eps = (draw.normal((3, 1, 28, 28)) for _ in range(2))
    t, c = torch.tensor([10, 400, 999]), torch.tensor([3, 7, 1])
    null = torch.tensor([0, 0, 1])
    initial = parameters(model)

    def loss():
        return (eps - model(x, t, c, null)).square().mean()

    out = Fixture(config=UNET, adam=ADAM, steps=STEPS, clip=CLIP, guidance=GUIDANCE)
    out.put_all("weights", initial)
    for name, tensor in dict(x=x, t=t, c=c, null=null, eps=eps).items():
        out.put(name, tensor)
    with torch.no_grad():
        out.put("out", model(x, t, c, null))
        with_class, without = (model(x, t, c, torch.full_like(c, flag)) for flag in (0, 1))
        out.put("guided", (1.0 + GUIDANCE) * with_class - GUIDANCE * without)
    value = loss()
    grad = gradients(model, value)
    norm = torch.cat([g.reshape(-1) for g in grad.values()]).norm()
    out.put("loss", value.reshape(1))
    out.put("grad_norm", norm.reshape(1))
    out.put_all("grad", grad)

    optimizer = torch.optim.Adam(model.parameters(), **ADAM)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss().backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
    out.put_all("adam", parameters(model))
    return out


def losses():
    """Cross-entropy, with one row whose exponentials overflow f32. x 32 is exact in f32."""
    draw = Draw(3)
    logits = draw.normal((5, 10), 3.0)
    logits[4] *= 32.0
    logits.requires_grad_()
    labels = torch.tensor([2, 0, 9, 5, 7])
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    out = Fixture()
    for name, tensor in dict(logits=logits, labels=labels, loss=loss.reshape(1),
                             grad=logits.grad).items():
        out.put(name, tensor)
    return out


def check_sizes():
    """Parameter counts of docs/methods.md#models."""
    def count(model):
        return sum(p.numel() for p in model.parameters())

    wide = dict(RESNET, width=16, channels=3)
    assert count(ResNet18(**wide)) == 701_466
    wide = dict(UNET, ch=32, num_res_blocks=2, attn_resolutions=(16,), channels=3, resolution=32,
                groups=32)
    assert count(Unet(**wide)) == 1_764_195
    assert count(Unet(**dict(wide, mult=(1, 2, 2, 2)))) == 2_426_595


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    check_sizes()
    OUT.mkdir(exist_ok=True)
    for make, name in ((resnet, "resnet_tiny"), (unet, "unet_tiny"), (losses, "losses")):
        make().write(OUT / f"{name}.safetensors")


if __name__ == "__main__":
    main()
