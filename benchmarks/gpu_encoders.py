"""Time of an encoder's forward on a GPU, and its difference from the same forward on a CPU.

Eval mode, float32, weights drawn from a seed. `make gpu` runs these cases. The tests compare the outputs with those of
the official code on the GPU.
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
"""Tolerance relative to the largest output; a different order of float32 sums changes about 1e-5."""
TINY = ("pointbert-tiny", "pointnext-tiny", "pointmlp-tiny", "pointnet2-tiny")


def cases(device: str, tiny: bool) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Each encoder at the size of its published weights."""
    for preset in TINY if tiny else ENCODERS:
        yield preset, lambda preset=preset: forward(preset, device, (1, 1024) if tiny else (CLOUDS, POINTS))


def forward(preset: str, device: str, size: tuple[int, int]) -> dict[str, Any]:
    """Milliseconds in float32 and bfloat16, and difference of tokens from the CPU's."""
    torch.manual_seed(0)
    encoder = create("encoder", preset).eval()
    points = clouds(size[0], size[1], encoder.channels)
    with torch.no_grad():
        expected = encoder(points[:1])
        encoder.to(device)
        inputs = points.to(device)
        tokens = encoder(inputs[:1]).cpu()
        duration = milliseconds(lambda: encoder(inputs), 11)
        with torch.autocast(device, torch.bfloat16):
            autocast_duration = milliseconds(lambda: encoder(inputs), 11)
    difference = float((tokens - expected).abs().max() / expected.abs().max())
    return {
        "status": "passed" if difference < CLOSE else "failed",
        "ms": round(duration, 3),
        "ms bf16": round(autocast_duration, 3),
        "relative difference from the CPU": f"{difference:.1e}",
        "clouds x points": "x".join(map(str, size)),
    }


def clouds(count: int, points: int, channels: int) -> Tensor:
    """Random points in the unit ball, with random numbers in the other channels."""
    batch = torch.rand(count, points, channels)
    directions = torch.nn.functional.normalize(torch.randn(count, points, 3), dim=-1)
    batch[..., :3] = directions * torch.rand(count, points, 1)
    return batch
