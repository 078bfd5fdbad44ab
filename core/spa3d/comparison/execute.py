"""The cells of a comparison, one after another in this process: done ones are skipped, a failed one stops no other.

Everything that a comparison knows lies in the folders of its cells, so the same command after a kill goes on where it
was, and several processes may share a grid.
"""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Sequence

import torch

from spa3d.comparison.cells import ERROR, Outcome, Task, outcome
from spa3d.errors import SpaError
from spa3d.pipeline.run import execute
from spa3d.registry.registry import Registry
from spa3d.runtime.atomic_files import write_whole
from spa3d.runtime.progress import Reporter


def run_cell(task: Task, registry: Registry, reporter: Reporter) -> Outcome:
    """Run one cell to its end, or to its error, which is kept in its folder."""
    folder = task.cell.folder
    (folder / ERROR).unlink(missing_ok=True)
    try:
        execute(task.config, registry, output=folder, resume=True, reporter=reporter)
    except Exception as error:  # whatever ends a cell must not end the others
        told = str(error) if isinstance(error, SpaError) else f"{type(error).__name__}: {error}"
        write_whole(folder / ERROR, f"{told}\n\n{traceback.format_exc()}")
    _free()
    return outcome(task)


def run_cells(
    tasks: Sequence[Task],
    registry: Registry,
    *,
    reporter: Callable[[Task], Reporter],
    finished: Callable[[Outcome], None],
) -> None:
    """Run those of `tasks` that are not done, in order; `finished` hears of each, those that are there included."""
    for task in tasks:
        found = outcome(task)
        finished(found if found.status == "done" else run_cell(task, registry, reporter(task)))


def _free() -> None:
    """Give back what the last cell held, of the device, too."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
