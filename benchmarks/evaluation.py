"""Cost of ``spa3d evaluate`` for 1,000 questions, each with and without its cloud.

    .venv/bin/python benchmarks/evaluation.py [--questions 1000]

The model has the shape of the embedded world and three steps of training. Prints wall seconds, CPU seconds and peak
memory of the first evaluation, of the same one again, and of one that draws five answers. All files are in a temporary
folder.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from main_job import ROOT, cost

AIM = 60
"""CPU seconds for 1,000 questions."""
MODEL = ["--preset", "smoke", "--points.count", "1024", "--dataset.points", "1024", "--benchmark", "choice"]


def flags(questions: int) -> list[str]:
    """Flags of an evaluation: two fifths of the questions have options, the others are free."""
    values = {"dataset": "shapes", "dataset.test": questions, "dataset.counterfactual": 1, "preset": "embedded"}
    values |= {"benchmark": "choice,classify,caption", "benchmark.choice.flips": 0, "limit": 0}
    values |= {"benchmark.choice.per_kind": questions * 2 // 25}
    values |= {f"benchmark.{name}.limit": questions * 3 // 10 for name in ("classify", "caption")}
    return [word for name, value in values.items() for word in (f"--{name}", str(value))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=1000, help="at least 25")
    questions = parser.parse_args().questions
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cost([str(ROOT / "tools" / "run.py"), *MODEL, "--output", str(folder / "run")], folder)
        command = ["-m", "spa3d", "evaluate", str(folder / "run" / "model"), *flags(questions)]
        for what, more in (("first", []), ("again", []), ("five draws", ["--samples", "5"])):
            wall, cpu, peak = cost([*command, *more], folder)
            aim = f" (at most {AIM} for 1,000)" if what == "first" else ""
            print(f"{questions} questions, {what}: {wall:.0f} s wall, {cpu:.0f} s CPU{aim}, {peak:.2f} GB peak")


if __name__ == "__main__":
    main()
