"""Every finding about one cloud is provoked, and a good cloud has none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import spa3d
from spa3d.data.cloud_checks import from_array
from spa3d.data.doctor.cloud_findings import judge_cloud, judge_up_axis
from spa3d.data.doctor.facts import measure
from spa3d.data.doctor.findings import KINDS, Finding
from spa3d.data.doctor.shape_facts import VIEWS
from spa3d.data.formats.contract import Cloud
from spa3d.data.preparation import Preparation, prepare
from spa3d.errors import DataError

Change = Callable[..., Cloud]


def findings(cloud: Cloud, *, views: int = 0) -> dict[str, Finding]:
    facts = measure(cloud, views=views)
    return {finding.kind: finding for finding in (*judge_cloud(facts), *judge_up_axis(facts))}


def draws() -> np.random.Generator:
    return np.random.default_rng(5)


def unit_vectors(count: int) -> np.ndarray:
    vectors = draws().standard_normal((count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def put_nan(points: np.ndarray) -> np.ndarray:
    points = points.copy()
    points[[7, 9]] = np.nan
    return points


def one_view(count: int = 6000) -> np.ndarray:
    """A wavy wall: seen from +z, nothing is behind it."""
    flat = draws().random((count, 2)) * 2 - 1
    return np.column_stack([flat, 0.35 * np.sin(3 * flat[:, 0]) + 0.35 * np.cos(3 * flat[:, 1])])


def uneven(points: np.ndarray) -> np.ndarray:
    """Half of the points close together, as where a laser stands."""
    half = len(points) // 2
    return np.concatenate([points[:half], points[half:] * 0.01 + 0.3])


Maker = Callable[[Change], Cloud]
PROVOKED: dict[str, Maker] = {
    "empty": lambda change: change(points=np.zeros((0, 3)), colors=None),
    "one-place": lambda change: change(points=lambda points: np.ones_like(points)),
    "invalid": lambda change: change(points=put_nan),
    "colors-255": lambda change: change(colors=lambda colors: np.round(colors * 255)),
    "colors-65535": lambda change: change(colors=lambda colors: np.round(colors * 65535)),
    "colors-signed": lambda change: change(colors=lambda colors: colors * 2 - 1),
    "colors-normals": lambda change: change(colors=unit_vectors(6000).astype(np.float32)),
    "colors-outside": lambda change: change(colors=lambda colors: colors * 3.7),
    "colors-dark": lambda change: change(colors=lambda colors: colors / 255),
    "colors-black": lambda change: change(colors=lambda colors: colors * 0),
    "colors-flat": lambda change: change(colors=lambda colors: colors * 0 + 0.25),
    "coarse-type": lambda change: change(points=lambda points: (points + 5e6).astype(np.float32).astype(np.float64)),
    "no-color": lambda change: change(colors=None),
    "up-axis": lambda change: change(points=lambda points: points[:, (2, 0, 1)]),
    "outliers": lambda change: change(points=lambda points: np.where(np.arange(6000)[:, None] < 5, 9 + points, points)),
    "duplicates": lambda change: change(points=lambda points: np.concatenate([points[:4500], points[:1500]])),
    "line": lambda change: change(points=lambda points: points[:, :1] * (1.0, 2.0, 3.0)),
    "planar": lambda change: change(points=lambda points: points * (1, 1, 0)),
    "few-points": lambda change: change(points=lambda points: points[:100], colors=lambda colors: colors[:100]),
    "grid": lambda change: change(points=lambda points: np.round(points / 0.05) * 0.05),
    "uneven": lambda change: change(points=uneven),
    "one-sided": lambda change: change(points=one_view()),
    "far": lambda change: change(
        points=lambda points: points + np.array([691_000.0, 5_335_000.0, 500.0]), precision=np.dtype(np.float64)
    ),
    "normals-length": lambda change: change(normals=np.full((6000, 3), 0.1, np.float32)),
}  # fmt: skip
REFUSED = {
    *("empty", "one-place", "invalid", "colors-255", "colors-65535", "colors-signed", "colors-outside", "coarse-type"),
    "colors-normals",
}
"""Findings whose sentence says that the cloud is refused; no other cloud is."""


def test_every_kind_is_provoked() -> None:
    assert set(PROVOKED) == {kind for kind, row in KINDS.items() if row.subject == "cloud"}


def test_a_good_cloud_has_no_finding(table: Cloud) -> None:
    assert findings(table, views=VIEWS) == {}
    assert measure(table).up_axis.axis == "y"


@pytest.mark.parametrize("kind", PROVOKED)
def test_finding_is_reported_and_its_sentence_about_refusal_is_true(kind: str, change: Change) -> None:
    cloud = PROVOKED[kind](change)
    there = findings(cloud, views=VIEWS if kind == "one-sided" else 0)
    assert kind in there
    assert there[kind].seen
    others = {name for name in there if KINDS[name].severity == "fault"} - {kind}
    assert others <= {"empty"}, "a cloud with one fault has no other one"
    if kind in REFUSED:
        with pytest.raises(DataError):
            prepare(cloud.to_array(), Preparation(), key=("test",))
    else:
        assert "refuse the cloud" not in there[kind].effect
        assert np.isfinite(prepare(cloud.to_array(), Preparation(), key=("test",))).all()


@pytest.mark.parametrize("kind", PROVOKED)
def test_repair_removes_the_finding(kind: str, change: Change) -> None:
    cloud = PROVOKED[kind](change)
    finding = findings(cloud, views=VIEWS if kind == "one-sided" else 0)[kind]
    if finding.repairs is None:
        assert kind in {
            "empty", "one-place", "colors-outside", "colors-flat", "coarse-type", "no-color", "line", "planar",
            "few-points", "grid", "uneven", "one-sided", "normals-length",
        }  # fmt: skip
        return
    repaired, log = finding.repairs.apply(cloud)
    assert len(log) == 1
    assert kind not in findings(repaired)


def test_sentences_have_the_figures(change: Change) -> None:
    def read_sentence(kind: str) -> str:
        return findings(PROVOKED[kind](change))[kind].seen

    assert read_sentence("invalid") == "NaN or infinity in 2 of 6,000 points, first in point 7"
    assert "colors from 0 to 255, all whole numbers" in read_sentence("colors-255")
    assert read_sentence("duplicates") == "1,500 of 6,000 points repeat another one"
    assert read_sentence("outliers").startswith("5 points (0.08%) beyond a gap")
    assert read_sentence("few-points") == "100 different points"
    assert "a grid of 24 steps along the longest axis" in read_sentence("grid")
    assert read_sentence("up-axis").startswith("z seems to point up (a guess, probability ")


def test_outliers_sentence_says_how_far_the_rest_shrinks(change: Change) -> None:
    """The share of the sphere in the sentence is that of the prepared cloud."""
    cloud = PROVOKED["outliers"](change)
    finding = findings(cloud)["outliers"]
    ready = prepare(cloud.to_array(), Preparation(), key=("test",))[5:, :3]
    spread = np.linalg.norm(ready - np.median(ready, axis=0), axis=1).max()
    stated = float(finding.effect.partition("inner ")[2].partition("%")[0]) / 100
    assert stated == pytest.approx(spread, abs=0.011)


def test_black_counts_as_a_color_and_missing_color_does_not(change: Change) -> None:
    black, bare = PROVOKED["colors-black"](change).to_array(), PROVOKED["no-color"](change).to_array()
    settings = Preparation(missing_color=0.4)
    assert (prepare(black, settings, key=("test",))[:, 3:] == 0).all()
    assert (prepare(bare, settings, key=("test",), has_color=False)[:, 3:] == np.float32(0.4)).all()


def test_scale_does_not_matter_where_clouds_are_normalized(table: Cloud) -> None:
    array = table.to_array()
    larger = from_array(array * np.array([80, 80, 80, 1, 1, 1], np.float32), where="larger")
    settings = Preparation(count=512, method="random")
    np.testing.assert_allclose(
        prepare(array, settings, key=("test",)), prepare(larger, settings, key=("test",)), atol=1e-5
    )


def test_float64_far_from_the_origin_keeps_its_shape(change: Change) -> None:
    cloud = PROVOKED["far"](change)
    near = prepare(change().to_array(), Preparation(), key=("test",))
    np.testing.assert_allclose(prepare(cloud.to_array(), Preparation(), key=("test",)), near, atol=1e-6)
    with pytest.raises(DataError, match="too coarse"):
        prepare(cloud.to_array(), Preparation(normalize=False), key=("test",))


@pytest.mark.parametrize("seed", range(2))
def test_no_false_alarm_about_embedded_objects(seed: int) -> None:
    records: Any = spa3d.create("dataset", "shapes", train=1, val=1, test=30, counterfactual=1, seed=seed).records(
        "test"
    )
    alarms = []
    for record in records:
        array = record.cloud()
        cloud = Cloud(array[:, :3].astype(np.float64), array[:, 3:], source=record.id, precision=array.dtype)
        alarms += [(record.id, kind) for kind in findings(cloud)]
    assert [alarm for alarm in alarms if alarm[1] != "up-axis"] == []
    assert len(alarms) <= 1, "the guess of what is up is wrong for about 1 of 100 objects"


def test_measure_does_not_depend_on_the_order_of_points(table: Cloud) -> None:
    order = draws().permutation(len(table))
    assert table.colors is not None
    other = measure(replace(table, points=table.points[order], colors=table.colors[order]))
    facts = measure(table)
    assert other.digest == facts.digest
    assert (other.points, other.low, other.high, other.repeats) == (facts.points, facts.low, facts.high, facts.repeats)
    moved = table.points.copy()
    moved[17, 1] += 1e-3
    assert measure(replace(table, points=moved)).digest != facts.digest
