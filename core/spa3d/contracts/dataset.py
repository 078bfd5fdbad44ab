"""Dataset: files (or a generator) to records."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float32

from spa3d.contracts.config import ComponentConfig

Cloud = Float32[np.ndarray, "N 6"]
CAPTION = "simple_description"
"""The conversation kind whose answer describes the whole object (PointLLM's name for it)."""


@dataclass(frozen=True)
class Fact:
    """One true statement about an object, in the form of a question.

    Attributes:
        kind: what is asked about: ``category``, ``color``, ``count``, ``texture``, ``use``, ``shape`` ...
        subject: the part it is about (``"seat"``), or the empty string for the whole object.
        question: the open question, without options.
        answer: the true value.
        options: the values the answer could have had (with the answer among them); distractors come from here.
        sentence: the answer to the open question as this dataset's conversations put it; empty: the bare answer.

    """

    kind: str
    subject: str
    question: str
    answer: str
    options: tuple[str, ...]
    sentence: str = ""

    @property
    def said(self) -> str:
        """The answer to the open question, in the words of the dataset's conversations."""
        return self.sentence or self.answer


@dataclass(frozen=True)
class Round:
    """One question and its answer; the cloud belongs to the first round of a conversation."""

    question: str
    answer: str


@dataclass(frozen=True)
class Conversation:
    """A conversation about one cloud.

    ``kind`` is ``simple_description`` (one round, the caption), ``single_round``, ``multi_round`` or
    ``detailed_description``: PointLLM's names. ``has_cloud`` is false for text-only conversations.
    """

    kind: str
    rounds: tuple[Round, ...]
    has_cloud: bool = True


@dataclass(frozen=True)
class Record:
    """One object with what is said about it.

    Attributes:
        id: unique per record over all splits.
        object_id: the object; several records may share one.
        group: look-alikes share a group, and a group never crosses a split.
        load: reads or makes the cloud, ``(N, 6)`` float32: xyz in the file's own units, rgb in [0, 1].
        conversations: the fixed conversations, at least one.
        facts: what is known to be true; empty where the dataset has none.
        category: name of the class, where known.
        has_color: false where the colors are a filling (then rgb is all 0).

    """

    id: str
    object_id: str
    group: str
    load: Callable[[], Cloud] = field(repr=False, compare=False)
    conversations: tuple[Conversation, ...]
    facts: tuple[Fact, ...] = ()
    category: str | None = None
    has_color: bool = True

    def cloud(self) -> Cloud:
        """The cloud as the source has it; raises `DataError` naming file and record."""
        return self.load()

    @property
    def caption(self) -> str | None:
        """The answer of the caption conversation, if there is one."""
        return next(
            (conversation.rounds[0].answer for conversation in self.conversations if conversation.kind == CAPTION), None
        )


@dataclass(frozen=True)
class Twin:
    """The same object, pose and noise with exactly one asked fact changed.

    ``before`` and ``after`` are the same fact (same question, same options) with the answers of the original
    and of the twin; ``record`` is the twin itself.
    """

    record: Record
    before: Fact
    after: Fact


OnBadData = Literal["stop", "skip"]


class SkipLog:
    """Lines about data that were left out, in order.

    A dataset writes what it leaves out, and so does a reader of its clouds; the report lists them all.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, *lines: str) -> None:
        """Append `lines`: each names what was left out and why."""
        self.lines.extend(lines)


class Dataset(ABC):
    """Records in splits ``train``, ``val``, ``test``, and ``counterfactual`` where priors can be broken.

    The first three must not be empty. What a record holds decides what can be asked: `choice` takes facts, or captions
    where there are none; `classify` takes facts of the kind ``category``; `caption` takes captions, which are
    conversations of the kind ``simple_description``.

    Construction must be cheap and must check that the files are there. With ``on_bad_data`` ``stop`` a record whose
    annotation is bad raises `DataError` when its split is first read; with ``skip`` the record is left out and a line
    about it goes to ``skip_log``. Clouds are read later: `Record.cloud` raises in either case, and whoever reads acts
    on ``on_bad_data``.

    Args:
        on_bad_data: stop at data that cannot be read, or skip them.
        skip_log: takes the lines about what was skipped; None: a log of its own.
        values: the values of its ``Config``.

    """

    Config: ClassVar[type[ComponentConfig]] = ComponentConfig
    up_axis: Literal["x", "y", "z"] = "y"

    def __init__(self, *, on_bad_data: OnBadData = "stop", skip_log: SkipLog | None = None, **values: Any) -> None:
        self.config: Any = self.Config(**values)
        self.on_bad_data: OnBadData = on_bad_data
        self.skip_log = SkipLog() if skip_log is None else skip_log

    @property
    @abstractmethod
    def splits(self) -> tuple[str, ...]:
        """The splits there are."""

    @abstractmethod
    def records(self, split: str) -> Sequence[Record]:
        """The records of `split`: cheap ``len`` and random access; a cloud is made only when asked for."""

    @abstractmethod
    def record(self, record_id: str) -> Record:
        """The record with this id (twins included)."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Hash of what the data are: configuration, annotation files, file count and sizes, at most a few clouds."""

    def conversations(self, record: Record, epoch: int) -> tuple[Conversation, ...]:
        """What to train on in `epoch`: the fixed conversations, or questions drawn afresh."""
        return record.conversations

    def twin(self, record: Record, number: int = 0) -> Twin | None:
        """The `number`-th twin of `record`, a pure function of both, or None where there is none."""
        return None
