"""Stages of a base: which there are, and how long."""

from __future__ import annotations

from typing import Any

import pytest

from spa3d.config.resolve import resolve
from spa3d.config.settings import StageSettings
from spa3d.config.stages import optimizer_steps, stages_of
from spa3d.errors import ConfigError

OUT = {"steps": 0, "epochs": 0}


@pytest.mark.parametrize(
    ("left_out", "expected"),
    [
        ((), ["encoder", "llm", "align", "instruct"]),
        (("align", "instruct"), ["encoder", "llm"]),
        (("encoder", "llm", "align", "instruct"), []),
    ],
)
def test_stages_of_leaves_out_stages_without_epochs(left_out: tuple[str, ...], expected: list[str]) -> None:
    base: dict[str, Any] = dict.fromkeys(left_out, OUT)
    assert stages_of(resolve({"preset": "smoke", "base": base})) == expected


def test_optimizer_steps_of_a_stage_that_is_left_out() -> None:
    assert optimizer_steps(StageSettings(epochs=0), 100) == 0
    assert optimizer_steps(StageSettings(epochs=0, steps=3), 100) == 3


def test_post_training_is_not_left_out() -> None:
    with pytest.raises(
        ConfigError, match=r"--train\.epochs 0: there would be no post-training; raise it, or give --tr"
    ):
        resolve({"preset": "smoke", "train": OUT})
