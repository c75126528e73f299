"""The rival's side of `salun bench`: the same work in PyTorch, as its users write it.

    python3 bench.py WORK cpu|cuda

Prints "ready"; then, for every line on standard input, does one round and prints its seconds; at
the end of input prints the MiB that the rounds took beyond the start.
"""

import sys

import torch
from torch.nn import functional as F

from models import ResNet18, Unet
from worker import field, serve

BATCH, BATCH_DDPM, PICTURES = 128, 32, 20
DENSITY, LR, DEVICE = 0.5, 0.01, sys.argv[2]


def double_argsort(shapes):
    """The mask as the official code makes it: rank every weight by sorting twice."""
    grads = [torch.rand(shape, device=DEVICE) - 0.5 for shape in shapes]

    def round():
        elements = -torch.cat([g.abs().flatten() for g in grads])
        k = int(len(elements) * DENSITY)
        positions = torch.argsort(elements)
        ranks = torch.argsort(positions)
        masks, start = [], 0
        for g in grads:
            own = ranks[start:start + g.numel()].reshape(g.shape)
            mask = torch.zeros_like(own)
            mask[own < k] = 1
            masks.append(mask)
            start += g.numel()

    return round


def half_masks(net):
    return [(torch.rand_like(p) < DENSITY).float() for p in net.parameters()]


def restore(net, masks, original):
    """Frozen weights back to what they were, exactly."""
    with torch.no_grad():
        for p, m, o in zip(net.parameters(), masks, original):
            p.copy_(torch.where(m == 1, p, o))


def classifier_steps(width):
    net = ResNet18(width, 1, 10, 0.286, 0.353).to(DEVICE).train()
    masks, original = half_masks(net), [p.detach().clone() for p in net.parameters()]
    optimizer = torch.optim.SGD(net.parameters(), LR, momentum=0.9, weight_decay=5e-4)
    x = torch.rand(BATCH, 1, 28, 28, device=DEVICE)
    y = torch.randint(10, (BATCH,), device=DEVICE)

    def round():
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        for p, m in zip(net.parameters(), masks):
            p.grad *= m
        optimizer.step()
        restore(net, masks, original)
        loss.item()

    return round


def shipped_unet():
    return Unet(16, [1, 2, 4], 1, [7], 1, 28, 10, 8).to(DEVICE)


def diffusion_steps():
    net = shipped_unet().train()
    masks, original = half_masks(net), [p.detach().clone() for p in net.parameters()]
    optimizer = torch.optim.Adam(net.parameters(), 1e-4)
    n = BATCH_DDPM
    x, eps = (torch.randn(n, 1, 28, 28, device=DEVICE) for _ in range(2))
    t, c = torch.randint(1000, (n,), device=DEVICE), torch.randint(10, (n,), device=DEVICE)
    null = torch.zeros(n, device=DEVICE)

    def round():
        optimizer.zero_grad()
        with torch.no_grad():
            target = net(x, t, (c + 1) % 10, null)
        forget = F.mse_loss(net(x, t, c, null), target)
        retain = F.mse_loss(net(x, t, c, null), eps)
        loss = forget + 3.07 * retain
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        for p, m in zip(net.parameters(), masks):
            p.grad *= m
        optimizer.step()
        restore(net, masks, original)
        loss.item()

    return round


def guided_sampling(steps=50, guidance=2.0):
    net = shipped_unet().eval()
    alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
    times = list(range(0, 1000, 1000 // steps))
    n = PICTURES
    c = torch.arange(n, device=DEVICE) % 10
    classes, null = torch.cat([c, c]), torch.cat([torch.zeros(n), torch.ones(n)]).to(DEVICE)

    @torch.no_grad()
    def round():
        x = torch.randn(n, 1, 28, 28, device=DEVICE)
        for i in reversed(range(len(times))):
            t = torch.full((2 * n,), times[i], device=DEVICE)
            both = net(torch.cat([x, x]), t, classes, null)
            eps = (1 + guidance) * both[:n] - guidance * both[n:]
            a = alpha_bar[times[i]].item()
            b = alpha_bar[times[i - 1]].item() if i > 0 else 1.0
            x0 = ((x - eps * (1 - a) ** 0.5) / a ** 0.5).clamp(-1, 1)
            eps = (x - x0 * a ** 0.5) / (1 - a) ** 0.5
            x = x0 * b ** 0.5 + eps * (1 - b) ** 0.5
        x.sum().item()

    return round


WORK = {
    "mask-11m": lambda: double_argsort([p.shape for p in ResNet18(64, 3, 10, 0.5, 0.5).parameters()]),
    "threshold-11m": lambda: double_argsort([p.shape for p in ResNet18(64, 3, 10, 0.5, 0.5).parameters()]),
    "mask-100m": lambda: double_argsort([(10_000, 10_000)]),
    "salun-step-16": lambda: classifier_steps(16),
    "salun-step-64": lambda: classifier_steps(64),
    "ddpm-step": diffusion_steps,
    "sample-50": guided_sampling,
}


def main():
    torch.manual_seed(1)
    round = WORK[sys.argv[1]]()
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")
    start = field("VmRSS:")
    serve(round, DEVICE, start)


main()
