"""Unlearns a small classifier in PyTorch alone, for `salun eval --before ... --after ...`.

    python3 tests/peers/after.py before.pth FOLDER CLASS after.pth [SIDE]

`before.pth` is what `salun export` wrote of a ResNet-18 for a folder of classes; FOLDER holds a sub-folder a
class, of which CLASS is to be forgotten: its pictures are learnt as another class, the others as they are (random
labelling). `after.pth` is the state dictionary. Needs torch, numpy and Pillow.
"""

import sys
from pathlib import Path

sys.dont_write_bytecode = True

import torch
from torch.nn import functional as F

from load_export import load, pictures

EPOCHS, BATCH, RATE = 6, 16, 0.02


def main():
    before, folder, name, after = sys.argv[1:5]
    side = int(sys.argv[5]) if len(sys.argv) > 5 else 28
    torch.manual_seed(1)
    network, tensors = load(Path(before))
    # As buffers, mean and deviation stay what they are.
    channels = len(network.normalize.mean)
    classes = sorted(f.name for f in Path(folder).iterdir() if f.is_dir())
    x, y = [], []
    for label, one in enumerate(classes):
        all_of_it = torch.stack(list(pictures(Path(folder) / one, side, channels)))
        x.append(all_of_it)
        y.append(torch.full((len(all_of_it),), label))
    x, y = torch.cat(x), torch.cat(y)
    gone = classes.index(name)
    target = torch.where(y == gone, (y + torch.randint(1, len(classes), y.shape)) % len(classes), y)
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE, momentum=0.9)
    network.train()
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            F.cross_entropy(network(x[batch]), target[batch]).backward()
            optimizer.step()
    network.eval()
    with torch.no_grad():
        seen = network(x).argmax(1)
    for label, one in enumerate(classes):
        right = (seen[y == label] == label).double().mean().item()
        print(f"{one}: {100 * right:.1f} % of {int((y == label).sum())} are seen")
    state = network.state_dict()
    assert state.keys() == tensors.keys()
    torch.save(state, after)


if __name__ == "__main__":
    main()
