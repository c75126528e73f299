"""What the official DDPM code's `Conditional_Model` predicts, and a checkpoint as that code saves one.

    /usr/bin/python3 tests/peers/ddpm.py                   # writes the fixtures
    /usr/bin/python3 tests/peers/ddpm.py FILE.pth [SIDE]   # loads what `salun export` wrote, strictly

from the repository root, with Debian 12's python3-torch 1.13.1. The first form takes a minute and writes
tests/fixtures/ddpm.safetensors and ddpm_list.pth, which tests/peers/pack.py packs. Weights and inputs follow
from their names by a formula that tests/suite/ddpm_files.rs has, too, so only predictions are kept.

The second form does with a file what the official code does: of a list, the names of `DataParallel`, strictly,
then the average in their place.
"""

import sys
from pathlib import Path

sys.dont_write_bytecode = True

import numpy as np
import torch
from torch import nn

from make_fixtures import OUT, Fixture
from models import Unet

# DDPM/configs/cifar10_train.yml, but for the width.
CIFAR = dict(mult=(1, 2, 2, 2), num_res_blocks=2, attn_resolutions=(16,), channels=3, resolution=32,
             classes=10, groups=32)
WIDTHS = (64, 128)
TIMES, CLASSES, NULL = (500, 999), (3, 0), (0, 1)
# Of the predictions every so many values are kept.
EVERY = 61


def drawn(name, n):
    """n numbers in [-1, 1): a hash of the name (FNV-1a) and of their places."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = (seed ^ byte) * 0x01000193 & 0xFFFFFFFF
    x = np.arange(n, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(seed)
    for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39)):
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    x ^= x >> np.uint32(15)
    return (x >> np.uint32(8)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)


def filled(name, shape):
    """A weight: norms about 1, biases small, all others at the scale of their layer."""
    values = drawn(name, int(np.prod(shape)))
    if len(shape) > 1:
        values = values * np.float32((3.0 / np.prod(shape[1:])) ** 0.5)
    elif "norm" in name and name.endswith("weight"):
        values = np.float32(1) + np.float32(0.2) * values
    elif name.endswith("bias"):
        values = np.float32(0.1) * values
    return torch.from_numpy(values.reshape(shape))


@torch.no_grad()
def fill(model):
    for name, p in model.named_parameters():
        p.copy_(filled(name, tuple(p.shape)))


@torch.no_grad()
def predictions():
    out = Fixture(times=TIMES, classes=CLASSES, null=NULL, every=EVERY)
    for ch in WIDTHS:
        model = Unet(ch=ch, **CIFAR).eval()
        fill(model)
        n = sum(p.numel() for p in model.parameters())
        x = torch.from_numpy(drawn("x", 2 * 3 * 32 * 32).reshape(2, 3, 32, 32))
        model = model.double()
        made = model(x.double(), torch.tensor(TIMES), torch.tensor(CLASSES), torch.tensor(NULL))
        out.put(f"{ch}/n", torch.tensor([n]))
        out.put(f"{ch}/out", made.flatten()[::EVERY])
        print(f"ch {ch}: {n:,} weights, predictions of {made.std():.3f}")
    return out


def checkpoint():
    """A list as `saliency_unlearn` and `train` save it, of a small network."""
    model = nn.DataParallel(Unet(ch=4, mult=(1, 1), num_res_blocks=1, attn_resolutions=(8,), channels=1,
                                 resolution=16, classes=3, groups=32))
    # So that the file packs well, the numbers repeat and the optimiser has a state of few weights.
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    for p in list(model.parameters())[:2]:
        p.grad = torch.full_like(p, 0.5)
    optimizer.step()
    with torch.no_grad():
        for i, p in enumerate(model.parameters()):
            p.copy_((torch.arange(p.numel()).add(i) % 7 - 3).div(8).reshape(p.shape))
    average = {name: p.data.clone() + 1 for name, p in model.module.named_parameters()}
    torch.save([model.state_dict(), optimizer.state_dict(), 999, average], OUT / "ddpm_list.pth")


def form(state):
    """The network's form, from names and shapes."""
    classes, ch = state["classes_emb.weight"].shape
    widths = []
    while f"down.{len(widths)}.block.0.conv2.weight" in state:
        widths.append(state[f"down.{len(widths)}.block.0.conv2.weight"].shape[0])
    blocks = sum(f"down.0.block.{b}.conv1.weight" in state for b in range(9))
    levels = [level for level in range(len(widths)) if f"down.{level}.attn.0.q.weight" in state]
    return dict(ch=ch, mult=[w // ch for w in widths], num_res_blocks=blocks,
                channels=state["conv_in.weight"].shape[1], classes=classes, groups=32), levels


def load(path, side=32):
    """The network in a file that `salun export` wrote."""
    states = torch.load(path)
    whole = isinstance(states, list)
    first = {k.removeprefix("module."): v for k, v in states[0].items()} if whole else states
    config, levels = form(first)
    model = Unet(**config, resolution=side, attn_resolutions=[side >> level for level in levels])
    if whole:
        model = nn.DataParallel(model)
        model.load_state_dict(states[0], strict=True)
        for name, p in model.module.named_parameters():
            p.data.copy_(states[-1][name].data)
        return model.module.eval()
    model.load_state_dict(states, strict=True)
    return model.eval()


def main():
    torch.set_num_threads(2)
    if len(sys.argv) > 1:
        model = load(Path(sys.argv[1]), *map(int, sys.argv[2:3]))
        n = sum(p.numel() for p in model.parameters())
        print(f"load_state_dict(strict=True): {len(model.state_dict())} tensors, {n:,} weights")
        return
    predictions().write(OUT / "ddpm.safetensors")
    checkpoint()


if __name__ == "__main__":
    main()
