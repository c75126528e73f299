"""The rival's side of `salun bench --model DIR`: a picture, a mask and updates of a text-to-image model in
diffusers' layout, as users of diffusers and PyTorch write them for a small machine.

    python3 stable.py WORK cpu|cuda DIR LATENTS UPDATES

Speaks as bench.py does; the MiB at the end are all that the process held at its height.
"""

import sys

import torch
from diffusers import StableDiffusionPipeline
from torch.nn import functional as F
from worker import serve

WORK, DEVICE, FOLDER = sys.argv[1:4]
SCORED, UPDATES = map(int, sys.argv[4:6])
STEPS = 2
DENSITY, GUIDANCE, LR, ALPHA = 0.5, 7.5, 1e-5, 0.1


def pipeline():
    made = StableDiffusionPipeline.from_pretrained(FOLDER, torch_dtype=torch.float32, safety_checker=None)
    made.set_progress_bar_config(disable=True)
    return made.to(DEVICE)


def vectors(pipe, *prompts):
    ids = pipe.tokenizer(
        list(prompts), padding="max_length", max_length=pipe.tokenizer.model_max_length, truncation=True,
        return_tensors="pt").input_ids
    with torch.no_grad():
        return pipe.text_encoder(ids.to(DEVICE))[0]


def learning():
    """The U-Net, ready for gradients of one latent; what a prompt, another and none say to it."""
    pipe = pipeline()
    said = vectors(pipe, "a cat", "a dog", "")
    unet, schedule = pipe.unet, pipe.scheduler.alphas_cumprod.to(DEVICE)
    # Neither is needed any more.
    del pipe
    unet.train()
    unet.enable_gradient_checkpointing()
    shape = (1, unet.config.in_channels, unet.config.sample_size, unet.config.sample_size)

    def noised():
        eps, t = torch.randn(shape, device=DEVICE), torch.randint(1000, (1,), device=DEVICE)
        at = schedule[t].reshape(1, 1, 1, 1)
        return torch.randn(shape, device=DEVICE) * at.sqrt() + eps * (1 - at).sqrt(), t, eps

    return unet, said, noised


def draw():
    pipe = pipeline()
    return lambda: pipe("a cat", num_inference_steps=STEPS, guidance_scale=GUIDANCE)


def mask():
    unet, said, noised = learning()
    cat, _, nothing = said.split(1)

    def round():
        for _ in range(SCORED):
            x, t, eps = noised()
            with_words, without = unet(torch.cat([x, x]), t, torch.cat([cat, nothing])).sample.split(1)
            made = (1 + GUIDANCE) * with_words - GUIDANCE * without
            (F.mse_loss(made, eps) / SCORED).backward()
        scores = torch.cat([p.grad.abs().flatten() for p in unet.parameters()])
        unet.zero_grad()
        k = int(DENSITY * len(scores))
        least = scores.kthvalue(len(scores) - k + 1).values
        (scores >= least).sum().item()

    return round


def updates():
    unet, said, noised = learning()
    cat, dog, _ = said.split(1)
    masks = [torch.rand_like(p) < DENSITY for p in unet.parameters()]
    optimizer = torch.optim.Adam(unet.parameters(), LR)

    def round():
        for _ in range(UPDATES):
            x, t, _ = noised()
            with torch.no_grad():
                target = unet(x, t, dog).sample
            F.mse_loss(unet(x, t, cat).sample, target).backward()
            x, t, eps = noised()
            (ALPHA * F.mse_loss(unet(x, t, dog).sample, eps)).backward()
            for p, m in zip(unet.parameters(), masks):
                p.grad *= m
            optimizer.step()
            optimizer.zero_grad()

    return round


def main():
    torch.manual_seed(1)
    round = {"stable-draw": draw, "stable-mask": mask, "stable-updates": updates}[WORK]()
    serve(round, DEVICE, 0)


main()
