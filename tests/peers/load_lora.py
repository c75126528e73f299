"""Loads a LoRA that `salun export --as-lora` wrote into diffusers, and holds what it makes of the model against the run.

    salun export --run run --as-lora lora.safetensors --rank 64 --layout kohya
    python3 tests/peers/load_lora.py model run/model lora.safetensors

`model` is the folder that the run started from. Says how many layers diffusers changed, and how far the change of
those is from the run's, as a Frobenius norm relative to it; and how far a prediction of the whole U-Net is.
Needs torch, diffusers, transformers, safetensors and peft.
"""

import sys

sys.dont_write_bytecode = True

import torch
from diffusers import StableDiffusionPipeline


def unet(folder, lora=None):
    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None, requires_safety_checker=False)
    if lora:
        pipeline.load_lora_weights(lora)
        pipeline.fuse_lora()
        pipeline.unload_lora_weights()
    return pipeline.unet.eval()


def main(model, run, lora):
    before, after, fused = unet(model), unet(run), unet(model, lora)
    old, new, got = (net.state_dict() for net in (before, after, fused))
    assert old.keys() == got.keys()
    missed = held = left = 0.0
    layers = 0
    for name, value in old.items():
        change = (new[name].double() - value.double()).square().sum().item()
        if torch.equal(got[name], value):
            left += change
        else:
            layers += 1
            held += change
            missed += (new[name].double() - got[name].double()).square().sum().item()
    print(f"{layers} layers changed; relative error {(missed / held) ** 0.5:.1e}; left out {left / (held + left):.1e} of the squared norm")
    torch.manual_seed(1)
    config = before.config
    x = torch.randn(2, config.in_channels, config.sample_size, config.sample_size)
    context = torch.randn(2, 7, config.cross_attention_dim)
    with torch.no_grad():
        a, b, c = (net(x, torch.tensor([10, 500]), context).sample for net in (before, after, fused))
    print(f"prediction: off by {((c - b).norm() / (b - a).norm()).item():.1e} of the change")


if __name__ == "__main__":
    main(*sys.argv[1:])
