"""Writes the golden values of the latent text-to-image models and their tokenizer.

    PYTHONPATH=FOLDER python3 tests/peers/make_latent_fixtures.py

from the repository root. FOLDER holds diffusers 0.30.3, transformers 4.44.2, tokenizers 0.19.1 and
safetensors; Python is Debian 12's with python3-torch 1.13.1 (CPU). Takes half a minute.

Writes tests/fixtures/latent/: `tokenizer.json` (a small vocabulary made here, 1,000 strings of many
scripts and their tokens), `a` to `d.safetensors` (tiny models of random weights: forward, gradients),
`runs.safetensors` (20 steps of every scheduler) and `pipeline/` (a folder that diffusers wrote, in
half precision, the U-Net in shards).

Weights are rounded to half precision first, so that a file holds exactly what torch computed with
(in double precision; results are rounded once, gradients to bfloat16).
"""

import json
import random
import shutil
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import torch
from diffusers import (AutoencoderKL, DDIMScheduler, EulerDiscreteScheduler, PNDMScheduler,
                       StableDiffusionPipeline, UNet2DConditionModel)
from diffusers.models.attention_processor import Attention
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, CLIPTokenizerFast

OUT = Path(__file__).resolve().parent.parent / "fixtures" / "latent"
LIMIT = 1 << 20
LENGTH = 12
VOCABULARY = 700

UNETS = {
    # As Stable Diffusion 1.x, smaller.
    "a": dict(sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
              down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
              up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
              attention_head_dim=2, cross_attention_dim=8),
    # Another number of heads on each level, two layers a level, attention at the bottom.
    "b": dict(sample_size=8, block_out_channels=(8, 8, 16), layers_per_block=2, norm_num_groups=4,
              down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
              up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
              attention_head_dim=(1, 2, 4), cross_attention_dim=12),
    # As Stable Diffusion 2.x: linear projections; and two transformer layers a block.
    "c": dict(sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=8,
              down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
              up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
              attention_head_dim=4, cross_attention_dim=16, use_linear_projection=True,
              transformer_layers_per_block=2),
    # Another time embedding and epsilon, a side that is no power of two.
    "d": dict(sample_size=12, block_out_channels=(12, 16, 16), layers_per_block=1,
              norm_num_groups=2, norm_eps=1e-6, flip_sin_to_cos=False, freq_shift=1,
              down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
              up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
              attention_head_dim=4, cross_attention_dim=8),
}
VAES = {
    "a": dict(block_out_channels=(4, 8), layers_per_block=1, norm_num_groups=4),
    "b": dict(block_out_channels=(4, 4, 8), layers_per_block=1, norm_num_groups=2),
    "c": dict(block_out_channels=(8, 8), layers_per_block=2, norm_num_groups=8),
    "d": dict(block_out_channels=(4, 8), layers_per_block=1, norm_num_groups=2),
}
TEXTS = {
    "a": dict(num_hidden_layers=2, num_attention_heads=2, intermediate_size=16),
    "b": dict(num_hidden_layers=1, num_attention_heads=3, intermediate_size=24),
    "c": dict(num_hidden_layers=2, num_attention_heads=4, intermediate_size=32, hidden_act="gelu"),
    "d": dict(num_hidden_layers=3, num_attention_heads=1, intermediate_size=16),
}
SD = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
SCHEDULERS = {
    "ddim": DDIMScheduler(**SD, clip_sample=False, set_alpha_to_one=False, steps_offset=1),
    "ddim-clip": DDIMScheduler(),
    "ddim-v": DDIMScheduler(**SD, clip_sample=False, prediction_type="v_prediction",
                            timestep_spacing="trailing"),
    "pndm": PNDMScheduler(**SD, skip_prk_steps=True, steps_offset=1),
    "pndm-prk": PNDMScheduler(**SD),
    "pndm-linspace": PNDMScheduler(**SD, skip_prk_steps=True, timestep_spacing="linspace",
                                   set_alpha_to_one=True),
    "euler": EulerDiscreteScheduler(**SD),
    "euler-leading": EulerDiscreteScheduler(**SD, timestep_spacing="leading", steps_offset=1),
    "euler-v": EulerDiscreteScheduler(**SD, timestep_spacing="trailing",
                                      prediction_type="v_prediction"),
}
STEPS = 20
GUIDANCE = 3.0  # (1 + w) eps(c) - w eps(null)


def scores(self, query, key, mask=None):
    """`Attention.get_attention_scores` without a mask; diffusers' own adds 0 times what was in memory before, and of
    that this PyTorch lets NaN through."""
    assert mask is None
    return (torch.bmm(query, key.transpose(1, 2)) * self.scale).softmax(-1)


Attention.get_attention_scores = scores

# ---------------------------------------------------------------- tokenizer

