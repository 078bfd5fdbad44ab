"""Twins of colored clouds: edits that change the answer of exactly one fact.

The main color is replaced by another color of the palette, or one axis is scaled until the shape has another name.
The rules of `spa3d_plugins.datasets.color_names` must agree with the fact before the edit and with the new answer
after it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

import numpy as np
from jaxtyping import Float

from spa3d.contracts.dataset import CloudArray, Conversation, Fact, Record, Round, Twin
from spa3d.data.questions import OPTIONS
from spa3d.errors import DataError
from spa3d.runtime.rng import keyed_generator
from spa3d_plugins.datasets.color_names import WORDS, Axis, from_lab, lab_of, main_color, shape_of, to_lab

TWIN_ID = re.compile(r"(.+)~(\d{1,9})")
"""Pattern of a twin's id: the original's id and the twin's number."""
SHADING = (1.0, 0.5, 0.25)
"""Shares of the variation in lightness that a recolored part may keep, tried in this order."""
NAMED = 0.9
"""Least share of the recolored points that must individually have the new word."""
LEAD = 0.05
"""Least lead of a main color over the next one, as a share of all points, in original and twin."""
FACTORS = np.geomspace(1 / 3, 3, 67)
"""Scale factors tried for an axis, each 1.034 times the one before."""
STEADY = 1.1
"""A shape is clear if scaling any axis by this factor or its inverse does not change its word.

It must be clear in the original and in the twin.
"""


def recolor(cloud: CloudArray, target: str) -> CloudArray | None:
    """Replace the main color of `cloud` by `target`, one of `WORDS`; other colors stay.

    The points of the main color's word get the hue of `target`. They keep their differences in lightness as far as
    the new colors still have the word `target`. Chroma follows lightness, as in shadow.

    Returns:
        ``(N, 6)`` float32, points in the same order and position; None where `target` is already the main color or no
        word of the palette, or where the rule does not name the edited cloud `target`.

    """
    word, moved, _ = main_color(cloud)
    if target == word or target not in WORDS:
        return None
    lightness, goal = to_lab(cloud[moved, 3:])[:, 0], lab_of(target)
    for share in SHADING:
        light = np.clip(goal[0] + share * (lightness - np.median(lightness)), 0, 100)
        chroma = np.outer(np.minimum(light / goal[0], 1), goal[1:])
        edited = cloud.copy()
        edited[moved, 3:] = from_lab(np.column_stack([light, chroma]))
        after = main_color(edited)
        if after.word == target and after.lead >= LEAD and after.points[moved].mean() >= NAMED:
            return edited
    return None


def stretch(cloud: CloudArray, target: str, up_axis: Axis = "y") -> CloudArray | None:
    """Scale one axis by the factor nearest to 1 that makes the shape clearly `target`.

    Scaling is about the centroid; then the old size (largest distance to the centroid) is restored.

    Returns:
        ``(N, 6)`` float32, points in the same order with the same colors; None where the shape is already `target`,
        or where no factor of `FACTORS` on any axis gives it.

    """
    size = _size(cloud)
    if shape_of(size, up_axis) == target:
        return None
    scales = (1 + axis * (factor - 1) for axis in np.eye(3) for factor in FACTORS)
    usable = [scale for scale in scales if _is_clearly(target, size * scale, up_axis)]
    if not usable:
        return None
    center = cloud[:, :3].mean(0, dtype=np.float64)
    before = cloud[:, :3] - center
    after = before * min(usable, key=lambda scale: float(np.abs(np.log(scale)).sum()))
    after *= np.linalg.norm(before, axis=1).max() / np.linalg.norm(after, axis=1).max()
    edited = cloud.copy()
    edited[:, :3] = after + center
    return edited if shape_of(_size(edited), up_axis) == target else None


def cloud_twin(record: Record, number: int, up_axis: Axis = "y") -> Twin | None:
    """Make the `number`-th twin of `record`, with the id ``<id>~<number>``.

    It is a pure function of both arguments and of the cloud's file. A draw keyed by (id, number) decides whether
    ``color`` or ``shape`` changes, and to which of the fact's options; if an edit fails, the next is tried. A twin
    has only the question about the changed fact, because the caption may state the old answer.

    Returns:
        None where the record has no such fact with four options, where the rules disagree with the facts or give no
        clear answer, or where no edit succeeds.

    Raises:
        DataError: the cloud cannot be read.

    """
    candidates = [fact for fact in record.facts if _can_ask(record, fact)]
    if not candidates:
        return None
    cloud, stream = record.cloud(), keyed_generator(record.id, "twin", number)
    for fact in (candidates[i] for i in stream.permutation(len(candidates))):
        targets = [option for option in fact.options if option != fact.answer]
        order = stream.permutation(len(targets))
        if not _confirms(cloud, fact, up_axis):
            continue
        for target in (targets[i] for i in order):
            if _edit(cloud, fact.kind, target, up_axis) is not None:
                return _twin(record, number, fact, replace(fact, answer=target, sentence=""), up_axis)
    return None


def _size(cloud: CloudArray) -> Float[np.ndarray, " 3"]:
    return np.ptp(cloud[:, :3].astype(np.float64), axis=0)


def _is_clearly(word: str, size: Float[np.ndarray, " 3"], up_axis: Axis) -> bool:
    """Whether a bounding box of this size has the shape `word` and is not close to another one."""
    if shape_of(size, up_axis) != word:
        return False
    nearby = (size * (1 + axis * (factor - 1)) for axis in np.eye(3) for factor in (STEADY, 1 / STEADY))
    return all(shape_of(near, up_axis) == word for near in nearby)


def _can_ask(record: Record, fact: Fact) -> bool:
    known = fact.kind == "shape" or (fact.kind == "color" and record.has_color is not False)
    return known and not fact.subject and len(fact.options) >= OPTIONS


def _confirms(cloud: CloudArray, fact: Fact, up_axis: Axis) -> bool:
    """Whether the rules clearly give the answer of `fact` for `cloud`."""
    if fact.kind == "shape":
        return _is_clearly(fact.answer, _size(cloud), up_axis)
    main = main_color(cloud)
    return main.word == fact.answer and main.lead >= LEAD


def _edit(cloud: CloudArray, kind: str, target: str, up_axis: Axis) -> CloudArray | None:
    return recolor(cloud, target) if kind == "color" else stretch(cloud, target, up_axis)


def _twin(record: Record, number: int, before: Fact, after: Fact, up_axis: Axis) -> Twin:
    twin = replace(
        record,
        id=f"{record.id}~{number}",
        load=partial(_load_edited, record, after.kind, after.answer, up_axis),
        conversations=(Conversation("single_round", (Round(after.question, after.answer),)),),
        facts=tuple(after if fact == before else fact for fact in record.facts),
    )
    return Twin(twin, before, after)


def _load_edited(original: Record, kind: str, target: str, up_axis: Axis) -> CloudArray:
    """Load the original's cloud and edit it; nothing is cached.

    Raises:
        DataError: the original's cloud has changed, so that the edit fails.

    """
    cloud = _edit(original.cloud(), kind, target, up_axis)
    if cloud is None:
        raise DataError(f"the cloud of record {original.id} has changed since its twin was made; start again")
    return cloud
