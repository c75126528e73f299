"""Writes PyTorch's golden values of VGG-16 and Swin, and a checkpoint in the official format.

    /usr/bin/python3 tests/peers/make_networks.py

from the repository root, with Debian 12's packages:

    apt-get install -y --no-install-recommends python3-torch python3-torchvision
    # python3-torch 1.13.1+dfsg-4, python3-torchvision 0.14.1-2, python3-numpy 1.24.2

Takes a few seconds and writes tests/fixtures/{vgg_tiny,swin_tiny,resnet_official}.safetensors and
resnet_official.pth. Precision and seeds as in make_fixtures.py. The networks are torchvision's own
code, but for the head of the VGG.
"""

import sys

sys.dont_write_bytecode = True

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vgg import make_layers

from make_fixtures import (DTYPE, OUT, SGD, Draw, Fixture, fill_statistics, gradients, parameters,
                           statistics)
from models import ResNet18

MEAN, STD = [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]
SWIN = dict(patch_size=[2, 2], embed_dim=8, depths=[2, 2, 2], num_heads=[2, 4, 8],
            window_size=[4, 4], num_classes=10)


class Vgg16(nn.Module):
    """torchvision's trunk in the CIFAR form: `width` 64 in the paper."""

    def __init__(self, width, classes):
        super().__init__()
        w = width
        self.features = make_layers(
            [w, w, "M", 2 * w, 2 * w, "M", *[4 * w] * 3, "M", *[8 * w] * 3, "M", *[8 * w] * 3, "M"],
            batch_norm=True)
        self.classifier = nn.Linear(8 * w, classes)

    def forward(self, x):
        return self.classifier(self.features(normalised(x)).mean(dim=(2, 3)))


def normalised(x):
    mean, std = (x.new_tensor(v).reshape(1, -1, 1, 1) for v in (MEAN, STD))
    return (x - mean) / std


@torch.no_grad()
def fill(model, draw):
    """Every weight at the scale of its layer, every bias and norm away from its default."""
    for name, p in model.named_parameters():
        if "norm" in name or p.dim() == 1:
            p.copy_(draw.normal(p.shape, 0.2, 1.0 if name.endswith("weight") else 0.0))
        elif name.endswith("table"):
            p.copy_(draw.normal(p.shape, 0.5))
        else:
            p.copy_(draw.normal(p.shape, (2.0 / p[0].numel()) ** 0.5))


def vgg():
    draw = Draw(11)
    model = Vgg16(2, 10).to(DTYPE)
    fill(model, draw)
    x = draw.uniform((5, 3, 32, 32), 0.0, 1.0)
    y = torch.tensor([3, 0, 9, 7, 5])
    fill_statistics(model, draw, x)
    out = Fixture(width=2, mean=MEAN, std=STD)
    out.put_all("weights", parameters(model))
    out.put_all("weights", statistics(model))
    out.put("x", x)
    out.put("y", y)
    for mode in ("eval", "train"):
        model.train(mode == "train")
        logits = model(x)
        out.put(f"{mode}/logits", logits)
        out.put_all(f"{mode}/grad", gradients(model, F.cross_entropy(logits, y)))
    out.put_all("train/stats", statistics(model))
    return out


def swin():
    """Pictures of 28 pixels: 14 and 7 tokens are padded, 14 and 7 are shifted, 4 are not."""
    draw = Draw(12)
    model = SwinTransformer(stochastic_depth_prob=0.0, **SWIN).to(DTYPE).eval()
    fill(model, draw)
    x = draw.uniform((3, 3, 28, 28), 0.0, 1.0)
    y = torch.tensor([3, 0, 9])
    out = Fixture(config=SWIN, mean=MEAN, std=STD)
    out.put_all("weights", parameters(model))
    out.put("x", x)
    out.put("y", y)
    logits = model(normalised(x))
    out.put("eval/logits", logits)
    out.put_all("eval/grad", gradients(model, F.cross_entropy(logits, y)))
    index = model.features[1][0].attn.relative_position_index
    out.put("index", index)
    return out


def official():
    """What the official code's training leaves: weights with their normalisation, and much else."""
    draw = Draw(13)
    model = ResNet18(width=4, channels=3, classes=10, mean=MEAN, std=STD)
    fill(model, draw)
    x = draw.uniform((6, 3, 32, 32), 0.0, 1.0).float()
    y = torch.tensor([3, 0, 9, 3, 7, 5])
    optimizer = torch.optim.SGD(model.parameters(), **SGD)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[91, 136], gamma=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        scheduler.step()
    state = model.state_dict()
    state["normalize.mean"], state["normalize.std"] = torch.tensor(MEAN), torch.tensor(STD)
    path = OUT / "resnet_official.pth"
    torch.save({
        "result": {"train_ta": [10.0], "val_ta": [11.5], "test_ta": []},
        "epoch": 2,
        "state_dict": state,
        "best_sa": 11.5,
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "init_weight": None,
    }, path)
    assert path.stat().st_size < 1 << 20
    print(f"{path.name}: {path.stat().st_size:,} bytes")
    out = Fixture(width=4)
    out.put("x", x)
    out.put("logits", model.to(DTYPE).eval()(x.to(DTYPE)))
    return out


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for make, name in ((vgg, "vgg_tiny"), (swin, "swin_tiny"), (official, "resnet_official")):
        make().write(OUT / f"{name}.safetensors")


if __name__ == "__main__":
    main()
