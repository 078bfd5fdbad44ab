"""Example questions of an evaluation, with their clouds and answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32

from spa3d.artifacts.predictions import PredictionRow
from spa3d.evaluation.scored_units import BLIND, CLEAN
from spa3d.report.examples import choose_varied


@dataclass(frozen=True)
class AnsweredExample:
    """Question about one cloud, and the answers of the model with and without it.

    ``cloud`` is ``(N, 6)`` float32, xyz in any unit and rgb in [0, 1].
    """

    record_id: str
    question: str
    reference: str
    answer: str
    blind: str
    cloud: Float32[np.ndarray, "N 6"] = field(repr=False)


def select_answered(
    rows: Sequence[PredictionRow], load: Callable[[str], Float32[np.ndarray, "N 6"]]
) -> list[AnsweredExample]:
    """Select questions about different records, first those whose answer the cloud changes.

    Args:
        rows: of one benchmark, under all views.
        load: loads the cloud of a record.

    """
    blind = {row["id"]: row["text"] for row in rows if row["view"] == BLIND and row["set"] == "test"}
    shown = [row for row in rows if row["view"] == CLEAN and row["set"] == "test"]
    changed = {row["id"] for row in shown if row["text"] != blind.get(row["id"])}
    return [
        AnsweredExample(
            row["record"], row["prompt"], row["answer"], row["text"], blind.get(row["id"], ""), load(row["record"])
        )
        for row in choose_varied(shown, first=changed)
    ]
