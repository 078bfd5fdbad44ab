"""Categories of questions, and the values that writers and checkers exchange."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from spa3d.data.question_sources import OBJECT, SCENE, AnsweredQuestion, SourceRecord

WRONG = 3
"""Wrong options of a question."""


@dataclass(frozen=True)
class Category:
    """A category of questions: its level, and the topic of its questions, for prompts."""

    level: str
    topic: str


CATEGORIES: Mapping[str, Category] = MappingProxyType(
    {
        "color": Category(OBJECT, "the color of the object or of one of its parts"),
        "texture": Category(OBJECT, "the texture, the material or the pattern of the object"),
        "use": Category(OBJECT, "what the object is used for"),
        "grounding": Category(SCENE, "where an object of the scene is, or which object is at a place"),
        "relation": Category(SCENE, "how two objects of the scene stand to each other"),
        "navigation": Category(SCENE, "which way to go or to turn from one place of the scene to another"),
    }
)
"""The categories of SPA's 3DCQA."""
PRESETS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "3dcqa": MappingProxyType(
            {"color": 39, "texture": 42, "use": 72, "grounding": 300, "relation": 284, "navigation": 243}
        )
    }
)
"""Wanted numbers of questions by name: 3DCQA has 153 about objects and 827 about scenes."""


@dataclass(frozen=True)
class DraftRequest:
    """A question to be written.

    Attributes:
        record: what is known about the record.
        category: one of `CATEGORIES`.
        known: the question and its answers, where only wrong options are to be written.

    """

    record: SourceRecord
    category: str
    known: AnsweredQuestion | None = None

    @property
    def key(self) -> str:
        """Id of the question."""
        return f"{self.known.id if self.known else self.record.id}/{self.category}"

    @property
    def caption(self) -> str:
        """All captions of the record as one text."""
        return " ".join(self.record.captions)


@dataclass(frozen=True)
class Draft:
    """A written question, not yet checked.

    Attributes:
        question: without options.
        answer: the right option.
        wrong: the other options.
        origin: ``caption``, ``fact`` or ``qa``.
        evidence: by option, words that state it in a caption; an option without an entry is stated by its own words.
        made: provenance: hash of the prompt and the like.

    """

    question: str
    answer: str
    wrong: tuple[str, ...]
    origin: str
    evidence: Mapping[str, Sequence[str]] = field(default_factory=dict)
    made: Mapping[str, str] = field(default_factory=dict)

    @property
    def options(self) -> tuple[str, ...]:
        """All options, the right one first."""
        return (self.answer, *self.wrong)


class Writer(Protocol):
    """Writer of questions.

    Attributes:
        name: for the provenance: ``rule``, ``local:<path>``, ``endpoint:<model>``.
        is_paid: whether every request takes time or money, so that their number is limited.

    """

    name: str
    is_paid: bool

    def write(self, requests: Sequence[DraftRequest]) -> Mapping[str, Draft | str]:
        """Write the questions; by key, the draft or why there is none."""
        ...


@dataclass(frozen=True)
class CheckResult:
    """Whether the caption tells the answer.

    Attributes:
        why_not: reason for refusing the question; empty if it passed.
        made: provenance: checker, pick, hash of the prompt.
        blind_solvable: whether the answer was found without the caption; None: not tried.

    """

    why_not: str
    made: Mapping[str, str]
    blind_solvable: bool | None = None


class Checker(Protocol):
    """Checker of drafts: ``name`` as of a writer."""

    name: str

    def check(self, drafts: Mapping[str, tuple[DraftRequest, Draft]]) -> Mapping[str, CheckResult]:
        """Check whether the captions tell the answers; by key."""
        ...
