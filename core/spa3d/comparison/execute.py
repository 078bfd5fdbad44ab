"""The cells of a comparison, one after another in this process: done ones are skipped, a failed one stops no other.

Everything that a comparison knows lies in the folders of its cells, so the same command after a kill goes on where it
was, and several processes may share a grid.
"""

from __future__ import annotations

import gc
import json
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from spa3d.artifacts.diff import differences
from spa3d.comparison.budget import Planned
from spa3d.comparison.cells import Cell, Outcome
from spa3d.config.settings import RunConfig
from spa3d.errors import ConfigError, OutputError, SpaError
from spa3d.registry.registry import Registry
from spa3d.runtime.atomic_files import write_whole
from spa3d.runtime.progress import Reporter

ERROR = "error.txt"
"""Why a cell failed, then an empty line, then where; taken away when the cell is run again."""


@dataclass(frozen=True)
class Task:
    """A cell and the configuration of its run."""

    cell: Cell
    config: RunConfig


def lay_out(planned: Sequence[Planned], seeds: Sequence[int], output: Path) -> list[Task]:
    """The cells: every row with the first seed, then every row with the next, so that a table is soon whole."""
    slugs = _slugs([one.row.label for one in planned])
    tasks: list[Task] = []
    for seed in seeds:
        for one, slug in zip(planned, slugs, strict=True):
            folder = output / "cells" / f"{slug}-s{seed}"
            config = one.config.model_copy(update={"seed": seed})
            tasks.append(Task(Cell(one.row, seed, len(tasks), folder), config))
    return tasks


def share(tasks: Sequence[Task], part: str) -> list[Task]:
    """Those of ``--cell i/n``: every n-th, from the i-th on, counted from 1.

    Raises:
        ConfigError: `part` is no such share.

    """
    found = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", part)
    if not found or int(found[1]) > int(found[2]):
        raise ConfigError(f"--cell {part}: which share of the cells, as i/n with i from 1 to n, such as 1/4")
    first, every = int(found[1]), int(found[2])
    return [task for task in tasks if task.cell.index % every == first - 1]


def outcome(task: Task) -> Outcome:
    """What is on disk of a cell."""
    cell = task.cell
    report = _report(cell.folder)
    if report.get("status") == "complete" and _saved(cell.folder) == task.config.model_dump(mode="json"):
        return Outcome(cell, "done", seconds=report.get("timing", {}).get("post-train"))
    if (cell.folder / ERROR).is_file():
        return Outcome(cell, "failed", (cell.folder / ERROR).read_text(encoding="utf-8").partition("\n\n")[0])
    return Outcome(cell, "to do")


def refuse_strangers(tasks: Sequence[Task], output: Path) -> None:
    """Refuse an output folder whose cells of the same names belong to other settings.

    Raises:
        OutputError: which cells, and what to do.

    """
    if (output / "config.yaml").exists():
        raise OutputError(f"--output {output}: holds a run; a comparison wants a folder of its own")
    strange: dict[str, list[str]] = {}
    for task in tasks:
        saved, asked = _saved(task.cell.folder), task.config.model_dump(mode="json")
        begun = (task.cell.folder / "report.json").exists() or any(task.cell.folder.glob("checkpoints/*"))
        if begun and saved != asked:
            strange[task.cell.folder.name] = differences(saved if isinstance(saved, dict) else {}, asked)
    if strange:
        names, differing = list(strange), next(iter(strange.values()))
        raise OutputError(
            f"--output {output}: its cells {', '.join(names[:4])}{' ...' * (len(names) > 4)} were run with other "
            f"settings ({'; '.join(differing[:2])}{' ...' * (len(differing) > 2)}); choose another --output, or remove "
            "them"
        )


def run_cell(task: Task, registry: Registry, reporter: Reporter) -> Outcome:
    """Run one cell to its end, or to its fault, which is kept in its folder."""
    from spa3d.pipeline.run import execute

    folder = task.cell.folder
    (folder / ERROR).unlink(missing_ok=True)
    try:
        execute(task.config, registry, output=folder, resume=True, reporter=reporter)
    except Exception as fault:  # whatever ends a cell must not end the others
        told = str(fault) if isinstance(fault, SpaError) else f"{type(fault).__name__}: {fault}"
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
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _slugs(labels: Sequence[str]) -> list[str]:
    """Names of folders; labels that differ in signs only are numbered."""
    slugs: list[str] = []
    for label in labels:
        slug = re.sub(r"[^a-z0-9.]+", "-", label.lower()).strip("-.") or "row"
        slugs.append(slug if slug not in slugs else f"{slug}-{len(slugs) + 1}")
    return slugs


def _saved(folder: Path) -> object:
    try:
        return yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None


def _report(folder: Path) -> Mapping[str, Any]:
    try:
        found = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
