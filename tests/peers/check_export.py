"""Loads what `salun export` writes with PyTorch, strictly, and measures it again.

    /usr/bin/python3 tests/peers/check_export.py target/release/salun   # needs dataset-fashion-mnist

exports the shipped classifier as .pth and .safetensors, loads each as load_export.py does, and
holds its test accuracy against the model card.
"""

import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True

import numpy as np
import torch

from load_export import load

ROOT = Path(__file__).resolve().parents[2]
# As the Debian package dataset-fashion-mnist has the official files.
DATA = Path("/usr/share/datasets/fashion-mnist")


def idx(name, header):
    return np.frombuffer(gzip.open(DATA / name).read(), np.uint8, offset=header)


def main():
    salun = sys.argv[1]
    x = torch.from_numpy(idx("t10k-images-idx3-ubyte.gz", 16).copy()).reshape(-1, 1, 28, 28) / 255
    y = torch.from_numpy(idx("t10k-labels-idx1-ubyte.gz", 8).copy()).long()
    card = json.loads((ROOT / "assets/models/fashion-classifier.json").read_text())
    expected = card["metrics"]["TA"]
    with tempfile.TemporaryDirectory() as folder:
        for name in ("model.pth", "model.safetensors"):
            path = Path(folder) / name
            subprocess.run([salun, "export", "--model", "fashion-classifier", "--out", path, "--quiet"],
                           check=True, stdout=subprocess.DEVNULL)
            model, _ = load(path)
            with torch.no_grad():
                seen = torch.cat([model(part).argmax(1) for part in x.split(500)])
            accuracy = 100.0 * (seen == y).double().mean().item()
            print(f"{name}: TA {accuracy:.2f}, the card says {expected:.2f} (n = {len(y)})")
            assert abs(accuracy - expected) < 0.05


if __name__ == "__main__":
    main()
