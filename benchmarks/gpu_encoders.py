"""What an encoder's forward takes on a GPU, and how far it is from the same forward on a CPU.

Eval mode, float32, weights drawn from a seed. `make gpu` runs these cases; the outputs of the official code are
compared on the GPU by the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from encoders import CLOUDS, ENCODERS, POINTS
from gpu_ops import milliseconds
from torch import Tensor

from spa3d import create

CLOSE = 1e-3
"""Largest difference from the CPU, relative to the largest output; float32 sums in another order differ by 1e-5."""
TINY = ("pointbert-tiny", "pointnext-tiny", "pointmlp-tiny", "pointnet2-tiny")


def cases(device: str, tiny: bool) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Each encoder at the size of its published weights."""
    for preset in TINY if tiny else ENCODERS:
        yield preset, lambda preset=preset: forward(preset, device, (1, 1024) if tiny else (CLOUDS, POINTS))


def forward(preset: str, device: str, size: tuple[int, int]) -> dict[str, Any]:
    """Milliseconds in float32 and under bfloat16 autocast, and the difference of one cloud's tokens from the CPU's."""
    torch.manual_seed(0)
    encoder = create("encoder", preset).eval()
    points = clouds(size[0], size[1], encoder.channels)
    with torch.no_grad():
        wanted = encoder(points[:1])
        encoder.to(device)
        there = points.to(device)
        found = encoder(there[:1]).cpu()
        taken = milliseconds(lambda: encoder(there), 11)
        with torch.autocast(device, torch.bfloat16):
            rounded = milliseconds(lambda: encoder(there), 11)
    off = float((found - wanted).abs().max() / wanted.abs().max())
    return {
        "status": "passed" if off < CLOSE else "failed",
        "ms": round(taken, 3),
        "ms bf16": round(rounded, 3),
        "relative difference from the CPU": f"{off:.1e}",
        "clouds x points": "x".join(map(str, size)),
    }


def clouds(count: int, points: int, channels: int) -> Tensor:
    """Points in the unit ball, and random numbers in the other channels."""
    found = torch.rand(count, points, channels)
    directions = torch.nn.functional.normalize(torch.randn(count, points, 3), dim=-1)
    found[..., :3] = directions * torch.rand(count, points, 1)
    return found
