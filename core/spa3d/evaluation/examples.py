"""A few questions with the cloud as the model saw it and as the noise left it, for the report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from spa3d.contracts.noise import Noise
from spa3d.evaluation.evaluate import Row
from spa3d.inference.views import Clouds
from spa3d.report import Example
from spa3d.runtime.rng import Draws, generator

EXAMPLES = 4
"""Clouds shown: a page that opens quickly."""


def examples(before: Sequence[Row], after: Sequence[Row], clouds: Clouds, noise: Noise, *, seed: int) -> list[Example]:
    """Questions of different records, the same ones for every run that asks the same questions."""
    later = {row["id"]: row for row in after if row["view"] == "clean"}
    blind = {row["id"]: row["text"] for row in after if row["view"] == "blind" and row["set"] == "test"}
    rows = [row for row in before if row["view"] == "clean" and row["set"] == "test" and row["id"] in later]
    shown = []
    for row in _varied(rows):
        clean = torch.from_numpy(clouds.get([row["record"]]))
        noised = noise.apply(clean, Draws([(seed, 0, row["record"], "noised")]))
        shown.append(
            Example(
                record_id=row["record"],
                question=row["prompt"],
                reference=row["answer"],
                before=row["text"],
                after=later[row["id"]]["text"],
                blind=blind.get(row["id"], ""),
                clean=np.asarray(clean[0]),
                noised=np.asarray(noised[0]),
            )
        )
    return shown


def _varied(rows: Sequence[Row]) -> list[Row]:
    """Rows of different records and, as far as there are any, of different kinds; a keyed choice."""
    left = [rows[int(place)] for place in generator("examples").permutation(len(rows))]
    picked: list[Row] = []
    while left and len(picked) < EXAMPLES:
        kinds, records = {row["kind"] for row in picked}, {row["record"] for row in picked}
        left = [row for row in left if row["record"] not in records]
        picked += ([row for row in left if row["kind"] not in kinds] or left)[:1]
    return picked
