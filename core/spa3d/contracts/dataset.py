"""Dataset: files (or a generator) to records."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float

from spa3d.contracts.config import ComponentConfig
from spa3d.runtime.file_hashes import FileHashes

CloudArray = Float[np.ndarray, "N 6"]
"""Points, xyz and rgb: float32, or float64 where the coordinates have more digits; `prepare` makes them float32."""
CAPTION = "simple_description"
"""The conversation kind whose answer describes the whole object (PointLLM's name for it)."""
POINT = "<point>"
"""The mark of the cloud in a first question; a question without it has the cloud in front, on a line of its own."""


@dataclass(frozen=True)
class Fact:
    """One true statement about an object, in the form of a question.

    Attributes:
        kind: the property: ``category``, ``color``, ``count``, ``texture``, ``use``, ``shape`` ...
        subject: the part (``"seat"``), or the empty string for the whole object.
        question: the open question, without options.
        answer: the true value.
        options: the possible values, the answer included; source of distractors.
        sentence: the answer to the open question in the dataset's conversations; empty: the bare answer.

    """

    kind: str
    subject: str
    question: str
    answer: str
    options: tuple[str, ...]
    sentence: str = ""

    @property
    def full_answer(self) -> str:
        """The answer to the open question, in the words of the dataset's conversations."""
        return self.sentence or self.answer


@dataclass(frozen=True)
class Round:
    """One question and its answer; the cloud belongs to the first round of a conversation.

    The cloud stands before the first question, or where that question has the mark `POINT`.
    """

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
    """One object with conversations and facts about it.

    Attributes:
        id: unique per record over all splits.
        object_id: the object; several records may share one.
        group: look-alikes share a group, and a group never crosses a split.
        load: reads or makes the cloud, ``(N, 6)`` float32 or float64: xyz in the units of the file, rgb in [0, 1].
        conversations: the fixed conversations, at least one.
        facts: true statements about it; empty if the dataset has none.
        category: name of the class, if known.
        has_color: false if the cloud has no colors (then rgb is all 0).

    """

    id: str
    object_id: str
    group: str
    load: Callable[[], CloudArray] = field(repr=False, compare=False)
    conversations: tuple[Conversation, ...]
    facts: tuple[Fact, ...] = ()
    category: str | None = None
    has_color: bool = True

    def cloud(self) -> CloudArray:
        """Load the unprepared cloud; raises `DataError` with file and record."""
        return self.load()

    @property
    def has_cloud(self) -> bool:
        """Whether any conversation is about the cloud; if none is, there may be no cloud."""
        return not self.conversations or any(conversation.has_cloud for conversation in self.conversations)

    @property
    def caption_round(self) -> Round | None:
        """Question and answer of the caption conversation about the cloud, if there is one."""
        captions = (each for each in self.conversations if each.kind == CAPTION and each.has_cloud)
        return next((each.rounds[0] for each in captions), None)

    @property
    def caption(self) -> str | None:
        """The answer of the caption conversation about the cloud, if there is one."""
        return self.caption_round.answer if self.caption_round else None


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
    """Log of skipped data, and notes about data that are used otherwise than given.

    Datasets and readers of clouds add to it; the report lists all lines and notes.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.notes: list[str] = []

    def add(self, *lines: str) -> None:
        """Append `lines`: each names the skipped data and the reason."""
        self.lines.extend(lines)

    def note(self, *notes: str) -> None:
        """Append `notes`, each once: they name data that are ignored or converted."""
        self.notes.extend(note for note in dict.fromkeys(notes) if note not in self.notes)


class Dataset(ABC):
    """Records in the splits ``train``, ``val``, ``test`` and, if possible, ``counterfactual``.

    The first three must not be empty. The content of the records decides which benchmarks work: `choice` needs facts,
    or else captions; `classify` needs facts of the kind ``category``; `caption` needs captions, which are conversations
    of the kind ``simple_description``.

    Construction must be cheap and must check that the files exist. With ``on_bad_data`` ``stop`` a record whose
    annotation is bad raises `DataError` when its split is first read; with ``skip`` the record is left out and a line
    about it goes to ``skip_log``. Clouds are read later: `Record.cloud` raises in either case, and its caller follows
    ``on_bad_data``.

    Args:
        on_bad_data: stop at data that cannot be read, or skip them.
        skip_log: log of skipped data; None: a new log.
        values: the values of its ``Config``.

    """

    Config: ClassVar[type[ComponentConfig]] = ComponentConfig
    up_axis: Literal["x", "y", "z"] = "y"
    file_hashes = FileHashes()
    """Hashes of files for `fingerprint`; a run sets one that remembers the files it has read."""

    def __init__(self, *, on_bad_data: OnBadData = "stop", skip_log: SkipLog | None = None, **values: Any) -> None:
        self.config: Any = self.Config(**values)
        self.on_bad_data: OnBadData = on_bad_data
        self.skip_log = SkipLog() if skip_log is None else skip_log

    @classmethod
    def recognizes(cls, root: Path) -> bool:
        """Whether the names in `root` are those of this dataset's layout.

        Commands that get only a path ask this.
        """
        return False

    @property
    @abstractmethod
    def splits(self) -> tuple[str, ...]:
        """Names of the splits."""

    @abstractmethod
    def records(self, split: str) -> Sequence[Record]:
        """Records of `split`: cheap ``len`` and random access; clouds are loaded on demand."""

    @abstractmethod
    def record(self, record_id: str) -> Record:
        """The record with this id (twins included)."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Hash of the data: configuration, annotations, and the contents of every cloud's file.

        ``self.file_hashes.hash_files(paths)`` reads only files that changed. The code of the dataset does not belong
        here: runs add it where it matters.
        """

    def conversations(self, record: Record, epoch: int) -> tuple[Conversation, ...]:
        """Training conversations of `epoch`: the fixed ones, or newly drawn questions."""
        return record.conversations

    def twin(self, record: Record, number: int = 0) -> Twin | None:
        """The `number`-th twin of `record`, a pure function of both; None if there is none."""
        return None
