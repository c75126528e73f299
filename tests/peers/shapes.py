"""Draws a folder of four classes of shapes, 64 x 48, PNG and JPEG mixed: pictures that no shipped model has seen.

    python3 tests/peers/shapes.py shapes [PICTURES A CLASS]
"""

import random
import sys
from math import cos, pi, sin
from pathlib import Path

from PIL import Image, ImageDraw

WIDTH, HEIGHT, ENLARGED = 64, 48, 4
CORNERS = {
    "circle": [i / 32 for i in range(32)],
    "square": [i / 4 + 1 / 8 for i in range(4)],
    "triangle": [i / 3 - 1 / 4 for i in range(3)],
    "star": [i / 10 - 1 / 4 for i in range(10)],
}


def picture(name, dice):
    """A shape of one colour on another, somewhere near the middle, turned a little."""
    dark = tuple(dice.randint(0, 90) for _ in "rgb")
    light = tuple(dice.randint(150, 255) for _ in "rgb")
    image = Image.new("RGB", (WIDTH * ENLARGED, HEIGHT * ENLARGED), dark)
    radius = dice.uniform(12, 19) * ENLARGED
    middle = [(side / 2 + dice.uniform(-4, 4)) * ENLARGED for side in (WIDTH, HEIGHT)]
    turn = dice.uniform(-0.04, 0.04)
    points = []
    for i, at in enumerate(CORNERS[name]):
        far = radius * (0.45 if name == "star" and i % 2 else 1.0)
        angle = 2 * pi * (at + turn)
        points.append((middle[0] + far * cos(angle), middle[1] + far * sin(angle)))
    ImageDraw.Draw(image).polygon(points, fill=light)
    return image.resize((WIDTH, HEIGHT), Image.LANCZOS)


def main():
    folder, count = Path(sys.argv[1]), int((sys.argv[2:] or ["60"])[0])
    dice = random.Random(1)
    for name in CORNERS:
        (folder / name).mkdir(parents=True)
        for i in range(count):
            picture(name, dice).save(folder / name / f"{i:03}.{('png', 'jpg')[i % 2]}", quality=92)


main()
