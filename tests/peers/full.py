"""A forward pass and a gradient of a U-Net in diffusers' layout, by diffusers, for
`recompute::memory::full_size_agrees_with_diffusers`.

    python3 full.py DIR SIDE OUT.safetensors

SIDE is that of the latent. Of each parameter's gradient 64 values are written, evenly spread, and the largest.
"""

import sys

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

folder, side, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
torch.manual_seed(1)
unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet", torch_dtype=torch.float32)
unet.enable_gradient_checkpointing()
unet.train()
z = torch.randn(1, unet.config.in_channels, side, side)
context = torch.randn(1, 77, unet.config.cross_attention_dim)
made = unet(z, torch.tensor([500]), context).sample
made.square().mean().backward()
found = {"z": z, "context": context, "made": made.detach().contiguous()}
for name, p in unet.named_parameters():
    flat = p.grad.flatten()
    at = torch.arange(64) * len(flat) // 64
    found[f"gradient.{name}"] = torch.cat([flat[at], flat.abs().max()[None]])
save_file(found, out)
