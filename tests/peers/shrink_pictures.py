"""Writes the recorded pictures of the studio with the same pixels in fewer bytes.

    python tests/peers/shrink_pictures.py tests/fixtures/studio

Needs Pillow and zopfli.
"""

import sys
from io import BytesIO
from pathlib import Path

import zopfli.png
from PIL import Image

for path in sorted(Path(sys.argv[1]).glob("*.png")):
    picture = Image.open(path).convert("RGB")
    if picture.getcolors(256):
        indexed = picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=256)
        if indexed.convert("RGB").tobytes() == picture.tobytes():
            picture = indexed
    file = BytesIO()
    picture.save(file, "PNG", optimize=True)
    smaller = zopfli.png.optimize(file.getvalue())
    if len(smaller) < path.stat().st_size:
        path.write_bytes(smaller)
