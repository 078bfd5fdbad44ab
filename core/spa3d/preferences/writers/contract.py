"""Contract of the writers that turn true answers into plausible wrong ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from spa3d.contracts.dataset import Record


@dataclass(frozen=True)
class RewriteRequest:
    """A true answer that is to become a plausible wrong one.

    Attributes:
        key: identifies the request; returned with its result.
        question: text of the question, without the point block.
        answer: the true answer.
        record: the record that the question is about.

    """

    key: str
    question: str
    answer: str
    record: Record


OnResult = Callable[[str, str | None, str], None]
"""Called with (key, the wrong answer or None, why there is none) as soon as a request is answered, in any order."""


class Writer(Protocol):
    """Rewrites true answers.

    Attributes:
        name: identifies the writer in the provenance of the pairs: ``rule``, ``model:<path>``, ``endpoint:<model>``.

    """

    name: str

    def rewrite(self, requests: Sequence[RewriteRequest], on_result: OnResult) -> None:
        """Call `on_result` once per request; results before a `SpaError` stay valid."""
        ...
