"""Twins of colored clouds: an edit of the cloud after which exactly one of its facts has another, known answer.

The main color moves to another word of the palette, or one axis is scaled until the shape has another word. An edit
counts only where the rules of `spa3d_plugins.datasets.color_names` say so afterwards, and only where they
agreed with the fact before.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from jaxtyping import Float

from spa3d.contracts.dataset import Cloud, Conversation, Fact, Record, Round, Twin
from spa3d.data.questions import OPTIONS
from spa3d.errors import DataError
from spa3d.runtime.rng import keyed_generator
from spa3d_plugins.datasets.color_names import WORDS, Axis, from_lab, lab_of, main_color, shape_of, to_lab

SHADING = (1.0, 0.5, 0.25)
"""How much of the variation in lightness a recolored part keeps: the first share at which its color has its word."""
NAMED = 0.9
"""Least share of the recolored points that have the new word, each for itself."""
LEAD = 0.05
"""Share of all points by which a main color must be ahead of the next, in the original and in the twin."""
FACTORS = np.geomspace(1 / 3, 3, 67)
"""Factors an axis may be scaled by; one is 1.034 times that before it."""
STEADY = 1.1
"""A shape has its word clearly where no axis scaled by this factor, or by its inverse, changes it; in both as well."""


def recolor(cloud: Cloud, target: str) -> Cloud | None:
    """`cloud` with its main color moved to `target`, one of `WORDS`; other colors stay as they are.

    The points whose color has the word of the main color get the hue of `target` and keep their differences in
    lightness, as far as the colors then still have the word `target`. Chroma follows lightness, as it does in shade.

    Returns:
        ``(N, 6)`` float32, the points in their order and place; None where `target` is the main color already, is no
        word of the palette, or would not be what the rule measures afterwards.

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


def stretch(cloud: Cloud, target: str, up_axis: Axis = "y") -> Cloud | None:
    """`cloud` with one axis scaled, by the factor nearest to 1 at which its shape is clearly `target`.

    It is scaled about its centroid, then made as large as before (largest distance to the centroid).

    Returns:
        ``(N, 6)`` float32, the points in their order with their colors; None where the shape is `target` already or
        no axis and no factor of `FACTORS` gives it.

    """
    size = _size(cloud)
    if shape_of(size, up_axis) == target:
        return None
    scales = (1 + axis * (factor - 1) for axis in np.eye(3) for factor in FACTORS)
    found = [scale for scale in scales if _is_clearly(target, size * scale, up_axis)]
    if not found:
        return None
    center = cloud[:, :3].mean(0, dtype=np.float64)
    before = cloud[:, :3] - center
    after = before * min(found, key=lambda scale: float(np.abs(np.log(scale)).sum()))
    after *= np.linalg.norm(before, axis=1).max() / np.linalg.norm(after, axis=1).max()
    edited = cloud.copy()
    edited[:, :3] = after + center
    return edited if shape_of(_size(edited), up_axis) == target else None


def cloud_twin(record: Record, number: int, up_axis: Axis = "y") -> Twin | None:
    """The `number`-th twin of `record`, named ``<id>~<number>``: a pure function of both and of the cloud's file.

    Its ``color`` or its ``shape`` is changed, whichever a draw keyed by (id, number) takes, to a value among the
    fact's options; where an edit does not succeed the next is tried. Only the question about the changed fact comes
    with a twin, for a caption may mention what is no longer so.

    Returns:
        None where the record has neither fact with four options, where the rules measure something else than the facts
        say or nothing clearly, or where no edit succeeds.

    Raises:
        DataError: the cloud cannot be read.

    """
    asked = [fact for fact in record.facts if _can_ask(record, fact)]
    if not asked:
        return None
    cloud, stream = record.cloud(), keyed_generator(record.id, "twin", number)
    for fact in (asked[i] for i in stream.permutation(len(asked))):
        targets = [option for option in fact.options if option != fact.answer]
        order = stream.permutation(len(targets))
        if not _holds(cloud, fact, up_axis):
            continue
        for target in (targets[i] for i in order):
            if _edit(cloud, fact.kind, target, up_axis) is not None:
                return _twin(record, number, fact, replace(fact, answer=target, sentence=""), up_axis)
    return None


def _size(cloud: Cloud) -> Float[np.ndarray, " 3"]:
    return np.ptp(cloud[:, :3].astype(np.float64), axis=0)


def _is_clearly(word: str, size: Float[np.ndarray, " 3"], up_axis: Axis) -> bool:
    """Whether a bounding box of this size has the shape `word`, and is not close to having another."""
    if shape_of(size, up_axis) != word:
        return False
    nearby = (size * (1 + axis * (factor - 1)) for axis in np.eye(3) for factor in (STEADY, 1 / STEADY))
    return all(shape_of(near, up_axis) == word for near in nearby)


def _can_ask(record: Record, fact: Fact) -> bool:
    known = fact.kind == "shape" or (fact.kind == "color" and record.has_color)
    return known and not fact.subject and len(fact.options) >= OPTIONS


def _holds(cloud: Cloud, fact: Fact, up_axis: Axis) -> bool:
    """Whether the rules measure in `cloud` what `fact` says, and clearly."""
    if fact.kind == "shape":
        return _is_clearly(fact.answer, _size(cloud), up_axis)
    main = main_color(cloud)
    return main.word == fact.answer and main.lead >= LEAD


def _edit(cloud: Cloud, kind: str, target: str, up_axis: Axis) -> Cloud | None:
    return recolor(cloud, target) if kind == "color" else stretch(cloud, target, up_axis)


def _twin(record: Record, number: int, before: Fact, after: Fact, up_axis: Axis) -> Twin:
    twin = replace(
        record,
        id=f"{record.id}~{number}",
        load=partial(_edited, record, after.kind, after.answer, up_axis),
        conversations=(Conversation("single_round", (Round(after.question, after.answer),)),),
        facts=tuple(after if fact == before else fact for fact in record.facts),
    )
    return Twin(twin, before, after)


def _edited(original: Record, kind: str, target: str, up_axis: Axis) -> Cloud:
    """The twin's cloud, made again from the original's whenever it is asked for; nothing of it is kept."""
    cloud = _edit(original.cloud(), kind, target, up_axis)
    if cloud is None:
        raise DataError(f"the cloud of record {original.id} is another than when its twin was made; start again")
    return cloud
