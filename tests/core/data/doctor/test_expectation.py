"""Every finding beside a model is provoked, and a cloud like those of the training has none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from spa3d.data.doctor.expectation import Expectation, TrainingClouds, judge_beside
from spa3d.data.doctor.facts import measure
from spa3d.data.doctor.findings import KINDS
from spa3d.data.formats.contract import Cloud
from spa3d.data.preparation import Preparation

Change = Callable[..., Cloud]
TRAINING = TrainingClouds(64, 6000, (0.7, 0.9), 1.0, (0.5, 0.5, 0.5), "y")
MODEL = Expectation("run", "pointnext", Preparation(count=4096), ("xyz", "rgb"), 32, "y", TRAINING)
RAW = replace(MODEL, preparation=Preparation(count=4096, normalize=False))

PROVOKED: dict[str, tuple[Expectation, Callable[[Change], Cloud]]] = {
    "model-points": (replace(MODEL, min_points=7000), lambda change: change()),
    "model-repeats": (replace(MODEL, preparation=Preparation(count=8192)), lambda change: change()),
    "model-thinned": (replace(MODEL, preparation=Preparation(count=1024)), lambda change: change()),
    "model-no-color": (MODEL, lambda change: change(colors=None)),
    "model-color-unused": (replace(MODEL, inputs=("xyz", "height")), lambda change: change()),
    "model-color-unseen": (replace(MODEL, training=replace(TRAINING, colored=0.0)), lambda change: change()),
    "model-up-axis": (MODEL, lambda change: change(points=lambda points: points[:, (2, 0, 1)])),
    "model-scale": (RAW, lambda change: change(points=lambda points: points * 100)),
}


def kinds(cloud: Cloud, expected: Expectation) -> dict[str, str]:
    return {finding.kind: finding.effect for finding in judge_beside(measure(cloud, views=0), expected)}


def test_every_kind_is_provoked() -> None:
    assert set(PROVOKED) == {kind for kind, row in KINDS.items() if row.subject == "model"}


def test_a_cloud_like_those_of_the_training_has_no_finding(table: Cloud) -> None:
    assert kinds(table, MODEL) == kinds(table, RAW) == kinds(table, replace(MODEL, training=None)) == {}


@pytest.mark.parametrize("kind", PROVOKED)
def test_finding_is_reported_alone_and_its_repair_removes_it(kind: str, change: Change) -> None:
    expected, make = PROVOKED[kind]
    cloud = make(change)
    there = [*judge_beside(measure(cloud, views=0), expected)]
    assert [finding.kind for finding in there] == [kind]
    if there[0].repairs:
        assert kinds(there[0].repairs.apply(cloud)[0], expected) == {}


def test_normalized_clouds_may_have_any_size(change: Change) -> None:
    assert kinds(change(points=lambda points: points * 1000), MODEL) == {}


def test_height_is_named_where_the_wrong_axis_changes_it(change: Change) -> None:
    lying = PROVOKED["model-up-axis"][1](change)
    with_height = replace(MODEL, inputs=("xyz", "rgb", "height"))
    assert "height is measured along the wrong axis" in kinds(lying, with_height)["model-up-axis"]
    assert "height" not in kinds(lying, MODEL)["model-up-axis"]


def test_training_clouds_from_a_passport() -> None:
    values = {
        "clouds": 64,
        "points": 6000,
        "radius": [0.7, 0.9],
        "colored": 1.0,
        "mean_color": [0.5] * 3,
        "up_axis": "y",
    }
    assert TrainingClouds.from_json(values) == TRAINING
    for broken in (None, [], {}, {**values, "radius": 3}, {**values, "mean_color": [1]}, {**values, "points": "many"}):
        assert TrainingClouds.from_json(broken) is None
    assert np.isclose(TRAINING.radius[1], 0.9)
