"""``spa3d compare``: a grid of runs under one budget, and the table of their results.

Modules that import torch are imported inside functions, so that listing the verbs is fast.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Self

from spa3d.cli import INTERRUPTED
from spa3d.cli.console import Bars, error_console, escape_text, make_reporter, page, print_meanings
from spa3d.config.overrides import Arguments, scan_run
from spa3d.registry.registry import load_registry
from spa3d.runtime.progress import Advance

if TYPE_CHECKING:
    from spa3d.comparison.cells import Outcome, Task
    from spa3d.comparison.plan import Comparison
    from spa3d.comparison.request import CompareRequest

FLAGS = {
    "--objectives A,B": "the objectives to compare",
    "--noises A,B": "kinds of noise, for objectives that use it and for pairs that are made with it",
    "--levels X,Y": "levels of the noise, from 0 to 1",
    "--pair-modes A,B": "augmentation, corruption; for objectives that need preference pairs",
    "--encoders A,B": "encoders, each with a base of its own",
    "--learning-rates X,Y": "peak learning rates of post-training",
    "--seeds 0,1,2": "seeds; each row is run once with each (default: 0,1,2)",
    "--budget KIND": "steps: SFT for as many steps as each row; samples: every row sees as many samples as SFT; "
    "compute: SFT for as many steps as cost the same (default: steps)",
    "--cell i/n": "run only every n-th cell, starting with the i-th, for job arrays; the table has all finished cells",
    "--output DIR": "folder of cells and table (default: runs/compare-NAME); the same command continues a stopped grid",
    "--dry-run": "list the cells with their state, and the time of each whose row was measured; say what it "
    "could see; run none",
    "--effect X": "with --dry-run: how many questions and seeds a difference of X points needs",
    "--pilot DIR": "with --dry-run: a comparison or run whose answers say how much differences vary (default: the "
    "finished cells; without any, the worst case)",
}


def main(argv: Sequence[str]) -> int:
    """Compare objectives, noises, levels, pairs or encoders with SFT of equal budget."""
    if "--help" in argv or "-h" in argv:
        _print_usage(scan_run(argv))
        return 0
    from spa3d.cli.compare_output import show_cells
    from spa3d.comparison.plan import plan_comparison, share_of
    from spa3d.comparison.request import parse_request

    request = parse_request(argv)
    comparison = plan_comparison(
        request.settings, request.grid, registry=request.registry, output=request.output, preset=request.preset
    )
    share = share_of(comparison.tasks, request.share) if request.share else comparison.tasks
    if request.dry_run:
        show_cells(comparison.tasks, share)
        _show_power(request, comparison)
        return 0
    try:
        return _run(request, comparison, share)
    except KeyboardInterrupt:
        error_console().print(escape_text(f"interrupted; to continue: {request.command}"), soft_wrap=True)
        return INTERRUPTED


def _show_power(request: CompareRequest, comparison: Comparison) -> None:
    """Show what the planned comparison could see, and what the wanted effect needs."""
    from spa3d.cli.power_output import show_power
    from spa3d.comparison.power import plan_power

    show_power(plan_power(comparison.tasks, request.registry, pilot=request.pilot), request.effect)


def _run(request: CompareRequest, comparison: Comparison, share: Sequence[Task]) -> int:
    """Run the cells of this process, update the table and show it; return 1 if a cell failed."""
    from spa3d.cli.compare_output import show_table
    from spa3d.comparison.execute import run_cells

    start = time.monotonic()
    outcomes: list[Outcome] = []
    update_table = Throttle(lambda: comparison.write(command=request.command))

    def on_finish(outcome: Outcome) -> None:
        nonlocal start
        outcomes.append(outcome)
        duration = f" in {time.monotonic() - start:.0f} s" if time.monotonic() - start > 1 else ""
        cell = f"[{len(outcomes)}/{len(share)}] {outcome.cell.row.label}, seed {outcome.cell.seed}: "
        error = f": {outcome.error.splitlines()[0]}" if outcome.error else ""
        error_console().print(escape_text(f"{cell}{outcome.status}{duration}{error}"), soft_wrap=True)
        update_table()
        start = time.monotonic()

    run_cells(share, request.registry, reporter=CellReporter.from_task, on_finish=on_finish)
    show_table(comparison.write(command=request.command), comparison.output)
    return 1 if any(outcome.status == "failed" for outcome in outcomes) else 0


class Throttle:
    """Limits how often `work` runs, to a tenth of the time; large tables are slow to write."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.work = work
        self.cost, self.ended = 0.0, -math.inf

    def __call__(self) -> None:
        """Call `work` if enough time has passed since the last call."""
        start = time.monotonic()
        if start - self.ended >= 9 * self.cost:
            self.work()
            self.ended = time.monotonic()
            self.cost = self.ended - start


class CellReporter:
    """Reporter of one cell among many: bars on a terminal, stages of building a base, warnings."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._inner = make_reporter()

    @classmethod
    def from_task(cls, task: Task) -> Self:
        """Make the reporter of a cell, named after its row and seed."""
        return cls(f"{task.cell.row.label}, seed {task.cell.seed}")

    def stage(self, name: str, detail: str = "") -> None:
        """Print only the stages of building a base, because all cells wait for them."""
        if name.startswith("base: ") and detail != "there":
            self._inner.say(f"{name}: {detail}")

    def track(self, total: int, description: str) -> AbstractContextManager[Advance]:
        """Show a bar on a terminal, nothing elsewhere."""
        if isinstance(self._inner, Bars):
            return self._inner.track(total, f"{self.name}: {description}")
        return nullcontext(lambda units: None)

    def say(self, text: str) -> None:
        """Print nothing, because every cell would repeat the text."""

    def warn(self, text: str) -> None:
        """Print a warning with the name of the cell."""
        self._inner.warn(f"{self.name}: {text}")


def _print_usage(arguments: Arguments) -> None:
    console = page()
    console.print("usage: spa3d compare [NAME] [flags]      flags of `spa3d run` go to every cell\n", markup=False)
    registry = load_registry(added=arguments.value("registry"), plugins=arguments.values("plugin"))
    presets = {name: preset.summary for name, preset in registry.manifest.presets.compare.items()}
    print_meanings(console, {**presets, **FLAGS})