BLOCKS = [(0x20, 0x7e), (0xa0, 0x24f), (0x370, 0x3ff), (0x400, 0x4ff), (0x530, 0x58f),
          (0x590, 0x5ff), (0x600, 0x6ff), (0x900, 0x97f), (0xe00, 0xe7f), (0x1100, 0x11ff),
          (0x1e00, 0x1fff), (0x2000, 0x206f), (0x2070, 0x209c), (0x2150, 0x218b), (0x3040, 0x30ff),
          (0x4e00, 0x4fff), (0xac00, 0xad00), (0xff00, 0xffef), (0x1f300, 0x1f64f),
          (0x1d400, 0x1d4ff)]
WORDS = ("a cat, flat style|two dogs' bowls aren't empty|I'll've it's we're you'd I'm DON'T|"
         "<|startoftext|>a<|endoftext|>b|12345 9.5% x2|naïve Ångström café|Cafe\u0301 A\u030a|"
         "İstanbul ΣΟΦΟΣ ß ǅ|кошка и собака|猫 と 犬|고양이|قطة|แมว|बिल्ली|🐱‍👤 👩‍🔬 🏳️‍🌈|"
         "\t\n  tabs\u00a0and\u3000spaces \u2028 |''''s 's'S't|!?!?—…|e\u0301\u0301|").split("|")


def strings():
    r = random.Random(1)
    out = list(WORDS) + [" ", "a" * 400, "猫" * 100, "\u0000\u0007x", "'", "'s"]
    while len(out) < 1000:
        low, high = r.choice(BLOCKS)
        mixed = r.random() < 0.3
        text = ""
        for _ in range(r.randint(1, 24)):
            if r.random() < 0.15:
                text += r.choice([" ", " ", "'", "'s", ",", "  ", "\n"])
            elif mixed:
                text += chr(r.randint(*r.choice(BLOCKS)))
            else:
                text += chr(r.randint(low, high))
        # What this Unicode has not assigned yet may be anything in another one.
        out.append("".join(c for c in text if unicodedata.category(c) != "Cn"))
    return out


def tokenizer():
    texts = strings()
    base = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    base.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    corpus = [t.lower() for t in texts[:400] + ["a cat, flat style", "two dogs' bowls"] * 20]
    base.train_from_iterator(corpus, trainers.BpeTrainer(
        vocab_size=VOCABULARY, end_of_word_suffix="</w>", initial_alphabet=alphabet,
        show_progress=False))
    merges = [m if isinstance(m, str) else " ".join(m)
              for m in json.loads(base.to_str())["model"]["merges"]]
    vocab = {}
    for token in alphabet + [a + "</w>" for a in alphabet] + [m.replace(" ", "", 1) for m in merges]:
        vocab.setdefault(token, len(vocab))
    for token in ["<|startoftext|>", "<|endoftext|>"]:
        vocab[token] = len(vocab)
    folder = Path(tempfile.mkdtemp())
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    fast = CLIPTokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"),
                             model_max_length=77)
    ids = [fast(t, padding="max_length", truncation=True, max_length=77).input_ids for t in texts]
    end = vocab["<|endoftext|>"]

    def short(row):
        while len(row) > 2 and row[-1] == end and row[-2] == end:
            row = row[:-1]
        return row

    content = {"vocab": vocab, "merges": merges, "length": 77,
               "cases": [[t, short(i)] for t, i in zip(texts, ids)]}
    put("tokenizer.json", json.dumps(content, ensure_ascii=True).encode())
    return folder, vocab


# ---------------------------------------------------------------- models

def put(name, data):
    assert len(data) < LIMIT, (name, len(data))
    (OUT / name).write_bytes(data)
    print(name, len(data))


def save(name, tensors, **meta):
    path = OUT / name
    save_file({k: v.contiguous() for k, v in tensors.items()}, path,
              {k: json.dumps(v) for k, v in meta.items()})
    assert path.stat().st_size < LIMIT, (name, path.stat().st_size)
    print(name, path.stat().st_size)


def shake(model, seed):
    """Random weights that half precision holds exactly; no norm is left at ones and zeros.

    The text encoder's mask overflows in double precision, so it stays in single.
    """
    r = np.random.RandomState(seed)
    with torch.no_grad():
        for p in model.parameters():
            p += torch.from_numpy(0.1 * r.randn(*p.shape)).to(p.dtype)
            p.copy_(p.half().to(p.dtype))
    return model.eval() if isinstance(model, CLIPTextModel) else model.double().eval()


def normal(seed, *shape):
    return torch.from_numpy(np.random.RandomState(seed).randn(*shape).astype(np.float32)).double()


