"""Writes what scikit-learn's SVC makes of stored confidences: the membership inference attack.

    /usr/bin/python3 tests/peers/make_mia.py [CONFIDENCES.npz]

from the repository root, with Debian 12's packages and nothing else:

    apt-get install -y --no-install-recommends python3-torch python3-sklearn dataset-fashion-mnist
    # python3 3.11.2, python3-torch 1.13.1, python3-sklearn 1.2.1, python3-numpy 1.24.2

The confidences are the softmax probabilities of the true class that the shipped classifier, its
Retrain twin, the classifier after a few updates of random labels on Sneaker, and the classifier with
noise on its weights give the training part and the test set. With a file name they are kept there
and read again the next time: they take some minutes, the machines half a minute.

Each set of tests/fixtures/mia.safetensors has `members` (the first |D_t| of D_r), `others` (D_t) and
`forget` (D_f) as f32, and `says` (u8, 1 = member): SVC(C=3, kernel="rbf", gamma="auto") on D_f, then
on the members, then on the others.
"""

import gzip
import json
import struct
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import numpy as np
import torch
from sklearn.svm import SVC
from torch.nn import functional as F

from models import ResNet18

ROOT = Path(__file__).resolve().parent.parent.parent
# As the Debian package dataset-fashion-mnist has the official files.
FASHION = Path("/usr/share/datasets/fashion-mnist")
OUT = ROOT / "tests/fixtures/mia.safetensors"
SNEAKER = 7


def idx(name, header, shape):
    raw = gzip.open(FASHION / name).read()[header:]
    return np.frombuffer(raw, np.uint8).reshape(shape)


X = idx("train-images-idx3-ubyte.gz", 16, (60000, 1, 28, 28))
Y = idx("train-labels-idx1-ubyte.gz", 8, (60000,))
XT = idx("t10k-images-idx3-ubyte.gz", 16, (10000, 1, 28, 28))
YT = idx("t10k-labels-idx1-ubyte.gz", 8, (10000,))


