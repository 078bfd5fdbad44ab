"""What the Triton point operations take on a GPU, and whether they agree with the reference there.

    .venv/bin/python benchmarks/gpu_ops.py [--runs 21]

Milliseconds between CUDA events, medians after a warm-up; one line per operation, size and batch. Farthest point
sampling of 8192 points to 512 should stay below 0.8 ms at any batch up to 128 on an H200.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import torch
from torch import Tensor

from spa3d import create

BATCHES = (1, 8, 32, 128)
SIZES = ((2048, 512), (8192, 512), (10000, 512), (32768, 1024))
NEIGHBOURS, RADIUS = 32, 0.2


def milliseconds(call: Callable[[], Tensor], runs: int) -> float:
    """Median time of `call` on the current device."""
    for _ in range(3):
        call()
    took = []
    for _ in range(runs):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        call()
        end.record()
        end.synchronize()
        took.append(begin.elapsed_time(end))
    return statistics.median(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=21, help="repetitions of each measurement")
    runs = parser.parse_args().runs
    if not torch.cuda.is_available():
        parser.exit(2, "benchmarks/gpu_ops.py: there is no GPU that torch can use; nothing was measured\n")
    triton, reference = create("ops", "triton"), create("ops", "torch")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, median of {runs}")
    for batch in BATCHES:
        for points, count in SIZES:
            xyz = torch.rand(batch, points, 3, generator=torch.Generator().manual_seed(batch)).cuda()
            start = torch.zeros(batch, dtype=torch.int64, device="cuda")
            centres = reference.fps(xyz, count, start)
            query = xyz.gather(1, centres[..., None].expand(-1, -1, 3))
            calls: dict[str, Callable[..., Tensor]] = {
                f"fps {points} to {count}": lambda ops, x=xyz, s=start, c=count: ops.fps(x, c, s),
                f"kNN {NEIGHBOURS} of {points}": lambda ops, x=xyz, q=query: ops.knn(q, x, NEIGHBOURS),
                f"ball query {NEIGHBOURS} of {points}": lambda ops, x=xyz, q=query: ops.ball_query(
                    q, x, RADIUS, NEIGHBOURS, closed=True
                ),
            }
            for what, call in calls.items():
                same = torch.equal(call(triton), call(reference))
                took = milliseconds(lambda call=call: call(triton), runs)
                print(f"{what}, batch {batch}: {took:.3f} ms, {'as' if same else 'NOT as'} the reference")


if __name__ == "__main__":
    main()
