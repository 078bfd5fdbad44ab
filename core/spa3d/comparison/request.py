"""The command line of ``spa3d compare``: argv to a grid, the settings of every cell, and where they go."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from spa3d.comparison.grid import AXES, Grid, make_grid
from spa3d.config.choices import Choices
from spa3d.config.overrides import Arguments, Flag, scan_run, source_of_flags
from spa3d.config.parse import read
from spa3d.config.sources import Settings
from spa3d.errors import ConfigError
from spa3d.registry.manifest import Axis, Budget, ComparePreset
from spa3d.registry.registry import Registry, missed
from spa3d.runtime import distributed

OWN = (*AXES, "seeds", "budget", "cell", "output", "dry-run")
"""The flags of the comparison itself; all others are settings of its cells."""


@dataclass(frozen=True)
class CompareRequest:
    """What a command line asks for.

    Attributes:
        grid: rows, axes, seeds and budget.
        preset: the comparison that the grid began with, if it was named.
        settings: what every cell is given, the weakest first.
        registry: what can be chosen.
        output: the folder of cells and table.
        share: the part of the cells that this process runs, as ``i/n``; empty: all.
        dry_run: whether the cells are only listed.
        command: the command line, to be typed again.

    """

    grid: Grid
    preset: ComparePreset | None
    settings: tuple[Settings, ...]
    registry: Registry
    output: Path
    share: str
    dry_run: bool
    command: str


def parse_request(argv: Sequence[str]) -> CompareRequest:
    """Understand the command line; nothing of the cells' own settings is looked at yet.

    Raises:
        ConfigError: every error of the comparison's own flags.
        RegistryError: an unknown preset, with those that there are.

    """
    arguments = scan_run(argv)
    flags = [flag for flag in arguments.flags if flag.name not in OWN]
    choices = read(Arguments(flags))
    errors = [*arguments.errors, *_misused(arguments.words)]
    name, preset = _preset(arguments, choices.registry, errors)
    axes: dict[Axis, list[str]] = {axis: _values(arguments, axis, errors) for axis in AXES if arguments.has(axis)}
    if "objectives" not in axes and not (preset and preset.rows):
        axes["objectives"] = [_chosen_objective(choices)]
        flags = [flag for flag in flags if flag.name != "objective"]
    seeds, budget = _seeds(arguments, errors), _budget(arguments, errors)
    grid = make_grid(name or "-".join(axes["objectives"]), preset, axes, seeds=seeds, budget=budget)
    errors += _misplaced(flags, grid)
    if errors:
        raise ConfigError(errors)
    return CompareRequest(
        grid,
        preset,
        (*choices.sources[:-1], source_of_flags(flags)),
        choices.registry,
        output=Path(arguments.value("output") or f"runs/compare-{grid.name}"),
        share=arguments.value("cell") or "",
        dry_run=arguments.has("dry-run"),
        command=shlex.join(["spa3d", "compare", *argv]),
    )


def _misused(words: Sequence[str]) -> list[str]:
    errors = [f"{word!r} is not expected here; one name of a comparison" for word in words[1:]]
    if distributed.world_size() > 1:
        errors.append("spa3d compare: start it without torchrun; several of it share the cells with --cell i/n")
    return errors


def _preset(arguments: Arguments, registry: Registry, errors: list[str]) -> tuple[str, ComparePreset | None]:
    name, presets = arguments.words[0] if arguments.words else "", registry.manifest.presets.compare
    if name and name not in presets:
        errors.append(f"spa3d compare {name}: {missed('comparison', name, presets, 'spa3d compare --help')}")
    return name, presets.get(name)


def _chosen_objective(choices: Choices) -> str:
    return next((choice.name for choice in choices.components if choice.kind == "objective"), "")


def _budget(arguments: Arguments, errors: list[str]) -> Budget | None:
    budget = next((kind for kind in get_args(Budget) if kind == arguments.value("budget")), None)
    if arguments.has("budget") and budget is None:
        errors.append(f"--budget {arguments.value('budget')}: possible: {', '.join(get_args(Budget))}")
    return budget


def _values(arguments: Arguments, axis: Axis, errors: list[str]) -> list[str]:
    """The values of an axis; adds to `errors` where one is empty or comes twice."""
    values = [value.strip() for value in (arguments.value(axis) or "").split(",")]
    if "" in values or len(set(values)) < len(values):
        errors.append(f"--{axis} {arguments.value(axis)}: different values with commas between them")
    return values


def _seeds(arguments: Arguments, errors: list[str]) -> list[int]:
    given = arguments.value("seeds")
    if given is None:
        return []
    words = [word.strip() for word in given.split(",")]
    numbers = [int(word) for word in words if word.isascii() and word.isdecimal()]
    if len(set(numbers)) < len(words):
        errors.append(f"--seeds {given}: different whole numbers with commas between them, such as 0,1,2")
        return []
    return numbers


def _misplaced(flags: Sequence[Flag], grid: Grid) -> list[str]:
    """Flags of a run that a comparison says in another way."""
    varied = {key for row in grid.rows for key in row.settings} | set(grid.axes)
    plural = {key: axis for axis, key in AXES.items()}
    errors = []
    for name in dict.fromkeys(flag.name for flag in flags):
        if name in varied:
            other = f"; give --{plural[name]}" if name in plural else ""
            errors.append(f"--{name}: the comparison sets it row by row{other}")
        elif name == "seed":
            errors.append("--seed: a comparison takes several; give --seeds")
        elif name == "resume":
            errors.append("--resume: a comparison always goes on where it stopped; leave it out")
    return errors
