"""Writes the golden values of single-file checkpoints and of LoRA files.

    PYTHONPATH=FOLDER python3 tests/peers/make_single_files.py

from the repository root. FOLDER holds diffusers 0.30.3, transformers 4.44.2, PEFT 0.12.0, accelerate 0.33.0 and
safetensors; Python is Debian 12's with python3-torch 1.13.1 (CPU). Takes half a minute.

Two tiny pipelines, as Stable Diffusion 1.x and 2.x but narrower, with weights that a formula makes of a tensor's
name and a number's place, so that no weight is stored. Writes tests/fixtures/single.json.gz:

- `names` of each: for each tensor of the single file, its shape and which of diffusers' it is made of. The names
  are those of diffusers' script convert_diffusers_to_original_stable_diffusion.py, generalised to any number of
  levels; before they are written, diffusers' own import (loaders/single_file_utils.py) has to give back every
  weight of the pipeline from them.
- `configs` of each, and latents and picture after a few guided steps; for 1.x also latents with a LoRA in either
  layout, loaded by diffusers' `load_lora_weights` and merged by its `fuse_lora`.
"""

import gzip
import json
import zlib
from pathlib import Path

import numpy as np
import torch
from diffusers import (AutoencoderKL, DDIMScheduler, PNDMScheduler, StableDiffusionPipeline,
                       UNet2DConditionModel)
from diffusers.loaders import single_file_utils as official
from transformers import CLIPTextConfig, CLIPTextModel

OUT = Path(__file__).resolve().parent.parent / "fixtures" / "single.json.gz"
SD = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)
LENGTH = 12
VOCABULARY = 834
STEPS, GUIDANCE, SIDE = 4, 3.0, 8
IDS = [[832, 5, 17, 300, 833], [832, 833]]


def formula(name, shape, scale):
    """The numbers of a tensor: even in +-scale, by a linear congruential generator that its name begins."""
    state = zlib.crc32(name.encode())
    n = int(np.prod(shape))
    out = np.empty(n, dtype=np.float32)
    for i in range(n):
        state = (1664525 * state + 1013904223) & 0xFFFFFFFF
        out[i] = np.float32((state >> 8) / 2.0**24 - 0.5)
    return torch.from_numpy(out * np.float32(2 * scale)).reshape(*shape)


def fill(part, module):
    with torch.no_grad():
        for name, p in module.state_dict().items():
            if name.endswith("position_ids"):
                continue
            whole = f"{part}:{name}"
            fan = max(1, int(np.prod(p.shape[1:])))
            if p.dim() == 1 and name.endswith("weight"):
                p.copy_(1 + formula(whole, p.shape, 0.1))
            elif p.dim() == 1:
                p.copy_(formula(whole, p.shape, 0.1))
            else:
                p.copy_(formula(whole, p.shape, fan**-0.5))
    return module.eval()


def pipeline(second):
    """The parts of one, narrower than Stable Diffusion's; `second` is 2.x."""
    width = [64, 128] if second else [32, 64]
    context = 128 if second else 64
    heads = [1, 2] if second else 8
    unet = UNet2DConditionModel(
        sample_size=96 if second else 64, in_channels=4, out_channels=4, layers_per_block=1,
        block_out_channels=width, cross_attention_dim=context, attention_head_dim=heads,
        use_linear_projection=second, norm_num_groups=32,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"))
    vae = AutoencoderKL(
        sample_size=768 if second else 512, block_out_channels=[32, 32, 32, 64], layers_per_block=1,
        latent_channels=4, down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4)
    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=VOCABULARY, hidden_size=context, intermediate_size=2 * context, num_hidden_layers=2,
        num_attention_heads=context // 64, max_position_embeddings=LENGTH, projection_dim=context,
        hidden_act="gelu" if second else "quick_gelu"))
    if second:
        scheduler = DDIMScheduler(**SD, clip_sample=False, set_alpha_to_one=False,
                                  prediction_type="v_prediction")
    else:
        scheduler = PNDMScheduler(**SD, skip_prk_steps=True, set_alpha_to_one=False)
    parts = dict(text_encoder=text, unet=unet, vae=vae)
    return {k: fill(k, m) for k, m in parts.items()}, scheduler


