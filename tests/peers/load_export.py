"""Loads a ResNet-18 that `salun export` wrote into PyTorch, strictly.

    python3 tests/peers/load_export.py square-forgotten.pth
    python3 tests/peers/load_export.py square-forgotten.pth shapes 48     # and looks at a folder of classes

Needs torch, and numpy and Pillow for pictures. The second form says of each class of a folder, read in the
size that the model takes, how often the network sees it.
"""

import sys
from pathlib import Path

sys.dont_write_bytecode = True

import torch
from torch import nn

from models import ResNet18


class Official(ResNet18):
    """With the official code's first layer, whose buffers are in the state dictionary."""

    def __init__(self, **config):
        super().__init__(**config)
        self.normalize = nn.Module()
        for name in ("mean", "std"):
            self.normalize.register_buffer(name, torch.full((config["channels"],), -1.0))

    def forward(self, x):
        self.mean, self.std = self.normalize.mean.tolist(), self.normalize.std.tolist()
        return super().forward(x)


def state(path):
    """The state dictionary in a file."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path)


def load(path):
    """The network in a file, in evaluation mode; its width, channels and classes are the tensors'."""
    tensors = state(path)
    width, channels = tensors["conv1.weight"].shape[:2]
    classes = len(tensors["fc.bias"])
    network = Official(width=width, channels=channels, classes=classes, mean=0.0, std=1.0)
    network.load_state_dict(tensors, strict=True)
    return network.eval(), tensors


def pictures(folder, side, channels):
    """Pictures of a folder in [0, 1]."""
    import numpy as np
    from PIL import Image

    mode = "L" if channels == 1 else "RGB"
    for file in sorted(folder.iterdir()):
        picture = Image.open(file).convert(mode).resize((side, side), Image.BILINEAR)
        yield torch.from_numpy(np.array(picture)).reshape(side, side, channels).permute(2, 0, 1) / 255


def main():
    network, tensors = load(Path(sys.argv[1]))
    n = sum(p.numel() for p in network.parameters())
    print(f"load_state_dict(strict=True): {len(tensors)} tensors, {n:,} weights")
    if len(sys.argv) < 4:
        return
    channels = len(network.mean)
    for label, folder in enumerate(sorted(f for f in Path(sys.argv[2]).iterdir() if f.is_dir())):
        x = torch.stack(list(pictures(folder, int(sys.argv[3]), channels)))
        with torch.no_grad():
            seen = (network(x).argmax(1) == label).double().mean().item()
        print(f"{folder.name}: {100 * seen:.1f} % of {len(x)} are seen")


if __name__ == "__main__":
    main()
