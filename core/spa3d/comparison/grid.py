"""A grid: rows of settings crossed with axes, each axis only where it matters to the row's objective."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from spa3d.contracts.objective import Need, asks_for_pairs
from spa3d.errors import ConfigError, SpaError
from spa3d.registry.fields import show
from spa3d.registry.manifest import Axis, Budget, ComparePreset

AXES: dict[Axis, str] = {
    "objectives": "objective",
    "encoders": "encoder",
    "pair-modes": "pairs.mode",
    "noises": "noise",
    "levels": "noise.level",
    "learning-rates": "train.learning_rate",
}
"""The flags of a comparison, and the setting of a run that each of them varies; rows come in this order."""
ORDERED = frozenset(AXES.values())
SPOKEN = {"train.learning_rate": "lr {}", "train.steps": "{} steps", "train.epochs": "{} epochs"}
"""How a setting is told in a label; others are told by their value, or by name and value."""

RowSettings = Mapping[str, str]
"""Dotted settings of a run, each with its value as it would be typed after the flag of that name."""
Needs = Callable[[RowSettings], Sequence[Need]]
"""What the objective of a row wants scored; raises `SpaError` where there is no such objective."""


@dataclass(frozen=True)
class Draft:
    """A row before its budget is known; an empty label is made from what varies, others tell of `crossed` only."""

    settings: RowSettings
    label: str = ""
    crossed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Grid:
    """What a comparison was asked for: its own rows, what they are crossed with, seeds and budget."""

    name: str
    rows: tuple[Draft, ...]
    axes: Mapping[str, tuple[str, ...]]
    requested: frozenset[str]
    seeds: tuple[int, ...]
    budget: Budget


def make_grid(
    name: str,
    preset: ComparePreset | None,
    axes: Mapping[Axis, Sequence[str]],
    *,
    seeds: Sequence[int] = (),
    budget: Budget | None = None,
) -> Grid:
    """The grid of a preset, of axes, or of both: an axis that is asked for replaces the preset's of that name."""
    preset = preset or ComparePreset()
    drafts = [Draft({key: show(value) for key, value in row.settings.items()}, row.label) for row in preset.rows]
    there = {axis: tuple(show(value) for value in values) for axis, values in preset.axes.items()}
    merged = {**there, **{axis: tuple(values) for axis, values in axes.items()}}
    return Grid(
        name=name,
        rows=tuple(drafts) or (Draft({}),),
        axes={key: merged[axis] for axis, key in AXES.items() if axis in merged},
        requested=frozenset(AXES[axis] for axis in axes),
        seeds=tuple(seeds) or preset.seeds,
        budget=budget or preset.budget,
    )


def expand(grid: Grid, needs: Needs) -> list[Draft]:
    """Every row of `grid` with every combination of its axes, labeled; rows that come out alike are one.

    A row that sets what an axis varies keeps its own value; where the axis was asked for by hand, such rows stay
    only if their value is among those asked for.

    Raises:
        ConfigError: nothing is left, an objective cannot be had, or two different rows would have one label.

    """
    crossed = [draft for row in grid.rows if _kept(row, grid) for draft in _crossed(row, grid)]
    if not crossed:
        requested = ", ".join(f"{key} {'|'.join(grid.axes[key])}" for key in sorted(grid.requested))
        there = "; ".join(_told(row.settings) for row in grid.rows)
        raise ConfigError(f"spa3d compare {grid.name}: no row of it has {requested}; its rows: {there}")
    alike: dict[tuple[tuple[str, str], ...], Draft] = {}
    errors: list[str] = []
    for draft in crossed:
        try:
            kept = _without_idle(draft, needs(draft.settings))
        except SpaError as error:
            errors += str(error).splitlines()
        else:
            alike.setdefault(tuple(sorted(kept.settings.items())), kept)
    if errors:
        raise ConfigError(list(dict.fromkeys(errors)))
    return _labeled(list(alike.values()))


def shows_noise(needs: Sequence[Need], settings: RowSettings) -> bool:
    """Whether the run's noise reaches a row: its objective sees the noised cloud, or its pairs are made with it."""
    made_with_it = asks_for_pairs(needs) and settings.get("pairs.mode", "augmentation") == "augmentation"
    return made_with_it or any(need.view == "noised" for need in needs)


def _kept(row: Draft, grid: Grid) -> bool:
    return all(row.settings.get(key, values[0]) in values for key, values in grid.axes.items() if key in grid.requested)


def _crossed(row: Draft, grid: Grid) -> Iterable[Draft]:
    """`row` with every combination of the axes that it does not set itself."""
    open_axes = {key: values for key, values in grid.axes.items() if key not in row.settings}
    for values in product(*open_axes.values()):
        settings = {**row.settings, **dict(zip(open_axes, values, strict=True))}
        yield replace(row, settings=settings, crossed=frozenset(open_axes))


def _without_idle(draft: Draft, needs: Sequence[Need]) -> Draft:
    """Leave out the axes that do not matter to the objective: noise that is never shown, pairs never asked for."""
    idle = set() if asks_for_pairs(needs) else {"pairs.mode"}
    if not shows_noise(needs, draft.settings):
        idle |= {"noise", "noise.level"}
    idle &= draft.crossed
    settings = {key: value for key, value in draft.settings.items() if key not in idle}
    return replace(draft, settings=settings, crossed=draft.crossed - idle)


def _labeled(drafts: Sequence[Draft]) -> list[Draft]:
    labels = [_label(draft, drafts) for draft in drafts]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ConfigError([f"spa3d compare: two different rows are called {label!r}; label them" for label in twice])
    return [replace(draft, label=label) for draft, label in zip(drafts, labels, strict=True)]


def _label(draft: Draft, drafts: Sequence[Draft]) -> str:
    """The objective and whatever else differs among the rows; after a label of its own only what it is crossed with."""
    settings = draft.settings
    varying = {key for key in settings if len({other.settings.get(key) for other in drafts}) > 1}
    told = varying & draft.crossed if draft.label else varying | ({"objective"} & set(settings))
    ordered = [*(key for key in AXES.values() if key in told), *(key for key in settings if key in told - ORDERED)]
    if {"noise", "noise.level"} <= told:
        ordered.remove("noise.level")
    words = [
        f"{settings[key]} {settings['noise.level']}"
        if key == "noise" and "noise.level" in told
        else spoken(key, settings[key])
        for key in ordered
    ]
    return ", ".join([draft.label, *words] if draft.label else words)


def spoken(key: str, value: str) -> str:
    """A setting as a label tells it."""
    if key in ("objective", "encoder", "noise", "pairs.mode"):
        return value
    return SPOKEN[key].format(value) if key in SPOKEN else f"{key.rpartition('.')[2]} {value}"


def _told(settings: RowSettings) -> str:
    return ", ".join(f"{key} {value}" for key, value in settings.items())
