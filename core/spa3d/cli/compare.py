"""``spa3d compare``: a grid of runs from one base under one budget, and the table that is made of them."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from rich.table import Table

from spa3d.cli import INTERRUPTED
from spa3d.cli.console import Bars, complaints, make_reporter, output, plain
from spa3d.cli.flags import Arguments, Flag, scan
from spa3d.cli.naming import SWITCHES, read
from spa3d.cli.parser import Invocation, parse
from spa3d.compare.budget import Candidate, Control, budgeted
from spa3d.compare.cells import Outcome
from spa3d.compare.execute import Task, lay_out, outcome, refuse_strangers, run_cells, share
from spa3d.compare.grid import AXES, Draft, Grid, Settings, expand, make_grid
from spa3d.contracts.objective import Need
from spa3d.errors import ConfigError, SpaError
from spa3d.manifest import Axis, Budget, ComparePreset
from spa3d.progress import Advance, Reporter
from spa3d.registry import Registry, missed

OWN = (*AXES, "seeds", "budget", "cell", "output", "dry-run")
FLAGS = {
    "--objectives A,B": "the objectives to compare",
    "--noises A,B": "kinds of noise, for objectives that see it and for pairs that are made with it",
    "--levels X,Y": "their levels, from 0 to 1",
    "--pair-modes A,B": "augmentation, corruption: for objectives that need preference pairs",
    "--encoders A,B": "encoders, each with a base of its own",
    "--learning-rates X,Y": "peak learning rates of post-training",
    "--seeds 0,1,2": "seeds; each row is run once with each (default: 0,1,2)",
    "--budget KIND": "steps: SFT for as many steps as each row; samples: every row sees as many samples as SFT; "
    "compute: SFT for as many steps as cost the same (default: steps)",
    "--cell i/n": "run only every n-th cell from the i-th on, for job arrays; the table holds all that are there",
    "--output DIR": "where cells and table go (default: runs/compare-NAME); the same command goes on where it stopped",
    "--dry-run": "list the cells and what is there of them, and do nothing",
}


@dataclass(frozen=True)
class Wish:
    """What a command line asks for: the grid, the flags that every cell is given, and where it goes."""

    grid: Grid
    preset: ComparePreset | None
    flags: tuple[str, ...]
    registry: Registry
    output: Path
    part: str
    dry_run: bool


@dataclass(frozen=True)
class Comparison:
    """A wish, worked out: every cell with its configuration, those of this process, and how the table is headed."""

    wish: Wish
    tasks: Sequence[Task]
    command: str

    def write(self) -> list[Outcome]:
        """Write the table of what is there, and return it."""
        from spa3d.compare.table import write_table

        outcomes = [outcome(task) for task in self.tasks]
        wish = self.wish
        write_table(
            wish.output,
            outcomes,
            title=f"Comparison {wish.grid.name}",
            budget=wish.grid.budget,
            command=self.command,
            preset=wish.preset,
            bootstrap=self.tasks[0].config.evaluate.bootstrap,
        )
        return outcomes


def main(argv: Sequence[str]) -> int:
    """Compare objectives, noises, levels, pairs or encoders under one budget, with SFT of equal budget."""
    if "--help" in argv or "-h" in argv:
        _print_usage()
        return 0
    wish = read_wish(argv)
    tasks = plan(wish)
    comparison = Comparison(wish, tasks, shlex.join(["spa3d", "compare", *argv]))
    mine = share(tasks, wish.part) if wish.part else tasks
    if wish.dry_run:
        _show_cells(tasks, mine)
        return 0
    try:
        return _run(comparison, mine)
    except KeyboardInterrupt:
        complaints().print(plain(f"interrupted; to go on: {comparison.command}"), soft_wrap=True)
        return INTERRUPTED


def read_wish(argv: Sequence[str]) -> Wish:
    """Understand the command line; nothing of the cells' own settings is looked at yet.

    Raises:
        ConfigError: every fault of the comparison's own flags.
        RegistryError: an unknown preset, with those that there are.

    """
    typed = scan(argv, switches=SWITCHES, repeatable={"plugin"})
    name = typed.words[0] if typed.words else ""
    flags = [_again(flag) for flag in typed.flags if flag.name not in OWN]
    request = read(flags)
    presets = request.registry.manifest.presets.compare
    faults = [*typed.faults, *(f"{word!r} is not expected here; one name of a comparison" for word in typed.words[1:])]
    if name and name not in presets:
        faults.append(f"spa3d compare {name}: {missed('comparison', name, presets, 'spa3d compare --help')}")
    preset = presets.get(name)
    axes: dict[Axis, list[str]] = {axis: _values(typed, axis, faults) for axis in AXES if typed.has(axis)}
    chosen = next((one.name for one in request.components if one.kind == "objective"), "")
    if "objectives" not in axes and not (preset and preset.rows):
        axes["objectives"] = [chosen]
        flags = [flag for flag in flags if not flag.startswith("--objective=")]
    seeds = _seeds(typed, faults)
    budget = next((kind for kind in get_args(Budget) if kind == typed.value("budget")), None)
    if typed.has("budget") and budget is None:
        faults.append(f"--budget {typed.value('budget')}: possible: {', '.join(get_args(Budget))}")
    grid = make_grid(name or "-".join(axes["objectives"]), preset, axes, seeds=seeds, budget=budget)
    faults += _misplaced(flags, grid)
    if faults:
        raise ConfigError(faults)
    place = Path(typed.value("output") or f"runs/compare-{grid.name}")
    part = typed.value("cell") or ""
    return Wish(grid, preset, tuple(flags), request.registry, place, part, typed.has("dry-run"))


def plan(wish: Wish) -> list[Task]:
    """Every cell of a comparison with its configuration; all of them are built once before the first one runs.

    Raises:
        ConfigError: everything that is wrong with any of them.
        OutputError: the folder holds something else.

    """
    drafts = expand(wish.grid, lambda settings: _needs(_parsed(wish, settings)))
    made: dict[str, Candidate] = {}
    faults: dict[str, list[str]] = {}
    for draft in drafts:
        try:
            made[draft.label] = _candidate(wish, draft)
        except SpaError as fault:
            for line in str(fault).splitlines():
                faults.setdefault(line, []).append(draft.label)
    if faults:
        everywhere = len(drafts)
        raise ConfigError(
            [line if len(rows) == everywhere else f"{'; '.join(rows)}: {line}" for line, rows in faults.items()]
        )
    planned = budgeted(list(made.values()), wish.grid.budget, _control(wish))
    tasks = lay_out(planned, wish.grid.seeds, wish.output)
    refuse_strangers(tasks, wish.output)
    return tasks


def _parsed(wish: Wish, settings: Settings) -> Invocation:
    return parse([*wish.flags, *(f"--{key}={value}" for key, value in settings.items())])


def _needs(invocation: Invocation) -> Sequence[Need]:
    chosen = invocation.config.objective
    registry = invocation.registry
    needs: Sequence[Need] = registry.target(registry.get("objective", chosen.component))(**chosen.config).needs
    return needs


def _candidate(wish: Wish, draft: Draft) -> Candidate:
    """The row with its live parts tried once, and the number of items that it trains on."""
    from spa3d.assemble import assemble
    from spa3d.contracts.objective import asks_for_pairs

    invocation = _parsed(wish, draft.settings)
    assembly = assemble(invocation.config, invocation.registry)
    items = len(assembly.dataset.records("train"))
    needs, pairs = assembly.objective.needs, invocation.config.pairs
    if asks_for_pairs(needs):
        items = _lines(pairs.path) if pairs.path else min(items, pairs.limit or items)
    return Candidate(draft.label, draft.settings, invocation.config, needs, items)


def _control(wish: Wish) -> Control:
    """SFT beside given settings; flags about the rows' own objective are none of its business."""
    flags = tuple(flag for flag in wish.flags if not flag.startswith("--objective"))
    bare = Wish(wish.grid, wish.preset, flags, wish.registry, wish.output, "", dry_run=False)
    made: dict[tuple[tuple[str, str], ...], Candidate] = {}

    def control(settings: Settings) -> Candidate:
        key = tuple(sorted(settings.items()))
        if key not in made:
            made[key] = _candidate(bare, Draft({"objective": "sft", **settings}, "sft"))
        return made[key]

    return control


