"""Writes where diffusers' DPM-Solver++ and LCM go, for tests/suite/latent/solvers.rs.

    PYTHONPATH=FOLDER python3 tests/peers/make_solvers.py

from the repository root. FOLDER holds diffusers 0.30.3; Python is Debian 12's with python3-torch 1.13.1
(CPU). Takes a second. Writes tests/fixtures/latent/solvers.json.

The network predicts 0.4 of what it is shown plus 0.00005 t, in double precision. LCM's fresh noise is
sin(i + 1) times a fixed vector at call i, so that it can be made anywhere.
"""

import json
import math
from pathlib import Path

import torch
from diffusers import DPMSolverMultistepScheduler, LCMScheduler
from diffusers.schedulers import scheduling_lcm

OUT = Path(__file__).resolve().parent.parent / "fixtures" / "latent" / "solvers.json"
SD = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
START = [0.3, -0.7, 1.1, -0.2]
NOISE = [0.5, 1.5, -1.0, 0.25]
CASES = [
    (DPMSolverMultistepScheduler, SD, [1, 2, 3, 6, 20, 50]),
    (DPMSolverMultistepScheduler, dict(SD, timestep_spacing="leading", steps_offset=1), [1, 6, 20]),
    (DPMSolverMultistepScheduler, dict(SD, timestep_spacing="trailing"), [6, 7]),
    (DPMSolverMultistepScheduler, dict(SD, prediction_type="v_prediction"), [6]),
    (DPMSolverMultistepScheduler, dict(), [6]),
    (LCMScheduler, SD, [1, 2, 4, 7, 50]),
    (LCMScheduler, dict(SD, prediction_type="v_prediction", clip_sample=True), [4]),
]


def run(scheduler, n):
    scheduler.set_timesteps(n)
    calls = iter(range(n))

    def noise(*_, **__):
        return torch.tensor(NOISE, dtype=torch.float64).reshape(1, 1, 1, 4) * math.sin(next(calls) + 1)

    scheduling_lcm.randn_tensor = noise
    z = torch.tensor(START, dtype=torch.float64).reshape(1, 1, 1, 4) * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        shown = scheduler.scale_model_input(z, t)
        z = scheduler.step(0.4 * shown + 5e-5 * t.double(), t, z).prev_sample
    return scheduler.timesteps.tolist(), z.flatten().tolist()


def main():
    cases = []
    for kind, settings, counts in CASES:
        for n in counts:
            scheduler = kind(**settings)
            times, end = run(scheduler, n)
            config = {k: v for k, v in scheduler.config.items() if not isinstance(v, float) or math.isfinite(v)}
            config = {"_class_name": kind.__name__, **config}
            cases.append({"config": config, "steps": n, "times": times, "end": end})
    lines = ",\n".join(json.dumps(case) for case in cases)
    OUT.write_text(f'{{"start": {START}, "noise": {NOISE}, "cases": [\n{lines}\n]}}\n')
    print(OUT, OUT.stat().st_size)


main()
