"""Time of the point operations: the `cpp` backend against other installed ones.

    .venv/bin/python benchmarks/ops.py [--pairs 9]

Prints medians of interleaved pairs: CPU milliseconds of the process with one thread, and wall milliseconds of the
neighbor search with two. The peers are our `torch` backend, a usual loop in torch, and, if installed, torch-quickfps,
torch-points-kernels and pykdtree, each at its best setting found here. Before timing, the indices of `cpp` are compared
with the reference.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from spa3d_plugins.ops.cpp import LEVELS, CppOps
from spa3d_plugins.ops.torch import TorchOps

Run = Callable[[], Any]
OURS, REFERENCE = CppOps(), TorchOps()


def peer(name: str) -> ModuleType | None:
    """Import an optional package; None if it is missing or its compiled part fails to load."""
    try:
        return importlib.import_module(name)
    except (ImportError, OSError, RuntimeError) as error:
        print(f"{name}: left out ({str(error).splitlines()[0]})")
        return None


@dataclass(frozen=True)
class Row:
    """One comparison: operation, data, peer, both calls, and the target ratio."""

    what: str
    data: str
    peer: str
    ours: Run
    theirs: Run
    goal: float | None = None
    level: int | None = None


def volume(clouds: int, points: int, generator: torch.Generator) -> Tensor:
    """Random points, uniform in the unit ball."""
    direction = torch.randn(clouds, points, 3, generator=generator)
    radius = torch.rand(clouds, points, 1, generator=generator) ** (1 / 3)
    return (direction / direction.norm(dim=-1, keepdim=True) * radius).contiguous()


def surface(clouds: int, points: int, generator: torch.Generator) -> Tensor:
    """Random points on the surfaces of a box and a sphere, shuffled, scaled into the unit ball."""
    box = torch.rand(clouds, points, 3, generator=generator) * 2 - 1
    side = torch.randint(0, 3, (clouds, points, 1), generator=generator)
    box = box.scatter(2, side, box.gather(2, side).sign()) * torch.tensor([1.0, 0.6, 0.3])
    sphere = torch.randn(clouds, points // 2, 3, generator=generator)
    box[:, : points // 2] = sphere / sphere.norm(dim=-1, keepdim=True) * 0.4 + torch.tensor([0.0, 0.5, 0.6])
    xyz = box[:, torch.randperm(points, generator=generator)]
    xyz = xyz - xyz.mean(dim=1, keepdim=True)
    return (xyz / xyz.norm(dim=-1).amax(dim=1)[:, None, None]).contiguous()


def loop_fps(xyz: Tensor, count: int) -> Tensor:
    """Farthest point sampling as in most code bases."""
    clouds, points, _ = xyz.shape
    chosen = torch.zeros(clouds, count, dtype=torch.long)
    distance = torch.full((clouds, points), 1e10)
    farthest = torch.zeros(clouds, dtype=torch.long)
    rows = torch.arange(clouds)
    for i in range(count):
        chosen[:, i] = farthest
        apart = ((xyz - xyz[rows, farthest][:, None]) ** 2).sum(-1)
        distance = torch.minimum(distance, apart)
        farthest = distance.max(-1).indices
    return chosen


def square_distance(query: Tensor, xyz: Tensor) -> Tensor:
    """Squared distances in the expanded form |q|² − 2 q·x + |x|², as in most code bases."""
    return query.square().sum(-1)[..., None] - 2 * query @ xyz.mT + xyz.square().sum(-1)[:, None]


def loop_ball(query: Tensor, xyz: Tensor, radius: float, places: int) -> Tensor:
    """Ball query as in most code bases: sort all indices, with a large index for points outside."""
    points = xyz.shape[1]
    index = torch.arange(points).repeat(*query.shape[:2], 1)
    index[square_distance(query, xyz) > radius**2] = points
    index = index.sort(dim=-1).values[..., :places]
    return torch.where(index == points, index[..., :1], index)


def choose_fastest(runs: dict[Any, Run]) -> Run:
    """Choose the fastest of several settings, by the minimum of three runs."""
    return min(runs.values(), key=lambda run: min(clock(run, time.process_time) for _ in range(3)))


def clock(run: Run, timer: Callable[[], float]) -> float:
    """Milliseconds of one call."""
    start = timer()
    run()
    return (timer() - start) * 1e3


def fps_rows(data: str, xyz: Tensor, count: int, *, large: bool) -> list[Row]:
    what, start = f"FPS {xyz.shape[1]} -> {count}, batch {len(xyz)}", torch.zeros(len(xyz), dtype=torch.int64)
    check(OURS.fps(xyz, count, start), REFERENCE.fps(xyz, count, start), what)

    def ours() -> Tensor:
        return OURS.fps(xyz, count, start)

    rows = []
    if quick := peer("torch_quickfps"):
        theirs = choose_fastest({h: lambda h=h: quick.sample_idx(xyz, count, h=h, start_idx=0) for h in range(3, 9)})
        rows.append(Row(what, data, "torch-quickfps", ours, theirs, 1.2 if large else 2))
        if OURS.level > 1:
            rows.append(Row(f"{what} (AVX2)", data, "torch-quickfps", ours, theirs, 1.2, level=1))
    if large:
        return rows
    if kernels := peer("torch_points_kernels"):
        rows.append(
            Row(what, data, "torch-points-kernels", ours, lambda: kernels.furthest_point_sample(xyz, count), 40)
        )
    rows.append(Row(what, data, "torch backend", ours, lambda: REFERENCE.fps(xyz, count, start), 15))
    rows.append(Row(what, data, "usual torch loop", ours, lambda: loop_fps(xyz, count)))
    return rows


def knn_rows(data: str, query: Tensor, xyz: Tensor, k: int, goal: float) -> list[Row]:
    what = f"kNN {query.shape[1]} x {xyz.shape[1]}, k {k}, batch {len(xyz)}"
    check(OURS.knn(query, xyz, k), REFERENCE.knn(query, xyz, k), what)

    def ours() -> Tensor:
        return OURS.knn(query, xyz, k)

    rows = []
    if tree := peer("pykdtree.kdtree"):
        pairs = [(cloud.numpy(), centers.numpy()) for cloud, centers in zip(xyz, query, strict=True)]

        def theirs(leaf: int) -> None:
            for cloud, centers in pairs:
                tree.KDTree(cloud, leafsize=leaf).query(centers, k=k)

        leaves = {leaf: lambda leaf=leaf: theirs(leaf) for leaf in (8, 16, 32)}
        rows.append(Row(what, data, "pykdtree", ours, choose_fastest(leaves), goal))
    if kernels := peer("torch_points_kernels"):
        rows.append(Row(what, data, "torch-points-kernels", ours, lambda: kernels.knn(xyz, query, k), goal))
    rows.append(Row(what, data, "torch backend", ours, lambda: REFERENCE.knn(query, xyz, k)))
    rows.append(
        Row(what, data, "usual torch code", ours, lambda: square_distance(query, xyz).topk(k, dim=-1, largest=False))
    )
    return rows


def ball_rows(data: str, query: Tensor, xyz: Tensor, radius: float, places: int) -> list[Row]:
    what = f"ball r {radius}, {places} of {xyz.shape[1]}, {query.shape[1]} centers, batch {len(xyz)}"

    def ours() -> Tensor:
        return OURS.ball_query(query, xyz, radius, places, closed=True)

    def reference() -> Tensor:
        return REFERENCE.ball_query(query, xyz, radius, places, closed=True)

    check(ours(), reference(), what)
    rows = []
    if kernels := peer("torch_points_kernels"):

        def theirs() -> Any:
            return kernels.ball_query(radius, places, xyz, query, mode="dense", sort=True)

        rows.append(Row(what, data, "torch-points-kernels", ours, theirs, 10))
    rows.append(Row(what, data, "torch backend", ours, reference))
    rows.append(Row(what, data, "usual torch code", ours, lambda: loop_ball(query, xyz, radius, places)))
    return rows


def three_rows(data: str, query: Tensor, xyz: Tensor) -> list[Row]:
    what = f"three-NN {query.shape[1]} <- {xyz.shape[1]}, batch {len(xyz)}"
    check(OURS.knn(query, xyz, 3), REFERENCE.knn(query, xyz, 3), what)

    def ours() -> Tensor:
        return OURS.knn(query, xyz, 3)

    rows = []
    if kernels := peer("torch_points_kernels"):
        rows.append(Row(what, data, "torch-points-kernels", ours, lambda: kernels.three_nn(query, xyz), 1.3))
    rows.append(Row(what, data, "torch backend", ours, lambda: REFERENCE.knn(query, xyz, 3)))
    return rows


def check(actual: Tensor, expected: Tensor, what: str) -> None:
    if not torch.equal(actual, expected):
        raise SystemExit(f"{what}: the indices differ from the reference")


def measure(row: Row, pairs: int, timer: Callable[[], float]) -> None:
    """Print one line with medians of interleaved pairs.

    Each of our times is the mean of three calls.
    """
    level, OURS.level = OURS.level, OURS.level if row.level is None else row.level
    row.ours(), row.theirs()
    ours, theirs = [], []
    for _ in range(pairs):
        ours.append(sum(clock(row.ours, timer) for _ in range(3)) / 3)
        theirs.append(clock(row.theirs, timer))
    OURS.level = level
    own, other = statistics.median(ours), statistics.median(theirs)
    goal = "" if row.goal is None else f"  (goal {row.goal:g})"
    print(
        f"{row.what:<46} {row.data:<8} {own:8.2f} {other:9.2f}  {row.peer:<21} {other / own:7.1f} x{goal}", flush=True
    )


def machine() -> str:
    """Name of the CPU and its relevant instruction sets."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    fields = dict(line.split(":", 1) for line in info.split("\n\n")[0].splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    sets = [name for name in ("avx2", "avx512f", "avx512dq", "avx512bw", "avx512vl") if name in info.split()]
    return f"{fields.get('model name', platform.processor())} ({os.cpu_count()} CPUs; {', '.join(sets)})"


