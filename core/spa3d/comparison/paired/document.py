"""Validated model of the differences between two models. Keys are only ever added."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from spa3d.report.document import Shift


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Side(_Model):
    """One of the two models: where its answers are, and how they were made."""

    path: str
    phase: str
    decoding: dict[str, Any] = {}
    seeds: dict[str, Any] = {}


class Difference(Shift):
    """Second minus first: the paired difference of the scores.

    ``p`` is of sign flips of whole groups, ``p_holm`` corrected for all sets of all benchmarks; kinds have none.
    ``blind`` is the difference of the blind scores, where both models were asked without the cloud.
    """

    p: float
    p_holm: float | None = None
    blind: Shift | None = None


class SetDifference(_Model):
    """Scores of both models on one set or kind of questions, and their difference."""

    n: int = Field(ge=1)
    groups: int = Field(ge=1)
    chance: float
    first: float
    second: float
    first_blind: float | None = None
    second_blind: float | None = None
    difference: Difference


class Flip(_Model):
    """A question whose value differs between the models."""

    id: str
    record: str
    set: str
    kind: str
    prompt: str
    answer: str
    first_text: str
    second_text: str
    first_value: float
    second_value: float


class BenchmarkDifference(_Model):
    """One benchmark: differences by set and by kind, and the questions that changed.

    ``gained`` and ``lost`` are ids of the questions with a higher and a lower value of the second model, of all sets.
    ``only_first``, ``only_second`` and ``changed`` count the questions that are left out.
    """

    sets: dict[str, SetDifference]
    kinds: dict[str, SetDifference]
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    examples: tuple[Flip, ...]
    only_first: int = 0
    only_second: int = 0
    changed: int = 0


class ModelDifference(_Model):
    """The differences between two models."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, serialize_by_alias=True, populate_by_name=True
    )

    version: Literal[1] = Field(1, alias="schema")
    verdict: tuple[str, ...] = ()
    first: Side
    second: Side
    bootstrap: int
    seed: int
    notes: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    benchmarks: dict[str, BenchmarkDifference]
    left_out: tuple[str, ...] = ()

    def json_text(self) -> str:
        """The text of the JSON file."""
        return self.model_dump_json(indent=1, exclude_none=True) + "\n"
