"""Grids: rows of settings, crossed with the axes that affect them."""

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
"""Axes of a comparison, and the setting of a run that each varies. Rows are in this order."""
ORDERED = frozenset(AXES.values())
SPOKEN = {"train.learning_rate": "lr {}", "train.steps": "{} steps", "train.epochs": "{} epochs"}
"""Formats of settings in labels; other settings are shown by their value, or by name and value."""

RowSettings = Mapping[str, str]
"""Dotted settings of a run, each with its value as it would be typed after the flag of that name."""
Needs = Callable[[RowSettings], Sequence[Need]]
"""Returns the needs of a row's objective; raises `SpaError` if there is no such objective."""


@dataclass(frozen=True)
class Draft:
    """A row before its budget is known.

    An empty label is replaced by one made from all settings that vary. Other labels are extended by those in `crossed`.
    """

    settings: RowSettings
    label: str = ""
    crossed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Grid:
    """Specification of a comparison: rows, axes to cross them with, seeds and budget.

    `requested` has the axes that the user gave; the other axes are the preset's.
    """

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
    """Make a grid from a preset, axes or both; an axis in `axes` replaces the preset's."""
    preset = preset or ComparePreset()
    drafts = [Draft({key: show(value) for key, value in row.settings.items()}, row.label) for row in preset.rows]
    preset_axes = {axis: tuple(show(value) for value in values) for axis, values in preset.axes.items()}
    merged = {**preset_axes, **{axis: tuple(values) for axis, values in axes.items()}}
    return Grid(
        name=name,
        rows=tuple(drafts) or (Draft({}),),
        axes={key: merged[axis] for axis, key in AXES.items() if axis in merged},
        requested=frozenset(AXES[axis] for axis in axes),
        seeds=tuple(seeds) or preset.seeds,
        budget=budget or preset.budget,
    )


def expand(grid: Grid, needs: Needs) -> list[Draft]:
    """Cross the rows of `grid` with all combinations of its axes, label them, drop duplicates.

    A row that sets what an axis varies keeps its own value. If the user gave that axis, the row is kept only if its
    value is among those of the axis.

    Raises:
        ConfigError: no row is left, an objective is unknown or unusable, or two different rows have the same label.

    """
    crossed = [draft for row in grid.rows if _matches_axes(row, grid) for draft in _cross(row, grid)]
    if not crossed:
        requested = ", ".join(f"{key} {'|'.join(grid.axes[key])}" for key in sorted(grid.requested))
        rows = "; ".join(_format_settings(row.settings) for row in grid.rows)
        raise ConfigError(f"spa3d compare {grid.name}: no row has {requested}; its rows: {rows}")
    distinct: dict[tuple[tuple[str, str], ...], Draft] = {}
    errors: list[str] = []
    for draft in crossed:
        try:
            reduced = _remove_idle_axes(draft, needs(draft.settings))
        except SpaError as error:
            errors += str(error).splitlines()
        else:
            distinct.setdefault(tuple(sorted(reduced.settings.items())), reduced)
    if errors:
        raise ConfigError(list(dict.fromkeys(errors)))
    return _label_drafts(list(distinct.values()))


def shows_noise(needs: Sequence[Need], settings: RowSettings) -> bool:
    """Whether noise affects a row, through its objective or through its preference pairs."""
    pairs_use_noise = asks_for_pairs(needs) and settings.get("pairs.mode", "augmentation") == "augmentation"
    return pairs_use_noise or any(need.view == "noised" for need in needs)


def _matches_axes(row: Draft, grid: Grid) -> bool:
    return all(row.settings.get(key, values[0]) in values for key, values in grid.axes.items() if key in grid.requested)


def _cross(row: Draft, grid: Grid) -> Iterable[Draft]:
    """Cross `row` with every combination of the axes that it does not set itself."""
    open_axes = {key: values for key, values in grid.axes.items() if key not in row.settings}
    for values in product(*open_axes.values()):
        settings = {**row.settings, **dict(zip(open_axes, values, strict=True))}
        yield replace(row, settings=settings, crossed=frozenset(open_axes))


def _remove_idle_axes(draft: Draft, needs: Sequence[Need]) -> Draft:
    """Remove crossed axes that do not affect the row: unused noise, unused pairs."""
    idle = set() if asks_for_pairs(needs) else {"pairs.mode"}
    if not shows_noise(needs, draft.settings):
        idle |= {"noise", "noise.level"}
    idle &= draft.crossed
    settings = {key: value for key, value in draft.settings.items() if key not in idle}
    return replace(draft, settings=settings, crossed=draft.crossed - idle)


def _label_drafts(drafts: Sequence[Draft]) -> list[Draft]:
    labels = [_make_label(draft, drafts) for draft in drafts]
    duplicates = sorted({label for label in labels if labels.count(label) > 1})
    if duplicates:
        raise ConfigError(
            [f"spa3d compare: two different rows are called {label!r}; label them" for label in duplicates]
        )
    return [replace(draft, label=label) for draft, label in zip(drafts, labels, strict=True)]


def _make_label(draft: Draft, drafts: Sequence[Draft]) -> str:
    """Make a label from objective and varying settings; a given label gets crossed axes only."""
    settings = draft.settings
    varying = {key for key in settings if len({other.settings.get(key) for other in drafts}) > 1}
    shown = varying & draft.crossed if draft.label else varying | ({"objective"} & set(settings))
    ordered = [*(key for key in AXES.values() if key in shown), *(key for key in settings if key in shown - ORDERED)]
    if {"noise", "noise.level"} <= shown:
        ordered.remove("noise.level")
    words = [
        f"{settings[key]} {settings['noise.level']}"
        if key == "noise" and "noise.level" in shown
        else format_setting(key, settings[key])
        for key in ordered
    ]
    return ", ".join([draft.label, *words] if draft.label else words)


def format_setting(key: str, value: str) -> str:
    """Format a setting for a label: ``dpo``, ``lr 1e-4``, ``0.25``."""
    if key in ("objective", "encoder", "noise", "pairs.mode"):
        return value
    return SPOKEN[key].format(value) if key in SPOKEN else f"{key.rpartition('.')[2]} {value}"


def _format_settings(settings: RowSettings) -> str:
    return ", ".join(f"{key} {value}" for key, value in settings.items())
