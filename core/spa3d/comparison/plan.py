"""What ``spa3d compare`` was asked for, and every cell of it: built and checked before the first one runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from spa3d.comparison.budget import Candidate, Control, budgeted
from spa3d.comparison.document import Table
from spa3d.comparison.execute import Task, lay_out, outcome, refuse_strangers
from spa3d.comparison.grid import AXES, Draft, Grid, Settings, expand, make_grid
from spa3d.comparison.table import TableSettings, write_table
from spa3d.config.choices import SWITCHES, read
from spa3d.config.overrides import Arguments, scan
from spa3d.config.parse import Invocation, parse
from spa3d.contracts.objective import Need, asks_for_pairs
from spa3d.data.preference_pairs import read_pairs
from spa3d.errors import ConfigError, SpaError
from spa3d.pipeline.assemble import assemble
from spa3d.registry.manifest import Axis, Budget, ComparePreset
from spa3d.registry.registry import Registry, missed
from spa3d.runtime import distributed

OWN = (*AXES, "seeds", "budget", "cell", "output", "dry-run")


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

    def write(self) -> Table:
        """Write the table of what is there, and return it."""
        wish = self.wish
        settings = TableSettings(
            title=f"Comparison {wish.grid.name}",
            budget=wish.grid.budget,
            command=self.command,
            bootstrap=self.tasks[0].config.evaluate.bootstrap,
            preset=wish.preset,
        )
        return write_table(wish.output, [outcome(task) for task in self.tasks], settings)


def read_wish(argv: Sequence[str]) -> Wish:
    """Understand the command line; nothing of the cells' own settings is looked at yet.

    Raises:
        ConfigError: every fault of the comparison's own flags.
        RegistryError: an unknown preset, with those that there are.

    """
    typed = scan(argv, switches=SWITCHES, repeatable={"plugin"})
    name = typed.words[0] if typed.words else ""
    flags = [flag.word for flag in typed.flags if flag.name not in OWN]
    request = read(flags)
    presets = request.registry.manifest.presets.compare
    faults = [*typed.faults, *(f"{word!r} is not expected here; one name of a comparison" for word in typed.words[1:])]
    if distributed.world_size() > 1:
        faults.append("spa3d compare: start it without torchrun; several of it share the cells with --cell i/n")
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
    invocation = _parsed(wish, draft.settings)
    assembly = assemble(invocation.config, invocation.registry)
    items = len(assembly.dataset.records("train"))
    needs, pairs = assembly.objective.needs, invocation.config.pairs
    if asks_for_pairs(needs):
        items = len(read_pairs(Path(pairs.path))) if pairs.path else min(items, pairs.limit or items)
    return Candidate(draft.label, draft.settings, invocation.config, needs, items)


def _control(wish: Wish) -> Control:
    """SFT beside given settings; flags about the rows' own objective are none of its business."""
    flags = tuple(flag for flag in wish.flags if not flag.startswith("--objective"))
    bare = replace(wish, flags=flags)
    made: dict[tuple[tuple[str, str], ...], Candidate] = {}

    def control(settings: Settings) -> Candidate:
        key = tuple(sorted(settings.items()))
        if key not in made:
            made[key] = _candidate(bare, Draft({"objective": "sft", **settings}, "sft"))
        return made[key]

    return control


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
