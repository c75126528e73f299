"""Writes what the methods' formulas give, computed by PyTorch and numpy alone.

    /usr/bin/python3 tests/peers/make_method_fixtures.py

from the repository root writes tests/fixtures/methods.safetensors in a second. Packages and
precision are those of make_fixtures.py.
"""

import math
import sys

sys.dont_write_bytecode = True

import numpy as np
import torch
from torch.nn import functional as F

from make_fixtures import DTYPE, OUT, Draw, Fixture

LABELS = torch.tensor([3, 0, 9, 3, 7, 5])
FORGOTTEN = torch.tensor([1, 0, 1, 0, 0, 1])
SCRUB = dict(gamma=0.9, alpha=0.3, temperature=4.0)
SFR = dict(alpha=25.0, step=3, steps=10)
BETA = 0.8
XI = 1e-8
SSD = dict(alpha=10.0, **{"lambda": 0.7})


def kl(teacher, student, temperature):
    """The usual distillation loss: KL of tempered outputs, batch mean, times the square."""
    return F.kl_div(
        F.log_softmax(student / temperature, dim=1), F.softmax(teacher / temperature, dim=1),
        reduction="batchmean") * temperature ** 2


def losses(out, draw):
    teacher, bad = (draw.normal((6, 10), 3.0) for _ in range(2))
    student = draw.normal((6, 10), 3.0).requires_grad_()
    for name, tensor in dict(teacher=teacher, bad=bad, student=student, labels=LABELS,
                             forgotten=FORGOTTEN).items():
        out.put(name, tensor)

    def put(name, loss):
        student.grad = None
        loss.backward()
        out.put(f"{name}/loss", loss.reshape(1))
        out.put(f"{name}/grad", student.grad)

    t = SCRUB["temperature"]
    put("scrub/away", -kl(teacher, student, t))
    put("scrub/back", SCRUB["gamma"] * F.cross_entropy(student, LABELS)
        + SCRUB["alpha"] * kl(teacher, student, t))

    # Row by row: each picture is taught by one of the two.
    rows = [kl(bad[i:i + 1] if FORGOTTEN[i] else teacher[i:i + 1], student[i:i + 1], 1.0)
            for i in range(6)]
    put("bad_teacher", torch.stack(rows).mean())

    # Without the true class, its logit is minus infinity and its probability nothing.
    q = teacher.clone()
    q[torch.arange(6), LABELS] = -math.inf
    q = q.softmax(dim=1)
    log_p = student.log_softmax(dim=1)
    terms = [q[i, j] * (q[i, j].log() - log_p[i, j])
             for i in range(6) for j in range(10) if j != LABELS[i]]
    put("delete", torch.stack(terms).sum() / 6)

    each = F.cross_entropy(student, LABELS, reduction="none")
    root = each.detach() ** -0.5
    weights = root / root.sum() * len(root)
    alpha = SFR["alpha"] * (1 + math.cos(math.pi * SFR["step"] / SFR["steps"])) / 2
    put("sfr_on", -alpha * (weights * each).mean())


def neggrad(out, draw):
    """Gradients of a linear model's two losses, and of their difference by one backward pass."""
    theta = draw.normal((4, 5)).requires_grad_()
    x_f, x_r = draw.normal((3, 5)), draw.normal((7, 5))
    y_f, y_r = torch.tensor([0, 1, 3]), torch.tensor([2, 2, 0, 1, 3, 1, 0])

    def loss(x, y):
        return F.cross_entropy(x @ theta.T, y)

    def grad(value):
        theta.grad = None
        value.backward()
        return theta.grad.reshape(-1).clone()

    out.put("neggrad/forget_loss", loss(x_f, y_f).reshape(1))
    out.put("neggrad/retain_loss", loss(x_r, y_r).reshape(1))
    out.put("neggrad/forget_grad", grad(loss(x_f, y_f)))
    out.put("neggrad/retain_grad", grad(loss(x_r, y_r)))
    both = BETA * loss(x_r, y_r) - (1 - BETA) * loss(x_f, y_f)
    out.put("neggrad/loss", both.reshape(1))
    out.put("neggrad/grad", grad(both))


def munba(out, draw):
    f, r = (draw.normal((12,)).numpy() for _ in range(2))
    for name, f, r in (("munba", f, r), ("munba_aligned", f, 3.0 * f)):
        f, r = f.astype(np.float32).astype(np.float64), r.astype(np.float32).astype(np.float64)
        cos = f @ r / np.linalg.norm(f) / np.linalg.norm(r)
        if cos > 1 - 1e-6:
            step = 0.5 * f + 0.5 * r
        else:
            sin2 = 1 - cos ** 2
            common = np.sqrt((1 - cos) / (sin2 + XI))
            step = common * (f / np.linalg.norm(f) + r / np.linalg.norm(r))
        for part, value in (("forget", f), ("retain", r), ("step", step)):
            out.put(f"{name}/{part}", torch.from_numpy(value))


def ssd(out, draw):
    theta = draw.normal((40,))
    of_all = draw.uniform((40,), 0.0, 1.0)
    of_forget = of_all * draw.uniform((40,), 0.0, 30.0)
    of_all[5] = 0.0
    of_forget[6] = 0.0
    result = theta.clone()
    for i in range(40):
        if of_forget[i] > SSD["alpha"] * of_all[i]:
            result[i] *= min(SSD["lambda"] * float(of_all[i]) / float(of_forget[i]), 1.0)
    for name, tensor in dict(theta=theta, forget=of_forget, all=of_all, result=result).items():
        out.put(f"ssd/{name}", tensor)


def main():
    torch.set_num_threads(1)
    out, draw = Fixture(scrub=SCRUB, sfr=SFR, beta=BETA, xi=XI, ssd=SSD), Draw(11)
    for part in (losses, neggrad, munba, ssd):
        part(out, draw)
    assert DTYPE == torch.float64
    out.write(OUT / "methods.safetensors")


if __name__ == "__main__":
    main()