# The names of a single file.

RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0", "conv2": "out_layers.3",
          "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection"}


def unet_prefixes(config):
    layers, levels = config.layers_per_block, len(config.block_out_channels)
    pairs = {"time_embedding.linear_1.": "time_embed.0.", "time_embedding.linear_2.": "time_embed.2.",
             "conv_in.": "input_blocks.0.0.", "conv_norm_out.": "out.0.", "conv_out.": "out.2.",
             "mid_block.resnets.0.": "middle_block.0.", "mid_block.attentions.0.": "middle_block.1.",
             "mid_block.resnets.1.": "middle_block.2."}
    at = 1
    for i in range(levels):
        for j in range(layers):
            pairs[f"down_blocks.{i}.resnets.{j}."] = f"input_blocks.{at}.0."
            pairs[f"down_blocks.{i}.attentions.{j}."] = f"input_blocks.{at}.1."
            at += 1
        if i < levels - 1:
            pairs[f"down_blocks.{i}.downsamplers.0.conv."] = f"input_blocks.{at}.0.op."
            at += 1
    at = 0
    for i in range(levels):
        attends = config.up_block_types[i].startswith("CrossAttn")
        for j in range(layers + 1):
            pairs[f"up_blocks.{i}.resnets.{j}."] = f"output_blocks.{at}.0."
            pairs[f"up_blocks.{i}.attentions.{j}."] = f"output_blocks.{at}.1."
            at += 1
        pairs[f"up_blocks.{i}.upsamplers.0."] = f"output_blocks.{at - 1}.{2 if attends else 1}."
    return pairs


def vae_prefixes(config):
    layers, levels = config.layers_per_block, len(config.block_out_channels)
    pairs = {}
    for half, down in (("encoder", True), ("decoder", False)):
        for i in range(levels):
            to = i if down else levels - 1 - i
            way = "down" if down else "up"
            for j in range(layers + (not down)):
                pairs[f"{half}.{way}_blocks.{i}.resnets.{j}."] = f"{half}.{way}.{to}.block.{j}."
            pairs[f"{half}.{way}_blocks.{i}.{way}samplers.0."] = f"{half}.{way}.{to}.{way}sample."
        for j in range(2):
            pairs[f"{half}.mid_block.resnets.{j}."] = f"{half}.mid.block_{j + 1}."
        pairs[f"{half}.mid_block.attentions.0."] = f"{half}.mid.attn_1."
        pairs[f"{half}.conv_norm_out."] = f"{half}.norm_out."
    return pairs


ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
OPEN_CLIP = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
             "self_attn.out_proj": "attn.out_proj"}


def begun(name, pairs):
    for start, to in pairs.items():
        if name.startswith(start):
            return to, name[len(start):]
    return "", name


