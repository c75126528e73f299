"""The two networks of SalUn Studio in PyTorch, the reference for its golden fixtures.

Both follow docs/methods.md#models; parameter names are those of the weights files.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F


# ---------------------------------------------------------------- ResNet-18, CIFAR form

class BasicBlock(nn.Module):
    """conv-BN-ReLU-conv-BN, plus the shortcut, then ReLU."""

    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        if stride != 1 or c_in != c_out:
            self.downsample = nn.Sequential(
                nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))
        else:
            self.downsample = nn.Identity()

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)))
        h = self.bn2(self.conv2(h))
        return F.relu(h + self.downsample(x))


class ResNet18(nn.Module):
    """Pictures [n, channels, h, w] in [0, 1] to logits [n, classes].

    Mean and standard deviation belong to the network but not to its state dictionary.
    """

    def __init__(self, width, channels, classes, mean, std):
        super().__init__()
        self.mean, self.std = ([v] * channels if isinstance(v, float) else v for v in (mean, std))
        self.conv1 = nn.Conv2d(channels, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        c = width
        for stage in range(4):
            blocks = []
            for index in range(2):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(BasicBlock(c, width << stage, stride))
                c = width << stage
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(c, classes)

    def forward(self, x):
        mean, std = (x.new_tensor(v).reshape(1, -1, 1, 1) for v in (self.mean, self.std))
        h = F.relu(self.bn1(self.conv1((x - mean) / std)))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            h = stage(h)
        return self.fc(h.mean(dim=(2, 3)))


# ---------------------------------------------------------------- class-conditional DDPM U-Net

def group_norm(channels, groups):
    """`groups` groups where they divide the channels, else 4."""
    return nn.GroupNorm(groups if channels % groups == 0 else 4, channels, eps=1e-6)


def time_embedding(t, dim):
    """Rows [sin(t f), cos(t f)], f_i = 10000^(-i / (dim/2 - 1)), in double precision."""
    half = dim // 2
    i = torch.arange(half, dtype=torch.float64)
    frequency = torch.exp(-math.log(10_000.0) * i / (half - 1))
    angle = t.to(torch.float64)[:, None] * frequency[None, :]
    return torch.cat([angle.sin(), angle.cos()], dim=1)


class Mlp(nn.Module):
    """Linear-SiLU-Linear to 4 `ch`."""

    def __init__(self, ch):
        super().__init__()
        self.dense = nn.ModuleList([nn.Linear(ch, 4 * ch), nn.Linear(4 * ch, 4 * ch)])

    def forward(self, x):
        return self.dense[1](F.silu(self.dense[0](x)))


class ResBlock(nn.Module):
    """GN-SiLU-conv, plus the projected embedding, GN-SiLU-conv, plus the input. Dropout is 0."""

    def __init__(self, c_in, c_out, emb, groups):
        super().__init__()
        self.norm1 = group_norm(c_in, groups)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, 1, 1)
        self.temb_cemb_proj = nn.Linear(emb, c_out)
        self.norm2 = group_norm(c_out, groups)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1)
        if c_in != c_out:
            self.nin_shortcut = nn.Conv2d(c_in, c_out, 1)
        else:
            self.nin_shortcut = nn.Identity()

    def forward(self, x, emb):
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.temb_cemb_proj(F.silu(emb))[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        return self.nin_shortcut(x) + h


class Attention(nn.Module):
    """Single-head self-attention over all pixels, plus the input."""

    def __init__(self, c, groups):
        super().__init__()
        self.norm = group_norm(c, groups)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(c, c, 1) for _ in range(4))

    def forward(self, x):
        n, c, height, width = x.shape
        normed = self.norm(x)
        q, k, v = (m(normed).flatten(2) for m in (self.q, self.k, self.v))
        # [n, query pixel, key pixel]
        weight = torch.softmax(torch.einsum("ncq,nck->nqk", q, k) * c ** -0.5, dim=2)
        mixed = torch.einsum("nqk,nck->ncq", weight, v)
        return x + self.proj_out(mixed.reshape(n, c, height, width))


class Downsample(nn.Module):
    """Halves the side: zeros on the right and at the bottom, then a convolution of stride 2."""

    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, 2)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Doubles the side: each pixel twice along both axes, then a convolution."""

    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, 1, 1)

    def forward(self, x):
        return self.conv(x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3))


class Level(nn.Module):
    """The blocks of one resolution. Modules are filled in by `Unet`."""

    def __init__(self):
        super().__init__()
        self.block = nn.ModuleList()
        self.attn = nn.ModuleList()

    def run(self, index, h, emb):
        h = self.block[index](h, emb)
        return self.attn[index](h) if len(self.attn) else h


class Unet(nn.Module):
    """x_t [n, channels, side, side], t [n], class [n], null flag [n] to the predicted noise."""

    def __init__(self, ch, mult, num_res_blocks, attn_resolutions, channels, resolution, classes,
                 groups):
        super().__init__()
        self.ch = ch
        self.temb = Mlp(ch)
        self.classes_emb = nn.Embedding(classes, ch)
        self.null_classes_emb = nn.Parameter(torch.randn(ch))
        self.cemb = Mlp(ch)
        self.conv_in = nn.Conv2d(channels, ch, 3, 1, 1)

        emb = 8 * ch
        side, c, skips = resolution, ch, [ch]
        self.down = nn.ModuleList()
        for index, factor in enumerate(mult):
            level = Level()
            for _ in range(num_res_blocks):
                level.block.append(ResBlock(c, ch * factor, emb, groups))
                c = ch * factor
                if side in attn_resolutions:
                    level.attn.append(Attention(c, groups))
                skips.append(c)
            if index < len(mult) - 1:
                level.downsample = Downsample(c)
                side //= 2
                skips.append(c)
            self.down.append(level)

        self.mid = nn.Module()
        self.mid.block_1 = ResBlock(c, c, emb, groups)
        self.mid.attn_1 = Attention(c, groups)
        self.mid.block_2 = ResBlock(c, c, emb, groups)

        levels = []
        for index, factor in reversed(list(enumerate(mult))):
            level = Level()
            for _ in range(num_res_blocks + 1):
                level.block.append(ResBlock(c + skips.pop(), ch * factor, emb, groups))
                c = ch * factor
                if side in attn_resolutions:
                    level.attn.append(Attention(c, groups))
            if index > 0:
                level.upsample = Upsample(c)
                side *= 2
            levels.append(level)
        assert not skips
        self.up = nn.ModuleList(reversed(levels))

        self.norm_out = group_norm(c, groups)
        self.conv_out = nn.Conv2d(c, channels, 3, 1, 1)

    def forward(self, x, t, c, null):
        temb = self.temb(time_embedding(t, self.ch).to(x.dtype))
        vector = torch.where(null[:, None] != 0, self.null_classes_emb, self.classes_emb(c))
        emb = torch.cat([temb, self.cemb(vector)], dim=1)

        h = self.conv_in(x)
        skips = [h]
        for level in self.down:
            for index in range(len(level.block)):
                h = level.run(index, h, emb)
                skips.append(h)
            if hasattr(level, "downsample"):
                h = level.downsample(h)
                skips.append(h)
        h = self.mid.block_2(self.mid.attn_1(self.mid.block_1(h, emb)), emb)
        for level in reversed(self.up):
            for index in range(len(level.block)):
                h = level.run(index, torch.cat([h, skips.pop()], dim=1), emb)
            if hasattr(level, "upsample"):
                h = level.upsample(h)
        return self.conv_out(F.silu(self.norm_out(h)))
