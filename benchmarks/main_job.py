"""Cost of `tools/run.py` without and with a cached base, and of `tools/list`.

    .venv/bin/python benchmarks/main_job.py [--runs 9]

Prints wall seconds, CPU seconds (with child processes) and peak memory of each. Seconds depend on the machine, so they
are reported and not asserted. All files are in a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def cost(arguments: list[str], folder: Path) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak GB of one command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    environment = {**os.environ, "SPA3D_BASES": str(folder / "bases")}
    subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, after.ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9, help="repetitions of tools/list")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        listing = [cost([str(ROOT / "tools" / "list")], folder) for _ in range(runs)]
        print(f"tools/list, median of {runs}: {statistics.median(wall for wall, _, _ in listing):.2f} s wall")
        for what in ("first", "again"):
            wall, cpu, peak = cost([str(ROOT / "tools" / "run.py"), "--output", str(folder / what)], folder)
            print(f"tools/run.py, {what}: {wall:.0f} s wall, {cpu:.0f} s CPU, {peak:.2f} GB peak")


if __name__ == "__main__":
    main()
