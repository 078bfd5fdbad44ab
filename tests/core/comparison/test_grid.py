"""Grids: rows crossed with axes, their labels and errors."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from spa3d.comparison.grid import AXES, Draft, RowSettings, expand, make_grid, shows_noise
from spa3d.contracts.objective import Need
from spa3d.errors import ConfigError, RegistryError
from spa3d.registry.manifest import Axis, ComparePreset, CompareRow

NEEDS = {
    "sft": (Need(),),
    "spa": (Need(), Need(view="noised")),
    "dpo": (Need(), Need("rejected"), Need(model="reference"), Need("rejected", model="reference")),
    "twin-contrast": (Need(), Need("rejected"), Need(view="twin"), Need("rejected", "twin")),
}


def needs(settings: RowSettings) -> Sequence[Need]:
    try:
        return NEEDS[settings["objective"]]
    except KeyError as error:
        raise RegistryError(f"no objective {settings['objective']!r}") from error


def drafts(preset: ComparePreset | None = None, **axes: str) -> list[Draft]:
    words = {axis: axes.get(axis.replace("-", "_"), "") for axis in AXES}
    named: dict[Axis, list[str]] = {axis: value.split(",") for axis, value in words.items() if value}
    return expand(make_grid("test", preset, named), needs)


def labels(preset: ComparePreset | None = None, **axes: str) -> list[str]:
    return [draft.label for draft in drafts(preset, **axes)]


def test_expand_drops_axes_without_effect() -> None:
    result = labels(
        objectives="sft,spa,dpo,twin-contrast",
        noises="mask,gaussian",
        levels="0.1,0.5",
        pair_modes="augmentation,corruption",
    )
    noises = ["mask 0.1", "mask 0.5", "gaussian 0.1", "gaussian 0.5"]
    made_with_noise = [f"dpo, augmentation, {noise}" for noise in noises]
    assert result == [
        "sft",
        *(f"spa, {noise}" for noise in noises),
        *made_with_noise,
        "dpo, corruption",
        "twin-contrast",
    ]


def test_expand_labels_show_varying_settings() -> None:
    assert labels(objectives="spa", noises="mask", levels="0.1,0.5") == ["spa, level 0.1", "spa, level 0.5"]
    assert labels(objectives="sft,spa", learning_rates="1e-5,1e-4") == [
        "sft, lr 1e-5",
        "sft, lr 1e-4",
        "spa, lr 1e-5",
        "spa, lr 1e-4",
    ]
    assert labels(objectives="spa", encoders="pointnext,pointbert") == ["spa, pointnext", "spa, pointbert"]


def test_expand_settings_are_flags_of_a_run() -> None:
    assert [dict(draft.settings) for draft in drafts(objectives="dpo", pair_modes="augmentation", levels="0.25")] == [
        {"objective": "dpo", "pairs.mode": "augmentation", "noise.level": "0.25"}
    ]


ROWS = ComparePreset(
    rows=(
        CompareRow(settings={"objective": "sft"}),
        CompareRow(label="dpo (DA)", settings={"objective": "dpo", "pairs.mode": "augmentation"}),
        CompareRow(label="fresh", settings={"objective": "sft", "train.fresh": True}),
    ),
)


def test_expand_preset_rows_keep_labels_and_show_booleans_as_flags() -> None:
    assert labels(ROWS) == ["sft", "dpo (DA)", "fresh"]
    assert drafts(ROWS)[2].settings["train.fresh"] == "true"


def test_expand_axis_filters_rows_that_set_it_and_crosses_others() -> None:
    assert labels(ROWS, objectives="sft") == ["sft", "fresh"]
    assert labels(ROWS, learning_rates="1e-5,1e-4") == [
        "sft, lr 1e-5",
        "sft, lr 1e-4",
        "dpo (DA), lr 1e-5",
        "dpo (DA), lr 1e-4",
        "fresh, lr 1e-5",
        "fresh, lr 1e-4",
    ]


def test_make_grid_given_axis_replaces_the_presets() -> None:
    preset = ComparePreset(rows=(CompareRow(settings={"objective": "spa"}),), axes={"levels": (0.1, 0.5)})
    assert labels(preset) == ["spa, level 0.1", "spa, level 0.5"]
    assert labels(preset, levels="0.75,1") == ["spa, level 0.75", "spa, level 1"]


def test_expand_without_matching_rows_lists_the_rows() -> None:
    with pytest.raises(ConfigError, match=r"no row has objective ipo; its rows: objective sft; objective dpo"):
        labels(ROWS, objectives="ipo")


def test_expand_reports_all_unknown_objectives() -> None:
    with pytest.raises(ConfigError) as caught:
        labels(objectives="sft,spo,dpp", noises="mask,gaussian")
    assert caught.value.errors == ("no objective 'spo'", "no objective 'dpp'")


def test_expand_rejects_equal_labels() -> None:
    same = ComparePreset(rows=tuple(CompareRow(label="x", settings={"objective": name}) for name in ("sft", "spa")))
    with pytest.raises(ConfigError, match="two different rows are called 'x'"):
        labels(same)


@pytest.mark.parametrize(
    ("objective", "mode", "shown"),
    [("sft", "", False), ("spa", "", True), ("dpo", "augmentation", True), ("dpo", "corruption", False)],
)
def test_shows_noise_by_view_or_pairs(objective: str, mode: str, shown: bool) -> None:
    assert shows_noise(NEEDS[objective], {"objective": objective, "pairs.mode": mode}) is shown
