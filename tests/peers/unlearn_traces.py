"""Replays unlearning runs in PyTorch and writes their losses and accuracies.

    cargo test --release --test suite -- --ignored write_the_draws
    python3 tests/peers/pack.py
    /usr/bin/python3 tests/peers/unlearn_traces.py
    python3 tests/peers/pack.py

from the repository root. The first command writes tests/fixtures/unlearn_inputs.safetensors: the
weights of a small ResNet-18, 584 pictures, a mask, and for every run the pictures of each update
and their labels. This script computes the same updates in f64 and writes
tests/fixtures/unlearn_traces.safetensors. Every method is written here from its definition
(docs/methods.md#classifiers), without the other side's code.
"""

import gzip
import json
import struct
import sys

sys.dont_write_bytecode = True

import numpy as np
import torch
from torch.nn import functional as F

from make_fixtures import DTYPE, OUT, RESNET, SGD, Fixture
from models import ResNet18

WIDTH = 4
FORGOTTEN = 7
RADIUS = 0.1
L1 = 5e-4
SHARE = 0.5
# Name, learning rate, epochs.
RUNS = (("rl", 0.013, 2), ("ga", 2e-3, 8), ("ft", 0.01, 2), ("l1-sparse", 0.01, 2),
        ("bs", 2e-3, 8), ("salun", 0.013, 2), ("salun-soft", 0.013, 2),
        ("salun-soft-released", 0.005, 2))


def read(path):
    """Every tensor of a safetensors file as numpy arrays."""
    blob = gzip.decompress(path.read_bytes())
    length = struct.unpack("<Q", blob[:8])[0]
    header, data = json.loads(blob[8:8 + length]), blob[8 + length:]
    kinds = {"F32": np.float32, "U8": np.uint8, "I64": np.int64}
    header.pop("__metadata__", None)
    return {name: np.frombuffer(data[slice(*t["data_offsets"])], kinds[t["dtype"]]).reshape(
        t["shape"]) for name, t in header.items()}


class Inputs:
    def __init__(self):
        self.all = read(OUT / "unlearn_inputs.safetensors.gz")
        self.x, self.y = self.pictures("train")
        self.x_test, self.y_test = self.pictures("test")
        self.forget = (self.y == FORGOTTEN).nonzero()[:, 0]
        self.retain = (self.y != FORGOTTEN).nonzero()[:, 0]

    def pictures(self, part):
        pixels = torch.from_numpy(self.all[f"{part}/pixels"].astype(np.float64))
        # The other side divides in f32.
        x = (pixels.float() / 255).to(DTYPE).reshape(-1, 1, 28, 28)
        return x, torch.from_numpy(self.all[f"{part}/labels"].astype(np.int64))

    def model(self):
        model = ResNet18(**dict(RESNET, width=WIDTH)).to(DTYPE)
        state = {n.removeprefix("weights/"): torch.from_numpy(a.copy())
                 for n, a in self.all.items() if n.startswith("weights/")}
        missing, surplus = model.load_state_dict(state, strict=False)
        assert not surplus and all("num_batches" in name for name in missing), (missing, surplus)
        return model

    def updates(self, name):
        items, sizes, labels = (self.all[f"{name}/{p}"] for p in ("items", "sizes", "labels"))
        ends = np.cumsum(sizes)
        for start, end in zip(ends - sizes, ends):
            part = slice(start, end)
            yield (torch.from_numpy(items[part].copy()), torch.from_numpy(labels[part].copy()))


def nearest_class(teacher, x, y):
    """What the teacher takes a picture for after one signed step up its loss."""
    x = x.clone().requires_grad_()
    slope, = torch.autograd.grad(F.cross_entropy(teacher(x), y), x)
    moved = (x.detach() + RADIUS * slope.sign()).clamp(0, 1)
    with torch.no_grad():
        return teacher((moved * 255).round() / 255).argmax(dim=1)


def soft_threshold(model, reference, k):
    """The k smallest movements are undone, the others shortened by the largest of those."""
    moved = torch.cat([(p - r).abs().reshape(-1) for p, r in zip(model.parameters(), reference)])
    tau = moved.kthvalue(k).values
    for p, r in zip(model.parameters(), reference):
        d = p - r
        p.copy_(torch.where(d > tau, p - tau, torch.where(d < -tau, p + tau, r)))


def run(inputs, name, lr, epochs):
    model, teacher = inputs.model().train(), inputs.model().eval()
    original = [p.detach().clone() for p in model.parameters()]
    reference = original
    mask = [torch.from_numpy(inputs.all[f"mask/{n}"].copy()).reshape(p.shape).to(DTYPE)
            for n, p in model.named_parameters()]
    optimizer = torch.optim.SGD(model.parameters(), **dict(SGD, lr=lr))
    n = sum(p.numel() for p in model.parameters())
    updates = list(inputs.updates(name))
    each = len(updates) // epochs
    losses = []
    for step, (items, labels) in enumerate(updates):
        epoch = step // each
        if name == "salun-soft-released" and step % each == 0:
            reference = [p.detach().clone() for p in model.parameters()]
        x = inputs.x[items]
        if name == "bs":
            labels = nearest_class(teacher, x, labels)
        loss = F.cross_entropy(model(x), labels)
        if name == "ga":
            loss = -loss
        if name == "l1-sparse":
            size = sum(p.abs().sum() for p in model.parameters())
            loss = loss + L1 * (1 - epoch / epochs) * size
        optimizer.zero_grad()
        loss.backward()
        if name == "salun":
            for p, m in zip(model.parameters(), mask):
                p.grad.mul_(m)
        optimizer.step()
        with torch.no_grad():
            if name == "salun":
                for p, m, o in zip(model.parameters(), mask, original):
                    p.copy_(m * p + (1 - m) * o)
                    optimizer.state[p]["momentum_buffer"].mul_(m)
            if name.startswith("salun-soft"):
                done = (epoch * each if name.endswith("released") else step) + 1
                k = int(SHARE * (len(updates) - done) / len(updates) * n)
                if k > 0:
                    soft_threshold(model, reference, k)
        losses.append(float(loss))
    return losses, accuracies(inputs, model.eval())


@torch.no_grad()
def accuracies(inputs, model):
    def percent(x, y):
        return 100 * float((model(x).argmax(dim=1) == y).double().mean())

    return [percent(inputs.x[inputs.forget], inputs.y[inputs.forget]),
            percent(inputs.x[inputs.retain], inputs.y[inputs.retain]),
            percent(inputs.x_test, inputs.y_test)]


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    inputs = Inputs()
    out = Fixture(sgd=SGD, radius=RADIUS, l1=L1, share=SHARE)
    print("before", accuracies(inputs, inputs.model().eval()))
    for name, lr, epochs in RUNS:
        losses, seen = run(inputs, name, lr, epochs)
        print(f"{name}: {len(losses)} updates, loss {losses[0]:.4f} to {losses[-1]:.4f}, "
              f"forget, retain, test accuracy {seen}")
        out.put(f"{name}/losses", torch.tensor(losses, dtype=DTYPE))
        out.put(f"{name}/accuracies", torch.tensor(seen, dtype=DTYPE))
    out.write(OUT / "unlearn_traces.safetensors")


if __name__ == "__main__":
    main()