def run(threads: int, pairs: int) -> None:
    torch.set_num_threads(threads)
    timer = time.process_time if threads == 1 else time.perf_counter
    unit = "CPU ms, 1 thread" if threads == 1 else f"wall ms, {threads} threads"
    print(f"\n{unit:<55} {'cpp':>8} {'peer':>9}  {'peer':<21} {'quicker':>9}")
    for data in (volume, surface):
        generator, name = torch.Generator().manual_seed(0), data.__name__
        xyz, small = data(8, 8192, generator), data(8, 512, generator)
        centers = xyz[:, :512].contiguous()
        rows = knn_rows(name, centers, xyz, 32, 1 if threads == 1 else 1.5)
        if threads == 1:
            rows = [
                *fps_rows(name, xyz, 512, large=False),
                *fps_rows(name, data(4, 32768, generator), 1024, large=True),
                *ball_rows(name, centers, xyz, 0.2, 32),
                *rows,
                *three_rows(name, xyz, small),
            ]
        for row in rows:
            if threads == 1 or row.goal:  # with more threads only the trees
                measure(row, pairs, timer)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=9, help="interleaved pairs per comparison")
    parser.add_argument("--threads", type=int, help="number of threads; measures in this process")
    arguments = parser.parse_args()
    if arguments.threads:
        return run(arguments.threads, arguments.pairs)
    print(machine(), f"; torch {torch.__version__}; cpp runs {LEVELS[OURS.level]}", sep="", flush=True)
    for threads in ("1", "2"):  # OpenMP's number of threads is fixed when a process starts
        command = [sys.executable, __file__, "--pairs", str(arguments.pairs), "--threads", threads]
        subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": threads}, check=True)
    return None


if __name__ == "__main__":
    main()