def _run(comparison: Comparison, mine: Sequence[Task]) -> int:
    """Run the cells of this process, keep the table up to date, and show it; 1 where one of them failed."""
    began = time.monotonic()
    told: list[Outcome] = []

    def finished(found: Outcome) -> None:
        nonlocal began
        told.append(found)
        took = f" in {time.monotonic() - began:.0f} s" if time.monotonic() - began > 1 else ""
        place = f"[{len(told)}/{len(mine)}] {found.cell.row.label}, seed {found.cell.seed}: "
        fault = f": {found.fault.splitlines()[0]}" if found.fault else ""
        complaints().print(plain(f"{place}{found.status}{took}{fault}"), soft_wrap=True)
        comparison.write()
        began = time.monotonic()

    run_cells(mine, comparison.wish.registry, reporter=_brief, finished=finished)
    _show_table(comparison.write(), comparison.wish.output)
    return 1 if any(found.status == "failed" for found in told) else 0


def _brief(task: Task) -> Reporter:
    return Brief(f"{task.cell.row.label}, seed {task.cell.seed}")


class Brief:
    """The voice of one cell among many: bars on a terminal, the building of a base, and warnings."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._inner = make_reporter()

    def stage(self, name: str, detail: str = "") -> None:
        """Only what takes long and is done once for all cells."""
        if name.startswith("base: ") and detail != "there":
            self._inner.say(f"{name}: {detail}")

    def track(self, total: int, description: str) -> AbstractContextManager[Advance]:
        """A bar on a terminal."""
        if isinstance(self._inner, Bars):
            return self._inner.track(total, f"{self.name}: {description}")
        return nullcontext(lambda units: None)

    def say(self, text: str) -> None:
        """Nothing: every cell would say it."""

    def warn(self, text: str) -> None:
        """With the name of the cell."""
        self._inner.warn(f"{self.name}: {text}")


def _values(typed: Arguments, axis: Axis, faults: list[str]) -> list[str]:
    """The values of an axis; adds to `faults` where one is empty or comes twice."""
    values = [value.strip() for value in (typed.value(axis) or "").split(",")]
    if "" in values or len(set(values)) < len(values):
        faults.append(f"--{axis} {typed.value(axis)}: different values with commas between them")
    return values


def _seeds(typed: Arguments, faults: list[str]) -> list[int]:
    asked = typed.value("seeds")
    if asked is None:
        return []
    words = [word.strip() for word in asked.split(",")]
    if not all(word.isascii() and word.isdecimal() for word in words) or len({int(word) for word in words}) < len(
        words
    ):
        faults.append(f"--seeds {asked}: different whole numbers with commas between them, such as 0,1,2")
        return []
    return [int(word) for word in words]


def _misplaced(flags: Sequence[str], grid: Grid) -> list[str]:
    """Flags of a run that a comparison says in another way."""
    names = [flag.removeprefix("--").partition("=")[0] for flag in flags]
    varied = {key for row in grid.rows for key in row.settings} | set(grid.axes)
    plural = {key: axis for axis, key in AXES.items()}
    faults = []
    for name in dict.fromkeys(names):
        if name in varied:
            other = f"; give --{plural[name]}" if name in plural else ""
            faults.append(f"--{name}: the comparison sets it row by row{other}")
        elif name == "seed":
            faults.append("--seed: a comparison takes several; give --seeds")
        elif name == "resume":
            faults.append("--resume: a comparison always goes on where it stopped; leave it out")
    return faults


def _again(flag: Flag) -> str:
    return f"--{flag.name}" if flag.value is None else f"--{flag.name}={flag.value}"


def _lines(path: str) -> int:
    with Path(path).open(encoding="utf-8") as lines:
        return sum(1 for line in lines if line.strip())


def _show_cells(tasks: Sequence[Task], mine: Sequence[Task]) -> None:
    chosen = {task.cell.index for task in mine}
    table = Table("cell", "row", "held against", "seed", "steps", "lr", "state", box=None, pad_edge=False)
    for task in tasks:
        cell, train = task.cell, task.config.train
        state = outcome(task).status if cell.index in chosen else "another process"
        row = cell.row
        told = [row.label, row.control or "(itself SFT)", str(cell.seed), str(train.steps), f"{train.learning_rate:g}"]
        table.add_row(str(cell.index + 1), *map(plain, told), state)
    output().print(table)


def _show_table(outcomes: Sequence[Outcome], folder: Path) -> None:
    rows: dict[str, list[Outcome]] = {}
    for found in outcomes:
        rows.setdefault(found.cell.row.label, []).append(found)
    table = Table("row", "done", "held against", box=None, pad_edge=False, header_style="bold")
    for label, cells in rows.items():
        done = sum(found.status == "done" for found in cells)
        table.add_row(plain(label), f"{done} of {len(cells)}", plain(cells[0].cell.row.control))
    console = output()
    console.print(table)
    for found in outcomes:
        if found.status == "failed":
            told = f"failed: {found.cell.row.label}, seed {found.cell.seed}: {found.fault}"
            console.print(plain(told, "red"), soft_wrap=True)
    console.print(plain("  ".join(str(folder / f"compare.{kind}") for kind in ("html", "md", "json"))), soft_wrap=True)


def _print_usage() -> None:
    from spa3d.registry import load_registry

    console = output()
    console.print("usage: spa3d compare [NAME] [flags]      flags of `spa3d run` go to every cell\n", markup=False)
    table = Table(box=None, show_header=False, padding=(0, 2))
    for name, preset in load_registry().manifest.presets.compare.items():
        table.add_row(plain(name, "bold cyan"), plain(preset.summary))
    for flag, told in FLAGS.items():
        table.add_row(plain(flag, "bold cyan"), plain(told))
    console.print(table)
