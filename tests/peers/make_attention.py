"""Writes what the cross-attentions of the tiny latent models look at, as diffusers has it.

    PYTHONPATH=FOLDER python3 tests/peers/make_attention.py && python3 tests/peers/pack.py

from the repository root, with what make_latent_fixtures.py needs, whose models it reads.

Writes tests/fixtures/latent/attention.safetensors: for each model the shares of tokens at each place, the mean
over heads, enlarged to the latents' size (`interpolate`, bilinear), the mean over all cross-attentions:
[n, tokens, h, w], as half precision. Each row of shares is seen to sum to 1.
"""

import gzip
import json
import struct
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load, save_file

LATENT = Path(__file__).resolve().parent.parent / "fixtures" / "latent"


class Watched:
    """diffusers' plain attention without a mask, which keeps its probabilities."""

    def __init__(self, kept):
        self.kept = kept

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **_):
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query = attn.head_to_batch_dim(attn.to_q(hidden_states))
        key = attn.head_to_batch_dim(attn.to_k(context))
        value = attn.head_to_batch_dim(attn.to_v(context))
        # Not get_attention_scores: see make_latent_fixtures.py.
        shares = (torch.bmm(query, key.transpose(1, 2)) * attn.scale).softmax(-1)
        if encoder_hidden_states is not None:
            self.kept.append(shares.reshape(hidden_states.shape[0], attn.heads, *shares.shape[1:]))
        out = attn.batch_to_head_dim(torch.bmm(shares, value))
        return attn.to_out[1](attn.to_out[0](out))


def looked_at(name):
    data = gzip.decompress((LATENT / f"{name}.safetensors.gz").read_bytes())
    tensors = load(data)
    header = json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])
    config = json.loads(header["__metadata__"]["unet"])
    unet = UNet2DConditionModel(**config).double().eval()
    weights = {k[5:]: v.double() for k, v in tensors.items() if k.startswith("unet/")}
    unet.load_state_dict(weights)
    kept = []
    unet.set_attn_processor(Watched(kept))
    z, t, context = tensors["z"].double(), tensors["t"], tensors["context"].double()
    with torch.no_grad():
        eps = unet(z, t, context).sample
    off = (eps - tensors["eps"]).abs().max() / tensors["eps"].abs().max()
    assert off < 1e-5, (name, off)
    maps = []
    for shares in kept:
        assert torch.allclose(shares.sum(-1), torch.ones_like(shares.sum(-1))), name
        shares = shares.mean(1)
        side = int(shares.shape[1] ** 0.5)
        maps.append(torch.nn.functional.interpolate(
            shares.transpose(1, 2).reshape(len(z), -1, side, side), size=z.shape[2:], mode="bilinear"))
    return torch.stack(maps).mean(0)


if __name__ == "__main__":
    found = {name: looked_at(name).half().contiguous() for name in "abcd"}
    for name, map in found.items():
        print(name, tuple(map.shape), float(map.max()))
    save_file(found, LATENT / "attention.safetensors")
