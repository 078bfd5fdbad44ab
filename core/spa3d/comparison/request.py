"""Command line of ``spa3d compare``: argv to grid, settings and output folder."""

from __future__ import annotations

import re
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
from spa3d.registry.registry import Registry, describe_missing
from spa3d.runtime import distributed
from spa3d.runtime.paths import folder_problem

OWN = (*AXES, "seeds", "budget", "cell", "output", "dry-run", "effect", "pilot")
"""Flags of the comparison itself; all other flags are settings of its cells."""


@dataclass(frozen=True)
class CompareRequest:
    """A parsed command line of ``spa3d compare``.

    Attributes:
        grid: rows, axes, seeds and budget.
        preset: the preset of the grid; None if no name was given.
        settings: settings of every cell, the weakest first.
        registry: components and presets that can be chosen.
        output: the folder of cells and table.
        share: the part of the cells that this process runs, as ``i/n``; empty: all.
        dry_run: whether the cells are only listed.
        effect: the difference that a dry run finds the questions and seeds for, as a share; None: none is wanted.
        pilot: folder of a comparison or run whose variance a dry run takes; None: that of the finished cells.
        command: the command line, for messages that tell how to continue.

    """

    grid: Grid
    preset: ComparePreset | None
    settings: tuple[Settings, ...]
    registry: Registry
    output: Path
    share: str
    dry_run: bool
    effect: float | None
    pilot: Path | None
    command: str


def parse_request(argv: Sequence[str]) -> CompareRequest:
    """Parse the command line; the settings of the cells are not validated yet.

    Raises:
        ConfigError: every error of the comparison's own flags.
        RegistryError: the registry itself cannot be used.

    """
    arguments = scan_run(argv, own=OWN)
    flags = [flag for flag in arguments.flags if flag.name not in OWN]
    choices = read(Arguments(flags))
    errors = [*arguments.errors, *_check_words(arguments.words)]
    name, preset = _find_preset(arguments, choices.registry, errors)
    axes: dict[Axis, list[str]] = {axis: _read_values(arguments, axis, errors) for axis in AXES if arguments.has(axis)}
    if "objectives" not in axes and not (preset and preset.rows):
        axes["objectives"] = [_find_objective(choices)]
        flags = [flag for flag in flags if flag.name != "objective"]
    seeds, budget = _read_seeds(arguments, errors), _read_budget(arguments, errors)
    grid = make_grid(name or "-".join(axes["objectives"]), preset, axes, seeds=seeds, budget=budget)
    errors += _check_flags(flags, grid)
    effect, pilot = _read_power(arguments, errors)
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
        effect=effect,
        pilot=pilot,
        command=shlex.join(["spa3d", "compare", *argv]),
    )


def _check_words(words: Sequence[str]) -> list[str]:
    errors = [f"{word!r} is not expected here; one name of a comparison" for word in words[1:]]
    if distributed.world_size() > 1:
        errors.append(
            "spa3d compare: start it without torchrun; to share the cells among processes, give each --cell i/n"
        )
    return errors


def _find_preset(arguments: Arguments, registry: Registry, errors: list[str]) -> tuple[str, ComparePreset | None]:
    name, presets = arguments.words[0] if arguments.words else "", registry.manifest.presets.compare
    if name and name not in presets:
        errors.append(f"spa3d compare {name}: {describe_missing('comparison', name, presets, 'spa3d compare --help')}")
    return name, presets.get(name)


def _find_objective(choices: Choices) -> str:
    return next((choice.name for choice in choices.components if choice.kind == "objective"), "")


def _read_budget(arguments: Arguments, errors: list[str]) -> Budget | None:
    budget = next((kind for kind in get_args(Budget) if kind == arguments.value("budget")), None)
    if arguments.has("budget") and budget is None:
        errors.append(f"--budget {arguments.value('budget')}: possible: {', '.join(get_args(Budget))}")
    return budget


def _read_values(arguments: Arguments, axis: Axis, errors: list[str]) -> list[str]:
    """Read the values of an axis; an empty or repeated value is added to `errors`."""
    values = [value.strip() for value in (arguments.value(axis) or "").split(",")]
    if "" in values or len(set(values)) < len(values):
        errors.append(f"--{axis} {arguments.value(axis)}: expected different values, separated by commas")
    return values


def _read_seeds(arguments: Arguments, errors: list[str]) -> list[int]:
    text = arguments.value("seeds")
    if text is None:
        return []
    words = [word.strip() for word in text.split(",")]
    numbers = [int(word) for word in words if re.fullmatch(r"[0-9]{1,10}", word)]
    if len(set(numbers)) < len(words):
        errors.append(f"--seeds {text}: expected different whole numbers, separated by commas, such as 0,1,2")
        return []
    return numbers


def _read_power(arguments: Arguments, errors: list[str]) -> tuple[float | None, Path | None]:
    """Read the flags of a dry run: the wanted effect, from points to a share, and the pilot."""
    idle = [f"--{name}" for name in ("effect", "pilot") if arguments.has(name) and not arguments.has("dry-run")]
    if idle:
        errors.append(f"{' and '.join(idle)}: no effect without --dry-run, which says what a comparison could see")
    text, folder = arguments.value("effect"), arguments.value("pilot")
    points = float(text) if text and re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) else 0.0
    if text is not None and not 0 < points <= 100:
        errors.append(f"--effect {text}: expected points above 0 and up to 100, such as 2")
    if folder is not None and folder_problem(folder):
        errors.append(f"--pilot {folder}: {folder_problem(folder)}; give the folder of a comparison or of a run")
    return (points / 100 if points else None), (None if folder is None else Path(folder))


def _check_flags(flags: Sequence[Flag], grid: Grid) -> list[str]:
    """List the errors of run flags that a comparison replaces by its own."""
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
            errors.append("--resume: a comparison always continues where it stopped; leave it out")
    return errors