def build(key, vocab):
    width = UNETS[key]["cross_attention_dim"]
    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=len(vocab), hidden_size=width, max_position_embeddings=LENGTH,
        bos_token_id=vocab["<|startoftext|>"], eos_token_id=vocab["<|endoftext|>"],
        pad_token_id=vocab["<|endoftext|>"], projection_dim=width, **TEXTS[key]))
    unet = UNet2DConditionModel(in_channels=4, out_channels=4, **UNETS[key])
    levels = len(VAES[key]["block_out_channels"])
    vae = AutoencoderKL(down_block_types=("DownEncoderBlock2D",) * levels, latent_channels=4,
                        up_block_types=("UpDecoderBlock2D",) * levels,
                        sample_size=UNETS[key]["sample_size"] * 2 ** (levels - 1), **VAES[key])
    return shake(text, 1), shake(unet, 2), shake(vae, 3)


def plain(config):
    return {k: v for k, v in dict(config).items() if not k.startswith("_name")}


def model(key, vocab):
    text, unet, vae = build(key, vocab)
    out, grads = {}, {}
    for part, m in [("text", text), ("unet", unet), ("vae", vae)]:
        for name, p in m.state_dict().items():
            if "position_ids" not in name:
                out[f"{part}/{name}"] = p.half()
    side = UNETS[key]["sample_size"]
    ids = torch.from_numpy(np.random.RandomState(4).randint(0, len(vocab), (2, LENGTH)))
    z, target = normal(5, 2, 4, side, side), normal(6, 2, 4, side, side)
    t = torch.tensor([7, 981])
    context = text(ids).last_hidden_state.double()
    eps = unet(z, t, context).sample
    torch.nn.functional.mse_loss(eps, target).backward()
    x = normal(7, 1, 3, vae.config.sample_size, vae.config.sample_size)
    posterior = vae.encode(x).latent_dist
    latent = posterior.mean + posterior.std * normal(8, *posterior.mean.shape)
    decoded = vae.decode(latent).sample
    (decoded - x).abs().mean().backward()
    for part, m in [("text", text), ("unet", unet), ("vae", vae)]:
        for name, p in m.named_parameters():
            grads[f"grad/{part}/{name}"] = p.grad.bfloat16()
    # Of the text encoder only the layers: its table is mostly zeros.
    out.update({k: v for k, v in grads.items() if "token_embedding" not in k})
    out.update(ids=ids, z=z.float(), t=t, target=target.float(), context=context.float(),
               eps=eps.float(), x=x.float(), mean=posterior.mean.float(),
               logvar=posterior.logvar.float(), noise=normal(8, *posterior.mean.shape).float(),
               decoded=decoded.float())
    out = {k: v.detach() for k, v in out.items()}
    assert all(v.isfinite().all() for v in out.values()), key
    save(f"{key}.safetensors", out, text=text.config.to_dict(), unet=plain(unet.config),
         vae=plain(vae.config))
    return text, unet, vae


def runs(text, unet, vae, vocab):
    ids = torch.from_numpy(np.random.RandomState(4).randint(0, len(vocab), (2, LENGTH)))
    out = {"ids": ids}
    configs = {}
    with torch.no_grad():
        context = text(ids).last_hidden_state.double()
        for i, (name, scheduler) in enumerate(SCHEDULERS.items()):
            scheduler.set_timesteps(STEPS)
            noise = normal(20 + i, 1, 4, 8, 8)
            z = noise * scheduler.init_noise_sigma
            for t in scheduler.timesteps:
                shown = scheduler.scale_model_input(z, t)
                eps = unet(torch.cat([shown] * 2), t, context).sample
                eps = (1 + GUIDANCE) * eps[:1] - GUIDANCE * eps[1:]
                z = scheduler.step(eps, t, z).prev_sample
            out[f"{name}/noise"] = noise.float()
            out[f"{name}/times"] = scheduler.timesteps.double().float()
            out[f"{name}/z"] = z.float()
            configs[name] = {"_class_name": type(scheduler).__name__, **plain(scheduler.config)}
    save("runs.safetensors", out, schedulers=configs, guidance=GUIDANCE, steps=STEPS)


def pipeline(text, unet, vae, folder):
    tokens = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"),
                           model_max_length=LENGTH)
    pipe = StableDiffusionPipeline(vae=vae.half(), text_encoder=text.half(), tokenizer=tokens,
                                   unet=unet.half(), scheduler=SCHEDULERS["pndm"],
                                   safety_checker=None, feature_extractor=None,
                                   requires_safety_checker=False)
    to = OUT / "pipeline"
    shutil.rmtree(to, ignore_errors=True)
    pipe.save_pretrained(to)
    shutil.rmtree(to / "unet")
    unet.save_pretrained(to / "unet", max_shard_size="60KB")
    for path in sorted(to.rglob("*")):
        print(path.relative_to(OUT), path.stat().st_size)


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    folder, vocab = tokenizer()
    first = None
    for key in UNETS:
        parts = model(key, vocab)
        first = first or parts
    runs(*first, vocab)
    pipeline(*first, folder)
