"""Example questions of a report, with their clean and noised clouds."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float32

from spa3d.artifacts.predictions import PredictionRow
from spa3d.contracts.noise import Noise
from spa3d.inference.prepared_clouds import PreparedClouds
from spa3d.runtime.rng import Draws, keyed_generator

EXAMPLES = 4
"""Number of examples; few keep the page small."""


@dataclass(frozen=True)
class Example:
    """Question about one cloud, and the answers of the model.

    Attributes:
        record_id: record of the cloud.
        question: the prompt.
        reference: the right answer.
        before: the answer before post-training.
        after: the answer after post-training; empty if there is none yet.
        blind: the answer without the cloud, after post-training (or before, if there is no later one).
        clean: ``(N, 6)`` float32, xyz and rgb in [0, 1].
        noised: ``(M, 6)`` float32 in the same frame, after the run's noise.

    """

    record_id: str
    question: str
    reference: str
    before: str
    after: str
    blind: str
    clean: Float32[np.ndarray, "N 6"] = field(repr=False)
    noised: Float32[np.ndarray, "M 6"] = field(repr=False)


def select_examples(
    before: Sequence[PredictionRow], after: Sequence[PredictionRow], clouds: PreparedClouds, noise: Noise, *, seed: int
) -> list[Example]:
    """Select questions about different records, first those whose answer training changed."""
    later = {row["id"]: row for row in after if row["view"] == "clean"}
    blind = {row["id"]: row["text"] for row in after if row["view"] == "blind" and row["set"] == "test"}
    rows = [row for row in before if row["view"] == "clean" and row["set"] == "test" and row["id"] in later]
    shown = []
    changed = {row["id"] for row in rows if row["text"] != later[row["id"]]["text"]}
    for row in choose_varied(rows, first=changed):
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


def choose_varied(rows: Sequence[PredictionRow], *, first: Container[str]) -> list[PredictionRow]:
    """Choose rows of different records and, if possible, kinds; ids in `first` come first."""
    left = [rows[int(index)] for index in keyed_generator("examples").permutation(len(rows))]
    picked: list[PredictionRow] = []
    while left and len(picked) < EXAMPLES:
        kinds, records = {row["kind"] for row in picked}, {row["record"] for row in picked}
        left = [row for row in left if row["record"] not in records]
        ahead = [row for row in left if row["id"] in first] or left
        picked += ([row for row in ahead if row["kind"] not in kinds] or ahead)[:1]
    return picked
