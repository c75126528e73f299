"""Packs the fixtures that the scripts beside this one wrote: python3 tests/peers/pack.py

Each tests/fixtures/NAME becomes NAME.gz, which the tests read; the pipeline's folder stays as it is.
"""

import gzip
from pathlib import Path

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


def main():
    for folder in (FIXTURES, FIXTURES / "latent"):
        for path in sorted([*folder.glob("*.safetensors"), *folder.glob("*.pth")]):
            packed = gzip.compress(path.read_bytes(), 9, mtime=0)
            path.with_name(f"{path.name}.gz").write_bytes(packed)
            print(f"{path.name}: {path.stat().st_size:,} bytes, packed {len(packed):,}")
            path.unlink()


if __name__ == "__main__":
    main()
