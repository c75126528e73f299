#!/usr/bin/env python3
"""Packs Fashion-MNIST smaller than gzip does: python3 scripts/pack-fashion.py FOLDER

FOLDER has the four official files, as Debian's package dataset-fashion-mnist puts them into
/usr/share/datasets/fashion-mnist. Each of assets/data/fashion-mnist/{train,t10k}.packed is parts of
5,000 pictures, one after another: the length of what follows (u32), then by zlib

- how many pixels each of the 256 contexts has (u32, little-endian),
- the pixels' differences from the one above, context by context, else in the pictures' order,
- the labels.

A context follows from the rows above alone, so that a row is unpacked at once; src/data/fashion.rs
does it. Needs numpy; takes a minute.
"""

import gzip
import pathlib
import struct
import sys
import zlib

import numpy as np

PART = 5_000
# Where a step begins of the change of the value above, and of how rough it is around it.
CHANGES = [-60, -20, -5, 0, 1, 6, 21]
ROUGH = [3, 20, 70]
OUT = pathlib.Path(__file__).resolve().parent.parent / "assets/data/fashion-mnist"


def values(path):
    """The bytes of a gzipped IDX file in its shape."""
    file = gzip.decompress(path.read_bytes())
    assert file[:3] == b"\0\0\x08", path
    shape = struct.unpack_from(f">{file[3]}I", file, 4)
    return np.frombuffer(file, np.uint8, offset=4 + 4 * file[3]).reshape(shape)


def packed(pictures, labels):
    x = pictures.astype(np.int32)
    around = np.pad(x, ((0, 0), (2, 0), (1, 1)))
    n, nw, ne, nn = around[:, 1:-1, 1:-1], around[:, 1:-1, :-2], around[:, 1:-1, 2:], around[:, :-2, 1:-1]
    steps = n >> 5, np.digitize(n - nn, CHANGES), np.digitize(abs(n - nw) + abs(ne - n), ROUGH)
    context = (steps[0] * 32 + steps[1] * 4 + steps[2]).ravel()
    order = np.argsort(context, kind="stable")
    counts = np.bincount(context, minlength=256).astype("<u4")
    off = ((x - n) & 255).astype(np.uint8).ravel()[order]
    deflate = zlib.compressobj(9, zlib.DEFLATED, 15, 9)
    body = deflate.compress(counts.tobytes() + off.tobytes() + labels.tobytes()) + deflate.flush()
    return struct.pack("<I", len(body)) + body


def main(folder):
    for name in ("train", "t10k"):
        pictures, labels = (values(folder / f"{name}-{kind}-ubyte.gz")
                            for kind in ("images-idx3", "labels-idx1"))
        parts = range(0, len(pictures), PART)
        file = b"".join(packed(pictures[i:i + PART], labels[i:i + PART]) for i in parts)
        (OUT / f"{name}.packed").write_bytes(file)
        print(name, pictures.size + labels.size, "bytes, packed", len(file), flush=True)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