def single(parts, second):
    """Each tensor of the single file: its name to its numbers, and to what it is made of."""
    tensors, sources = {}, {}

    def put(name, source, tensor):
        assert name not in tensors, name
        tensors[name], sources[name] = tensor, source

    pairs = unet_prefixes(parts["unet"].config)
    for name, t in parts["unet"].state_dict().items():
        to, rest = begun(name, pairs)
        if ".resnets." in name:
            layer, end = rest.rsplit(".", 1)
            rest = f"{RESNET[layer]}.{end}"
        put(f"model.diffusion_model.{to}{rest}", [f"unet:{name}"], t)
    pairs = vae_prefixes(parts["vae"].config)
    for name, t in parts["vae"].state_dict().items():
        to, rest = begun(name, pairs)
        if ".attentions." in name:
            layer, end = rest.rsplit(".", 1)
            rest = f"{ATTENTION[layer]}.{end}"
            if t.dim() == 2:
                t = t.reshape(*t.shape, 1, 1)
        rest = rest.replace("conv_shortcut", "nin_shortcut")
        put(f"first_stage_model.{to}{rest}", [f"vae:{name}"], t)
    state = {k: v for k, v in parts["text_encoder"].state_dict().items() if not k.endswith("position_ids")}
    if not second:
        for name, t in state.items():
            put(f"cond_stage_model.transformer.{name}", [f"text_encoder:{name}"], t)
        return tensors, sources
    start = "cond_stage_model.model."
    for name, t in state.items():
        inner = name[len("text_model."):]
        if inner.startswith("encoder.layers."):
            _, _, i, layer = inner.split(".", 3)
            layer, end = layer.rsplit(".", 1)
            block = f"{start}transformer.resblocks.{i}."
            if layer == "self_attn.q_proj":
                three = [name.replace("q_proj", p) for p in ("q_proj", "k_proj", "v_proj")]
                put(f"{block}attn.in_proj_{end}", [f"text_encoder:{n}" for n in three],
                    torch.cat([state[n] for n in three]))
            elif layer not in ("self_attn.k_proj", "self_attn.v_proj"):
                put(f"{block}{OPEN_CLIP[layer]}.{end}", [f"text_encoder:{name}"], t)
        else:
            to = {"embeddings.token_embedding.weight": "token_embedding.weight",
                  "embeddings.position_embedding.weight": "positional_embedding",
                  "final_layer_norm.weight": "ln_final.weight",
                  "final_layer_norm.bias": "ln_final.bias"}[inner]
            put(start + to, [f"text_encoder:{name}"], t)
    return tensors, sources


def same_again(parts, tensors, second):
    """diffusers' own import gives back every weight."""
    unet = official.convert_ldm_unet_checkpoint(dict(tensors), dict(parts["unet"].config))
    vae = official.convert_ldm_vae_checkpoint(dict(tensors), dict(parts["vae"].config))
    if second:
        text = official.convert_open_clip_checkpoint(parts["text_encoder"], dict(tensors))
    else:
        text = official.convert_ldm_clip_checkpoint(dict(tensors))
    for name, back in (("unet", unet), ("vae", vae), ("text_encoder", text)):
        for key, value in parts[name].state_dict().items():
            if key.endswith("position_ids"):
                continue
            other = back.get(key, back.get("text_model." + key))
            assert other is not None, (name, key, list(back)[:5])
            assert torch.equal(other.reshape(value.shape), value), (name, key)


def latents(parts, scheduler):
    """Guided steps from noise that the formula makes."""
    pad = 0 if scheduler.config.prediction_type == "v_prediction" else 833
    ids = torch.tensor([row + [pad] * (LENGTH - len(row)) for row in IDS])
    with torch.no_grad():
        context = parts["text_encoder"](ids)[0]
        z = formula("noise", (1, 4, SIDE, SIDE), 1.7)
        scheduler.set_timesteps(STEPS)
        for t in scheduler.timesteps:
            with_prompt, without = parts["unet"](torch.cat([z, z]), t, context).sample.chunk(2)
            out = without + GUIDANCE * (with_prompt - without)
            z = scheduler.step(out, t, z).prev_sample
        picture = parts["vae"].decode(z / parts["vae"].config.scaling_factor).sample
    short = lambda v: [float(f"{x:.6g}") for x in v.flatten().tolist()]
    return {"latents": short(z), "picture": short(picture[0, :, ::16, ::16])}


# LoRA files: the layers that each changes.

LORA = [("unet", "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"),
        ("unet", "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_out.0"),
        ("unet", "mid_block.attentions.0.proj_in"),
        ("unet", "up_blocks.1.attentions.1.transformer_blocks.0.ff.net.0.proj"),
        ("text_encoder", "text_model.encoder.layers.0.self_attn.q_proj"),
        # Without this one diffusers 0.30.3 takes the file for another layout, and leaves the text encoder's out.
        ("text_encoder", "text_model.encoder.layers.0.self_attn.out_proj"),
        ("text_encoder", "text_model.encoder.layers.1.mlp.fc1")]
