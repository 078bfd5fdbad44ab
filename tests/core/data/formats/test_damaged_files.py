"""Every reader of points on shortened and altered files: a message or a cloud, and soon."""

import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import spa3d
from spa3d.errors import DataError

NAMES = (
    "little.ply",
    "big.ply",
    "text.ply",
    "faces.ply",
    "text_faces.ply",
    "ascii.pcd",
    "binary.pcd",
    "compressed.pcd",
    "a.las",
    "a.laz",
    "a.e57",
    "a.csv",
    "a.npz",
    "a.pt",
)


def damage(raw: bytes, seed: int) -> bytes:
    """Alter one to three bytes, more often near the front."""
    generator = np.random.default_rng(seed)
    result = bytearray(raw)
    for _ in range(generator.integers(1, 4)):
        end = len(raw) if generator.random() < 0.5 else min(len(raw), 400)
        result[generator.integers(0, end)] = generator.integers(0, 256)
    return bytes(result)


@pytest.mark.parametrize("name", NAMES)
def test_read_cloud_of_a_damaged_file(name: str, write_sample: Callable[[str], Path]) -> None:
    path = write_sample(name)
    raw = path.read_bytes()
    files = [raw[: int(length)] for length in np.linspace(0, len(raw) - 1, 30)]
    files += [damage(raw, seed) for seed in range(50)]
    messages = []
    for content in files:
        path.write_bytes(content)
        start = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                assert len(spa3d.read_cloud(path, count=64)) > 0
        except DataError as error:
            messages.append(str(error))
        assert time.perf_counter() - start < 1
    assert len(messages) > 10  # most shortened files at least
    assert [each for each in messages if not each.startswith(f"{path}: ") or "\n" in each] == []
