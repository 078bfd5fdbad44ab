"""Time of an encoder's forward, with a point-operation backend and with the usual loops.

    .venv/bin/python benchmarks/encoders.py [--pairs 9] [--ops cpp] [--encoders pointnet2-ulip ...]

Eval mode, 4 clouds of 8192 points, one thread, CPU seconds of this process: medians over interleaved pairs. Both sides
run the same module; only the point operations differ. Seconds depend on the machine, so they are reported and not
asserted; the first line gives the time of the naive farthest point sampling for comparison.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from spa3d import create, ops
from spa3d.contracts.ops import Ops
from spa3d.ops.selection import default_backend

ENCODERS = ("pointbert-pointllm", "pointnext-ulip", "pointmlp-ulip", "pointnet2-ulip")
CLOUDS, POINTS = 4, 8192


class Loops(Ops):
    """Point operations as in most model repositories: one loop, and full distance matrices."""

    def fps(self, xyz: Tensor, count: int, start: Tensor) -> Tensor:
        """Sample with a loop over ``(B, N, 3)``."""
        clouds = torch.arange(len(xyz))
        chosen = torch.zeros(len(xyz), count, dtype=torch.long)
        distance = torch.full(xyz.shape[:2], 1e10)
        farthest = start
        for step in range(count):
            chosen[:, step] = farthest
            center = xyz[clouds, farthest][:, None]
            distance = torch.minimum(distance, ((xyz - center) ** 2).sum(-1))
            farthest = distance.max(-1)[1]
        return chosen

    def knn(self, query: Tensor, xyz: Tensor, k: int) -> Tensor:
        """Select the k smallest of all distances."""
        return _distances(query, xyz).topk(k, dim=-1, largest=False)[1]

    def ball_query(self, query: Tensor, xyz: Tensor, radius: float, nsample: int, *, closed: bool) -> Tensor:
        """Set the indices of points outside to N, sort, and take the first."""
        number = xyz.shape[1]
        index = torch.arange(number).repeat(*query.shape[:2], 1)
        index[_distances(query, xyz) > radius**2] = number
        index = index.sort(dim=-1)[0][..., :nsample]
        first = index[..., :1].expand_as(index)
        outside = index == number
        index[outside] = first[outside]
        return index


def _distances(query: Tensor, xyz: Tensor) -> Tensor:
    """Squared distances |a|² + |b|² − 2ab, ``(B, Q, N)``."""
    squares = (query**2).sum(-1)[:, :, None] + (xyz**2).sum(-1)[:, None]
    return squares - 2 * query @ xyz.mT


def seconds(run: Callable[[], object]) -> float:
    """CPU seconds of `run` in this process."""
    start = time.process_time()
    run()
    return time.process_time() - start


def instructions() -> str:
    """Relevant vector instruction sets of this CPU."""
    info = Path("/proc/cpuinfo")
    flags = (
        set(info.read_text(encoding="utf-8").partition("flags")[2].partition("\n")[0].split()) if info.exists() else ()
    )
    known = [name for name in ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_tile") if name in flags]
    return f"{' '.join(known) or 'unknown'}; torch uses {torch.backends.cpu.get_cpu_capability()}"


def compare(preset: str, backend: Ops, pairs: int) -> tuple[float, float]:
    """Median seconds of one forward with `backend` and with the loops."""
    torch.manual_seed(0)
    encoder = create("encoder", preset).eval()
    points = torch.rand(CLOUDS, POINTS, encoder.channels)
    points[..., :3] = torch.nn.functional.normalize(torch.randn(CLOUDS, POINTS, 3), dim=-1) * torch.rand(
        CLOUDS, POINTS, 1
    )
    sides = (backend, Loops())
    durations: tuple[list[float], list[float]] = ([], [])
    for turn in range(pairs + 1):
        for side, times in zip(sides, durations, strict=True):
            with torch.no_grad(), ops.use(side):
                cost = seconds(lambda: encoder(points))
            if turn:  # the first turn warms up
                times.append(cost)
    return statistics.median(durations[0]), statistics.median(durations[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=9, help="interleaved measurements of each side")
    parser.add_argument("--ops", default=None, help="backend; default: that of auto on a CPU")
    parser.add_argument("--encoders", nargs="+", default=ENCODERS, help="presets")
    options = parser.parse_args()
    torch.set_num_threads(1)
    backend = create("ops", options.ops) if options.ops else default_backend("cpu")
    name = options.ops or f"auto ({type(backend).__name__})"
    cloud, start = torch.randn(8, POINTS, 3), torch.zeros(8, dtype=torch.long)
    naive = statistics.median(seconds(lambda: Loops().fps(cloud, 512, start)) for _ in range(5))
    print(f"instruction sets: {instructions()}")
    print(f"naive farthest point sampling, 8 x 8192 -> 512: {naive:.2f} s")
    print(f"{'encoder':<20}{name + ', s':>22}{'loops, s':>12}{'ratio':>9}   (medians of {options.pairs} pairs)")
    for preset in options.encoders:
        fast, slow = compare(preset, backend, options.pairs)
        print(f"{preset:<20}{fast:>22.3f}{slow:>12.2f}{slow / fast:>8.1f}x", flush=True)


if __name__ == "__main__":
    main()