def training_part():
    """The product's split: a tenth of each class is held out (docs/methods.md#models), seed 1."""
    state, held = np.random.RandomState(1), np.zeros(60000, bool)
    for c in range(10):
        members = np.where(Y == c)[0]
        held[members[state.choice(len(members), len(members) // 10, replace=False)]] = True
    return np.where(~held)[0]


TRAIN = training_part()


@torch.no_grad()
def load(name):
    blob = (ROOT / f"assets/models/{name}.safetensors").read_bytes()
    n = struct.unpack("<Q", blob[:8])[0]
    model = ResNet18(16, 1, 10, 0.286, 0.353)
    state = model.state_dict()
    for key, about in json.loads(blob[8:8 + n]).items():
        if key != "__metadata__":
            start, end = about["data_offsets"]
            kind = {"F16": np.float16, "F32": np.float32}[about["dtype"]]
            values = np.frombuffer(blob[8 + n + start:8 + n + end], kind).astype(np.float32)
            state[key].copy_(torch.from_numpy(values.reshape(about["shape"])))
    return model.eval()


@torch.no_grad()
def confidences(model, x, y):
    model.eval()
    batches = [torch.from_numpy(x[i:i + 500].astype(np.float32) / 255) for i in range(0, len(x), 500)]
    p = torch.cat([F.softmax(model(b), 1) for b in batches]).numpy()
    return p[np.arange(len(y)), y]


def random_labels(model, steps=60):
    """A few updates of SalUn's kind without a mask: the forget set gets wrong labels."""
    model.train()
    rng = np.random.RandomState(0)
    forget, retain = TRAIN[Y[TRAIN] == SNEAKER], TRAIN[Y[TRAIN] != SNEAKER]
    sgd = torch.optim.SGD(model.parameters(), 0.013, 0.9, weight_decay=5e-4)
    for step in range(steps):
        if step % 3 == 0:
            batch = rng.choice(forget, 128)
            labels = (SNEAKER + rng.randint(1, 10, 128)) % 10
        else:
            batch = rng.choice(retain, 128)
            labels = Y[batch].astype(int)
        x = torch.from_numpy(X[batch].astype(np.float32) / 255)
        loss = F.cross_entropy(model(x), torch.from_numpy(np.asarray(labels)).long())
        sgd.zero_grad()
        loss.backward()
        sgd.step()
    return model


@torch.no_grad()
def noisy(model):
    torch.manual_seed(0)
    for p in model.parameters():
        if p.dim() > 1:
            p.add_(torch.randn_like(p) * p.std() * 0.15)
    return model


def all_confidences():
    models = {
        "orig": load("fashion-classifier"),
        "twin": load("fashion-classifier-retrain-sneaker"),
        "rl": random_labels(load("fashion-classifier")),
        "noisy": noisy(load("fashion-classifier")),
    }
    out = {}
    for name, model in models.items():
        out[f"{name}_train"] = confidences(model, X[TRAIN], Y[TRAIN])
        out[f"{name}_test"] = confidences(model, XT, YT)
    return out


def sets(found):
    """Name, members, others, forget."""
    labels = Y[TRAIN]
    chosen = np.zeros(len(TRAIN), bool)
    chosen[np.random.RandomState(1).choice(len(TRAIN), 5400, replace=False)] = True
    for name in ("orig", "twin", "rl"):
        train, test = found[f"{name}_train"], found[f"{name}_test"][YT != SNEAKER]
        yield f"{name}-class", train[labels != SNEAKER][:len(test)], test, train[labels == SNEAKER]
    for name in ("orig", "noisy"):
        train, test = found[f"{name}_train"], found[f"{name}_test"]
        yield f"{name}-random", train[~chosen][:len(test)], test, train[chosen]
    # The quick budget's subset, and what no model gives.
    train, test = found["orig_train"], found["orig_test"]
    yield "subset", train[~chosen][:3000], test[:3000], train[chosen][:1000]
    rng = np.random.RandomState(5)
    line = np.linspace(0, 1, 101)
    yield "equal", np.full(40, 0.9), np.full(40, 0.9), line
    yield "more-members", np.full(60, 0.9), np.full(40, 0.9), line
    yield "more-others", np.full(40, 0.9), np.full(60, 0.9), line
    yield "separable", 0.8 + 0.2 * rng.rand(300), 0.3 * rng.rand(300), line
    yield "far-apart", np.ones(500), np.zeros(400), line
    yield "one-each", [0.75], [0.25], line
    yield "tiny", [0.9, 0.8, 0.2], [0.1, 0.85], line
    yield "uniform", rng.rand(2000), rng.rand(2000), rng.rand(500)
    yield "saturated", 1 - 1e-7 * rng.rand(2000), 1 - 1e-3 * rng.rand(2000) ** 4, 1 - 1e-4 * rng.rand(500)
    yield "two-humps", np.r_[0.2 + 0.02 * rng.randn(500), 0.8 + 0.02 * rng.randn(500)], \
        0.5 + 0.05 * rng.randn(1000), line


def says(members, others, forget):
    x = np.r_[members, others].astype(np.float64)[:, None]
    y = np.r_[np.ones(len(members)), np.zeros(len(others))]
    machine = SVC(C=3, kernel="rbf", gamma="auto").fit(x, y)
    asked = np.r_[forget, members, others].astype(np.float64)[:, None]
    return machine.predict(asked).astype(np.uint8)


def main():
    kept = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    found = dict(np.load(kept)) if kept and kept.exists() else all_confidences()
    if kept and not kept.exists():
        np.savez(kept, **found)
    tensors = {}
    for name, *three in sets(found):
        members, others, forget = (np.clip(v, 0, 1).astype(np.float32) for v in three)
        for part, values in zip(("members", "others", "forget"), (members, others, forget)):
            tensors[f"{name}/{part}"] = values
        tensors[f"{name}/says"] = says(members, others, forget)
        left = 100 * (tensors[f"{name}/says"][:len(forget)] == 0).mean()
        print(f"{name}: {len(members)} + {len(others)}, MIA {left:.2f} of {len(forget)}")
    header, data = {}, bytearray()
    for name in sorted(tensors, key=lambda n: n.endswith("says")):
        start = len(data)
        data += tensors[name].tobytes()
        header[name] = {"dtype": "U8" if name.endswith("says") else "F32",
                        "shape": list(tensors[name].shape), "data_offsets": [start, len(data)]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    blob = struct.pack("<Q", len(text)) + text + data
    assert len(blob) < 1 << 20, len(blob)
    OUT.write_bytes(blob)
    print(f"{OUT.name}: {len(blob):,} bytes")


main()
