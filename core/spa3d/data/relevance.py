"""Questions that may be shown with another object's cloud, and their wording.

A question is unanswerable there if the other object lacks what it asks about (`RelevanceIndex.lacks`). The paper's
wording of 3D-RDQA is not known; `REFUSAL` and `ABOUT` are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, lru_cache

from spa3d.contracts.dataset import Fact, Record
from spa3d.data.questions import OPTIONS, draw_options
from spa3d.metrics.text_matching import mentions

REFUSAL = "cannot be answered from this object"
"""The last option of every relevance question."""
ABOUT = "About the {category}: {question}"
"""Wording of a question about a whole object, so that it asks about one category."""
CATEGORY = "category"
"""Kind of the facts that name the category."""


class RelevanceIndex:
    """Parts of the categories of one split: whether a record lacks what a question asks about.

    Args:
        records: the records of the split.

    """

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records

    @cached_property
    def parts(self) -> dict[str, frozenset[str]]:
        """Category → all parts that a fact about one of its objects names."""
        parts: dict[str, set[str]] = {}
        for record in self.records:
            if record.category is not None:
                parts.setdefault(record.category, set()).update(fact.subject for fact in record.facts if fact.subject)
        return {category: frozenset(names) for category, names in parts.items()}

    def lacks(self, other: Record, record: Record, fact: Fact) -> bool:
        """Whether `other` lacks what the question about a fact of `record` asks about.

        Both have a category and neither contains the words of the other one. Then a fact about a part is lacking if no
        object of the category of `other` has a part of that name, and a fact about the whole object is lacking because
        its question names the category (`ask`). The caption of `other` must not name the part or the category either.
        """
        if record.category is None or other.category is None or other.group == record.group or not other.has_cloud:
            return False
        if _overlap(record.category, other.category) or _says(other.caption or "", fact.subject or record.category):
            return False
        return not any(_overlap(part, fact.subject) for part in self.parts.get(other.category, ()) if fact.subject)


def list_facts(record: Record) -> list[Fact]:
    """List the facts that a relevance question can be about.

    The record has a cloud and a category, and the fact has four options or more.
    """
    if record.category is None or not record.has_cloud:
        return []
    return [fact for fact in record.facts if len(fact.options) >= OPTIONS]


def ask(record: Record, fact: Fact) -> str:
    """Word the question about a fact.

    One about the whole object names the category, unless it asks for it.
    """
    if fact.subject or fact.kind == CATEGORY or record.category is None:
        return fact.question
    return ABOUT.format(category=record.category, question=fact.question)


def draw_relevance_options(fact: Fact, other: Record, *key: str | int) -> tuple[str, ...] | None:
    """Draw four answers to a question that `other` lacks, and `REFUSAL`.

    None with too few answers. The category of `other` is not among the answers.
    """
    if fact.kind == CATEGORY and other.category is not None:
        kept = (option for option in fact.options if option == fact.answer or not _overlap(option, other.category))
        fact = replace(fact, options=tuple(kept))
    options = draw_options(fact, *key)
    return None if options is None else (*options, REFUSAL)


def has_another_answer(fact: Fact, other: Fact) -> bool:
    """Whether two answers to one question differ, and neither contains the other one's words."""
    return not _overlap(fact.answer, other.answer)


@lru_cache(maxsize=2**16)
def _says(text: str, name: str) -> bool:
    return mentions(text, name)


def _overlap(first: str, second: str) -> bool:
    """Whether one of two names contains the words of the other one: a rocking chair is a chair."""
    return _says(first, second) or _says(second, first)
