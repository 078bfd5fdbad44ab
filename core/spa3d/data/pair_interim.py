"""A preference pair: two answers to one question about one record, of which the first is to be preferred."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Pair:
    """One question, its preferred and its rejected answer.

    Attributes:
        record_id: whose cloud the question is about.
        question: as the model is asked, without the point block.
        chosen: the answer to prefer.
        rejected: the answer to avoid; never the text of `chosen`.
        has_cloud: false for a text-only conversation.
        made: how the pair came about: mode, writer or model, noise, seed.

    """

    record_id: str
    question: str
    chosen: str
    rejected: str
    has_cloud: bool = True
    made: Mapping[str, object] = field(default_factory=dict)
