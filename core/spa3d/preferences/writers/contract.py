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
        key: names the request; handed back with its result.
        question: as the model is asked, without the point block.
        answer: the true answer.
        record: whose answer it is.

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
        name: who it is, for the provenance of the pairs: ``rule``, ``model:<path>``, ``endpoint:<model>``.

    """

    name: str

    def rewrite(self, requests: Sequence[RewriteRequest], on_result: OnResult) -> None:
        """Answer every request through `on_result`, once each; a `SpaError` on the way leaves what is done as it is."""
        ...