RANK, ALPHA, STRENGTH = 3, 6.0, 0.7


def lora(parts):
    """Each layer's change: down and up, as the formula makes them."""
    changes = {}
    for part, layer in LORA:
        weight = parts[part].state_dict()[f"{layer}.weight"]
        inputs, more = weight.shape[1], [1] * (weight.dim() - 2)
        whole = f"{part}:{layer}"
        changes[part, layer] = (formula(f"{whole}:down", [RANK, inputs, *more], 0.2),
                                formula(f"{whole}:up", [weight.shape[0], RANK, *more], 0.2))
    return changes


def lora_file(parts, layout):
    """A LoRA file's tensors: kohya's layout with alpha, or the one that diffusers saves."""
    state = {}
    for (part, layer), (down, up) in lora(parts).items():
        if layout == "kohya":
            name = {"unet": "lora_unet_", "text_encoder": "lora_te_"}[part] + layer.replace(".", "_")
            state |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up,
                      f"{name}.alpha": torch.tensor(ALPHA)}
        else:
            state |= {f"{part}.{layer}.lora_A.weight": down, f"{part}.{layer}.lora_B.weight": up}
    return state


def with_lora(layout):
    """The pipeline of 1.x after diffusers merged the file."""
    parts, scheduler = pipeline(False)
    pipe = StableDiffusionPipeline(**parts, scheduler=scheduler, tokenizer=None, safety_checker=None,
                                   feature_extractor=None, requires_safety_checker=False)
    pipe.load_lora_weights(lora_file(parts, layout))
    pipe.fuse_lora(lora_scale=STRENGTH)
    pipe.unload_lora_weights()
    after = dict(text_encoder=pipe.text_encoder, unet=pipe.unet, vae=pipe.vae)
    before, _ = pipeline(False)
    for (part, layer), (down, up) in lora(before).items():
        a, b = (p[part].state_dict()[f"{layer}.weight"] for p in (before, after))
        delta = STRENGTH * (ALPHA / RANK if layout == "kohya" else 1) * (up.flatten(1) @ down.flatten(1))
        assert torch.allclose(b, a + delta.reshape(a.shape), atol=1e-6), (part, layer)
    return after, scheduler


def main():
    golden = {"steps": STEPS, "guidance": GUIDANCE, "side": SIDE, "ids": IDS}
    for second in (False, True):
        parts, scheduler = pipeline(second)
        tensors, sources = single(parts, second)
        same_again(parts, tensors, second)
        keep = {"unet": ["sample_size", "block_out_channels", "attention_head_dim", "cross_attention_dim",
                         "use_linear_projection", "down_block_types", "up_block_types", "layers_per_block"],
                "vae": ["sample_size", "block_out_channels", "layers_per_block", "scaling_factor"],
                "text_encoder": ["hidden_size", "num_attention_heads", "num_hidden_layers", "hidden_act",
                                 "intermediate_size"]}
        configs = {part: {k: getattr(parts[part].config, k) for k in ks} for part, ks in keep.items()}
        names = {name: [list(tensors[name].shape), sources[name]] for name in sorted(tensors)}
        golden["2" if second else "1"] = {"configs": configs, "names": names, **latents(parts, scheduler)}
    for layout in ("kohya", "diffusers"):
        golden[layout] = latents(*with_lora(layout))["latents"]
    golden["lora"] = {"layers": [list(pair) for pair in LORA], "rank": RANK, "alpha": ALPHA,
                      "strength": STRENGTH}
    OUT.write_bytes(gzip.compress(json.dumps(golden).encode(), mtime=0))


if __name__ == "__main__":
    main()
