"""Time of the point operations on a GPU, and their agreement with the reference.

    .venv/bin/python benchmarks/gpu_ops.py [--runs 21]

Milliseconds between CUDA events, medians after a warm-up; one line per operation, size and batch. Farthest point
sampling of 8192 points to 512 should stay below 0.8 ms at any batch up to 128 on an H200. `make gpu` runs the same
cases and writes them to a file.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from spa3d import create
from spa3d.contracts.ops import Ops
from spa3d.ops.selection import default_backend

BATCHES = (1, 8, 32, 128)
SIZES = ((2048, 512), (8192, 512), (10000, 512), (32768, 1024))
NEIGHBORS, RADIUS = 32, 0.2
COMPARED = 4
"""Clouds per batch compared with the reference, which is much slower."""
LONGEST = 0.5
"""Seconds after which a measurement is not repeated any more."""


def milliseconds(call: Callable[[], object], runs: int) -> float:
    """Median time of `call` on the current device over at most `runs` repetitions."""
    for _ in range(3):
        call()
    durations: list[float] = []
    end = time.perf_counter() + LONGEST
    while len(durations) < runs and (len(durations) < 3 or time.perf_counter() < end):
        durations.append(_time_on_gpu(call) if torch.cuda.is_available() else _time_on_cpu(call))
    return statistics.median(durations)


def _time_on_gpu(call: Callable[[], object]) -> float:
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


def _time_on_cpu(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


def cases(device: str, tiny: bool, runs: int = 21) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Each operation at each size and batch: milliseconds, and agreement with the reference."""
    backend, reference = default_backend(device), create("ops", "torch")
    for batch in (2,) if tiny else BATCHES:
        for points, count in ((256, 32),) if tiny else SIZES:
            stream = torch.Generator().manual_seed(batch)
            xyz = torch.rand(batch, points, 3, generator=stream).to(device)
            start = torch.zeros(batch, dtype=torch.int64, device=device)
            centers = backend.fps(xyz, count, start)
            query = xyz.gather(1, centers[..., None].expand(-1, -1, 3))
            for name, call in _calls(points, count).items():
                yield (
                    f"{name}, batch {batch}",
                    lambda call=call, tensors=(xyz, query, start): _compare(call, tensors, backend, reference, runs),
                )


Call = Callable[[Ops, Tensor, Tensor, Tensor], Tensor]


def _calls(points: int, count: int) -> dict[str, Call]:
    """Operations by their names in the table."""
    return {
        f"fps {points} to {count}": lambda ops, xyz, query, start: ops.fps(xyz, count, start),
        f"kNN {NEIGHBORS} of {points}": lambda ops, xyz, query, start: ops.knn(query, xyz, NEIGHBORS),
        f"ball query {NEIGHBORS} of {points}": lambda ops, xyz, query, start: ops.ball_query(
            query, xyz, RADIUS, NEIGHBORS, closed=True
        ),
    }


def _compare(
    call: Call, tensors: tuple[Tensor, Tensor, Tensor], backend: Ops, reference: Ops, runs: int
) -> dict[str, Any]:
    few = [tensor[:COMPARED].contiguous() for tensor in tensors]
    same = torch.equal(call(backend, *tensors)[:COMPARED], call(reference, *few))
    duration = milliseconds(lambda: call(backend, *tensors), runs)
    return {"status": "passed" if same else "failed", "ms": round(duration, 4), "as the reference": same}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=21, help="repetitions of each measurement")
    runs = parser.parse_args().runs
    if not torch.cuda.is_available():
        parser.exit(2, "benchmarks/gpu_ops.py: there is no GPU that torch can use; nothing was measured\n")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, median of {runs}")
    for name, call in cases("cuda", tiny=False, runs=runs):
        figures = call()
        print(f"{name}: {figures['ms']:.3f} ms, {'as' if figures['as the reference'] else 'NOT as'} the reference")


if __name__ == "__main__":
    main()
